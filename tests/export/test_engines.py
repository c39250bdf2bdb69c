"""Every reduction on DuckDB over the store, DuckDB over the lake, and Spark over the lake: the same to the last digit."""

from __future__ import annotations

import inspect
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import kalshi_lab as kl
from kalshi_lab.analysis.calibration import REDUCTION
from kalshi_lab.analysis.labelled import PRICES, WEIGHTS
from kalshi_lab.store import Store
from tests.export import synthetic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kalshi_lab.analysis.base import Result
    from kalshi_lab.sim import Exchange

SMALL, LARGE, MARKETS = 20_000, 5_000_000, 2_000
WHOLE: dict[str, Callable[[Any, Any], Result]] = {
    "bars": lambda lab, engine: lab.bars(every="1h", engine=engine),
    "days": lambda lab, engine: lab.bars(every="1d", start="2026-02-03", end="2026-03-01", engine=engine),
    "returns": lambda lab, engine: lab.returns(engine=engine),
    "returns of a series": lambda lab, engine: lab.returns(series="KXAAD", weight="dollar", engine=engine),
    "returns of markets": lambda lab, engine: lab.returns(tickers=synthetic.names(lab, 3), cluster=False, engine=engine),
    "longshots": lambda lab, engine: lab.longshots(engine=engine),
    "longshots by contract": lambda lab, engine: lab.longshots(weight="contract", cluster=False, engine=engine),
    "size effects": lambda lab, engine: lab.size_effects(engine=engine),
    "spreads": lambda lab, engine: lab.spreads(engine=engine),
    "volume by price": lambda lab, engine: lab.volume_profile(engine=engine),
    "volume by hour": lambda lab, engine: lab.volume_profile(by="hour", engine=engine),
    "calibration by": lambda lab, engine: lab.calibration(horizon=["1h", "1d"], price="last", by=["horizon", "size"], engine=engine),
} | {
    f"calibration {price} {weight}": lambda lab, engine, price=price, weight=weight: lab.calibration(
        horizon="1d", price=price, weight=weight, engine=engine
    )
    for price in PRICES
    for weight in WEIGHTS
}  # fmt: skip


def streamed(lab: Any, engine: Any) -> pl.DataFrame:
    """The bars of a day each, window after window; inside one they have no order."""
    return pl.concat([frame.sort("ticker", "start") for frame in lab.stream_bars(every="1d", engine=engine)])


# one question for each verb that takes an engine, of all trades
EVERY: dict[str, Callable[[Any, Any], pl.DataFrame]] = {
    "bars": lambda lab, engine: lab.bars(every="1d", engine=engine).table,
    "calibration": lambda lab, engine: WHOLE["calibration last trade"](lab, engine).table,
    "longshots": lambda lab, engine: WHOLE["longshots"](lab, engine).table,
    "returns": lambda lab, engine: WHOLE["returns"](lab, engine).table,
    "size_effects": lambda lab, engine: WHOLE["size effects"](lab, engine).table,
    "spreads": lambda lab, engine: WHOLE["spreads"](lab, engine).table,
    "stream_bars": streamed,
    "tape": lambda lab, engine: lab.tape(synthetic.names(lab, 1)[0], exact=True, engine=engine),
    "volume_profile": lambda lab, engine: WHOLE["volume by price"](lab, engine).table,
}


def absent(why: str) -> NoReturn:
    """Skip, but not where everything has to run."""
    if os.environ.get("KALSHI_LAB_SPARK") == "required":
        pytest.fail(why)
    pytest.skip(why)


# weights and prices that another question has in other pairs: Spark takes seconds for each
LIKE_OTHERS = {f"calibration {price} {weight}" for price in PRICES for weight in WEIGHTS} - {
    "calibration mid contract-day",
    "calibration last trade",
    "calibration executable dollar",
}


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    """Spark in local mode on this machine."""
    if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
        absent("Spark needs Java 17: apt-get install openjdk-17-jre-headless")
    try:
        import pyspark.sql as pyspark
    except ImportError:
        absent("Spark needs pip install 'kalshi_lab[spark]'")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    settings = {
        "spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "2", "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1", "spark.driver.memory": "3g", "spark.sql.adaptive.enabled": "true",
    }  # fmt: skip
    builder = pyspark.SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    made = builder.getOrCreate()
    made.sparkContext.setLogLevel("OFF")
    yield made
    made.stop()


def world(folder: Any, exchange: Exchange, trades: int) -> tuple[kl.Lab, kl.Lab]:
    """A lab over a store of made-up trades, and one over the lake that two owners made of its halves."""
    lab = kl.Lab("sim", base_url=exchange.url, home=folder / "home")
    synthetic.fill(Store(lab.store.path), trades, MARKETS)
    lab.export(kl.Lake(folder / "lake"))
    return lab, kl.Lab("sim", base_url=exchange.url, home=folder / "none", store=kl.Lake(folder / "lake"))


@pytest.fixture(scope="module")
def small(exchange: Exchange, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[kl.Lab, kl.Lab]]:
    lab, over = world(tmp_path_factory.mktemp("small"), exchange, SMALL)
    with lab, over:
        yield lab, over


def equal(one: Result, other: Result) -> None:
    """To the last digit, and resting on the same."""
    assert_frame_equal(one.table, other.table, check_exact=True)
    assert one.basis == other.basis
    assert one.table.height > 1


@pytest.mark.long
@pytest.mark.parametrize("name", WHOLE)
def test_the_lake_gives_the_digits_of_the_store(small: tuple[kl.Lab, kl.Lab], name: str) -> None:
    """DB-9: the same text over the files."""
    lab, over = small
    equal(WHOLE[name](lab, None), WHOLE[name](over, None))


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [name for name in WHOLE if name not in LIKE_OTHERS])
def test_spark_gives_the_digits_of_the_store(small: tuple[kl.Lab, kl.Lab], session: Any, name: str) -> None:
    """DB-9: the same text, translated, over the same files."""
    lab, over = small
    equal(WHOLE[name](lab, None), WHOLE[name](lab, kl.Spark(session, over.store._twin.lake)))


@pytest.mark.long
@pytest.mark.timeout(600)
def test_spark_gives_the_tape_of_a_market(small: tuple[kl.Lab, kl.Lab], session: Any) -> None:
    """DB-9: rows, exact, in the same order."""
    lab, over = small
    name = synthetic.names(lab, 1)[0]
    there = lab.tape(name, exact=True, engine=kl.Spark(session, over.store._twin.lake))
    assert_frame_equal(lab.tape(name, exact=True), there, check_exact=True)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_spark_settles_what_two_owners_brought(
    small: tuple[kl.Lab, kl.Lab], session: Any, exchange: Exchange, tmp_path: Any
) -> None:
    """DB-9: both write all trades; each counts once on DuckDB and on Spark."""
    lab, _ = small
    for owner in ("a", "b"):
        lab.export(kl.Lake(tmp_path / "lake", owner=owner), datasets=["trades", "results"])
    with kl.Lab("sim", base_url=exchange.url, home=tmp_path / "none", store=kl.Lake(tmp_path / "lake")) as over:
        equal(lab.longshots(), over.longshots())
        equal(lab.longshots(), lab.longshots(engine=kl.Spark(session, kl.Lake(tmp_path / "lake"))))


@pytest.mark.long
@pytest.mark.timeout(600)
def test_spark_runs_a_question_over_a_frame(session: Any) -> None:
    """DB-9: an engine of `kl.calibration`, too."""
    frame = pl.DataFrame({"price": [0.1, 0.2, 0.9, 0.8, 0.5], "outcome": [0, 1, 1, 1, 0], "event": list("aabbc")})
    words: dict[str, Any] = {"cluster": "event", "bins": 5}
    equal(kl.calibration(frame, **words), kl.calibration(frame, **words, engine=kl.Spark(session)))


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_five_million_trades_are_the_same_everywhere(large: tuple[kl.Lab, kl.Lab], session: Any) -> None:
    """DB-9: every verb that takes an engine, on DuckDB over the store, DuckDB over the lake, and Spark over the lake."""
    lab, over = large
    spark = kl.Spark(session, over.store._twin.lake)
    other: list[str] = []
    for verb, ask in EVERY.items():
        here = ask(lab, None)
        assert here.height > 1, verb
        found = {"the lake": ask(over, None), "Spark": ask(lab, spark)}
        other += [
            f"{verb} on {name}" for name, each in found.items() if here.schema != each.schema or not here.equals(each)
        ]
    assert other == []


def test_every_verb_that_takes_an_engine_is_held_to_it() -> None:
    """DB-9: a verb that learns to ask Spark is compared, too."""
    verbs = {name: getattr(kl.AsyncLab, name) for name in dir(kl.AsyncLab) if not name.startswith("_")}
    taking = {name for name, verb in verbs.items() if callable(verb) and "engine" in inspect.signature(verb).parameters}
    assert taking == set(EVERY)


@pytest.fixture(scope="module")
def large(exchange: Exchange, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[kl.Lab, kl.Lab]]:
    lab, over = world(tmp_path_factory.mktemp("large"), exchange, LARGE)
    with lab, over:
        yield lab, over


class Unasked:
    """A session that nobody may ask."""

    conf: dict[str, str]

    def __init__(self) -> None:
        self.conf = _Settings()

    def newSession(self) -> Unasked:  # noqa: N802 - Spark's word
        return self

    def sql(self, *_: Any, **__: Any) -> None:
        raise AssertionError


class _Settings(dict[str, str]):
    def set(self, name: str, value: str) -> None:
        self[name] = value


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT * FROM trades ASOF JOIN quotes USING (ticker, time)", "ASOF"),
        ("SELECT my_macro(price) FROM trades", "my_macro"),
        ("SELECT FROM WHERE", "cannot be asked"),
    ],
)
def test_what_spark_cannot_say_is_told_before_it_starts(sql: str, said: str) -> None:
    """DB-9: nothing is sent."""
    pytest.importorskip("sqlglot")
    with pytest.raises(kl.UsageError, match=said):
        kl.Spark(Unasked()).run(sql)


def test_spark_is_asked_in_its_own_words() -> None:
    """DB-9: functions that have other names there, numbered parameters, and settings that keep digits."""
    pytest.importorskip("sqlglot")
    engine = kl.Spark(Unasked())
    assert engine.translate("SELECT epoch_us(time) FROM trades WHERE list_contains($1, ticker)").lower() == (
        "select unix_micros(time) from trades where array_contains(:p1, ticker)"
    )
    assert engine._session.conf["spark.sql.ansi.enabled"] == "true"
    assert engine.translate(REDUCTION.format(keys=""))


@pytest.mark.parametrize("odd", [object(), None, "spark"])
def test_what_is_no_session_is_refused(odd: Any) -> None:
    """DB-9: said at once."""
    with pytest.raises(kl.UsageError):
        kl.Spark(odd)


def test_what_is_no_engine_is_refused(small: tuple[kl.Lab, kl.Lab]) -> None:
    """DB-9: said at once."""
    with pytest.raises(kl.UsageError, match="cannot be asked"):
        small[0].calibration(engine="spark")  # type: ignore[arg-type]
