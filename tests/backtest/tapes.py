"""Small pasts, made by hand: quotes, books and trades of one market A, times in minutes after the start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

import kalshi_lab as kl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

START = datetime(2026, 11, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TIME = pl.Datetime("us", "UTC")
Plan = dict[float, "Callable[[kl.View], list[Any]]"]


def at(minutes: float) -> datetime:
    return START + minutes * MINUTE


def quotes(*rows: tuple[Any, ...]) -> pl.DataFrame:
    """minute, bid, ask, and their sizes where they are known."""
    number = pl.Float64
    schema = {
        "ticker": pl.String,
        "time": TIME,
        "yes_bid": number,
        "yes_ask": number,
        "yes_bid_size": number,
        "yes_ask_size": number,
    }
    return pl.DataFrame(
        [("A", at(m), bid, ask, *(more or (None, None))) for m, bid, ask, *more in rows], schema=schema, orient="row"
    )


def trades(*rows: tuple[float, float, float, str | None]) -> pl.DataFrame:
    """minute, price of YES, contracts, the side that the taker bought."""
    schema = {"ticker": pl.String, "time": TIME, "yes_price": pl.Float64, "count": pl.Float64, "taker_side": pl.String}
    return pl.DataFrame([("A", at(m), *row) for m, *row in rows], schema=schema, orient="row")


def books(*rows: tuple[float, Mapping[float, float] | None, Mapping[float, float]]) -> pl.DataFrame:
    """minute, bids and asks of YES as contracts by price; None for bids where the book is not known from then on."""
    made: list[tuple[Any, ...]] = []
    for minute, bids, asks in rows:
        if bids is None or not (bids or asks):
            made.append(("A", at(minute), None, None, None if bids is None else 0.0))
            continue
        made += [
            ("A", at(minute), side, *level) for side, one in (("bid", bids), ("ask", asks)) for level in one.items()
        ]
    schema = {"ticker": pl.String, "time": TIME, "side": pl.String, "price": pl.Float64, "size": pl.Float64}
    return pl.DataFrame(made, schema=schema, orient="row")


def results(minute: float | None = 600, result: str = "yes", close: float | None = None) -> pl.DataFrame:
    schema = {"ticker": pl.String, "time": TIME, "result": pl.String, "close_time": TIME}
    rows = [] if minute is None else [("A", at(minute), result, None if close is None else at(close))]
    return pl.DataFrame(rows, schema=schema, orient="row")


def run(plan: Plan, **frames: Any) -> kl.Backtest:
    """Ask a plan at its minutes, without fees unless they are given."""
    given = {"quotes": quotes(), "results": results(), "fees": None, **frames}
    by_time = {at(minute): order for minute, order in plan.items()}
    markets = pl.DataFrame({"ticker": ["A"], "event_ticker": ["A"], "open_time": [START - MINUTE]})
    if "markets" not in given:
        given["markets"] = markets
    return kl.backtest(lambda view: by_time[view.time](view), times=sorted(by_time), **given)


def nothing(_view: kl.View) -> list[Any]:
    return []


def fills(result: kl.Backtest) -> list[tuple[Any, ...]]:
    """minute, contracts, price and source of every fill."""
    minutes = (pl.col("time") - START).dt.total_seconds() / 60
    return result.trades.select(minutes, "count", "price", "filled_by").rows()
