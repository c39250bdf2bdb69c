"""Recorded order books of the past: read from the store at the moments that are asked for, and handed out as they stood then."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from kalshi_lab.ingest.replay import sampled
from kalshi_lab.models import Orderbook
from kalshi_lab.store.recorded import recorded_books

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from kalshi_lab.store import Store

# A row for each level; the rows of a ticker and a time are its whole book. A row without a side has none: size 0 says that the book was
# empty, no size that it is not known from then on.
BOOKS: Final[dict[str, Any]] = {
    "ticker": pl.String, "time": pl.Datetime("us", "UTC"), "side": pl.String, "price": pl.Decimal(9, 6), "size": pl.Decimal(18, 2),
}  # fmt: skip


class Books:
    """Books by market and time; between two times the earlier one stands."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame.sort("ticker", "time", maintain_order=True)
        runs = self._frame.with_row_index("row").group_by("ticker", "time", maintain_order=True)
        self._times: dict[str, list[datetime]] = {}
        self._rows: dict[str, list[tuple[int, int]]] = {}
        for ticker, time, start, count in runs.agg(pl.col("row").first(), count=pl.len()).iter_rows():
            self._times.setdefault(ticker, []).append(time)
            self._rows.setdefault(ticker, []).append((start, count))
        self._made: dict[str, tuple[int, Orderbook | None]] = {}

    @property
    def tickers(self) -> tuple[str, ...]:
        """The markets with books."""
        return tuple(self._times)

    @property
    def times(self) -> set[datetime]:
        """All moments at which a book is told."""
        return {time for times in self._times.values() for time in times}

    def place(self, ticker: str, time: datetime) -> int:
        """How many books of a market had been told by a moment."""
        return bisect_right(self._times.get(ticker, []), time)

    def numbered(self, ticker: str, place: int) -> Orderbook | None:
        """The book that was told so many places on, from 1; None where it is not known from then on."""
        if place < 1:
            return None
        known = self._made.get(ticker)
        if known is None or known[0] != place:
            known = self._made[ticker] = place, self._built(ticker, *self._rows[ticker][place - 1])
        return known[1]

    def at(self, ticker: str, time: datetime) -> Orderbook | None:
        """The book of a market as it stood at a moment; None where it was not recorded, or may miss something."""
        return self.numbered(ticker, self.place(ticker, time))

    def _built(self, ticker: str, start: int, count: int) -> Orderbook | None:
        rows = self._frame.slice(start, count).select("side", "price", "size").rows()
        if all(side is None for side, _, _ in rows):
            return None if rows[-1][2] is None else Orderbook(ticker)
        bids = sorted(((price, size) for side, price, size in rows if side == "bid" and size > 0), reverse=True)
        asks = sorted((price, size) for side, price, size in rows if side == "ask" and size > 0)
        return Orderbook(ticker, tuple(bids), tuple((1 - price, size) for price, size in asks))


async def kept(store: Store, tickers: Iterable[str], moments: Sequence[datetime]) -> pl.DataFrame | None:
    """The books that the store's recordings have of these markets at these moments (in order), a frame of BOOKS; None without any."""
    wanted, spans = set(tickers), defaultdict(list)
    for row in await recorded_books(store) if moments else ():
        spans[row["ticker"]].append(row)
    frames = []
    for ticker in sorted(spans.keys() & wanted):
        rows: list[tuple[Any, ...]] = []
        last: Orderbook | None = None
        async for time, book in sampled(store, ticker, spans[ticker], moments):
            seen = None if book is None else book.orderbook()
            if seen != last:
                rows += [(ticker, time, *level) for level in _levels(seen)]
            last = seen
        frames.append(pl.DataFrame(rows, schema=BOOKS, orient="row"))
    return pl.concat(frames) if frames else None


def _levels(book: Orderbook | None) -> Iterator[tuple[str | None, Decimal | None, Decimal | None]]:
    if book is None:
        yield None, None, None
    elif not book.yes_bids and not book.no_bids:
        yield None, None, Decimal(0)
    else:
        yield from (("bid", price, size) for price, size in book.yes_bids)
        yield from (("ask", price, size) for price, size in book.asks)
