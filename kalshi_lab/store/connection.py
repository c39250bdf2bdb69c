"""Connections to DuckDB: how the file is opened, transactions, rows as frames, and DuckDB's errors as ours."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb
import polars as pl
import polars.selectors as cs

from kalshi_lab.errors import DiskFull, StoreBusy, StoreCorrupt, StoreError, UsageError
from kalshi_lab.store.arrow import Arrow
from kalshi_lab.store.versions import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from kalshi_lab.store.line import Holder

T = TypeVar("T")
Connection = duckdb.DuckDBPyConnection
Config = dict[str, "str | bool | int | float | list[str]"]
READ: Config = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "python_enable_replacements": "false",
}
WRITE: Config = {
    "storage_compatibility_version": "v1.5.0",
    "checkpoint_threshold": "512MB",  # written out when the file is closed, not in the middle of a burst
    "autoinstall_known_extensions": "false",
    "python_enable_replacements": "false",
}
CURE = "lab.store.restore(...) brings back a backup; lab.store.recover() saves what can be saved, and deletes nothing"
LOCKED = "Could not set lock"
FULL = ("no space left", "disk space", "file too large", "quota exceeded")
DAMAGED = ("not a valid duckdb", "corrupt", "could not read enough bytes", "wal file")
_OURS = re.compile(r"^(?:Store|Usage)Error: (.+)$", re.MULTILINE)
_HOLDER = re.compile(r"held in (.+?) \(PID (\d+)\)")


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


def fetch(connection: Connection, sql: str, parameters: Sequence[Any] = ()) -> pl.DataFrame:
    """A query's rows as an exact frame through the Arrow capsule, times shown in UTC."""
    made = pl.DataFrame(Arrow(connection.sql(sql, params=list(parameters) or None)))
    zoned = cs.datetime(time_zone="*")
    return made.with_columns(zoned.dt.convert_time_zone("UTC")) if made.select(zoned).width else made


@contextmanager
def told(sql: str = "") -> Iterator[None]:
    """DuckDB's errors as ours."""
    try:
        yield
    except (duckdb.CatalogException, duckdb.BinderException, duckdb.ParserException) as error:
        if not sql:
            raise StoreError(f"the store does not have what was expected: {short(error)}") from None
        raise UsageError(
            f"the query does not fit the store: {short(error)}", hint=f"Tables: {', '.join(TABLES)}"
        ) from None
    except duckdb.PermissionException as error:
        if not sql:
            raise statement_error(error) from None
        raise UsageError(f"a query reads the store alone: {short(error)}") from None
    except RuntimeError as error:  # what DuckDB makes of the stop button, some of the time
        if "interrupted" not in str(error).lower():
            raise
        raise StoreError("the statement was interrupted; nothing of its transaction is kept") from None
    except duckdb.Error as error:
        raise statement_error(error) from None


def statement_error(error: Exception, path: Path | None = None) -> StoreError:
    """The error for a statement that failed; of a place that this library reads for DuckDB, what it said itself."""
    if ours := _OURS.search(str(error)):
        return StoreError(ours[1])
    text, words = short(error), _words(error, path)
    if any(word in words for word in FULL):
        return DiskFull(f"the disk is full: {text}", hint="Free some space; what was kept before is safe")
    if "checksum" in words or "corrupt" in words:
        return StoreCorrupt(f"the store's file is damaged: {text}", hint=CURE)
    return StoreError(f"the store could not do it: {text}")


def opening_error(error: Exception, path: Path, waited: float, last: Holder | None = None) -> StoreError:
    """The error for a file that could not be opened; `last` is who opened it last."""
    text = short(error)
    if LOCKED in text:
        found = _HOLDER.search(str(error))
        holder = f"{found[1]} (PID {found[2]})" if found else "another process"
        if found and last is not None and last.pid == int(found[2]):
            holder = str(last)
        busy = StoreBusy(f"{path} is held by {holder}, after {waited:.0f} s", hint="Try again when it is done")
        busy.holder = holder
        return busy
    if any(word in _words(error, path) for word in DAMAGED):
        return StoreCorrupt(f"{path} cannot be read as a store: {text}", hint=CURE)
    return statement_error(error, path)


def _words(error: Exception, path: Path | None) -> str:
    """What DuckDB said, in lower case and without the file's path, whose words mean nothing."""
    return str(error)[:2000].replace(str(path), "").lower()


def quoted(text: object) -> str:
    """A path, or another text, as SQL has it."""
    return "'" + str(text).replace("'", "''") + "'"


def short(error: Exception) -> str:
    """The first line of an error's text."""
    return str(error).split("\n")[0].strip()[:300]
