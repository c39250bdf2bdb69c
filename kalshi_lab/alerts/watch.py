"""The watch: alerts looked after in the background, by live books where there are some and by a look now and then at the rest."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from kalshi_lab import markup
from kalshi_lab.alerts import kept
from kalshi_lab.alerts.engine import FIRED, Engine
from kalshi_lab.alerts.held import Held
from kalshi_lab.alerts.looks import look_around
from kalshi_lab.alerts.seen import OVER
from kalshi_lab.alerts.tops import Tops
from kalshi_lab.errors import LabError
from kalshi_lab.portal import AsyncSession, Session, blocking

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from datetime import datetime, timedelta

    from kalshi_lab.alerts.deliveries import Deliveries
    from kalshi_lab.alerts.facts import Facts
    from kalshi_lab.clock import Clock
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.kalshi.received import Item
    from kalshi_lab.kalshi.stream import AsyncStream
    from kalshi_lab.store import Store

log = logging.getLogger(__name__)
REMEMBERED = 2.0  # seconds after which what conditions remember is kept, where nothing happened
GRACE = 5.0


@dataclass(frozen=True, slots=True)
class WatchStatus:
    """How a watch goes.

    state: not started, watching or stopped; live: markets whose books it has, by the stream; messages: of the stream; rounds: looks
    at the rest, failed of them with an error; fired: alerts, since it began; why_no_stream: why there is none; last_error: of the
    last round, or the last messages, if they had one.
    """

    state: str
    alerts: int
    live: int
    messages: int
    rounds: int
    failed: int
    fired: int
    last_round: datetime | None
    why_no_stream: str
    last_error: Exception | None

    def _facts(self) -> dict[str, object]:
        facts: dict[str, object] = {"alerts": self.alerts, "live books": self.live, "messages": f"{self.messages:,}"}
        facts |= {"rounds": self.rounds, "failed": self.failed, "fired": self.fired}
        facts |= {"last round": f"{self.last_round:%Y-%m-%d %H:%M:%S} UTC"} if self.last_round else {}
        return facts | ({"no stream": self.why_no_stream} if self.why_no_stream else {})

    def __repr__(self) -> str:
        facts = ", ".join(f"{name} {value}" for name, value in self._facts().items())
        return f"<WatchStatus {self.state}: {facts}{f', last error: {self.last_error}' if self.last_error else ''}>"

    def _repr_html_(self) -> str:
        warning = markup.warning(f"Last error: {self.last_error}") if self.last_error else ""
        return markup.card(f"Watch of alerts, {self.state}", self._facts(), warning)


class AsyncWatch(AsyncSession):
    """A watch in the background, as `lab.alerts.start()` gives it; `status` says how it goes, `stop()` ends it."""

    def __init__(
        self,
        kalshi: AsyncKalshi,
        store: Store,
        clock: Clock,
        facts: Facts,
        deliveries: Deliveries,
        *,
        every: timedelta,
        stream: bool = True,
    ) -> None:
        self._kalshi, self._store, self._clock = kalshi, store, clock
        self._facts, self._deliveries = facts, deliveries
        self._every, self._streams = every.total_seconds(), stream
        self._engine, self._tops, self._held = Engine(), Tops(), Held(store)
        self._stream: AsyncStream | None = None
        self._arriving: asyncio.Task[list[Item]] | None = None
        self._task: asyncio.Task[None] | None = None
        self._state, self._why = "not started", "" if stream else "it was not asked for"
        self._rounds = self._failed = self._fired = self._messages = 0
        self._last_round: datetime | None = None
        self._errors: dict[str, Exception] = {}
        self._kept_at = 0.0

    @property
    def status(self) -> WatchStatus:
        """How it goes."""
        return WatchStatus(
            self._state, len(self._engine.alerts), len(self._tops.live), self._messages, self._rounds, self._failed, self._fired,
            self._last_round, self._why, next(iter(self._errors.values()), None),
        )  # fmt: skip

    @property
    def over(self) -> bool:
        """Whether it was ended."""
        return self._task is not None and self._task.done()

    async def start(self) -> AsyncWatch:
        """Begin, with a look at everything at once."""
        if self._task is None:
            self._state = "watching"
            self._task = asyncio.create_task(self._run())
        return self

    async def stop(self) -> AsyncWatch:
        """End it; what conditions remember is kept."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=GRACE)
        return self

    async def close(self) -> None:
        """The same as `stop`."""
        await self.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def _run(self) -> None:
        try:
            await self._deliveries.resume()
            while True:
                await self._guarded("round", self._round())
                await self._until_next()
        finally:
            self._state = "stopped"
            if self._arriving is not None:
                self._arriving.cancel()
            if self._stream is not None:
                await self._stream.close()
            with suppress(LabError):
                await self._keep()
            await self._held.let_go()

    async def _guarded(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        """Whatever goes wrong is told, and the watch goes on: it is left alone for months."""
        try:
            await work
        except Exception as error:
            new = str(error) != str(self._errors.get(what))
            self._failed, self._errors[what] = self._failed + 1, error
            log.warning("the watch goes on after an error: %s", error, exc_info=error if new else None)
        else:
            self._errors.pop(what, None)

    async def _round(self) -> None:
        """Take the alerts as they are in the store now, and look at all that they need and no live book shows."""
        await self._keep()
        await self._load()
        try:
            now = await look_around(self._engine, self._kalshi, self._facts, self._clock, live=lambda: self._tops.live)
            await self._listen()
        finally:
            await self._keep(looked=True)
        self._rounds, self._last_round = self._rounds + 1, now

    async def _load(self) -> None:
        await self._held.let_go()
        self._engine.load(*await self._store.look(kept.read))

    async def _keep(self, *, looked: bool = False) -> None:
        """Write what happened, and tell it; where another process was first, begin again from what it wrote."""
        changes, now = self._engine.changes(), self._clock.now()
        self._kept_at = self._clock.monotonic()
        looks = kept.looks(self._engine) if looked else {}
        if not changes and not looks:
            return
        sinks = self._deliveries.names
        try:
            alarms, whole = await self._held.write(lambda connection: kept.keep(connection, changes, now, sinks, looks))
        except BaseException:
            self._engine.give_back(changes)
            raise
        self._fired += sum(alarm.what == FIRED for alarm in alarms)
        self._deliveries.notify(alarms)
        if not whole:
            await self._load()

    async def _until_next(self) -> None:
        """What the stream brings, until the next round is due."""
        resting = asyncio.create_task(self._clock.sleep(self._every))
        try:
            while not resting.done():
                waited = {resting, self._arriving} if self._arriving is not None else {resting}
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED, timeout=self._held.patience)
                if self._arriving is not None and self._arriving.done():
                    await self._guarded("messages", self._arrived(self._arriving))
                else:
                    await self._held.let_go()
        finally:
            resting.cancel()

    async def _arrived(self, arriving: asyncio.Task[list[Item]]) -> None:
        """Everything that arrived is seen, one after the other, before what came of it is written."""
        stream, self._arriving = self._stream, None
        items = arriving.result()  # raises what ended the stream: the next round makes another
        if not items or stream is None:
            self._stream = None
            return
        self._arriving = asyncio.create_task(stream.several())
        self._messages += len(items)
        now = self._clock.now()
        for item in items:
            for quote in self._tops.take(item, self._engine.quotes):
                self._engine.see(quote, now)
        if self._engine.happened or self._clock.monotonic() > self._kept_at + REMEMBERED:
            await self._keep()
        if stale := self._tops.wanting(self._clock.monotonic()):
            await stream.snapshots(stale)

    async def _listen(self) -> None:
        """Have the books of exactly the markets that are watched; without a key, or a stream, the looks alone must do."""
        if not self._streams:
            return
        wanted = self._streamed()
        if self._stream is not None and (
            not wanted or self._stream.state in {"failed", "closed"} or self._volume_missing()
        ):
            await self._hang_up()
        try:
            if wanted and self._stream is None:
                await self._call(wanted)
            elif self._stream is not None and (new := sorted(set(wanted) - self._tops.names)):
                self._tops.names |= set(new)
                await self._stream.add(new)
            if self._stream is not None and (gone := sorted(self._tops.names - set(wanted))):
                await self._stream.drop(gone)
                self._tops.forget(gone)
            self._why = ""
        except LabError as error:
            if str(error) != self._why:
                log.warning("alerts are looked at every %.0f s only: %s", self._every, error)
            self._why = str(error)
            await self._hang_up()

    def _streamed(self) -> list[str]:
        """The markets that are traded still: one that the exchange does not list would make it refuse them all."""
        quotes = self._engine.quotes
        names = set(self._engine.tickers) | self._engine.watched()
        return sorted(name for name in names if name in quotes and quotes[name].status not in OVER)

    def _volume_missing(self) -> bool:
        return self._engine.by_volume and not self._tops.by_volume

    async def _call(self, wanted: list[str]) -> None:
        channels = ["orderbook_delta", *(["ticker"] if self._engine.by_volume else [])]
        self._stream = self._kalshi.stream(channels, tickers=wanted)
        self._tops = Tops(wanted, by_volume=self._engine.by_volume)
        await self._stream.open()
        self._arriving = asyncio.create_task(self._stream.several())

    async def _hang_up(self) -> None:
        if self._arriving is not None:
            self._arriving.cancel()
        if self._stream is not None:
            await self._stream.close()
        self._stream = self._arriving = None
        self._tops = Tops()

    def __repr__(self) -> str:
        return repr(self.status).replace("<WatchStatus", f"<{type(self).__name__}")


class Watch(Session):
    """The blocking face of `AsyncWatch`."""

    _twin: AsyncWatch

    stop = blocking(AsyncWatch.stop)
    close = blocking(AsyncWatch.close)

    @property
    def status(self) -> WatchStatus:
        """How it goes."""
        return self._twin.status

    def __repr__(self) -> str:
        return repr(self._twin).replace("AsyncWatch", "Watch")

    def _repr_html_(self) -> str:
        return self._twin.status._repr_html_()
