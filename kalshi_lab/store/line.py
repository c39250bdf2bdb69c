"""Turns at a store's file among processes: who is next, who came last, and whether anybody waits.

DuckDB's own lock keeps processes apart; it says who holds the file, but keeps no order. So whoever wants to open the file first takes
the front of the line, the lock of a small file beside it, and keeps that until the store is open: nobody passes the one in front,
neither a writer that waits for readers to leave nor a reader among writers. The small file holds the name of the last one to open
the store. Where files cannot be locked like this there is no line, and DuckDB's lock alone decides.
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

FIRST, LONGEST = 0.001, 0.02  # seconds between two looks at the line


class Patience:
    """A bounded wait in small, growing, jittered pauses, which ends at once when the work is stopped."""

    def __init__(self, job: Job, seconds: float) -> None:
        self._job, self._pause = job, FIRST
        self.began = time.monotonic()
        self._end = self.began + seconds

    @property
    def over(self) -> bool:
        """Whether there is nothing left to wait for."""
        return time.monotonic() > self._end or self._job.stopped.is_set()

    def pause(self) -> None:
        """Wait a little."""
        self._job.stopped.wait(self._pause * (0.5 + random.random()))  # noqa: S311 - jitter, not cryptography
        self._pause = min(self._pause * 1.3, LONGEST)


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
        self._path = store.with_name(store.name + ".line")
        self._command = _command()

    @contextmanager
    def front(self, patience: Patience) -> Iterator[int | None]:
        """Be in front, or past the bound of the wait; what `sign` needs."""
        descriptor = self._opened()
        try:
            while descriptor is not None and not _locked(descriptor) and not patience.over:
                patience.pause()
            yield descriptor
        finally:
            if descriptor is not None:
                os.close(descriptor)

    @property
    def wanted(self) -> bool:
        """Whether another process is in front, which is waiting for the store as long as this one has it open."""
        descriptor = self._opened()
        if descriptor is None:
            return False
        try:
            return not _locked(descriptor, shared=True)
        finally:
            os.close(descriptor)

    def sign(self, descriptor: int | None) -> None:
        """Write down that this process opened the store now."""
        if descriptor is None:
            return
        since = datetime.fromtimestamp(time.time()).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        text = json.dumps({"pid": os.getpid(), "command": self._command, "since": since}).encode()
        with suppress(OSError):  # a full disk; it is for an error message alone
            os.pwrite(descriptor, text.ljust(256), 0)

    def last(self) -> Holder | None:
        """Who opened the store last; None where that is not known."""
        with suppress(OSError, ValueError, TypeError):
            return Holder(**json.loads(self._path.read_bytes()))
        return None

    def _opened(self) -> int | None:
        if sys.platform == "win32":
            return None
        with suppress(OSError):
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return None


def _locked(descriptor: int, *, shared: bool = False) -> bool:
    """Take the lock if it is free; a file system without locks has no line, so that everybody is in front."""
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
