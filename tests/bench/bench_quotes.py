"""Quotes kept as changes against every row kept: size, time of a look, time of a question about a moment.

    python tests/bench/bench_quotes.py --full

288 looks a day at a listing, of which 3 of 100 markets change each time, hot ones more often than others. The looks are made here and
go through the very step that a snapshot keeps them with; nothing comes over a network. "Every row" appends each look whole.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DAY = datetime(2026, 11, 1, tzinfo=UTC)
EVERY = timedelta(minutes=5)
SHARE = 0.03
NAMES = ("yes_bid", "yes_bid_size", "yes_ask", "yes_ask_size", "last_price", "volume", "open_interest")
QUESTIONS = 9


class World:
    """A listing whose quotes move: whole cents and contracts, drawn again for the markets that change."""

    def __init__(self, markets: int, seed: int = 3) -> None:
        self.markets, self.random = markets, np.random.default_rng(seed)
        self.changing = max(1, round(markets * SHARE))
        heat = 1 / np.arange(1, markets + 1) ** 0.8
        self.heat = self.random.permutation(heat / heat.sum())
        self.tickers = pl.Series("ticker", [f"KXSERIES{i % 997:03}-26NOV{i % 30:02}-T{i:06}" for i in range(markets)])
        self.values = {name: self.random.integers(1, 9900, markets) for name in NAMES}

    def move(self) -> None:
        """One step: so many markets change."""
        hot = self.random.choice(self.markets, self.changing, replace=False, p=self.heat)
        for name in NAMES[:4]:
            self.values[name][hot] = self.random.integers(1, 9900, hot.size)
        for name in NAMES[4:]:
            self.values[name][hot] += 1

    def quotes(self) -> pl.DataFrame:
        """The listing's quotes with their exact types."""
        from kalshi_lab import frames
        from kalshi_lab.models import Market
        from kalshi_lab.store.queries import QUOTE

        schema = frames.schema(Market)
        made = pl.DataFrame(
            {"ticker": self.tickers, "status": pl.repeat("active", self.markets, eager=True)} | self.values
        )
        cents = [pl.col(name).cast(pl.Decimal(18, 2)) / 100 for name in NAMES if schema[name] == frames.PRICE]
        return made.with_columns(cents).select("ticker", *QUOTE).cast({name: schema[name] for name in NAMES})


@contextmanager
def timed(into: list[float]) -> Iterator[None]:
    began = time.perf_counter()
    yield
    into.append((time.perf_counter() - began) * 1000)


async def changes(world: World, path: Path, looks: int) -> dict[str, list[float]]:
    """Keep so many looks as changes, then ask: milliseconds of each step."""
    from kalshi_lab.ingest import quotes
    from kalshi_lab.store import Store
    from kalshi_lab.store.queries import quotes_as_of

    store, memory = Store(path), dict[str, Any]()
    took: dict[str, list[float]] = {"look": [], "keyframe": [], "as of": []}
    for step in range(looks):
        world.move()
        rows, at, run_id = world.quotes(), DAY + EVERY * step, f"run {step}"
        seen = quotes.Look(rows, rows.head(0))
        kind = "keyframe" if step % 288 == 0 else "look"
        with timed(took[kind]):
            await store.write(
                lambda connection, seen=seen, at=at, run_id=run_id: quotes.keep(  # type: ignore[misc]
                    connection, seen, "{}", at, run_id=run_id, memory=memory
                )
            )
    for question in range(QUESTIONS):
        at = DAY + EVERY * (looks - 1) - EVERY * question * min(30, looks // 10)
        with timed(took["as of"]):
            found = await quotes_as_of(store, at, None)
        assert found.height == world.markets
    return took


async def whole(world: World, path: Path, looks: int) -> dict[str, list[float]]:
    """Append so many looks whole, then ask."""
    from kalshi_lab.store import Store, writes

    store, took = Store(path), {"look": list[float](), "as of": list[float]()}
    for step in range(looks):
        world.move()
        stamp = {
            "time": pl.lit(DAY + EVERY * step, pl.Datetime("us", "UTC")),
            "scope": pl.lit("{}"),
            "gone": pl.lit(value=False),
        }
        rows = world.quotes().with_columns(**stamp)
        with timed(took["look"]):
            await store.write(lambda connection, rows=rows: writes.insert(connection, "quotes", rows))  # type: ignore[misc]
    for question in range(QUESTIONS):
        at = DAY + EVERY * (looks - 1 - question)
        with timed(took["as of"]):
            found = await store.read("SELECT * FROM quotes WHERE time = $1", [at])
        assert found.height == world.markets
    return took


def size(path: Path) -> float:
    return sum(one.stat().st_size for one in path.parent.glob(path.name + "*")) / 1e6


def report(markets: int, looks: int, days: int) -> dict[str, float]:
    """Measure, print and return the figures; the days after the first only of the changes."""
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs, long = (Path(folder) / name for name in ("changes.duckdb", "whole.duckdb", "long.duckdb"))
        day, all_rows = (
            asyncio.run(changes(World(markets), ours, looks)),
            asyncio.run(whole(World(markets), theirs, looks)),
        )
        figures = {
            "size of a day, MB": size(ours),
            "every row, MB": size(theirs),
            "size, percent of every row": 100 * size(ours) / size(theirs),
            "a look, ms, median": median(day["look"]),
            "a look, ms, p95": quantiles(day["look"], n=20)[-1],
            "every row, a look, ms, median": median(all_rows["look"]),
            "every row, a look, ms, p95": quantiles(all_rows["look"], n=20)[-1],
            "a day's first look, ms": median(day["keyframe"]),
            "as of, ms, median": median(day["as of"]),
            "every row, as of, ms, median": median(all_rows["as of"]),
        }
        whole_day = size(theirs)
        theirs.unlink()
        if days > 1:
            many = asyncio.run(changes(World(markets), long, looks * days))
            figures |= {
                f"after {days} days: size, MB": size(long),
                f"after {days} days: size, percent of every row": 100 * size(long) / (whole_day * days),
                f"after {days} days: a look, ms, median": median(many["look"][-looks:]),
                f"after {days} days: as of, ms, median": median(many["as of"]),
                f"after {days} days: as of, ms, slowest": max(many["as of"]),
            }
    for name, figure in figures.items():
        print(f"{name:45} {figure:12,.2f}")
    return figures


def main(given: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markets", type=int, default=100_000)
    parser.add_argument("--looks", type=int, default=288, help="a day's")
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--full", action="store_true", help="30 days")
    options: Any = parser.parse_args(given)
    report(options.markets, options.looks, 30 if options.full else options.days)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main(sys.argv[1:])
