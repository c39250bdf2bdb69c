"""DuckDB in memory, to which a store's file is attached while somebody is at it.

A new instance costs five times as much as an attachment.
"""

from __future__ import annotations

import atexit
import os
import threading
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import duckdb

from kalshi_lab.store.connection import LOCKED, quoted

if TYPE_CHECKING:
    from pathlib import Path

    from kalshi_lab.store.connection import Config, Connection

CLOSED = "SET enable_external_access = false"  # but for the paths that are allowed
LOGS = (".wal", ".wal.checkpoint", ".wal.recovery", ".checkpoint.wal", ".recovery.wal")


class Instance:
    """One instance for one file, opened in one way; the file has DuckDB's lock while it is attached and is let go with the last one.

    After a failure the instance is given up, since what an error has left in it is not known; the next work begins with a new one.
    """

    def __init__(self, path: Path, config: Config, *, writes: bool) -> None:
        self._path, self._config, self._writes = path, config, writes
        self._lock = threading.Lock()
        self._base: Connection | None = None
        self._inside = 0
        self._failed = False

    def enter(self) -> Connection:
        """A connection to the file; DuckDB's errors come through, also the one for a file that another process has."""
        with self._lock:
            if self._base is None:
                self._base = self._started()
            try:
                if not self._inside:
                    self._base.execute(f"ATTACH {quoted(self._path)} AS store{'' if self._writes else ' (READ_ONLY)'}")
                connection = self._base.cursor()
                connection.execute("USE store")
            except BaseException as error:
                if LOCKED in str(error):  # nothing came of it, and it is tried again soon
                    raise
                self._failed = True
                self._let_go()
                raise
            self._inside += 1
            return connection

    def leave(self, connection: Connection, *, failed: bool) -> None:
        """Give a connection back; the last one lets the file go, which writes out what the log holds."""
        with self._lock:
            self._inside -= 1
            self._failed = self._failed or failed
            connection.close()
            self._let_go()

    def _started(self) -> Connection:
        """The instance itself; one for readers can reach no other file, and nothing can be set any more."""
        later = {name: value for name, value in self._config.items() if name != "enable_external_access"}
        base = duckdb.connect(":memory:", config={**later, "temp_directory": f"{self._path}.tmp"})
        base.execute("SET GLOBAL TimeZone = 'UTC'")
        if not self._writes:
            paths = ", ".join(quoted(f"{self._path}{end}") for end in ("", *LOGS))
            base.execute(f"SET allowed_paths = [{paths}]; {CLOSED}; SET lock_configuration = true")
        return base

    def _let_go(self) -> None:
        if self._inside or self._base is None:
            return
        base = self._base
        if self._failed:
            self._base, self._failed = None, False
        try:
            base.execute("DETACH DATABASE IF EXISTS store")
        except BaseException:
            self._base = None
            raise
        finally:
            if self._base is None:
                base.close()

    def rest(self) -> None:
        """End the instance where nobody is inside; the next one who comes in starts it again."""
        if self._lock.acquire(blocking=False):
            try:
                if not self._inside and self._base is not None:
                    self._base.close()
                    self._base = None
            finally:
                self._lock.release()


_INSTANCES: WeakValueDictionary[tuple[str, str], Instance] = WeakValueDictionary()  # of the file, not of a Store


def instance_of(path: Path, config: Config, *, writes: bool) -> Instance:
    """The instance of a file for one way of opening it, one in this process for as long as a Store holds it."""
    return _INSTANCES.setdefault((str(path.resolve()), str(config)), Instance(path, config, writes=writes))


def _rest() -> None:
    for instance in list(_INSTANCES.values()):
        instance.rest()


atexit.register(_rest)  # what is alive when the interpreter goes, DuckDB complains about
if hasattr(
    os, "register_at_fork"
):  # a child has the memory of an instance, but not its threads, and would die of ending it
    os.register_at_fork(before=_rest, after_in_child=_INSTANCES.clear)
