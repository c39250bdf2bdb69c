"""Exports that are killed again and again while somebody reads the lake."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

import kalshi_lab as kl
from kalshi_lab.store import Store, lake_export
from kalshi_lab.store.lake import LakeStore
from tests.export import synthetic

if TYPE_CHECKING:
    from pathlib import Path

KILLS, TRADES, MARKETS = 20, 20_000, 300
CHILD = """
import asyncio, sys
from pathlib import Path
import kalshi_lab as kl
from kalshi_lab.store import Store, lake_export
lake_export.AT_ONCE = 500  # many steps
store, what = Store(Path(sys.argv[1])), lake_export.asked(["trades", "results"], None, None)
asyncio.run(store.read("SELECT 1"))
print("begun", flush=True)
asyncio.run(lake_export.export(store, kl.Lake(sys.argv[2]), what))
"""
MORE = """
INSERT INTO trades BY NAME SELECT * REPLACE ('r{n}-' || trade_id AS trade_id) FROM trades
WHERE starts_with(trade_id, 't') AND hash(trade_id) % 40 = {n}
"""
BY_DAY = """
SELECT CAST(created_time AS DATE) AS day, count(*) AS n,
       CAST(sum(hash(trade_id, ticker, created_time, yes_price, count)) AS VARCHAR) AS digest
FROM trades GROUP BY day
"""
Days = set[tuple[object, int, str]]


def days(store: Store) -> Days:
    return set(asyncio.run(store.read(BY_DAY)).rows())


class Reader(threading.Thread):
    """Reads the lake without a pause; what it saw must be whole days of one of the states that the store had."""

    def __init__(self, lake: kl.Lake) -> None:
        super().__init__(daemon=True)
        self.lake, self.seen, self.looks, self.over = lake, Days(), 0, threading.Event()
        self.problem: BaseException | None = None

    def run(self) -> None:
        try:
            store = LakeStore(self.lake)
            while not self.over.is_set():
                self.seen |= days(store)
                self.looks += 1
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.problem = error


def export(store: Store, lake: kl.Lake, kill_after: float | None) -> bool:
    """An export in a process of its own; whether it was killed before its end."""
    command = [sys.executable, "-c", CHILD, str(store.path), str(lake.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "begun\n"
        if kill_after is not None:
            time.sleep(kill_after)
            child.kill()
        code = child.wait()
    assert code in {0, -9}
    return code != 0


@pytest.mark.kill
@pytest.mark.timeout(600)
def test_an_export_that_is_killed_twenty_times_ends_complete_and_nobody_sees_half_a_day(tmp_path: Path) -> None:
    """DB-9: at random moments; a reader beside it sees each day as it was at one time, never a part of it."""
    store, lake, chance = Store(tmp_path / "home" / "kalshi.duckdb"), kl.Lake(tmp_path / "lake"), random.Random(20)
    synthetic.fill(store, TRADES, MARKETS)
    allowed = days(store)
    began = time.monotonic()
    export(store, lake, None)
    took = time.monotonic() - began
    reader = Reader(lake)
    reader.start()
    killed, tries = 0, 0
    while killed < KILLS and tries < 40:
        sql = MORE.format(n=tries)
        asyncio.run(store.write(lambda connection, sql=sql: connection.execute(sql) and None))
        allowed |= days(store)
        killed += export(store, lake, chance.uniform(0, took / 2))
        tries += 1
    export(store, lake, None)
    reader.over.set()
    reader.join(60)
    assert reader.problem is None
    assert killed == KILLS
    assert reader.looks > 3
    assert reader.seen <= allowed
    assert days(LakeStore(lake)) == days(store)
    assert not list(lake.path.rglob("*.part"))
    what = lake_export.asked(["trades", "results"], None, None)
    assert asyncio.run(lake_export.export(store, lake, what)).height == 0
