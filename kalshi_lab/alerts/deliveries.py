"""Deliveries: every event to every sink, in the background, each attempt written down, whatever becomes of the others."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import tenacity

from kalshi_lab.alerts import kept
from kalshi_lab.alerts.alarm import Alarm
from kalshi_lab.errors import LabError, UsageError
from kalshi_lab.store import writes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kalshi_lab.alerts.sinks import Sink
    from kalshi_lab.clock import Clock
    from kalshi_lab.store import Store
    from kalshi_lab.store.connection import Connection

log = logging.getLogger(__name__)
ATTEMPTS = 5
PAUSE, LONGEST = 1.0, 60.0  # seconds between attempts, at first and at most, before jitter
ABANDONED = timedelta(minutes=3)  # an attempt that began longer ago has nobody any more
GRACE = 5.0  # seconds for what is under way when the session ends
PENDING = """
SELECT deliveries.sink, events.*, alerts.label, alerts.condition FROM alert_deliveries AS deliveries
JOIN alert_events AS events USING (event_id) JOIN alerts ON alerts.alert_id = events.alert_id
WHERE deliveries.state = 'pending' AND (deliveries.attempts = 0 OR deliveries.time < $1) ORDER BY events.time, event_id
"""
CLAIM = """
UPDATE alert_deliveries SET attempts = attempts + 1, time = $3
WHERE event_id = $1 AND sink = $2 AND state = 'pending' AND (attempts = $4 OR time < $5) RETURNING attempts
"""
SETTLE = "UPDATE alert_deliveries SET state = $3, time = $4, error = $5 WHERE event_id = $1 AND sink = $2"


class Deliveries:
    """The sinks of a session. A row stands in the store from the moment that the event does, so a crash loses nothing.

    An event is told at least once: where a process dies between telling and writing that down, the next one tells it again, with the
    same `event_id`. Two processes with sinks of the same names share the work.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._sinks: dict[str, Sink] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns: dict[str, asyncio.Lock] = {}
        self._busy: set[tuple[str, str]] = set()

    @property
    def names(self) -> tuple[str, ...]:
        """What the sinks are called."""
        return tuple(self._sinks)

    async def use(self, sinks: Sequence[Sink]) -> None:
        """These, and no others, from now on; they are told what is pending for them."""
        names = [getattr(one, "name", None) for one in sinks]
        for one, name in zip(sinks, names, strict=True):
            if not isinstance(name, str) or not name or not callable(getattr(one, "send", None)):
                raise UsageError(f"{str(one)[:60]!r} is no sink", hint='Give one like kl.ToFile("alarms.jsonl")')
            if names.count(name) > 1:
                raise UsageError(f"two sinks are called {name!r}", hint="Give one of them another name=...")
        self._sinks = {one.name: one for one in sinks}
        await self.resume()

    async def resume(self) -> None:
        """Tell what nobody told, as after a crash."""
        if not self._sinks:
            return
        rows = (await self._store.read(PENDING, [self._clock.now() - ABANDONED])).to_dicts()
        for row in rows:
            told = {name: row[name] for name in Alarm.__dataclass_fields__} | {
                "condition": kept.words(row["condition"])
            }
            self._soon(row["sink"], Alarm(**told))

    def notify(self, alarms: Iterable[Alarm]) -> None:
        """Tell these, which are in the store; nothing is waited for."""
        for alarm in alarms:
            for name in self._sinks:
                self._soon(name, alarm)

    async def close(self) -> None:
        """Let what is under way come to its end, for a while."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GRACE)
        for task in self._tasks:
            task.cancel()

    def _soon(self, name: str, alarm: Alarm) -> None:
        sink, key = self._sinks.get(name), (alarm.event_id, name)
        if sink is not None and key not in self._busy:
            self._busy.add(key)
            task = asyncio.get_running_loop().create_task(self._deliver(sink, alarm))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(lambda _: self._busy.discard(key))

    async def _deliver(self, sink: Sink, alarm: Alarm) -> None:
        """One event to one sink: in the order of the events, with pauses that grow, until it took it or was asked often enough."""
        attempts = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(ATTEMPTS), wait=tenacity.wait_random_exponential(PAUSE, LONGEST),
            retry=tenacity.retry_if_exception_type(Exception), sleep=self._clock.sleep, reraise=True,
        )  # fmt: skip
        try:
            async with self._turns.setdefault(sink.name, asyncio.Lock()):
                async for attempt in attempts:
                    with attempt:
                        if not await self._claimed(sink.name, alarm, attempt.retry_state.attempt_number - 1):
                            return
                        await sink.send(alarm)
            await self._settled(sink.name, alarm, "sent", None)
        except Exception as error:  # noqa: BLE001 - a sink is anybody's code: it ends nothing
            log.warning("%s was not told of %s: %s", sink.name, alarm.event_id, _said(error))
            await self._settled(sink.name, alarm, "failed", _said(error))

    async def _claimed(self, name: str, alarm: Alarm, before: int) -> bool:
        """Whether this process makes the next attempt: nobody else has begun one meanwhile."""
        now = self._clock.now()
        given = [alarm.event_id, name, now, before, now - ABANDONED]

        def claim(connection: Connection) -> bool:
            return bool(writes.rows(connection, CLAIM, given))

        return await self._store.write(claim)

    async def _settled(self, name: str, alarm: Alarm, state: str, error: str | None) -> None:
        given = [alarm.event_id, name, state, self._clock.now(), error]
        try:
            await self._store.write(lambda connection: connection.execute(SETTLE, given) and None)
        except LabError as problem:
            log.warning("that %s was told of %s could not be written down: %s", name, alarm.event_id, problem)


def _said(error: Exception) -> str:
    """What is written down of an error: ours in full, since they show no secret; of others only what they are."""
    return str(error)[:300] if isinstance(error, LabError) else type(error).__name__
