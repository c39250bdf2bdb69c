"""All streams of one exchange: who is connected, and what a tick brings them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import numpy as np

from kalshi_lab.sim.feed import indices, messages
from kalshi_lab.sim.feed.books import NO, YES, Books
from kalshi_lab.sim.feed.calendar import Calendar
from kalshi_lab.sim.feed.commands import ERRORS
from kalshi_lab.sim.feed.faults import StreamFaults
from kalshi_lab.sim.feed.log import StreamLog
from kalshi_lab.sim.feed.session import BUFFER, Connection, Frame, Subscription
from kalshi_lab.sim.feed.tickers import Tickers
from kalshi_lab.sim.hub import Event
from kalshi_lab.sim.wire import DOLLAR, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kalshi_lab.sim.api import Api
    from kalshi_lab.sim.desk.keys import Caller
    from kalshi_lab.sim.hub import Hub
    from kalshi_lab.sim.render import Json
    from kalshi_lab.sim.tape import Trades
    from kalshi_lab.sim.virtual import VirtualClock

TICK = 0.1
SLICE = 100
_LEAP = 10 * SECOND
_PATIENCE = 2.0


class Feed:
    """Ticks while somebody is connected; `stir` makes book messages at a rate, `faults` makes things go wrong."""

    def __init__(self, api: Api, clock: VirtualClock, hub: Hub) -> None:
        self.api, self.world, self.clock, self.hub = api, api.world, clock, hub
        self.books, self.tickers, self.calendar = Books(api, self.emit), Tickers(api), Calendar(api.renderer)
        self.faults, self.log = StreamFaults(), StreamLog()
        self.connections: dict[int, Connection] = {}
        self.channels: dict[str, dict[Subscription, None]] = {}
        self.stirred: tuple[float, list[int] | None] = 0.0, None
        self.ticks = self._joined = 0
        self._at, self._owed, self._stirred_at, self._patience = 0, 0.0, 0.0, 0.0
        self._dirty: set[int] = set()
        self._flushing = False
        self._lock = asyncio.Lock()
        hub.subscribe(self._heard)

    # ------------------------------------------------------------------ who listens

    def join(self, caller: Caller, client: tuple[str, int]) -> Connection:
        """A new connection; time starts to pass with the first."""
        self.log.counts["connections"] += 1
        if not self.connections:
            self._at, self._stirred_at = self.clock.now(), time.monotonic()
            self.tickers.start(self._at)
            self.calendar.catch_up()
        self._joined += 1
        connection = Connection(self._joined, caller, client, self.faults.buffer(BUFFER))
        self.connections[connection.number] = connection
        return connection

    def part(self, connection: Connection) -> None:
        """A connection ended."""
        for subscription in list(connection.subscriptions.values()):
            self.end(subscription)
        self.faults.forget(connection)
        self.connections.pop(connection.number, None)

    def open(self, subscription: Subscription) -> None:
        """Let a subscription hear its channel."""
        subscription.connection.subscriptions[subscription.sid] = subscription
        self.channels.setdefault(subscription.channel, {})[subscription] = None

    def end(self, subscription: Subscription) -> None:
        """Let a subscription hear no more."""
        subscription.connection.subscriptions.pop(subscription.sid, None)
        self.channels.get(subscription.channel, {}).pop(subscription, None)
        self.books.leave(subscription, subscription.rows or ())

    def listeners(self, channel: str) -> list[Subscription]:
        """The subscriptions of a channel."""
        return list(self.channels.get(channel, ()))

    # ------------------------------------------------------------------ what they are told

    def emit(self, subscription: Subscription, kind: str, text: str, market: str = "") -> None:
        """Send a data message, given as JSON, to one subscription."""
        connection = subscription.connection
        if not subscription.alive:
            return
        number = subscription.next() if subscription.sequenced else None
        numbered = "" if number is None else f'"seq":{number},'
        stamp = self.clock.now() // messages.MILLISECOND
        whole = f'{{"type":"{kind}","sid":{subscription.sid},{numbered}"msg":{text},"sending_ts_ms":{stamp}}}'
        entry = self.log.frame(connection.number, subscription.sid, number, kind, market)
        frame = Frame(whole, subscription.sid, entry)
        for out in self.faults.through(connection, frame, sequenced=subscription.sequenced):
            if not connection.push(out):
                self.fail(subscription, 25)
                return

    def fail(self, subscription: Subscription, code: int) -> None:
        """End a subscription with an error; what still waits of it is not sent."""
        connection = subscription.connection
        if code == 25:
            self.log.counts["overflows"] += 1
            connection.purge(subscription.sid)
        self.end(subscription)
        body = {"type": "error", "sid": subscription.sid, "msg": {"code": code, "msg": ERRORS[code]}}
        connection.tell(Frame(messages.text(body)))

    def _heard(self, event: Event) -> None:
        """Pass on what the hub says, and note what it does to books."""
        if not self.connections:
            return
        row = self.world.names.find_market(event.market) if event.market else None
        if row is not None and event.channel in {"user_orders", "trade"}:
            self._soil(row, event)
        text = ""
        for subscription in self.listeners(event.channel):
            if _means(subscription, event, row):
                text = text or messages.text(event.msg)
                self.emit(subscription, event.kind, text, event.market)

    def _soil(self, row: int, event: Event) -> None:
        if event.channel == "user_orders":
            buys, level = event.msg["book_side"] == "bid", int(event.msg["yes_price_dollars"].replace(".", ""))
            place = (YES, level) if buys else (NO, DOLLAR - level)
            own = {"client_order_id": event.msg["client_order_id"], "subaccount": event.msg["subaccount_number"]}
            shown = {name: value for name, value in own.items() if value}
            self.books.marks.setdefault(row, {})[place] = event.user, shown
        self._dirty.add(row)
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """Send what members did to books, at once."""
        rows, self._dirty, self._flushing = list(self._dirty), set(), False
        now = self.clock.now()
        self.books.refresh([row for row in rows if row in self.books.held], now)
        for row in rows:
            self.books.marks.pop(row, None)
        self._quote(rows, now)

    # ------------------------------------------------------------------ ticks

    async def tick(self) -> None:
        """Bring everybody up to now."""
        async with self._lock:
            if not self.connections:
                return
            self.ticks += 1
            before, self._at = self._at, self.clock.now()
            now = self._at
            self._patience = _PATIENCE if now - before > _LEAP else 0.0
            if self.api.display is not None:
                self.api.display.venue.settle(now)
            await self._tell_all(Event(*message) for message in self.calendar.between(before, now))
            traded = await self._trades(before, now)
            moved = self.tickers.moved(now)
            await self._move(moved)
            for channel in indices.INTERVALS:
                self._index(channel, before, now)
            best = await self._stir()
            await self._tick_quotes(moved, traded | best)

    async def _tell_all(self, events: Iterable[Event]) -> None:
        for place, event in enumerate(events):
            self._heard(event)
            if place % SLICE == SLICE - 1:
                await self._breathe()

    async def _breathe(self) -> None:
        """Let others work; after a leap of the clock also let readers catch up, for a while."""
        await asyncio.sleep(0)
        while self._patience > 0 and any(one.crowded() for one in self.connections.values()):
            await asyncio.sleep(TICK / 10)
            self._patience -= TICK / 10

    async def tape(self) -> Trades:
        """All trades of the world; making them anew after markets were added takes too long for the loop."""
        if "everything" not in vars(self.world.tape):
            await asyncio.to_thread(lambda: self.world.tape.everything)
        return self.world.tape.everything

    async def _trades(self, before: int, now: int) -> set[int]:
        """Send the tape's trades after `before`; gives the markets in which there were any."""
        if not self.listeners("trade") and not self.listeners("ticker"):
            return set()
        tape = await self.tape()
        first, last = np.searchsorted(tape.time, (before, now), side="right").tolist()
        for start in range(first, last, SLICE):
            part = tape.at(slice(start, min(start + SLICE, last)))
            rows, times = part.market.tolist(), part.time.tolist()
            listeners = [one for one in self.listeners("trade") if one.rows is None or not one.rows.isdisjoint(rows)]
            listed = self.api.renderer.trades(part) if listeners else []
            for row, at, trade in zip(rows, times, listed, strict=False):
                self._print(listeners, row, at, trade)
            await self._breathe()
        return set(tape.market[first:last].tolist())

    def _print(self, listeners: list[Subscription], row: int, at: int, listed: Json) -> None:
        text = messages.text(messages.trade(listed, at))
        for subscription in listeners:
            if subscription.wants(row) and at > subscription.since:
                self.emit(subscription, "trade", text, listed["ticker"])

    async def _move(self, moved: set[int]) -> None:
        """Bring the books of events that moved up to date."""
        event = self.world.markets.event
        rows = [row for row in self.books.held if int(event[row]) in moved] if moved else []
        for start in range(0, len(rows), SLICE):
            part = [row for row in rows[start : start + SLICE] if row in self.books.held]
            self.books.refresh(part, self.clock.now())
            await self._breathe()

    async def _tick_quotes(self, moved: set[int], rows: set[int]) -> None:
        wanted = self.tickers.rows(moved, rows, self.listeners("ticker"))
        for start in range(0, len(wanted), SLICE):
            self._quote(wanted[start : start + SLICE], self.clock.now())
            await self._breathe()

    def _quote(self, rows: list[int], now: int) -> None:
        """Send the tickers that changed."""
        listeners = self.listeners("ticker")
        wanted = [row for row in rows if any(one.wants(row) for one in listeners)]
        for row, msg in self.tickers.changed(wanted, now):
            text = messages.text(msg)
            for subscription in listeners:
                if subscription.wants(row):
                    self.emit(subscription, "ticker", text, msg["market_ticker"])

    def _index(self, channel: str, before: int, now: int) -> None:
        listeners = self.listeners(channel)
        if not listeners or now // indices.INTERVALS[channel] == before // indices.INTERVALS[channel]:
            return
        for name, msg in indices.ticks(channel, self.world.seed, before, now):
            text = messages.text(msg)
            for subscription in listeners:
                if subscription.names is None or name in subscription.names:
                    self.emit(subscription, channel, text)

    async def _stir(self) -> set[int]:
        """Make the book messages that the wanted rate owes since the last tick."""
        (rate, rows), now = self.stirred, time.monotonic()
        self._owed = min(self._owed + rate * (now - self._stirred_at), rate) if rate else 0.0
        self._stirred_at, best = now, set[int]()
        while self._owed >= 1:
            many = min(int(self._owed), SLICE)
            self._owed -= many
            best |= self.books.stir(many, rows, self.clock.now())
            await self._breathe()
        return best


def _means(subscription: Subscription, event: Event, row: int | None) -> bool:
    """Whether an event is for a subscription."""
    caller = subscription.connection.caller
    if event.user and event.user != caller.id:
        return False
    place = event.msg.get("subaccount", event.msg.get("subaccount_number"))
    if event.user and None not in {place, caller.subaccount} and place != caller.subaccount:
        return False
    if subscription.own and not event.user:
        return False
    factor, key = subscription.shard
    if factor > 1 and sum(event.market.encode()) % factor != key:
        return False
    return row is None or subscription.wants(row)
