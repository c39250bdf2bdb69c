"""Backups of the store, made while others use it, and the way back from one."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from filelock import FileLock, Timeout

from kalshi_lab import markup
from kalshi_lab.errors import StoreBusy, StoreCorrupt, UsageError
from kalshi_lab.store import files
from kalshi_lab.store.connection import opening_error, quoted, told
from kalshi_lab.store.store import make_folder
from kalshi_lab.store.versions import SCHEMAS, too_new

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kalshi_lab.store.connection import Connection
    from kalshi_lab.store.gate import Job
    from kalshi_lab.store.store import Store

CHUNK = 1 << 20
MADE_BY = "STORAGE_VERSION 'v1.5.0'"  # as WRITE says: readable by every DuckDB that this library runs on


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made: `path`, with its checksum in a file beside it; size in bytes."""

    path: Path
    size: int
    sha256: str
    seconds: float

    def __repr__(self) -> str:
        return f"<Backup {self.path}: {self.size / 1e6:,.1f} MB in {self.seconds:.1f} s, sha256 {self.sha256[:12]}>"

    def _repr_html_(self) -> str:
        facts = {
            "file": self.path,
            "MB": f"{self.size / 1e6:,.1f}",
            "sha256": self.sha256,
            "seconds": f"{self.seconds:.1f}",
        }
        return markup.card("Backup", facts)


@dataclass(frozen=True, slots=True)
class Restored:
    """A backup that took the store's place: `kept_as` is the name of the file that was there before, None where none was."""

    path: Path
    backup: Path
    kept_as: Path | None

    def __repr__(self) -> str:
        kept = f"; what was there is kept as {self.kept_as.name}" if self.kept_as else ""
        return f"<Restored {self.path} from {self.backup}{kept}>"


def backup(store: Store, job: Job, path: str | os.PathLike[str]) -> Backup:
    """Copy the store to a new file, at one moment between the transactions of others; see `Upkeep.backup`."""
    began, path = time.monotonic(), files.checked(path, "backup").absolute()
    if path.exists():
        raise UsageError(f"{path} is there already", hint="Give a new name; nothing is overwritten")
    if store.is_new:
        raise UsageError("there is no store to back up yet", hint="Keep something first, e.g. with lab.snapshot()")
    make_folder(path.parent)
    with alone(path), beside(path) as folder:
        part = folder / path.name
        with attached(store, job) as connection, told():
            connection.execute(f"ATTACH {quoted(part)} AS copy ({MADE_BY})")
            store.reached("backup begun")
            connection.execute("COPY FROM DATABASE store TO copy")
            store.reached("backup copied")
            connection.execute("DETACH copy")
        sha256 = finished(part)
        files.publish(checksum_of(path), f"{sha256}  {path.name}\n".encode())
        store.reached("backup summed")
        with files.told(path):
            part.replace(path)
        files.sync_folder(path.parent)
    store.reached("backup placed")
    return Backup(path, path.stat().st_size, sha256, time.monotonic() - began)


def restore(store: Store, job: Job, path: str | os.PathLike[str]) -> Restored:
    """Put a backup in the place of the store; see `Upkeep.restore`."""
    path = files.checked(path, "backup").absolute()
    wanted = _promised(path)
    make_folder(store.path.parent)
    with alone(store.path), beside(store.path) as folder:
        part = folder / store.path.name
        with files.told(part):
            found = _copied(path, part)
        if found != wanted:
            raise StoreCorrupt(f"{path} is not as it was made: its checksum is another", hint="Take another backup")
        _version(part, path, job)
        finished(part)
        store.reached("restore copied")
        with store.alone(), held(store.path):
            kept = keep_aside(store, "before-restore")
            with files.told(store.path):
                part.replace(store.path)
            files.sync_folder(store.path.parent)
            store.reached("restore placed")
    return Restored(store.path, path, kept)


def keep_aside(store: Store, name: str) -> Path | None:
    """Give the store's file a second name, and its log the name that belongs to it; nothing is deleted."""
    if not store.path.exists():
        return None
    kept = fresh_name(store.path, name)
    with files.told(kept):
        try:
            kept.hardlink_to(
                store.path
            )  # the store keeps its name until the new file takes it, so that it is never gone
        except OSError:  # no second names on this file system
            store.path.rename(kept)
        log = log_of(store.path)
        if log.exists():
            log.rename(log_of(kept))
        files.sync_folder(kept.parent)
    store.reached("set aside")
    return kept


@contextmanager
def attached(store: Store, job: Job) -> Iterator[Connection]:
    """A connection in memory that has the store as the catalog `store`: other processes may read it meanwhile, nobody writes."""
    with ExitStack() as stack:
        stack.enter_context(store.alone())
        connection = stack.enter_context(duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"}))
        job.holds(connection)
        stack.callback(job.holds, None)
        connection.execute("SET TimeZone = 'UTC'")
        store.patiently(job, lambda: connection.execute(f"ATTACH {quoted(store.path)} AS store (READ_ONLY)"))
        yield connection


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let one process at a time replace a file; StoreBusy for another."""
    lock = FileLock(f"{path}.upkeep", thread_local=False, mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StoreBusy(f"another process is busy with {path}", hint="Try again when it is done") from None
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A folder beside a file, its owner's alone, for what will take the file's place; what a process that was killed left there goes."""
    folder = path.with_name(f".{path.name}.part")
    with files.told(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep every other process from opening a database file, damaged or not, by the lock that DuckDB itself asks for.

    Nothing in this process may have it open. Raises StoreBusy.
    """
    try:
        import fcntl
    except ImportError:  # Windows does not let go of a file's name while somebody has it open
        yield
        return
    if not path.exists():
        yield
        return
    with path.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreBusy(f"{path} is used by another process", hint="Close it there, and try again") from None
        yield


def finished(part: Path) -> str:
    """Have a file that was written on the disk, for its owner alone; its checksum."""
    with files.told(part):
        part.chmod(0o600)
        with part.open("r+b") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
    return sha256


def checksum_of(path: Path) -> Path:
    """The file that holds a backup's checksum."""
    return path.with_name(path.name + ".sha256")


def log_of(path: Path) -> Path:
    """The write-ahead log of a database file."""
    return path.with_name(path.name + ".wal")


def fresh_name(path: Path, what: str) -> Path:
    """A name beside a file that nobody has yet: what it is, and when."""
    stem = f"{path.name}.{what}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    names = (path.with_name(stem if number == 1 else f"{stem}-{number}") for number in range(1, 1000))
    return next(name for name in names if not name.exists() and not log_of(name).exists())


def _promised(path: Path) -> str:
    """The checksum that was written when the backup was made."""
    if not path.is_file():
        raise UsageError(f"there is no backup {path}", hint="Give the path that backup() was given")
    try:
        text = checksum_of(path).read_text("ascii")
    except (OSError, ValueError):
        said = f"{path} has no checksum beside it ({checksum_of(path).name})"
        raise StoreCorrupt(
            said, hint="Take another backup: this one was not made to its end, or the checksum was left behind"
        ) from None
    return text.split(" ")[0].strip()


def _copied(path: Path, part: Path) -> str:
    """Copy a file, and its checksum as it was read."""
    digest = hashlib.sha256()
    with path.open("rb") as source, part.open("xb") as target:
        while block := source.read(CHUNK):
            digest.update(block)
            target.write(block)
    return digest.hexdigest()


def _version(part: Path, path: Path, job: Job) -> None:
    """Refuse a file that is no store, or one of a later version of this library."""
    with duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"}) as connection:
        job.holds(connection)
        try:
            connection.execute(f"ATTACH {quoted(part)} AS copy (READ_ONLY)")
            found = dict(connection.execute("SELECT key, value FROM copy.meta").fetchall())
        except duckdb.Error as error:
            raise StoreCorrupt(
                f"the backup is no store: {opening_error(error, part, 0).message}", hint="Take another backup"
            ) from None
        finally:
            job.holds(None)
    if int(found["schema_version"]) > len(SCHEMAS):
        raise too_new(path, int(found["schema_version"]), found.get("library_version", ""))
