"""What makers show: a price near the truth with a planted bias, a spread, and a book of bids on both sides.

Planted: log-odds are shrunk by `longshot_bias`, so cheap contracts cost too much and dear ones too little; makers err by
`maker_noise` in log-odds; half the spread is `maker_edge` dollars for a typical market at even odds, more while much time is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kalshi_lab.sim.catalog import SERIES
from kalshi_lab.sim.draws import Bools, Floats, Ints, expit, logit, normal, uniform
from kalshi_lab.sim.layout import COMBINED
from kalshi_lab.sim.paths import STEPS
from kalshi_lab.sim.wire import DOLLAR, SECOND

if TYPE_CHECKING:
    from kalshi_lab.sim.paths import Paths
    from kalshi_lab.sim.planted import Still

_QUOTE, _SIZE = 0x5154, 0x535A
MINUTE = 60 * SECOND
DEPTH = 8
Levels = list[tuple[int, int]]
_STRUCTURE = np.array([("linear_cent", "deci_cent", "tapered_deci_cent").index(spec.grid) for spec in SERIES])
_EDGE = DOLLAR // 10


@dataclass(frozen=True, slots=True)
class Biases:
    """What the makers do wrong, on purpose: see the module's first lines."""

    longshot_bias: float = 0.08
    maker_edge: float = 0.008
    maker_noise: float = 0.06


def tick(structure: Ints, price: Ints | Floats) -> Ints:
    """The grid's step around a price, both in 1/10,000 dollars."""
    outer = (price < _EDGE) | (price > DOLLAR - _EDGE)
    return np.where((structure == 1) | ((structure == 2) & outer), 10, 100)


class Quotes:
    """Best bids and asks, and books, of any market at any step of its life."""

    def __init__(self, paths: Paths, biases: Biases) -> None:
        self.paths, self.biases, self.seed = paths, biases, paths.seed
        self.events, self.markets = paths.events, paths.markets
        self.extra: Ints | None = None
        self.still: Still | None = None
        self.version = 0

    def believed(self, market: Ints, step: Ints, chance: Floats) -> Floats:
        """The makers' own probability: the true `chance`, shrunk towards even odds, plus their error."""
        chance = np.clip(chance, 1e-4, 1 - 1e-4)
        error = self.biases.maker_noise * normal(self.seed, _QUOTE, 1, market, step)
        return expit((1.0 - self.biases.longshot_bias) * logit(chance) + error)

    def sides(self, market: Ints) -> tuple[Bools, Bools]:
        """Whether anybody bids for YES, and whether anybody bids for NO: some markets have one side or none."""
        draw = uniform(self.seed, _QUOTE, 2, market)
        combo = self.events.shape[self.markets.event[market]] == COMBINED
        no_yes = np.where(combo, draw < 0.85, draw < 0.04)
        no_no = np.where(combo, draw < 0.15, (draw < 0.02) | (draw > 0.99))
        return ~no_yes, ~no_no

    def best(self, market: Ints, step: Ints, chance: Floats | None = None) -> tuple[Ints, Ints]:
        """Best YES bid and ask in 1/10,000 dollars; 0 and 10,000 where there is none. `chance` is the truth where it is known already."""
        belief = self.believed(market, step, self.paths.probability(market, step) if chance is None else chance)
        half = (
            self.biases.maker_edge
            * self._width(market)
            * (0.5 + (1.0 - step / STEPS))
            * (0.4 + 2.4 * belief * (1.0 - belief))
        )
        structure = _STRUCTURE[self.events.series[self.markets.event[market]]]
        low, high = np.maximum(belief - half, 0.0) * DOLLAR, np.minimum(belief + half, 1.0) * DOLLAR
        bid = (low // tick(structure, low)).astype(np.int64) * tick(structure, low)
        ask = -(-high // tick(structure, high)).astype(np.int64) * tick(structure, high)
        has_bid, has_ask = self.sides(market)
        bid, ask = np.where(has_bid, bid, 0), np.where(has_ask, ask, DOLLAR)
        if self.still is None:
            return bid, ask
        fixed = self.still.size[market] >= 0
        return np.where(fixed, self.still.bid[market], bid), np.where(fixed, self.still.ask[market], ask)

    def _width(self, market: Ints) -> Floats:
        return np.exp(0.5 * normal(self.seed, _QUOTE, 3, market))

    def sizes(self, market: Ints, now: int, side: int, level: Ints | int) -> Ints:
        """Contracts at a level of one side (1 YES, 0 NO), in 1/100; they change by the minute, and by what stirs them."""
        minute = now // MINUTE
        keys = (self.seed, _SIZE, side, minute)
        size = np.exp(4.2 + 1.3 * normal(*keys, market, level)) * 100
        whole = uniform(*keys, 1, market, level) < 0.7
        found = np.maximum(np.where(whole, np.round(size / 100) * 100, size), 1).astype(np.int64)
        if self.still is not None:
            found = np.where(self.still.size[market] >= 0, self.still.size[market], found)
        return found if self.extra is None else found + self.extra[market, side, level]

    def stir(self, market: int, side: int, level: int, extra: int) -> int:
        """Put so many more contracts (in 1/100) at a level; gives the change against what was there so far."""
        if self.extra is None:
            self.extra = np.zeros((len(self.markets), 2, DEPTH), dtype=np.int64)
        change = extra - int(self.extra[market, side, level])
        self.extra[market, side, level] = extra
        self.version += 1
        return change

    def book(self, market: int, step: int, now: int) -> tuple[Levels, Levels]:
        """YES bids and NO bids as (price, contracts), ascending: the best is the last."""
        return self.books(np.array([market]), np.array([step]), now)[0]

    def grew(self) -> None:
        """Make room for new markets in what stirs the sizes."""
        if self.still is not None:
            self.still = self.still.grown(len(self.markets))
        if self.extra is not None:
            missing = len(self.markets) - len(self.extra)
            self.extra = np.concatenate([self.extra, np.zeros((missing, 2, DEPTH), dtype=np.int64)])

    def books(self, market: Ints, step: Ints, now: int) -> list[tuple[Levels, Levels]]:
        """As `book`, of many markets."""
        bid, ask = self.best(market, step)
        return list(zip(self._ladders(market, bid, 1, now), self._ladders(market, DOLLAR - ask, 0, now), strict=True))

    def _ladders(self, market: Ints, best: Ints, side: int, now: int) -> list[Levels]:
        structure = _STRUCTURE[self.events.series[self.markets.event[market]]]
        depth = 1 + (uniform(self.seed, _QUOTE, 4, market) * DEPTH).astype(np.int64)
        if self.still is not None:
            depth = np.where(self.still.size[market] >= 0, 1, depth)
        row, level = market[:, np.newaxis], np.arange(DEPTH)
        gaps = 1 + (uniform(self.seed, _QUOTE, 5 + side, row, level) ** 2 * 4).astype(np.int64)
        columns = [best]
        for gap in gaps.T[1:]:
            price = columns[-1] - gap * tick(structure, columns[-1])
            columns.append(price - price % tick(structure, price))
        prices = np.stack(columns, axis=1)
        many = ((prices > 0) & (level < depth[:, np.newaxis])).sum(axis=1).tolist()
        sizes = self.sizes(row, now, side, level).tolist()
        return [
            list(zip(price[:shown], size[:shown], strict=True))[::-1]
            for price, size, shown in zip(prices.tolist(), sizes, many, strict=True)
        ]
