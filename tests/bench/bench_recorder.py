"""A recording under load, held against what the simulated exchange says that it sent.

    python tests/bench/bench_recorder.py --minutes 10

Books flicker at `--rate` messages a second while the connection is dropped at random and numbers are left out; at the end every
message must be stored once, and whatever is not must lie in a row of `gaps`. Memory is this process's, the exchange is another.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import psutil

import kalshi_lab as kl
from kalshi_lab.sim import Exchange, process

MARKETS = 50
BOOK = {"orderbook_snapshot", "orderbook_delta"}
TABLES = {"ticker": "ticks", "trade": "trades"} | dict.fromkeys(BOOK, "book_changes")


def megabytes() -> float:
    return psutil.Process().memory_info().rss / 2**20


def upset(exchange: Exchange, draw: random.Random) -> None:
    """Leave a number out now and then."""
    if draw.random() < 0.2:
        exchange.stream_faults("skip", after=draw.randint(0, 200))


def run(
    lab: kl.Lab, exchange: Exchange, seconds: float, rate: float, drops: float
) -> tuple[kl.Recording, dict[str, Any]]:
    """Record for so long, and measure."""
    draw, names = random.Random(7), lab.markets(limit=500)["ticker"].to_list()[:MARKETS]
    exchange.stream_log(keep=True)
    recording = lab.record(tickers=names)
    exchange.stream_faults("random_drop", probability=drops, seed=7)
    exchange.stir(rate)
    memory, lags, began, cpu = [], [], time.monotonic(), time.process_time()
    while (past := time.monotonic() - began) < seconds:
        time.sleep(1)
        upset(exchange, draw)
        stats = recording.stats
        if past > seconds / 10:  # caches are full by then
            memory.append(megabytes())
        if stats.lag_p99 is not None:
            lags.append((stats.lag_p50, stats.lag_p99))
    cpu = time.process_time() - cpu
    exchange.stir(0)
    exchange.stream_faults()
    time.sleep(5)
    recording.stop()
    stats = recording.stats
    return recording, {
        "seconds": round(seconds),
        "cpu_seconds": round(cpu, 1),
        "messages": sum(stats.frames.values()),
        "stored": stats.stored,
        "gaps": stats.gaps,
        "lost": stats.lost,
        "backfilled": stats.backfilled,
        "quarantined": stats.quarantined,
        "errors": [str(error) for error in recording.errors],
        "memory_mb": {"start": round(memory[0]), "middle": round(memory[len(memory) // 2]), "end": round(memory[-1])},
        "lag_p50": round(median(p50 for p50, _ in lags), 3),
        "lag_p99": round(max(p99 for _, p99 in lags), 3),
        "store_mb": round(lab._twin.store.path.stat().st_size / 2**20, 1),
    }


def compare(lab: kl.Lab, recording: str, log: dict[str, Any]) -> dict[str, Any]:
    """What was sent beside what is stored: how many messages are missing without a gap, stored twice, or never sent."""
    made: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for frame in log["frames"]:
        made[frame["connection"]].append(frame)
    rows = lab.sql(
        "SELECT connection, sid, seq FROM book_changes WHERE recording = ? ORDER BY frame", [recording]
    ).rows()
    kept: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for connection, sid, seq in rows:
        kept[connection].append((sid, seq))
    gaps = lab.sql("SELECT reason, sid, expected, received FROM gaps WHERE recording = ?", [recording]).rows()
    left_out = [gap[1:] for gap in gaps if gap[0] == "sequence"]
    lost = sum(gap[0] == "connection" for gap in gaps)  # a row for each connection that ended
    told: Counter[str] = Counter()
    least: Counter[str] = Counter()
    for place, (_, frames) in enumerate(sorted(made.items())):
        mine = kept[sorted(kept)[place]] if place < len(kept) else []
        stored = set(mine)
        told["twice"] += len(mine) - len(stored)
        told["never sent"] += len(
            stored - {(one["sid"], one["seq"]) for one in frames if one["type"] in BOOK and one["sent"]}
        )
        ends = max(
            (at for at, one in enumerate(frames) if (one["sid"], one["seq"]) in stored and one["type"] in BOOK),
            default=-1,
        )
        last = place >= lost  # the one that stood at the end, if it brought anything
        for at, one in enumerate(frames):
            key = (one["sid"], one["seq"])
            if one["sent"] and (at <= ends or last):
                least[TABLES.get(one["type"], "lifecycle")] += 1
            if one["type"] in BOOK and key not in stored:
                in_gap = any(sid == key[0] and first <= key[1] < until for sid, first, until in left_out)
                told[
                    "in a gap of the sequence"
                    if in_gap
                    else "after the last of a lost connection"
                    if at > ends and not last
                    else "missing"
                ] += 1
    most = Counter(TABLES.get(one["type"], "lifecycle") for one in log["frames"] if one["sent"])
    tables = {
        name: lab.sql(f"SELECT count(*) FROM {name}").item()
        for name in ("book_changes", "ticks", "lifecycle", "trades")
    }
    short = {
        name: (least[name], tables[name], most[name])
        for name in tables
        if not least[name] <= tables[name] <= most[name]
    }
    short.pop("trades", None)  # REST brings more
    return {
        "connections": len(made),
        "sent": sum(most.values()),
        "rows": tables,
        "connection_gaps": lost,
        "sequence_gaps": len(left_out),
        "missing": told["missing"],
        "twice": told["twice"],
        "never_sent": told["never sent"],
        "in_a_sequence_gap": told["in a gap of the sequence"],
        "cut_off_with_a_connection": told["after the last of a lost connection"],
        "out_of_bounds": short,
    }


def report(seconds: float, rate: float = 1000, drops: float = 0.03) -> dict[str, Any]:
    """The figures of one run."""
    with (
        tempfile.TemporaryDirectory() as home,
        process.start(markets=300, clock="live") as exchange,
        kl.Lab("sim", base_url=exchange.url, home=Path(home)) as lab,
    ):
        recording, measured = run(lab, exchange, seconds, rate, drops)
        return measured | compare(lab, recording.recording, exchange.stream_log())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--drops", type=float, default=0.03, help="probability a second that the connection is dropped")
    asked = parser.parse_args()
    figures = report(asked.minutes * 60 or asked.seconds, asked.rate, asked.drops)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
