"""The live stream: subscriptions that outlive connections, with every gap told and every book kept.

    async with kalshi.stream(["ticker", "trade"], tickers=[...]) as stream:
        async for message in stream: ...

The sequence of each subscription is checked as frames arrive, and the books are kept then, whether or not anybody reads. A reader that
is slower than the stream is told what it missed; memory does not grow.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

from kalshi_lab.book import OrderBooks
from kalshi_lab.errors import BadPayload, LabError, RequestError, Unavailable, UsageError
from kalshi_lab.kalshi import params
from kalshi_lab.kalshi.channels import ACTIONS, ENDED, Subscription
from kalshi_lab.kalshi.connection import CONTROL, Frame, error_of, said
from kalshi_lab.kalshi.lifeline import Lifeline
from kalshi_lab.kalshi.notices import Disconnected, Gap, Notice
from kalshi_lab.kalshi.received import Item, Queue, Received
from kalshi_lab.kalshi.subscriptions import named

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping

    import polars as pl

    from kalshi_lab.clock import Clock
    from kalshi_lab.door import Door
    from kalshi_lab.models.stream import Message
    from kalshi_lab.settings import Settings

LOG = logging.getLogger(__name__)
BOOK = "orderbook_delta"
WAITING = 10_000  # messages that may wait for a slow reader
ASKED_AGAIN = 1.0  # seconds between questions for snapshots, however many gaps there are
HEALING = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # seconds that snapshots are waited for before they are asked for again


class AsyncStream(Lifeline):
    """A stream of typed messages, and of notices about what is missing: Gap, Disconnected, Reconnected, Missed.

    `books` holds a live `OrderBook` for each market where orderbook_delta is among the channels; `latest`, `frame()` and `gaps`
    look at what arrived so far. Leaving its `async with` block, or `close()`, ends it; a loop over a stream that nobody opened opens
    it, and ends it. Not to be shared between event loops.
    """

    def __init__(
        self,
        door: Door,
        settings: Settings,
        clock: Clock,
        subscriptions: dict[str, Subscription],
        *,
        attempts: int | None = None,
        waiting: int = WAITING,
    ) -> None:
        super().__init__(door, settings, clock, subscriptions, attempts=attempts)
        books = subscriptions.get(BOOK)
        use_yes_price = bool(books.parameters.get("use_yes_price")) if books else False
        self.books = OrderBooks((books.items or ()) if books else (), use_yes_price=use_yes_price)
        self.received = Received()
        self.duplicates = 0
        self._next: dict[int, int] = {}
        self._healing: asyncio.Task[None] | None = None
        self._healed_at = -ASKED_AGAIN
        self._queue = Queue(clock, waiting)

    # what arrives

    def _take(self, frame: Frame) -> None:
        """Check a frame's place in its sequence, keep the books, and hand it on."""
        if frame.type == "subscribed":
            self._subscriptions.take(said(frame.raw))
        if frame.sid is not None and frame.seq is not None and not self._in_step(frame.sid, frame.seq):
            return
        channel = self._subscriptions.channel(frame.sid)
        if channel == BOOK:
            self._book(frame)
        if frame.type == "error":
            self._error(frame, channel)
        elif frame.type not in CONTROL:
            self.received.keep(frame)
            self._put(frame)

    def _in_step(self, sid: int, seq: int) -> bool:
        """Whether a frame is new; numbers that were left out before it, or begin again with it, are told first."""
        expected = self._next.get(sid)
        if expected is not None and seq == expected - 1:
            self.duplicates += 1
            return False
        self._next[sid] = seq + 1
        if expected is not None and seq != expected:
            self._gap(sid, self._subscriptions.channel(sid), expected, seq)
        return True

    def _gap(self, sid: int, channel: str, expected: int, received: int) -> None:
        one = self._subscriptions.wanted.get(channel)
        tickers = tuple(one.items or ()) if one is not None else ()
        gap = Gap(self._number, sid, channel, expected, received, tickers, self._clock.now())
        self.received.gaps.append(gap)
        self._put(gap)
        LOG.warning("gap on %s: expected %d, received %d", channel or f"subscription {sid}", expected, received)
        if channel == BOOK:
            if received < expected:
                self.books.mark_stale(
                    "the sequence started again" if received else "the exchange ended the subscription"
                )
            if received:
                self._heal()

    def _book(self, frame: Frame) -> None:
        try:
            changed = self.books.apply(frame.raw)
        except (BadPayload, UsageError) as error:
            LOG.warning("unreadable book frame: %s", error)
            if not self.books.wants_snapshot:
                self.books.mark_stale("a frame could not be read")
            self._heal()
        else:
            book = self.books.get(frame.ticker) if changed is None else None
            if book is not None and book.wants_snapshot and (self._healing is None or self._healing.done()):
                self._heal()  # its snapshot never came

    def _heal(self) -> None:
        """Books went stale: whatever was waited for before, ask now."""
        if self._healing is not None:
            self._healing.cancel()
        self._healing = self._soon(self._healed)

    async def _healed(self) -> None:
        """Ask for the snapshots of stale books, at most once a second, then more and more rarely, until they have come."""
        await self._clock.sleep(max(0.0, self._healed_at + ASKED_AGAIN - self._clock.monotonic()))
        for wait in HEALING:
            one = self._subscriptions.wanted.get(BOOK)
            stale = [name for name in self.books.wants_snapshot if one is not None and name in (one.items or ())]
            if one is None or not stale or self._subscriptions.connection is None:
                return
            self._healed_at = self._clock.monotonic()
            await self._subscriptions.ask(one, "get_snapshot", stale)
            await self._clock.sleep(wait)
        if left := [name for name in self.books.wants_snapshot if name in stale]:
            some = ", ".join(left[:5])
            raise Unavailable(f"no snapshot came of {some}: stale books", hint="stream.snapshots() asks again")

    def _error(self, frame: Frame, channel: str) -> None:
        """An error frame: of a subscription that ended, which is made again; one that refuses a command is told there."""
        answer = said(frame.raw)
        unheard = self._connection.refusal(answer) if self._connection is not None else ""
        error = error_of(answer, unheard or channel or "a subscription")
        error = error if self._connection is None else self._connection.named(error)
        if error.code in ENDED and channel:
            self._ended(self._subscriptions.wanted[channel], error)
        elif unheard or not answer.get("id"):
            self._note(error)
            if error.code in ENDED and self._connection is not None:  # nobody says whose: everything anew
                self._soon(self._connection.close)

    def _ended(self, one: Subscription, error: RequestError) -> None:
        self._note(error)
        sid, one.sid = one.sid or 0, None
        self._gap(sid, one.channel, self._next.pop(sid, 0), 0)
        self._soon(self._restore, one)

    def _note(self, error: LabError) -> None:
        self.received.errors.append(error)
        LOG.warning("%s", error)

    def _lost(self, notice: Disconnected) -> None:
        self._next.clear()
        self.books.mark_stale("the connection was lost")
        self._put(notice)

    def _put(self, item: Item) -> None:
        self._queue.put(item)
        self._news.set()

    # what a reader sees

    async def items(self) -> AsyncGenerator[Item]:
        """Frames as received, and notices, in the order of arrival; ends when the stream is closed."""
        begun = self._task is not None
        try:
            while (item := await self._item()) is not None:
                yield item
        finally:
            if not begun:
                await self.close()

    async def _item(self) -> Item | None:
        if self._task is None:
            await self.open()
        while True:
            if (item := self._queue.take()) is not None:
                return item
            if self._closed:
                return None
            if self._failed is not None:
                raise self._failed
            self._news.clear()
            await self._news.wait()

    async def several(self) -> list[Item]:
        """Everything that arrived and was not read, as in `items`, once there is something; empty when the stream is closed."""
        first = await self._item()
        found = [] if first is None else [first]
        while (item := self._queue.take()) is not None:
            found.append(item)
        return found

    async def next(self, timeout: float | None = None) -> Message | Notice | None:  # noqa: ASYNC109 - the caller's patience
        """The next message or notice; None when the stream is closed, or nothing came for `timeout` seconds."""
        if self._task is None:
            await self.open()
        try:
            async with asyncio.timeout(timeout):
                item = await self._item()
        except TimeoutError:
            return None
        return self.received.message(item) if isinstance(item, Frame) else item

    async def __aiter__(self) -> AsyncIterator[Message | Notice]:
        async with aclosing(self.items()) as items:
            async for item in items:
                yield self.received.message(item) if isinstance(item, Frame) else item

    # what is subscribed

    async def add(
        self,
        tickers: str | Iterable[str] | None = None,
        *,
        index_ids: str | Iterable[str] | None = None,
        underlying_tickers: str | Iterable[str] | None = None,
    ) -> None:
        """Subscribe further markets on every channel of this stream that is about single markets; indices and underlyings likewise."""
        await self._subscriptions.add(named(tickers, index_ids, underlying_tickers))

    async def drop(
        self,
        tickers: str | Iterable[str] | None = None,
        *,
        index_ids: str | Iterable[str] | None = None,
        underlying_tickers: str | Iterable[str] | None = None,
    ) -> None:
        """The opposite of `add`; what would leave a channel without any, and so about everything, is refused with UsageError."""
        items = named(tickers, index_ids, underlying_tickers)
        await self._subscriptions.drop(items)
        self._forget(items.get("market_tickers", ()))

    async def unsubscribe(self, channels: str | Iterable[str]) -> None:
        """End some of the channels, not all of them."""
        for one in await self._subscriptions.unsubscribe([channels] if isinstance(channels, str) else list(channels)):
            self._next.pop(one.sid or 0, None)
            if one.channel == BOOK:
                self._forget(tuple(self.books))

    def _forget(self, tickers: Iterable[str]) -> None:
        for name in tickers:
            self.books.remove(name)

    async def snapshots(self, tickers: str | Iterable[str] | None = None) -> None:
        """Ask for whole books again: of some markets, or of all; they arrive as messages."""
        one = self._subscriptions.wanted.get(BOOK)
        if one is None:
            raise UsageError(f"this stream has no books: {BOOK} is not among its channels")
        await self._subscriptions.ask(
            one, "get_snapshot", list(one.items or ()) if tickers is None else params.tickers(tickers)
        )

    async def index_list(self) -> None:
        """Ask which indices, or underlyings, there are; the answers arrive as messages (IndexList, UnderlyingList)."""
        asked = [(one, ACTIONS[one.items_name][2]) for one in self._subscriptions.wanted.values()]
        if not any(action for _, action in asked):
            raise UsageError("none of this stream's channels is about indices")
        for one, action in asked:
            if action:
                await self._subscriptions.ask(one, action, [])

    async def subscriptions(self) -> dict[str, int]:
        """What the exchange says is subscribed: each channel, with the number of its subscription."""
        return await self._subscriptions.listed()

    # what came so far

    @property
    def latest(self) -> Mapping[tuple[str, str], Message]:
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

    @property
    def state(self) -> str:
        """Not opened, connecting, open, failed or closed."""
        if self._closed:
            return "closed"
        if self._failed is not None:
            return "failed"
        if self._task is None:
            return "not opened"
        return "connecting" if self._subscriptions.connection is None else "open"

    def __repr__(self) -> str:
        channels, gaps = ", ".join(self._subscriptions.wanted), len(self.received.gaps)
        troubles = f", last error: {self.errors[-1].message}" if self.errors else ""
        return (
            f"<{type(self).__name__} {channels}: {self.state}, {self.received.count} messages, {gaps} gaps{troubles}>"
        )
