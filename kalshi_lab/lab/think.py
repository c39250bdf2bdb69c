"""Calibration over the store: outcome-labelled forecasts, and how often they came true."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

from kalshi_lab.analysis import calibration as calibrations
from kalshi_lab.analysis.base_rate import REDUCTION, band_of, base_rate, stood
from kalshi_lab.analysis.labelled import WEIGHTS, Labelled, labelled
from kalshi_lab.errors import UsageError
from kalshi_lab.lab.verbs import Verbs
from kalshi_lab.portal import Facade, blocking

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from decimal import Decimal

    import polars as pl

    from kalshi_lab.analysis.base_rate import BaseRate
    from kalshi_lab.analysis.engine import FarEngine
    from kalshi_lab.analysis.result import Calibration

Price = Literal["mid", "last", "executable"]
Weight = Literal["contract-day", "trade", "dollar"]

SETTLED = """
WITH settled AS (
    SELECT r.ticker, coalesce(r.event_ticker, m.event_ticker) AS event_ticker, m.strike_type, r.result
    FROM results AS r JOIN markets AS m ON m.ticker = r.ticker
    WHERE (m.event_ticker = $1 OR m.event_ticker LIKE $1 || '-%') AND r.ticker <> $2
)
"""
KINDS = "SELECT ticker, strike_type FROM markets WHERE event_ticker = $1 OR event_ticker LIKE $1 || '-%'"


class AsyncThink(Verbs):
    """Think: forecasts and calibration."""

    async def forecasts(
        self,
        *,
        horizon: str | timedelta | Sequence[str | timedelta] = "1d",
        price: Price = "mid",
        weight: Weight = "contract-day",
        series: str | None = None,
    ) -> pl.DataFrame:
        """Settled markets that the store knows: a row for each and each `horizon`, what one knew that long before its end, and its outcome.

        A market ends when it closes, or earlier, when it was determined or settled before: `decided_at` is `horizon` before that, and
        nothing later is in the row. Quotes are the newest of the kept quotes and of the candlesticks that had ended by then, the last
        price the newest of these and of the kept trades. `price` is the "mid" of a real quote, the "last" price, or "executable", the
        ask, which a taker of YES pays; null where there was none. `weight`: "contract-day" (1), or the "trade"s or "dollar"s so far.

        Columns: ticker, event_ticker, series_ticker, category, horizon String; price, yes_bid, yes_ask, last_price Float64 dollars;
        outcome Int8 (1 for YES, 0 for NO, null for neither); weight; fee (dollars a contract, before rounding, that a taker pays at the
        ask; null where the terms are unknown, which are those last seen); volume (contracts so far, as far as known); size, price_band
        String; open_time, decided_at, priced_at, ended_at, close_time (UTC); decided_date_et, close_date_et (Date, of the exchange's
        clock: Eastern time, whose day ends at midnight; a market that closes at midnight belongs to the day that ends).

        Needs `sync("markets", status="settled")` and `sync("candlesticks")`; the weights need `sync("trades")`. Raises UsageError for
        an unknown word and a horizon that is no time before the end.
        """
        return await labelled(self.store, Labelled.asked(horizon, price, weight, series))

    async def calibration(
        self,
        *,
        horizon: str | timedelta | Sequence[str | timedelta] = "1d",
        price: Price = "mid",
        weight: Weight = "contract-day",
        series: str | None = None,
        by: str | Sequence[str] | None = None,
        bins: int | Sequence[float | Decimal] = 10,
        confidence: float = 0.95,
        engine: FarEngine | None = None,
    ) -> Calibration:
        """How often markets at a price settled at YES: one query over the store, intervals clustered by event.

        `by` is one or several of "horizon", "category", "series_ticker", "event_ticker", "ticker", "size", "price_band". See `forecasts`
        for the price, the horizon and the weight, and `kl.calibration` for the figures. engine: a `kl.Spark` over a lake,
        which is asked instead of the store.
        """
        chosen = Labelled.asked(horizon, price, weight, series)
        weighed = None if weight == "contract-day" else weight
        words: dict[str, Any] = {"horizon": chosen.said, "weighting": WEIGHTS[weight]}
        question = calibrations.asked(by, "event_ticker", weighed, bins, confidence, **words)
        reduced = await self._reduce(engine, question.sql(chosen.reduced(question.by)), chosen.parameters)
        return await asyncio.to_thread(question.result, reduced)

    async def base_rate(
        self,
        ticker: str,
        *,
        horizon: str | timedelta | None = None,
        band: tuple[float | str | Decimal, float | str | Decimal] | None = None,
        confidence: float = 0.95,
    ) -> BaseRate:
        """How often markets like this one settled at YES: those of its series that are kept, and of them those with its type of strike.

        With `horizon` ("1d") and `band` ((0.20, 0.30) in dollars, else the ten cents in which the market stands now) also those that
        stood at such a mid price so long before their end, by what was known then: see `forecasts`.

        Needs `sync("markets", status="settled", series=...)` and `sync("events", ...)`, with a horizon `sync("candlesticks", ...)`. Raises
        NotFound for an unknown ticker, UsageError for a band without a horizon, or what is none.
        """
        if band is not None and horizon is None:
            raise UsageError("band= goes with horizon=", hint='Say how long before the end: horizon="1d"')
        market = await self.kalshi.markets.one(ticker)
        series = (market.event_ticker or ticker).split("-", 1)[0]
        near = None
        if horizon is not None:
            chosen, between = Labelled.asked(horizon, "mid", "contract-day", series), band_of(band, market.mid)
            found = (await labelled(self.store, chosen)).remove(ticker=ticker)
            kinds = await self.store.read(KINDS, [series])
            near = stood(found, kinds, between, chosen.horizons[0][0])
        reduced = await self.store.read(SETTLED + REDUCTION, [series, ticker])
        return await asyncio.to_thread(base_rate, ticker, series, market.strike_type, reduced, confidence, near=near)


class Think(Facade):
    """The blocking face of `AsyncThink`."""

    forecasts = blocking(AsyncThink.forecasts)
    calibration = blocking(AsyncThink.calibration)
    base_rate = blocking(AsyncThink.base_rate)
