"""Analyses over the store, and theses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

from kalshi_lab.analysis.calibration import calibration
from kalshi_lab.analysis.labelled import labelled
from kalshi_lab.lab.verbs import Verbs
from kalshi_lab.portal import Facade, blocking
from kalshi_lab.research import thesis as research

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal

    import polars as pl

    from kalshi_lab.analysis.result import Calibration
    from kalshi_lab.research import Thesis


class AsyncThink(Verbs):
    """Think: analyses and theses."""

    async def forecasts(
        self, *, horizon: str = "1d", price: Literal["mid", "last"] = "mid", series: str | None = None
    ) -> pl.DataFrame:
        """Settled markets that the store knows, each with the price known `horizon` before its close, and its outcome.

        Columns: ticker, event_ticker, series_ticker, category, price Float64 dollars (null where there was no real quote, or no trade),
        outcome Int8 (1 for YES, 0 for NO, null for neither), decided_at, priced_at, close_time. Needs `sync("markets", status="settled")`
        and `sync("candlesticks")`.
        """
        return await labelled(self.store, horizon=horizon, price=price, series=series)

    async def calibration(
        self,
        *,
        horizon: str = "1d",
        price: Literal["mid", "last"] = "mid",
        series: str | None = None,
        by: str | Sequence[str] | None = None,
        bins: int | Sequence[float | Decimal] = 10,
    ) -> Calibration:
        """How often markets at a price settled at YES: over the store, one row for each market, intervals clustered by event.

        See `forecasts` for the price and the horizon, and `kalshi_lab.calibration` for the figures.
        """
        known = await self.forecasts(horizon=horizon, price=price, series=series)
        return await asyncio.to_thread(calibration, known, cluster="event_ticker", by=by, bins=bins)

    async def thesis(
        self,
        name: str,
        *,
        tickers: str | Iterable[str] | None = None,
        probability: float | str | Decimal | Mapping[str, float | str | Decimal] | None = None,
        because: str = "",
        status: str | None = None,
    ) -> Thesis:
        """Write a thesis down, or look at one: with tickers and a probability of YES it is kept with the prices of this moment.

        With the name alone it is shown as it stands, and resolved from the exchange's own results once they are there.
        """
        chosen: dict[str, Any] = {"tickers": tickers, "probability": probability, "because": because, "status": status}
        return await research.thesis(self.kalshi, self.store, self.clock, name, **chosen)

    async def theses(self) -> pl.DataFrame:
        """All theses at their latest version, a row for each market: your probability, the price then, the result, Brier scores."""
        return await research.theses(self.store)


class Think(Facade):
    """The blocking face of `AsyncThink`."""

    forecasts = blocking(AsyncThink.forecasts)
    calibration = blocking(AsyncThink.calibration)
    thesis = blocking(AsyncThink.thesis)
    theses = blocking(AsyncThink.theses)
