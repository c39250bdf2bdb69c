"""Exports to object storage that are killed again and again while somebody reads the lake."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

import kalshi_lab as kl
from kalshi_lab.store import Store, lake_export
from kalshi_lab.store.lake import LakeStore
from tests.export import synthetic
from tests.export.service import KEY_ID, SECRET, Service
from tests.export.test_lake_kills import CHILD, MORE, Reader, days

if TYPE_CHECKING:
    from pathlib import Path

KILLS, TRADES, MARKETS = 8, 6_000, 12


def export(store: Store, lake: kl.Lake, service: Service, kill_after: float | None) -> bool:
    """An export in a process of its own, which has the key from its environment; whether it was killed before its end."""
    given = {"AWS_ENDPOINT_URL": service.url, "AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
    command = [sys.executable, "-c", CHILD, str(store.path), str(lake.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **given}) as child:
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
def test_an_export_to_a_bucket_that_is_killed_ends_complete_and_nobody_sees_half_a_day(tmp_path: Path) -> None:
    """DB-9: at random moments; the next one takes over at once; a reader beside it sees each day as it was at one time."""
    service = Service()
    lake = kl.Lake(f"s3://{service.bucket('kills')}/lake", credentials=service.keys)
    store, chance = Store(tmp_path / "home" / "kalshi.duckdb"), random.Random(21)
    synthetic.fill(store, TRADES, MARKETS)
    allowed = days(store)
    began = time.monotonic()
    export(store, lake, service, None)
    took = time.monotonic() - began
    reader = Reader(lake)
    reader.start()
    killed, tries = 0, 0
    while killed < KILLS and tries < 20:
        sql = MORE.format(n=tries)
        asyncio.run(store.write(lambda connection, sql=sql: connection.execute(sql) and None))
        allowed |= days(store)
        killed += export(store, lake, service, chance.uniform(0, took / 2))
        tries += 1
    export(store, lake, service, None)
    reader.over.set()
    reader.join(60)
    assert reader.problem is None
    assert killed == KILLS
    assert reader.looks > 3
    assert reader.seen <= allowed
    assert days(LakeStore(lake)) == days(store)
    assert not [name for name in lake.place.listed() if name.endswith((".part", ".lock"))]
    what = lake_export.asked(["trades", "results"], None, None)
    assert asyncio.run(lake_export.export(store, lake, what)).height == 0
    service.stop()
