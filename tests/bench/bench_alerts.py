"""How long after a message an alert stands in the store: recorded books at 1,000 messages a second, five hundred alerts.

    KALSHI_LAB_RECORDINGS=... python -m tests.bench.bench_alerts [--kills 10] [--captures 2 --most 15000]

The real watch, engine and store in a process of its own, which is killed at so many random moments; the stream is paced by that
process. A wait is from the moment at which the oldest of the messages that were seen together was due to the commit of what came of
them, so it has the waiting for the transaction before. "all at once" brings the same messages as fast as they are taken. What was told
is compared with what must be: not one missed, not one twice.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from pathlib import Path

from tests.alerts import replayed

SPEED = 1000


def report(recordings: Path, alerts: int, kills: int, captures: int, most: int) -> dict[str, float]:
    """Waits in milliseconds at the pace, and messages a second without one."""
    rows = replayed.frames(recordings, captures, most)
    wanted = replayed.expected(rows, replayed.alerts(rows, replayed.SEED, alerts))
    chance, apart = random.Random(replayed.SEED), 2 * len(rows) / SPEED / (kills + 1)
    with tempfile.TemporaryDirectory() as name:
        home, after = Path(name), [chance.uniform(0.5, apart) for _ in range(kills)]
        done = replayed.killed(home, recordings, count=alerts, captures=captures, most=most, speed=SPEED, after=after)
        waits, told = replayed.waits(home), replayed.told(home)
    with tempfile.TemporaryDirectory() as name:
        began = time.perf_counter()
        replayed.killed(Path(name), recordings, count=alerts, captures=captures, most=most, after=())
        took = time.perf_counter() - began
    at = {f"p{share}": waits[min(len(waits) - 1, len(waits) * share // 100)] * 1000 for share in (50, 90, 99)}
    return {
        "messages": len(rows), "alerts": alerts, "events": sum(len(one) for one in wanted.values()), "as they must be": told == wanted,
        "kills": done, "transactions": len(waits), **at, "max": waits[-1] * 1000, "messages/s all at once": len(rows) / took,
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captures", type=int, default=99, help="so many recordings, one after the other")
    parser.add_argument("--most", type=int, default=10**9, help="messages of each")
    parser.add_argument("--alerts", type=int, default=500)
    parser.add_argument("--kills", type=int, default=0)
    given = parser.parse_args()
    found = report(Path(os.environ["KALSHI_LAB_RECORDINGS"]), given.alerts, given.kills, given.captures, given.most)
    print(json.dumps(found, indent=1))
