"""How fast and how safely a long history of trades comes into the store: killed again and again, complete and unique at the end.

    python tests/bench/bench_backfill.py --full

A child process syncs everything; it is killed (SIGKILL) at random commits and begun anew, and the last one comes to the end. Rows a
second are those of the children's own time, from the start of the sync; memory is what the child holds resident, sampled at every commit.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FULL, SHORT = 10_000_000, 100_000
DAYS = 90


def child(url: str, home: str) -> None:
    """Sync everything, and say when something is committed."""
    from kalshi_lab import Lab

    with Lab("sim", base_url=url, home=home) as lab:
        store = lab._twin.store
        plain = store.reached

        def said(point: str) -> None:
            plain(point)
            if point == "committed":
                print(point, flush=True)

        lab.status()
        store.reached = said
        print("begun", flush=True)
        done = lab.sync("trades", since=f"{DAYS}d", progress=False)
        print(
            json.dumps({"resumed": done.resumed_pages, "stored": done.stored, "duplicate": done.duplicate}), flush=True
        )


def resident(pid: int) -> float:
    """Megabytes that a process holds in memory; 0 where it is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text("utf-8")
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("VmRSS")), 0.0)


def run(url: str, home: str, commits: int | None) -> dict[str, Any]:
    """One child, killed at its n-th commit; seconds, resident megabytes at each commit, and what it said at its end."""
    started = subprocess.Popen(
        [sys.executable, __file__, "--child", url, home], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert started.stdout is not None
    began, memory, last, left = time.perf_counter(), [], "", commits
    for line in started.stdout:
        if line.startswith("begun"):
            began = time.perf_counter()
        elif line.startswith("committed"):
            memory.append(resident(started.pid))
            left = None if left is None else left - 1
            if left == 0:
                started.kill()
                break
        else:
            last = line
    seconds = time.perf_counter() - began
    code = started.wait()
    assert code == (-9 if left == 0 else 0), f"the child ended with {code}"
    return {"seconds": seconds, "memory": memory, "said": json.loads(last) if last else None}


def report(trades: int, kills: int, seed: int = 11) -> dict[str, float]:
    """The whole measurement; raises AssertionError where a trade is missing or twice."""
    from kalshi_lab import Lab
    from kalshi_lab.sim import process

    chance = random.Random(seed)
    each = max(trades // 12_000 // (kills + 1), 1)  # a transaction has about a dozen pages
    with (
        tempfile.TemporaryDirectory() as home,
        process.start(markets=300, clock="frozen", trades=trades, history_days=DAYS, read_tokens=1e9) as exchange,
    ):
        ends = [chance.randint(max(each // 2, 1), each) + 2 for _ in range(kills)]  # the first commits are no pages yet
        runs = [run(exchange.url, home, commits) for commits in [*ends, None]]
        with Lab("sim", base_url=exchange.url, home=home) as lab:
            sql = "SELECT count(*), count(DISTINCT trade_id), min(created_time), max(created_time) FROM trades"
            rows, unique, _, _ = lab.sql(sql).row(0)
            held = lab.sql("SELECT count(*) FROM ledger WHERE dataset = 'trades' AND walk = ''").item()
        size = sum(path.stat().st_size for path in Path(home).rglob("*") if path.is_file()) / 1e6
    assert (rows, unique) == (trades, trades), f"{rows:,} rows and {unique:,} trades of {trades:,}"
    assert held == 1, "the run did not come to its end, or came there more than once"
    seconds = sum(one["seconds"] for one in runs)
    memory = runs[-1]["memory"]
    most = max(max(one["memory"]) for one in runs)
    killed = sum(one["said"] is None for one in runs)
    return {
        "trades": rows, "kills": killed, "resumed pages": runs[-1]["said"]["resumed"], "duplicates": runs[-1]["said"]["duplicate"],
        "seconds": seconds, "rows/s": rows / seconds, "MB at a tenth": memory[len(memory) // 10], "MB at most": most,
        "MB at the end": memory[-1], "MB on disk": size,
    }  # fmt: skip


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help=f"{FULL:,} trades; without it {SHORT:,}")
    parser.add_argument("--trades", type=int)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--child", nargs=2)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    trades = options.trades or (FULL if options.full else SHORT)
    print(f"load of this machine: {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores")
    for name, figure in report(trades, options.kills).items():
        print(f"{name:>16} {figure:12,.1f}")


if __name__ == "__main__":
    main()
