"""Events whole: what their markets together say, and what they contradict."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

from kalshi_lab.analysis import ladder_history
from kalshi_lab.analysis.arbitrage import TRADING, arbitrage
from kalshi_lab.analysis.ladder import QUANTILES, ladder
from kalshi_lab.clock import When, moment
from kalshi_lab.errors import UsageError
from kalshi_lab.kalshi.params import tickers
from kalshi_lab.lab.verbs import Verbs
from kalshi_lab.portal import Facade, blocking

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from kalshi_lab.analysis.arbitrage import Arbitrage
    from kalshi_lab.analysis.ladder import Ladder
    from kalshi_lab.analysis.ladder_history import Every
    from kalshi_lab.fees import Member
    from kalshi_lab.models import Event, Orderbook

BATCH = 100  # books in one request


class AsyncLadders(Verbs):
    """Think: ladders and arbitrage."""

    async def ladder(
        self,
        event: str,
        *,
        since: When | None = None,
        until: When | None = None,
        every: Every = "1h",
        price: Literal["mid", "bounds"] = "mid",
        weight: str | None = "spread",
        unit: float | str | None = "strikes",
        tails: Literal["step"] | tuple[float, float] | None = "step",
        quantiles: Sequence[float] = QUANTILES,
    ) -> Ladder:
        """The distribution that an event's markets imply: as they are quoted now, or with `since`, over time from what the store holds.

        The history has a time at the end of every "1m", "1h" or "1d" in [since, until) in which a kept quote or candlestick of the event
        changed, each market at its last quote by then. See `kl.ladder` for the rest. UsageError where the store knows no such event.
        """
        chosen: dict[str, Any] = {
            "price": price,
            "weight": weight,
            "unit": unit,
            "tails": tails,
            "quantiles": quantiles,
        }
        if since is None and until is None:
            found = await self.kalshi.events.one(event)
            return await asyncio.to_thread(ladder_history.of_event, found, **chosen)
        now = self.clock.now()
        window = tuple(None if edge is None else moment(edge, now=now) for edge in (since, until))
        kept = await ladder_history.kept(self.store, event, every=every, since=window[0], until=window[1])
        return await asyncio.to_thread(ladder, kept, **chosen)

    async def arbitrage(
        self,
        event: str | Iterable[str] | None = None,
        *,
        series: str | Iterable[str] | None = None,
        capital: Decimal | str | int | None = None,
        member: Member = "direct",
        lot: Decimal | str | int = 1,
        unit: Decimal | str | None = "strikes",
        complete: bool = False,
        one_value: bool = False,
    ) -> Arbitrage:
        """Portfolios that cannot lose, from the books as they are now: of events, or of all open events of series.

        `found.portfolios[0].orders()` are the orders that execute the best one. The books are read in batches, one after the other, so a
        portfolio over several events may be gone before it is whole. See `kl.arbitrage` for what is assumed and what is not.
        """
        events = await self._asked(event, series)
        trading = [[m.ticker for m in one.markets if m.status in TRADING] for one in events]
        names = sorted({one.series_ticker for one in events if one.series_ticker})
        known = await asyncio.gather(*(self.kalshi.series.one(name) for name in names))
        books = await self._books(trading)
        return await asyncio.to_thread(
            arbitrage, books, events, fees=known, capital=capital, member=member, lot=lot,
            unit=unit, complete=complete, one_value=one_value, at=self.clock.now(),
        )  # fmt: skip

    async def _asked(self, event: str | Iterable[str] | None, series: str | Iterable[str] | None) -> list[Event]:
        """The events with their markets, and those of the legs of combos among them."""
        if (event is None) == (series is None):
            raise UsageError("say which events: event= or series=", hint='lab.arbitrage(series="KXHIGHNY")')
        if event is not None:
            found = list(await asyncio.gather(*(self.kalshi.events.one(name) for name in tickers(event))))
        else:
            found = []
            for name in tickers(series or ()):
                found += [one async for one in self.kalshi.events.list(status="open", series=name, markets=True)]
        have = {one.event_ticker for one in found}
        legs = {
            leg.event_ticker or "" for one in found for market in one.markets for leg in market.mve_selected_legs or ()
        }
        return found + list(
            await asyncio.gather(*(self.kalshi.events.one(name) for name in sorted(legs - have - {""})))
        )

    async def _books(self, groups: list[list[str]]) -> list[Orderbook]:
        """The books of all markets, those of an event in one request where they fit."""
        batches: list[list[str]] = [[]]
        for group in groups:
            if len(batches[-1]) + len(group) > BATCH:
                batches.append([])
            batches[-1] += group
        asked = [batch[place : place + BATCH] for batch in batches for place in range(0, len(batch), BATCH)]
        parts = await asyncio.gather(*(self.kalshi.markets.orderbooks(names) for names in asked))
        return [book for part in parts for book in part]


class Ladders(Facade):
    """The blocking face of `AsyncLadders`."""

    ladder = blocking(AsyncLadders.ladder)
    arbitrage = blocking(AsyncLadders.arbitrage)
