"""Syncs an account in a process of its own, which kills itself at the nth arrival of a point of a commit.

Run as `python killed.py URL HOME POINT NTH`; the rows are those of a member's scripted exchange.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import kalshi_lab as kl
from kalshi_lab.portfolio.sync import sync
from kalshi_lab.store import Store
from tests.fakes import FakeClock
from tests.portfolio_sync.member import KEY_ID, NOW


async def main(url: str, home: Path, point: str, nth: int) -> None:
    store, left = Store(home / "kalshi.duckdb"), nth

    def reached(name: str) -> None:
        nonlocal left
        left -= name == point
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    clock = FakeClock(start=NOW - timedelta(hours=1))
    settings = kl.Settings(environment="sim", base_url=url)
    async with kl.AsyncKalshi(
        settings=settings, credentials=kl.Credentials.generate(key_id=KEY_ID), exchange_clock=clock
    ) as kalshi:
        await store.read("SELECT 1")  # what makes the file is not what is killed
        store.reached = reached
        await sync(kalshi, store, clock, progress=False)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
