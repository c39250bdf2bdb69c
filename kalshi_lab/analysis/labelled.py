"""Outcome-labelled data: what each settled market cost at a fixed time before its close, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from kalshi_lab.clock import span
from kalshi_lab.errors import one_of
from kalshi_lab.models.quote import mids
from kalshi_lab.store import queries

if TYPE_CHECKING:
    from kalshi_lab.store import Store

KEPT = ("ticker", "event_ticker", "series_ticker", "category")


async def labelled(store: Store, *, horizon: str, price: str, series: str | None) -> pl.DataFrame:
    """A row for each settled market in the store, with the price known `horizon` before its close; see `AsyncLab.forecasts`.

    The price comes from the last candlestick that had ended by then, so that nothing later can leak into it.
    """
    one_of("price", price, ["mid", "last"])
    seconds = int(span(horizon, what="horizon").total_seconds())
    known = await queries.forecasts(store, f"{seconds} seconds", series)
    chosen = mids() if price == "mid" else pl.col("last_price").cast(pl.Float64)
    outcome = pl.when(pl.col("result") == "yes").then(1).when(pl.col("result") == "no").then(0).cast(pl.Int8)
    return known.select(*KEPT, chosen.alias("price"), outcome.alias("outcome"), "decided_at", "priced_at", "close_time")
