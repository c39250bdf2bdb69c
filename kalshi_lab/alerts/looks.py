"""One look at everything that alerts need: markets by name, the listings of patterns, and facts; and nothing else."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from kalshi_lab.alerts.conditions import matches
from kalshi_lab.kalshi.markets import BATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable
    from datetime import datetime

    from kalshi_lab.alerts.engine import Engine
    from kalshi_lab.alerts.facts import Facts
    from kalshi_lab.clock import Clock
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.kalshi.pages import AsyncPages
    from kalshi_lab.models import Market

log = logging.getLogger(__name__)


async def look_around(
    engine: Engine, kalshi: AsyncKalshi, facts: Facts, clock: Clock, *, live: Callable[[], Container[str]] = tuple
) -> datetime:
    """Let the engine see everything as it is now; when that was. Of a market that is `live` by then its book says the prices."""
    listed = await _of_patterns(engine.patterns, kalshi)
    named = sorted((set(engine.tickers) | engine.watched()) - listed.keys())
    found = listed | await markets(kalshi, named)
    engine.facts = await facts.known(engine.needed, clock.now()) if engine.needed else {}
    now, books = clock.now(), live()
    for market in found.values():
        engine.see(_with_book(engine, market) if market.ticker in books else market, now)
    engine.look(now)
    return now


async def markets(kalshi: AsyncKalshi, tickers: list[str]) -> dict[str, Market]:
    """The markets by ticker as they stand now; what the exchange does not list is absent."""
    found: dict[str, Market] = {}
    for start in range(0, len(tickers), BATCH):
        asked = tickers[start : start + BATCH]
        found |= await _read(kalshi.markets.list(tickers=asked, combos=True, limit=len(asked)))
    return found


async def _of_patterns(patterns: Iterable[str], kalshi: AsyncKalshi) -> dict[str, Market]:
    found: dict[str, Market] = {}
    wanted = list(patterns)
    for series in sorted({pattern.partition("-")[0] for pattern in wanted}):
        listed = await _read(kalshi.markets.list(series=series, status="open"))
        found |= {name: one for name, one in listed.items() if any(matches(name, pattern) for pattern in wanted)}
    return found


async def _read(pages: AsyncPages[Market]) -> dict[str, Market]:
    found = {market.ticker: market async for market in pages}
    for row in pages.refused:
        log.warning("a market was left out, since it could not be read (%s): %.200s", row.reason, row.raw)
    return found


def _with_book(engine: Engine, market: Market) -> Market:
    """What the live book says of the prices is newer than an answer that was under way."""
    known = engine.quotes.get(market.ticker)
    return market if known is None else market.model_copy(update={"yes_bid": known.yes_bid, "yes_ask": known.yes_ask})
