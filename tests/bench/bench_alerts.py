"""How long after a message an alert stands in the store: recorded books at 1,000 messages a second, five hundred alerts.

    KALSHI_LAB_RECORDINGS=... python -m tests.bench.bench_alerts --seconds 60

The real watch, engine and store; the stream is paced by this process. A wait is from the moment at which the oldest of the messages
that were seen together was due to the commit of what came of them, so it has the waiting for the transaction before. "all at once"
brings the same messages as fast as they are taken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.alerts import replayed

if TYPE_CHECKING:
    from collections.abc import Sequence

SEED, SPEED = 20261123, 1000


def report(rows: Sequence[tuple[str, bytes]], alerts: int) -> dict[str, float]:
    """Waits in milliseconds at the pace, and messages a second without one."""
    with tempfile.TemporaryDirectory() as home:
        waits = sorted(asyncio.run(replayed.run(Path(home), rows, seed=SEED, count=alerts, speed=SPEED)))
        events = sum(len(one) for one in replayed.told(Path(home)).values())
    with tempfile.TemporaryDirectory() as home:
        began = time.perf_counter()
        asyncio.run(replayed.run(Path(home), rows, seed=SEED, count=alerts, speed=0))
        took = time.perf_counter() - began
    at = {f"p{share}": waits[min(len(waits) - 1, len(waits) * share // 100)] * 1000 for share in (50, 90, 99)}
    return {
        "messages": len(rows), "alerts": alerts, "events": events, "transactions": len(waits), **at, "max": waits[-1] * 1000,
        "messages/s all at once": len(rows) / took,
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--alerts", type=int, default=500)
    given = parser.parse_args()
    recordings = Path(os.environ["KALSHI_LAB_RECORDINGS"])
    made = replayed.frames(recordings, 99)[: given.seconds * SPEED]
    print(json.dumps(report(made, given.alerts), indent=1))
