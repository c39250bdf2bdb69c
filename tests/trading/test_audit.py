"""The audit's rows, and the counters that they are."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from kalshi_lab.store import Store
from kalshi_lab.trading.audit import Audit, Entry, Seen
from kalshi_lab.trading.checks import added, judged
from kalshi_lab.trading.limits import Limits
from tests.fakes import FakeClock
from tests.trading.test_checks import BUY_NO, NOW, good

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = Limits(day_orders=7, day_risk=None, position=None)
RACE = """
import asyncio, sys
from pathlib import Path
from tests.trading.test_audit import race
print(asyncio.run(race(Path(sys.argv[1]), sys.argv[2])))
"""


def audit(path: Path) -> Audit:
    return Audit(Store(path), FakeClock(start=NOW), "an account", "sim", "live")


def entry(book: Audit, number: str, *, no: bool = False) -> Entry:
    there = good(BUY_NO) if no else good()
    own = there.proposal
    known = {
        "ticker": own.ticker,
        "side": own.side,
        "count": own.count,
        "added": added(there),
        "client_order_id": number,
    }
    row = book.row(number, "create", {"count": own.count}, **known)
    return Entry(row, judged(there, LIMITS), there)


async def race(path: Path, name: str) -> int:
    """Enter ten orders one by one; how many were let through."""
    book, passed = audit(path), 0
    for number in range(10):
        [checks] = await book.enter([entry(book, f"{name}{number}")], LIMITS, Seen())
        passed += all(check.passed for check in checks)
    return passed


@pytest.mark.long
def test_processes_that_share_a_store_share_its_limits(tmp_path: Path) -> None:
    """EX-3, EX-4: two processes that enter orders at once keep to one number of orders a day."""
    path = tmp_path / "kalshi.duckdb"
    words = [[sys.executable, "-c", RACE, str(path), name] for name in "ab"]
    running = [subprocess.Popen(one, stdout=subprocess.PIPE, text=True) for one in words]
    assert sum(int(one.communicate(timeout=100)[0]) for one in running) == 7
    rows = asyncio.run(audit(path).frame())
    assert sorted(rows["state"].to_list()) == ["intended"] * 7 + ["rejected"] * 13


def test_the_counters_are_sums_over_what_was_or_may_have_been_placed(tmp_path: Path) -> None:
    """EX-3 ⚠: rejected and failed attempts count for nothing; what is on its way or unknown counts, on its own side."""
    book = audit(tmp_path / "kalshi.duckdb")

    async def scenario() -> list[tuple[int, Decimal, Decimal, Decimal]]:
        found = []
        for number, no in (("1", False), ("2", True), ("3", False), ("4", False)):
            await book.enter([entry(book, number, no=no)], LIMITS, Seen())
        for number, state in (("1", "accepted"), ("2", "unknown"), ("3", "failed")):
            await book.settle(number, state)
        early, late = NOW - timedelta(seconds=5), NOW
        for seen in (Seen(early), Seen(late), Seen(early, ("1", "4"))):
            day = await book.counters("KXA-1", seen)
            found.append((day.orders, day.risk, day.bought, day.sold))
        return found

    risk = 2 * added(good()) + added(good(BUY_NO))
    assert asyncio.run(scenario()) == [
        (3, risk, 20, 10),  # the exchange's lists are older than the accepted order: it is not in the position yet
        (3, risk, 10, 10),  # they are not: what is on its way and what is unknown alone are not seen
        (3, risk, 0, 10),  # and those that rest in its lists are counted there
    ]


def test_what_a_day_lost_is_measured_from_its_first_look_and_holds_over_restarts(tmp_path: Path) -> None:
    """EX-4: the worth of the morning is kept in the store."""
    path = tmp_path / "kalshi.duckdb"

    async def scenario() -> list[Decimal]:
        return [await audit(path).loss(Decimal(worth)) for worth in ("100", "70.5", "130")]

    assert asyncio.run(scenario()) == [0, Decimal("29.5"), -30]
