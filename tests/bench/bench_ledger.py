"""What a ledger of many fills costs: seconds and memory, by method, and with all fills in one market.

    python tests/bench/bench_ledger.py [--fills 1000000] [--markets 2000]

Fills are random: sides, prices to the hundredth of a cent, hundredths of contracts; half of them close what others opened. The ratio to
one pass of Polars over the same rows (a sum by market) tells the machine's noise.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from datetime import UTC, datetime
from typing import Any

import polars as pl

from kalshi_lab.portfolio.ledger import ledger

START = datetime(2026, 1, 1, tzinfo=UTC)


def fills(count: int, markets: int) -> pl.DataFrame:
    """Random fills of so many markets, one a second."""
    rows = pl.DataFrame({"at": range(count)}, schema={"at": pl.Int64})
    draw = [pl.col("at").hash(seed).mod(1_000_003).cast(pl.Int64) for seed in range(4)]
    price = (draw[1] % 9_999 + 1).cast(pl.Decimal(18, 4)) / 10_000
    return rows.select(
        fill_id=pl.format("f{}", "at"), order_id=pl.format("o{}", pl.col("at") // 3), ticker=pl.format("KXM-{}", draw[0] % markets),
        outcome_side=pl.when(draw[2] % 2 == 0).then(pl.lit("yes")).otherwise(pl.lit("no")), is_taker=pl.lit(value=True),
        count=((draw[3] % 9_999 + 1).cast(pl.Decimal(18, 2)) / 100).cast(pl.Decimal(18, 2)), yes_price=price.cast(pl.Decimal(9, 6)),
        fee_cost=pl.lit("0.013600").cast(pl.Decimal(18, 6)), created_time=pl.lit(START) + pl.duration(seconds="at"),
    )  # fmt: skip


def report(count: int, markets: int) -> dict[str, float]:
    """Measure, print and return the figures."""
    rows, one = fills(count, markets), fills(count, 1)
    began = time.perf_counter()
    rows.group_by("ticker").agg((pl.col("count") * pl.col("yes_price")).sum())
    figures: dict[str, float] = {"one pass of Polars, s": time.perf_counter() - began}
    cases: list[tuple[str, pl.DataFrame, Any]] = [(method, rows, method) for method in ("fifo", "lifo", "average")]
    for name, given, method in [*cases, ("fifo in one market", one, "fifo")]:
        began = time.perf_counter()
        made = ledger(given, method=method)
        figures[f"{name}, s"] = time.perf_counter() - began
        figures[f"{name}, closings"] = made.closings.height
    figures["most memory, MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for name, figure in figures.items():
        print(f"{name:32} {figure:14,.3f}")
    print(f"load {os.getloadavg()[0]:.1f}")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fills", type=int, default=1_000_000)
    parser.add_argument("--markets", type=int, default=2_000)
    asked = parser.parse_args()
    report(asked.fills, asked.markets)


if __name__ == "__main__":
    main()
