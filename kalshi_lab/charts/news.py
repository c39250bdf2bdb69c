"""How the news of a market lean, story by story."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.charts.house import BLUE, MUTED, ORANGE, Picture, canvas, legend, say, time_axis

if TYPE_CHECKING:
    from kalshi_lab.analysis.base import Result


def news(result: Result) -> Picture:
    """A point for each article at the time when it was first seen, from -1 (speaks for NO) to 1 (for YES); the mean with its interval."""
    found: Any = result  # a NewsSentiment, which lives a floor above
    rows = found.articles.filter(pl.col("score").is_not_null()).sort("first_seen")
    with canvas(f"News of {found.target}", found.conclusion, height=3.6, ratios=(1,)) as (picture, (axes,)):
        axes.axhline(0, color=MUTED, linewidth=1, linestyle="--")
        times = rows["first_seen"].to_list()
        axes.scatter(times, rows["score"].to_list(), color=BLUE, alpha=0.6, linewidth=0, label="article")
        mean, low, high = found.table.row(0)[1:4]
        if mean is not None:
            axes.axhline(mean, color=ORANGE, linewidth=1.5, label="mean")
        if low is not None:
            axes.axhspan(low, high, color=ORANGE, alpha=0.15, linewidth=0, label="its interval")
        axes.set(ylim=(-1.05, 1.05), ylabel="lean towards YES")
        if rows.is_empty():
            say(axes, "nothing was said of it")
        time_axis(axes, times)
        legend(picture.figure, axes)
    return picture
