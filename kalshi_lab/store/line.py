"""Turns at a store's file among processes: who is next, who has it open, and whether anybody waits.

DuckDB's own lock keeps processes apart, but it keeps no order, and a try costs milliseconds. So whoever wants to open the file takes
the locks of two small files beside it first: `.line`, which is for the one who is next, and then `.held`, alone or shared with other
readers, for as long as the store is open. Nobody passes the one who is next, neither a writer that waits for readers to leave nor a
reader among writers; readers look more often, since they stay for less. `.held` has the name of the last one to open the store. Where
files cannot be locked like this, DuckDB's lock alone decides.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kalshi_lab.store.gate import Job

# Seconds between two looks: at first, and at most; in between a tenth of what was waited.
NEXT, READER, WRITER, DUCKDB = (0.0005, 0.002), (0.0005, 0.002), (0.005, 0.015), (0.001, 0.05)


class Patience:
    """A bounded wait in small, jittered pauses, which ends at once when the work is stopped."""

    def __init__(self, job: Job, seconds: float) -> None:
        self._job, self._began = job, time.monotonic()
        self._end = self._began + seconds

    @property
    def over(self) -> bool:
        """Whether there is nothing left to wait for."""
        return time.monotonic() > self._end or self._job.stopped.is_set()

    def pause(self, looks: tuple[float, float]) -> None:
        """Wait a little."""
        first, longest = looks
        pause = max(first, min((time.monotonic() - self._began) / 10, longest))
        self._job.stopped.wait(pause * (0.5 + random.random()))  # noqa: S311 - jitter, not cryptography


@dataclass(frozen=True, slots=True)
class Holder:
    """Who opened the store last."""

    pid: int
    command: str
    since: str

    def __str__(self) -> str:
        return f"{self.command} (PID {self.pid}) since {self.since}"


class Line:
    """The line of processes at one store."""

    def __init__(self, store: Path) -> None:
        self._next = store.with_name(store.name + ".line")
        self._held = store.with_name(store.name + ".held")
        self._command = _command()

    @contextmanager
    def turn(self, patience: Patience, *, shared: bool) -> Iterator[int | None]:
        """Have the turn at the store, or be past the bound of the wait; gives what `sign` needs, None without a turn."""
        with _opened(self._held) as held:
            with _opened(self._next) as place:
                mine = _locked(place, patience, READER if shared else WRITER) and _locked(
                    held, patience, NEXT, shared=shared
                )
            yield held if mine else None

    @property
    def wanted(self) -> bool:
        """Whether another process is next, which is waiting for the store as long as this one has it open."""
        with _opened(self._next) as place:
            return not _free(place, shared=True)

    def sign(self, held: int | None) -> None:
        """Write down that this process opened the store now."""
        if held is None:
            return
        since = datetime.fromtimestamp(time.time()).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        text = json.dumps({"pid": os.getpid(), "command": self._command, "since": since}).encode()
        with suppress(OSError):  # a full disk; it is for an error message alone
            os.pwrite(held, text.ljust(256), 0)

    def last(self) -> Holder | None:
        """Who opened the store last; None where that is not known."""
        with suppress(OSError, ValueError, TypeError):
            return Holder(**json.loads(self._held.read_bytes()))
        return None


@contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    """A file for its lock alone, which closing it gives back; None where there is no such thing."""
    descriptor = None
    if sys.platform != "win32":
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _locked(descriptor: int | None, patience: Patience, looks: tuple[float, float], *, shared: bool = False) -> bool:
    """Wait for a lock; whether it came."""
    while not _free(descriptor, shared=shared):
        if patience.over:
            return False
        patience.pause(looks)
    return True


def _free(descriptor: int | None, *, shared: bool) -> bool:
    """Take a lock if it is free; where there are no locks everything is."""
    if descriptor is None or sys.platform == "win32":
        return True
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _command() -> str:
    """What this process runs, without its arguments, in which a secret may be."""
    path = Path(sys.argv[0] if sys.argv and sys.argv[0] else sys.executable)
    return f"python -m {path.parent.name}" if path.name == "__main__.py" else path.name[:60]
