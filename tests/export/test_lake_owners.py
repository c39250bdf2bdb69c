"""Several collectors, each with its own folders in one lake: what they hold together, and what is left of their unfinished files."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import kalshi_lab as kl
from kalshi_lab.ingest import holdings
from kalshi_lab.store import Store, lake_export
from kalshi_lab.store.lake import LakeStore
from tests.export.samples import add, put

if TYPE_CHECKING:
    from pathlib import Path

    from kalshi_lab.sim import Exchange

TICKER = "KXFED-26DEC-C25"
NOW = datetime(2026, 11, 21, tzinfo=UTC)
Days = tuple[int, int]


def november(day: int) -> datetime:
    return datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=day - 1)


def collector(folder: Path, lake: kl.Lake, *, asked: Days, read: list[Days], seen: int, trades: list[str]) -> Store:
    """A machine of its own: what it asked for and read of one market, exported under its name."""
    store = Store(folder / lake.owner / "kalshi.duckdb")
    rows = [
        {"dataset": "trades", "subject": TICKER, "interval_minutes": 0, "since": november(since), "until": november(until),
         "complete": whole, "asked_at": november(seen), "seen_at": november(seen)}
        for spans, whole in (([asked], False), (read, True)) for since, until in spans
    ]  # fmt: skip
    put(store, "coverage", rows)
    market = {"ticker": TICKER, "series_ticker": "KXFED", "event_ticker": "KXFED-26DEC", "status": "active"}
    put(store, "markets", [{**market, "seen_at": november(seen)}])
    add(store, [(trade, TICKER, november(1), "0.5", "1") for trade in trades])
    asyncio.run(lake_export.export(store, lake, lake_export.asked(("trades", "markets", "coverage"), None, None)))
    return store


def held(lake: kl.Lake, dataset: str = "trades") -> dict[str, Any]:
    """What the lake says of the market's series."""
    found = asyncio.run(holdings.coverage(LakeStore(lake), NOW, timedelta(days=1)))
    return found.filter(dataset=dataset, series_ticker="KXFED").row(0, named=True)


@pytest.fixture
def lakes(tmp_path: Path) -> tuple[kl.Lake, kl.Lake]:
    """The same lake under two names."""
    return kl.Lake(tmp_path / "lake", owner="ny"), kl.Lake(tmp_path / "lake", owner="tokyo")


@pytest.mark.long
def test_what_two_collectors_read_together_has_no_hole(
    tmp_path: Path, lakes: tuple[kl.Lake, kl.Lake], exchange: Exchange
) -> None:
    """DB-9 owners: one read the beginning, the other the end; a trade of the days that both read counts once."""
    ny, tokyo = lakes
    collector(tmp_path, ny, asked=(1, 20), read=[(1, 10)], seen=19, trades=["t1", "t2"])
    assert (held(ny)["holes"], held(ny)["missing"]) == (1, timedelta(days=10))
    collector(tmp_path, tokyo, asked=(1, 20), read=[(8, 20)], seen=20, trades=["t2", "t3"])
    row = held(ny)
    assert (row["held_from"], row["held_to"], row["rows"]) == (november(1), november(20), 3)
    assert (row["holes"], row["missing"], row["last_sync"], row["stale"]) == (0, timedelta(0), november(20), 0)
    with kl.Lab("sim", base_url=exchange.url, home=tmp_path / "none", store=kl.Lake(ny.path)) as lab:
        shown = lab.coverage().filter(dataset="trades", series_ticker="KXFED").row(0, named=True)
    assert {name: shown[name] for name in ("holes", "missing", "rows", "held_to")} == {
        name: row[name] for name in ("holes", "missing", "rows", "held_to")
    }


def test_a_stretch_that_neither_read_is_a_hole(tmp_path: Path, lakes: tuple[kl.Lake, kl.Lake]) -> None:
    """DB-9 owners: disjoint spans with five days between them, and a market that nobody looked at for long."""
    ny, tokyo = lakes
    collector(tmp_path, ny, asked=(1, 12), read=[(1, 5)], seen=12, trades=["t1"])
    collector(tmp_path, tokyo, asked=(10, 16), read=[(10, 16)], seen=17, trades=["t2"])
    row = held(ny)
    assert (row["held_from"], row["held_to"], row["rows"]) == (november(1), november(16), 2)
    assert (row["holes"], row["missing"], row["stale"]) == (1, timedelta(days=5), 1)
    assert held(ny, "markets")["rows"] == 1


def test_the_longer_of_two_stretches_counts_whoever_wrote_last(tmp_path: Path, lakes: tuple[kl.Lake, kl.Lake]) -> None:
    """DB-9 owners: stretches with one beginning have one key, and still the one does not stand for the other."""
    collector(tmp_path, lakes[0], asked=(1, 20), read=[(1, 20)], seen=20, trades=["t1"])
    collector(tmp_path, lakes[1], asked=(1, 10), read=[(1, 10)], seen=21, trades=["t1"])
    row = held(lakes[0])
    assert (row["held_to"], row["holes"], row["missing"], row["rows"]) == (november(20), 0, timedelta(0), 1)


def test_a_partition_is_one_file_and_what_a_killed_export_left_is_swept_away(
    tmp_path: Path, lakes: tuple[kl.Lake, kl.Lake]
) -> None:
    """DB-9 compacted: however often a day was written; another owner's unfinished files are its own to care for."""
    ny, tokyo = lakes
    store = collector(tmp_path, ny, asked=(1, 20), read=[(1, 10)], seen=19, trades=["t1"])
    collector(tmp_path, tokyo, asked=(1, 20), read=[(1, 10)], seen=19, trades=["t1"])
    for number in range(3):
        add(store, [(f"more{number}", TICKER, november(2), "0.5", "1")])
        left = [lake.path / f"trades/owner={lake.owner}/date=2026-11-01/.part.parquet.0{number}.part" for lake in lakes]
        for path in left:
            path.write_bytes(b"PAR1 half of a file")
        asyncio.run(lake_export.export(store, ny, lake_export.asked(["trades"], None, None)))
        assert [path.exists() for path in left] == [False, True]
    folders = [path for path in (ny.path / "trades/owner=ny").iterdir() if path.is_dir()]
    assert {path.name: [one.name for one in path.iterdir()] for path in folders} == {
        "date=2026-11-01": ["part.parquet"], "date=2026-11-02": ["part.parquet"],
    }  # fmt: skip
    assert pl.read_parquet(folders[0].parent / "date=2026-11-02/part.parquet").height == 3


def test_what_does_not_fit_into_memory_goes_where_temporary_files_go(
    tmp_path: Path, lakes: tuple[kl.Lake, kl.Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DB-9 growth: not into the folder where the session was started, nor into the lake."""
    ny, _ = lakes
    collector(tmp_path, ny, asked=(1, 20), read=[(1, 10)], seen=19, trades=["t1"])
    here, spilled = tmp_path / "here", tmp_path / "temporary"
    for folder in (here, spilled):
        folder.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr("tempfile.tempdir", str(spilled))
    store = LakeStore(ny, sql_memory=120_000_000)
    seen: list[int] = []

    def work(connection: Any) -> int:
        connection.execute(
            "CREATE TEMP TABLE large AS SELECT hash(i) AS a, hash(i + 1) AS b, hash(i + 2) AS c FROM range(8000000) t(i)"
        )
        seen.append(sum(one.stat().st_size for one in spilled.rglob("*")))
        return int(connection.execute("SELECT count(*) FROM large").fetchall()[0][0])

    assert asyncio.run(store.look(work)) == 8_000_000
    assert seen[0] > 1_000_000
    assert list(here.iterdir()) == []


def test_of_several_owners_only_what_is_asked_for_is_sorted(tmp_path: Path, lakes: tuple[kl.Lake, kl.Lake]) -> None:
    """DB-9 growth: a market is looked for in the files, before rows that two brought become one."""
    for lake in lakes:
        collector(tmp_path, lake, asked=(1, 20), read=[(1, 10)], seen=19, trades=["t1"])
    sql = "EXPLAIN SELECT trade_id FROM trades WHERE ticker = $1"
    plan = asyncio.run(LakeStore(lakes[0]).read(sql, [TICKER]))["explain_value"][0].lower()
    told = re.sub(r"[^a-z0-9_='-]", "", plan)  # from the last step to the first, in boxes
    assert 0 < told.index("row_number") < told.index(f"ticker='{TICKER.lower()}'")
