"""The stream in a notebook: blocking, as an iterator or in the background."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from kalshi_lab import markup
from kalshi_lab.book import OrderBook
from kalshi_lab.kalshi.stream import AsyncStream
from kalshi_lab.portal import Session, blocking

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    import polars as pl

    from kalshi_lab.errors import LabError
    from kalshi_lab.kalshi.notices import Gap, Notice
    from kalshi_lab.models.stream import Message

T = TypeVar("T")


class LiveBooks(Mapping[str, OrderBook]):
    """The order books of a stream, by ticker. Another thread keeps them: each look gives a copy as it stood between two messages."""

    def __init__(self, look: Callable[[Callable[[AsyncStream], Any]], Any]) -> None:
        self._look = look

    def __getitem__(self, ticker: str) -> OrderBook:
        found: OrderBook = self._look(lambda twin: twin.books[ticker].copy())
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._look(lambda twin: tuple(twin.books)))

    def __len__(self) -> int:
        return int(self._look(lambda twin: len(twin.books)))

    def frame(self, *, exact: bool = False) -> pl.DataFrame:
        """The best YES quote of every market, a row each; see `OrderBooks.frame`."""
        found: pl.DataFrame = self._look(lambda twin: twin.books.frame(exact=exact))
        return found

    def __repr__(self) -> str:
        return str(self._look(lambda twin: repr(twin.books)))

    def _repr_html_(self) -> str:
        return str(self._look(lambda twin: twin.books._repr_html_()))


class Stream(Session):
    """The blocking face of `AsyncStream`.

        stream = kalshi.stream(["ticker", "orderbook_delta"], tickers=[...]).start()  # goes on in the background
        stream.books["KX..."], stream.latest["ticker", "KX..."], stream.frame("ticker")
        stream.stop()

        for message in kalshi.stream("trade"):  # opens it, waits for each message, and ends it when the loop ends
            ...

    `books` are kept by another thread: each look is a copy of one moment, two looks may be of two.
    """

    _twin: AsyncStream

    def start(self) -> Self:
        """Connect and subscribe, and go on in the background until `stop()`; what the exchange refuses is raised here."""
        self._call(self._twin.open())
        return self

    def __enter__(self) -> Self:
        return self.start()

    def stop(self) -> None:
        """End the stream."""
        self._call(self._twin.close())

    def messages(self, *, timeout: float | None = None) -> Iterator[Message | Notice]:
        """Messages and notices as they arrive; ends when the stream is stopped, or nothing came for `timeout` seconds.

        A stream that was not started is started, and stopped when the loop over it ends.
        """
        begun = self._twin.state != "not opened"
        try:
            while (found := self._call(self._twin.next(timeout))) is not None:
                yield found
        finally:
            if not begun:
                self.stop()

    def __iter__(self) -> Iterator[Message | Notice]:
        return self.messages()

    @property
    def books(self) -> LiveBooks:
        """The live order book of each market, where orderbook_delta is among the channels."""
        return LiveBooks(self._look)

    @property
    def latest(self) -> Mapping[tuple[str, str], Message]:
        """The last message of each type about each market or event: {("ticker", "KX..."): Tick}."""
        return self._twin.latest

    def frame(self, kind: str, *, exact: bool = False) -> pl.DataFrame:
        """The newest messages of a type as a frame; see `AsyncStream.frame`."""
        return self._twin.frame(kind, exact=exact)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The newest gaps in the sequence numbers."""
        return self._twin.gaps

    @property
    def errors(self) -> tuple[LabError, ...]:
        """What went wrong without ending the stream, newest last."""
        return self._twin.errors

    def _look(self, at: Callable[[AsyncStream], T]) -> T:
        """What `at` sees in the stream's own thread, between two messages."""

        async def seen() -> T:
            return at(self._twin)

        return self._call(seen())

    add = blocking(AsyncStream.add)
    drop = blocking(AsyncStream.drop)
    unsubscribe = blocking(AsyncStream.unsubscribe)
    index_list = blocking(AsyncStream.index_list)
    snapshots = blocking(AsyncStream.snapshots)
    subscriptions = blocking(AsyncStream.subscriptions)

    def _repr_html_(self) -> str:
        facts: dict[str, Any] = {"stream": repr(self)}
        facts |= {f"{kind or 'unreadable'} kept": n for kind, n in self._twin.received.types.items()}
        return markup.card("Live stream", facts, "".join(markup.warning(str(error)) for error in self.errors[-1:]))
