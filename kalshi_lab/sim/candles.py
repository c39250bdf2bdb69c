"""Candlesticks of one market, from its trades and from the path of its best quotes.

A period is (end - length, end]; daily ones end at midnight in New York. A quote that stands when a period begins is its open; before
the first quote of its life a market shows no bid and an ask of one dollar.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from kalshi_lab.sim.paths import STEPS
from kalshi_lab.sim.wire import DAY, DOLLAR, SECOND, eastern_offset

if TYPE_CHECKING:
    from kalshi_lab.sim.draws import Ints
    from kalshi_lab.sim.tape import Tape

HOUR = 3600
KEPT_PATHS = 256


@dataclass(frozen=True, slots=True)
class Span:
    """Open, low, high and close in 1/10,000 dollars."""

    open: int
    low: int
    high: int
    close: int


@dataclass(frozen=True, slots=True)
class Candle:
    """One period; `price` is None when nothing traded in it, `previous` None before the first trade."""

    end: int
    bid: Span
    ask: Span
    price: Span | None
    mean: int | None
    previous: int | None
    volume: int
    interest: int


def period_ends(first: int, last: int, minutes: int) -> list[int]:
    """The ends of periods in [first, last], Unix seconds."""
    if minutes * 60 != DAY:
        length = minutes * 60
        return list(range(-(-first // length) * length, last + 1, length))
    days = range(first // DAY - 1, last // DAY + 2)
    midnights = (day * DAY - eastern_offset(day * DAY + 5 * HOUR) for day in days)
    return [end for end in midnights if first <= end <= last]


def period_start(end: int, minutes: int) -> int:
    """When the period that ends at `end` begins."""
    return (
        period_ends(end - minutes * 60 - 2 * HOUR, end - 1, minutes)[-1] if minutes * 60 == DAY else end - minutes * 60
    )


class Candles:
    """Makes the candles of a world's markets."""

    def __init__(self, tape: Tape) -> None:
        self.tape, self.quotes = tape, tape.quotes
        self.events, self.markets = tape.events, tape.markets
        self._path = lru_cache(maxsize=KEPT_PATHS)(self._quoted)

    def between(self, market: int, first: int, last: int, minutes: int, now: int) -> list[Candle]:
        """The market's candles whose periods end in [first, last] and are over by `now` (microseconds), oldest first."""
        event = int(self.markets.event[market])
        opened, closed = int(self.events.open[event]), int(self.events.close[event])
        longest = minutes * 60 + 2 * HOUR
        ends = period_ends(
            max(first, opened // SECOND + 1), min(last, now // SECOND, closed // SECOND + longest), minutes
        )
        ends = [end for end in ends if period_start(end, minutes) * SECOND < closed]
        return self._made(market, [period_start(end, minutes) for end in ends], ends, now) if ends else []

    def last_before(self, market: int, moment: int, minutes: int, now: int) -> Candle | None:
        """The last candle that ends before `moment`."""
        event = int(self.markets.event[market])
        closed = int(self.events.close[event]) // SECOND + minutes * 60 + 2 * HOUR
        latest = min(moment - 1, now // SECOND, closed)
        found = self.between(market, latest - minutes * 60 - 2 * HOUR, latest, minutes, now)
        return found[-1] if found else None

    def _quoted(self, market: int) -> tuple[Ints, Ints, Ints]:
        """When each quote of the market's life began, and the quotes; the first row is the empty book before them."""
        event, steps = self.markets.event[market], np.arange(STEPS)
        times = self.quotes.paths.moment(event, steps)
        keep = times < self.events.close[event]
        bid, ask = self.quotes.best(np.array([market]), steps[keep])
        before = np.array([np.iinfo(np.int64).min])
        return np.concatenate([before, times[keep]]), np.concatenate([[0], bid]), np.concatenate([[DOLLAR], ask])

    def _made(self, market: int, starts: list[int], ends: list[int], now: int) -> list[Candle]:
        first, last = np.array(starts) * SECOND, np.array(ends) * SECOND
        times, bid, ask = self._path(market)
        low, high = np.searchsorted(times, first, side="left") - 1, np.searchsorted(times, last, side="right")
        bids, asks = _spans(bid, low, high), _spans(ask, low, high)
        trades = self.tape.of(market, now)
        start, end = (np.searchsorted(trades.time, edge, side="right").tolist() for edge in (first, last))
        sums = np.concatenate([[0], np.cumsum(trades.count)])
        paid = np.concatenate([[0], np.cumsum(trades.count * trades.price)])
        interest = self.tape.interest(np.array([market]), sums[end]).tolist()
        made = []
        for row, at in enumerate(ends):
            opens, closes = start[row], end[row]
            volume = int(sums[closes] - sums[opens])
            mean = int((paid[closes] - paid[opens] + volume // 2) // volume) if volume else None
            price = _span(trades.price[opens:closes]) if volume else None
            previous = int(trades.price[opens - 1]) if opens else None
            made.append(Candle(at, bids[row], asks[row], price, mean, previous, volume, interest[row]))
        return made


def _span(prices: Ints) -> Span:
    return Span(int(prices[0]), int(prices.min()), int(prices.max()), int(prices[-1]))


def _spans(values: Ints, low: Ints, high: Ints) -> list[Span]:
    """The open, low, high and close of values[low:high] for each pair."""
    padded = np.append(values, values[-1])
    pairs = np.stack([low, high], axis=1).ravel()
    lows, highs = np.minimum.reduceat(padded, pairs)[::2], np.maximum.reduceat(padded, pairs)[::2]
    rows = zip(values[low].tolist(), lows.tolist(), highs.tolist(), values[high - 1].tolist(), strict=True)
    return [Span(*row) for row in rows]
