"""How often markets like one settled at YES."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalshi_lab.charts.house import BLUE, Picture, canvas, literal, say

if TYPE_CHECKING:
    from kalshi_lab.analysis.base_rate import BaseRate


def base_rate(result: BaseRate) -> Picture:
    """A line for each reference class: its rate, with its interval."""
    rows = result.table.filter(result.table["rate"].is_not_null())
    with canvas(f"Base rate of {result.ticker}", result.conclusion, height=1.4 + 0.45 * rows.height, ratios=(1,)) as (
        picture,
        (axes,),
    ):
        for place, row in enumerate(rows.iter_rows(named=True)):
            if row["low"] is not None:
                axes.plot([row["low"], row["high"]], [place, place], color=BLUE, linewidth=2)
            axes.scatter([row["rate"]], [place], color=BLUE, zorder=3)
        names = [literal(f"{row['reference']} ({row['markets']:,})", 60) for row in rows.iter_rows(named=True)]
        axes.set(xlim=(-0.02, 1.02), xlabel="share that settled at YES", ylim=(-0.6, max(rows.height, 1) - 0.4))
        axes.set_yticks(range(rows.height), names)
        if rows.is_empty():
            say(axes, "nothing like it is kept")
    return picture
