"""Apache Spark as the engine of the reductions: the same text, translated, over a lake.

`kl.Spark(session, kl.Lake("lake"))` takes a session as it is, local or of a cluster, and reads the lake's files where they lie; the small
table that a reduction gives comes back, and is finished here. Reductions hold counts and exact sums alone, so Spark's digits are DuckDB's.
What Spark cannot say is told before it starts.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.errors import StoreError, UsageError
from kalshi_lab.store.lake import DATASETS, once, settled, shapes_of
from kalshi_lab.store.places import FILE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kalshi_lab.store.lake import Lake

HINT = "pip install 'kalshi_lab[spark]', and Java 17 (apt-get install openjdk-17-jre-headless)"
KNOWN = {"epoch_us": "unix_micros", "list_contains": "array_contains", "starts_with": "startswith"}
STRICT = {
    "spark.sql.ansi.enabled": "true",  # an overflow is an error, not null
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
    "spark.sql.session.timeZone": "UTC",
}
TYPES = {
    "string": pl.String, "boolean": pl.Boolean, "tinyint": pl.Int8, "smallint": pl.Int16, "int": pl.Int32, "bigint": pl.Int64,
    "float": pl.Float32, "double": pl.Float64, "date": pl.Date, "timestamp": pl.Datetime("us", "UTC"), "void": pl.Null,
}  # fmt: skip


class Spark:
    """An engine: `lab.calibration(engine=kl.Spark(session, lake))`, and every other verb over trades that takes `engine`.

    session: a `pyspark.sql.SparkSession`; lake: a `kl.Lake` that its machines reach under the same path; one on object storage they read
    as `s3a://`, with Hadoop's connector and a key that the cluster has (untried). Frames that a question brings along are sent there.
    Raises UsageError where sqlglot is missing or the session is none.
    """

    def __init__(self, session: Any, lake: Lake | None = None) -> None:
        try:
            import sqlglot
        except ImportError:
            raise UsageError("Spark needs sqlglot, which translates", hint=HINT) from None
        if not hasattr(session, "sql") or not hasattr(session, "newSession"):
            raise UsageError(f"{type(session).__name__} is no Spark session", hint="SparkSession.builder.getOrCreate()")
        self._glot, self.lake = sqlglot, lake
        self._session = session.newSession()  # its own settings and views; the cluster is the same
        for name, value in STRICT.items():
            self._session.conf.set(name, value)

    def translate(self, sql: str) -> str:
        """A reduction in Spark's words; parameters stand as `:p1`, `:p2`. Raises UsageError for what Spark cannot say."""
        glot = self._glot
        try:
            tree = glot.parse_one(re.sub(r"\$(\d+)", r":p\1", sql), read="duckdb")
            odd = {node.name for node in tree.find_all(glot.exp.Anonymous) if node.name.lower() not in KNOWN}
            late = [
                node for node in tree.find_all(glot.exp.Join) if str(node.args.get("method") or "").upper() == "ASOF"
            ]
            if odd or late:
                raise UsageError(
                    f"Spark has no {', '.join(sorted(odd)) or 'ASOF JOIN'}",
                    hint="Ask the store or the lake: leave out engine=",
                )
            for node in tree.find_all(glot.exp.Anonymous):
                node.set("this", KNOWN[node.name.lower()])
            return str(tree.sql(dialect="spark", unsupported_level=glot.ErrorLevel.RAISE))
        except glot.errors.SqlglotError as error:
            raise UsageError(f"Spark cannot be asked this: {str(error)[:200]}", hint="Leave out engine=") from None

    def run(self, sql: str, **frames: pl.DataFrame) -> pl.DataFrame:
        """The rows of a query over frames, each visible under its keyword, and over the lake.

        Columns: those that the query names; decimals exact, times Datetime(us, UTC). Raises as `read` does.
        """
        return self.read(sql, (), frames)

    def read(
        self, sql: str, parameters: Sequence[Any] = (), frames: Mapping[str, pl.DataFrame] | None = None
    ) -> pl.DataFrame:
        """The rows of a query over the lake with `$1`, `$2`, ... from parameters.

        Columns: those that the query names; decimals exact, times Datetime(us, UTC). Raises UsageError for what Spark cannot say,
        before it starts, and StoreError for what it could not do.
        """
        asked = self.translate(sql)
        self._views(asked)
        for name, frame in (frames or {}).items():
            self._session.createDataFrame(frame.rows(), _ddl(frame.schema)).createOrReplaceTempView(name)
        given = {f"p{place}": _given(value) for place, value in enumerate(parameters, 1)}
        try:
            found = self._session.sql(asked, args=given or None)
            rows, kinds = found.collect(), found.dtypes
        except Exception as error:  # noqa: BLE001 - Spark's classes are the JVM's, and there without it
            raise StoreError(
                f"Spark could not do it: {str(error).split(chr(10))[0][:300]}", hint="The session's log says more"
            ) from None
        return _frame([tuple(row) for row in rows], kinds)

    def _views(self, asked: str) -> None:
        """The lake's datasets that are named, as views of the files that are there now; those that it has not hold nothing."""
        if self.lake is None:
            return
        tree = self._glot.parse_one(asked, read="spark")
        shapes = shapes_of(self.lake)
        for dataset in {table.name for table in tree.find_all(self._glot.exp.Table)} & set(DATASETS):
            owners, ddl = self.lake.owners(dataset), _ddl(shapes[dataset])
            if not owners:
                self._session.createDataFrame([], ddl).createOrReplaceTempView(dataset)
                continue
            root = re.sub("^s3://", "s3a://", str(self.lake.path))  # by Hadoop's name, with the cluster's own key
            places = [f"{root}/{dataset}/owner={owner}" for owner in owners]
            options = {"recursiveFileLookup": "true", "pathGlobFilter": FILE}
            files = self._session.read.schema(ddl).options(**options).parquet(*places)
            if len(owners) > 1 and once(dataset):
                files = files.selectExpr("*", "input_file_name() AS filename").createOrReplaceTempView("lake_files")
                files = self._session.sql(settled(dataset, "lake_files", shapes[dataset]))
            files.createOrReplaceTempView(dataset)

    def __repr__(self) -> str:
        return f"<Spark over {self.lake}>"


def _ddl(shape: Mapping[str, pl.DataType]) -> str:
    """The columns of a frame in Spark's words."""
    return ", ".join(f"`{name}` {_kind(kind)}" for name, kind in shape.items())


def _kind(kind: pl.DataType) -> str:
    if isinstance(kind, pl.Decimal):
        return f"decimal({kind.precision or 38},{kind.scale})"
    if isinstance(kind, pl.List):
        return f"array<{_kind(kind.inner)}>"  # type: ignore[arg-type] # an instance, since it is that of a frame
    return next((word for word, known in TYPES.items() if kind == known), "string")


def _frame(rows: Sequence[tuple[Any, ...]], kinds: Sequence[tuple[str, str]]) -> pl.DataFrame:
    """Spark's rows as an exact frame; its times are this machine's, and become UTC."""
    made = [tuple(each.astimezone(UTC) if isinstance(each, datetime) else each for each in row) for row in rows]
    return pl.DataFrame(made, schema={name: _type(kind) for name, kind in kinds}, orient="row")


def _type(kind: str) -> Any:
    found = re.fullmatch(r"decimal\((\d+),(\d+)\)", kind)
    return pl.Decimal(int(found[1]), int(found[2])) if found else TYPES.get(kind, pl.String)


def _given(value: Any) -> Any:
    """A parameter as Spark takes it."""
    from pyspark.sql.functions import array, lit

    return array(*[lit(each) for each in value]) if isinstance(value, list) else value
