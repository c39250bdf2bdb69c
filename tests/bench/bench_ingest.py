"""How fast the exchange's open markets come into the store, against bare httpx downloading the same pages.

    python tests/bench/bench_ingest.py --markets 100000

Each measurement is a child process of its own: wall and CPU seconds of the work alone, and by how much the most memory that it
ever held exceeds what it held after its imports. Rounds alternate between the two, and ratios are taken within a round.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
WORK = ("floor", "sync")


@dataclass(frozen=True)
class Measured:
    """One child's work: rows, wall and CPU seconds, megabytes beyond those after the imports."""

    rows: int
    wall: float
    cpu: float
    megabytes: float


def floor(url: str, _home: str) -> Callable[[], int]:
    """Download every page, one after the other, and look at nothing but the cursor."""
    import httpx

    async def download() -> int:
        pages, cursor, size = 0, "", 0
        async with httpx.AsyncClient(timeout=60) as client:
            while pages == 0 or cursor:
                params = {"status": "open", "limit": "1000", **({"cursor": cursor} if cursor else {})}
                body = (await client.get(f"{url}/markets", params=params)).content
                cursor = json.loads(b'"' + body.split(b'"cursor":"', 1)[1].split(b'"', 1)[0] + b'"')
                pages, size = pages + 1, size + len(body)
        return pages

    return lambda: asyncio.run(download())


def sync(url: str, home: str) -> Callable[[], int]:
    """Bring them into the typed table with all their fields."""
    from kalshi_lab import Lab

    lab = Lab("sim", base_url=url, home=home)
    return lambda: lab.sync("markets", status="open", combos=True, progress=False).stored


def child(work: str, url: str, home: str) -> None:
    """Measure in this process and print the figures as JSON."""
    run = {"floor": floor, "sync": sync}[work](url, home)
    before, cpu, wall = peak(), time.process_time(), time.perf_counter()
    rows = run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"rows": rows, "wall": wall, "cpu": cpu, "megabytes": peak() - before}))


def peak() -> float:
    """The most memory that this process ever held, in megabytes; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def measured(work: str, url: str) -> Measured:
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, __file__, "--child", work, url, home]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=600)
    return Measured(**json.loads(done.stdout.strip().splitlines()[-1]))


def rounds(markets: int, delay_ms: float, times: int, *, gzip: bool) -> list[dict[str, Measured]]:
    """The same work by both, several times over; a first look warms the server."""
    prerender: Any = "gzip" if gzip else True
    from kalshi_lab.sim import process

    with process.start(
        markets=markets, clock="frozen", prerender=prerender, delay_ms=delay_ms, timeout=600
    ) as exchange:
        measured("floor", exchange.url)
        return [{work: measured(work, exchange.url) for work in WORK} for _ in range(times)]


def report(markets: int, times: int, *, gzip: bool = True) -> dict[str, float]:
    """Measure, print and return the medians."""
    fast, slow = rounds(markets, 0, times, gzip=gzip), rounds(markets, 60, times, gzip=gzip)
    figures = {
        "markets": median(one["sync"].rows for one in fast),
        "markets a second": median(one["sync"].rows / one["sync"].wall for one in fast),
        "the fastest round": max(one["sync"].rows / one["sync"].wall for one in fast),
        "CPU seconds": median(one["sync"].cpu for one in fast),
        "CPU of the floor": median(one["floor"].cpu for one in fast),
        "CPU, times the floor": median(one["sync"].cpu / one["floor"].cpu for one in fast),
        "memory growth, MB": median(one["sync"].megabytes for one in fast),
        "wall with 60 ms an answer, times the floor": median(one["sync"].wall / one["floor"].wall for one in slow),
    }
    for name, figure in figures.items():
        print(f"{name:45} {figure:12,.2f}")
    return figures


def main(given: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markets", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plain", action="store_true", help="bodies uncompressed; the exchange itself sends gzip")
    parser.add_argument("--child", nargs=3, metavar=("WORK", "URL", "HOME"), help=argparse.SUPPRESS)
    options: Any = parser.parse_args(given)
    if options.child:
        child(*options.child)
    else:
        sys.path.insert(0, str(ROOT))
        report(options.markets, options.rounds, gzip=not options.plain)


if __name__ == "__main__":
    main(sys.argv[1:])
