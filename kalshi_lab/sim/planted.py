"""Planted arbitrages: events whose makers fell asleep over quotes that contradict one another, with the profit known to the last digit.

In a planted event every quote stands still from the beginning, one level on each side, all of one size. Kinds: "nested" (of two
neighbouring thresholds the higher is bid above the ask of the lower), "no" (the bids for the markets of an exclusive event add up to more
than a dollar, so that buying every NO is too cheap) and "yes" (their asks add up to less, so that buying every YES is). The other quotes
of the event stay so far away that nothing better can be made of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

import numpy as np

from kalshi_lab.errors import UsageError
from kalshi_lab.fees import FeeSchedule, OrderFees
from kalshi_lab.sim.draws import uniform
from kalshi_lab.sim.layout import ABOVE, GAME, LADDER
from kalshi_lab.sim.wire import DAY, DOLLAR, SECOND, count, price

if TYPE_CHECKING:
    from kalshi_lab.sim.draws import Floats, Ints
    from kalshi_lab.sim.quotes import Quotes
    from kalshi_lab.sim.world import World

_PLANT = 0x504E
CENT = 100
KINDS = {LADDER: ("no", "yes"), ABOVE: ("nested",), GAME: ("no",)}


@dataclass(frozen=True, slots=True)
class Plant:
    """One planted arbitrage: the legs to buy as (market row, whether YES, price of YES in 1/10,000 dollars), each `size` in 1/100."""

    event: int
    kind: str
    legs: tuple[tuple[int, bool, int], ...]
    size: int


@dataclass(slots=True, eq=False)
class Still:
    """Quotes that stand still: bid, ask and size of each market, -1 where its quotes move."""

    bid: Ints
    ask: Ints
    size: Ints

    @classmethod
    def none(cls, markets: int) -> Still:
        """Quotes that all move."""
        return cls(*(np.full(markets, -1, dtype=np.int64) for _ in range(3)))

    def grown(self, markets: int) -> Still:
        """The same with room for new markets."""
        more = markets - len(self.bid)
        return Still(*(np.append(known, np.full(more, -1)) for known in (self.bid, self.ask, self.size)))


def plant(world: World, wanted: int) -> tuple[Plant, ...]:
    """Let the quotes of so many events that are open at the start stand still and wrong. Raises UsageError where there are too few."""
    quotes = world.quotes
    found: list[Plant] = []
    still = Still.none(len(world.markets))
    for event in _candidates(world):
        if len(found) == wanted:
            break
        shape, place = int(world.events.shape[event]), len(found)
        kind = KINDS[shape][place // 2 % len(KINDS[shape])]
        made = _laid(world, quotes, event, kind, still)
        if made is not None:
            found.append(made)
    if len(found) < wanted:
        raise UsageError(
            f"{wanted} arbitrages are more than the {len(found)} events that can hold one", hint="Ask for more markets"
        )
    quotes.still = still
    return tuple(found)


def profit(world: World, planted: Plant) -> Decimal:
    """What the planted portfolio makes at least, in dollars, net of a direct member's fees."""
    terms = world.fee_override(planted.event)
    spec = world.names.spec(planted.event)
    schedule = FeeSchedule.of(terms or (spec.fee_type, spec.fee_multiplier))
    contracts = Decimal(count(planted.size))
    left = contracts * (len(planted.legs) - 1 if planted.kind == "no" else 1)
    for _, yes, quoted in planted.legs:
        paid = Decimal(price(quoted if yes else DOLLAR - quoted))
        left -= paid * contracts + OrderFees(schedule).add(paid, contracts).net
    return left


def _candidates(world: World) -> list[int]:
    """Events that trade at the start and for half a day on, no legs of combos: each shape in turn, in random order."""
    events, now = world.events, int(world.start.timestamp()) * SECOND
    legs = world.markets.legs
    usable = (events.open <= now) & (now + DAY * SECOND // 2 < events.close) & ~events.void & (events.pause_end == 0)
    usable[world.markets.event[legs[legs >= 0]]] = False
    draw = uniform(world.seed, _PLANT, 1, np.arange(len(events)))
    shapes = [np.flatnonzero(usable & (events.shape == shape)) for shape in KINDS]
    ranked = [rows[np.argsort(draw[rows])].tolist() for rows in shapes]
    return [event for event in chain.from_iterable(zip_longest(*ranked)) if event is not None]


def _laid(world: World, quotes: Quotes, event: int, kind: str, still: Still) -> Plant | None:
    """Fix the quotes of one event; None where its odds are too lopsided for it."""
    first, many = int(world.events.first[event]), int(world.events.count[event])
    rows = np.arange(first, first + many)
    step = world.paths.step(world.markets.event[rows], int(world.start.timestamp()) * SECOND)
    draws = uniform(world.seed, _PLANT, 2, event, np.arange(2))
    size, edge = 100 * (50 + int(draws[0] * 151)), int(draws[1] * 6)
    if kind == "nested":
        bid, ask = quotes.best(rows, step)
        low = _nested(world.paths.probability(rows, step), bid, ask, (5 + edge) * CENT)
        if low is None:
            return None
        legs: tuple[tuple[int, bool, int], ...] = (
            (first + low, True, int(ask[low])),
            (first + low + 1, False, int(bid[low + 1])),
        )
    else:
        sign = 1 if kind == "no" else -1
        wrong = _sum_to(world.paths.probability(rows, step), 100 + sign * (9 + edge))
        if wrong is None:
            return None
        bid, ask = (wrong, wrong + 2 * CENT) if kind == "no" else (np.maximum(wrong - 2 * CENT, 0), wrong)
        legs = tuple((row, kind == "yes", each) for row, each in zip(rows.tolist(), wrong.tolist(), strict=True))
    still.bid[rows], still.ask[rows], still.size[rows] = bid, ask, size
    return Plant(event, kind, legs, size)


def _nested(chance: Floats, bid: Ints, ask: Ints, edge: int) -> int | None:
    """Change quotes so that the higher of two thresholds is bid above the lower one's ask; gives the lower one's place."""
    low = int(np.argmin(np.abs(chance[:-1] - 0.5)))
    ask[low] = -(-ask[low] // CENT) * CENT
    high = ask[low] + edge
    if ask[low] < 10 * CENT or high > 90 * CENT:
        return None
    bid[low] = min(bid[low], ask[low] - 2 * CENT)
    bid[low + 1], ask[low + 1] = high, high + 2 * CENT
    ask[:low] = np.maximum(ask[:low], high + CENT)
    bid[low + 2 :] = np.minimum(bid[low + 2 :], ask[low])
    return low


def _sum_to(chance: Floats, cents: int) -> Ints | None:
    """Prices in proportion to the chances, whole cents that add up to so many."""
    prices = np.maximum(np.round(chance * cents), 1).astype(np.int64)
    prices[np.argmax(prices)] += cents - prices.sum()
    return None if prices.max() > 90 or prices.min() < 1 else prices * CENT
