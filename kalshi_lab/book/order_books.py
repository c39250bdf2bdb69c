"""The live books of all markets of a subscription, whose frames share one sequence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab import markup
from kalshi_lab.book import wire
from kalshi_lab.book.order_book import OrderBook
from kalshi_lab.errors import BadPayload

if TYPE_CHECKING:
    from collections.abc import Iterable

_SCHEMA = pl.Schema(
    {
        "ticker": pl.String(),
        "bid": pl.Decimal(9, 6),
        "bid_size": pl.Decimal(18, 2),
        "ask": pl.Decimal(9, 6),
        "ask_size": pl.Decimal(18, 2),
        "stale": pl.Boolean(),
        "updated_at": pl.Datetime("us", "UTC"),
    }
)


class OrderBooks(Mapping[str, OrderBook]):
    """Order books by ticker, kept from the frames of one connection; the sequence of each subscription is checked once, here.

        books = OrderBooks(["KXHIGHNY-26NOV20-B51.5", "KXHIGHNY-26NOV20-B53.5"])
        for frame in frames:
            book = books.apply(frame)   # the book whose levels changed, or None

    A gap makes every book of its subscription stale; `wants_snapshot` then names them, and each heals with its own snapshot. A
    market that was not named joins with its first snapshot.

    Attributes: gap, the (expected, received) numbers of the last gap, None before the first; counters gaps and duplicates.
    """

    def __init__(self, tickers: Iterable[str] = (), *, use_yes_price: bool = False) -> None:
        self.use_yes_price = use_yes_price
        self.gap: tuple[int, int] | None = None
        self.gaps = self.duplicates = 0
        self._next: dict[int | None, int] = {}
        self._books: dict[str, OrderBook] = {}
        for ticker in tickers:
            self._add(ticker)

    def apply(self, frame: bytes | str | dict[str, Any]) -> OrderBook | None:
        """Take the next frame of the connection; the book whose levels changed, None where none did.

        BadPayload for what cannot be read: then no level changes, and the book concerned, where it is known, is stale. UsageError
        for what is no frame at all.
        """
        try:
            delta = wire.decode(frame)  # type: ignore[arg-type] # a dict is a TypeError, and takes the other road
        except wire.UNREADABLE:
            other = wire.frame(frame)
            if isinstance(other, dict):
                return self._other(other)
            delta = other
        if not self._in_step(delta.sid, delta.seq):
            return None
        book = self._books.get(delta.msg.market_ticker)
        return book if book is not None and book.apply(delta) else None

    def mark_stale(self, reason: str) -> None:
        """Say that frames were missed, as when the connection was lost: every book waits for its next snapshot."""
        for book in self.values():
            book.mark_stale(reason)
        self._next.clear()

    def remove(self, ticker: str) -> None:
        """Forget a market that is no longer subscribed; one that is not there is no error."""
        self._books.pop(ticker, None)

    @property
    def wants_snapshot(self) -> tuple[str, ...]:
        """The tickers whose books discard changes until a snapshot comes."""
        return tuple(ticker for ticker, book in self.items() if book.wants_snapshot)

    def frame(self, *, exact: bool = False) -> pl.DataFrame:
        """The best YES quote of every market, a row each.

        Columns: ticker String, bid and ask Float64 dollars, bid_size and ask_size Float64 contracts (null where a side is empty),
        stale Boolean, updated_at Datetime(us, UTC); `exact=True` gives Decimal(9, 6) and Decimal(18, 2).
        """
        rows = [
            (
                ticker,
                *(book.best_bid() or (None, None)),
                *(book.best_ask() or (None, None)),
                book.stale,
                book.updated_at,
            )
            for ticker, book in self.items()
        ]
        made = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
        return made if exact else made.cast({pl.Decimal: pl.Float64})

    def __getitem__(self, ticker: str) -> OrderBook:
        return self._books[ticker]

    def __iter__(self) -> Iterator[str]:
        return iter(self._books)

    def __len__(self) -> int:
        return len(self._books)

    def __repr__(self) -> str:
        return f"<OrderBooks of {len(self)} markets, {sum(book.stale for book in self.values())} stale>"

    def _repr_html_(self) -> str:
        rows = self.frame(exact=True).rows()
        return markup.card(repr(self), {}, markup.table(_SCHEMA.names(), rows))

    def _add(self, ticker: str) -> OrderBook:
        self._books[ticker] = OrderBook(ticker, use_yes_price=self.use_yes_price, sequence=False)
        return self._books[ticker]

    def _other(self, plain: dict[str, Any]) -> OrderBook | None:
        """A frame that is no delta: a snapshot, or something that only counts."""
        sid, snapshot = plain.get("sid"), plain.get("type") == "orderbook_snapshot"
        if (snapshot or sid in self._next) and not self._in_step(sid, plain.get("seq"), snapshot=snapshot):
            return None
        if not snapshot:
            return None
        ticker = wire.message(plain).get("market_ticker")
        if not isinstance(ticker, str):
            raise BadPayload("a snapshot without its market_ticker")
        book = self._books.get(ticker) or self._add(ticker)
        book.apply(plain)
        return book

    def _in_step(self, sid: int | None, seq: int | None, *, snapshot: bool = False) -> bool:
        """Whether a frame may be taken: the next one, one after a gap, or a snapshot that starts the sequence again."""
        expected = self._next.get(sid)
        if seq is None:
            return True
        if expected is not None and seq < expected and not snapshot:
            self.duplicates += 1
            return False
        if expected is not None and seq != expected:
            self._break(sid, expected, seq)
        self._next[sid] = seq + 1
        return True

    def _break(self, sid: int | None, expected: int, seq: int) -> None:
        """The books of a subscription whose sequence broke, or started again, wait for snapshots."""
        if seq > expected:
            self.gaps += 1
            self.gap = (expected, seq)
        for book in self.values():
            if book.sid == sid and not book.wants_snapshot:
                if seq > expected:
                    book._missed(expected, seq)
                else:
                    book.mark_stale("the sequence started again")
