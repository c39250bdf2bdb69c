"""Pictures of edges and stakes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from kalshi_lab.charts.house import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    Picture,
    canvas,
    counted,
    legend_or_words,
    named_rows,
    rows_height,
    say,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from kalshi_lab.analysis.edge import Edge
    from kalshi_lab.analysis.kelly import Kelly

ROWS, BINS = 20, 30
WORTH = {"thesis": "your probability", "calibration": "what such prices have meant", "ladder": "by its ladder"}


def edge(result: Edge) -> Picture:
    """What each contract costs, fee included, and what it is worth to you: the line between them is the edge.

    Below, how the expected values of all markets that could be judged are spread: those that are worth their cost are coloured.
    """
    shown = result.table.head(ROWS)
    with canvas(
        f"Edge: {result.table.height:,} of {result.basis.many}",
        result.conclusion,
        rows=2,
        height=rows_height(shown.height) + 1.9,
        ratios=(max(rows_height(shown.height) - 1.2, 2.0), 1.3),
        apart=True,
    ) as (picture, (axes, below)):
        rows, cost, worth = list(range(shown.height)), shown["cost"].to_list(), shown["probability"].to_list()
        axes.hlines(rows, cost, worth, color=GREEN, linewidth=5, alpha=0.35, label="expected value")
        axes.scatter(shown["price"].to_list(), rows, color=MUTED, s=18, zorder=3, label="price")
        axes.scatter(cost, rows, color=ORANGE, s=22, zorder=3, label="price and fee")
        axes.scatter(worth, rows, color=GREEN, s=26, zorder=3, label=WORTH[_kind(result)])
        names = [
            f"{row['side'].upper()} {row['ticker']}  {100 * row['ev']:+.3g}c" for row in shown.iter_rows(named=True)
        ]
        named_rows(axes, names)
        axes.set(xlim=(-0.02, 1.02), xlabel="dollars a contract of that side")
        _spread(below, result)
        legend_or_words(picture, axes, "nothing is worth more than it costs", empty=shown.is_empty())
    return picture


def _kind(result: Edge) -> str:
    return "thesis" if result.table.is_empty() else str(result.table["type"][0])


def _spread(axes: Axes, result: Edge) -> None:
    """The histogram of expected values, in cents."""
    cents = sorted(100 * ev for ev in result.considered["ev"].to_list())
    axes.set(xlabel="expected value of the better side (cents a contract)", ylabel="markets")
    counted(axes, "y")
    if not cents:
        say(axes, "no market could be judged")
        return
    found = set(result.table["ticker"].to_list())
    kept = sorted(100 * ev for ticker, ev in result.considered.iter_rows() if ticker in found)
    low, high = min(cents[0], 0.0), max(cents[-1], 0.0)
    width = max((high - low) / BINS, 0.1)
    edges = [width * place for place in range(math.floor(low / width), math.ceil(high / width) + 2)]
    axes.hist(cents, bins=edges, color=MUTED, alpha=0.45)
    axes.hist(kept, bins=edges, color=GREEN, alpha=0.75)
    axes.axvline(0, color=INK, linewidth=0.8)


def kelly(result: Kelly) -> Picture:
    """The share of the bankroll on each market, beside the full Kelly fraction of each alone."""
    shown = result.table.head(ROWS)
    title = f"Stakes of {result.bankroll:,.2f} dollars at {result.fraction:g} of full Kelly"
    with canvas(title, result.conclusion, height=rows_height(shown.height), ratios=(1,)) as (picture, (axes,)):
        rows = list(range(shown.height))
        axes.barh(rows, shown["stake"].to_list(), color=BLUE, alpha=0.75, height=0.6, label="stake")
        axes.scatter(shown["full"].to_list(), rows, color=ORANGE, s=22, zorder=3, label="full Kelly, among the others")
        axes.scatter(
            shown["alone"].to_list(),
            rows,
            facecolor="white",
            edgecolor=MUTED,
            s=26,
            zorder=3,
            label="full Kelly, by itself",
        )
        names = [f"{row['side'].upper()} {row['ticker']}  {row['contracts']:,g}" for row in shown.iter_rows(named=True)]
        named_rows(axes, names)
        axes.set_xlabel("share of the bankroll")
        axes.set_xlim(left=0)
        legend_or_words(picture, axes, "no bet", empty=shown.is_empty())
    return picture
