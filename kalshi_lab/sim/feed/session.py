"""One connection: its subscriptions, and the frames that wait until the client reads them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Send

    from kalshi_lab.sim.desk.keys import Caller
    from kalshi_lab.sim.feed.log import Entry, StreamLog

BUFFER = 20_000
_TURN = 100
_NAP = 0.1
UNSEQUENCED = frozenset({"ticker", "fill", "market_positions", "user_orders"})


@dataclass(slots=True)
class Frame:
    """A message that waits; `due` is the time by time.monotonic before which it is not sent. A `close` ends the connection."""

    text: str
    sid: int = 0
    entry: Entry | None = None
    due: float = 0.0
    close: int = 0


@dataclass(slots=True, eq=False)
class Subscription:
    """A channel on a connection. `rows` are the markets, `names` the indices; None stands for all.

    `since` is the virtual time at which it began; `yes_prices` turns NO prices of books over, `own` leaves out what is not the
    caller's, `brief` leaves lists out of replies, `by_id` has the lists in market ids, and `shard` is a part (factor, key).
    """

    connection: Connection
    sid: int
    channel: str
    since: int
    rows: set[int] | None = None
    names: set[str] | None = None
    yes_prices: bool = False
    own: bool = False
    brief: bool = False
    by_id: bool = False
    shard: tuple[int, int] = (1, 0)
    seq: int = 0

    @property
    def sequenced(self) -> bool:
        """Whether its messages are numbered."""
        return self.channel not in UNSEQUENCED

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.sid in self.connection.subscriptions

    def next(self) -> int:
        """Take the next number."""
        self.seq += 1
        return self.seq

    def wants(self, row: int) -> bool:
        """Whether a market is among its markets."""
        return self.rows is None or row in self.rows


@dataclass(slots=True, eq=False)
class Connection:
    """A client, from its handshake to its end; `client` is its address, `limit` how many frames may wait."""

    number: int
    caller: Caller
    client: tuple[str, int]
    limit: int = BUFFER
    subscriptions: dict[int, Subscription] = field(default_factory=dict)
    outbox: deque[Frame] = field(default_factory=deque)
    quiet_until: float = 0.0
    pinged: float = field(default_factory=time.monotonic)
    sids: int = 0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def on(self, channel: str) -> Subscription | None:
        """Its subscription to a channel."""
        return next((one for one in self.subscriptions.values() if one.channel == channel), None)

    def push(self, frame: Frame) -> bool:
        """Let a frame wait its turn; False, and nothing done, when too many wait already."""
        if len(self.outbox) >= self.limit:
            return False
        self.tell(frame)
        return True

    def tell(self, frame: Frame) -> None:
        """Let a frame wait its turn, however many wait."""
        self.outbox.append(frame)
        self._wake.set()

    def purge(self, sid: int) -> None:
        """Forget the waiting frames of a subscription."""
        kept = [frame for frame in self.outbox if frame.sid != sid]
        self.outbox.clear()
        self.outbox.extend(kept)

    def crowded(self) -> bool:
        """Whether half of the room is taken."""
        return len(self.outbox) * 2 > self.limit

    async def write(self, send: Send, log: StreamLog) -> None:
        """Send what waits, for as long as the connection lives."""
        turn = 0
        while True:
            while not self.outbox:
                self._wake.clear()
                await self._wake.wait()
            wait = max(self.outbox[0].due, self.quiet_until) - time.monotonic()
            if wait > 0:
                await asyncio.sleep(min(wait, _NAP))
                continue
            frame = self.outbox.popleft()
            if frame.close:
                await send({"type": "websocket.close", "code": frame.close})
                return
            await send({"type": "websocket.send", "text": frame.text})
            log.counts["sent"] += 1
            if frame.entry is not None:
                frame.entry.sent = True
            turn += 1
            if turn % _TURN == 0:
                await asyncio.sleep(0)
