"""Orders that wait: filled by later trades alone, and only by those that show that they would have been.

A trade at a worse price than the order's (through it) shows it: whoever traded there would have met the order first, so it is filled up to
what was traded. A trade at its very price fills it only once the contracts that waited there before it, which only a recorded book tells,
were traded too: what others cancelled is taken to have stood behind. Without a book the queue is not known, and trades at its price fill
nothing. A trade through the price does not shorten the queue, as some trades are not of the book. Quotes that touch or cross an order fill
nothing. No trade fills more of your orders than it counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kalshi_lab.research.backtest.rules import ZERO
from kalshi_lab.research.backtest.view import Resting, exact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from decimal import Decimal

    from kalshi_lab.research.backtest.rules import Charge
    from kalshi_lab.research.backtest.view import Order


@dataclass(slots=True, eq=False)
class Working:
    """An order on its way through the market: contracts left of it and filled, and its fees so far.

    Once it waits: how many contracts did (`rested`), those ahead of it when it came (`queued`) and now (`queue`; None: not known), and
    the dollars that it binds.
    """

    order: Order
    number: int
    decided: datetime
    since: datetime
    charge: Charge
    left: Decimal
    filled: Decimal = ZERO
    rested: Decimal = ZERO
    queued: Decimal | None = None
    queue: Decimal | None = None
    bound: Decimal = ZERO

    @property
    def price(self) -> Decimal:
        """Its limit as a price of YES; what has none never waits."""
        return self.order.priced(self.order.limit or ZERO)

    @property
    def seen(self) -> Resting:
        """What a strategy sees of it."""
        return Resting(self.order, self.left, self.since, self.number)

    def passed(self, price: Decimal) -> bool:
        """Whether a trade at a price went through it."""
        return price < self.price if self.order.lifts else price > self.price

    def met(self, price: Decimal, taker: str | None) -> bool:
        """Whether a taker traded at its price with those who wait on its side."""
        return price == self.price and taker == ("no" if self.order.lifts else "yes")


@dataclass(slots=True)
class Waiting:
    """All orders that wait, by market, and what they bind."""

    by_ticker: dict[str, list[Working]] = field(default_factory=dict)
    bound: Decimal = ZERO

    def add(self, one: Working) -> None:
        """Take in an order."""
        mine = self.by_ticker.setdefault(one.order.ticker, [])
        mine.append(one)
        mine.sort(key=_priority)

    def drop(self, one: Working) -> None:
        """Take out an order, and free what it bound."""
        self.bind(one, ZERO)
        mine = self.by_ticker[one.order.ticker]
        mine.remove(one)
        if not mine:
            del self.by_ticker[one.order.ticker]

    def bind(self, one: Working, dollars: Decimal) -> None:
        """Bind so many dollars for an order, no longer what it bound before."""
        self.bound += dollars - one.bound
        one.bound = dollars

    def of(self, ticker: str) -> tuple[Working, ...]:
        """A market's orders, those that are filled first in front."""
        return tuple(self.by_ticker.get(ticker, ()))

    def __iter__(self) -> Iterator[Working]:
        return iter(sorted((one for mine in self.by_ticker.values() for one in mine), key=lambda one: one.number))


def _priority(one: Working) -> tuple[bool, Decimal, int]:
    return not one.order.lifts, -one.price if one.order.lifts else one.price, one.number


def meet(waiting: tuple[Working, ...], trade: tuple[Any, ...], fill: Callable[[Working, Decimal], Decimal]) -> None:
    """Let a trade (a row of TRADES) meet the orders of its market; `fill` fills an order and says how much of it could be."""
    price, left, taker = exact(trade[2], "yes_price"), round(exact(trade[3], "count"), 2), trade[4]
    gone = ZERO  # what others at this price, who waited before your orders there, traded of it
    for one in waiting:
        if one.passed(price):
            left -= fill(one, min(left, one.left))
        elif one.met(price, taker):
            if one.queue is None:
                return  # nobody behind it comes before it does
            ahead = min(left, max(one.queue - gone, ZERO))
            one.queue, gone, left = max(one.queue - gone, ZERO) - ahead, gone + ahead, left - ahead
            left -= fill(one, min(left, one.left))
