"""Kills a syncing process, goes on in another, and checks that nothing was lost, doubled or asked for twice."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import polars as pl

from kalshi_lab import Lab
from kalshi_lab.store import Store
from tests.kills.child import sync_all

if TYPE_CHECKING:
    from kalshi_lab.sim import Exchange
    from kalshi_lab.store.verify import Verified

CHILD = Path(__file__).with_name("child.py")
DATA = ("markets", "results", "trades")
STAMPS = ("run_id", "seen_at")
PATHS = {"markets": "/markets", "trades": "/markets/trades", "events": "/events", "series": "/series"}
# the pages of runs that did not come to their end
KEPT = """
SELECT dataset, walk, page, coalesce(lag(next_cursor) OVER (PARTITION BY run_id, walk ORDER BY page), '') AS cursor FROM ledger
WHERE walk <> '' AND run_id NOT IN (SELECT run_id FROM ledger WHERE walk = '')
"""
UNBALANCED = "SELECT * FROM ledger WHERE received <> stored + duplicate + quarantined"
DOUBLED = "SELECT run_id, walk, page FROM ledger GROUP BY ALL HAVING count(*) > 1"
GAPS = "SELECT run_id, walk FROM ledger WHERE walk <> '' GROUP BY ALL HAVING max(page) <> count(*)"


@dataclass(frozen=True)
class Killed:
    """How far a killed process came: the last point that it told, and the points before it."""

    last: str
    points: int
    finished: bool


def undisturbed(exchange: Exchange, home: Path, since: str) -> dict[str, pl.DataFrame]:
    """The data of a run that nobody kills."""
    with Lab("sim", base_url=exchange.url, home=home, store_min_free=0) as lab:
        sync_all(lab, since)
        return data(lab)


def data(lab: Lab) -> dict[str, pl.DataFrame]:
    """The data tables in one order, without what tells one run from another."""
    return {name: lab.table(name, exact=True).drop(STAMPS).sort(pl.all()) for name in DATA}


def started(exchange: Exchange, home: Path, since: str, *rest: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(CHILD), exchange.url, str(home), since, *rest]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=CHILD.parents[2]
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def run_time(exchange: Exchange, home: Path, since: str, how: str = "sync") -> float:
    """Seconds that a child takes once it is ready."""
    process = started(exchange, home, since, how)
    began = time.monotonic()
    said, _ = process.communicate(timeout=60)
    assert said.endswith("done\n")
    return time.monotonic() - began


def killed_after(exchange: Exchange, home: Path, since: str, seconds: float, *, how: str = "sync") -> Killed:
    """Kill a child at a moment."""
    process = started(exchange, home, since, how)
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    return _ended(process)


def killed_at(exchange: Exchange, home: Path, since: str, point: str, nth: int, *, how: str = "sync") -> Killed:
    """Have a child kill itself at the nth arrival of a point."""
    return _ended(started(exchange, home, since, how, point, str(nth)))


def _ended(process: subprocess.Popen[str]) -> Killed:
    said, _ = process.communicate(timeout=60)
    points = said.split()
    return Killed(points[-1] if points else "ready", len(points), "done" in points)


def check(exchange: Exchange, home: Path, since: str, wanted: dict[str, pl.DataFrame]) -> int:
    """Go on after a kill and check the store; how many pages had been kept."""
    with Lab("sim", base_url=exchange.url, home=home, store_min_free=0) as lab:
        kept = lab.sql(KEPT)
        consistent(lab)
        exchange.reset_log()
        sync_all(lab, since)
        known = {(path_of(dataset, walk), cursor) for dataset, walk, _, cursor in kept.iter_rows() if cursor}
        assert not known & set(asked(exchange)), "a page that was kept is never asked for again"
        found = data(lab)
        for name, frame in wanted.items():
            assert found[name].equals(frame, null_equal=True), f"{name} differ from those of an undisturbed run"
        consistent(lab)
        return kept.height


def sound(home: Path) -> Verified:
    """What the journal promises is there: checked against the store, which opens within a second; nothing is there twice."""
    store = Store(home / "kalshi.duckdb")
    found = asyncio.run(store.verify())
    assert found.ok, found.frame().rows()
    return found


def promised(home: Path) -> set[tuple[str, str, int]]:
    """The pages that the journal names, read without the library."""
    found = set()
    for row in (home / "kalshi.duckdb.journal").read_bytes().splitlines():
        checksum, _, text = row.partition(b" ")
        if checksum == b"%08x" % zlib.crc32(text):
            kind, run_id, _, _, walk, page, *_ = json.loads(text)
            if kind == "page":
                found.add((run_id, walk, page))
    return found


def completed(exchange: Exchange, home: Path, since: str, wanted: dict[str, pl.DataFrame]) -> None:
    """The next sync makes the store what an undisturbed run makes, and leaves nothing to say."""
    with Lab("sim", base_url=exchange.url, home=home, store_min_free=0) as lab:
        sync_all(lab, since)
        found = data(lab)
        for name, frame in wanted.items():
            assert found[name].equals(frame, null_equal=True), f"{name} differ from those of an undisturbed run"
    sound(home)


def path_of(dataset: str, walk: str) -> str:
    """Where the pages of a walk come from."""
    return f"/historical/{dataset}" if "historical" in walk else PATHS.get(dataset, "")


def asked(exchange: Exchange) -> list[tuple[str, str]]:
    """The pages asked for: path and cursor."""
    queries = [(request["path"], parse_qs(request["query"])) for request in exchange.requests()]
    return [(path, query.get("cursor", [""])[0]) for path, query in queries if query.get("mve_filter") != ["only"]]


def consistent(lab: Lab) -> None:
    """What is true of a store at any moment: the ledger balances, has no gaps, and agrees with the rows."""
    for sql in (UNBALANCED, DOUBLED, GAPS):
        assert lab.sql(sql).is_empty()
    for name, key in (("markets", "ticker"), ("results", "ticker"), ("trades", "trade_id")):
        rows, keys = lab.sql(f"SELECT count(*), count(DISTINCT {key}) FROM {name}").row(0)
        assert rows == keys, f"{name} has rows twice"
    stored = lab.sql("SELECT coalesce(sum(stored), 0)::BIGINT FROM ledger WHERE dataset = 'trades'").item()
    assert stored == lab.sql("SELECT count(*) FROM trades").item(), "the ledger counts the trades that are there"
    runs = lab.sql("SELECT DISTINCT run_id FROM ledger")["run_id"]
    for name in DATA:
        assert set(lab.sql(f"SELECT DISTINCT run_id FROM {name}")["run_id"]) <= set(runs), (
            "no rows without their ledger row"
        )
