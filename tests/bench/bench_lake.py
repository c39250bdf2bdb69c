"""A lake as it grows: how long an export takes and how large it is, then four questions over it, in time and memory.

    python -m tests.bench.bench_lake [--trades 100000 1000000 10000000 200000000] [--folder DIR] [--keep] [--kinds ...] [--figures FILE]
    python -m tests.bench.bench_lake --picture notebooks/img/lake_growth.png

A day has half a million made-up trades, a market a hundred. Up to ten million they are put into a store, and the lake is that store's
export; more are written as a lake at once, in the same layout. The export and each question run in a process of their own, the questions
over the lake alone. Prints a line of JSON for each size, and adds it to --figures; --picture draws what that file holds.
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
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl

import kalshi_lab as kl
from kalshi_lab.clock import SystemClock
from kalshi_lab.lab.tape import AsyncTape
from kalshi_lab.store import Store, lake_export
from kalshi_lab.store.lake import LakeStore
from tests.bench.bench_analysis import peak
from tests.export import synthetic

if TYPE_CHECKING:
    from kalshi_lab.charts.house import Picture

KINDS = ("calibration", "clustered", "bars", "tape")
SAID = {
    "calibration": "calibration by trade",
    "clustered": "the same, clustered by event",
    "bars": "hourly bars",
    "tape": "one market's tape",
}
A_DAY, A_MARKET = 500_000, 100  # trades
THROUGH = 10_000_000  # trades that go through a store
FAR = 1_000_000_000
SIZES = {10**5: "10⁵", 10**6: "10⁶", 10**7: "10⁷", 2 * 10**8: "2x10⁸", FAR: "10⁹  "}
FIGURES = Path(__file__).with_name("lake_growth.jsonl")
MANY = "SELECT ticker FROM read_parquet('{path}') GROUP BY ticker ORDER BY count(*) DESC, ticker LIMIT 1 OFFSET 100"
FILLED = "INSERT INTO {table} BY NAME SELECT * FROM read_parquet({files}, hive_partitioning = false)"


class Desk(AsyncTape):
    """The verbs over a lake alone."""

    def __init__(self, lake: Path) -> None:
        self.store, self.clock = LakeStore(kl.Lake(lake)), SystemClock()


async def ask(kind: str, lake: Path, ticker: str) -> int:
    """One question; how many rows it gave."""
    desk = Desk(lake)
    if kind in {"calibration", "clustered"}:
        return (await desk.longshots(cluster=kind == "clustered")).table.height
    if kind == "tape":
        return (await desk.tape(ticker)).height
    return sum([frame.height async for frame in desk.stream_bars(every="1h")])


def one(kind: str, folder: Path, ticker: str) -> dict[str, Any]:
    """An export or a question in this process."""
    before, began = peak(), time.perf_counter()
    rows = export(folder) if kind == "export" else asyncio.run(ask(kind, folder / "lake", ticker))
    return {"rows": rows, "seconds": round(time.perf_counter() - began, 2), "megabytes": round(peak() - before)}


def export(folder: Path) -> int:
    """Bring the lake up to date; how many files that wrote."""
    what = lake_export.asked(None, None, None)
    return asyncio.run(lake_export.export(Store(folder / "kalshi.duckdb"), kl.Lake(folder / "lake"), what)).height


def alone(kind: str, folder: Path, ticker: str = "") -> dict[str, Any]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.bench_lake", "--one", kind, str(folder), ticker]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    made: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return made


def filled(folder: Path, trades: int) -> list[str]:
    """Write a lake of made-up trades into a folder, or find it there; its files."""
    there = sorted(str(path) for path in folder.glob("trades/*/*/part.parquet"))
    return there or list(synthetic.write(folder, trades, max(1000, trades // A_MARKET), max(1, trades // A_DAY)))[1:]


def stored(folder: Path, trades: int) -> dict[str, Any]:
    """The same trades in a store, and a lake that is its export."""
    files, store = filled(folder / "made", trades), Store(folder / "kalshi.duckdb")

    def fill(connection: duckdb.DuckDBPyConnection) -> None:
        for table, paths in (
            ("trades", files),
            ("results", list(map(str, folder.glob("made/results/*/part.parquet")))),
        ):
            connection.execute(FILLED.format(table=table, files=paths))

    asyncio.run(store.write(fill))
    made = {name: alone("export", folder) for name in ("export", "nothing")}
    return {**made, "store_megabytes": round(store.path.stat().st_size / 1e6, 1)}


def grown(folder: Path, trades: int, kinds: tuple[str, ...] = KINDS) -> dict[str, Any]:
    """Fill, export, ask."""
    made: dict[str, Any] = {"trades": trades, "load": round(os.getloadavg()[0], 1)}
    if trades <= THROUGH:
        made |= stored(folder, trades)
    else:
        filled(folder / "lake", trades)
    files = sorted(folder.glob("lake/trades/*/*/part.parquet"))
    made |= {
        "files": len(files),
        "lake_megabytes": round(int(kl.Lake(folder / "lake").frame()["bytes"].sum()) / 1e6, 1),
    }
    with duckdb.connect() as connection:
        ticker = str(connection.execute(MANY.format(path=files[len(files) // 2])).fetchall()[0][0])
    return made | {kind: alone(kind, folder, ticker) for kind in kinds}


def figures() -> pl.DataFrame:
    """What was measured, as it was kept: size, kind, seconds, megabytes; of each size the newest."""
    lines = {line["trades"]: line for line in map(json.loads, FIGURES.read_text("utf-8").splitlines())}
    rows = [
        (size, kind, line[kind]["seconds"], line[kind]["megabytes"])
        for size, line in sorted(lines.items()) for kind in ("export", *KINDS) if kind in line
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=["trades", "kind", "seconds", "megabytes"], orient="row")


def picture(found: pl.DataFrame) -> Picture:
    """Seconds and memory over the number of trades; beyond what was measured, dashed, as the last two sizes go on."""
    from kalshi_lab.charts.house import CYCLE, canvas, legend

    note = "Questions over a lake, on two cores. Filled marks were measured; hollow ones, 10⁹ trades, are extrapolated."
    with canvas("A lake as it grows", note, columns=2, height=3.6, ratios=(1, 1)) as (made, panels):
        for kind, colour in zip(SAID, CYCLE, strict=False):
            rows = found.filter(pl.col("kind") == kind)
            for axes, name in zip(panels, ("seconds", "megabytes"), strict=True):
                axes.plot(
                    rows["trades"], rows[name], "o-", color=colour, label=SAID[kind] if name == "seconds" else None
                )
                far = beyond(rows["trades"].to_list()[-2:], rows[name].to_list()[-2:])
                axes.plot(
                    [rows["trades"][-1], FAR],
                    [rows[name][-1], far],
                    "o--",
                    color=colour,
                    markerfacecolor="white",
                    markevery=[1],
                )
        for axes, name in zip(panels, ("seconds", "peak memory, MB"), strict=True):
            axes.set(xscale="log", yscale="log", xlabel="trades", ylabel=name)
            axes.set_xticks(list(SIZES), list(SIZES.values()))
            axes.minorticks_off()
            axes.yaxis.set_major_formatter("{x:,g}")
        legend(made.figure, *panels)
    return made


def beyond(sizes: list[int], values: list[float]) -> float:
    """What a value is at 10^9 trades if it goes on along the line through its last two."""
    (near, far), (low, high) = sizes, values
    return max(high, high + (high - low) / (far - near) * (FAR - far))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trades", type=int, nargs="*", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--kinds", nargs="*", default=KINDS, choices=KINDS)
    parser.add_argument("--folder", type=Path)
    parser.add_argument(
        "--keep", action="store_true", help="use the folder itself for one size, and leave what is in it"
    )
    parser.add_argument("--figures", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(one(asked.one[0], Path(asked.one[1]), asked.one[2])))
        return
    if asked.picture:
        asked.picture.write_bytes(picture(figures()).png(80))
        return
    for trades in asked.trades:
        with tempfile.TemporaryDirectory(dir=asked.folder) as temporary:
            line = json.dumps(grown(asked.folder if asked.keep else Path(temporary), trades, tuple(asked.kinds)))
        print(line, flush=True)
        if asked.figures:
            with asked.figures.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")


if __name__ == "__main__":
    main()
