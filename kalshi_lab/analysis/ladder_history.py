"""An event's ladder over time, from the quotes and candlesticks that were kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from kalshi_lab.analysis.ladder import Ladder, ladder
from kalshi_lab.errors import UsageError, one_of

if TYPE_CHECKING:
    from datetime import datetime

    from kalshi_lab.models import Event
    from kalshi_lab.store import Store

Every = Literal["1m", "1h", "1d"]
TYPES = pl.Schema(
    {
        "strike_type": pl.String(), "floor_strike": pl.Float64(), "cap_strike": pl.Float64(), "yes_bid": pl.Decimal(9, 6),
        "yes_ask": pl.Decimal(9, 6),
    }
)  # fmt: skip
PERIODS = {"1m": "minute", "1h": "hour", "1d": "day"}
# The last quote of each market in each period, at the period's end; a quote at the very end belongs to it.
REDUCTION = """
WITH chosen AS (
    SELECT ticker, event_ticker, strike_type, floor_strike, cap_strike, custom_strike FROM markets WHERE event_ticker = $1
),
seen AS (
    SELECT ticker, time, CASE WHEN gone THEN NULL ELSE yes_bid END AS yes_bid, CASE WHEN gone THEN NULL ELSE yes_ask END AS yes_ask
    FROM quotes WHERE ticker IN (SELECT ticker FROM chosen)
    UNION ALL
    SELECT ticker, end_time, yes_bid_close, yes_ask_close FROM candlesticks WHERE ticker IN (SELECT ticker FROM chosen)
),
placed AS (
    SELECT *, CASE WHEN time = date_trunc('{period}', time) THEN time
                   ELSE date_trunc('{period}', time) + INTERVAL '1' {period} END AS period_end FROM seen
),
ranked AS (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY ticker, period_end ORDER BY time DESC) AS place FROM placed
)
SELECT chosen.*, ranked.period_end AS time, ranked.yes_bid, ranked.yes_ask
FROM chosen LEFT JOIN ranked ON ranked.ticker = chosen.ticker AND ranked.place = 1
ORDER BY chosen.ticker, ranked.period_end
"""
QUESTIONS = {every: REDUCTION.format(period=period) for every, period in PERIODS.items()}


def of_event(event: Event, **options: Any) -> Ladder:
    """The ladder of an event as its markets are quoted. Raises UsageError where it has no markets."""
    rows = [
        {
            "event_ticker": event.event_ticker, "strike_type": market.strike_type, "floor_strike": market.floor_strike,
            "cap_strike": market.cap_strike, "custom_strike": str(market.custom_strike or ""), "yes_bid": market.yes_bid,
            "yes_ask": market.yes_ask,
        }
        for market in event.markets
    ]  # fmt: skip
    if not rows:
        raise UsageError(f"the event {event.event_ticker} holds no markets")
    return ladder(pl.DataFrame(rows, schema_overrides=TYPES), **options)


async def kept(store: Store, event: str, *, every: str, since: datetime | None, until: datetime | None) -> pl.DataFrame:
    """Every market of an event at the end of each period in which one of them changed; one question to the store."""
    rows = await store.read(QUESTIONS[one_of("every", every, QUESTIONS)], [event])
    if rows.is_empty():
        hint = 'Keep it first: lab.snapshot() or lab.sync("markets", ...)'
        raise UsageError(f"the store knows no event {event}", hint=hint)
    return filled(rows, since=since, until=until)


def filled(rows: pl.DataFrame, *, since: datetime | None, until: datetime | None) -> pl.DataFrame:
    """The last quotes of each period carried forward to every later one; null before a market's first."""
    times = rows.select(pl.col("time").drop_nulls().unique().sort())
    markets = rows.drop("time", "yes_bid", "yes_ask").unique("ticker", maintain_order=True)
    quotes = rows.select("ticker", "time", "yes_bid", "yes_ask", changed=True).drop_nulls("time")
    joined = markets.join(times, how="cross").join(quotes, on=["ticker", "time"], how="left").sort("ticker", "time")
    # a market that left has a row without quotes, which must not be bridged by older ones
    last = joined.with_columns(pl.when("changed").then("time").forward_fill().over("ticker").alias("as_of"))
    whole = last.drop("yes_bid", "yes_ask", "changed").join(
        quotes.select("ticker", "yes_bid", "yes_ask", as_of="time"), on=["ticker", "as_of"], how="left"
    )
    if since is not None:
        whole = whole.filter(pl.col("time") >= since)
    return whole if until is None else whole.filter(pl.col("time") < until)
