"""Fills and settlements as the exchange writes them, in a line each."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from kalshi_lab import frames
from kalshi_lab.models.portfolio import Fill, Settlement

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

START = datetime(2026, 11, 2, 15, tzinfo=UTC)
MARKET = "KXHIGHNY-26NOV02-B51.5"


def fill(number: int, side: str, count: str, price: str, *, fee: str | None = "0.00", **more: Any) -> dict[str, Any]:
    """A fill that gains contracts of a side at a price of that side, `number` minutes after the start."""
    yes = price if side == "yes" else f"{1 - float(price):.4f}"
    return {
        "fill_id": f"f{number:06d}", "order_id": f"o{number:06d}", "ticker": MARKET, "outcome_side": side, "count_fp": count,
        "book_side": "bid" if side == "yes" else "ask", "yes_price_dollars": yes, "no_price_dollars": f"{1 - float(yes):.4f}",
        "is_taker": True, "fee_cost": fee, "created_time": moment(number), "subaccount_number": 0, **more,
    }  # fmt: skip


def settlement(result: str, yes: str = "0.00", no: str = "0.00", **more: Any) -> dict[str, Any]:
    """What a market paid, a day after the start."""
    return {
        "ticker": MARKET, "event_ticker": "KXHIGHNY-26NOV02", "market_result": result, "yes_count_fp": yes, "no_count_fp": no,
        "settled_time": moment(24 * 60), **more,
    }  # fmt: skip


def moment(minutes: float) -> str:
    return (START + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def frame(rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
    """Fills as a frame, read as the exchange's answers are."""
    batch = frames.rows_to_batch(Fill, [msgspec.Raw(json.dumps(row).encode()) for row in rows])
    assert not batch.refused
    return batch.frame


def settled(*rows: dict[str, Any]) -> pl.DataFrame:
    batch = frames.rows_to_batch(Settlement, [msgspec.Raw(json.dumps(row).encode()) for row in rows])
    assert not batch.refused
    return batch.frame
