"""Pictures of scans: what was found, who moved, and one market's spread over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from kalshi_lab.charts.house import (
    BLUE,
    GREEN,
    MUTED,
    RED,
    Picture,
    canvas,
    legend,
    legend_or_words,
    named_rows,
    price_axis,
    rows_height,
    say,
    time_axis,
)

if TYPE_CHECKING:
    from kalshi_lab.analysis.movers import Metrics, Movers
    from kalshi_lab.analysis.scan import Scan

ROWS = 20


def scan(result: Scan) -> Picture:
    """The first markets of a scan: bid to ask as a bar, the middle as a point, the reason beside it."""
    shown = result.table.head(ROWS)
    title = f"{result.kind.replace('_', ' ').capitalize()}: {result.table.height:,} of {result.basis.many}"
    with canvas(title, result.conclusion, height=rows_height(shown.height), ratios=(1,)) as (picture, (axes,)):
        rows = range(shown.height)
        low, high = shown["bid"].fill_null(0.0), shown["ask"].fill_null(1.0)
        axes.hlines(rows, low.to_list(), high.to_list(), color=BLUE, linewidth=6, alpha=0.35, label="bid to ask")
        real = [(row, mid) for row, mid in enumerate(shown["mid"].to_list()) if mid is not None]
        axes.scatter([mid for _, mid in real], [row for row, _ in real], color=BLUE, s=22, zorder=3, label="middle")
        named_rows(axes, [f"{row['ticker']}  {row['reason']}" for row in shown.iter_rows(named=True)])
        axes.set(xlim=(-0.02, 1.02), xlabel="price (dollars)")
        legend_or_words(picture, axes, "no market fits", empty=shown.is_empty())
    return picture


def movers(result: Movers) -> Picture:
    """Markets that moved: from the middle then, a hollow point, to the middle now, a full one; green up, red down."""
    shown = result.table.head(ROWS)
    with canvas(
        f"Movers, {result.basis.horizon}", result.conclusion, height=rows_height(shown.height), ratios=(1,)
    ) as (
        picture,
        (axes,),
    ):
        for colour, name, sign in ((GREEN, "up", 1), (RED, "down", -1)):
            part = shown.with_row_index("row").filter(pl.col("change") * sign > 0)
            rows, then, now = part["row"].to_list(), part["mid_then"].to_list(), part["mid"].to_list()
            axes.hlines(rows, then, now, color=colour, linewidth=2, alpha=0.6)
            axes.scatter(then, rows, facecolor="white", edgecolor=colour, s=28, zorder=3)
            axes.scatter(now, rows, color=colour, s=28, zorder=3, label=name if rows else "")
        named_rows(axes, [f"{row['ticker']}  {100 * row['change']:+.3g}c" for row in shown.iter_rows(named=True)])
        axes.set(xlim=(-0.02, 1.02), xlabel="middle of bid and ask (dollars)")
        legend_or_words(picture, axes, "nothing moved that far", empty=shown.is_empty())
    return picture


def metrics(result: Metrics) -> Picture:
    """One market over the window: the band between bid and ask above, the spread below; gaps where there was no real quote."""
    path = result.path.with_columns(pl.when("real").then(pl.col("bid", "ask")))
    times = path["time"].to_list()
    with canvas(
        result.conclusion, f"{result.basis.horizon}, {result.basis.many}", rows=2, height=4.8, ratios=(3, 1)
    ) as (picture, panes):
        top, bottom = panes
        bid, ask = (path[name].cast(pl.Float64).fill_null(float("nan")).to_list() for name in ("bid", "ask"))
        top.fill_between(times, bid, ask, step="post", color=BLUE, alpha=0.25, label="bid to ask")
        top.step(
            times,
            [(low + high) / 2 for low, high in zip(bid, ask, strict=True)],
            where="post",
            color=BLUE,
            linewidth=1.2,
            label="middle",
        )
        spreads = [100 * (high - low) for low, high in zip(bid, ask, strict=True)]
        bottom.step(times, spreads, where="post", color=MUTED, linewidth=1.2)
        bottom.set_ylabel("spread (cents)")
        bottom.set_ylim(bottom=0)
        price_axis(top)
        time_axis(bottom, times)
        top.set_xlabel("")
        if path["bid"].null_count() == path.height:
            say(top, "no real quote")
        legend(picture.figure, top)
    return picture
