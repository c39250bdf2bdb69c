"""The life of a stream: its connection, kept and made again, and what is subscribed on it."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from kalshi_lab.errors import AuthFailed, Forbidden, LabError, RequestError, Unavailable, UsageError
from kalshi_lab.kalshi import params
from kalshi_lab.kalshi.channels import CHANNELS, CHUNK, Subscription
from kalshi_lab.kalshi.connection import Connection, Frame, connect
from kalshi_lab.kalshi.notices import Disconnected, Notice, Reconnected
from kalshi_lab.portal import AsyncSession

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from kalshi_lab.clock import Clock
    from kalshi_lab.door import Door
    from kalshi_lab.settings import Settings

LOG = logging.getLogger(__name__)
BOOK = "orderbook_delta"
PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between attempts to connect: full jitter below a doubling cap


class Lifeline(AsyncSession):
    """One task keeps the connection: opened with a new signature, everything subscribed, and made again when it is lost."""

    def __init__(self, door: Door, settings: Settings, clock: Clock, subscriptions: dict[str, Subscription]) -> None:
        self._door, self._settings, self._clock = door, settings, clock
        self._wanted = subscriptions
        self._next: dict[int, int] = {}
        self._connection: Connection | None = None
        self._number = 0
        self._task: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[None]] = set()
        self._failed: LabError | None = None
        self._closed = False
        self._up = asyncio.Event()
        self._news = asyncio.Event()

    @abstractmethod
    def _take(self, frame: Frame) -> None:
        """Take a frame in."""

    @abstractmethod
    def _put(self, item: Frame | Notice) -> None:
        """Hand on."""

    @abstractmethod
    def _lost(self, notice: Disconnected) -> None:
        """The connection is gone."""

    @abstractmethod
    def _dropped(self, tickers: set[str]) -> None:
        """These markets are no longer subscribed."""

    async def open(self) -> Self:
        """Connect and subscribe; what the exchange refuses is raised here."""
        if self._closed:
            raise UsageError("this stream was closed", hint="Make a new one")
        if self._task is None:
            connection = await self._first()
            try:
                await self._subscribe_all(connection)
            except BaseException:
                await self._drop_connection(connection)
                raise
            self._task = asyncio.create_task(self._keep(connection))
        return self

    async def __aenter__(self) -> Self:
        return await self.open()

    async def close(self) -> None:
        """End the stream and give back the connection."""
        self._closed = True
        tasks = [task for task in (self._task, self._reading, *self._asking) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()
        self._connection, self._task, self._reading = None, None, None
        self._news.set()

    async def _first(self) -> Connection:
        """The first connection, tried as often as a request is."""
        for attempt in range(1, self._settings.attempts + 1):
            try:
                return await self._connect()
            except (AuthFailed, Forbidden):
                raise
            except RequestError as error:
                if attempt == self._settings.attempts:
                    error.attempts = attempt
                    raise
                await self._pause(attempt)
        raise Unavailable("the stream was not opened")  # attempts is at least 1

    async def _connect(self) -> Connection:
        signer = self._door.signer
        if signer is None:
            raise AuthFailed(
                "the stream needs a key", hint="Give credentials=kl.Credentials.from_env()", method="GET", attempts=0
            )
        self._number += 1
        connection = await connect(self._settings.stream_url, signer, self._number, self._clock)
        self._connection = connection
        self._next.clear()
        self._reading = asyncio.create_task(self._read(connection))
        return connection

    async def _pause(self, attempt: int) -> None:
        await self._clock.sleep(self._clock.random() * min(LONGEST_PAUSE, PAUSE * 2**attempt))

    async def _keep(self, connection: Connection) -> None:
        """Hold the connection; when it is lost, make it again and subscribe everything."""
        try:
            while True:
                self._up.set()
                if self._reading is not None:
                    await asyncio.wait([self._reading])
                self._up.clear()
                lost = self._clock.now()
                self._lost(Disconnected(connection.number, lost))
                await self._drop_connection(connection)
                connection = await self._again()
                self._put(Reconnected(connection.number, lost, self._clock.now(), tuple(self._wanted)))
        except (AuthFailed, Forbidden, UsageError) as error:
            self._failed = error
            LOG.warning("the stream ended: %s", error)
        finally:
            self._news.set()

    async def _again(self) -> Connection:
        attempt = 0
        while True:
            attempt += 1
            await self._pause(attempt)
            try:
                connection = await self._connect()
                await self._subscribe_all(connection)
            except (AuthFailed, Forbidden):
                raise
            except RequestError as error:
                LOG.info("the stream is not back yet: %s", error)
                if self._connection is not None:
                    await self._drop_connection(self._connection)
            else:
                return connection

    async def _drop_connection(self, connection: Connection) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await connection.close()
        self._connection = self._reading = None

    async def _subscribe_all(self, connection: Connection) -> None:
        for one in self._wanted.values():
            await self._subscribe(connection, one)

    async def _subscribe(self, connection: Connection, one: Subscription) -> None:
        self._subscribed(await connection.command("subscribe", **one.first()))
        for piece in one.rest():
            await self._update(connection, one, "add_markets", piece)

    def _subscribed(self, answer: dict[str, Any]) -> None:
        """Take the number of a subscription from its answer, as soon as that arrives: its first messages may be right behind."""
        content = answer.get("msg")
        if isinstance(content, dict) and content.get("channel") in self._wanted and isinstance(content.get("sid"), int):
            self._wanted[content["channel"]].sid = content["sid"]

    @staticmethod
    async def _update(connection: Connection, one: Subscription, action: str, items: list[str]) -> None:
        await connection.command("update_subscription", sid=one.sid, action=action, **{one.items_name: items})

    async def add(self, tickers: str | Iterable[str]) -> None:
        """Subscribe further markets on every channel of this stream that is about single markets."""
        names = params.tickers(tickers)
        for one in self._about_markets():
            new = [name for name in names if name not in (one.items or ())]
            one.items = [*(one.items or ()), *new]
            await self._change(one, "add_markets", new)

    async def drop(self, tickers: str | Iterable[str]) -> None:
        """End the subscriptions of some markets; a channel that has none left would be about all of them, and is refused."""
        names = set(params.tickers(tickers))
        for one in self._about_markets():
            gone = [name for name in one.items or () if name in names]
            if gone and len(gone) == len(one.items or ()):
                raise UsageError(f"no market would be left on {one.channel}", hint="Close the stream instead")
        for one in self._about_markets():
            gone = [name for name in one.items or () if name in names]
            one.items = [name for name in one.items or () if name not in names]
            await self._change(one, "delete_markets", gone)
        self._dropped(names)

    async def _change(self, one: Subscription, action: str, items: list[str]) -> None:
        connection = self._connection
        if connection is None or not self._up.is_set():
            return  # it is subscribed with everything when the connection is back
        for start in range(0, len(items), CHUNK):
            piece = items[start : start + CHUNK]
            if action == "get_snapshot":  # whose answer are the snapshots
                await connection.ask("update_subscription", sid=one.sid, action=action, **{one.items_name: piece})
            else:
                await self._update(connection, one, action, piece)

    def _about_markets(self) -> list[Subscription]:
        found = [one for one in self._wanted.values() if CHANNELS[one.channel].markets != "none" and one.items]
        if not found:
            raise UsageError("this stream is not about single markets", hint="Open it with tickers=[...]")
        return found

    async def snapshots(self, tickers: str | Iterable[str] | None = None) -> None:
        """Ask for whole books again: of some markets, or of all; they arrive as messages."""
        one = self._wanted.get(BOOK)
        if one is None:
            raise UsageError(f"this stream has no books: {BOOK} is not among its channels")
        names = list(one.items or ()) if tickers is None else params.tickers(tickers)
        await self._change(one, "get_snapshot", names)

    async def subscriptions(self) -> list[dict[str, Any]]:
        """What the exchange says is subscribed: channel and sid."""
        if self._connection is None:
            raise Unavailable("the stream is not connected", hint="It is being made again; try in a moment")
        found = (await self._connection.command("list_subscriptions")).get("msg")
        return list(found) if isinstance(found, list) else []

    async def _read(self, connection: Connection) -> None:
        async for frame in connection.frames():
            self._take(frame)

    def _soon(self, work: Any) -> None:
        """Do it beside the reading, which must go on for the answer to arrive; a failure is noted."""
        task = asyncio.create_task(self._noted(work))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _noted(self, work: Any) -> None:
        try:
            await work
        except LabError as error:
            self._note(error)

    @abstractmethod
    def _note(self, error: LabError) -> None:
        """Remember what went wrong without ending the stream."""

    async def _resubscribe(self, one: Subscription) -> None:
        await self._pause(1)
        if self._connection is not None:
            await self._subscribe(self._connection, one)
