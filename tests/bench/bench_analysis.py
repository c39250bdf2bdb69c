"""Questions over many trades: the library over its own store, and the way of a published framework over its own files, in one run.

    python tests/bench/bench_analysis.py [--trades 50000000] [--markets 500000] [--folder DIR] [--rounds 3] [--kinds calibration bars ...]

Loads made-up trades of resolved markets into a store, and writes the same trades as Parquet files of 10,000 rows in the order of time, as
J. Becker's prediction-market-analysis keeps them, whose questions join the results twice and unite takers and makers. Every question
runs in a process of its own; prints wall and CPU seconds (medians), the process's peak memory above what its imports took, what was
found, and the load of the machine. A folder that was filled before is used as it is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from kalshi_lab.analysis import longshots
from kalshi_lab.analysis.tape import chosen, from_store
from kalshi_lab.clock import SystemClock
from kalshi_lab.lab.tape import AsyncTape
from kalshi_lab.store import Store
from kalshi_lab.store.arrow import Arrow

FILE = 10_000
MARKETS = """
CREATE TEMP TABLE made_markets AS
SELECT i AS id, 'KX' || chr((65 + i % 26)::INT) || chr((65 + (i // 26) % 26)::INT) || 'D-26NOV' || lpad((i % 30 + 1)::VARCHAR, 2, '0')
       || '-' || (i // 5)::VARCHAR AS event, event || '-T' || (10000 + i)::VARCHAR || '.99' AS ticker,
       0.02 + 0.96 * ((hash(i) % 10000) / 10000.0) AS p, CASE WHEN (hash(i * 7 + 1) % 10000) / 10000.0 < p THEN 'yes' ELSE 'no'
       END AS result
FROM range(?) t(i)
"""
TRADES = """
CREATE TEMP TABLE made AS
SELECT ticker, TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_microseconds(((id % 286 + life * (1 + id % 11)) * 86400 * 1e6)::BIGINT) AS ts,
       greatest(1, least(99, round(100 * (p + (u - 0.5) * 0.3))))::INT AS cents, hundredths,
       CASE WHEN yes THEN 'yes' ELSE 'no' END AS side
FROM (SELECT ((hash(i) % 1000003 / 1000003.0) ** 3 * {markets})::INT % {markets} AS id, hash(i * 3 + 1) % 1000003 / 1000003.0 AS life,
             hash(i * 5 + 2) % 1000003 / 1000003.0 AS u,
             (1 + floor((hash(i * 11 + 3) % 1000003 / 1000003.0) ** 4 * 50000))::BIGINT AS hundredths,
             hash(i * 13 + 4) % 10 < 6 AS yes FROM range({trades}) t(i))
JOIN made_markets USING (id)
"""
KEPT = """
INSERT INTO trades BY NAME
SELECT uuid()::VARCHAR AS trade_id, ticker, ts AS created_time, (cents / 100.0)::DECIMAL(9,6) AS yes_price,
       (1 - cents / 100.0)::DECIMAL(9,6) AS no_price, (hundredths / 100.0)::DECIMAL(18,2) AS count, side AS taker_outcome_side,
       CASE side WHEN 'yes' THEN 'bid' ELSE 'ask' END AS taker_book_side, side AS taker_side, false AS is_block_trade, 'bench' AS run_id,
       TIMESTAMPTZ '2026-11-23' AS seen_at FROM made ORDER BY ts
"""
PUBLISHED = """
WITH r AS (SELECT ticker, result FROM '{folder}/markets.parquet' WHERE status = 'finalized' AND result IN ('yes', 'no')),
takers AS (
    SELECT CASE WHEN t.taker_side = 'yes' THEN t.yes_price ELSE t.no_price END AS price,
           CASE WHEN t.taker_side = r.result THEN 1.0 ELSE 0.0 END AS won
    FROM '{folder}/small/*.parquet' t JOIN r ON t.ticker = r.ticker
),
makers AS (
    SELECT CASE WHEN t.taker_side = 'yes' THEN t.no_price ELSE t.yes_price END AS price,
           CASE WHEN t.taker_side <> r.result THEN 1.0 ELSE 0.0 END AS won
    FROM '{folder}/small/*.parquet' t JOIN r ON t.ticker = r.ticker
)
SELECT price, count(*) AS n, avg(won) AS win_rate FROM (SELECT * FROM takers UNION ALL SELECT * FROM makers) GROUP BY price ORDER BY price
"""
PUBLISHED_TAPE = "SELECT * FROM '{folder}/small/*.parquet' WHERE ticker = '{ticker}' ORDER BY created_time"
PUBLISHED_BARS = """
SELECT ticker, time_bucket(INTERVAL 1 hour, created_time) AS bar, arg_min(yes_price, created_time) AS open, max(yes_price) AS high,
       min(yes_price) AS low, arg_max(yes_price, created_time) AS close, sum(count) AS volume, sum(yes_price * count) / sum(count) AS vwap
FROM '{folder}/small/*.parquet' GROUP BY 1, 2
"""
KINDS = (
    "calibration", "calibration plain", "calibration clustered", "tape", "bars",
    "published calibration", "published tape", "published bars",
)  # fmt: skip


class Desk(AsyncTape):
    """The verbs over a store alone."""

    def __init__(self, path: Path) -> None:
        self.store, self.clock = Store(path), SystemClock()


def fill(folder: Path, trades: int, markets: int) -> dict[str, float]:
    """Make the store and the files; how many seconds each step took, and megabytes of each."""
    took: dict[str, float] = {}
    store = Store(folder / "kalshi.duckdb")
    spill = folder / "spill"

    def load(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(f"SET memory_limit = '8GB'; SET temp_directory = '{spill}'")
        connection.execute(MARKETS, [markets])
        connection.execute("INSERT INTO results BY NAME SELECT ticker, event AS event_ticker, result FROM made_markets")
        connection.execute(TRADES.format(trades=trades, markets=markets))
        connection.execute(KEPT)
        connection.execute(
            f"COPY (SELECT ticker, 'finalized' AS status, result FROM made_markets) TO '{folder}/markets.parquet'"
        )

    steps = {
        "load": lambda: asyncio.run(store.write(load)),
        "compact": lambda: asyncio.run(store.compact()),
        "files": lambda: split(folder, trades),
    }
    for name, work in steps.items():
        began = time.monotonic()
        work()
        took[f"{name}_seconds"] = round(time.monotonic() - began, 1)
        took[f"{name}_megabytes"] = round(store.path.stat().st_size / 1e6)
    took["files_megabytes"] = round(sum(one.stat().st_size for one in (folder / "small").iterdir()) / 1e6)
    return took


def split(folder: Path, trades: int) -> None:
    """Files of 10,000 trades in the order of time, whole cents, as the framework's collector leaves them."""
    (folder / "small").mkdir()
    asked = """SELECT ticker, created_time, (yes_price * 100)::INT AS yes_price, (no_price * 100)::INT AS no_price, count::INT + 1 AS count,
                      taker_side FROM trades WHERE rowid >= {low} AND rowid < {high}"""
    step = 100 * FILE
    with duckdb.connect(str(folder / "kalshi.duckdb"), read_only=True) as connection:
        for low in range(0, trades, step):
            rows = pl.DataFrame(Arrow(connection.sql(asked.format(low=low, high=low + step))))
            for place in range(0, rows.height, FILE):
                rows[place : place + FILE].write_parquet(folder / "small" / f"trades_{low + place}.parquet")


async def ask(kind: str, folder: Path) -> int:
    """One question; how many rows it gave."""
    desk = Desk(folder / "kalshi.duckdb")
    if kind == "calibration":
        return (await desk.longshots(cluster=False, bins=100)).table.height
    if kind == "calibration plain":  # of the trades themselves, as before the first compact()
        question = longshots.asked("trade", 100, 0.95, clustered=False)
        return question.result(await desk.store.read(question.sql(from_store(question.fields, chosen())))).table.height
    if kind == "calibration clustered":
        return (await desk.longshots(bins=100)).table.height
    if kind == "tape":
        return (await desk.tape(middle(folder))).height
    found = 0
    async for frame in desk.stream_bars(every="1h"):
        found += frame.height
    return found


def middle(folder: Path) -> str:
    """A market of some size."""
    markets = pl.read_parquet(folder / "markets.parquet")["ticker"]
    return str(markets[min(1000, markets.len() // 2)])


def published(kind: str, folder: Path) -> int:
    """The framework's way; how many rows it gave."""
    sql = {"published calibration": PUBLISHED, "published bars": PUBLISHED_BARS, "published tape": PUBLISHED_TAPE}[kind]
    with duckdb.connect() as connection:
        return pl.DataFrame(Arrow(connection.sql(sql.format(folder=folder, ticker=middle(folder))))).height


def peak() -> float:
    """The most memory that this process ever held, in megabytes."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    return next(int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))


def one(kind: str, folder: Path) -> dict[str, Any]:
    """A question in this process."""
    with duckdb.connect() as connection:  # what is loaded at first use is no part of a question
        pl.DataFrame(Arrow(connection.sql("SELECT 1")))
    if not kind.startswith("published"):
        asyncio.run(Store(folder / "kalshi.duckdb").read("SELECT count(*) FROM trades"))
    before, began, cpu = peak(), time.perf_counter(), time.process_time()
    rows = published(kind, folder) if kind.startswith("published") else asyncio.run(ask(kind, folder))
    took = time.perf_counter() - began
    return {
        "rows": rows,
        "seconds": took,
        "cpu": time.process_time() - cpu,
        "megabytes": peak() - before,
        "whole": peak(),
    }


def report(folder: Path, trades: int, markets: int, rounds: int, kinds: tuple[str, ...] = KINDS) -> dict[str, Any]:
    """Fill the folder, ask everything."""
    made: dict[str, Any] = {"load_before": round(os.getloadavg()[0], 2)}
    if not (folder / "small").exists():
        made |= fill(folder, trades, markets)
    said: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    command = [sys.executable, __file__, "--folder", str(folder), "--one"]
    for _ in range(rounds):
        for kind in kinds:
            done = subprocess.run([*command, kind], capture_output=True, text=True, check=True)
            said[kind].append(json.loads(done.stdout.splitlines()[-1]))
    for kind, runs in said.items():
        made[kind] = {name: round(statistics.median(run[name] for run in runs), 3) for name in runs[0]}
    return made | {"load_after": round(os.getloadavg()[0], 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trades", type=int, default=50_000_000)
    parser.add_argument("--markets", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--kinds", nargs="*", default=KINDS)
    parser.add_argument("--one", default="", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(one(asked.one, asked.folder)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        made = report(folder, asked.trades, asked.markets, asked.rounds, tuple(asked.kinds))
        for name, value in made.items():
            print(f"{name:24} {value}")


if __name__ == "__main__":
    main()
