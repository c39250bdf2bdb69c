"""Backtests over what the store keeps: strategies, and the theses that were written down."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from kalshi_lab.clock import When, between, span
from kalshi_lab.errors import UsageError
from kalshi_lab.lab.verbs import Verbs
from kalshi_lab.portal import Facade, blocking
from kalshi_lab.research.backtest import backtest
from kalshi_lab.research.backtest.books import kept
from kalshi_lab.research.backtest.theses import entries, planned, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from kalshi_lab.research.backtest import Backtest
    from kalshi_lab.research.backtest.run import Strategy

MOST: Final = 20_000  # moments at which a strategy is asked
# Terms as they are when a market is listed. What may change later is left out: closing times move, and what a market traded is of its end.
MARKETS: Final = """
SELECT m.ticker, m.event_ticker, e.series_ticker, m.title, m.yes_sub_title, m.open_time, m.strike_type, m.floor_strike, m.cap_strike,
       m.rules_primary, m.price_ranges, s.fee_type, s.fee_multiplier
FROM markets AS m LEFT JOIN events AS e USING (event_ticker) LEFT JOIN series AS s ON s.ticker = e.series_ticker
WHERE ($1 IS NULL OR e.series_ticker = $1 OR m.event_ticker = $1 OR starts_with(m.event_ticker, $1 || '-'))
  AND ($2 IS NULL OR list_contains($2, m.ticker))
ORDER BY m.open_time, m.ticker
"""
# A market that has left its listing has no quote until it is seen again; a candlestick is known when its interval has ended.
QUOTES: Final = """
SELECT ticker, time, CASE WHEN NOT gone THEN yes_bid END AS yes_bid, CASE WHEN NOT gone THEN yes_bid_size END AS yes_bid_size,
       CASE WHEN NOT gone THEN yes_ask END AS yes_ask, CASE WHEN NOT gone THEN yes_ask_size END AS yes_ask_size
FROM quotes WHERE time < $2 AND list_contains($1, ticker)
UNION ALL
SELECT ticker, end_time, yes_bid_close, CAST(NULL AS DECIMAL(18, 2)), yes_ask_close, CAST(NULL AS DECIMAL(18, 2))
FROM candlesticks WHERE end_time < $2 AND list_contains($1, ticker)
"""
TRADES: Final = """
SELECT ticker, created_time AS time, yes_price, count, coalesce(taker_outcome_side, taker_side) AS taker_side
FROM trades WHERE created_time < $2 AND list_contains($1, ticker) AND NOT coalesce(is_block_trade, false)
"""
RESULTS: Final = """
SELECT ticker, coalesce(settlement_ts, close_time) AS time,
       CASE WHEN result <> '' THEN result WHEN settlement_value IS NULL THEN 'void' ELSE 'scalar' END AS result, settlement_value AS value,
       close_time
FROM results WHERE list_contains($1, ticker) AND coalesce(settlement_ts, close_time) IS NOT NULL
"""


class AsyncBacktests(Verbs):
    """Think: what a strategy would have made of what is kept."""

    async def backtest(
        self,
        strategy: Strategy | None = None,
        *,
        since: When = "90d",
        until: When | None = None,
        every: timedelta | str = "1d",
        series: str | None = None,
        tickers: Iterable[str] | None = None,
        capital: float | str | Decimal = 10_000,
        stake: float | str | Decimal = 100,
        latency: timedelta | str = "0s",
        available: float | str | Decimal = 100,
        max_position: float | str | Decimal | None = None,
        max_stake: float | str | Decimal | None = None,
        confidence: float = 0.95,
    ) -> Backtest:
        """Run `strategy(view)` over the markets, quotes, candlesticks, trades and results that the store keeps.

        The strategy is asked every `every` from `since` to `until` (now where none is given) and sees what was known at that moment:
        see `kl.View`. Without a strategy your theses are one: each market is bought when its thesis was first written down, for `stake`
        dollars, on the side where your probability was worth more than the price then.

        Where `record` kept a market's book, it is shown as it stood, and orders walk it level by level; elsewhere they meet the best quote.
        Orders that rest are filled by trades alone: those of `sync("trades")` and `record`.

        Positions are held until their results, which may come after `until`. Fees are those of each market's series (markets whose fees are
        unknown are left out of trading); see `kl.backtest` for how orders are filled. Needs `sync("markets", status="settled")`, and
        `snapshot` or `sync("candlesticks")` for quotes. Raises UsageError where nothing is kept to run over, or too many moments are
        asked for.
        """
        now = self.clock.now()
        first, last = between(since, until, now=now)
        start, end = first or now, last or now
        chosen = None if tickers is None else list(tickers)
        decided = [] if strategy else [one for one in await entries(self.store) if start <= one.time < end]
        if strategy is None:
            chosen = sorted({one.ticker for one in decided})
            strategy, times = planned(decided, Decimal(str(stake)))
        else:
            times = _moments(start, end, span(every, what="every"))
        frames = await self._kept(series, chosen, end)
        frames["books"] = await self._recorded(frames, times, span(latency, what="latency"))
        frames["quotes"] = pl.concat([frames["quotes"], quoted(decided)], how="diagonal").unique(
            ["ticker", "time"], keep="first", maintain_order=True
        )
        words: dict[str, Any] = {
            "times": times, "capital": capital, "latency": latency, "available": available, "max_position": max_position,
            "max_stake": max_stake, "confidence": confidence,
        }  # fmt: skip
        return await asyncio.to_thread(backtest, strategy, **frames, **words)

    async def _kept(self, series: str | None, tickers: list[str] | None, until: datetime) -> dict[str, Any]:
        markets = await self.store.read(MARKETS, [series, tickers])
        if markets.is_empty():
            raise UsageError(
                "no markets are kept to run over", hint='lab.sync("markets", status="settled", series=...) keeps some'
            )
        fees, markets = _fees(markets)
        names = [markets["ticker"].to_list(), until]
        quotes, trades = await self.store.read(QUOTES, names), await self.store.read(TRADES, names)
        results = await self.store.read(RESULTS, names[:1])
        return {"markets": markets, "quotes": quotes, "trades": trades, "results": results, "fees": fees}

    async def _recorded(
        self, frames: dict[str, Any], times: Iterable[datetime], latency: timedelta
    ) -> pl.DataFrame | None:
        """The recorded books as they stood when the strategy was asked, when its orders arrived, and when anything was paid."""
        moments = {one + late for one in times for late in (timedelta(0), latency)} | set(frames["results"]["time"])
        return await kept(self.store, frames["markets"]["ticker"], sorted(moments))


def _fees(markets: pl.DataFrame) -> tuple[dict[str, tuple[str, Decimal]], pl.DataFrame]:
    """What each market charges, and the markets of which that is known."""
    known = markets.filter(pl.col("fee_type").is_not_null() & pl.col("fee_multiplier").is_not_null())
    rows = known.select("ticker", "fee_type", "fee_multiplier").iter_rows()
    return {ticker: (kind, Decimal(str(multiplier))) for ticker, kind, multiplier in rows}, known


def _moments(start: datetime, end: datetime, every: timedelta) -> list[datetime]:
    if every <= timedelta(0):
        raise UsageError("every= is no time")
    count = -((start - end) // every)
    if count > MOST:
        raise UsageError(f"the strategy would be asked {count:,} times", hint=f"{MOST:,} at most: give a larger every=")
    return [start + number * every for number in range(count)]


class Backtests(Facade):
    """The blocking face of `AsyncBacktests`."""

    backtest = blocking(AsyncBacktests.backtest)
