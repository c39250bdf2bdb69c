"""What a simulated exchange has to give, taken from its world and not from its answers; and what a ledger must add up to."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from kalshi_lab.sim.layout import COMBINED
from kalshi_lab.sim.wire import SECOND
from kalshi_lab.sim.world import microseconds

if TYPE_CHECKING:
    from kalshi_lab import Lab, SyncResult
    from kalshi_lab.sim import Exchange, World

BALANCE = """
SELECT count(*)::BIGINT, sum(received)::BIGINT, sum(stored)::BIGINT, sum(duplicate)::BIGINT, sum(quarantined)::BIGINT
FROM ledger WHERE run_id = ? AND walk <> ''
"""


def now(exchange: Exchange) -> int:
    """The exchange's time in microseconds."""
    return microseconds(datetime.fromisoformat(exchange.now()))


def markets(world: World, at: int, *, combos: bool, series: str = "") -> set[str]:
    """The markets that are listed at a moment, live or archived."""
    listed = world.event_status(at) >= 0
    if not combos:
        listed = listed & (world.events.shape != COMBINED)
    rows = np.flatnonzero(listed[world.markets.event]).tolist()
    names = (world.names.market(row) for row in rows)
    return {name for name in names if name.startswith(f"{series}-" if series else "")}


def trades(world: World, since: int, until: int) -> list[tuple[str, int, int, int]]:
    """Market, Unix second, price in 1/10,000 dollars and count in 1/100 contracts of every trade in [since, until]."""
    tape = world.tape.everything
    rows = np.flatnonzero((tape.time >= since) & (tape.time <= until)).tolist()
    return sorted(
        (
            world.names.market(int(tape.market[row])),
            int(tape.time[row]) // SECOND,
            int(tape.price[row]),
            int(tape.count[row]),
        )
        for row in rows
    )


def balanced(lab: Lab, done: SyncResult) -> None:
    """What the result says is what the ledger says, and it adds up."""
    assert done.received == done.stored + done.duplicate + done.quarantined
    pages, *counts = lab.sql(BALANCE, [done.run_id]).row(0)
    if not done.resumed_pages:
        assert (pages, *counts) == (done.pages, done.received, done.stored, done.duplicate, done.quarantined)
    assert counts[0] == sum(counts[1:])


def count(lab: Lab, table: str) -> int:
    """How many rows a table holds."""
    return int(lab.sql(f"SELECT count(*) FROM {table}").item())
