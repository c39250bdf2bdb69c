"""A recorded account, served over HTTP, arrives in the store row by row and field by field."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab import frames
from kalshi_lab.models.order import Order
from kalshi_lab.models.portfolio import Fill, MarketPosition
from kalshi_lab.portfolio import held
from tests.fakes import FakeClock
from tests.portfolio_sync.test_sync import account, balanced, run

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from tests.portfolio_sync.member import Member, Session

pytestmark = pytest.mark.recordings
CUT, LATER = "2020-01-01T00:00:00Z", datetime(2027, 1, 1, tzinfo=UTC)


def rows(recordings: Path, name: str, key: str) -> list[dict[str, Any]]:
    found = json.loads((recordings / "rest-current" / name).read_text(encoding="utf-8"))
    return list(found.get("payload", found)[key])


def wanted(record: Any, given: list[dict[str, Any]]) -> pl.DataFrame:
    return frames.decode(record, json.dumps({"rows": given}).encode(), "rows").frame


def test_the_recorded_account_is_kept_whole(recordings: Path, member: Member, session: Session) -> None:
    """PF-1: 432 fills and 389 orders, with every value as it was sent; once more brings nothing."""
    member.fills = rows(recordings, "btc15m_account/fills.json", "fills")
    member.orders = rows(recordings, "btc15m_account/orders.json", "orders")
    member.cutoffs, member.per_page = dict.fromkeys(member.cutoffs, CUT), 100
    session.clock = FakeClock(start=LATER)
    done = run(session, what=["fills", "orders"])
    assert {name: part.new for name, part in done.parts.items()} == {"fills": 432, "orders": 389}
    for name, key, told in (
        ("fills", "fill_id", wanted(Fill, member.fills)),
        ("orders", "order_id", wanted(Order, member.orders)),
    ):
        kept = asyncio.run(getattr(held, name)(session.store, account(session)))
        assert kept.sort(key).equals(told.sort(key), null_equal=True)
        assert kept["extra"].null_count() == kept.height
    again = run(session, what=["fills", "orders"])
    assert {part.new for part in again.parts.values()} == {0}
    balanced(session)


def test_the_recorded_positions_are_kept_look_by_look(recordings: Path, member: Member, session: Session) -> None:
    """PF-3: 65 rows of 32 markets, recorded in up to four looks at each; every change is kept as it was sent."""
    recorded = rows(recordings, "btc15m_account/positions.json", "market_positions")
    looks: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(recorded, key=lambda row: row["last_updated_ts"]):
        looks.setdefault(row["ticker"], []).append(row)
    member.per_page, session.clock = 10, FakeClock(start=LATER)
    for number in range(4):
        member.open = [seen[min(number, len(seen) - 1)] for seen in looks.values()]
        session.clock.advance(60)
        run(session, what=["positions"])
    told = wanted(MarketPosition, recorded)
    kept = asyncio.run(session.store.read("SELECT * FROM positions")).select(told.columns)
    order = ["ticker", "last_updated_ts", "position"]
    assert kept.sort(order).equals(told.sort(order), null_equal=True)
    now = asyncio.run(held.positions(session.store, account(session)))
    last = wanted(MarketPosition, [seen[-1] for seen in looks.values()])
    assert now.select(last.columns).sort("ticker").equals(last.sort("ticker"), null_equal=True)
    balanced(session)


def test_the_recorded_fractional_fills_are_kept_whole(recordings: Path, member: Member, session: Session) -> None:
    """PF-1: 33 fills with fractions of contracts, from another capturer."""
    member.fills = rows(recordings, "cockpit/portfolio_fills_redacted.json", "fills")
    member.cutoffs, member.per_page = dict.fromkeys(member.cutoffs, CUT), 10
    session.clock = FakeClock(start=LATER)
    assert run(session, what=["fills"]).parts["fills"].new == 33
    kept = asyncio.run(held.fills(session.store, account(session))).sort("fill_id")
    assert kept.equals(wanted(Fill, member.fills).sort("fill_id"), null_equal=True)
    assert any(count % 1 for count in kept["count"])
