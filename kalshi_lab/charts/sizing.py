"""Pictures of edges and stakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalshi_lab.charts.house import (
    BLUE,
    GREEN,
    MUTED,
    ORANGE,
    Picture,
    canvas,
    legend_or_words,
    named_rows,
    rows_height,
)

if TYPE_CHECKING:
    from kalshi_lab.analysis.edge import Edge
    from kalshi_lab.analysis.kelly import Kelly

ROWS = 20


def edge(result: Edge) -> Picture:
    """What each contract costs, fee included, and what it is worth to you: the line between them is the edge."""
    shown = result.table.head(ROWS)
    with canvas(
        f"Edge: {result.table.height:,} of {result.basis.many}",
        result.conclusion,
        height=rows_height(shown.height),
        ratios=(1,),
    ) as (picture, (axes,)):
        rows, cost, worth = list(range(shown.height)), shown["cost"].to_list(), shown["probability"].to_list()
        axes.hlines(rows, cost, worth, color=GREEN, linewidth=5, alpha=0.35, label="expected value")
        axes.scatter(shown["price"].to_list(), rows, color=MUTED, s=18, zorder=3, label="price")
        axes.scatter(cost, rows, color=ORANGE, s=22, zorder=3, label="price and fee")
        axes.scatter(worth, rows, color=GREEN, s=26, zorder=3, label="your probability")
        names = [
            f"{row['side'].upper()} {row['ticker']}  {100 * row['ev']:+.3g}c" for row in shown.iter_rows(named=True)
        ]
        named_rows(axes, names)
        axes.set(xlim=(-0.02, 1.02), xlabel="dollars a contract of that side")
        legend_or_words(picture, axes, "nothing is worth more than it costs", empty=shown.is_empty())
    return picture


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
