"""The sim's worlds as the library sees them, without a server: events with their markets, and books."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from kalshi_lab.models import Event, Market, Orderbook
from kalshi_lab.sim.world import microseconds

if TYPE_CHECKING:
    from kalshi_lab.sim.world import World


def quoted(world: World) -> tuple[list[Event], dict[str, Orderbook]]:
    """All events of one world that trade at its start, and their books; only the fields that say what links markets."""
    now, events = microseconds(world.start), world.events
    live = np.flatnonzero((events.open <= now) & (now < events.close) & (events.pause_end == 0))
    rows = np.concatenate([np.arange(events.first[one], events.first[one] + events.count[one]) for one in live])
    step = world.paths.step(world.markets.event[rows], now)
    tickers = [world.names.market(row) for row in rows.tolist()]
    pairs = zip(tickers, world.quotes.books(rows, step, now), strict=True)
    books = {ticker: Orderbook(ticker, *(levels(side) for side in sides)) for ticker, sides in pairs}
    return [described(world, one) for one in live.tolist()], books


def levels(side: list[tuple[int, int]]) -> tuple[tuple[Decimal, Decimal], ...]:
    """One side of a book, best first."""
    return tuple((Decimal(price).scaleb(-4), Decimal(count).scaleb(-2)) for price, count in reversed(side))


def described(world: World, event: int) -> Event:
    """One event with its markets."""
    ticker, first = world.names.event_ticker(event), int(world.events.first[event])
    markets = []
    for row in range(first, first + int(world.events.count[event])):
        text = world.names.text(row)
        markets.append(
            Market.model_construct(
                ticker=text.ticker, event_ticker=ticker, status="active", strike_type=text.strike_type, floor_strike=text.floor,
                cap_strike=text.cap, custom_strike=None if text.custom is None else dict(text.custom), market_type="binary",
            )
        )  # fmt: skip
    return Event.model_construct(
        event_ticker=ticker, series_ticker=world.names.spec(event).ticker, mutually_exclusive=world.exclusive(event), markets=tuple(markets)
    )  # fmt: skip
