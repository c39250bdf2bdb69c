"""The best prices of live books, message by message."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from kalshi_lab.alerts.seen import Quote
from kalshi_lab.book import OrderBook
from kalshi_lab.errors import BadPayload, UsageError
from kalshi_lab.kalshi.connection import Frame
from kalshi_lab.kalshi.notices import Disconnected, Gap, Missed
from kalshi_lab.money import contracts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from decimal import Decimal

    from kalshi_lab.alerts.seen import Quoted
    from kalshi_lab.kalshi.received import Item

CHANNEL = "orderbook_delta"
BOOKS = frozenset({"orderbook_snapshot", CHANNEL})
PATIENCE = 5.0  # seconds that a book may be without its snapshot before it is asked for


class Tops:
    """Books kept in the order of the messages, so that no best price is passed over, however many messages are read at once.

    The stream checks the numbers of its messages, and tells of those that are missing in their place.
    """

    def __init__(self, tickers: Iterable[str] = (), *, by_volume: bool = False) -> None:
        self.names = set(tickers)
        self.by_volume = by_volume
        self._books: dict[str, OrderBook] = {}
        self._last: dict[str, tuple[Decimal | None, Decimal | None]] = {}
        self._asked: float | None = None

    @property
    def live(self) -> frozenset[str]:
        """The markets whose prices are known by the stream now."""
        return frozenset(name for name, book in self._books.items() if not book.stale)

    def take(self, item: Item, known: Mapping[str, Quoted]) -> Iterator[Quote]:
        """The quotes that a message changes; where some are missing, books are stale, and change nothing until they are whole."""
        if not isinstance(item, Frame):
            if isinstance(item, Disconnected | Missed) or (isinstance(item, Gap) and item.channel in {CHANNEL, ""}):
                yield from self._lost(known)
        elif item.type in BOOKS and item.ticker in self.names:
            book = self._book(item.ticker)
            with suppress(BadPayload, UsageError):  # the stream has told of it; a snapshot heals the book
                if book.apply(item.raw) and not book.stale:
                    yield from self._changed(book, known.get(item.ticker))
        elif item.type == "ticker":
            yield from _traded(item, known)

    def _lost(self, known: Mapping[str, Quoted]) -> Iterator[Quote]:
        """Every price that a live book gave is unknown from here on."""
        for name in self.live:
            one = known.get(name)
            yield Quote(name, None, None, *((one.status, one.volume, one.result) if one else ()))
        for book in self._books.values():
            book.mark_stale("messages are missing")
        self._last.clear()

    def _book(self, ticker: str) -> OrderBook:
        if ticker not in self._books:
            self._books[ticker] = OrderBook(ticker, sequence=False)
        return self._books[ticker]

    def _changed(self, book: OrderBook, known: Quoted | None) -> Iterator[Quote]:
        bid, ask = book.best_bid(), book.best_ask()
        top = (bid[0] if bid else None, ask[0] if ask else None)
        if self._last.get(book.ticker, ()) != top:
            self._last[book.ticker] = top
            yield Quote(book.ticker, *top, *((known.status, known.volume, known.result) if known else ()))

    def wanting(self, now: float) -> list[str]:
        """The markets whose snapshot must be asked for, since it did not come by itself; no more often than every few seconds."""
        wanting = [name for name, book in self._books.items() if book.wants_snapshot]
        if not wanting or self._asked is None or now < self._asked + PATIENCE:
            self._asked = None if not wanting else self._asked if self._asked is not None else now
            return []
        self._asked = now
        return wanting

    def forget(self, tickers: Iterable[str]) -> None:
        """These are not watched any more."""
        for name in tickers:
            self.names.discard(name)
            self._books.pop(name, None)
            self._last.pop(name, None)


def _traded(item: Frame, known: Mapping[str, Quoted]) -> Iterator[Quote]:
    """The volume, from a message about it."""
    try:
        volume = contracts(msgspec.json.decode(item.raw)["msg"]["volume_fp"])
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return
    one = known.get(item.ticker)
    if one is not None:
        yield Quote(one.ticker, one.yes_bid, one.yes_ask, one.status, volume, one.result)
