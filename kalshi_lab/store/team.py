"""A store for several people: a DuckLake, whose rows are Parquet files in a folder that all reach, and whose catalogue is in PostgreSQL.

No server of this library's: PostgreSQL says which files count, DuckDB reads and writes them. Writers take turns by a lock of PostgreSQL
that is gone with whoever held it, so what each finds is what the one before left; readers never wait. Should the lock's connection be
cut while its writer goes on, the catalogue itself refuses the later commit of two: none is tried again over what came in between.
"""

from __future__ import annotations

import atexit
import getpass
import importlib.util
import os
import re
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from weakref import WeakSet

import duckdb

from kalshi_lab.errors import StoreBusy, StoreError, UsageError
from kalshi_lab.store import files
from kalshi_lab.store.connection import READ, quoted, short, told
from kalshi_lab.store.gate import WRITING
from kalshi_lab.store.line import WRITER, Patience
from kalshi_lab.store.prune import Vacuumed
from kalshi_lab.store.store import Store, make_folder
from kalshi_lab.store.versions import SCHEMAS, create, known, too_new

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kalshi_lab.store.connection import Connection
    from kalshi_lab.store.gate import Job
    from kalshi_lab.store.store import Noted

T = TypeVar("T")
LOCK = 0x6B616C736869  # the number of the lock by which writers take turns: "kalshi"
TURN = f"SELECT * FROM postgres_query('turn', 'SELECT pg_try_advisory_xact_lock({LOCK})')"
ALONE = "SET ducklake_max_retry_count = 0"  # else DuckLake puts inserts of two writers into one table, one key twice
# the folder for second names; those of a killed writer are swept with other files that nothing needs
SECOND = "committing"
# what the catalogue refuses the later of two commits for, in every language of PostgreSQL
OUTRUN = "ducklake_snapshot_pkey"
HOLDER = f"""
SELECT * FROM postgres_query('turn', 'SELECT activity.application_name FROM pg_locks AS locks
JOIN pg_stat_activity AS activity USING (pid)
WHERE locks.locktype = ''advisory'' AND (locks.classid::bigint << 32) | locks.objid::bigint = {LOCK} AND locks.granted
AND locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())')
"""
NEEDED = "SELECT coalesce(sum(file_size_bytes), 0) + coalesce(sum(delete_file_size_bytes), 0) FROM ducklake_table_info('store')"
OLD = "older_than => now() - INTERVAL 1 DAY"  # a question that began before that is over
# each is a transaction like any other; CHECKPOINT, which does all of it, makes transactions of its own
TIDY = tuple(
    f"CALL ducklake_{step}('store')" for step in ("flush_inlined_data", "merge_adjacent_files", "rewrite_data_files")
)
EXPIRE = f"SELECT count(*) FROM ducklake_expire_snapshots('store', {OLD})"
CLEAN = f"SELECT count(*) FROM ducklake_cleanup_old_files('store', {OLD})"
WORDS = (
    *("host", "hostaddr", "port", "dbname", "user", "service", "passfile", "connect_timeout", "target_session_attrs"),
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "channel_binding", "require_auth", "gssencmode"),
)
NAMED = re.compile(rf"\s*((?:{'|'.join(WORDS)})\s*=\s*('[^'\\]*'|[^\s'=\\]+)(\s+|$))+")
SETUP = 'pip install "kalshi_lab[team]"'
CARE = "PostgreSQL's own tools back up the catalogue, and those of your disk the folder"


@dataclass(frozen=True, slots=True, init=False)
class DuckLake:
    """A store that a team shares: `kl.Lab(store=kl.DuckLake("host=db dbname=kalshi user=ann", "/mnt/kalshi"))`.

    catalogue: a PostgreSQL database, in libpq's words; its password stands in ~/.pgpass or PGPASSWORD, which libpq reads itself, and
    never here. data: the folder for the rows, which every machine reaches under this path. Everybody who may write to both may change and
    delete everything. Raises UsageError for other words, a password among them, or an odd path. Needs the extra `team`.
    """

    catalogue: str
    data: Path

    def __init__(self, catalogue: str, data: str | os.PathLike[str]) -> None:
        if not NAMED.fullmatch(catalogue):  # what it was is not repeated: a password may be in it
            raise UsageError(
                f"the catalogue is a PostgreSQL database, named by {', '.join(WORDS)}; a password has no place there",
                hint='Name it like "host=db dbname=kalshi user=ann", and put the password into ~/.pgpass or PGPASSWORD',
            )
        object.__setattr__(self, "catalogue", catalogue)
        object.__setattr__(self, "data", files.checked(data, "data").expanduser().absolute())


class TeamStore(Store):
    """A store in a DuckLake. What cares for a file of one's own raises UsageError: there is none."""

    def __init__(self, lake: DuckLake, path: Path, **options: Any) -> None:
        super().__init__(path, **options)
        self.lake = lake
        self._reads, self._writes = _Attached(lake, self._reader), _Attached(lake, None)

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever kept here, as far as can be told without asking: never."""
        return False

    def has_file(self) -> NoReturn:
        """Raise UsageError: there is no file to copy, check or write anew."""
        raise UsageError("a DuckLake is no file of one lab", hint=CARE)

    def _kept(self, job: Job, connection: Connection, work: Callable[[Connection], T], noted: Noted[T] | None) -> T:
        with self._turn(job), _second_names(self.lake.data) as named:

            def whole(connection: Connection) -> T:
                done = work(connection)
                named()
                return done

            try:
                return super()._kept(job, connection, whole, noted)
            except duckdb.TransactionException as error:
                if OUTRUN not in str(error):
                    raise
                raise StoreBusy(
                    f"another writer of {self.path} came in between, and nothing of this transaction is kept",
                    hint="Try again; the connection to PostgreSQL was cut meanwhile",
                ) from None

    @contextmanager
    def _turn(self, job: Job) -> Iterator[None]:
        """Be the one who writes; PostgreSQL takes the turn back from whoever is gone. Raises StoreBusy, with the holder."""
        patience = Patience(job, self._wait)
        with self._writes.cursor() as asking:
            asking.execute("BEGIN")
            while not asking.execute(TURN).fetchall()[0][0]:
                job.check()
                if patience.over:
                    raise self._busy(asking)
                patience.pause(WRITER)
            job.check()
            yield

    def _busy(self, asking: Connection) -> StoreBusy:
        holder = ", ".join(str(name) for (name,) in asking.execute(HOLDER).fetchall()) or "somebody"
        busy = StoreBusy(f"{self.path} is held by {holder}, after {self._wait:.0f} s", hint="Try again when it is done")
        busy.holder = holder
        return busy

    def _prepare(self, job: Job) -> None:
        """Make the tables, once; who comes second finds them."""
        if self._ready:
            return
        make_folder(self.path.parent)
        self.lake.data.mkdir(parents=True, exist_ok=True)
        with self._gate.enter(WRITING, job), told(), self._writes.cursor(job) as connection:
            version, library = known(connection)
            if version > len(SCHEMAS):
                raise too_new(self.path, version, library)
            if version < len(SCHEMAS):
                self._kept(job, connection, partial(create, reached=self.reached, keyed=False), None)
        self._ready = True

    def _rows(self) -> Path:
        return self.lake.data

    @contextmanager
    def _open(self, job: Job, *, writes: bool = False) -> Iterator[Connection]:
        with (self._writes if writes else self._reads).cursor(job) as connection:
            yield connection

    async def vacuum(self, *, dry_run: bool = True) -> Vacuumed:
        """Put small files together, and delete those that nothing has needed for a day; a dry run says how much room they have.

        Every transaction leaves small files, so a team whose collectors run all day does this every night. Writers wait meanwhile.
        """
        return await self._away(lambda job: self._vacuum(job, dry_run=dry_run))

    def _vacuum(self, job: Job, *, dry_run: bool) -> Vacuumed:
        began, before = time.monotonic(), self._taken()
        self._prepare(job)
        with self._gate.enter(WRITING, job), self._open(job, writes=True) as connection, told():
            if dry_run:
                needed = int(connection.execute(NEEDED).fetchall()[0][0])
                return Vacuumed(self.path, before, min(before, needed), dry_run, time.monotonic() - began)
            for statement in TIDY:
                self._kept(job, connection, partial(_tidied, statement), None)
            with self._turn(job):
                for statement in (EXPIRE, CLEAN):
                    connection.execute(statement).fetchall()
        return Vacuumed(self.path, before, self._taken(), dry_run, time.monotonic() - began)

    def _taken(self) -> int:
        """Bytes of the folder."""
        sizes = [one.stat().st_size for one in self.lake.data.rglob("*.parquet")] if self.lake.data.exists() else []
        return sum(sizes)

    @property
    def wanted(self) -> bool:
        """Whether another thread waits; others at their machines wait for one transaction only."""
        return self._gate.waiting > 0

    def __repr__(self) -> str:
        return f"<TeamStore {self.lake.data}>"


def _tidied(statement: str, connection: Connection) -> None:
    connection.execute(statement).fetchall()


class _Attached:
    """DuckDB in memory, to which the DuckLake is attached for as long as the process lives: attaching takes a fifth of a second.

    config: of one that reads alone, and reaches no file but those of the lake; None for one that writes.
    """

    def __init__(self, lake: DuckLake, config: Any) -> None:
        self._lake, self._config = lake, config
        self._lock = threading.Lock()
        self._base: Connection | None = None
        _ALL.add(self)

    @contextmanager
    def cursor(self, job: Job | None = None) -> Iterator[Connection]:
        """A connection to it, whose transaction ends with it."""
        with self._lock:
            if self._base is None:
                self._base = self._made()
            connection = self._base.cursor()
        try:
            with _reached(self._lake):
                connection.execute("USE store")
            if job is not None:
                job.holds(connection)
            yield connection
        except (duckdb.Error, StoreError):
            # what the error has left is not known, as where PostgreSQL went away: the next one begins anew
            with self._lock:
                self._base = None
            raise
        finally:
            if job is not None:
                job.holds(None)
            with suppress(duckdb.Error):
                connection.execute("ROLLBACK")  # there may be none
            connection.close()

    def _made(self) -> Connection:
        config = {name: value for name, value in (self._config or READ).items() if name != "enable_external_access"}
        base = duckdb.connect(":memory:", config=config)
        try:
            base.execute("SET GLOBAL TimeZone = 'UTC'")
            for name in ("postgres_scanner", "ducklake"):
                _load(base, name)
            self._attach(base)
        except BaseException:
            base.close()
            raise
        return base

    def _attach(self, base: Connection) -> None:
        words, data = self._lake.catalogue, self._lake.data
        mode = ", READ_ONLY" if self._config is not None else ""
        name = f"kalshi_lab of {getpass.getuser()}, PID {os.getpid()}"
        with _reached(self._lake):
            base.execute(
                f"ATTACH {quoted(f'ducklake:postgres:{words}')} AS store (DATA_PATH {quoted(f'{data}/')}{mode})"
            )
        if self._config is None:
            base.execute(ALONE)
            named = f"{words} application_name='{name}'"
            base.execute(f"ATTACH {quoted(named)} AS turn (TYPE postgres)")
        else:
            base.execute(f"SET allowed_directories = [{quoted(f'{data}/')}]; SET enable_external_access = false")
            base.execute("SET lock_configuration = true")

    def close(self) -> None:
        """End it."""
        with self._lock:
            base, self._base = self._base, None
        if base is not None:
            base.close()


@contextmanager
def _second_names(data: Path) -> Iterator[Callable[[], None]]:
    """Second names for the files of a transaction, given just before it commits, which put back what DuckLake deletes wrongly.

    It takes a commit whose answer was lost for one that failed, and deletes files that the catalogue may have by then. What the catalogue
    does not have, it passes over.
    """
    before, names = _files(data), dict[Path, Path]()

    def give() -> None:
        with files.told(data):  # as where a share has no hard links
            (data / SECOND).mkdir(exist_ok=True)
            for one in _files(data) - before:
                name = data / SECOND / one.name
                os.link(one, name)
                names[name] = one

    try:
        yield give
    except (duckdb.Error, RuntimeError):  # the latter of the stop button
        for name, one in names.items():
            if not one.exists():
                os.link(name, one)
        raise
    finally:
        for name in names:
            name.unlink()


def _files(data: Path) -> set[Path]:
    return {one for one in data.rglob("*.parquet") if one.parent.name != SECOND}


@contextmanager
def _reached(lake: DuckLake) -> Iterator[None]:
    """The error for a catalogue that is not there."""
    try:
        yield
    except duckdb.Error as error:
        cause = str(error).rpartition(f'{lake.catalogue}": ')[2]  # DuckDB says the words twice before it
        raise StoreError(
            f"the catalogue cannot be reached: {short(Exception(cause))}",
            hint="Is PostgreSQL running, the database made (createdb kalshi), and the password in ~/.pgpass?",
        ) from None


def _load(base: Connection, name: str) -> None:
    """An extension: from its wheel where that is installed and made for this DuckDB, else as DuckDB itself brings it."""
    found = importlib.util.find_spec(f"duckdb_extension_{name}")
    made = [
        one
        for place in (found.submodule_search_locations or () if found else ())
        for one in Path(place).rglob("*.duckdb_extension")
    ]
    fitting = [one for one in made if one.parent.name == f"v{duckdb.__version__}"]
    try:
        if fitting:
            base.execute(f"LOAD {quoted(fitting[0])}")
        else:
            base.execute(f"INSTALL {name}; LOAD {name}")
    except duckdb.Error as error:
        raise UsageError(
            f"DuckDB {duckdb.__version__} has no extension {name}: {short(error)}",
            hint=f"{SETUP} has one for DuckDB 1.5.5; of later versions DuckDB fetches it from the internet",
        ) from None


_ALL: WeakSet[_Attached] = WeakSet()


def _close() -> None:
    for one in list(_ALL):
        one.close()


atexit.register(_close)
