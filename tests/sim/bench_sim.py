"""Prints how long the sim takes to start, to answer, and to make worlds of several sizes: `python tests/sim/bench_sim.py [markets]`."""

from __future__ import annotations

import statistics
import sys
import time

import httpx

from kalshi_lab import sim


def _milliseconds(client: httpx.Client, url: str, times: int) -> float:
    taken = []
    for _ in range(times):
        before = time.perf_counter()
        client.get(url).raise_for_status()
        taken.append((time.perf_counter() - before) * 1000)
    return statistics.median(taken)


def main(markets: int) -> None:
    before = time.perf_counter()
    with (
        sim.start(markets=markets, prerender=markets > 50_000, timeout=600) as exchange,
        httpx.Client(timeout=60, trust_env=False) as client,
    ):
        print(f"{markets:,} open markets: listening after {time.perf_counter() - before:.2f} s")
        for path in (
            "/historical/cutoff",
            "/markets?limit=1000&status=open",
            "/markets/trades?limit=1000",
            "/events?limit=200",
        ):
            print(f"  {path}: {_milliseconds(client, exchange.url + path, 5):.1f} ms (median of 5)")


if __name__ == "__main__":
    for size in map(int, sys.argv[1:] or ["5000", "100000"]):
        main(size)
