"""Exports that are killed again and again while somebody reads the lake."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

import kalshi_lab as kl
from kalshi_lab.store import Store, lake_export
from kalshi_lab.store.lake import LakeStore
from tests.export import synthetic
from tests.export.service import KEY_ID, SECRET, Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


class Place(NamedTuple):
    """A lake somewhere, what an exporter's environment must have for it, and how much of a trial it stands."""

    lake: kl.Lake
    given: dict[str, str]
    kills: int
    trades: int
    markets: int


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "folder":
        yield Place(kl.Lake(tmp_path / "lake"), {}, 20, 20_000, 300)
        return
    service = Service()
    given = {"AWS_ENDPOINT_URL": service.url, "AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
    yield Place(kl.Lake(f"s3://{service.bucket('kills')}/lake", credentials=service.keys), given, 8, 6_000, 12)
    service.stop()


def export(store: Store, place: Place, kill_after: float | None) -> bool:
    """An export in a process of its own; whether it was killed before its end."""
    command = [sys.executable, "-c", CHILD, str(store.path), str(place.lake.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **place.given}) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "begun\n"
        if kill_after is not None:
            time.sleep(kill_after)
            child.kill()
        code = child.wait()
    assert code in {0, -9}
    return code != 0


def left_behind(place: Place) -> list[object]:
    """Files that no reader asks for: half files, and in a bucket the lease."""
    if not place.given:
        return [*place.lake.path.rglob("*.part")]
    return [name for name in place.lake.place.listed() if name.endswith((".part", ".lock"))]


@pytest.mark.kill
@pytest.mark.timeout(600)
def test_an_export_that_is_killed_again_and_again_ends_complete_and_nobody_sees_half_a_day(
    place: Place, tmp_path: Path
) -> None:
    """DB-9: at random moments; a reader beside it sees each day as it was at one time, and the next export takes over at once."""
    store, chance = Store(tmp_path / "home" / "kalshi.duckdb"), random.Random(20)
    synthetic.fill(store, place.trades, place.markets)
    allowed = days(store)
    began = time.monotonic()
    export(store, place, None)
    took = time.monotonic() - began
    reader = Reader(place.lake)
    reader.start()
    killed, tries = 0, 0
    while killed < place.kills and tries < 40:
        sql = MORE.format(n=tries)
        asyncio.run(store.write(lambda connection, sql=sql: connection.execute(sql) and None))
        allowed |= days(store)
        killed += export(store, place, chance.uniform(0, took / 2))
        tries += 1
    export(store, place, None)
    reader.over.set()
    reader.join(60)
    assert reader.problem is None
    assert killed == place.kills
    assert reader.looks > 3
    assert reader.seen <= allowed
    assert days(LakeStore(place.lake)) == days(store)
    assert not left_behind(place)
    what = lake_export.asked(["trades", "results"], None, None)
    assert asyncio.run(lake_export.export(store, place.lake, what)).height == 0
