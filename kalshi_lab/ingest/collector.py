"""The collector: quotes at every tick of a schedule and a fuller sync now and then, in the background, for as long as it is left alone."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from kalshi_lab import markup
from kalshi_lab.errors import CircuitOpen, LabError, StoreBusy, TimedOut, Unavailable, UsageError
from kalshi_lab.ingest import rounds
from kalshi_lab.ingest.rounds import SNAPSHOT, SYNC, Round
from kalshi_lab.ingest.schedule import JUMP, Schedule, wait_until
from kalshi_lab.observe import new_request_id
from kalshi_lab.portal import AsyncSession, Session, blocking

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path
    from typing import Self

    from kalshi_lab.clock import Clock
    from kalshi_lab.ingest.rounds import Plan, Step, Work
    from kalshi_lab.store import Store

log = logging.getLogger(__name__)
GRACE = 5.0  # seconds that a round has to come to its end when the collector is stopped


@dataclass(frozen=True, slots=True)
class CollectorStatus:
    """How a collector goes.

    state: not started, collecting (a round is at work), waiting (for the next one), done, stopped or failed; rounds: done so far,
    failed of them with an error; skipped: ticks without a round; asleep: for how long the machine was; rows: written so far;
    last_round and next_round: when the last one ended and the next one is due, None where there is none; last_error: of the last
    round that had one, None where all went well.
    """

    state: str
    rounds: int
    failed: int
    skipped: int
    asleep: timedelta
    rows: int
    last_round: datetime | None
    next_round: datetime | None
    last_error: Exception | None

    def _facts(self) -> dict[str, object]:
        """What there is to tell, in words."""
        facts: dict[str, object] = {"rounds": f"{self.rounds:,}", "rows": f"{self.rows:,}"}
        facts |= {name: f"{n:,}" for name in ("skipped", "failed") if (n := getattr(self, name))}
        facts |= {"asleep": lasted(self.asleep)} if self.asleep else {}
        times = {"last round": self.last_round, "next round": self.next_round}
        return facts | {name: f"{time:%Y-%m-%d %H:%M:%S} UTC" for name, time in times.items() if time is not None}

    def __repr__(self) -> str:
        facts = ", ".join(f"{name} {value}" for name, value in self._facts().items())
        error = f", last error: {_said(self.last_error)}" if self.last_error else ""
        return f"<CollectorStatus {self.state}: {facts}{error}>"

    def _repr_html_(self) -> str:
        warning = markup.warning(f"Last error: {_said(self.last_error)}") if self.last_error else ""
        return markup.card(f"Collector, {self.state}", self._facts(), warning)


class AsyncCollector(AsyncSession):
    """A collector in the background: `async with lab.collect(...) as collector:`, or `start()` and `stop()`.

    One at a time collects into a store. Attributes: collector (its id in the table `rounds`).
    """

    def __init__(self, store: Store, clock: Clock, plan: Plan, work: Work) -> None:
        self._store, self._clock, self._plan, self._work = store, clock, plan, work
        self.collector = new_request_id()
        self._schedule = Schedule.jittered(plan.every, clock.random())
        self._syncs = Schedule(plan.sync_every, self._schedule.offset)
        self._lock = FileLock(store.path.parent / "collector.lock", thread_local=False, mode=0o600)
        self._task: asyncio.Task[None] | None = None
        self._state, self._ending = "not started", False
        self._rounds = self._failed = self._skipped = self._rows = self._missed = 0
        self._because = ""
        self._asleep = timedelta()
        self._last_round: datetime | None = None
        self._next: datetime | None = None
        self._sync_due: datetime | None = None
        self._error: Exception | None = None
        self._told = ""

    @property
    def status(self) -> CollectorStatus:
        """How it goes."""
        return CollectorStatus(
            self._state, self._rounds, self._failed, self._skipped, self._asleep, self._rows, self._last_round, self._next, self._error
        )  # fmt: skip

    async def start(self) -> AsyncCollector:
        """Begin with a round at once. Raises StoreBusy, with its holder, where another collector works on the same store."""
        if self._state != "not started":
            raise UsageError("a collector is started once", hint="Make a new one with lab.collect(...)")
        _hold(self._lock, self._store.path.parent, self._clock.now())
        self._state = "waiting"
        self._task = asyncio.create_task(self._run())
        return self

    async def stop(self) -> AsyncCollector:
        """End it: a round at work has 5 seconds to come to its end, then it is cut off between two transactions."""
        self._ending, task = True, self._task
        if task is not None:
            try:
                if self._state == "collecting":
                    await asyncio.wait([task], timeout=GRACE)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                self._end()
        return self

    async def wait(self) -> CollectorStatus:
        """Wait until it has ended; with `rounds=None` that is when somebody stops it."""
        if self._task is not None:
            await asyncio.wait([self._task])
        return self.status

    async def close(self) -> None:
        """The same as `stop`."""
        await self.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def _run(self) -> None:
        """Round after round, until it is stopped or the last one is done."""
        try:
            due = self._clock.now()
            while not self._over:
                self._state, self._next = "collecting", None
                await self._round(due)
                due = await self._until_next()
            self._state = "stopped" if self._ending else "done"
        except Exception as error:
            self._state, self._error = "failed", error
            log.exception("the collector ended, which it never should")
        finally:
            self._end()

    def _end(self) -> None:
        """Let the store go to the next collector; a task cancelled before it began never came that far itself."""
        self._state = self._state if self._state in {"done", "failed"} else "stopped"
        self._next = None
        self._lock.release()

    @property
    def _over(self) -> bool:
        return self._ending or (self._plan.rounds is not None and self._rounds >= self._plan.rounds)

    async def _round(self, due: datetime) -> None:
        """One round and what came of it; whatever goes wrong, the next one goes on."""
        began, ticks = self._clock.now(), self._clock.monotonic()
        kind = SYNC if self._sync_due is None or began >= self._sync_due else SNAPSHOT
        rows, errors = await self._steps(kind)
        ended = self._clock.now()
        self._slept((ended - began).total_seconds() - (self._clock.monotonic() - ticks))
        if kind == SYNC and not errors:  # one that failed is tried again in the next round
            self._sync_due = self._syncs.next(began + self._plan.sync_every / 2)
        self._rounds, self._rows, self._last_round = self._rounds + 1, self._rows + rows, ended
        made = Round(
            self.collector, self._rounds, self._plan.scope, due, began, ended, kind, rows, self._missed, self._because,
            _said(errors[0]) if errors else "",
        )  # fmt: skip
        self._missed, self._because = 0, ""
        self._skip(self._schedule.passed(due, ended), f"the round before took {lasted(ended - began)}")
        await self._tell(made, errors)

    async def _steps(self, kind: str) -> tuple[int, list[Exception]]:
        """Every step, also after one that failed, unless the exchange does not answer: rows written, and the errors."""
        rows, errors = 0, []
        try:
            for step in await self._work.steps(kind):
                try:
                    rows += await self._patiently(step)
                except Exception as error:  # noqa: BLE001 - it must not end what is left alone for months; it is told and kept
                    errors.append(error)
                    if isinstance(error, Unavailable | TimedOut | CircuitOpen):
                        break  # what does not answer is not asked again and again
        except LabError as error:  # the store cannot say what is missing
            errors.append(error)
        return rows, errors

    async def _patiently(self, step: Step) -> int:
        """A step; where the exchange is left alone for a while, it waits for that and tries once more."""
        try:
            return await step()
        except CircuitOpen as error:
            if error.until is None or error.until > self._schedule.next(self._clock.now()):
                raise
            await wait_until(self._clock, error.until)
            return await step()

    async def _tell(self, made: Round, errors: list[Exception]) -> None:
        """A row in the store, then a line in the log; the traceback of an error that is not the one of the round before."""
        try:
            await rounds.enter(self._store, made)
        except LabError as error:
            log.warning("round %d could not be written down: %s", made.round, error)
        if errors:
            self._failed, self._error = self._failed + 1, errors[0]
            new = _kind(errors[0]) != self._told
            log.error("%s", made, exc_info=errors[0] if new else None)
        else:
            log.info("%s", made)
        self._told = _kind(errors[0]) if errors else ""

    async def _until_next(self) -> datetime:
        """Wait for the next tick; the last tick that passed by then, with those that were missed before it counted."""
        self._state, began = "waiting", self._clock.now()
        while not self._over:
            self._next = self._schedule.next(began)
            waited = await wait_until(self._clock, self._next)
            if waited.set_back:
                log.warning("this machine's clock was set back; the schedule goes on from there")
                self._sync_due, began = None, self._clock.now()
                continue
            self._slept(waited.asleep)
            last = self._schedule.last(self._clock.now())
            asleep = (
                f"asleep for {lasted(timedelta(seconds=waited.asleep))}" if waited.asleep else "this process came late"
            )
            self._skip(self._schedule.passed(self._next, last), asleep)
            return last
        return began

    def _slept(self, seconds: float) -> None:
        if seconds > JUMP:
            self._asleep += timedelta(seconds=seconds)
            log.warning("this machine was asleep for %s, or its clock was set", lasted(timedelta(seconds=seconds)))

    def _skip(self, ticks: int, because: str) -> None:
        """Count ticks without a round."""
        if ticks:
            self._skipped, self._missed = self._skipped + ticks, self._missed + ticks
            self._because = f"{self._because}; {because}" if self._because else because

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.collector} every {lasted(self._plan.every)}: {repr(self.status)[17:]}"

    def _repr_html_(self) -> str:
        return self.status._repr_html_()


class Collector(Session):
    """The blocking face of `AsyncCollector`: it works in the background until `stop()`, or to the end of its `with` block."""

    _twin: AsyncCollector

    def __init__(self, twin: AsyncCollector) -> None:
        super().__init__(twin)
        self._call(twin.start())

    wait = blocking(AsyncCollector.wait)
    close = blocking(AsyncCollector.close)

    def stop(self) -> Collector:
        """End it: a round at work has 5 seconds to come to its end, then it is cut off between two transactions."""
        self._call(self._twin.stop())
        return self

    @property
    def collector(self) -> str:
        """Its id in the table `rounds`."""
        return self._twin.collector

    @property
    def status(self) -> CollectorStatus:
        """How it goes."""
        return self._twin.status

    def _repr_html_(self) -> str:
        return self._twin._repr_html_()


def lasted(length: timedelta) -> str:
    """A length of time in words, as "3 h", "12 min" or "1.5 s"."""
    seconds = length.total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{round(seconds / size, 1):g} {unit}"
    return f"{round(seconds, 1):g} s"


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error.message if isinstance(error, LabError) else error}"


def _kind(error: Exception) -> str:
    return type(error).__name__


def _hold(lock: FileLock, folder: Path, now: datetime) -> None:
    """Take the lock, which the system lets go when this process ends, however it ends, and write down who holds it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    note = folder / "collector.holder"  # not in the lock's own file, which whoever tries the lock empties
    try:
        lock.acquire(timeout=0)
    except Timeout:
        holder = ""
        with suppress(OSError):
            holder = note.read_text("utf-8").strip()
        busy = StoreBusy(
            f"another collector ({holder or 'unknown'}) works on the store in {folder}",
            hint="One is enough: stop that one first, or collect into another folder with home=...",
        )
        busy.holder = holder
        raise busy from None
    with suppress(OSError):  # it only names the holder
        note.touch(mode=0o600)
        note.write_text(f"PID {os.getpid()} on {platform.node()} since {now:%Y-%m-%d %H:%M:%S} UTC\n", "utf-8")
