"""What your probabilities are worth at the exchange's prices, and how much to stake on them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from kalshi_lab.analysis.edge import edge
from kalshi_lab.analysis.kelly import kelly
from kalshi_lab.errors import NotFound, UsageError
from kalshi_lab.fees import FeeSchedule
from kalshi_lab.kalshi.named import batches
from kalshi_lab.lab.verbs import Verbs
from kalshi_lab.portal import Facade, blocking
from kalshi_lab.research import thesis as research

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kalshi_lab.analysis.edge import Edge
    from kalshi_lab.analysis.kelly import Kelly
    from kalshi_lab.analysis.recalibration import Recalibration
    from kalshi_lab.models import Event, Series

NAMED = 200  # events in one request, at most


class AsyncSizing(Verbs):
    """Think: edge and stakes."""

    async def edge(
        self,
        probabilities: Mapping[str, float] | None = None,
        *,
        by: Recalibration | Literal["ladder"] | None = None,
        event: str | None = None,
        min_ev: float = 0.0,
    ) -> Edge:
        """What is worth more than it costs at this moment's prices, net of each market's own fees.

        probabilities: yours of YES, by ticker; without them those of your open theses. With `by` the markets of an `event` are judged by
        what prices have meant (a result of `kl.recalibrate`) or by their "ladder". See `kl.edge` for both and for the table. Raises
        NotFound for a ticker that is not traded, UsageError where there is nothing to look at.
        """
        if (by is None) != (event is None) or (by is not None and probabilities is not None):
            raise UsageError(
                "by and event go together, and without probabilities", hint='lab.edge(by="ladder", event="...")'
            )
        if by is not None:
            rows = await self.kalshi.markets.list(event=event, status="open").frame(exact=True)
            fees, exclusive = await self._terms(rows)
            known = pl.col("event_ticker").replace_strict(exclusive, default=None, return_dtype=pl.Boolean)
            rows = rows.with_columns(mutually_exclusive=known)
            return await asyncio.to_thread(edge, rows, fees=fees, by=by, min_ev=min_ev)
        own = (
            await self._own()
            if probabilities is None
            else {name: float(value) for name, value in probabilities.items()}
        )
        if not own:
            raise UsageError(
                "there are no probabilities", hint="Give some by ticker, or write a thesis: lab.thesis(...)"
            )
        rows = await self._quoted(own)
        fees, exclusive = await self._terms(rows)
        rows = rows.with_columns(
            probability=pl.col("ticker").replace_strict(own, return_dtype=pl.Float64),
            mutually_exclusive=pl.col("event_ticker").replace_strict(exclusive, default=None, return_dtype=pl.Boolean),
        )
        return await asyncio.to_thread(edge, rows, fees=fees, min_ev=min_ev)

    async def kelly(
        self,
        bankroll: float,
        probabilities: Mapping[str, float] | None = None,
        *,
        fraction: float = 0.5,
        most: float = 1.0,
        most_event: float = 1.0,
        most_total: float = 1.0,
        lot: float = 1.0,
    ) -> Kelly:
        """How much of a bankroll (dollars) to stake on what `edge` finds, no more than is offered at the best price.

        See `kl.kelly` for the table and what it assumes; raises as `edge` does.
        """
        found = await self.edge(probabilities)
        caps = {"most": most, "most_event": most_event, "most_total": most_total}
        return await asyncio.to_thread(kelly, found.frame(), bankroll=bankroll, fraction=fraction, lot=lot, **caps)

    async def _own(self) -> dict[str, float]:
        """The probabilities of the open theses, those of the youngest where several name a market."""
        if self.store.is_new:
            return {}
        theses = await research.theses(self.store)
        return dict(theses.filter(pl.col("result").is_null()).sort("time").select("ticker", "probability").iter_rows())

    async def _quoted(self, own: Mapping[str, float]) -> pl.DataFrame:
        tickers = sorted(own)
        asked = [self.kalshi.markets.list(tickers=part, limit=len(part)) for part in batches(tickers)]
        found = pl.concat([await one.frame(exact=True) for one in asked])
        missing = sorted(set(tickers) - set(found["ticker"]))
        if missing:
            raise NotFound(f"the exchange lists no market {missing[0]}", hint="lab.markets() has those that trade")
        return found

    async def _terms(self, rows: pl.DataFrame) -> tuple[dict[str, FeeSchedule], dict[str, bool | None]]:
        """The fee schedule of each market, and which events are exclusive: two requests, and one more for each 200 events."""
        names = sorted(rows["event_ticker"].drop_nulls().unique())
        events: dict[str, Event] = {}
        for start in range(0, len(names), NAMED):
            part = self.kalshi.events.list(tickers=names[start : start + NAMED])
            events |= {event.event_ticker: event async for event in part}
        series: dict[str, Series] = {one.ticker: one async for one in self.kalshi.series.list()}
        now = self.clock.now()
        fees = {}
        for ticker, name, waived in rows.select("ticker", "event_ticker", "fee_waiver_expiration_time").iter_rows():
            event = events.get(name)
            of: Any = series.get(event.series_ticker or "") if event else None
            if of is None:
                raise UsageError(
                    f"the fees of {ticker} are not known: its series is not listed", hint="kl.edge takes fees=..."
                )
            kind, multiplier = FeeSchedule.of(of, event=event).terms(now)
            fees[ticker] = FeeSchedule.of((kind, 0 if waived is not None and now < waived else multiplier))
        return fees, {name: event.mutually_exclusive for name, event in events.items()}


class Sizing(Facade):
    """The blocking face of `AsyncSizing`."""

    edge = blocking(AsyncSizing.edge)
    kelly = blocking(AsyncSizing.kelly)
