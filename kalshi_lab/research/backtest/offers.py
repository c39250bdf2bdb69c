"""What an order that takes meets: the levels of the recorded book, or the best quote where none was recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from kalshi_lab.research.backtest.rules import ZERO
from kalshi_lab.research.backtest.view import exact

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from kalshi_lab.models import Orderbook
    from kalshi_lab.research.backtest.past import Past
    from kalshi_lab.research.backtest.view import Order

Key = tuple[Any, ...]


class Level(NamedTuple):
    """A price of YES, the contracts that are left there of what was offered, and the name under which they are used up."""

    price: Decimal
    left: Decimal
    key: Key


@dataclass(frozen=True, slots=True)
class Offer:
    """The levels that an order meets, best first, and where they are known from; `sized` tells whether their sizes are."""

    levels: tuple[Level, ...]
    source: Literal["book", "quote"]
    sized: bool = True


@dataclass(slots=True)
class Offers:
    """What is offered at each moment, less what your own orders took of it.

    The past does not know of your orders: what they took of a level counts as gone for as long as the level stands. Where it was
    recorded with less than that, no more than what it held then can still be missing from it; where it was gone, nothing is.
    """

    past: Past
    available: Decimal
    _taken: dict[Key, Decimal] = field(default_factory=dict)
    _seen: dict[str, int] = field(default_factory=dict)

    def meet(self, order: Order, at: datetime) -> Offer | None:
        """What an order meets; None where nothing is known of the market."""
        book = self._book(order.ticker, at)
        if book is not None:
            named = [(price, size, (order.ticker, order.lifts, price)) for price, size in _facing(book, order)]
            return Offer(
                tuple(Level(price, size - self._taken.get(key, ZERO), key) for price, size, key in named), "book"
            )
        quote = self.past.quote(order.ticker, at)
        if quote is None:
            return None
        price, size = (quote[4], quote[5]) if order.lifts else (quote[2], quote[3])
        if price is None or not 0 < price < 1:
            return Offer((), "quote")
        key = (order.ticker, order.lifts, quote[1], "quote")
        left = round(self.available if size is None else exact(size, "size"), 2) - self._taken.get(key, ZERO)
        return Offer((Level(exact(price, "price"), left, key),), "quote", sized=size is not None)

    def take(self, level: Level, count: Decimal) -> None:
        """Use up so many contracts of a level."""
        self._taken[level.key] = self._taken.get(level.key, ZERO) + count

    def ahead(self, order: Order, price: Decimal, at: datetime) -> Decimal | None:
        """The contracts that wait at a price of YES before an order that comes to rest there; None where no book says how many."""
        book = self._book(order.ticker, at)
        if book is None:
            return None
        own = book.yes_bids if order.lifts else book.asks
        return next((size for level, size in own if level == price), ZERO)

    def _book(self, ticker: str, at: datetime) -> Orderbook | None:
        """The book as it stood, and what is missing of it brought up to date by every book since the last look."""
        books, place = self.past.books, self.past.books.place(ticker, at)
        mine = [key for key in self._taken if key[0] == ticker and len(key) == _OF_BOOK]
        for number in range(self._seen.get(ticker, place) + 1, place + 1) if mine else ():
            book = books.numbered(ticker, number)
            if book is None:
                continue
            standing = {True: dict(book.asks), False: dict(book.yes_bids)}
            for key in mine:
                self._taken[key] = min(self._taken[key], standing[key[1]].get(key[2], ZERO))
        self._seen[ticker] = place
        return books.at(ticker, at)


_OF_BOOK = 3  # parts of a level's key; a quote's has four


def _facing(book: Orderbook, order: Order) -> list[tuple[Decimal, Decimal]]:
    """The levels that an order takes from, best first; of a book that is crossed for a moment only those beyond the crossing."""
    bid, ask = book.yes_bid, book.yes_ask
    if order.lifts:
        return [one for one in book.asks if 0 < one[0] < 1 and (bid is None or one[0] > bid)]
    return [one for one in book.yes_bids if 0 < one[0] < 1 and (ask is None or one[0] < ask)]
