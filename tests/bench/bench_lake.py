"""A lake as it grows: how long an export takes and how large it is, then three questions over it, in time and memory.

    python tests/bench/bench_lake.py [--trades 100000 1000000 10000000] [--folder DIR]

Each size gets a store of made-up trades and a lake of it; every question runs in a process of its own over the lake alone. Prints, for
each size: seconds of the export, of one that finds nothing to do, megabytes of store and lake, seconds and peak megabytes of each question.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import kalshi_lab as kl
from kalshi_lab.clock import SystemClock
from kalshi_lab.lab.tape import AsyncTape
from kalshi_lab.store import Store, lake_export
from kalshi_lab.store.lake import LakeStore
from tests.bench.bench_analysis import peak
from tests.export import synthetic

KINDS = ("longshots", "bars", "tape")
MANY = "SELECT ticker FROM trades GROUP BY ticker ORDER BY count(*) DESC, ticker LIMIT 1 OFFSET 100"


class Desk(AsyncTape):
    """The verbs over a lake alone."""

    def __init__(self, lake: Path) -> None:
        self.store, self.clock = LakeStore(kl.Lake(lake)), SystemClock()


async def ask(kind: str, lake: Path, ticker: str) -> int:
    """One question; how many rows it gave."""
    desk = Desk(lake)
    if kind == "longshots":
        return (await desk.longshots(cluster=False)).table.height
    if kind == "tape":
        return (await desk.tape(ticker)).height
    return sum([frame.height async for frame in desk.stream_bars(every="1h")])


def one(kind: str, lake: Path, ticker: str) -> dict[str, Any]:
    """A question in this process."""
    before, began = peak(), time.perf_counter()
    rows = asyncio.run(ask(kind, lake, ticker))
    return {"rows": rows, "seconds": round(time.perf_counter() - began, 2), "megabytes": round(peak() - before)}


def grown(folder: Path, trades: int) -> dict[str, Any]:
    """Fill, export, ask."""
    store, lake = Store(folder / "kalshi.duckdb"), kl.Lake(folder / "lake")
    synthetic.fill(store, trades, max(1000, trades // 100))
    made: dict[str, Any] = {"trades": trades}
    for name in ("export", "nothing"):
        began = time.perf_counter()
        asyncio.run(lake_export.export(store, lake, lake_export.asked(None, None, None)))
        made[f"{name}_seconds"] = round(time.perf_counter() - began, 2)
    made["store_megabytes"] = round(store.path.stat().st_size / 1e6, 1)
    made["lake_megabytes"] = round(int(lake.frame()["bytes"].sum()) / 1e6, 1)
    ticker = str(asyncio.run(store.read(MANY)).item())
    for kind in KINDS:
        command = [sys.executable, "-m", "tests.bench.bench_lake", "--one", kind, str(lake.path), ticker]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
        made[kind] = json.loads(done.stdout.splitlines()[-1])
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trades", type=int, nargs="*", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(one(asked.one[0], Path(asked.one[1]), asked.one[2])))
        return
    for trades in asked.trades:
        with tempfile.TemporaryDirectory(dir=asked.folder) as temporary:
            print(json.dumps(grown(Path(temporary), trades)), flush=True)


if __name__ == "__main__":
    main()
