"""What a thesis asks the exchange: its markets as they stand, and their prices over time."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from kalshi_lab.errors import LabError
from kalshi_lab.models import quote
from kalshi_lab.research.thesis.record import PATH, Thesis, ThesisMarket
from kalshi_lab.store import queries, writes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.store import Store

log = logging.getLogger(__name__)
BEFORE = timedelta(days=7)
HOURLY = timedelta(days=90)  # beyond that a path is drawn from days
BAR = ("ticker", "interval_minutes", "end_time")
CHARTED = 4  # markets whose candlesticks are fetched


async def path(
    kalshi: AsyncKalshi, store: Store, thesis: Thesis, until: datetime, opened: dict[str, datetime]
) -> tuple[pl.DataFrame, list[str]]:
    """The price path of a thesis, with the columns of its `path`, and what of it is missing, in words.

    What the store has of all its markets, and the candlesticks of the first four, from a week before the thesis was created, or
    from the opening of a market where that is later.
    """
    start = thesis.created_at - BEFORE
    held = await kept(store, thesis.tickers)
    first = thesis.markets[:CHARTED]
    sinces = [min(max(start, opened.get(market.ticker, start)), until - timedelta(hours=1)) for market in first]
    answers = await asyncio.gather(
        *(_bars(kalshi, market, since, until) for market, since in zip(first, sinces, strict=True))
    )
    bars = [found for found, _ in answers if found is not None]
    await _keep(store, bars, until)
    whole = (
        pl.concat(
            [held, *(_path(found, "end_time", "yes_bid_close", "yes_ask_close", "price_close") for found in bars)]
        )
        .unique(subset=["ticker", "time"], keep="first")
        .filter(pl.col("time") >= start)
        .sort("ticker", "time")
    )
    drawn = set(whole.get_column("ticker"))
    return whole, [
        f"no price path of {m.ticker} ({why})"
        for m, (_, why) in zip(first, answers, strict=True)
        if m.ticker not in drawn
    ]


async def kept(store: Store, tickers: Sequence[str]) -> pl.DataFrame:
    """What the store has of the prices of some markets, with the columns of a path."""
    return _path(await queries.price_path(store, list(tickers)), "time", "yes_bid", "yes_ask", "price")


def real(bid: Decimal | None, ask: Decimal | None) -> tuple[float | None, float | None]:
    """A quote for a path: null where it is none."""
    if bid is None or ask is None or not quote.is_priced(bid, ask):
        return None, None
    return float(bid), float(ask)


async def _keep(store: Store, found: Sequence[pl.DataFrame], until: datetime) -> None:
    """Keep what was looked up, so that what the market said stays known; a candlestick that is not over yet is left."""
    over = [bars.filter(pl.col("end_time") <= until) for bars in found]
    rows = [bars for bars in over if bars.height]
    if rows:
        await store.write(
            lambda connection: writes.insert_new(connection, "candlesticks", BAR, pl.concat(rows, how="diagonal"))
        )


async def _bars(
    kalshi: AsyncKalshi, market: ThesisMarket, since: datetime, until: datetime
) -> tuple[pl.DataFrame | None, str]:
    """Candlesticks, live or from the archive; without them a thesis is still a thesis, so an error is told, not raised."""
    interval = "1h" if until - since <= HOURLY else "1d"
    try:
        bars = await kalshi.markets.candlesticks(market.ticker, interval, since=since, until=until, exact=True)
        if bars.is_empty() and market.result is not None:
            bars = await kalshi.historical.candlesticks(market.ticker, interval, since=since, until=until, exact=True)
    except LabError as error:
        log.warning("no candlesticks of %s: %s", market.ticker, error)
        return None, f"{type(error).__name__}: {error}"
    return bars, "nothing was quoted"


def _path(rows: pl.DataFrame, time: str, bid: str, ask: str, price: str) -> pl.DataFrame:
    """Rows with prices as rows of a path; sides that make no real quote, and prices before the first trade, are null."""
    real = quote.priced(bid, ask)
    values = {
        "bid": pl.when(real).then(bid),
        "ask": pl.when(real).then(ask),
        "price": pl.when(pl.col(price) > 0).then(price),
    }
    return rows.select("ticker", pl.col(time).alias("time"), **values).cast(pl.Schema(PATH))
