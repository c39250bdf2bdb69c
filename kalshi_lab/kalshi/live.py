"""The stream in a notebook: blocking, as an iterator or in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalshi_lab import markup
from kalshi_lab.kalshi.stream import AsyncStream
from kalshi_lab.portal import Session, blocking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    import polars as pl

    from kalshi_lab.book import OrderBooks
    from kalshi_lab.errors import LabError
    from kalshi_lab.kalshi.notices import Gap, Notice
    from kalshi_lab.models.stream import Message


class Stream(Session):
    """The blocking face of `AsyncStream`.

        stream = kalshi.stream(["ticker", "orderbook_delta"], tickers=[...]).start()  # goes on in the background
        stream.books["KX..."], stream.latest["ticker", "KX..."], stream.frame("ticker")
        stream.stop()

        for message in kalshi.stream("trade"):  # waits for each; the stop button ends it
            ...

    `books` are kept by another thread: each look is at one moment, two looks may be at two.
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
        """Messages and notices as they arrive; ends when the stream is stopped, or nothing came for `timeout` seconds."""
        while (found := self._call(self._twin.next(timeout))) is not None:
            yield found

    def __iter__(self) -> Iterator[Message | Notice]:
        return self.messages()

    @property
    def books(self) -> OrderBooks:
        """The live order book of each market, where orderbook_delta is among the channels."""
        return self._twin.books

    @property
    def latest(self) -> dict[tuple[str, str], Message]:
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

    add = blocking(AsyncStream.add)
    drop = blocking(AsyncStream.drop)
    snapshots = blocking(AsyncStream.snapshots)
    subscriptions = blocking(AsyncStream.subscriptions)

    def _repr_html_(self) -> str:
        facts: dict[str, Any] = {
            "stream": repr(self),
            **{f"{kind} kept": n for kind, n in self._twin.received.types.items()},
        }
        return markup.card("Live stream", facts)
