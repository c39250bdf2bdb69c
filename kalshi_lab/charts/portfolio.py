"""Pictures of an account: what it made over time, by market, and how its figures agree with the exchange's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.charts.house import (
    BLUE,
    MUTED,
    ORANGE,
    Picture,
    canvas,
    legend,
    legend_or_words,
    named_rows,
    rows_height,
    say,
    time_axis,
)

if TYPE_CHECKING:
    from kalshi_lab.analysis.base import Result

MOST = 20  # bars in a picture


def profit_and_loss(result: Result) -> Picture:
    """Realised profit over time, net of fees; below it the fall below the highest so far, dollars."""
    found: Any = result  # a ProfitAndLoss, which lives a floor above
    curve = found.equity
    times = curve["time"].to_list()
    with canvas("Realised profit, net of fees", found.conclusion, rows=2, height=5.6, ratios=(3, 1)) as (
        picture,
        (top, bottom),
    ):
        top.axhline(0, color=MUTED, linestyle="--", linewidth=1)
        marker = "o" if curve.height == 1 else None
        top.plot(times, _floats(curve, "realized"), color=BLUE, drawstyle="steps-post", marker=marker, label="realised")
        top.set(ylabel="dollars")
        fall = [-one for one in _floats(curve, "drawdown")]
        bottom.fill_between(times, fall, color=ORANGE, alpha=0.6, step="post", linewidth=0)
        bottom.set(ylabel="drawdown ($)", ylim=(min([*fall, -0.01]) * 1.1, 0))
        if curve.is_empty():
            say(top, "nothing has closed")
        time_axis(bottom, times)
        legend(picture.figure, top)
    return picture


def ledger(result: Result) -> Picture:
    """Net realised profit by market: those with the most, gained or lost."""
    found: Any = result
    rows = found.table.filter(pl.col("net").is_not_null() & (pl.col("net") != 0))
    largest = rows.sort(pl.col("net").abs(), descending=True).head(MOST).sort("net", descending=True)
    title = (
        "Realised by market, net of fees" if rows.height <= MOST else f"The {MOST} largest of {rows.height:,} markets"
    )
    with canvas(title, found.conclusion, height=rows_height(largest.height), ratios=(1,)) as (picture, (axes,)):
        net = _floats(largest, "net")
        axes.barh(range(len(net)), net, color=[BLUE if one > 0 else ORANGE for one in net], height=0.7)
        named_rows(axes, largest["ticker"].to_list())
        axes.axvline(0, color=MUTED, linewidth=1)
        axes.set(xlabel="dollars")
        if largest.is_empty():
            say(axes, "nothing is realised")
    return picture


def reconciliation(result: Result) -> Picture:
    """How many figures of each kind agree with the exchange's, and why the others do not."""
    found: Any = result
    counts = found.table.group_by("figure", "reason").len().sort("figure", "reason")
    figures = counts["figure"].unique(maintain_order=True).to_list()
    with canvas(
        "Our figures against the exchange's", found.conclusion, height=rows_height(len(figures)), ratios=(1,)
    ) as (picture, (axes,)):
        left = dict.fromkeys(figures, 0)
        for place, reason in enumerate(sorted(counts["reason"].unique().to_list())):
            own = dict(counts.filter(pl.col("reason") == reason).select("figure", "len").iter_rows())
            widths, starts = [own.get(figure, 0) for figure in figures], list(left.values())
            axes.barh(range(len(figures)), widths, left=starts, label=reason, color=_colour(reason, place), height=0.7)
            left = {figure: left[figure] + own.get(figure, 0) for figure in figures}
        named_rows(axes, figures)
        axes.set(xlabel="figures")
        legend_or_words(picture, axes, "nothing to compare", empty=counts.is_empty())
    return picture


GREYS = ("#9aa5b1", "#b8c0c8", "#7b8794", "#cbd2d9")


def _colour(reason: str, place: int) -> str:
    if reason == "agrees":
        return BLUE
    return ORANGE if reason == "unexplained" else GREYS[place % len(GREYS)]


def _floats(frame: pl.DataFrame, name: str) -> list[float]:
    return frame[name].cast(pl.Float64).to_list()
