"""Pictures of theses: one against the price of its market, and how all of them did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from kalshi_lab.charts.house import (
    BLUE,
    GREEN,
    MUTED,
    ORANGE,
    RED,
    VIOLET,
    Picture,
    canvas,
    legend,
    literal,
    need,
    price_axis,
    say,
    time_axis,
)
from kalshi_lab.charts.markets import band

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from matplotlib.axes import Axes

    from kalshi_lab.analysis.base import Basis
    from kalshi_lab.analysis.result import Calibration

COLOURS = {"pro": GREEN, "con": RED}


class Record(Protocol):
    """What a picture of a track record is made from."""

    scores: pl.DataFrame
    basis: Basis

    @property
    def calibration(self) -> Calibration:
        """How often what was said came true."""

    @property
    def conclusion(self) -> str:
        """What it says, in words."""


def thesis(
    path: pl.DataFrame,
    said: pl.DataFrame,
    *,
    title: str,
    note: str = "",
    until: datetime | None = None,
    paid: tuple[datetime, float] | None = None,
    evidence: Mapping[str, Sequence[datetime]] | None = None,
) -> Picture:
    """A market over time and what you said of it: bid to ask, your probability version by version, the evidence, and what it paid.

    `path` has columns time, bid, ask (dollars, null where there is none), `said` a row for each version: time, probability, quoted_at,
    yes_bid, yes_ask. Your line goes on to `until`. Evidence is a tick on the lower edge for each time, green for "pro", red for "con", grey
    for other words; what is older than the picture stands at its beginning. Raises UsageError for a missing column.
    """
    need(path, "time", "bid", "ask")
    need(said, "time", "probability", "quoted_at", "yes_bid", "yes_ask")
    rows = path.drop_nulls("time").sort("time").with_columns(pl.col("bid", "ask").cast(pl.Float64).fill_nan(None))
    if until is not None:
        said = said.filter(pl.col("time") <= until)  # what is noted after the end moves no line
    times: list[datetime] = [
        *rows["time"].to_list(),
        *said["time"].to_list(),
        *([until] if until else []),
        *([paid[0]] if paid else []),
    ]
    with canvas(title, note, height=4.4, ratios=(1,)) as (picture, (axes,)):
        if rows.is_empty() and said.is_empty():
            say(axes, "nothing is known")
        if not rows.is_empty():
            band(axes, rows, rows["time"].to_list())
        if not said.is_empty():
            _own(axes, said, until or max(times))
        if paid is not None:
            _marks(axes, [paid[0]], [paid[1]], mark="*", size=13, color=VIOLET, label=f"paid {paid[1]:.4g}")
        price_axis(axes)
        for words, each in sorted((evidence or {}).items()):
            _ticks(axes, words, each, times)
        time_axis(axes, times)
        legend(picture.figure, axes)
    return picture


def _own(axes: Axes, said: pl.DataFrame, last: datetime) -> None:
    """Your probability as it stood from version to version, and the prices that you said it against."""
    rows = said.sort("time")
    times: list[Any] = [*rows["time"].to_list(), last]
    values = [*rows["probability"].to_list(), rows["probability"][-1]]
    axes.plot(times, values, color=GREEN, linewidth=1.8, linestyle="--", drawstyle="steps-post", label="you")
    entries = rows.select("quoted_at", "yes_bid", "yes_ask").unique(maintain_order=True).drop_nulls()
    middles = ((entries["yes_bid"] + entries["yes_ask"]) / 2).to_list()
    if middles:
        _marks(
            axes,
            entries["quoted_at"].to_list(),
            middles,
            mark="D",
            size=6,
            color=ORANGE,
            label="price then",
        )


def _marks(
    axes: Axes, times: list[Any], values: list[float], *, mark: str, size: float, color: str, label: str
) -> None:
    alone: dict[str, Any] = {"linestyle": "", "clip_on": False, "zorder": 4}
    axes.plot(times, values, marker=mark, markersize=size, color=color, label=label, **alone)


def _ticks(axes: Axes, words: str, when: Sequence[datetime], times: Sequence[datetime]) -> None:
    if times and when:
        at: list[Any] = [min(max(each, min(times)), max(times)) for each in when]
        label = f"{literal(words, 14)} ({len(at)})"
        edge: dict[str, Any] = {"linestyle": "", "marker": "|", "markersize": 14, "markeredgewidth": 2}
        axes.plot(
            at,
            [0.03] * len(at),
            **edge,
            transform=axes.get_xaxis_transform(),
            color=COLOURS.get(words, MUTED),
            label=label,
        )


def track_record(result: Record) -> Picture:
    """How all theses did: left how often what you said came true, right how much better than the market, with intervals."""
    title = f"Track record of {result.basis.many}"
    with canvas(title, result.conclusion, columns=2, height=4.0, ratios=(1, 1)) as (picture, (left, right)):
        bins = result.calibration.bins
        left.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1, label="as often as said")
        known = bins.drop_nulls(["low", "high"])
        if known.height:
            left.vlines(
                known["mean_price"],
                known["low"],
                known["high"],
                color=BLUE,
                linewidth=1.4,
                alpha=0.6,
                label="95% interval",
            )
        areas = [20 + 12 * count for count in bins["n"].clip(upper_bound=20).to_list()]
        left.scatter(
            bins["mean_price"], bins["win_rate"], s=areas, color=BLUE, zorder=3, clip_on=False, label="your forecasts"
        )
        left.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel="what you said", ylabel="share that happened")
        if bins.is_empty():
            say(left, "nothing settled yet")
        _skills(right, result.scores)
        legend(picture.figure, left, right)
    return picture


def _skills(axes: Axes, scores: pl.DataFrame) -> None:
    rows = scores.filter(pl.col("skill").is_finite())
    axes.axvline(0, color=MUTED, linestyle="--", linewidth=1, label="as good as the market")
    places = list(range(rows.height))
    sure = rows.with_row_index("place").drop_nulls(["skill_low", "skill_high"])
    axes.hlines(sure["place"].to_list(), sure["skill_low"], sure["skill_high"], color=GREEN, linewidth=2, alpha=0.6)
    axes.plot(rows["skill"].to_list(), places, linestyle="", marker="o", color=GREEN, label="your skill")
    axes.set_yticks(
        places, [f"{row['measure']}\nn {row['n']}, events {row['events']}" for row in rows.iter_rows(named=True)]
    )
    axes.set(ylim=(max(rows.height, 1) - 0.4, -0.6), xlabel="skill over the market (1 is perfect)")
    axes.tick_params(axis="y", labelsize=8)
    if rows.is_empty():
        say(axes, "nothing to compare")
