"""The recorder: what the stream brings, into the store, batch by batch, with every gap as a row."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from filelock import FileLock, Timeout

from kalshi_lab import markup
from kalshi_lab.errors import LabError, UsageError
from kalshi_lab.ingest.intake import Intake
from kalshi_lab.ingest.recording_writer import Writer
from kalshi_lab.observe import new_request_id
from kalshi_lab.portal import AsyncSession, Session, blocking
from kalshi_lab.store import recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime
    from typing import Self

    from kalshi_lab.clock import Clock
    from kalshi_lab.ingest.recorded_markets import Wanted
    from kalshi_lab.ingest.stream_rows import Break, Rows
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.kalshi.stream import AsyncStream
    from kalshi_lab.store import Store

BOUND = 50_000  # messages that may wait
SETTLED = 1.0  # seconds after a gap until REST is asked for its trades
LAST_WAIT = 10.0  # seconds that what goes on beside may take when the recording ends
LIFECYCLE = "market_lifecycle_v2"
SINGLY = 20  # markets whose trades are asked for one by one; of more, those of the whole exchange are
ASKED = timedelta(seconds=1)  # REST takes whole seconds


@dataclass(frozen=True, slots=True)
class RecordingStats:
    """How a recording goes: messages by type, rows stored by table, and what is missing.

    known: trades that the store had already; quarantined: messages that could not be read; lost: messages known to be missing;
    backfilled: trades of gaps that REST brought; waiting: messages not yet written; lag_p50 and lag_p99: seconds from receipt to
    commit over the last 10,000 messages, None before the first.
    """

    frames: dict[str, int]
    stored: dict[str, int]
    known: int
    quarantined: int
    gaps: int
    lost: int
    backfilled: int
    waiting: int
    lag_p50: float | None
    lag_p99: float | None


class AsyncRecording(AsyncSession):
    """A recording in the background: `async with lab.record(...) as recording:`, or `start()` and `stop()`.

    Attributes: recording (its id in the tables), state (not started, recording, stopped, failed).
    """

    def __init__(
        self,
        kalshi: AsyncKalshi,
        store: Store,
        clock: Clock,
        wanted: Wanted,
        stream: Callable[[list[str]], AsyncStream],
        *,
        bound: int = BOUND,
    ) -> None:
        self._kalshi, self._store, self._clock, self._wanted, self._open = kalshi, store, clock, wanted, stream
        self.recording = new_request_id()
        self.state = "not started"
        self._intake = Intake(bound, clock.monotonic)
        self._writer = Writer(store, clock, self._intake, self.recording, self._noticed)
        self._lock = _lock(store, self.recording)
        self._tasks: list[asyncio.Task[None]] = []
        self._aside: set[asyncio.Task[None]] = set()
        self._asking = asyncio.Lock()
        self._new: set[str] = set()
        self._strangers: set[str] = set()

    @property
    def tickers(self) -> tuple[str, ...]:
        """The markets that are recorded, in the order in which they joined."""
        return tuple(self._writer.tickers)

    @property
    def errors(self) -> tuple[LabError, ...]:
        """What went wrong, newest last; most of it was overcome."""
        return tuple(self._writer.errors)

    @property
    def stats(self) -> RecordingStats:
        """How it goes."""
        counts = self._writer.counts
        stored = dict(sorted(counts.stored.items()))
        return RecordingStats(
            dict(sorted(counts.frames.items())), stored, counts.trades - stored.get("trades", 0), counts.quarantined,
            stored.get("gaps", 0), self._intake.lost, counts.backfilled, len(self._intake), counts.lag(0.5), counts.lag(0.99),
        )  # fmt: skip

    async def start(self) -> AsyncRecording:
        """Find the markets, subscribe, and enter the recording in the store; UsageError where there is no such market."""
        if self.state != "not started":
            raise UsageError("a recording is started once", hint="Make a new one with lab.record(...)")
        self._writer.tickers = await self._wanted.markets(self._kalshi)
        self._stream = await self._open(self._writer.tickers).open()
        try:
            await self._enter()
        except BaseException:
            await self._stream.close()
            _let_go(self._lock)
            raise
        self.state = "recording"
        self._tasks = [asyncio.create_task(work) for work in (self._receive(), self._write())]
        return self

    async def stop(self) -> AsyncRecording:
        """End it: what arrived is written, and the recording marked as ended. Raises StoreError where that cannot be done."""
        if self._tasks:
            receiving, writing = self._tasks
            try:
                await self._stream.close()
                await asyncio.wait([receiving], timeout=LAST_WAIT)  # what had arrived by then is handed on
                self._intake.close()
                await asyncio.shield(writing)
                await self._finish_asides()
                if receiving.done():
                    receiving.result()
            finally:
                await self._cancel()
        return self

    async def close(self) -> None:
        """The same as `stop`."""
        await self.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def _enter(self) -> None:
        """Enter this recording, and end those that nobody ended and whose recorder is gone."""
        _hold(self._lock)
        gone = {}
        try:
            for name in await recorded.open_recordings(self._store):
                lock = _lock(self._store, name)
                if _hold(lock):
                    gone[name] = lock
            await self._writer.enter(self._wanted.channels, list(gone))
        finally:
            for lock in gone.values():
                _let_go(lock)

    async def _receive(self) -> None:
        """Take in what arrives until the stream ends; where it ends by itself, so does the recording."""
        try:
            async for item in self._stream.items():
                self._intake.take(item)
        except LabError as error:
            self._writer.trouble(error)
            self._intake.disconnected()
            self.state = "failed"
        except BaseException:
            self.state = "failed"
            raise
        finally:
            self._intake.close()

    async def _write(self) -> None:
        try:
            await self._writer.run()
        except BaseException:
            self.state = "failed"
            raise
        finally:
            self._intake.close()
            _let_go(self._lock)

    async def _cancel(self) -> None:
        tasks, self._tasks = [*self._tasks, *self._aside], []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.state = "stopped" if self.state == "recording" else self.state

    async def _finish_asides(self) -> None:
        if self._aside:
            await asyncio.wait(self._aside, timeout=LAST_WAIT)

    def _noticed(self, rows: Rows) -> None:
        """What a batch that was kept asks for: snapshots, trades of its gaps, markets that are new."""
        if self._intake.wants_snapshots:
            self._intake.wants_snapshots = False
            self._start(self._stream.snapshots)
        for gap in rows.gaps:
            if "trade" in self._wanted.channels and gap.channel in {None, "trade"}:
                self._start(self._backfill, gap)
        self._new |= rows.new_markets - self._strangers - set(self._writer.tickers)
        if self._wanted.grows and not self._intake.closed:
            names, self._new = sorted(self._new), set()
            if names:
                self._start(self._join, names)
            if any(gap.channel in {None, LIFECYCLE} for gap in rows.gaps):  # in which markets may have been created
                self._start(self._join_open)

    def _start(self, work: Callable[..., Coroutine[Any, Any, None]], *given: Any) -> None:
        task = asyncio.create_task(self._told(work, *given))
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)

    async def _told(self, work: Callable[..., Coroutine[Any, Any, None]], *given: Any) -> None:
        try:
            await work(*given)
        except LabError as error:
            self._writer.trouble(error)

    async def _join(self, names: list[str]) -> None:
        """Record those of some new markets that belong to the series or event; on an error they are asked about again."""
        try:
            mine = await self._wanted.belonging(self._kalshi, names)
            await self._add(mine)
            self._strangers |= set(names) - set(mine)
        except LabError:
            self._new |= set(names)
            raise

    async def _join_open(self) -> None:
        await self._add(await self._wanted.open_ones(self._kalshi))

    async def _add(self, names: list[str]) -> None:
        fresh = [name for name in names if name not in self._writer.tickers]
        if fresh:
            await self._stream.add(fresh)
            self._writer.tickers += fresh

    async def _backfill(self, gap: Break) -> None:
        """Bring the trades of a gap by REST; one gap at a time, however many there are."""
        await self._clock.sleep(SETTLED)
        since, until = gap.since, gap.until
        if since is None or until is None:
            return
        async with self._asking:
            trades = await self._trades(since - ASKED, until + 2 * ASKED)
        now = self._clock.now()
        stamped = trades.with_columns(run_id=pl.lit(self.recording), seen_at=pl.lit(now, pl.Datetime("us", "UTC")))
        stored = await self._writer.kept(
            lambda connection: recorded.backfill(connection, self.recording, gap.frame, stamped)
        )
        self._writer.counts.backfilled += stored

    async def _trades(self, since: datetime, until: datetime) -> pl.DataFrame:
        """What REST says was traded in a window, in the markets that are recorded."""
        mine = self.tickers
        if len(mine) > SINGLY or not mine:
            found = await self._kalshi.markets.trades(since=since, until=until).frame(exact=True)
            return found.filter(pl.col("ticker").is_in(mine)) if mine else found
        asked = [self._kalshi.markets.trades(ticker, since=since, until=until).frame(exact=True) for ticker in mine]
        return pl.concat(await asyncio.gather(*asked))

    def __repr__(self) -> str:
        stats = self.stats
        frames, gaps = sum(stats.frames.values()), f", {stats.gaps} gaps" if stats.gaps else ""
        waiting = f", {stats.waiting:,} waiting" if stats.waiting else ""
        aside = f", {stats.quarantined:,} QUARANTINED" if stats.quarantined else ""
        last = f", last error: {self.errors[-1].message}" if self.errors else ""
        said = f"{len(self.tickers)} markets, {frames:,} messages{gaps}{waiting}{aside}{last}"
        return f"<{type(self).__name__} {self.recording} {self.state}: {said}>"

    def _repr_html_(self) -> str:
        stats = self.stats
        facts: dict[str, object] = {"state": self.state, "markets": len(self.tickers)}
        facts |= {"messages": f"{sum(stats.frames.values()):,}"} | {name: f"{n:,}" for name, n in stats.stored.items()}
        facts |= {name: getattr(stats, name) for name in ("quarantined", "lost", "waiting") if getattr(stats, name)}
        if stats.lag_p99 is not None:
            facts["kept within"] = f"{stats.lag_p99:.1f} s"
        warning = markup.warning(str(self.errors[-1])) if self.errors else ""
        return markup.card(f"Recording {self.recording}", facts, warning)


class Recording(Session):
    """The blocking face of `AsyncRecording`: it runs in the background until `stop()`, or to the end of its `with` block."""

    _twin: AsyncRecording

    def __init__(self, twin: AsyncRecording) -> None:
        super().__init__(twin)
        self._call(twin.start())

    close = blocking(AsyncRecording.close)

    def stop(self) -> Recording:
        """End it: what arrived is written, and the recording marked as ended. Raises StoreError where that cannot be done."""
        self._call(self._twin.stop())
        return self

    @property
    def recording(self) -> str:
        """Its id in the tables."""
        return self._twin.recording

    @property
    def state(self) -> str:
        """Recording, stopped, or failed."""
        return self._twin.state

    @property
    def tickers(self) -> tuple[str, ...]:
        """The markets that are recorded."""
        return self._twin.tickers

    @property
    def errors(self) -> tuple[LabError, ...]:
        """What went wrong, newest last; most of it was overcome."""
        return self._twin.errors

    @property
    def stats(self) -> RecordingStats:
        """How it goes."""
        return self._twin.stats

    def _repr_html_(self) -> str:
        return self._twin._repr_html_()


def _lock(store: Store, recording: str) -> FileLock:
    """The lock that a recorder holds as long as it lives, and the system lets go when its process ends, however it ends."""
    return FileLock(store.path.parent / f"{recording}.recording", thread_local=False, mode=0o600)


def _hold(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


def _let_go(lock: FileLock) -> None:
    if lock.is_locked:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
