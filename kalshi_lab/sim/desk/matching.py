"""One market's book: price-time priority among members, beside the quotes of the synthetic world.

Prices are whole 1/10,000 dollars of YES, counts whole 1/100 contracts. The world's quotes are given to each call; what members took of
a quote stays gone until that quote changes. A resting order waits behind the quote that stood when it came.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from kalshi_lab.sim.wire import DOLLAR

if TYPE_CHECKING:
    from collections.abc import Iterator

Prevention = Literal["taker_at_cross", "maker"]
Levels = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Quotes:
    """What the world shows at a moment: contracts by price, both as prices of YES. A new `stamp` renews every quote."""

    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    stamp: int = 0

    def side(self, *, buys: bool) -> dict[int, int]:
        """The bids, or the asks."""
        return self.bids if buys else self.asks


@dataclass(slots=True, eq=False)
class Resting:
    """An order of a member in the book; `ahead` are the world's contracts that go first at its price."""

    id: str
    owner: str
    buys: bool
    price: int
    left: int
    serial: int = field(default=0, init=False)
    ahead: int = field(default=0, init=False)


@dataclass(frozen=True, slots=True)
class Match:
    """So many contracts at a price, with a member's order or (None) with the world."""

    price: int
    count: int
    maker: Resting | None


@dataclass(slots=True)
class Plan:
    """What would happen to an incoming order: `left` contracts find nobody, or were `stopped` by the owner's own order."""

    buys: bool
    left: int
    matches: list[Match] = field(default_factory=list)
    withdrawn: list[Resting] = field(default_factory=list)
    stopped: bool = False


class Book:
    """The orders of members in one market."""

    def __init__(self) -> None:
        self._sides: dict[bool, list[Resting]] = {True: [], False: []}
        self._taken: dict[tuple[bool, int], tuple[int, int, int]] = {}
        self._serial = 0

    def __len__(self) -> int:
        return len(self._sides[True]) + len(self._sides[False])

    def __iter__(self) -> Iterator[Resting]:
        yield from (*self._sides[True], *self._sides[False])

    def side(self, *, buys: bool) -> list[Resting]:
        """The resting orders of one side, the first to be filled first."""
        return self._sides[buys]

    def free(self, quotes: Quotes, price: int, *, buys: bool) -> int:
        """What is left of a quote of the world after what members took; a quote that a member's order meets is withheld."""
        shown = quotes.side(buys=buys).get(price, 0)
        stamp, raw, taken = self._taken.get((buys, price), (-1, 0, 0))
        if (stamp, raw) == (quotes.stamp, shown):
            shown -= taken
        against = self._sides[not buys]
        meets = bool(against) and (price >= against[0].price if buys else price <= against[0].price)
        return 0 if meets else shown

    def plan(self, incoming: Resting, quotes: Quotes, prevention: Prevention) -> Plan:
        """Who would trade with an incoming order at its limit or better, by price and then time. Changes nothing."""
        plan = Plan(incoming.buys, incoming.left)
        for price in self._prices(incoming, quotes):
            self._at(price, incoming, quotes, prevention, plan)
            if plan.stopped or not plan.left:
                break
        return plan

    def _prices(self, incoming: Resting, quotes: Quotes) -> list[int]:
        against = not incoming.buys
        found = {order.price for order in self._sides[against]} | set(quotes.side(buys=against))
        return sorted((price for price in found if _reaches(incoming, price)), reverse=against)

    def _at(self, price: int, incoming: Resting, quotes: Quotes, prevention: Prevention, plan: Plan) -> None:
        against = not incoming.buys
        free, taken = self.free(quotes, price, buys=against), 0
        for maker in [order for order in self._sides[against] if order.price == price]:
            first = min(plan.left, free - taken, max(0, maker.ahead - taken))
            taken += _matched(plan, price, first, None)
            if not plan.left:
                return
            if maker.owner != incoming.owner:
                _matched(plan, price, min(plan.left, maker.left), maker)
            elif prevention == "maker":
                plan.withdrawn.append(maker)
            else:
                plan.stopped = True
                return
        _matched(plan, price, min(plan.left, free - taken), None)

    def carry_out(self, plan: Plan, quotes: Quotes) -> None:
        """Make a plan happen: makers shrink and leave, quotes of the world are used up."""
        for order in plan.withdrawn:
            self.remove(order)
        for match in plan.matches:
            if match.maker is None:
                self._use(match.price, match.count, quotes, buys=not plan.buys)
            else:
                self._fill(match.maker, match.count)

    def _use(self, price: int, count: int, quotes: Quotes, *, buys: bool) -> None:
        shown = quotes.side(buys=buys).get(price, 0)
        stamp, raw, taken = self._taken.get((buys, price), (-1, 0, 0))
        before = taken if (stamp, raw) == (quotes.stamp, shown) else 0
        self._taken[buys, price] = quotes.stamp, shown, before + count
        self._advance_queue(price, count, buys=buys)

    def _advance_queue(self, price: int, count: int, *, buys: bool) -> None:
        for order in self._sides[buys]:
            if order.price == price:
                order.ahead = max(0, order.ahead - count)

    def _fill(self, order: Resting, count: int) -> None:
        order.left -= count
        if not order.left:
            self.remove(order)

    def crosses(self, incoming: Resting, quotes: Quotes) -> bool:
        """Whether an order would trade, or meet its owner's own order, if it came now."""
        against = not incoming.buys
        best = self._sides[against][:1]
        world = [price for price in quotes.side(buys=against) if self.free(quotes, price, buys=against)]
        return any(_reaches(incoming, price) for price in [*world, *(order.price for order in best)])

    def rest(self, order: Resting, quotes: Quotes) -> None:
        """Put an order at the end of the queue at its price."""
        self._serial += 1
        order.serial, order.ahead = self._serial, self.free(quotes, order.price, buys=order.buys)
        insort(self._sides[order.buys], order, key=_priority)

    def restore(self, order: Resting) -> None:
        """Put an order back into the place that it had."""
        insort(self._sides[order.buys], order, key=_priority)

    def remove(self, order: Resting) -> None:
        """Take an order out."""
        self._sides[order.buys].remove(order)

    def queue(self, order: Resting, quotes: Quotes) -> int:
        """Contracts that go before an order at its price."""
        same = [other for other in self._sides[order.buys] if other.price == order.price]
        world = min(order.ahead, self.free(quotes, order.price, buys=order.buys))
        return world + sum(other.left for other in same if other.serial < order.serial)

    def traded(self, price: int, count: int, *, buys: bool) -> list[Match]:
        """A taker of the world traded at a price: orders priced better are filled first, then those at it after the queue ahead."""
        matches: list[Match] = []
        for order in list(self._sides[not buys]):
            if (order.price > price) if buys else (order.price < price):
                break
            if order.price == price:
                first = min(count, order.ahead)
                self._advance_queue(price, first, buys=not buys)
                count -= first
            count -= self._made(order, count, matches)
        return matches

    def crossed(self, quotes: Quotes) -> list[Match]:
        """The world's quotes moved over resting orders: these are filled at their own prices, up to what the quotes hold."""
        matches: list[Match] = []
        for buys in (True, False):
            for order in list(self._sides[buys]):
                world = quotes.side(buys=not buys)
                for price in sorted((p for p in world if _reaches(order, p)), reverse=not buys):
                    stamp, raw, taken = self._taken.get((not buys, price), (-1, 0, 0))
                    fresh = (stamp, raw) != (quotes.stamp, world[price])
                    made = self._made(order, world[price] - (0 if fresh else taken), matches)
                    self._taken[not buys, price] = quotes.stamp, world[price], made + (0 if fresh else taken)
                    if not order.left:
                        break
        return matches

    def _made(self, order: Resting, most: int, matches: list[Match]) -> int:
        count = min(most, order.left)
        if count > 0:
            matches.append(Match(order.price, count, order))
            self._fill(order, count)
        return max(0, count)

    def levels(self, quotes: Quotes) -> tuple[Levels, Levels]:
        """YES bids and NO bids, members and world together, as (price, contracts), ascending: the best is the last."""
        found: list[Levels] = []
        for buys in (True, False):
            total = {price: self.free(quotes, price, buys=buys) for price in quotes.side(buys=buys)}
            for order in self._sides[buys]:
                total[order.price] = total.get(order.price, 0) + order.left
            found.append(sorted((price if buys else DOLLAR - price, size) for price, size in total.items() if size > 0))
        return found[0], found[1]


def _matched(plan: Plan, price: int, count: int, maker: Resting | None) -> int:
    if count <= 0:
        return 0
    plan.matches.append(Match(price, count, maker))
    plan.left -= count
    return count


def _reaches(order: Resting, price: int) -> bool:
    return price <= order.price if order.buys else price >= order.price


def _priority(order: Resting) -> tuple[int, int]:
    return (-order.price if order.buys else order.price), order.serial
