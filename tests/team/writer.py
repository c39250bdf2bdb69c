"""A writer of a team: so many pages of its own, and a line for each that is kept. Words: catalogue, data, home, name, count."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import kalshi_lab as kl
from kalshi_lab.store import writes
from kalshi_lab.store.team import TeamStore
from tests.safety import pages

COMMON = 20  # rows that every writer brings, the same for all: each must stand once


async def work(store: TeamStore, name: str, count: int) -> None:
    known = await store.read("SELECT count(*) FROM ledger WHERE run_id = $1", [name])
    for number in range(known.item() + 1, count + 1):
        await store.write(lambda connection, number=number: keep(connection, name, number))  # type: ignore[misc]
        print("kept", number, flush=True)


def keep(connection: Any, name: str, number: int) -> None:
    """A page: rows of its own, rows that the others bring too, one row that all change, and its line in the ledger."""
    mine = pages.trades(number, name)
    writes.insert_new(connection, "trades", ["trade_id"], mine.vstack(pages.trades(number, "common")[:COMMON]))
    connection.execute("UPDATE meta SET value = CAST(CAST(value AS BIGINT) + 1 AS VARCHAR) WHERE key = 'counted'")
    writes.enter(connection, [pages.page(number, run_id=name)])


if __name__ == "__main__":
    catalogue, data, home, name_, count_ = sys.argv[1:]
    store_ = TeamStore(kl.DuckLake(catalogue, data), Path(home) / "kalshi.ducklake", wait=60)
    asyncio.run(work(store_, name_, int(count_)))
