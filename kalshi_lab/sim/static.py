"""Answers that depend on nothing or on little: status, schedule, costs, fee changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from kalshi_lab.sim.draws import words
from kalshi_lab.sim.wire import DAY, SECOND, moment, uuid

if TYPE_CHECKING:
    from kalshi_lab.sim.render import Json
    from kalshi_lab.sim.world import World

_SHARDS = ("Default", "Combos", "Crypto and commodities", "Tennis, baseball and basketball")
_ALWAYS = [{"close_time": "00:00", "open_time": "00:00"}]
_THURSDAY = [{"close_time": "03:00", "open_time": "00:00"}, {"close_time": "00:00", "open_time": "05:00"}]
_DAYS = ("monday", "tuesday", "wednesday", "friday", "saturday", "sunday")
_FEES = 0x4645
COSTS: Json = {
    "default_cost": 10,
    "endpoint_costs": [
        {"cost": 2, "method": "DELETE", "path": "/portfolio/events/orders"},
        {"cost": 2, "method": "DELETE", "path": "/portfolio/events/orders/batched"},
        {"cost": 2, "method": "DELETE", "path": "/portfolio/events/orders/{order_id}"},
        {"cost": 2, "method": "GET", "path": "/portfolio/orders/{order_id}"},
        {"cost": 2, "method": "GET", "path": "/communications/quotes/{quote_id}"},
        {"cost": 2, "method": "GET", "path": "/communications/rfqs/{rfq_id}/quotes/{quote_id}"},
        {"cost": 2, "method": "POST", "path": "/communications/quotes"},
        {"cost": 2, "method": "DELETE", "path": "/communications/quotes/{quote_id}"},
        {"cost": 2, "method": "DELETE", "path": "/communications/rfqs/{rfq_id}/quotes/{quote_id}"},
        {"cost": 30, "method": "POST", "path": "/account/api_usage_level/upgrade"},
    ],
}


def exchange_status() -> Json:
    """Everything is up."""
    up = {"exchange_active": True, "intra_exchange_transfers_active": True, "trading_active": True}
    return {
        **up,
        "exchange_index_statuses": [
            {**up, "description": name, "exchange_index": number} for number, name in enumerate(_SHARDS)
        ],
    }


def schedule(now: int) -> Json:
    """Open around the clock but for two hours of upkeep on Thursdays; one window is announced for next week."""
    window = (now // (DAY * SECOND) + 6) * DAY * SECOND + 8 * 3600 * SECOND
    hours = {
        "start_time": "2024-12-01T00:00:00Z",
        "end_time": "2200-12-01T00:00:00Z",
        "thursday": _THURSDAY,
        **dict.fromkeys(_DAYS, _ALWAYS),
    }
    planned = {"start_datetime": moment(window), "end_datetime": moment(window + 7200 * SECOND)}
    return {"schedule": {"maintenance_windows": [planned], "standard_hours": [hours]}}


def fee_changes(start: datetime) -> list[Json]:
    """One fee change of a series that is over when the world starts, and one still to come."""
    listed = (("KXCPI", "quadratic", 1, -40), ("KXNHLGAME", "quadratic_with_maker_fees", 1, 20))
    return [
        {
            "fee_multiplier": multiplier,
            "fee_type": fee_type,
            "id": _identifier(number),
            "scheduled_ts": moment(_at(start + timedelta(days=days))),
            "series_ticker": series,
        }
        for number, (series, fee_type, multiplier, days) in enumerate(listed)
    ]


def overrides(world: World) -> list[Json]:
    """The events whose fees depart from their series', from the day they opened; the first loses its override later."""
    rows = [row for row in np.flatnonzero(world.events.shape == 3).tolist() if world.fee_override(row) is not None]
    made = [_override(world, row, int(world.events.open[row]), world.fee_override(row)) for row in rows]
    return [*made, _override(world, rows[0], int(world.events.close[rows[0]]), None)] if rows else made


def _override(world: World, row: int, at: int, fee: tuple[str, float] | None) -> Json:
    return {
        "event_ticker": world.names.event_ticker(row),
        "fee_multiplier_override": fee and fee[1],
        "fee_type_override": fee and fee[0],
        "id": _identifier(100 + 2 * row + (fee is None)),
        "scheduled_ts": moment(at),
        "series_ticker": world.names.spec(row).ticker,
    }


def _identifier(number: int) -> str:
    high, low = (int(words(_FEES, what, number)[0]) for what in (1, 2))
    return uuid(high, low)


def _at(when: datetime) -> int:
    return int((when - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))
