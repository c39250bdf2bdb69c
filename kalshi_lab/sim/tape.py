"""Every trade of every market, past and to come; what is visible depends on the clock alone.

Times are a Poisson process given its number of points, denser towards the close; the taker of YES pays the ask, the taker of NO
sells to the bid, and which of them comes leans a little towards the truth. Made in blocks of 1,024 markets when first needed.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from kalshi_lab.sim.catalog import SERIES
from kalshi_lab.sim.draws import Bools, Floats, Ints, normal, uniform
from kalshi_lab.sim.wire import DOLLAR

if TYPE_CHECKING:
    from kalshi_lab.sim.quotes import Quotes

BLOCK = 1024
KEPT_BLOCKS = 2048
MOST = 400
_TAPE = 0x5450
_MEAN = np.array([spec.trades for spec in SERIES])
_SHIFT = np.int64(1) << 51


@dataclass(frozen=True, slots=True)
class Trades:
    """Rows by market, then time; prices in 1/10,000 dollars, counts in 1/100 contracts, `serial` counts within a market."""

    market: Ints
    time: Ints
    price: Ints
    count: Ints
    yes: Bools
    block: Bools
    serial: Ints

    def __len__(self) -> int:
        return len(self.time)

    def at(self, rows: Ints | slice) -> Trades:
        """Some of the rows."""
        return Trades(*(getattr(self, name)[rows] for name in Trades.__slots__))


@dataclass(frozen=True, slots=True)
class Totals:
    """What the trades of some markets add up to: the last price (0 without a trade), contracts, and contracts still open."""

    last: Ints
    volume: Ints
    interest: Ints


class Tape:
    """The trades of a world; `activity` scales how many there are."""

    def __init__(self, quotes: Quotes, activity: float) -> None:
        self.quotes, self.seed, self.activity = quotes, quotes.seed, activity
        self.events, self.markets = quotes.events, quotes.markets
        self._blocks: OrderedDict[int, tuple[Trades, Ints, Ints]] = OrderedDict()

    def of(self, market: int, now: int) -> Trades:
        """One market's trades up to and including `now`, oldest first."""
        trades, keys, _ = self._block(market // BLOCK)
        low, high = (int(np.searchsorted(keys, self._key(market, moment), side="right")) for moment in (-1, now))
        return trades.at(slice(low, high))

    def totals(self, markets: Ints, now: int) -> Totals:
        """Last price, volume and open interest of each market at `now`."""
        last, volume = np.zeros(len(markets), dtype=np.int64), np.zeros(len(markets), dtype=np.int64)
        for block in np.unique(markets // BLOCK).tolist():
            rows = np.flatnonzero(markets // BLOCK == block)
            trades, keys, sums = self._block(block)
            start = np.searchsorted(keys, self._key(markets[rows], -1), side="right")
            end = np.searchsorted(keys, self._key(markets[rows], now), side="right")
            volume[rows] = sums[end] - sums[start]
            if len(trades):
                last[rows] = np.where(end > start, trades.price[np.maximum(end - 1, 0)], 0)
        return Totals(last, volume, self.interest(markets, volume))

    def interest(self, market: Ints, volume: Ints) -> Ints:
        """Contracts still open after so much volume: a share that is each market's own."""
        return (volume * (0.35 + 0.6 * uniform(self.seed, _TAPE, 1, market))).astype(np.int64)

    @cached_property
    def everything(self) -> Trades:
        """All trades of the world, oldest first."""
        blocks = [self._block(block)[0] for block in range(-(-len(self.markets) // BLOCK))]
        merged = Trades(*(np.concatenate([getattr(block, name) for block in blocks]) for name in Trades.__slots__))
        return merged.at(np.argsort(merged.time, kind="stable"))

    def grew(self) -> None:
        """Make the last block of markets, and the list of all trades, anew when they are needed."""
        self.__dict__.pop("everything", None)
        self._blocks.pop((len(self.markets) - 1) // BLOCK, None)

    def _key(self, market: Ints | int, time: int) -> Ints:
        return np.asarray(market % BLOCK) * _SHIFT + time

    def _block(self, block: int) -> tuple[Trades, Ints, Ints]:
        if block not in self._blocks:
            trades = self._made(np.arange(block * BLOCK, min((block + 1) * BLOCK, len(self.markets))))
            sums = np.concatenate([[0], np.cumsum(trades.count)])
            self._blocks[block] = trades, trades.market % BLOCK * _SHIFT + trades.time, sums
        self._blocks.move_to_end(block)
        while len(self._blocks) > KEPT_BLOCKS:
            self._blocks.popitem(last=False)
        return self._blocks[block]

    def _made(self, markets: Ints) -> Trades:
        mean = _MEAN[self.events.series[self.markets.event[markets]]] * self.activity
        many = np.minimum(
            mean * np.exp(0.9 * normal(self.seed, _TAPE, 2, markets) - 0.4) + uniform(self.seed, _TAPE, 3, markets),
            MOST,
        )
        many = np.where(np.logical_or(*self.quotes.sides(markets)), many.astype(np.int64), 0)
        market = np.repeat(markets, many)
        serial = np.arange(len(market)) - np.repeat(np.cumsum(many) - many, many)
        time = self._times(market, serial)
        order = np.lexsort((time, market))
        return self._priced(market, self._bunched(market, serial, time[order]), serial)

    def _times(self, market: Ints, serial: Ints) -> Ints:
        event = self.markets.event[market]
        share = uniform(self.seed, _TAPE, 4, market, serial) ** 0.8
        life = self.events.close[event] - self.events.open[event]
        return self.events.open[event] + 1 + (share * (life - 1)).astype(np.int64)

    def _bunched(self, market: Ints, serial: Ints, time: Ints) -> Ints:
        """Some takers meet several makers: those trades share one time."""
        leads = (uniform(self.seed, _TAPE, 5, market, serial) > 0.12) | (serial == 0)
        return time[np.maximum.accumulate(np.where(leads, np.arange(len(time)), 0))] if len(time) else time

    def _priced(self, market: Ints, time: Ints, serial: Ints) -> Trades:
        step = self.quotes.paths.step(self.markets.event[market], time)
        chance = self.quotes.paths.probability(market, step)
        bid, ask = self.quotes.best(market, step, chance)
        lean = 0.5 + 0.5 * (chance - (bid + ask) / (2 * DOLLAR))
        yes = uniform(self.seed, _TAPE, 6, market, time) < lean
        yes = np.where(ask >= DOLLAR, False, np.where(bid <= 0, True, yes))
        block = uniform(self.seed, _TAPE, 7, market, serial) < 0.003
        traded = Trades(market, time, np.where(yes, ask, bid), self._counts(market, serial, block), yes, block, serial)
        return traded.at(np.flatnonzero((traded.price > 0) & (traded.price < DOLLAR)))

    def _counts(self, market: Ints, serial: Ints, block: Bools) -> Ints:
        size: Floats = np.exp(2.6 + 1.4 * normal(self.seed, _TAPE, 8, market, serial)) * np.where(block, 5_000.0, 100.0)
        whole = uniform(self.seed, _TAPE, 9, market, serial) < 0.65
        return np.where(whole, np.ceil(size / 100) * 100, np.ceil(size)).astype(np.int64)
