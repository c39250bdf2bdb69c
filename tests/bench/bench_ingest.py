"""How fast the exchange's open markets come into the store, against bare httpx downloading the same pages.

    python tests/bench/bench_ingest.py --markets 100000 --peer official=PYTHON --peer pykalshi=PYTHON --peer kalshi-sdk=PYTHON

A peer is another library in its own environment, which reads the same pages into its own objects, nothing more.

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
WORK = ("floor", "sync", "snapshot")
PEERS = ("official", "pykalshi", "kalshi-sdk", "kalshi-pandas")


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
    """Bring them into the typed table with all their fields, in a process and a store that have done something before."""
    from kalshi_lab import Lab

    lab = Lab("sim", base_url=url, home=home)
    lab.sync("markets", status="settled", series="KXCPI", progress=False)
    return lambda: lab.sync("markets", status="open", combos=True, progress=False).stored


def snapshot(url: str, home: str) -> Callable[[], int]:
    """Look once more at a listing that was looked at before."""
    from kalshi_lab import Lab

    lab = Lab("sim", base_url=url, home=home)
    lab.snapshot(combos=True, progress=False)
    return lambda: lab.snapshot(combos=True, progress=False).markets


def official(url: str, _home: str) -> Callable[[], int]:
    """The exchange's own client."""
    from kalshi_python_sync import ApiClient, Configuration, MarketApi  # type: ignore[import-not-found]

    def read() -> int:
        found: list[Any] = []
        with ApiClient(Configuration(host=url)) as client:
            api, cursor = MarketApi(client), None
            while not found or cursor:
                page = api.get_markets(status="open", limit=1000, cursor=cursor)
                found, cursor = found + page.markets, page.cursor
        return len(found)

    return read


def pykalshi(url: str, home: str) -> Callable[[], int]:
    """It asks for a key, so one is made that nobody knows."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from pykalshi import KalshiClient, MarketStatus  # type: ignore[import-not-found]

    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = Path(home) / "throwaway"
    path.write_bytes(rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(*form))

    def read() -> int:
        with KalshiClient(api_key_id="nobody", private_key_path=str(path), api_base=url) as client:
            return len(client.get_markets(status=MarketStatus.OPEN, limit=1000, fetch_all=True))

    return read


def kalshi_sdk(url: str, _home: str) -> Callable[[], int]:
    """It refuses pages that lack fields which the exchange has stopped sending."""
    from kalshi import KalshiClient, KalshiConfig  # type: ignore[import-not-found]

    def read() -> int:
        with KalshiClient(config=KalshiConfig(base_url=url, ws_base_url="ws://127.0.0.1:1/trade-api/ws/v2")) as client:
            return len(list(client.markets.list_all(status="open", limit=1000)))

    return read


def kalshi_pandas(url: str, _home: str) -> Callable[[], int]:
    """It has no public way to all pages of markets, so its own pager is borrowed."""
    from kalshi_pandas import KalshiPandas  # type: ignore[import-not-found]

    def read() -> int:
        with KalshiPandas(base_url=f"{url}/", use_tqdm=False) as client:
            return len(client._autopage_cursor(client.get_markets, status="open", limit=1000))

    return read


def child(work: str, url: str, home: str) -> None:
    """Measure in this process and print the figures as JSON."""
    works = {"floor": floor, "sync": sync, "snapshot": snapshot}
    works |= {"official": official, "pykalshi": pykalshi, "kalshi-sdk": kalshi_sdk, "kalshi-pandas": kalshi_pandas}
    run = works[work](url, home)
    before, cpu, wall = peak(), time.process_time(), time.perf_counter()
    rows = run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"rows": rows, "wall": wall, "cpu": cpu, "megabytes": peak() - before}))


def peak() -> float:
    """The most memory that this process ever held, in megabytes; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def measured(work: str, url: str, python: str = sys.executable) -> Measured:
    with tempfile.TemporaryDirectory() as home:
        command = [python, __file__, "--child", work, url, home]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise RuntimeError(f"{work}: {done.stderr.strip().splitlines()[-1][:200]}")
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


def compare(markets: int, times: int, peers: dict[str, str], *, gzip: bool = True) -> None:
    """Other libraries with the same pages, in turns with the floor and the sync; one that cannot read them says why."""
    from kalshi_lab.sim import process

    prerender: Any = "gzip" if gzip else True
    everyone = {"floor": sys.executable, "sync": sys.executable} | peers
    found: dict[str, list[Measured]] = {name: [] for name in everyone}
    with process.start(markets=markets, clock="frozen", prerender=prerender, timeout=600) as exchange:
        for _ in range(times):
            for name, python in everyone.items():
                try:
                    found[name].append(measured(name, exchange.url, python))
                except RuntimeError as error:
                    print(error)
    for name, made in found.items():
        if made and name != "floor":
            print(
                f"{name:12} {made[0].rows:9,} markets, {median(one.rows / one.wall for one in made):12,.0f} a second,"
                f" CPU {median(one.cpu for one in made):6.2f} s, memory {median(one.megabytes for one in made):6.0f} MB"
            )


def report(markets: int, times: int, *, gzip: bool = True) -> dict[str, float]:
    """Measure, print and return the medians."""
    fast, slow = rounds(markets, 0, times, gzip=gzip), rounds(markets, 60, times, gzip=gzip)
    figures = {
        "markets": median(one["sync"].rows for one in fast),
        "the floor, markets a second": median(one["sync"].rows / one["floor"].wall for one in fast),
        "markets a second": median(one["sync"].rows / one["sync"].wall for one in fast),
        "the fastest round": max(one["sync"].rows / one["sync"].wall for one in fast),
        "CPU seconds": median(one["sync"].cpu for one in fast),
        "CPU of the floor": median(one["floor"].cpu for one in fast),
        "CPU, times the floor": median(one["sync"].cpu / one["floor"].cpu for one in fast),
        "snapshot, markets a second": median(one["snapshot"].rows / one["snapshot"].wall for one in fast),
        "snapshot, CPU, times the floor": median(one["snapshot"].cpu / one["floor"].cpu for one in fast),
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
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON", help=" or ".join(PEERS))
    parser.add_argument("--child", nargs=3, metavar=("WORK", "URL", "HOME"), help=argparse.SUPPRESS)
    options: Any = parser.parse_args(given)
    if options.child:
        child(*options.child)
    else:
        sys.path.insert(0, str(ROOT))
        report(options.markets, options.rounds, gzip=not options.plain)
        if options.peer:
            peers = dict(peer.split("=", 1) for peer in options.peer)
            compare(options.markets, options.rounds, peers, gzip=not options.plain)


if __name__ == "__main__":
    main(sys.argv[1:])
