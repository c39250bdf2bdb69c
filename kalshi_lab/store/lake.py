"""A lake: a folder of Parquet files that `lab.export` keeps up to date, and a store over it that only reads.

`<lake>/<dataset>/owner=<who wrote it>/date=2026-11-22/part.parquet`, as Hive, Spark, DuckDB and Polars read it; what has no time is one
file an owner. Each owner writes its own folders alone, so several machines need no coordinator: a row that several of them brought is
one row when it is read, by its key, as it was seen last.
"""

from __future__ import annotations

import re
import secrets
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

import duckdb
import polars as pl

from kalshi_lab.errors import StoreError, UsageError
from kalshi_lab.store import files
from kalshi_lab.store.connection import READ, fetch, quoted, told
from kalshi_lab.store.places import FILE, Folder
from kalshi_lab.store.store import Store
from kalshi_lab.store.verify import keys
from kalshi_lab.store.versions import create

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

    from kalshi_lab.store.access import S3
    from kalshi_lab.store.connection import Connection
    from kalshi_lab.store.gate import Job
    from kalshi_lab.store.places import Place, Version

# what a lake holds: what the exchange says to everybody, and which of it was read; each with the time by which it is cut into days
DATASETS: dict[str, str | None] = {
    "trades": "created_time", "candlesticks": "end_time", "quotes": "time", "snapshots": "time", "ticks": "time",
    "book_changes": "time", "lifecycle": "time", "results": None, "markets": None, "events": None, "series": None, "coverage": None,
    "ledger": None, "gaps": None, "recordings": None,
}  # fmt: skip
T = TypeVar("T")
TRIES = 100  # of a question while the lake is written to
OWNER = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
COLUMNS = "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = $1 AND schema_name = 'main' ORDER BY column_index"
HELD: dict[str, Any] = {"dataset": pl.String, "owner": pl.String, "partitions": pl.Int64, "bytes": pl.Int64}
HINT = "Write into a store of your own, kl.Lab(home=...), and bring it into the lake: lab.export(kl.Lake(...))"


@dataclass(frozen=True, slots=True, init=False)
class Lake:
    """Parquet files that are kept up to date: `lab.export(kl.Lake("lake"))` writes them, `kl.Lab(store=kl.Lake("lake"))` asks them.

    path: a folder, or `s3://bucket/prefix` on object storage (pip install "kalshi_lab[s3]"). owner: under which name this machine
    writes; several write into one lake, each under its own. credentials: a `kl.S3` for object storage; None: the environment's. Raises
    UsageError for an odd path or an odd name.
    """

    path: Path | str
    owner: str
    place: Place = field(repr=False, compare=False)

    def __init__(self, path: str | os.PathLike[str], *, owner: str = "main", credentials: S3 | None = None) -> None:
        place = _place(path, credentials)
        object.__setattr__(self, "path", place.path if isinstance(place, Folder) else str(place))
        if not OWNER.fullmatch(owner):
            raise UsageError(
                f"owner {owner!r} cannot stand in a path", hint="Letters, digits, dots, hyphens, underscores"
            )
        object.__setattr__(self, "owner", owner)
        object.__setattr__(self, "place", place)

    def owners(self, dataset: str) -> tuple[str, ...]:
        """Who brought files of a dataset, in order."""
        return tuple(sorted({owner for _, owner, _ in _placed(self.place.parts(dataset))}))

    def frame(self) -> pl.DataFrame:
        """What is there, without reading it.

        Columns: dataset, owner String; partitions (files), bytes Int64.
        """
        sizes = dict[tuple[str, str], list[int]]()
        for dataset, owner, version in sorted(_placed(self.place.parts())):
            sizes.setdefault((dataset, owner), []).append(version.size)
        rows = [(*place, len(found), sum(found)) for place, found in sizes.items()]
        return pl.DataFrame(sorted(rows, key=lambda row: list(DATASETS).index(row[0])), schema=HELD, orient="row")

    def stamp(self, datasets: Iterable[str]) -> dict[str, Version]:
        """Which files there are of some datasets; another file of the same name is another version."""
        wanted = set(datasets)
        if len(wanted) < 2:  # noqa: PLR2004 - else one listing of all is less than several
            return self.place.parts(*wanted) if wanted else {}
        return {name: version for name, version in self.place.parts().items() if name.split("/")[0] in wanted}

    def __repr__(self) -> str:
        return f"<Lake {self.path}>"


class LakeStore(Store):
    """A store over a lake: everything that asks works, everything that writes raises UsageError; nothing is copied."""

    def __init__(self, lake: Lake, *, sql_seconds: float | None = None, sql_memory: int | None = None) -> None:
        super().__init__(Path(lake.path), sql_seconds=sql_seconds, sql_memory=sql_memory)
        self.path = cast("Path", lake.path)  # it is shown, and nothing else
        if not lake.place.exists:
            raise UsageError(f"there is no lake at {lake.path}", hint="lab.export(kl.Lake(...)) makes one")
        self.lake = lake
        self._views, self._lock = _Views(lake, self._reader), threading.Lock()

    @property
    def is_new(self) -> bool:
        """Whether it holds nothing."""
        return not self._views.found()

    def _read(self, job: Job, sql: str, parameters: Sequence[Any]) -> pl.DataFrame:
        named = [dataset for dataset in DATASETS if dataset in sql]
        return self._steadily(named, lambda: super(LakeStore, self)._read(job, sql, parameters))

    def _look(self, job: Job, work: Callable[[Connection], T]) -> T:
        return self._steadily(DATASETS, lambda: super(LakeStore, self)._look(job, work))

    def _steadily(self, datasets: Iterable[str], ask: Callable[[], T]) -> T:
        """An answer during which no file was replaced: DuckDB opens a file more than once, and would mix the old and the new one.

        What was answered, or went wrong, meanwhile is thrown away and asked again. Raises StoreError where that goes on and on.
        """
        for _ in range(TRIES):
            before = self.lake.stamp(datasets)
            try:
                made = ask()
            except (StoreError, UsageError):
                if self.lake.stamp(datasets) == before:
                    raise
                continue
            if self.lake.stamp(datasets) == before:
                return made
        raise StoreError(
            f"{self.lake.path} was written to during each of {TRIES} attempts", hint="Ask between two exports"
        )

    @contextmanager
    def _reading(self, job: Job) -> Iterator[Connection]:
        with self._lock:
            connection = self._views.connection()
        job.holds(connection)
        try:
            yield connection
        finally:
            job.holds(None)
            connection.close()

    @contextmanager
    def _writing(self, job: Job) -> Iterator[Connection]:  # noqa: ARG002 - as of a store
        self.writable()
        yield  # type: ignore[unreachable] # what makes this a generator

    def writable(self) -> NoReturn:
        """Raise UsageError: a lake is only read, and is copied as the files that it is; `Lake.frame` says what it holds."""
        raise UsageError("a lake is only read by a lab that stands over it, and has no file to care for", hint=HINT)

    def has_file(self) -> NoReturn:
        """Raise UsageError, as `writable` does."""
        self.writable()

    def __repr__(self) -> str:
        return f"<LakeStore {self.path}>"


@dataclass(slots=True)
class _Views:
    """DuckDB in memory with the tables of a store, of which those that the lake has are views of its files."""

    lake: Lake
    config: Mapping[str, Any] = field(default_factory=lambda: READ)
    _base: Connection | None = None
    _known: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def found(self) -> dict[str, tuple[str, ...]]:
        """The datasets that the lake has, and whose."""
        owners = dict[str, set[str]]()
        for dataset, owner, _ in _placed(self.lake.place.parts()):
            owners.setdefault(dataset, set()).add(owner)
        return {dataset: tuple(sorted(owners[dataset])) for dataset in DATASETS if dataset in owners}

    def connection(self) -> Connection:
        """A connection to it, which sees the files that are there now."""
        found = self.found()
        if self._base is None or found != self._known:
            with told():
                self._base, self._known = self._made(found), found
        return self._base.cursor()

    def _made(self, found: Mapping[str, tuple[str, ...]]) -> Connection:
        config = {name: value for name, value in self.config.items() if name != "enable_external_access"}
        # what does not fit into memory goes where the system has such files, not to where the session was started
        spill = Path(tempfile.gettempdir(), f"kalshi_lab-{secrets.token_hex(8)}")
        base = duckdb.connect(":memory:", config={**config, "temp_directory": str(spill)})
        base.execute("SET GLOBAL TimeZone = 'UTC'")
        create(base)
        self.lake.place.open_to(base)
        for dataset, owners in found.items():
            view = self._view(base, dataset, owners)
            base.execute(f"DROP TABLE {dataset}")
            base.execute(view)
        allowed = quoted(self.lake.place.source(""))
        base.execute(f"SET allowed_directories = [{allowed}]; SET enable_external_access = false")
        base.execute("SET lock_configuration = true")
        return base

    def _view(self, base: Connection, dataset: str, owners: tuple[str, ...]) -> str:
        deep = "*/" if DATASETS[dataset] else ""
        places = ", ".join(quoted(self.lake.place.source(f"{dataset}/owner={owner}/{deep}{FILE}")) for owner in owners)
        mixed = ", union_by_name = true" if len(owners) > 1 else ""  # they may have been written by different versions
        source = (
            f"read_parquet([{places}], hive_partitioning = false, filename = {'true' if mixed else 'false'}{mixed})"
        )
        there = dict(fetch(base, f"DESCRIBE SELECT * FROM {source}").select("column_name", "column_type").iter_rows())
        wanted = fetch(base, COLUMNS, [dataset]).rows()
        chosen = ", ".join(_column(name, kind, there.get(name)) for name, kind in wanted)
        made = f"CREATE VIEW {dataset} AS SELECT {chosen} FROM {source}"
        if not mixed or not once(dataset):
            return made
        return f"CREATE VIEW {dataset} AS SELECT {chosen} FROM ({settled(dataset, source, there)})"


def _placed(parts: Mapping[str, Version]) -> Iterator[tuple[str, str, Version]]:
    """The dataset and the owner of each file."""
    for name, version in parts.items():
        dataset, owner, *_ = name.split("/")
        if dataset in DATASETS and owner.startswith("owner="):
            yield dataset, owner.removeprefix("owner="), version


def _place(path: str | os.PathLike[str], credentials: S3 | None) -> Place:
    """Where a lake is. Raises UsageError."""
    if isinstance(path, str) and path.startswith("s3://"):
        from kalshi_lab.store.bucket import Bucket

        return Bucket(path, credentials)
    if credentials is not None:
        raise UsageError(
            "credentials are for a lake on object storage", hint='kl.Lake("s3://bucket/lake", credentials=kl.S3(...))'
        )
    return Folder(files.checked(path, "path").expanduser().absolute())


def once(dataset: str) -> tuple[str, ...]:
    """The key of what is one row whoever brought it; none for stretches of time: an owner's says nothing of how far another read."""
    # a trade's market and time never change: with them in the key, what is asked of a market or of some days sorts only that
    return {"coverage": (), "trades": ("ticker", "created_time", "trade_id")}.get(dataset, keys()[dataset])


def settled(dataset: str, source: str, columns: Container[str]) -> str:
    """The rows of several owners, each key once: as it was seen last."""
    newest = ", ".join([*(["seen_at DESC NULLS LAST"] if "seen_at" in columns else []), "filename"])
    ranked = f"row_number() OVER (PARTITION BY {', '.join(once(dataset))} ORDER BY {newest})"
    return f"SELECT * FROM (SELECT *, {ranked} AS _place FROM {source}) AS ranked WHERE _place = 1"


def shapes_of(lake: Lake) -> dict[str, pl.Schema]:
    """The columns of each dataset, as frames have them."""
    base = _Views(lake).connection()
    try:
        return {dataset: fetch(base, f"SELECT * FROM {dataset} LIMIT 0").schema for dataset in DATASETS}
    finally:
        base.close()


def _column(name: str, kind: str, there: str | None) -> str:
    """A column of the view as the store's table has it; null where the lake does not."""
    return (
        f'"{name}"'
        if there == kind
        else f'CAST({"NULL" if there is None else chr(34) + name + chr(34)} AS {kind}) AS "{name}"'
    )
