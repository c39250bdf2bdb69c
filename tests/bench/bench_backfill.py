"""How fast and how safely a long history of trades comes into the store: killed again and again, complete and unique at the end.

    python tests/bench/bench_backfill.py --full

A child process syncs everything; it is killed (SIGKILL) after random numbers of rows and begun anew, and the last one comes to the
end. Rows a second are those of the children's own time, from the start of each sync; memory is what a child holds resident, at commits.
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
FULL, SHORT = 10_000_000, 200_000
DAYS = 90


def child(url: str, home: str) -> None:
    """Sync everything, and say how many rows were received whenever some are committed."""
    from kalshi_lab import Lab
    from kalshi_lab.ingest.progress import Progress

    plain = Progress.advance

    def said(bar: Progress, steps: int) -> None:
        plain(bar, steps)
        print(f"rows {steps}", flush=True)

    Progress.advance = said  # type: ignore[method-assign] # told after every commit
    with Lab("sim", base_url=url, home=home) as lab:
        lab.status()
        print("begun", flush=True)
        done = lab.sync("trades", since=f"{DAYS}d", progress=False)
        print(json.dumps({"resumed": done.resumed_pages, "duplicate": done.duplicate}), flush=True)


def resident(pid: int) -> float:
    """Megabytes that a process holds in memory; 0 where it is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text("utf-8")
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("VmRSS")), 0.0)


def run(url: str, home: str, rows: int | None) -> dict[str, Any]:
    """One child, killed once it has received so many rows; seconds, resident megabytes at each commit, and what it said at its end."""
    started = subprocess.Popen(
        [sys.executable, __file__, "--child", url, home], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert started.stdout is not None
    began, memory, said, received = time.perf_counter(), [], None, 0
    for line in started.stdout:
        if line.startswith("begun"):
            began = time.perf_counter()
        elif line.startswith("rows"):
            memory.append(resident(started.pid))
            received += int(line.split()[1])
            if rows is not None and received >= rows:
                started.kill()
                break
        else:
            said = json.loads(line)
    seconds = time.perf_counter() - began
    started.stdout.close()
    code = started.wait()
    assert code == (0 if rows is None else -9), f"the child ended with {code}"
    return {"seconds": seconds, "memory": memory, "said": said}


def report(trades: int, kills: int, seed: int = 11) -> dict[str, float]:
    """The whole measurement; raises AssertionError where a trade is missing or twice."""
    from kalshi_lab import Lab
    from kalshi_lab.sim import process

    chance = random.Random(seed)
    each = trades // (kills + 2)
    ends = [chance.randint(each // 2, each) for _ in range(kills)]
    with (
        tempfile.TemporaryDirectory() as home,
        process.start(markets=300, clock="frozen", trades=trades, history_days=DAYS, read_tokens=1e9) as exchange,
    ):
        runs = [run(exchange.url, home, rows) for rows in [*ends, None]]
        with Lab("sim", base_url=exchange.url, home=home) as lab:
            sql = "SELECT count(*), count(DISTINCT trade_id), min(created_time), max(created_time) FROM trades"
            rows, unique, _, _ = lab.sql(sql).row(0)
            held = lab.sql("SELECT count(*) FROM ledger WHERE dataset = 'trades' AND walk = ''").item()
        size = sum(path.stat().st_size for path in Path(home).rglob("*") if path.is_file()) / 1e6
    assert (rows, unique) == (trades, trades), f"{rows:,} rows and {unique:,} trades of {trades:,}"
    assert held == 1, "the run did not come to its end, or came there more than once"
    seconds = sum(one["seconds"] for one in runs)
    memory = runs[-1]["memory"]
    most = max(max(one["memory"], default=0.0) for one in runs)
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
