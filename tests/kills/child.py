"""Syncs two datasets into a store, tells each point of each commit on its standard output, and ends itself at one if told to.

Run as `python child.py URL HOME SINCE [POINT NTH]`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter

from kalshi_lab import Lab

SERIES = "KXCPI"


def sync_all(lab: Lab, since: str) -> None:
    """What an undisturbed run does."""
    lab.sync("markets", series=SERIES)
    lab.sync("trades", since=since)


class Watch:
    """Tells each point as it is reached, unbuffered, and kills this process at the nth arrival of one of them."""

    def __init__(self, point: str, nth: int) -> None:
        self.point, self.nth = point, nth
        self.seen: Counter[str] = Counter()

    def __call__(self, point: str) -> None:
        self.seen[point] += 1
        os.write(1, f"{point}\n".encode())
        if point == self.point and self.seen[point] == self.nth:
            os.kill(os.getpid(), signal.SIGKILL)


def main(url: str, home: str, since: str, point: str = "", nth: str = "0") -> None:
    lab = Lab("sim", base_url=url, home=home)
    lab._twin.store.reached = Watch(point, int(nth))
    os.write(1, b"ready\n")
    sync_all(lab, since)
    os.write(1, b"done\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
