"""The store's own care: check it, copy it, go back, save what can be saved, keep it small."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeVar, cast

from kalshi_lab.clock import SystemClock, moment

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

    import polars as pl

    from kalshi_lab.clock import Clock, When
    from kalshi_lab.store.backup import Backup, Restored
    from kalshi_lab.store.gate import Job
    from kalshi_lab.store.prune import Vacuumed
    from kalshi_lab.store.recover import Recovered
    from kalshi_lab.store.statistics import Statistics
    from kalshi_lab.store.store import Store
    from kalshi_lab.store.verify import Verified

T = TypeVar("T")


class Upkeep(ABC):
    """What a store does for its own sake; the other half of `Store`."""

    @abstractmethod
    async def _away(self, work: Callable[[Job], T], thread: ThreadPoolExecutor | None = None) -> T:
        """Work in a thread."""

    @property
    def _store(self) -> Store:
        return cast("Store", self)

    async def statistics(self) -> Statistics:
        """What the store holds, in a time that does not grow with it: `.frame()` with table, rows and newest of each table.

        `.statuses` has the markets of each status; `.size`, `.log` and `.free` are bytes of the file, of what is not in it yet, and of
        room on the disk. Nothing but the markets' statuses is read to count it.
        """
        from kalshi_lab.store.statistics import statistics

        self._store.has_file()
        return await statistics(self._store)

    async def verify(self) -> Verified:
        """Check everything: every row read with its checksums, keys, the ledger's balance, and the journal of what was acknowledged.

        Gives a report: `.ok`, `.frame()` with a row for each fault, `.missing` with the pages that the next sync brings back. Damage
        never raises; StoreBusy does where another process holds the store.
        """
        from kalshi_lab.store.verify import Check

        self._store.has_file()
        return await Check(self._store).run()

    async def backup(self, path: str | os.PathLike[str]) -> Backup:
        """Copy the store to a new file, at one moment, while others go on reading; its checksum is written beside it.

        The file appears once it is whole and on disk, readable by its owner alone. Writers wait meanwhile. Raises UsageError where the
        path is there already, DiskFull, StoreBusy, StoreCorrupt where a part of the store cannot be read.
        """
        from kalshi_lab.store.backup import backup

        self._store.has_file()
        return await self._away(lambda job: backup(self._store, job, path))

    async def restore(self, path: str | os.PathLike[str]) -> Restored:
        """Put a backup in the place of the store; what was there is kept under a name with the time.

        The backup is compared with its checksum and must not be of a later version. `verify()` then names the pages that were
        acknowledged since, and the next sync brings them back. Raises StoreCorrupt where it is not as it was made, StoreBusy while another
        process uses the store, UsageError where there is no such file.
        """
        from kalshi_lab.store.backup import restore

        self._store.has_file()
        done = await self._away(lambda job: restore(self._store, job, path))
        self._store.forget()
        return done

    async def recover(self) -> Recovered:
        """Save what can be saved of a damaged store, and say what is lost. Nothing is deleted.

        A log that cannot be replayed and a file that cannot be opened are renamed (`.quarantine-` and the time). Of a file in which some
        tables cannot be read everything else is written to a new file, and the runs whose rows are not all there leave the ledger, so that
        the next sync reads them again. Looks and batches of recordings that are gone for good are noted, so that `verify()` does not
        ask for them any more.
        """
        from kalshi_lab.store.journal import LOST, Entry
        from kalshi_lab.store.recover import Recovered, recover
        from kalshi_lab.store.verify import Check

        self._store.has_file()
        aside, lost = await self._away(lambda job: recover(self._store, job))
        store = self._store
        store.forget()
        found = await Check(store).run()
        gone = [one for one in found.faults if one.kind == "lost"]
        if gone:
            lines = [Entry(LOST, one.run_id, one.dataset, one.scope, "", one.page or 0) for one in gone]
            await store.write(lambda _: None, lambda _: lines)
        return Recovered(store.path, aside, lost, found)

    async def prune(
        self,
        *,
        quotes: When | None = None,
        recordings: When | None = None,
        quarantine: When | None = None,
        bodies: When | None = None,
        trades: When | None = None,
        candlesticks: When | None = None,
        dry_run: bool = True,
        clock: Clock | None = None,
    ) -> pl.DataFrame:
        """Take out rows older than an age ("90d") or a time, for each target that is named; a dry run only counts.

        quotes: with the snapshots, but never what a question about a later moment needs; recordings: book changes (but for each book's last
        snapshot before the time), ticks and lifecycle. Columns: table String; rows (that go), of Int64; before Datetime(us, UTC).
        The file keeps its size until `vacuum`. Raises UsageError without a target.
        """
        from kalshi_lab.store.prune import prune

        now = (clock or SystemClock()).now()
        asked = {
            "quotes": quotes, "recordings": recordings, "quarantine": quarantine, "bodies": bodies, "trades": trades,
            "candlesticks": candlesticks,
        }  # fmt: skip
        before = {name: moment(value, now=now, what=name) for name, value in asked.items() if value is not None}
        return await prune(self._store, before, now, dry_run=dry_run)

    async def compact(self) -> int:
        """Keep trades once more in whole numbers, by market and time, and give how many: then questions over all of them are quick.

        One market's tape, bars and the longshot curve of the whole store read it, and what was added since from the trades themselves.
        It takes a minute and half a gigabyte for fifty million trades, and is made anew each time: after a large sync, or once a night.
        Others wait meanwhile.
        """
        from kalshi_lab.store.compact import compact

        return await self._store.write(compact)

    async def vacuum(self, *, dry_run: bool = True) -> Vacuumed:
        """Write the file anew without the room that deleted rows had; a dry run says how much that is at least.

        Others go on reading meanwhile, writers wait; the new file takes the old one's name at once. Raises StoreBusy, DiskFull.
        """
        from kalshi_lab.store.prune import vacuum

        self._store.has_file()
        return await self._away(lambda job: vacuum(self._store, job, dry_run=dry_run))
