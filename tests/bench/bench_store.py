"""Three writers and a reader, each a process of its own, on one store: are all commits kept, and how long does a read take?

    python tests/bench/bench_store.py [--seconds 60] [--megabytes 200] [--writers 3] [--pause 0.0]

Every writer commits transactions of 100 trades under its own name, pausing that long in between, and counts those that were
acknowledged; the reader asks about one market 50 times a second. Prints the commits acknowledged and those found, the latencies of
reads and writes in milliseconds, and the load of the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl

from kalshi_lab.store import Store, writes

ROWS = 100  # trades in a transaction
GROW = """
INSERT INTO trades BY NAME
SELECT uuid()::VARCHAR AS trade_id, 'KXBENCH-' || (range % 5000) AS ticker,
       TIMESTAMPTZ '2026-01-01' + to_milliseconds(range * 700) AS created_time,
       (range % 99 + 1) / 100 AS yes_price, (99 - range % 99) / 100 AS no_price, random() * 900 AS count, 'base' AS run_id
FROM range(?)
"""
ONE_MARKET = (
    "SELECT count(*) AS n, max(created_time) AS last FROM trades WHERE ticker = 'KXBENCH-17' AND created_time > $1"
)


def grow(path: Path, megabytes: float) -> int:
    """Fill a new store up to a size; its rows."""
    store = Store(path)
    step = 250_000 if megabytes > 20 else 10_000
    while store.is_new or path.stat().st_size < megabytes * 1e6:
        asyncio.run(store.write(lambda connection: connection.execute(GROW, [step])))
    return int(asyncio.run(store.read("SELECT count(*) FROM trades")).item())


def write(path: Path, name: str, seconds: float, pause: float) -> dict[str, Any]:
    """Commit for some seconds."""
    store, took, acknowledged = Store(path), list[float](), 0
    asyncio.run(store.read("SELECT 1"))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        keys = [f"{name}-{acknowledged + number}" for number in range(ROWS)]
        rows = pl.DataFrame({"trade_id": keys, "ticker": f"KXBENCH-{name}", "run_id": name})
        began = time.monotonic()
        asyncio.run(store.write(lambda connection, rows=rows: writes.insert(connection, "trades", rows)))
        took.append(time.monotonic() - began)
        acknowledged += ROWS
        time.sleep(pause)
    return {"name": name, "rows": acknowledged, "took": took}


def read(path: Path, seconds: float) -> dict[str, Any]:
    """Ask for some seconds."""
    store, took = Store(path), list[float]()
    since = asyncio.run(store.read("SELECT TIMESTAMPTZ '2026-01-02' AS since")).item()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        asyncio.run(store.read(ONE_MARKET, [since]))
        took.append(time.monotonic() - began)
        time.sleep(max(0.0, 0.02 - took[-1]))
    return {"name": "reader", "took": took}


def figures(took: list[float]) -> dict[str, float]:
    """Latencies in milliseconds."""
    made = pl.Series(took) * 1000
    points = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: round(float(made.quantile(point) or 0), 1) for name, point in points.items()} | {"n": made.len()}


def report(seconds: float, megabytes: float, writers: int = 3, pause: float = 0.0) -> dict[str, Any]:
    """Run all, and hold what is found against what was acknowledged."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kalshi.duckdb"
        base = grow(path, megabytes)
        size = path.stat().st_size
        load = os.getloadavg()[0]
        roles = [f"writer{number}" for number in range(writers)] + ["reader"]
        command = [
            sys.executable,
            str(Path(__file__)),
            "--path",
            str(path),
            "--seconds",
            str(seconds),
            "--pause",
            str(pause),
        ]
        started = [subprocess.Popen([*command, "--role", role], stdout=subprocess.PIPE, text=True) for role in roles]
        said = [json.loads(process.communicate()[0]) for process in started]
        found = dict(
            asyncio.run(
                Store(path).read("SELECT run_id, count(DISTINCT trade_id) FROM trades GROUP BY ALL")
            ).iter_rows()
        )
    acknowledged = {one["name"]: one["rows"] for one in said if "rows" in one}
    writing = [figure for one in said if "rows" in one for figure in one["took"]]
    return {
        "base_kept": found.pop("base") == base, "acknowledged": acknowledged, "found": found, "megabytes": round(size / 1e6, 1),
        "read_ms": figures(said[-1]["took"]), "write_ms": figures(writing), "load_before": round(load, 2),
        "load_after": round(os.getloadavg()[0], 2),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--megabytes", type=float, default=200)
    parser.add_argument("--writers", type=int, default=3)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--role", default="", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.role == "reader":
        print(json.dumps(read(asked.path, asked.seconds)))
    elif asked.role:
        print(json.dumps(write(asked.path, asked.role, asked.seconds, asked.pause)))
    else:
        for name, value in report(asked.seconds, asked.megabytes, asked.writers, asked.pause).items():
            print(f"{name:14} {value}")


if __name__ == "__main__":
    main()
