"""The store: one DuckDB file, opened for one transaction at a time, so that notebooks, collectors and runs share it.

No transaction is open while the network is waited for. Within a process a gate lets many reads or one write in; between processes
DuckDB's own lock does, waited for with jitter and a bound. The file is never touched by other means while it is open: that would
drop its lock.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from importlib import resources
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb
import polars as pl
import polars.selectors as cs

from kalshi_lab.errors import DiskFull, StoreBusy, StoreCorrupt, StoreError, UsageError, unknown
from kalshi_lab.store.arrow import Arrow
from kalshi_lab.store.journal import Journal
from kalshi_lab.store.upkeep import Upkeep

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from kalshi_lab.store.journal import Entry

T = TypeVar("T")
Noted = Callable[[T], "Sequence[Entry]"]
Connection = duckdb.DuckDBPyConnection
TABLES = (
    "alert_events", "alerts", "bodies", "book_changes", "candlesticks", "coverage", "events", "gaps", "imported", "ledger", "lifecycle",
    "markets", "pruned", "quarantine", "quotes", "recordings", "results", "rounds", "series", "snapshots", "theses", "thesis_markets",
    "ticks", "trades",
)  # fmt: skip
SCHEMAS = (
    "schema.sql",
    "recordings.sql",
    "bodies.sql",
    "imported.sql",
    "search.sql",
    "pruned.sql",
    "coverage.sql",
)  # version by version; a file once released is not changed any more
READ: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "python_enable_replacements": "false",
}
WRITE: dict[str, str | bool | int | float | list[str]] = {
    "storage_compatibility_version": "v1.5.0",
    "checkpoint_threshold": "512MB",  # written out when the file is closed, not in the middle of a burst
    "autoinstall_known_extensions": "false",
    "python_enable_replacements": "false",
}
LOCKED = "Could not set lock"
DAMAGED = ("not a valid duckdb", "corrupt", "could not read enough bytes", "wal file")
LETTING_GO = 5.0  # seconds that cancelled work may take to let the store go
_HOLDER = re.compile(r"held in (.*?)\. See|\(PID (\d+)\)")


class Gate:
    """Many readers or one writer in this process; a waiting writer goes before new readers."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._readers = 0
        self._writing = False
        self._waiting = 0

    @contextmanager
    def enter(self, *, write: bool) -> Iterator[None]:
        """Hold the gate as a writer or as a reader."""
        with self._turn:
            if write:
                self._waiting += 1
                self._turn.wait_for(lambda: not self._writing and not self._readers)
                self._waiting -= 1
                self._writing = True
            else:
                self._turn.wait_for(lambda: not self._writing and not self._waiting)
                self._readers += 1
        try:
            yield
        finally:
            with self._turn:
                if write:
                    self._writing = False
                else:
                    self._readers -= 1
                self._turn.notify_all()


_GATES: dict[
    Path, Gate
] = {}  # DuckDB keeps one instance of a file in a process, so the gate belongs to the file, not to a Store
_GATES_LOCK = threading.Lock()


class Job:
    """One piece of work on the store, which another thread can interrupt."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._connection: Connection | None = None

    def holds(self, connection: Connection | None) -> None:
        """Remember the connection that an interrupt must reach; work that was stopped meanwhile does not begin."""
        self._connection = connection
        if connection is not None and self.stopped.is_set():
            raise StoreError("the work was stopped before it began")

    def stop(self) -> None:
        """Interrupt the running statement, or the wait for the lock."""
        self.stopped.set()
        connection = self._connection
        if connection is not None:
            with suppress(duckdb.Error):  # it may be closed by now
                connection.interrupt()


class Store(Upkeep):
    """A DuckDB file and the way in: `read` for frames, `write` for one transaction, `select` for a user's own SQL."""

    def __init__(self, path: Path, *, wait: float = 10.0, keep_bodies: bool = False) -> None:
        self.path = path
        self.keep_bodies = keep_bodies  # whether loads keep the answers as received, too
        self.reached: Callable[[str], None] = (
            _nothing  # told each named point of a commit, so that tests can end the process there
        )
        self._journal = Journal(path)
        self._wait = wait
        self._ready = False
        with _GATES_LOCK:
            self._gate = _GATES.setdefault(path.resolve(), Gate())

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever kept here."""
        return not self.path.exists()

    async def read(self, sql: str, parameters: Sequence[Any] = ()) -> pl.DataFrame:
        """The rows of a query as an exact frame, times in UTC."""
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

        Raises UsageError for anything else. What is refused is refused as a guard against accidents, not as a sandbox.
        """
        kinds = await asyncio.to_thread(_statement_kinds, sql)
        if kinds != ["SELECT"]:
            raise UsageError(
                f"sql() takes one SELECT, not {', '.join(kinds) or 'nothing'}", hint=f"Tables: {', '.join(TABLES)}"
            )
        return await self.read(sql, parameters)

    async def table(self, name: str) -> pl.DataFrame:
        """A whole table as an exact frame."""
        if name not in TABLES:
            raise unknown("table", name, TABLES)
        return await self.read(f"SELECT * FROM {name}")

    async def _away(self, work: Callable[[Job], T], thread: ThreadPoolExecutor | None = None) -> T:
        """Work in a thread; cancelling interrupts the statement and waits until the store is let go."""
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
        self._prepare(job)
        with self._gate.enter(write=False), self._open(job, read_only=True) as connection, told(sql):
            return fetch(connection, sql, parameters)

    def _look(self, job: Job, work: Callable[[Connection], T]) -> T:
        self._prepare(job)
        with self._gate.enter(write=False), self._open(job, read_only=True) as connection, told():
            return work(connection)

    def _write(self, job: Job, work: Callable[[Connection], T], noted: Noted[T] | None) -> T:
        self._prepare(job)
        with self._gate.enter(write=True), self._open(job, read_only=False) as connection, told():
            return self._kept(connection, work, noted)

    def _kept(self, connection: Connection, work: Callable[[Connection], T], noted: Noted[T] | None) -> T:
        done = in_transaction(connection, work, self.reached)
        if noted is not None:
            self._journal.add(noted(done))
            self.reached("journalled")
        return done

    def _hold(self, job: Job, held: ExitStack) -> Connection:
        self._prepare(job)
        held.enter_context(self._gate.enter(write=True))
        return held.enter_context(self._open(job, read_only=False))

    def _within(self, job: Job, connection: Connection, work: Callable[[Connection], T], noted: Noted[T] | None) -> T:
        job.holds(connection)
        with told():
            return self._kept(connection, work, noted)

    def _prepare(self, job: Job) -> None:
        """Make the folder, the file and its tables, once."""
        if self._ready:
            return
        make_folder(self.path.parent)
        fresh = self.is_new
        with self._gate.enter(write=True), self._open(job, read_only=False) as connection, told():
            if fresh:
                self.path.chmod(0o600)  # DuckDB leaves it to the umask
            in_transaction(connection, create, self.reached)
        self._ready = True

    @contextmanager
    def _open(self, job: Job, *, read_only: bool) -> Iterator[Connection]:
        connection = self._connect(job, read_only)
        try:
            job.holds(connection)
            connection.execute("SET TimeZone = 'UTC'")
            yield connection
        finally:
            job.holds(None)
            connection.close()

    def _connect(self, job: Job, read_only: bool) -> Connection:
        """Open the file, and once more where another took its name meanwhile, as a vacuum or a restore does."""
        while True:
            before = self._identity()
            connection = self.patiently(
                job, lambda: duckdb.connect(str(self.path), read_only=read_only, config=READ if read_only else WRITE)
            )
            if before in {None, self._identity()}:
                return connection
            connection.close()

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
        with self._gate.enter(write=True), self._open(job, read_only=False) as connection, told():
            connection.execute("CHECKPOINT")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else in this process has the file open."""
        with self._gate.enter(write=True):
            yield

    def patiently(self, job: Job, attempt: Callable[[], T]) -> T:
        """Try to open the file, waiting for another process with growing, jittered pauses up to the bound."""
        pause, end = 0.002, time.monotonic() + self._wait
        while True:
            try:
                return attempt()
            except duckdb.Error as error:
                if LOCKED not in str(error) or time.monotonic() > end or job.stopped.is_set():
                    raise opening_error(error, self.path, self._wait) from None
            job.stopped.wait(pause * (0.5 + random.random()))  # noqa: S311 - jitter, not cryptography
            pause = min(pause * 1.5, 0.05)

    def __repr__(self) -> str:
        return f"<Store {self.path}>"


class Burst:
    """The store, open for several transactions."""

    def __init__(self, store: Store, connection: Connection, thread: ThreadPoolExecutor) -> None:
        self._store = store
        self._connection = connection
        self._thread = thread

    async def write(self, work: Callable[[Connection], T], noted: Noted[T] | None = None) -> T:
        """Do work inside one transaction: all of it is kept, or nothing; `noted` as in `Store.write`."""
        store = self._store
        return await store._away(lambda job: store._within(job, self._connection, work, noted), self._thread)  # noqa: SLF001 - its own


def create(connection: Connection) -> None:
    """The tables of every version that this file does not have yet; the first version made the file."""
    made = connection.execute("SELECT count(*) FROM information_schema.tables WHERE table_name = 'meta'").fetchall()
    version = "SELECT value FROM meta WHERE key = 'schema_version'"
    known = int(connection.execute(version).fetchall()[0][0]) if made[0][0] else 0
    for number, name in enumerate(SCHEMAS, 1):
        if number > known:
            connection.execute(resources.files("kalshi_lab.store").joinpath(name).read_text("utf-8"))
            connection.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", [str(number)])


def in_transaction(connection: Connection, work: Callable[[Connection], T], reached: Callable[[str], None]) -> T:
    """Commit what the work did, or roll it back and let its error through."""
    connection.execute("BEGIN")
    try:
        reached("begun")
        done = work(connection)
        reached("written")
        connection.execute("COMMIT")
    except BaseException:
        with suppress(
            duckdb.Error
        ):  # a fatal error has ended the transaction already; the first error is the one that counts
            connection.execute("ROLLBACK")
        raise
    reached("committed")
    return done


def _nothing(_point: str) -> None:
    """Nobody watches."""


def fetch(connection: Connection, sql: str, parameters: Sequence[Any] = ()) -> pl.DataFrame:
    """A query's rows as an exact frame through the Arrow capsule, times shown in UTC."""
    made = pl.DataFrame(Arrow(connection.sql(sql, params=list(parameters) or None)))
    zoned = cs.datetime(time_zone="*")
    return made.with_columns(zoned.dt.convert_time_zone("UTC")) if made.select(zoned).width else made


def _statement_kinds(sql: str) -> list[str]:
    try:
        return [str(statement.type.name) for statement in duckdb.extract_statements(sql)]
    except duckdb.Error as error:
        raise UsageError(f"this is no SQL that DuckDB reads: {_short(error)}") from None


@contextmanager
def told(sql: str = "") -> Iterator[None]:
    """DuckDB's errors as ours."""
    try:
        yield
    except (duckdb.CatalogException, duckdb.BinderException, duckdb.ParserException) as error:
        if not sql:
            raise StoreError(f"the store does not have what was expected: {_short(error)}") from None
        raise UsageError(
            f"the query does not fit the store: {_short(error)}", hint=f"Tables: {', '.join(TABLES)}"
        ) from None
    except duckdb.Error as error:
        raise statement_error(error) from None


def statement_error(error: Exception, path: Path | None = None) -> StoreError:
    """The error for a statement that failed."""
    text, words = _short(error), _words(error, path)
    if "no space left" in words or "disk space" in words:
        return DiskFull(f"the disk is full: {text}", hint="Free some space; what was kept before is safe")
    if "checksum" in words or "corrupt" in words:
        return StoreCorrupt(f"the store's file is damaged: {text}", hint="Restore a backup, or sync into a new folder")
    return StoreError(f"the store could not do it: {text}")


def opening_error(error: Exception, path: Path, waited: float) -> StoreError:
    """The error for a file that could not be opened."""
    text = _short(error)
    if LOCKED in text:
        found = _HOLDER.search(str(error))
        busy = StoreBusy(
            f"{path} is held by another process ({found[0] if found else text}) after {waited:.0f} s",
            hint="Try again when it is done",
        )
        busy.holder = (found[1] or f"PID {found[2]}") if found else ""
        return busy
    if any(word in _words(error, path) for word in DAMAGED):
        return StoreCorrupt(
            f"{path} cannot be read as a store: {text}", hint="Move it away and sync again, or restore a backup"
        )
    return statement_error(error, path)


def _words(error: Exception, path: Path | None) -> str:
    """What DuckDB said, in lower case and without the file's path, whose words mean nothing."""
    return _short(error).replace(str(path), "").lower()


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


def _short(error: Exception) -> str:
    return str(error).split("\n")[0].strip()[:300]
