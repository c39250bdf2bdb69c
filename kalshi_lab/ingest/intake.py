"""The bounded waiting room between the stream and the store: what arrives is numbered, and what finds no room is counted."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from kalshi_lab.ingest.stream_rows import Back, Break, Numbered
from kalshi_lab.kalshi.connection import Frame
from kalshi_lab.kalshi.notices import Disconnected, Gap, Missed, Reconnected

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalshi_lab.kalshi.received import Item

BATCH = 1_000  # frames that are written at once
LARGEST = 10 * BATCH  # when more wait already


class Intake:
    """Frames and gaps in the order of arrival, `bound` of them at most.

    What arrives while it is full is dropped, and counted in a gap of its own that ends when half of the room is free again.
    Attributes: frame (the number given last), lost (frames dropped, here or before they came here), connected, closed, wants_snapshots
    (whether books must start anew because frames were dropped).
    """

    def __init__(self, bound: int, monotonic: Callable[[], float]) -> None:
        self.bound = bound
        self._monotonic = monotonic
        self.frame = 0
        self.lost = 0
        self.connected = True
        self.wants_snapshots = False
        self.closed = False
        self._waiting: deque[Numbered | Break | Back] = deque()
        self._connection = 0
        self._behind: Break | None = None
        self._some = asyncio.Event()
        self._batch = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_whole(self) -> bool:
        """Whether nothing waits, nothing is being dropped and the connection stands: then silence means that nothing happened."""
        return self.connected and not self._waiting and self._behind is None

    def take(self, item: Item) -> None:
        """Take in what arrived."""
        if isinstance(item, Frame):
            if item.connection != self._connection:
                self._other_connection(item.connection)
            self._frame(item)
        elif isinstance(item, Gap):
            self._gap(_left_out(item))
        elif isinstance(item, Missed):
            self._gap(Break(0, "behind", lost=item.count))
            self.wants_snapshots = True
            if "Reconnected" in item.counts:
                self._back()
        elif isinstance(item, Disconnected):
            self.disconnected()
        elif isinstance(item, Reconnected):
            self._connection = item.connection
            self._back()

    def disconnected(self) -> None:
        """The connection is lost: a gap begins."""
        if self.connected:
            self.connected = False
            self._gap(Break(0, "connection"))

    def close(self) -> None:
        """Nothing arrives any more; what was being dropped becomes a gap."""
        self.closed = True
        if self._behind is not None:
            self._waiting.append(self._behind)
            self._behind = None
        self._some.set()
        self._batch.set()

    async def wait(self, seconds: float, *, quiet: float) -> None:
        """Until a batch is full, or `seconds` have passed since the first frame of it, or `quiet` seconds without a frame."""
        if await _set(self._some, quiet) and not self.closed:
            await _set(self._batch, seconds)

    def batch(self) -> list[Numbered | Break | Back]:
        """The next items, oldest first."""
        taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), LARGEST))]
        if self._behind is not None and len(self._waiting) <= self.bound // 2:
            self._put(self._behind)
            self._behind, self.wants_snapshots = None, True
        if not self._waiting:
            self._some.clear()
        if len(self._waiting) < BATCH:
            self._batch.clear()
        return taken

    def _number(self) -> int:
        self.frame += 1
        return self.frame

    @property
    def _full(self) -> bool:
        return self._behind is not None or len(self._waiting) >= self.bound

    def _frame(self, frame: Frame) -> None:
        number = self._number()
        if self._full:
            self._drop(number, 1)
        else:
            self._put(Numbered(number, frame, self._monotonic()))

    def _gap(self, gap: Break) -> None:
        """Note a gap in its place; while frames are dropped it lies within theirs."""
        gap.frame = self._number()
        if self._full:
            self._drop(gap.frame, gap.lost or 0)
        else:
            self.lost += gap.lost or 0
            self._put(gap)

    def _other_connection(self, number: int) -> None:
        """The first frame of a connection; after the first one, the loss of the one before may not have been told."""
        if self._connection and self.connected:
            self.disconnected()
            self._back()
        self._connection = number

    def _back(self) -> None:
        """The connection stands again and everything is subscribed: the gap ends, even where there is no room."""
        if not self.connected:
            self.connected = True
            self._put(Back(self._number()))

    def _drop(self, number: int, lost: int) -> None:
        self._behind = self._behind or Break(number, "behind", lost=0)
        self._behind.lost = (self._behind.lost or 0) + lost
        self.lost += lost

    def _put(self, item: Numbered | Break | Back) -> None:
        self._waiting.append(item)
        self._some.set()
        if len(self._waiting) >= BATCH:
            self._batch.set()


def _left_out(gap: Gap) -> Break:
    """Numbers left out on a subscription, or one that the exchange ended, which is then made again under another number."""
    if not gap.received:
        return Break(0, "subscription", gap.channel, tickers=list(gap.tickers) or None)
    lost = gap.received - gap.expected if gap.received > gap.expected else None
    tickers = list(gap.tickers) or None
    return Break(0, "sequence", gap.channel, gap.sid, tickers, gap.expected, gap.received, lost)


async def _set(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):  # wait_for forgets a cancellation in Python 3.11
            await event.wait()
    except TimeoutError:
        return False
    return True
