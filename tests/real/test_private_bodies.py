"""Recorded portfolio bodies: read to the last field, with the exchange's own units and sides."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab import frames, objects
from kalshi_lab.models.order import Order, OrderResult
from kalshi_lab.models.portfolio import Balance, Fill, MarketPosition

if TYPE_CHECKING:
    from pathlib import Path

    from kalshi_lab.models.fields import Record

BODIES: dict[str, tuple[type[Record], str, int]] = {
    "btc15m_account/fills.json": (Fill, "fills", 432),
    "btc15m_account/orders.json": (Order, "orders", 389),
    "btc15m_account/positions.json": (MarketPosition, "market_positions", 65),
    "cockpit/portfolio_fills_redacted.json": (Fill, "fills", 33),
}


def body(recordings: Path, name: str) -> dict[str, Any]:
    found = json.loads((recordings / "rest-current" / name).read_text(encoding="utf-8"))
    return dict(found.get("payload", found))


@pytest.mark.parametrize("name", BODIES)
def test_a_recorded_body_is_read_to_the_last_field(name: str, recordings: Path) -> None:
    """API-11, lesson 7: every row becomes an object and a row of the frame, and no field is left over."""
    record, key, rows = BODIES[name]
    content = json.dumps(body(recordings, name)).encode()
    made, refused = objects.many(record, content, key)
    batch = frames.decode(record, content, key)
    assert (len(made), refused, batch.frame.height, batch.refused) == (rows, (), rows, ())
    assert [one for one in made if one.model_extra] == []
    assert batch.frame.get_column("extra").null_count() == rows
    with pytest.raises(ValueError, match="no 'somewhere'"):
        frames.decode(record, content, "somewhere")


def test_amounts_keep_their_units(recordings: Path) -> None:
    """API-11: the balance is whole cents in one field and dollars in another; nothing is mixed up."""
    shapes = body(recordings, "order_shapes_synthetic.json")
    balance: Balance = objects.one(Balance, shapes["balance_200"])
    assert balance.balance_cents == 1234
    assert balance.balance is None
    assert [one.balance for one in balance.balance_breakdown or ()][:2] == [Decimal("12.34"), Decimal("0.01")]
    assert not balance.model_extra


@pytest.mark.parametrize(
    ("name", "filled", "resting", "reduced"),
    [
        ("create_ioc_filled_201", "1.00", "0.00", None),
        ("create_gtc_resting_201", "0.00", "1.00", None),
        ("cancel_200", None, None, "1.00"),
    ],
)
def test_answers_to_writes_always_give_the_id(
    name: str, filled: str | None, resting: str | None, reduced: str | None, recordings: Path
) -> None:
    """API-12, API-13, lesson 9: flat answers, their id first; what an answer does not say is None."""
    made: OrderResult = objects.one(OrderResult, body(recordings, "order_shapes_synthetic.json")[name])
    wanted = [None if text is None else Decimal(text) for text in (filled, resting, reduced)]
    assert [made.fill_count, made.remaining_count, made.reduced_by] == wanted
    assert made.order_id
    assert made.ts_ms is not None
    assert not made.model_extra


def test_the_side_of_a_fill_is_its_exposure(recordings: Path) -> None:
    """PF: positions added up from fills by exposure are the recorded ones, where all fills of a market were recorded."""
    fills, _ = objects.many(Fill, json.dumps(body(recordings, "btc15m_account/fills.json")).encode(), "fills")
    orders, _ = objects.many(Order, json.dumps(body(recordings, "btc15m_account/orders.json")).encode(), "orders")
    sides = {order.order_id: order.side for order in orders}
    closing = [fill for fill in fills if fill.action == "sell" and fill.order_id in sides]
    assert len(closing) == 106
    assert all(fill.exposure != sides[fill.order_id] for fill in closing)
    snapshot = body(recordings, "btc15m_account/positions.json")
    positions, _ = objects.many(MarketPosition, json.dumps(snapshot).encode(), "market_positions")
    assert (sum(_held(fills, one) == one.position for one in positions), len(positions)) == (64, 65)


def _held(fills: list[Fill], position: MarketPosition) -> Decimal:
    """What the fills of a market up to the moment of a recorded position add up to."""
    mine = [one for one in fills if one.ticker == position.ticker and one.created_time <= position.last_updated_ts]
    return sum((one.count if one.exposure == "yes" else -one.count for one in mine), Decimal(0))


def test_closed_positions_stay_zero(recordings: Path) -> None:
    """Lesson 8: rows of no contracts come too, as zero and not as unknown."""
    snapshot = body(recordings, "btc15m_account/positions.json")
    positions, _ = objects.many(MarketPosition, json.dumps(snapshot).encode(), "market_positions")
    assert any(one.position == 0 for one in positions)
    assert all(one.position is not None for one in positions)
