"""Pictures of what analyses found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.charts.house import BLUE, CYCLE, INK, MUTED, ORANGE, Picture, canvas, counted, legend, literal, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from kalshi_lab.analysis.comparison import Comparison
    from kalshi_lab.analysis.recalibration import Recalibration
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


def comparison(result: Comparison) -> Picture:
    """The mean loss of two forecasts, and their difference with its interval beside the line of no difference."""
    with canvas(f"{result.first} against {result.second}", result.conclusion, columns=2, height=3.4, ratios=(1, 1)) as (
        picture,
        (left, right),
    ):
        if result.table.is_empty():
            say(left, "no forecasts")
            say(right, "no forecasts")
            return picture
        row = result.table.row(0, named=True)
        names = [literal(name, 20) or "(empty)" for name in (result.first, result.second)]
        left.barh([0, 1], [row["loss_first"], row["loss_second"]], color=[BLUE, MUTED], height=0.5)
        left.set(xlabel=f"mean loss ({row['loss']})", ylim=(1.6, -0.6))
        left.set_yticks([0, 1], names)
        right.axvline(0, color=MUTED, linestyle="--", linewidth=1)
        low, high = (row["difference"] if row[end] is None else row[end] for end in ("low", "high"))
        right.plot([low, high], [0, 0], color=INK, linewidth=1.4)
        right.plot([row["difference"]], [0], marker="o", color=BLUE, linestyle="")
        right.set(xlabel="difference (below 0: the first is better)", yticks=[])
    return picture


def recalibration(result: Recalibration) -> Picture:
    """The mended price over the price: on the diagonal nothing needs mending."""
    title = f"Recalibration of {result.basis.many} ({result.method})"
    with canvas(title, result.conclusion, height=4.6, ratios=(1,)) as (picture, (axes,)):
        axes.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1, label="honest prices")
        if result.curve.is_empty():
            say(axes, "no forecasts")
        else:
            axes.plot(
                result.curve["price"].to_list(),
                result.curve["recalibrated"].to_list(),
                color=BLUE,
                zorder=4,
                label="mended",
            )
            axes.scatter(
                result.table["price"], result.table["recalibrated"], s=8, color=ORANGE, alpha=0.4, linewidth=0,
                label="each, mended by other events", zorder=3,
            )  # fmt: skip
            legend(picture.figure, axes)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="price (dollars)", ylabel="mended (dollars)")
    return picture
