"""All there is of the past, and cuts of it: a cut holds what had happened by a moment and nothing else."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from kalshi_lab.analysis.given import given
from kalshi_lab.errors import UsageError
from kalshi_lab.research.backtest.view import View, exact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal

    from kalshi_lab.research.backtest.books import Books
    from kalshi_lab.research.backtest.view import Resting

TIME: Final = pl.Datetime("us", "UTC")
MARKETS: Final[dict[str, Any]] = {
    "ticker": pl.String, "event_ticker": pl.String, "series_ticker": pl.String, "title": pl.String, "yes_sub_title": pl.String,
    "open_time": TIME, "strike_type": pl.String, "floor_strike": pl.Float64, "cap_strike": pl.Float64, "rules_primary": pl.String,
}  # fmt: skip
QUOTES: Final[dict[str, Any]] = {
    "ticker": pl.String, "time": TIME, "yes_bid": pl.Float64, "yes_bid_size": pl.Float64, "yes_ask": pl.Float64, "yes_ask_size": pl.Float64,
}  # fmt: skip
TRADES: Final[dict[str, Any]] = {
    "ticker": pl.String, "time": TIME, "yes_price": pl.Float64, "count": pl.Float64, "taker_side": pl.String,
}  # fmt: skip
RESULTS: Final[dict[str, Any]] = {"ticker": pl.String, "time": TIME, "result": pl.String, "value": pl.Float64}


class Past:
    """All there is, in the order of time, and cuts of it: a cut holds what had happened by a moment and nothing else."""

    def __init__(
        self, markets: pl.DataFrame, quotes: pl.DataFrame, trades: pl.DataFrame, results: pl.DataFrame, books: Books
    ) -> None:
        self._frames = {
            name: _sorted(frame) for name, frame in (("past", quotes), ("trades", trades), ("results", results))
        }
        self._times = {name: frame["time"].to_list() for name, frame in self._frames.items()}
        self.markets = markets.sort("open_time", "ticker", nulls_last=False)
        began = [one for one in self.markets["open_time"] if one is not None]
        self._opened = [one or began[0] for one in self.markets["open_time"]] if began else []
        self._rows = list(self._frames["past"].iter_rows())
        self._latest: dict[str, tuple[Any, ...]] = {}
        self._ended: set[str] = set()
        self._at = 0
        self.by_ticker = _by_ticker(self._rows)
        self.books = books

    def view(
        self, time: datetime, cash: Decimal, positions: Mapping[str, Decimal], resting: tuple[Resting, ...] = ()
    ) -> View:
        """What is known at a moment; moments come in order."""
        cut = {name: frame.head(bisect_right(self._times[name], time)) for name, frame in self._frames.items()}
        self._go_on(cut["past"].height)
        self._ended = set(cut["results"]["ticker"])
        markets = self._listed(time)
        shown = set(markets["ticker"])
        quotes = pl.DataFrame(
            [row for ticker, row in self._latest.items() if ticker in shown], schema=QUOTES, orient="row"
        )
        books = {ticker: self.books.at(ticker, time) for ticker in self.books.tickers if ticker in shown}
        known = MappingProxyType({ticker: book for ticker, book in books.items() if book is not None})
        return View(time, cash, MappingProxyType(dict(positions)), markets, quotes, **cut, books=known, resting=resting)

    def _go_on(self, until: int) -> None:
        for row in self._rows[self._at : until]:
            self._latest[row[0]] = row
        self._at = until

    def _listed(self, time: datetime) -> pl.DataFrame:
        listed = self.markets.head(bisect_right(self._opened, time))
        return listed.filter(~pl.col("ticker").is_in(list(self._ended)))

    @property
    def moments(self) -> list[datetime]:
        """The moments at which a quote or a book changed."""
        return sorted({*self._times["past"], *self.books.times})

    @property
    def results(self) -> pl.DataFrame:
        """The results, in the order in which they were paid."""
        return self._frames["results"]

    def quote(self, ticker: str, time: datetime) -> tuple[Any, ...] | None:
        """The last quote of a market at a moment, a row of QUOTES; None where there is none."""
        found = self.by_ticker.get(ticker)
        if found is None:
            return None
        times, rows = found
        place = bisect_right(times, time)
        return rows[place - 1] if place else None

    def best(self, ticker: str, time: datetime) -> tuple[Decimal | None, Decimal | None]:
        """The best bid and ask of YES at a moment: of the recorded book where there is one, else of the last quote."""
        book = self.books.at(ticker, time)
        if book is not None:
            return book.yes_bid, book.yes_ask
        quote = self.quote(ticker, time)
        bid, ask = (None, None) if quote is None else (quote[2], quote[4])
        return None if bid is None else exact(bid, "bid"), None if ask is None else exact(ask, "ask")

    def tape(self, ticker: str) -> tuple[list[datetime], list[tuple[Any, ...]]]:
        """The trades of a market with their times, in their order: rows of TRADES."""
        return self._tapes.get(ticker, ([], []))

    @cached_property
    def _tapes(self) -> dict[str, tuple[list[datetime], list[tuple[Any, ...]]]]:
        return _by_ticker(self._frames["trades"].rows())


def _by_ticker(rows: Sequence[tuple[Any, ...]]) -> dict[str, tuple[list[datetime], list[tuple[Any, ...]]]]:
    found: dict[str, tuple[list[datetime], list[tuple[Any, ...]]]] = {}
    for row in rows:
        times, kept = found.setdefault(row[0], ([], []))
        times.append(row[1])
        kept.append(row)
    return found


def _sorted(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sort("time", "ticker", maintain_order=True)


def shaped(frame: pl.DataFrame | None, schema: Mapping[str, Any], what: str, needed: Sequence[str]) -> pl.DataFrame:
    """A frame with exactly these columns; what is absent is null, what is more is not taken along.

    Raises UsageError for a missing column that is needed, a time without a zone, and values that do not fit.
    """
    if frame is None:
        return pl.DataFrame(schema=dict(schema))
    frame = given(frame)
    absent = [name for name in needed if name not in frame.columns]
    if absent:
        raise UsageError(f"{what} has no column {absent[0]!r}", hint=f"Needed: {', '.join(needed)}")
    for name in schema:
        kind = frame.schema.get(name)
        if schema[name] == TIME and isinstance(kind, pl.Datetime) and kind.time_zone is None:
            raise UsageError(f"{what}: {name} has no time zone", hint='.dt.replace_time_zone("UTC") says which it is')
    try:
        return frame.select(
            pl.col(name).cast(kind) if name in frame.columns else pl.lit(None, kind).alias(name)
            for name, kind in schema.items()
        )
    except pl.exceptions.PolarsError as error:
        raise UsageError(f"{what} cannot be read: {str(error)[:200]}") from None
