"""The life of a stream: its connection, kept, and made again when it is lost."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from kalshi_lab.errors import AuthFailed, Forbidden, LabError, RequestError, Unavailable, UnexpectedRedirect, UsageError
from kalshi_lab.kalshi.connection import Connection, Frame, connect
from kalshi_lab.kalshi.notices import Disconnected, Notice, Reconnected
from kalshi_lab.kalshi.subscriptions import PASSING, Subscriptions
from kalshi_lab.portal import AsyncSession

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Self

    from kalshi_lab.clock import Clock
    from kalshi_lab.door import Door
    from kalshi_lab.kalshi.channels import Subscription
    from kalshi_lab.settings import Settings

LOG = logging.getLogger(__name__)
PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between attempts to connect: full jitter below a doubling cap
DOUBLINGS = 10  # after which the cap is the longest in any case
STEADY = 60.0  # seconds after which a connection was a good one, and the pauses begin small again


class Lifeline(AsyncSession):
    """One task keeps the connection: opened with a new signature, everything subscribed, and made again when it is lost."""

    def __init__(
        self,
        door: Door,
        settings: Settings,
        clock: Clock,
        subscriptions: dict[str, Subscription],
        *,
        attempts: int | None = None,
    ) -> None:
        if attempts is not None and attempts < 1:
            raise UsageError(f"attempts is {attempts}", hint="Give 1 or more, or None to go on for ever")
        self._door, self._settings, self._clock, self._attempts = door, settings, clock, attempts
        self._subscriptions = Subscriptions(subscriptions, clock)
        self._number = 0
        self._pace = 0
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._asides: set[asyncio.Task[None]] = set()
        self._failed: LabError | None = None
        self._closed = False
        self._opening = asyncio.Lock()
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
    def _ended(self, one: Subscription, error: RequestError) -> None:
        """A subscription ended while the connection stands."""

    @abstractmethod
    def _note(self, error: LabError) -> None:
        """Remember what went wrong."""

    async def open(self) -> Self:
        """Connect and subscribe; what the exchange refuses is raised here."""
        async with self._opening:
            if self._closed:
                raise UsageError("this stream was closed", hint="Make a new one")
            if self._failed is not None:
                raise self._failed
            if self._task is None:
                await self._start(await self._first())
            return self

    async def _start(self, connection: Connection) -> None:
        if self._closed:
            await self._drop_connection(connection)
            raise UsageError("this stream was closed while it was opened", hint="Make a new one")
        self._task = asyncio.create_task(self._keep(connection))

    async def __aenter__(self) -> Self:
        return await self.open()

    async def close(self) -> None:
        """End the stream and give back the connection."""
        self._closed, self._subscriptions.connection = True, None
        tasks = [task for task in (self._task, self._reading, *self._asides) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._connection is not None:
            await self._drop_connection(self._connection)
        self._news.set()

    async def _first(self) -> Connection:
        """The first connection, tried as often as a request is; what the exchange says to a command is not asked twice."""
        for attempt in range(1, self._settings.attempts + 1):
            try:
                return await self._attach()
            except (Forbidden, UnexpectedRedirect):
                raise
            except RequestError as error:
                error.attempts = attempt
                if error.code or attempt == self._settings.attempts or self._closed:
                    raise
                await self._pause()
        raise Unavailable("the stream was not opened")  # attempts is at least 1

    async def _attach(self, *, again: bool = False) -> Connection:
        """A connection on which everything is subscribed."""
        connection = await self._connect()
        try:
            refused = await self._subscriptions.all_on(connection, again=again)
        except BaseException:
            await self._drop_connection(connection)
            raise
        for channel, error in refused.items():
            self._ended(self._subscriptions.wanted[channel], error)
        return connection

    async def _connect(self) -> Connection:
        signer = self._door.signer
        if signer is None:
            raise AuthFailed(
                "the stream needs a key", hint="Give credentials=kl.Credentials.from_env()", method="GET", attempts=0
            )
        self._number += 1
        observer = self._door.observer
        connection = await connect(self._settings.stream_url, signer, self._number, self._clock, observer)
        self._connection = connection
        self._reading = asyncio.create_task(self._read(connection))
        return connection

    async def _read(self, connection: Connection) -> None:
        async for frame in connection.frames():
            self._take(frame)

    async def _pause(self) -> None:
        """Wait before the next attempt, longer each time until a connection was steady."""
        self._pace += 1
        cap = min(LONGEST_PAUSE, PAUSE * 2 ** min(self._pace, DOUBLINGS))
        await self._clock.sleep(self._clock.random() * cap)

    async def _keep(self, connection: Connection) -> None:
        """Hold the connection; when it is lost, make it again and subscribe everything."""
        try:
            while True:
                notice = await self._hold(connection)
                connection = await self._again()
                channels = tuple(self._subscriptions.wanted)
                self._put(Reconnected(connection.number, notice.time, self._clock.now(), channels))
        except LabError as error:
            self._fail(error)
        except Exception as error:
            LOG.exception("the stream ended by a fault of its own")
            self._fail(Unavailable(f"the stream ended by a fault of its own ({type(error).__name__})"))

    async def _hold(self, connection: Connection) -> Disconnected:
        """Until the connection is lost."""
        since, reading = self._clock.monotonic(), self._reading
        if reading is not None:
            await asyncio.wait([reading])
        self._subscriptions.connection = None
        notice = Disconnected(connection.number, self._clock.now(), connection.ended)
        self._lost(notice)
        await self._drop_connection(connection)
        if reading is not None and not reading.cancelled() and (fault := reading.exception()) is not None:
            raise fault
        if self._clock.monotonic() - since >= STEADY:
            self._pace = 0
        return notice

    async def _again(self) -> Connection:
        tries = 0
        while True:
            tries += 1
            await self._pause()
            try:
                return await self._attach(again=True)
            except RequestError as error:
                error.attempts = tries
                if isinstance(error, Forbidden) or tries == self._attempts:
                    raise
                LOG.info("the stream is not back yet: %s", error)

    def _fail(self, error: LabError) -> None:
        self._failed = error
        self._note(error)
        self._news.set()

    async def _drop_connection(self, connection: Connection) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await connection.close()
        self._connection = self._reading = None

    def _soon(self, work: Callable[..., Coroutine[Any, Any, None]], *given: Any) -> asyncio.Task[None]:
        """Do it beside the reading, which must go on for answers to arrive; a failure is noted."""
        task = asyncio.create_task(self._noted(work, *given))
        self._asides.add(task)
        task.add_done_callback(self._asides.discard)
        return task

    async def _noted(self, work: Callable[..., Coroutine[Any, Any, None]], *given: Any) -> None:
        try:
            await work(*given)
        except LabError as error:
            self._note(error)

    async def _restore(self, one: Subscription) -> None:
        """Subscribe a channel again that ended; where that goes on failing, the connection is to blame, or the channel stays away."""
        connection = self._connection
        error: RequestError | None = None
        for attempt in range(self._settings.attempts):
            await self._clock.sleep(self._clock.random() * PAUSE * 2**attempt)
            try:
                if connection is not None:
                    await self._subscriptions.restore(one, connection)
            except RequestError as refused:
                error = refused
            else:
                return
        if isinstance(error, PASSING) and connection is not None:
            await connection.close()
        if error is not None:
            raise error
