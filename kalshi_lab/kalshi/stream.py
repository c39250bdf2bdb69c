"""The live stream: subscriptions that outlive connections, with every gap told and every book kept.

    async with kalshi.stream(["ticker", "trade"], tickers=[...]) as stream:
        async for message in stream: ...

The sequence of each subscription is checked as frames arrive, and the books are kept then, whether or not anybody reads. A reader that
is slower than the stream is told what it missed; memory does not grow.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from typing import TYPE_CHECKING

from kalshi_lab.book import OrderBooks
from kalshi_lab.errors import BadPayload, LabError
from kalshi_lab.kalshi.channels import ENDED, Subscription
from kalshi_lab.kalshi.connection import CONTROL, Frame, error_of, said
from kalshi_lab.kalshi.lifeline import BOOK, Lifeline
from kalshi_lab.kalshi.notices import Disconnected, Gap, Missed, Notice
from kalshi_lab.kalshi.received import Received

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import polars as pl

    from kalshi_lab.clock import Clock
    from kalshi_lab.door import Door
    from kalshi_lab.models.stream import Message
    from kalshi_lab.settings import Settings

LOG = logging.getLogger(__name__)
WAITING = 10_000  # messages that may wait for a slow reader
Item = Frame | Notice


class AsyncStream(Lifeline):
    """A stream of typed messages, and of notices about what is missing: Gap, Disconnected, Reconnected, Missed.

    `books` holds a live `OrderBook` for each market where orderbook_delta is among the channels; `latest`, `frame()` and `gaps`
    look at what arrived so far. Leaving its `async with` block, or `close()`, ends it. Not to be shared between event loops.
    """

    def __init__(
        self,
        door: Door,
        settings: Settings,
        clock: Clock,
        subscriptions: dict[str, Subscription],
        *,
        waiting: int = WAITING,
    ) -> None:
        super().__init__(door, settings, clock, subscriptions)
        books = subscriptions.get(BOOK)
        use_yes_price = bool(books.parameters.get("use_yes_price")) if books else False
        self.books = OrderBooks((books.items or ()) if books else (), use_yes_price=use_yes_price)
        self.received = Received()
        self.duplicates = 0
        self._waiting = waiting
        self._queue: deque[Item] = deque()
        self._missed: Counter[str] = Counter()

    # what arrives

    def _take(self, frame: Frame) -> None:
        """Check a frame's place in its sequence, keep the books, and hand it on."""
        if frame.type == "subscribed":
            self._subscribed(said(frame.raw))
        if frame.sid is not None and frame.seq is not None and not self._in_step(frame):
            return
        channel = self._channel(frame.sid)
        if channel == BOOK:
            self._book(frame)
        if frame.type == "error":
            self._error(frame, channel)
        elif frame.type not in CONTROL:
            self.received.keep(frame)
            self._put(frame)

    def _in_step(self, frame: Frame) -> bool:
        """Whether a frame is new; numbers that were left out before it are told first."""
        sid, seq = frame.sid or 0, frame.seq or 0
        expected = self._next.get(sid)
        if expected is not None and seq == expected - 1:
            self.duplicates += 1
            return False
        self._next[sid] = seq + 1
        if expected is not None and seq != expected:
            self._gap(sid, expected, seq)
        return True

    def _gap(self, sid: int, expected: int, received: int) -> None:
        channel = self._channel(sid)
        one = self._wanted.get(channel)
        tickers = tuple(one.items or ()) if one is not None else ()
        gap = Gap(self._number, sid, channel, expected, received, tickers, self._clock.now())
        self.received.gaps.append(gap)
        self._put(gap)
        LOG.warning("gap on %s: expected %d, received %d", channel, expected, received)
        if channel == BOOK:
            self._soon(self.snapshots())

    def _book(self, frame: Frame) -> None:
        try:
            self.books.apply(frame.raw)
        except BadPayload as error:
            LOG.warning("unreadable book frame: %s", error)
            self._soon(self.snapshots(self.books.wants_snapshot or None))

    def _error(self, frame: Frame, channel: str) -> None:
        """An error that no command waits for: of a subscription that ended, which is made again."""
        answer = said(frame.raw)
        refused = self._connection.refusal(answer) if self._connection is not None else ""
        if answer.get("id") and not refused:
            return
        error = error_of(answer, refused or channel or "a subscription")
        self._note(error)
        if int(error.code or 0) in ENDED and channel:
            expected = self._next.pop(frame.sid or 0, 0)
            tickers = tuple(self._wanted[channel].items or ())
            self._put(Gap(self._number, frame.sid or 0, channel, expected, 0, tickers, self._clock.now()))
            if channel == BOOK:
                self.books.mark_stale("the exchange ended the subscription")
            self._soon(self._resubscribe(self._wanted[channel]))

    def _note(self, error: LabError) -> None:
        self.received.errors.append(error)
        LOG.warning("%s", error)

    def _lost(self, notice: Disconnected) -> None:
        self.books.mark_stale("the connection was lost")
        self._put(notice)

    def _dropped(self, tickers: set[str]) -> None:
        for name in tickers:
            self.books.remove(name)

    def _channel(self, sid: int | None) -> str:
        return next((one.channel for one in self._wanted.values() if sid is not None and one.sid == sid), "")

    def _put(self, item: Item) -> None:
        """Hand on; what a slow reader has no room for is counted, by type, and told before what comes next."""
        if len(self._queue) >= self._waiting:
            self._missed[item.type if isinstance(item, Frame) else type(item).__name__] += 1
            return
        if self._missed:
            self._queue.append(Missed(dict(self._missed), self._clock.now()))
            self._missed.clear()
        self._queue.append(item)
        self._news.set()

    # what a reader sees

    async def items(self) -> AsyncIterator[Item]:
        """Frames as received, and notices, in the order of arrival; ends when the stream is closed."""
        await self.open()
        while (item := await self._item()) is not None:
            yield item

    async def _item(self) -> Item | None:
        while True:
            if self._queue:
                return self._queue.popleft()
            if self._missed:
                counts = dict(self._missed)
                self._missed.clear()
                return Missed(counts, self._clock.now())
            if self._failed is not None:
                raise self._failed
            if self._closed:
                return None
            self._news.clear()
            await self._news.wait()

    async def next(self, timeout: float | None = None) -> Message | Notice | None:  # noqa: ASYNC109 - the caller's patience
        """The next message or notice; None when the stream is closed, or nothing came for `timeout` seconds."""
        await self.open()
        try:
            item = await asyncio.wait_for(self._item(), timeout)
        except TimeoutError:
            return None
        return self.received.message(item) if isinstance(item, Frame) else item

    async def __aiter__(self) -> AsyncIterator[Message | Notice]:
        async for item in self.items():
            yield self.received.message(item) if isinstance(item, Frame) else item

    @property
    def latest(self) -> dict[tuple[str, str], Message]:
        """The last message of each type about each market or event: {("ticker", "KX..."): Tick}."""
        return self.received.latest

    def frame(self, kind: str, *, exact: bool = False) -> pl.DataFrame:
        """The newest messages of a type (10,000 at most), oldest first, with the fields of their class as columns, then `extra`.

        Prices and counts are Float64 dollars and contracts; `exact=True` keeps Decimal columns. UsageError for an unknown type.
        """
        return self.received.frame(kind, exact=exact)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The newest gaps in the sequence numbers."""
        return tuple(self.received.gaps)

    @property
    def errors(self) -> tuple[LabError, ...]:
        """What went wrong without ending the stream, newest last."""
        return tuple(self.received.errors)

    def __repr__(self) -> str:
        state = (
            "closed" if self._closed else "open" if self._up.is_set() else "connecting" if self._task else "not opened"
        )
        return f"<{type(self).__name__} {', '.join(self._wanted)}: {state}, {self.received.count} messages, {len(self.received.gaps)} gaps>"
