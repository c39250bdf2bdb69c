"""Uses a store in a process of its own, tells each point of each commit on its standard output, and meets what it is told to meet.

Run as `python child.py URL HOME SINCE [HOW POINT NTH]`. HOW is sync (two datasets), everything (with snapshots and a recording), press
(everything, until the stop button), query (what takes hours, until the stop button) or full (everything, and no room on the disk from the
nth arrival of a point until the error came). Else the process kills itself at the nth arrival of the point.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections import Counter
from pathlib import Path

from kalshi_lab import Lab
from kalshi_lab.errors import LabError

SERIES, RECORDED = "KXCPI", "KXHIGHNY"
LONG = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE (a.range * b.range) % 7 = 3"


def sync_all(lab: Lab, since: str) -> None:
    """What an undisturbed run does."""
    lab.sync("markets", series=SERIES)
    lab.sync("trades", since=since)


def everything(lab: Lab, since: str) -> None:
    """Syncs and snapshots, with a recording beside them."""
    with lab.record(series=RECORDED, channels=("orderbook_delta", "ticker")):
        lab.snapshot(series=SERIES)
        sync_all(lab, since)
        lab.snapshot(series=SERIES)


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


class Watch:
    """Tells each point as it is reached, unbuffered, and does something at the nth arrival of one of them."""

    def __init__(self, point: str, nth: int, then: object = None) -> None:
        self.point, self.nth, self.then = point, nth, then
        self.seen: Counter[str] = Counter()

    def __call__(self, point: str) -> None:
        self.seen[point] += 1
        say(point.replace(" ", "-"))
        if point == self.point and self.seen[point] == self.nth:
            if callable(self.then):
                self.then()
            else:
                os.kill(os.getpid(), signal.SIGKILL)


class Disk:
    """A disk without room: a file that takes what is left of a small one, else a bound on the size of every file."""

    def __init__(self, home: Path) -> None:
        self._ballast = home / "ballast"
        self._is_small = os.statvfs(home).f_blocks * os.statvfs(home).f_frsize < 100_000_000
        self._limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        if not self._is_small:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1, self._limits[1]))
            return
        block = 1 << 20
        with self._ballast.open("wb", buffering=0) as file:
            while block:
                try:
                    file.write(b"\0" * block)
                except OSError:
                    block //= 2

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limits)
        self._ballast.unlink(missing_ok=True)


def pressed(lab: Lab, since: str, how: str) -> None:
    """Work until the stop button; the next call works."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent in the background would have it ignored
    say("listening")
    try:
        if how == "query":
            lab.sql(LONG)
        else:
            everything(lab, since)
        say("through")
    except KeyboardInterrupt:
        say("interrupted")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lab.snapshot(series=SERIES)
    say(f"next {lab.sql('SELECT count(*) FROM trades').item()}")


def without_room(lab: Lab, since: str, home: Path, point: str, nth: int) -> None:
    """Meet a full disk once, and go on when there is room again."""
    disk = Disk(home)
    lab._twin.store.reached = Watch(point, nth, disk.fill)
    try:
        everything(lab, since)
        say("through")
    except LabError as error:
        say(f"failed {type(error).__name__}")
    finally:
        disk.free()
    lab._twin.store.reached = Watch("", 0)  # a point that did not come often enough would fill the disk only now
    everything(lab, since)


def main(url: str, home: str, since: str, *told: str) -> None:
    how, point, nth = (*told, "sync", "", "0")[:3] if len(told) != 1 else (told[0], "", "0")
    lab = Lab("sim", base_url=url, home=home, store_min_free=0)  # so that a disk can be full
    lab._twin.store.reached = Watch(point, int(nth))
    say("ready")
    if how in {"press", "query"}:
        pressed(lab, since, how)
    elif how == "full":
        without_room(lab, since, Path(home), point, int(nth))
    elif how == "everything":
        everything(lab, since)
    else:
        sync_all(lab, since)
    say("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
