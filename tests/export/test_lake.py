"""A lake: kept up to date, read back by a lab that stands over it, written by several, killed on the way."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import kalshi_lab as kl
from kalshi_lab.store import Store, files, lake_export
from kalshi_lab.store.lake import DATASETS, LakeStore
from tests.export.samples import DAY, add, put

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kalshi_lab.sim import Exchange


def write(store: Store, lake: kl.Lake, datasets: tuple[str, ...] | None = None, **bounds: Any) -> pl.DataFrame:
    what = lake_export.asked(datasets, bounds.get("since"), bounds.get("until"))
    return asyncio.run(lake_export.export(store, lake, what))


def ids(lake: kl.Lake) -> list[str]:
    return asyncio.run(LakeStore(lake).read("SELECT trade_id FROM trades ORDER BY trade_id"))["trade_id"].to_list()


def change(store: Store, sql: str) -> None:
    asyncio.run(store.write(lambda connection: connection.execute(sql) and None))


def days(wrote: pl.DataFrame) -> list[str]:
    return [part for file in wrote["file"] for part in file.split("/") if part.startswith("date=")]


@pytest.fixture
def lake(tmp_path: Path) -> kl.Lake:
    return kl.Lake(tmp_path / "lake")


def test_a_lake_has_a_file_a_day_that_others_can_read(held: Store, lake: kl.Lake) -> None:
    """DB-9: Hive folders by dataset, owner and UTC day; sorted by ticker and time; decimals and times exact; no more than is public."""
    wrote = write(held, lake)
    assert days(wrote.filter(pl.col("file").str.contains("/trades/"))) == [
        "date=2026-11-21", "date=2026-11-22", "date=__HIVE_DEFAULT_PARTITION__",
    ]  # fmt: skip
    one = pl.read_parquet(lake.path / "trades/owner=main/date=2026-11-22/part.parquet", hive_partitioning=False)
    assert one["trade_id"].to_list() == ["t4", "t2"]
    assert (one.schema["yes_price"], one.schema["created_time"]) == (pl.Decimal(9, 6), pl.Datetime("us", "UTC"))
    with duckdb.connect() as connection:
        sql = f"SELECT count(*), count(DISTINCT date) FROM read_parquet('{lake.path}/trades/**/*.parquet', hive_partitioning = true)"
        assert connection.execute(sql).fetchall() == [(5, 2)]
    assert {one.name for one in lake.path.iterdir()} == set(DATASETS)
    assert lake.frame().filter(pl.col("dataset") == "trades").row(0)[:3] == ("trades", "main", 3)


def test_only_days_that_changed_are_written_and_nothing_is_read_where_nothing_happened(
    store: Store, lake: kl.Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DB-9: the second export neither writes nor reads; a new or changed row costs its day; a lost file is written anew."""
    write(store, lake)
    with monkeypatch.context() as patch:
        patch.setattr(lake_export._Export, "_held", None)  # whoever read the rows would fall over this
        assert write(store, lake).height == 0
    add(store, [("t6", "KXFED-26DEC-C25", DAY + timedelta(hours=4), "0.5", "1")])
    assert days(write(store, lake)) == ["date=2026-11-22"]
    (lake.path / "trades/owner=main/date=2026-11-21/part.parquet").unlink()
    assert days(write(store, lake)) == ["date=2026-11-21"]
    change(store, "UPDATE trades SET count = 7, seen_at = seen_at + INTERVAL 1 DAY WHERE trade_id = 't1'")
    assert days(write(store, lake)) == ["date=2026-11-21"]
    change(store, "UPDATE trades SET seen_at = seen_at + INTERVAL 2 DAY")
    assert write(store, lake).height == 0
    assert ids(lake) == ["t1", "t2", "t3", "t4", "t5", "t6"]


def test_an_export_since_a_day_leaves_the_rest_for_later(store: Store, lake: kl.Lake) -> None:
    """DB-9: bounds are widened to whole days, and a part that was exported does not pass for all."""
    assert days(write(store, lake, ("trades",), since=DAY + timedelta(hours=2))) == ["date=2026-11-22"]
    assert days(write(store, lake, ("trades",))) == ["date=2026-11-21", "date=__HIVE_DEFAULT_PARTITION__"]


def test_what_the_store_pruned_stays_in_the_lake(store: Store, lake: kl.Lake) -> None:
    """DB-9: days of which the store holds less than the lake are left alone; the same day's later rows come when it has more again."""
    write(store, lake)
    change(store, "DELETE FROM trades WHERE trade_id IN ('t3', 't5')")
    add(store, [("t6", "KXFED-26DEC-C25", DAY + timedelta(hours=4), "0.5", "1")])
    assert days(write(store, lake)) == ["date=2026-11-22"]
    assert ids(lake) == ["t1", "t2", "t3", "t4", "t5", "t6"]


def test_a_file_that_does_not_hold_what_it_should_takes_no_place(
    store: Store, lake: kl.Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DB-9: each file is read back and its hashes compared before it is seen; the old one stands."""
    write(store, lake)
    before = {path: path.read_bytes() for path in lake.path.rglob("*.parquet")}
    add(store, [("t6", "KXFED-26DEC-C25", DAY + timedelta(hours=4), "0.5", "1")])
    real = lake_export.parquet
    with monkeypatch.context() as patch:
        patch.setattr(
            lake_export, "parquet", lambda rows, group: real(rows.with_columns(count=pl.col("count") + 1), group=group)
        )
        with pytest.raises(kl.StoreError, match="other hashes"):
            write(store, lake)
    assert {path: path.read_bytes() for path in lake.path.rglob("*.parquet")} == before
    assert days(write(store, lake)) == ["date=2026-11-22"]


@pytest.mark.long
def test_several_owners_write_without_a_coordinator_and_a_row_is_one(
    tmp_path: Path, store: Store, lake: kl.Lake
) -> None:
    """DB-9: each writes its own folders; a row that both brought is one, as it was seen last, whoever exported last."""
    other = Store(tmp_path / "other" / "kalshi.duckdb")
    add(
        other,
        [
            ("t1", "KXHIGHNY-26NOV21-B50.5", DAY - timedelta(hours=5), "0.123456", "0.01"),
            ("o1", "KXFED-26DEC-C25", DAY, "0.4", "2"),
        ],
    )
    put(other, "series", [{"ticker": "S0", "title": "later", "seen_at": DAY + timedelta(days=1)}])
    write(other, kl.Lake(lake.path, owner="other"))
    write(store, lake)
    reader = LakeStore(lake)
    assert ids(lake) == ["o1", "t1", "t2", "t3", "t4", "t5"]
    assert asyncio.run(reader.read("SELECT title FROM series WHERE ticker = 'S0'")).item() == "later"
    assert lake.owners("trades") == ("main", "other")


@pytest.fixture(scope="module")
def world(exchange: Exchange, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[kl.Lab, kl.Lab]]:
    """A lab over a store, and one over the lake that was made of it."""
    folder = tmp_path_factory.mktemp("world")
    with kl.Lab("sim", base_url=exchange.url, home=folder / "home") as lab:
        lab.sync("events", series="KXHIGHNY", nested=True, progress=False)
        lab.sync("markets", series="KXHIGHNY", status="settled", progress=False)
        lab.sync("trades", series="KXHIGHNY", since="4d", progress=False)
        lab.sync("candlesticks", series="KXHIGHNY", since="4d", progress=False)
        lab.snapshot(series="KXHIGHNY", progress=False)
        lab.export(kl.Lake(folder / "lake"))
        with kl.Lab("sim", base_url=exchange.url, home=folder / "empty", store=kl.Lake(folder / "lake")) as over:
            yield lab, over


def test_a_lab_over_a_lake_thinks_what_one_over_the_store_thinks(world: tuple[kl.Lab, kl.Lab]) -> None:
    """DB-9: the same verbs, the same digits, from the files alone."""
    lab, over = world
    ticker = lab.sql("SELECT ticker FROM trades GROUP BY ticker ORDER BY count(*) DESC, ticker LIMIT 1").item()
    asked: list[Any] = [
        lambda one: one.calibration(horizon="1h", price="last").table, lambda one: one.bars(every="1h").table,
        lambda one: one.tape(ticker, exact=True), lambda one: one.returns().table, lambda one: one.longshots().table,
        lambda one: one.quotes(exact=True), lambda one: one.coverage(), lambda one: one.volume_profile().table,
        lambda one: one.sql("SELECT count(*) FROM trades"), lambda one: one.table("events"),
    ]  # fmt: skip
    for ask in asked:
        local, there = (ask(one).drop("run_id", strict=False) for one in (lab, over))
        assert local.height
        assert_frame_equal(local.sort(local.columns), there.sort(local.columns), check_exact=True)


def test_a_lab_over_a_lake_says_that_it_does_not_write(
    world: tuple[kl.Lab, kl.Lab], exchange: Exchange, tmp_path: Path
) -> None:
    """DB-9: every writing verb says so before anything is asked, and nothing appears in the lake."""
    _, over = world
    before = sorted(over.store.path.rglob("*"))
    for write_it in (
        over.snapshot, lambda: over.sync("markets"), lambda: over.record(tickers="X"), over.collect,
        lambda: over.import_file(tmp_path / "x.zip"), over.reparse, over.store.compact,
        over.store.vacuum, lambda: over.store.backup(tmp_path / "b"), lambda: over.thesis("a name", tickers="X"),
    ):  # fmt: skip
        with pytest.raises(kl.UsageError):
            write_it()
    assert sorted(over.store.path.rglob("*")) == before
    with pytest.raises(kl.UsageError, match="no lake"):
        kl.Lab("sim", base_url=exchange.url, home=tmp_path, store=kl.Lake(tmp_path / "none"))


def test_a_query_over_a_lake_reads_the_lake_alone(world: tuple[kl.Lab, kl.Lab], tmp_path: Path) -> None:
    """DB-9: neither another file nor a setting can be reached from a query."""
    _, over = world
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "x.parquet")
    for sql in (f"SELECT * FROM '{tmp_path}/x.parquet'", f"SELECT * FROM read_parquet('{tmp_path}/x.parquet')"):
        with pytest.raises(kl.LabError):
            over.sql(sql)


def test_a_reader_sees_what_was_exported_meanwhile(store: Store, lake: kl.Lake) -> None:
    """DB-9: a day and a dataset that came later are there at the next question."""
    write(store, lake, ("trades",))
    reader = LakeStore(lake)
    assert asyncio.run(reader.read("SELECT count(*) FROM series")).item() == 0
    add(store, [("t9", "KXFED-26DEC-C25", datetime(2026, 11, 25, tzinfo=UTC), "0.5", "1")])
    write(store, lake)
    assert asyncio.run(reader.read("SELECT count(*) FROM series")).item() == 12
    assert asyncio.run(reader.read("SELECT count(*) FROM trades")).item() == 6


def test_an_answer_from_two_states_of_a_file_is_thrown_away(store: Store, lake: kl.Lake) -> None:
    """DB-9: what was asked while a file was replaced is asked again, and where that does not end it is said."""
    write(store, lake)
    reader, asked = LakeStore(lake), []

    def ask(times: int) -> int:
        asked.append(1)
        if len(asked) <= times:
            path = lake.path / "trades/owner=main/date=2026-11-22/part.parquet"
            files.publish(path, path.read_bytes())
            raise kl.StoreError("half of it was another's")
        return len(asked)

    assert reader._steadily(["trades"], lambda: ask(2)) == 3
    asked.clear()
    with pytest.raises(kl.StoreError, match="each of 100 attempts"):
        reader._steadily(["trades"], lambda: ask(1000))
    with pytest.raises(kl.StoreError, match="it is the question"):
        reader._steadily(["trades"], lambda: (_ for _ in ()).throw(kl.StoreError("it is the question")))


@pytest.mark.parametrize(
    "asked",
    [lambda _: kl.Lake("gs://bucket/lake"), lambda p: kl.Lake(p, owner="../x"), lambda _: lake_export.asked(["orders"], None, None),
     lambda _: lake_export.asked([], None, None)],
)  # fmt: skip
def test_what_is_no_lake_is_refused(tmp_path: Path, asked: Any) -> None:
    """S8: odd paths, odd owners, and what is nobody else's business."""
    with pytest.raises(kl.UsageError):
        asked(tmp_path)


def test_one_export_at_a_time_into_an_owner_s_folder(held: Store, lake: kl.Lake) -> None:
    """DB-9: the second is told so."""
    with lake.place.alone("trades/owner=main"), pytest.raises(kl.StoreError, match="another export"):
        write(held, lake)
