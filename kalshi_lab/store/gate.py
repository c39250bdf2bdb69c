"""Turns at a store's file within this process, and work on it that another thread can interrupt."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import duckdb

from kalshi_lab.errors import StoreBusy, StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator
    from pathlib import Path

    from kalshi_lab.store.connection import Connection

WRITING = "writing"
STAY = 60.0  # seconds for which one may stay inside while others of the process wait


class Job:
    """One piece of work on the store, which another thread can interrupt."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.queued: threading.Condition | None = None  # where it waits for its turn
        self._connection: Connection | None = None

    def holds(self, connection: Connection | None) -> None:
        """Remember the connection that an interrupt must reach; work that was stopped meanwhile does not begin."""
        self._connection = connection
        if connection is not None:
            self.check()

    def check(self) -> None:
        """Raise StoreError where the work was stopped."""
        if self.stopped.is_set():
            raise StoreError("the work was stopped before it began")

    def stop(self) -> None:
        """Interrupt the running statement, or the wait for a turn."""
        self.stopped.set()
        connection, queued = self._connection, self.queued
        if connection is not None:
            with suppress(duckdb.Error):  # it may be closed by now
                connection.interrupt()
        if queued is not None:
            with queued:
                queued.notify_all()


class Gate:
    """One writer, or readers that open the file in the same way, in the order in which they came.

    DuckDB keeps one instance of a file in a process and opens it in one way at a time. Nobody is passed, so nobody starves.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = threading.Condition()
        self._queue: deque[object] = deque()
        self._mode: Hashable = None
        self._inside = 0
        self._since = 0.0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._queue)

    @property
    def in_use(self) -> bool:
        """Whether somebody is inside."""
        return self._inside > 0

    @contextmanager
    def enter(self, mode: Hashable, job: Job | None = None) -> Iterator[None]:
        """Be inside: alone with `WRITING`, else with those of the same mode.

        Raises StoreBusy where the same ones stayed inside for longer than `STAY`, StoreError where the work was stopped.
        """
        with self._turn:
            self._come_in(mode, job or Job())
        try:
            yield
        finally:
            with self._turn:
                self._inside -= 1
                self._since = time.monotonic()
                self._turn.notify_all()

    def _come_in(self, mode: Hashable, job: Job) -> None:
        me = object()
        self._queue.append(me)
        job.queued = self._turn
        try:
            self._until(lambda: self._queue[0] is me and self._open_to(mode), job)
            self._mode, self._inside = mode, self._inside + 1
            self._since = time.monotonic()
        finally:
            job.queued = None
            self._queue.remove(me)
            self._turn.notify_all()

    def _open_to(self, mode: Hashable) -> bool:
        return not self._inside or (mode == self._mode != WRITING)

    def _until(self, ready: Callable[[], bool], job: Job) -> None:
        came = time.monotonic()
        while True:
            job.check()
            if ready():
                return
            left = max(came, self._since) + STAY - time.monotonic()
            if left <= 0:
                raise self._busy()
            self._turn.wait(left)

    def _busy(self) -> StoreBusy:
        held = time.monotonic() - self._since
        busy = StoreBusy(
            f"{self._path} is in use by other work of this process (PID {os.getpid()}) for {held:.0f} s",
            hint="Try again when it is done",
        )
        busy.holder = f"PID {os.getpid()} (this process), for {held:.0f} s"
        return busy


_GATES: dict[
    str, Gate
] = {}  # the gate belongs to the file, not to a Store; by text, so that one step looks it up or adds it
_OPEN_AT_FORK: set[str] = set()


def gate_of(path: Path) -> Gate:
    """The gate of a file, one in this process.

    Raises UsageError in a process that was forked while the file was open: it has DuckDB's memory of the file, but not its lock.
    """
    key = str(path.resolve())
    if key in _OPEN_AT_FORK:
        raise forked(path, "the process was forked while the store was open")
    return _GATES.setdefault(key, Gate(path))


def forked(path: Path, what: str) -> UsageError:
    """The error for a store that a forked process cannot use."""
    return UsageError(
        f"{path} cannot be used here: {what}", hint="Start processes with multiprocessing.get_context('spawn')"
    )


def _after_fork() -> None:
    """In the child: what threads of the parent held is held by nobody here, and never let go."""
    _OPEN_AT_FORK.update(path for path, gate in _GATES.items() if gate.in_use)
    _GATES.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
