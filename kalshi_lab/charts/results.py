"""Pictures of what analyses found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.charts.house import BLUE, CYCLE, INK, MUTED, Picture, canvas, counted, legend, literal, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from kalshi_lab.analysis.result import Calibration

GROUPS_SHOWN, TELLING = 5, 20


def reliability(result: Calibration) -> Picture:
    """Win rate over price: a point for each bin with its interval, sized by its forecasts; below, how many there are.

    On the diagonal prices are honest; above it the event happens more often than it costs. With `by`, the five
    largest groups are thin lines through their bins of 20 forecasts or more.
    """
    size = "1 forecast" if result.n == 1 else f"{result.n:,} forecasts"
    title = f"Calibration of {size}: Brier {_figure(result.brier)}, skill {_figure(result.skill)}"
    with canvas(title, result.conclusion, rows=2, height=6.6, ratios=(4, 1)) as (picture, (top, bottom)):
        top.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1, label="honest prices")
        _group_lines(top, result)
        _bin_points(top, result.bins)
        bins = result.bins
        width = (bins["bin_high"] - bins["bin_low"]).to_list()
        bottom.bar(
            bins["bin_low"].to_list(),
            bins["n"].to_list(),
            width=width,
            align="edge",
            color=BLUE,
            alpha=0.55,
            edgecolor="white",
        )
        top.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel="share that happened")
        bottom.set(xlim=(-0.02, 1.02), xlabel="price (dollars)", ylabel="forecasts")
        counted(bottom, "y")
        if bins.is_empty():
            say(top, "no forecasts")
            bottom.set_ylim(0, 1)
        else:
            legend(picture.figure, top)
    return picture


def _bin_points(axes: Axes, bins: pl.DataFrame) -> None:
    most = max(bins["n"].to_list(), default=1)
    areas = [15 + 150 * (count / most) ** 0.5 for count in bins["n"].to_list()]
    axes.scatter(
        bins["mean_price"], bins["win_rate"], s=areas, color=BLUE, alpha=0.5, linewidth=0, zorder=3, label="bin"
    )
    judged = bins.drop_nulls(["low", "high"])
    low, rate, high = judged["low"], judged["win_rate"], judged["high"]
    reach = [(rate - low).to_list(), (high - rate).to_list()]
    bars: dict[str, Any] = {
        "color": INK,
        "elinewidth": 1.3,
        "capsize": 3,
        "zorder": 4,
        "label": "interval of its win rate",
    }
    axes.errorbar(judged["mean_price"].to_list(), rate.to_list(), yerr=reach, linestyle="", **bars)


def _group_lines(axes: Axes, result: Calibration) -> None:
    if result.groups is None or result.groups.is_empty():
        return
    sizes = result.scores.filter(~pl.col("overall")).sort("n", descending=True, maintain_order=True)
    parts = result.groups.partition_by(result.by, as_dict=True)
    for place, key in enumerate(sizes.select(result.by).head(GROUPS_SHOWN).iter_rows()):
        part = parts[key].filter(pl.col("n") >= TELLING)
        name = ", ".join("none" if each is None else str(each) for each in key)
        colour = CYCLE[(place + 1) % len(CYCLE)]
        axes.plot(
            part["mean_price"].to_list(),
            part["win_rate"].to_list(),
            color=colour,
            linewidth=1,
            alpha=0.8,
            label=literal(name, 30) or "(empty)",
        )


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
