"""How full a rate budget is kept, and whether the exchange ever has to refuse: counted by the exchange itself.

    python tests/bench/bench_budget.py [--seconds 30] [--callers 64]

One session asks as fast as it may for that long, at the Basic tier (20 reads a second) and at the Paragon tier (240), of an exchange
that grants just that. Prints the share of the tokens of that time that was used, bucket and refill, and the refusals (429).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections import Counter
from typing import Any

import kalshi_lab as kl
from kalshi_lab.sim import process

COST = 10  # tokens, what most reads cost
TIERS: dict[str, tuple[int, int]] = {"basic": (200, 600), "paragon": (2400, 2400)}  # tokens a second, tokens when full


async def ask(url: str, tier: Any, seconds: float, callers: int) -> float:
    """Many callers on one client until the time is over; how long it was, from the first request on."""
    async with kl.AsyncKalshi(settings=kl.Settings(environment="sim", base_url=url, tier=tier)) as kalshi:
        began = time.monotonic()

        async def caller() -> None:
            while time.monotonic() < began + seconds:
                await kalshi.exchange.status()

        tasks = [asyncio.create_task(caller()) for _ in range(callers)]
        await asyncio.wait(tasks, timeout=seconds)
        took = time.monotonic() - began
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return took


def report(seconds: float, callers: int) -> dict[str, float]:
    """Measure, print and return the shares and the refusals."""
    figures: dict[str, float] = {}
    for tier, (rate, full) in TIERS.items():
        with process.start(markets=300, read_tokens=rate) as exchange:
            exchange.reset_log()
            took = asyncio.run(ask(exchange.url, tier, seconds, callers))
            statuses = Counter(one["status"] for one in exchange.requests())
        figures[f"{tier}: requests served"] = statuses[200]
        figures[f"{tier}: share of the budget"] = statuses[200] * COST / (rate * took + full)
        figures[f"{tier}: refused"] = statuses[429]
    for name, figure in figures.items():
        print(f"{name:32} {figure:10,.3f}")
    print(f"load {os.getloadavg()[0]:.1f}")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--callers", type=int, default=64)
    asked = parser.parse_args()
    report(asked.seconds, asked.callers)


if __name__ == "__main__":
    main()
