"""What was thought over time: your probability and the market's price, averaged over the time that a thesis was active."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from kalshi_lab.models import quote
from kalshi_lab.research.thesis.scoring import Held

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from kalshi_lab.research.thesis.record import Thesis, ThesisMarket

ACTIVE = "active"
FRESH = timedelta(days=1)  # a quote tells nothing of the price later than that, where no other follows


class Span(NamedTuple):
    """A value that held from one moment to another."""

    start: datetime
    end: datetime
    value: float


def each(thesis: Thesis) -> dict[str, Held | str]:
    """For each settled market what was held of it, or why that is not known; nothing of a thesis without a history."""
    if thesis.history.is_empty():
        return {}
    return {market.ticker: held(thesis, market) for market in thesis.markets if market.outcome is not None}


def held(thesis: Thesis, market: ThesisMarket) -> Held | str:
    """The Brier scores of you and of the market, each second of the time in which both are known counting once."""
    end = market.ended_at or thesis.resolved_at
    if market.outcome is None or end is None:
        return "it is not known when it ended"
    own = list(said(thesis.history, market.ticker, end))
    if not own:
        return "it was not active before the end"
    both = list(_both(own, prices(thesis, market.ticker, end)))
    seconds = math.fsum((span.end - span.start).total_seconds() for span, _ in both)
    if not seconds:
        return "no price of that time is known"
    paid = float(market.outcome)
    mine = math.fsum((span.end - span.start).total_seconds() * (span.value - paid) ** 2 for span, _ in both)
    theirs = math.fsum((span.end - span.start).total_seconds() * (price - paid) ** 2 for span, price in both)
    return Held(mine / seconds, theirs / seconds, seconds)


def said(history: pl.DataFrame, ticker: str, end: datetime) -> Iterator[Span]:
    """Your probability of a market while the thesis was active and the outcome open, in order; a version holds until the next."""
    versions = history.filter(pl.col("ticker") == ticker).sort("version").select("time", "status", "probability").rows()
    for place, (time, status, probability) in enumerate(versions):
        until = min(versions[place + 1][0] if place + 1 < len(versions) else end, end)
        if status == ACTIVE and time < until:
            yield Span(time, until, probability)


def prices(thesis: Thesis, ticker: str, end: datetime) -> list[Span]:
    """The middle of the market's real quotes over time: of its path, and of the moments at which versions were written."""
    path = thesis.path.filter(pl.col("ticker") == ticker).select("time", "bid", "ask")
    quoted = thesis.history.filter(pl.col("ticker") == ticker).select("quoted_at", "yes_bid", "yes_ask").unique()
    real = quoted.filter(quote.priced())
    rows = sorted({*path.rows(), *real.rows()}, key=lambda row: (row[0], row[1] or 0.0, row[2] or 0.0))
    return [span for place, row in enumerate(rows) for span in _quoted(rows, place, row, end)]


def _quoted(
    rows: Sequence[tuple[datetime, float | None, float | None]],
    place: int,
    row: tuple[datetime, float | None, float | None],
    end: datetime,
) -> Iterator[Span]:
    time, bid, ask = row
    following = rows[place + 1][0] if place + 1 < len(rows) else end
    until = min(following, end, time + FRESH)
    if bid is not None and ask is not None and time < until:
        yield Span(time, until, (bid + ask) / 2)


def _both(own: Sequence[Span], market: Sequence[Span]) -> Iterator[tuple[Span, float]]:
    """The stretches in which both are known."""
    for mine in own:
        for theirs in market:
            start, end = max(mine.start, theirs.start), min(mine.end, theirs.end)
            if start < end:
                yield Span(start, end, mine.value), theirs.value
