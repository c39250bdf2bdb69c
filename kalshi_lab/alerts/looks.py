"""One look at everything that alerts need: markets by name, the listings of patterns, and facts; and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalshi_lab.alerts.conditions import matches
from kalshi_lab.kalshi import named

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable
    from datetime import datetime

    from kalshi_lab.alerts.engine import Engine
    from kalshi_lab.alerts.facts import Facts
    from kalshi_lab.clock import Clock
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.models import Market


async def look_around(
    engine: Engine, kalshi: AsyncKalshi, facts: Facts, clock: Clock, *, live: Callable[[], Container[str]] = tuple
) -> datetime:
    """Let the engine see everything as it is now; when that was. Of a market that is `live` by then its book says the prices."""
    listed = await _of_patterns(engine.patterns, kalshi)
    missing = sorted((set(engine.tickers) | engine.watched()) - listed.keys())
    found = listed | await named.markets(kalshi, missing)
    engine.facts = await facts.known(engine.needed, clock.now()) if engine.needed else {}
    now, books = clock.now(), live()
    for market in found.values():
        engine.see(_with_book(engine, market) if market.ticker in books else market, now)
    engine.look(now)
    return now


async def _of_patterns(patterns: Iterable[str], kalshi: AsyncKalshi) -> dict[str, Market]:
    found: dict[str, Market] = {}
    wanted = list(patterns)
    for series in sorted({pattern.partition("-")[0] for pattern in wanted}):
        listed = await named.by_ticker(kalshi.markets.list(series=series, status="open"))
        found |= {name: one for name, one in listed.items() if any(matches(name, pattern) for pattern in wanted)}
    return found


def _with_book(engine: Engine, market: Market) -> Market:
    """What the live book says of the prices is newer than an answer that was under way."""
    known = engine.quotes.get(market.ticker)
    return market if known is None else market.model_copy(update={"yes_bid": known.yes_bid, "yes_ask": known.yes_ask})
