"""From the waiting room into the store: a transaction for each batch, tried until it is kept."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from kalshi_lab.errors import LabError, StoreCorrupt, StoreError
from kalshi_lab.ingest.stream_rows import Reader, Rows
from kalshi_lab.store import recorded
from kalshi_lab.store.journal import BATCH, Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kalshi_lab.clock import Clock
    from kalshi_lab.ingest.intake import Intake
    from kalshi_lab.ingest.stream_rows import Back, Break, Numbered
    from kalshi_lab.store import Store
    from kalshi_lab.store.connection import Connection
    from kalshi_lab.store.store import Noted

log = logging.getLogger(__name__)
T = TypeVar("T")
SOON = 0.5  # seconds that a frame waits for others
QUIET = 5.0  # seconds without a frame after which the store is told that nothing happened
ON_ITS_WAY = timedelta(seconds=2)  # what was sent that long ago has arrived
PAUSE, LONGEST_PAUSE = 0.2, 5.0  # seconds between attempts at a store that cannot be written
LAST_TRIES = 3  # attempts once nothing more arrives
REMEMBERED = 10_000  # lags, for their percentiles


@dataclass(slots=True)
class Counts:
    """What was read and written so far: messages by type, rows by table, trades received, seconds from receipt to commit."""

    frames: Counter[str] = field(default_factory=Counter)
    stored: Counter[str] = field(default_factory=Counter)
    trades: int = 0
    quarantined: int = 0
    backfilled: int = 0
    lags: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def lag(self, share: float) -> float | None:
        """That percentile of the last lags; None before the first."""
        ordered = sorted(self.lags)
        return ordered[int(share * (len(ordered) - 1))] if ordered else None


class Writer:
    """Writes what `intake` holds until it is closed and empty; `noticed` is told of every batch that was kept.

    Attributes: tickers (entered with each batch), counts, errors.
    """

    def __init__(
        self, store: Store, clock: Clock, intake: Intake, recording: str, noticed: Callable[[Rows], None]
    ) -> None:
        self._store, self._clock, self._intake, self._recording = store, clock, intake, recording
        self._noticed = noticed
        self.tickers: list[str] = []
        self.counts = Counts()
        self.errors: deque[LabError] = deque(maxlen=100)

    async def enter(self, channels: Sequence[str], gone: Sequence[str]) -> None:
        """Enter the recording in the store, and end those whose recorder is gone."""
        self._reader = Reader(self._recording, self._clock.now)
        now = self._reader.last

        def work(connection: Connection) -> None:
            recorded.abandon(connection, gone, now)
            recorded.begin(connection, self._recording, channels, self.tickers, now)

        await self._store.write(work)

    async def run(self) -> None:
        """Write until nothing more can arrive, and then say that the recording ended."""
        intake = self._intake
        while len(intake) or not intake.closed:
            await intake.wait(SOON, quiet=QUIET)
            items = intake.batch()
            if items:
                await self._batch(items)
            elif intake.is_whole and not self._reader.open:
                await self._nothing_happened()
        now = self._clock.now()
        gaps = [row(self._recording, gap) for gap in self._reader.close(now)]
        self.counts.stored["gaps"] += len(gaps)
        until = max(self._reader.last, now - ON_ITS_WAY)
        await self.kept(lambda connection: recorded.end(connection, self._recording, until, now, gaps))

    async def kept(self, work: Callable[[Connection], T], noted: Noted[T] | None = None) -> T:
        """Do work in a transaction, again and again while the store cannot be written; once nothing more arrives, a few times."""
        pause, last = PAUSE, 0
        while True:
            try:
                return await self._store.write(work, noted)
            except StoreCorrupt:
                raise
            except StoreError as error:
                self.trouble(error)
                last += self._intake.closed
                if last >= LAST_TRIES:
                    raise
            await self._clock.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def trouble(self, error: LabError) -> None:
        """Remember what went wrong."""
        log.warning("recording %s: %s", self._recording, error)
        self.errors.append(error)

    async def _batch(self, items: Sequence[Numbered | Break | Back]) -> None:
        rows, batch = await asyncio.to_thread(self._read, items)
        stored = await self.kept(
            lambda connection: recorded.keep(connection, batch), lambda stored: [_told(batch, stored)]
        )
        self._count(rows, stored)
        self._noticed(rows)

    def _read(self, items: Sequence[Numbered | Break | Back]) -> tuple[Rows, recorded.Kept]:
        rows = self._reader.read(items)
        gaps = [row(self._recording, gap) for gap in rows.gaps]
        return rows, recorded.Kept(
            self._recording, items[0].frame, items[-1].frame, self._reader.kept_until, list(self.tickers), rows.tables(), gaps, rows.refused
        )  # fmt: skip

    def _count(self, rows: Rows, stored: dict[str, int]) -> None:
        counts, now = self.counts, self._clock.monotonic()
        counts.frames.update(rows.kinds)
        counts.stored.update(stored)
        counts.trades += len(rows.values["trades"])
        counts.quarantined += len(rows.refused)
        counts.lags.extend(now - at for at in rows.received)

    async def _nothing_happened(self) -> None:
        """Silence is knowledge too: say that all is kept until shortly before now."""
        until = max(self._reader.kept_until, self._clock.now() - ON_ITS_WAY)
        batch = recorded.Kept(self._recording, 1, 0, until, list(self.tickers))
        await self.kept(lambda connection: recorded.keep(connection, batch))


def _told(batch: recorded.Kept, stored: dict[str, int]) -> Entry:
    """A batch as the journal has it."""
    frames, rows = batch.last - batch.first + 1, sum(stored.values())
    return Entry(BATCH, batch.recording, "recordings", "", "", batch.last, frames, rows, time=batch.kept_until)


def row(recording: str, gap: Break) -> dict[str, Any]:
    """A gap as a row of its table."""
    names = ("frame", "reason", "channel", "sid", "tickers", "expected", "received", "lost", "since", "until")
    return {"recording": recording} | {name: getattr(gap, name) for name in names}
