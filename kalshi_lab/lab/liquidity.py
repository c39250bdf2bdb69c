"""What trading costs now and at which hours, and which markets move together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from kalshi_lab.analysis import correlation as together
from kalshi_lab.analysis import impact as impacts
from kalshi_lab.analysis import liquidity as liquid
from kalshi_lab.analysis import slippage as costs
from kalshi_lab.analysis import timeline as timelines
from kalshi_lab.analysis import timing as timings
from kalshi_lab.clock import When, between, span
from kalshi_lab.errors import UsageError
from kalshi_lab.fees import FeeSchedule
from kalshi_lab.kalshi.params import tickers as checked_tickers
from kalshi_lab.lab.verbs import Verbs
from kalshi_lab.models.quote import mids
from kalshi_lab.portal import Facade, blocking

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import timedelta

    from kalshi_lab.analysis.correlation import Correlation, LeadLag
    from kalshi_lab.analysis.impact import Impact
    from kalshi_lab.analysis.liquidity import Liquidity, Scale
    from kalshi_lab.analysis.slippage import Action, Amount, Side, Slippage
    from kalshi_lab.analysis.timeline import Timeline
    from kalshi_lab.analysis.timing import Timing

MINUTES = {60: "1m", 3600: "1h", 86_400: "1d"}
IN_SERIES = "starts_with(ticker, $1 || '-')"
BARS = "SELECT end_time, yes_bid_close, yes_ask_close, volume FROM candlesticks WHERE interval_minutes = 60"


class AsyncCosts(Verbs):
    """Think: liquidity, costs and co-movement."""

    async def liquidity(
        self,
        ticker: str,
        *,
        within: Amount = "0.10",
        weights: Mapping[str, float] | None = None,
        scale: Scale | None = None,
    ) -> Liquidity:
        """How liquid a market is now: its whole live book, its volume and open interest. See `kl.liquidity`.

        `scale=lab.liquidity_scale()` scores it by the percentiles of the markets in the store.
        """
        market, book = await asyncio.gather(
            self.kalshi.markets.one(ticker), self.kalshi.markets.orderbook(ticker, depth=0)
        )
        return liquid.liquidity(
            book, volume_24h=market.volume_24h, open_interest=market.open_interest, within=within, weights=weights, scale=scale
        )  # fmt: skip

    async def liquidity_scale(self) -> Scale:
        """The percentiles of the open markets in the store, as last seen: spread, size at the top, volume in 24 hours, open interest.

        Volume is null where the market was last read without it. Needs `snapshot()` or `sync("markets")`.
        """
        listed = await self.store.read("SELECT * FROM markets WHERE status IN ('active', 'open')")
        return await asyncio.to_thread(liquid.Scale.of, listed)

    async def slippage(
        self, ticker: str, contracts: Amount, *, side: Side = "yes", action: Action = "buy", limit: Amount | None = None
    ) -> Slippage:
        """What taking that many contracts from the live book would cost, net of the series' fees. See `kl.slippage`; nothing is sent."""
        book, schedule = await self._book(ticker)
        return costs.slippage(
            book, contracts, side=side, action=action, fees=schedule, limit=limit, at=self.clock.now()
        )

    async def safe_size(
        self,
        ticker: str,
        *,
        side: Side = "yes",
        action: Action = "buy",
        average: Amount | None = "0.03",
        marginal: Amount | None = "0.03",
    ) -> Slippage:
        """The largest order that the live book fills within these limits, net of the series' fees. See `kl.safe_size`."""
        book, schedule = await self._book(ticker)
        options: dict[str, Any] = {"side": side, "action": action, "average": average, "marginal": marginal}
        return costs.safe_size(book, **options, fees=schedule, at=self.clock.now())

    async def impact(
        self,
        tickers: str | Iterable[str],
        *,
        start: When | None = None,
        end: When | None = None,
        confidence: float = 0.95,
    ) -> Impact:
        """The price impact of takers' orders in some markets, from the trades that the store holds. See `kl.impact`."""
        first, last = between(start, end, now=self.clock.now())
        asked = """SELECT ticker, created_time, yes_price, count,
                   coalesce(taker_outcome_side, taker_side) AS taker_outcome_side, is_block_trade
                   FROM trades WHERE list_contains($1, ticker) AND ($2 IS NULL OR created_time >= $2) AND ($3 IS NULL OR created_time < $3)
                   AND yes_price IS NOT NULL AND created_time IS NOT NULL"""
        trades = await self.store.read(asked, [checked_tickers(tickers), first, last])
        return await asyncio.to_thread(impacts.impact, trades, confidence=confidence)

    async def timing(
        self, *, series: str | None = None, clock: str = "America/New_York", confidence: float = 0.95
    ) -> Timing:
        """Spreads and volume by the hour of a named clock, from the hourly candlesticks that the store holds. See `kl.timing`."""
        where = f" AND {IN_SERIES}" if series else ""
        asked = f"WITH bars AS ({BARS}{where}) {timings.REDUCTION}"
        reduced = await self.store.read(asked, [series] if series else [])
        return await asyncio.to_thread(timings.finished, reduced, clock=clock, confidence=confidence)

    async def correlation(
        self,
        tickers: Iterable[str] | None = None,
        *,
        series: str | None = None,
        every: timedelta | str = "1h",
        start: When | None = None,
        end: When | None = None,
        method: Literal["pearson", "spearman"] = "pearson",
        correction: str = "benjamini-hochberg",
        alpha: float = 0.05,
        min_n: int = together.MIN_N,
        against: str | None = None,
    ) -> Correlation:
        """Which markets' mids move together, from the candlesticks that the store holds. See `kl.correlation` for figures and options.

        `every` is "1h" or a multiple of it, else the minutes' or days' candlesticks are read; give `tickers` or a `series`.
        """
        known = await self._mids(tickers, series, every, start, end)
        chosen: dict[str, Any] = {
            "method": method,
            "correction": correction,
            "alpha": alpha,
            "min_n": min_n,
            "against": against,
        }
        return await asyncio.to_thread(together.correlation, known, every=every, **chosen)

    async def lead_lag(
        self,
        tickers: Iterable[str] | None = None,
        *,
        series: str | None = None,
        every: timedelta | str = "1h",
        lags: int = 12,
        start: When | None = None,
        end: When | None = None,
        correction: str = "benjamini-hochberg",
        alpha: float = 0.05,
        min_n: int = together.MIN_N,
        against: str | None = None,
    ) -> LeadLag:
        """Which market's mid moves first, from the candlesticks that the store holds. See `kl.lead_lag` for figures and options."""
        known = await self._mids(tickers, series, every, start, end)
        chosen: dict[str, Any] = {"correction": correction, "alpha": alpha, "min_n": min_n, "against": against}
        return await asyncio.to_thread(together.lead_lag, known, every=every, lags=lags, **chosen)

    async def timeline(self, ticker: str) -> Timeline:
        """What the store knows of a market over time: quotes, trades and volume, with its settlement, theses, alerts and pauses.

        Raises UsageError for a malformed ticker; a market that the store does not know gives no rows.
        """
        names = checked_tickers(ticker)
        path = await self.store.read(timelines.PATH, [names])
        marks = await self.store.read(timelines.MARKS, [names])
        return timelines.timeline(path, marks, ticker=names[0])

    async def _book(self, ticker: str) -> tuple[Any, FeeSchedule]:
        market, book = await asyncio.gather(
            self.kalshi.markets.one(ticker), self.kalshi.markets.orderbook(ticker, depth=0)
        )
        event = await self.kalshi.events.one(market.event_ticker or ticker)
        series = await self.kalshi.series.one(event.series_ticker or ticker.partition("-")[0])
        return book, FeeSchedule.of(series, event=event, market=market)

    async def _mids(
        self,
        tickers: Iterable[str] | None,
        series: str | None,
        every: timedelta | str,
        start: When | None,
        end: When | None,
    ) -> pl.DataFrame:
        if (tickers is None) == (series is None):
            raise UsageError("give either tickers or a series", hint='lab.correlation(series="KXHIGHNY")')
        seconds = int(span(every, what="every").total_seconds())
        minutes = next((unit // 60 for unit in sorted(MINUTES, reverse=True) if seconds and seconds % unit == 0), None)
        if minutes is None:
            raise UsageError(f"every={every!r} is no multiple of a minute", hint='Write it like "1m", "1h" or "1d"')
        first, last = between(start, end, now=self.clock.now())
        which = IN_SERIES if series else "list_contains($1, ticker)"
        asked = f"""SELECT ticker, end_time AS time, yes_bid_close AS yes_bid, yes_ask_close AS yes_ask FROM candlesticks
                    WHERE {which} AND interval_minutes = $2 AND ($3 IS NULL OR end_time >= $3) AND ($4 IS NULL OR end_time < $4)"""  # noqa: S608 - our own words
        chosen = series or checked_tickers(tickers or ())
        rows = await self.store.read(asked, [chosen, minutes, first, last])
        # a bar tells of the time up to its end, which is the next cell's beginning
        return rows.select("ticker", pl.col("time") - pl.duration(microseconds=1), mids())


class Costs(Facade):
    """The blocking face of `AsyncCosts`."""

    liquidity = blocking(AsyncCosts.liquidity)
    liquidity_scale = blocking(AsyncCosts.liquidity_scale)
    slippage = blocking(AsyncCosts.slippage)
    safe_size = blocking(AsyncCosts.safe_size)
    impact = blocking(AsyncCosts.impact)
    timing = blocking(AsyncCosts.timing)
    correlation = blocking(AsyncCosts.correlation)
    lead_lag = blocking(AsyncCosts.lead_lag)
    timeline = blocking(AsyncCosts.timeline)
