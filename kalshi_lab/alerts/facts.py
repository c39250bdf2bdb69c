"""What conditions ask besides quotes, and where it comes from: the store, the exchange's listings, and what the lab lends."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kalshi_lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from kalshi_lab.alerts.seen import Fact
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.store import Store

log = logging.getLogger(__name__)
Lent = Callable[[str], Awaitable[Any]]  # answers about one subject
HELD = {
    "quotes": "SELECT max(time) AS newest FROM snapshots",
    "trades": "SELECT max(created_time) AS newest FROM trades",
    "candlesticks": "SELECT max(end_time) AS newest FROM candlesticks",
    "articles": "SELECT max(first_seen) AS newest FROM articles",
    "ticks": "SELECT max(received_at) AS newest FROM ticks",
}
PROBABILITIES = """
SELECT ticker, probability FROM thesis_markets
WHERE name = $1 AND version = (SELECT max(version) FROM theses WHERE name = $1)
"""
SENTIMENT = """
SELECT avg(score) FILTER (WHERE coalesce(published, first_seen) > $2) AS now,
       avg(score) FILTER (WHERE coalesce(published, first_seen) <= $2) AS before
FROM (
    SELECT DISTINCT sentiments.key, score, published, first_seen FROM sentiments JOIN articles USING (key)
    WHERE ticker IN (SELECT unnest(tickers) FROM news_topics WHERE target = $1)
      AND coalesce(published, first_seen) > $3 AND coalesce(published, first_seen) <= $4
)
"""


class Facts:
    """Answers what conditions ask; what cannot be answered is left out, logged, and in `problems`, and stops no other."""

    def __init__(self, kalshi: AsyncKalshi, store: Store, lent: dict[str, Lent]) -> None:
        self._kalshi, self._store, self._lent = kalshi, store, lent
        self.problems: dict[Fact, LabError] = {}

    async def known(self, asked: Iterable[Fact], now: datetime) -> dict[Fact, Any]:
        """The facts that can be told."""
        found: dict[Fact, Any] = {}
        for fact in sorted(asked):
            try:
                answer = await self._one(fact, now)
            except LabError as error:
                if str(self.problems.get(fact)) != str(error):
                    log.warning("%s is not known: %s", " ".join(fact), error)
                self.problems[fact] = error
            else:
                self.problems.pop(fact, None)
                if answer is not None:
                    found[fact] = answer
        return found

    async def _one(self, fact: Fact, now: datetime) -> Any:
        kind, subject = fact[:2]
        if kind == "listed":
            pages = self._kalshi.markets.list(series=subject, status="open")
            return frozenset([market.ticker async for market in pages])
        if kind in self._lent:
            return await self._lent[kind](subject)
        if kind == "sentiment":
            within = timedelta(seconds=int(fact[2]))
            row = (await self._store.read(SENTIMENT, [subject, now - within, now - 2 * within, now])).row(0)
            return None if row == (None, None) else row
        if kind == "probability":
            return dict((await self._store.read(PROBABILITIES, [subject])).rows()) or None
        answer = await self._store.read(HELD[subject]) if kind == "held" and subject in HELD else None
        return None if answer is None else answer.item()
