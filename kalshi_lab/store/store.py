"""The store: one DuckDB file, opened for one transaction at a time, so that notebooks, collectors and runs share it.

No transaction is open while the network is waited for. Within a process a gate lets many reads or one write in; between processes
DuckDB's own lock does, waited for with jitter and a bound. The file is never touched by other means while it is open: that would
drop its lock.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb

from kalshi_lab.errors import DiskFull, StoreError, UsageError, unknown
from kalshi_lab.store import select
from kalshi_lab.store.connection import LOCKED, READ, WRITE, fetch, in_transaction, opening_error, told
from kalshi_lab.store.gate import WRITING, Job, forked, gate_of
from kalshi_lab.store.instance import instance_of
from kalshi_lab.store.journal import Journal
from kalshi_lab.store.line import DUCKDB, Line, Patience
from kalshi_lab.store.upkeep import Upkeep
from kalshi_lab.store.versions import SCHEMAS, TABLES, create, known, too_new

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    import polars as pl

    from kalshi_lab.store.connection import Connection
    from kalshi_lab.store.instance import Instance
    from kalshi_lab.store.journal import Entry

T = TypeVar("T")
Noted = Callable[[T], "Sequence[Entry]"]
LETTING_GO = 5.0  # seconds that cancelled work may take to let the store go


class Store(Upkeep):
    """A DuckDB file and the way in: `read` for frames, `write` for one transaction, `select` for a user's own SQL."""

    def __init__(
        self,
        path: Path,
        *,
        wait: float = 10.0,
        keep_bodies: bool = False,
        min_free: int = 256 * 1024 * 1024,
        sql_seconds: float | None = None,
        sql_memory: int | None = None,
    ) -> None:
        self.path = path
        self._min_free, self._sql_seconds = min_free, sql_seconds
        self._reader = READ if sql_memory is None else {**READ, "memory_limit": f"{sql_memory}B"}
        self.keep_bodies = keep_bodies  # whether loads keep the answers as received, too
        self.remembered: dict[
            str, Any
        ] = {}  # what a load would read again otherwise; it says itself whether it still counts
        self.reached: Callable[[str], None] = (
            _nothing  # told each named point of a commit, so that tests can end the process there
        )
        self._journal = Journal(path)
        self._wait = wait
        self._ready = False
        self._pid = os.getpid()
        self._gate, self._line = gate_of(path), Line(path)
        self._for_reading = instance_of(path, self._reader, writes=False)
        self._for_writing = instance_of(path, WRITE, writes=True)

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever kept here."""
        return not self.path.exists()

    def writable(self) -> None:
        """Raise UsageError where it is only read."""

    def has_file(self) -> None:
        """Raise UsageError where there is no file of a store's own to care for."""

    async def read(self, sql: str, parameters: Sequence[Any] = ()) -> pl.DataFrame:
        """The rows of a query, with its columns, as an exact frame: numbers Decimal, times in UTC."""
        return await self._away(lambda job: self._read(job, sql, parameters))

    async def look(self, work: Callable[[Connection], T]) -> T:
        """Ask several questions of one state; who wants to write waits meanwhile."""
        return await self._away(lambda job: self._look(job, work))

    async def write(self, work: Callable[[Connection], T], noted: Noted[T] | None = None) -> T:
        """Do work inside one transaction: all of it is kept, or nothing.

        `noted` makes of what the work gave the lines that the journal takes once the transaction is committed, before anybody is told.
        """
        return await self._away(lambda job: self._write(job, work, noted))

    @asynccontextmanager
    async def burst(self) -> AsyncIterator[Burst]:
        """Several transactions in a row on one opening of the file, for work that is waiting already.

        Closing the file writes out what the transactions left in its log, which for a bulk load costs as much as the rows themselves.
        """
        held, thread = ExitStack(), ThreadPoolExecutor(1)  # its own: all the shared ones may be waiting for it to end
        try:
            yield Burst(self, await self._away(lambda job: self._hold(job, held), thread), thread)
        finally:
            closing = asyncio.get_running_loop().run_in_executor(thread, held.close)
            thread.shutdown(wait=False)
            await asyncio.shield(closing)

    async def select(self, sql: str, parameters: Sequence[Any] = ()) -> pl.DataFrame:
        """A user's own query: one SELECT, read-only, nothing outside the store.

        Columns are those of the query, numbers exact (Decimal), times in UTC.
        Raises UsageError for anything else, StoreError where it takes longer than `sql_seconds` or more memory than `sql_memory`.
        What is refused is refused as a guard against accidents, not as a sandbox.
        """
        await asyncio.to_thread(select.checked, sql)
        try:
            async with asyncio.timeout(self._sql_seconds):
                return await self.read(sql, parameters)
        except TimeoutError:
            raise StoreError(
                f"the query was stopped after {self._sql_seconds} s", hint="Ask for less, or set sql_seconds higher"
            ) from None

    async def table(self, name: str) -> pl.DataFrame:
        """A whole table with its columns as an exact frame: numbers Decimal, times in UTC. Raises UsageError for a name that is none."""
        if name not in TABLES:
            raise unknown("table", name, TABLES)
        return await self.read(f"SELECT * FROM {name}")

    async def _away(self, work: Callable[[Job], T], thread: ThreadPoolExecutor | None = None) -> T:
        """Work in a thread; cancelling interrupts the statement and waits until the store is let go."""
        if self._pid != os.getpid():
            raise forked(self.path, "this Store was made before the process forked")
        job = Job()
        future = asyncio.get_running_loop().run_in_executor(thread, work, job)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            end = time.monotonic() + LETTING_GO
            while not future.done() and time.monotonic() < end:
                job.stop()  # again and again, since DuckDB forgets an interrupt that falls between two statements
                await asyncio.wait([future], timeout=0.05)
            raise

    def _read(self, job: Job, sql: str, parameters: Sequence[Any]) -> pl.DataFrame:
        with self._reading(job) as connection, told(sql):
            return fetch(connection, sql, parameters)

    def _look(self, job: Job, work: Callable[[Connection], T]) -> T:
        with self._reading(job) as connection, told():
            return work(connection)

    def _write(self, job: Job, work: Callable[[Connection], T], noted: Noted[T] | None) -> T:
        with self._writing(job) as connection, told():
            return self._kept(job, connection, work, noted)

    def _kept(self, job: Job, connection: Connection, work: Callable[[Connection], T], noted: Noted[T] | None) -> T:  # noqa: ARG002 - for those who wait here
        done = in_transaction(connection, work, self.reached)
        if noted is not None:
            self._journal.add(noted(done))
            self.reached("journalled")
        return done

    def _hold(self, job: Job, held: ExitStack) -> Connection:
        return held.enter_context(self._writing(job))

    def _within(self, job: Job, connection: Connection, work: Callable[[Connection], T], noted: Noted[T] | None) -> T:
        self._check_room()
        job.holds(connection)
        with told():
            return self._kept(job, connection, work, noted)

    @contextmanager
    def _reading(self, job: Job) -> Iterator[Connection]:
        self._prepare(job)
        with self._gate.enter(str(self._reader), job), self._open(job) as connection:
            yield connection

    @contextmanager
    def _writing(self, job: Job) -> Iterator[Connection]:
        self._prepare(job)
        self._check_room()
        with self._gate.enter(WRITING, job), self._open(job, writes=True) as connection:
            yield connection

    def _prepare(self, job: Job) -> None:
        """Make the folder, the file and its tables, once."""
        if self._ready:
            return
        make_folder(self.path.parent)
        version = self._version(job)
        if version < len(SCHEMAS):
            self._check_room()
            if version:
                from kalshi_lab.store.backup import backup, fresh_name  # which imports this module

                backup(self, job, fresh_name(self.path, f"version-{version}.{os.getpid()}"))
            fresh = self.is_new
            with self._gate.enter(WRITING, job), self._open(job, writes=True) as connection, told():
                if fresh:
                    self.path.chmod(0o600)  # DuckDB leaves it to the umask
                in_transaction(connection, partial(create, reached=self.reached), self.reached)
        self._ready = True

    def _version(self, job: Job) -> int:
        """The version that the file has, 0 where there is none. Raises StoreError for a later one than this library knows."""
        if self.is_new:
            return 0
        with self._gate.enter(str(self._reader), job), self._open(job) as connection, told():
            version, library = known(connection)
        if version > len(SCHEMAS):
            raise too_new(self.path, version, library)
        return version

    def _check_room(self) -> None:
        """Raise DiskFull where so little is left that a write might end in the middle."""
        place = self._rows()
        free = shutil.disk_usage(place).free
        if free < self._min_free:
            said = f"{free / 1e6:,.0f} MB are free in {place}, and writing needs {self._min_free / 1e6:,.0f} MB"
            raise DiskFull(said, hint="Free some space; nothing was written, and what was kept before is safe")

    def _rows(self) -> Path:
        """The folder where the rows are."""
        return self.path.parent

    @contextmanager
    def _open(self, job: Job, *, writes: bool = False) -> Iterator[Connection]:
        patience = Patience(job, self._wait)
        instance = self._for_writing if writes else self._for_reading
        with self._line.turn(patience, shared=not writes) as turn:
            connection, failed = self._connect(patience, instance), True
            try:
                self._line.sign(turn)
                job.holds(connection)
                yield connection
                failed = False
            finally:
                job.holds(None)
                with told():
                    instance.leave(connection, failed=failed)

    def _connect(self, patience: Patience, instance: Instance) -> Connection:
        """Open the file, and once more where another took its name meanwhile, as a vacuum or a restore does."""
        while True:
            before = self._identity()
            connection = self._patiently(patience, instance.enter)
            if before in {None, self._identity()}:
                return connection
            instance.leave(connection, failed=True)

    def _identity(self) -> int | None:
        """Which file has the name; looking at it does not open it."""
        with suppress(OSError):
            return self.path.stat().st_ino
        return None

    def forget(self) -> None:
        """Another file has the name: look at its version before the next work."""
        self._ready = False

    def checkpoint(self, job: Job) -> None:
        """Write what the log holds into the file."""
        with self._gate.enter(WRITING, job), self._open(job, writes=True) as connection, told():
            connection.execute("CHECKPOINT")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else in this process has the file open."""
        with self._gate.enter(WRITING):
            yield

    @property
    def wanted(self) -> bool:
        """Whether another thread or another process waits for the store."""
        return self._gate.waiting > 0 or self._line.wanted

    def patiently(self, job: Job, attempt: Callable[[], T]) -> T:
        """Try to open the file, waiting for another process in small pauses up to the bound."""
        return self._patiently(Patience(job, self._wait), attempt)

    def _patiently(self, patience: Patience, attempt: Callable[[], T]) -> T:
        while True:
            try:
                return attempt()
            except duckdb.Error as error:
                if LOCKED not in str(error) or patience.over:
                    raise opening_error(error, self.path, self._wait, self._line.last()) from None
            patience.pause(DUCKDB)

    def __repr__(self) -> str:
        return f"<Store {self.path}>"


class Burst:
    """The store, open for several transactions."""

    def __init__(self, store: Store, connection: Connection, thread: ThreadPoolExecutor) -> None:
        self._store = store
        self._connection = connection
        self._thread = thread

    @property
    def wanted(self) -> bool:
        """Whether another thread or another process waits for the store: whoever has it open lets go soon."""
        return self._store.wanted

    async def write(self, work: Callable[[Connection], T], noted: Noted[T] | None = None) -> T:
        """Do work inside one transaction: all of it is kept, or nothing; `noted` as in `Store.write`."""
        store = self._store
        return await store._away(lambda job: store._within(job, self._connection, work, noted), self._thread)  # noqa: SLF001 - its own


def _nothing(_point: str) -> None:
    """Nobody watches."""


def make_folder(folder: Path) -> None:
    """Make the store's folder, readable by its owner alone; UsageError where that is not possible."""
    try:
        for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
            missing.mkdir(exist_ok=True, mode=0o700)  # `parents=True` would leave theirs to the umask
        folder.mkdir(exist_ok=True, mode=0o700)
        probe = folder / ".writable"
        probe.touch(mode=0o600)
        probe.unlink(missing_ok=True)  # somebody else may be trying the folder at the same moment
    except OSError as error:
        raise UsageError(
            f"the folder {folder} cannot be written: {error.strerror}", hint="Give another with home=..."
        ) from None
