"""Pictures of a market's history: price, spread and volume, and what happened when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.charts.house import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    RED,
    VIOLET,
    Picture,
    canvas,
    counted,
    legend,
    literal,
    price_axis,
    say,
    time_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from kalshi_lab.analysis.timeline import Timeline

NONE, SPELLED, DRAWN = float("nan"), 12, 4_000
COLOURS = {"settlement": GREEN, "thesis": VIOLET, "alert": RED}


def timeline(result: Timeline, *, title: str | None = None) -> Picture:
    """Mid between bid and ask with trades, marks for settlement, theses and alerts, pauses grey; below, the spread, then the volume.

    A missing quote breaks the lines. Of more than 4,000 rows every so many are drawn; of more than 12 marks only those have words.
    """
    every = -(-result.table.height // DRAWN) or 1
    rows = result.table.gather_every(every)
    whole = f"; one row of {every} drawn" if every > 1 else ""
    with canvas(title or result.ticker, result.conclusion + whole, rows=3, height=6.4, ratios=(4, 1.3, 1)) as (
        picture,
        (top, middle, bottom),
    ):
        times = rows["time"].to_list()
        _quotes(top, times, rows)
        spread = (rows["spread"] * 100).fill_null(NONE).to_list()
        middle.plot(
            times,
            spread,
            color=ORANGE,
            linewidth=1.2,
            drawstyle="steps-post",
            marker="." if len(times) < SPELLED else "",
        )
        volume = result.table.drop_nulls("volume").filter(pl.col("volume") > 0)
        bottom.vlines(volume["time"].to_list(), 0, volume["volume"].to_list(), color=BLUE, alpha=0.6, linewidth=1.3)
        _happened(result, top, (top, middle, bottom))
        time_axis(bottom, [*times, *(mark[0] for mark in result.marks)])
        for axes, label in ((middle, "spread (cents)"), (bottom, "contracts")):
            axes.set(ylabel=label)
            axes.set_ylim(bottom=0)
        counted(bottom, "y")
        if rows["mid"].is_null().all() and rows["price"].is_null().all():
            say(top, "no real quotes, no trades")
        price_axis(top)
        legend(picture.figure, top)
    return picture


def _quotes(axes: Axes, times: list[Any], rows: pl.DataFrame) -> None:
    if rows["mid"].count():
        low, high = (rows[name].fill_null(NONE).to_list() for name in ("bid", "ask"))
        axes.fill_between(times, low, high, step="post", color=BLUE, alpha=0.2, linewidth=0, label="bid to ask")
        mid = rows["mid"].fill_null(NONE).to_list()
        axes.plot(
            times,
            mid,
            color=INK,
            linewidth=1.2,
            drawstyle="steps-post",
            label="mid",
            marker="." if len(times) < SPELLED else "",
        )
    trades = rows.drop_nulls("price")
    if trades.height:
        axes.plot(trades["time"].to_list(), trades["price"].to_list(), linestyle="", marker=".", markersize=3, color=ORANGE, alpha=0.7,
                  label="last trade")  # fmt: skip


def _happened(result: Timeline, top: Axes, panels: tuple[Axes, ...]) -> None:
    for place, (start, end) in enumerate(result.pauses):
        for axes in panels:
            label = "paused" if place == 0 and axes is top else None
            axes.axvspan(start, end, color=MUTED, alpha=0.2, linewidth=0, label=label)  # type: ignore[arg-type]  # matplotlib takes times
    seen: set[str] = set()
    for at, kind, words in result.marks:
        colour: Any = COLOURS.get(kind, BLUE)
        for axes in panels:
            label = literal(kind, 20) if axes is top and kind not in seen else None
            axes.axvline(at, color=colour, linewidth=1, linestyle=":", label=label)  # type: ignore[arg-type]  # as above
        seen.add(kind)
        if len(result.marks) <= SPELLED:
            spot: dict[str, Any] = {
                "xytext": (2, -2),
                "textcoords": "offset points",
                "xycoords": ("data", "axes fraction"),
            }
            top.annotate(
                literal(words, 24), (at, 1), rotation=90, va="top", fontsize=8, color=colour, parse_math=False, **spot
            )
