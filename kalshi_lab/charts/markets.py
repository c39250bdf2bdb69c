"""Pictures of markets: one over time, or several side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.charts.house import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    RED,
    ROWS_SHOWN,
    VIOLET,
    Picture,
    canvas,
    counted,
    legend,
    literal,
    need,
    price_axis,
    say,
    time_axis,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from matplotlib.axes import Axes


def price_path(
    frame: pl.DataFrame,
    *,
    title: str,
    own: float | None = None,
    entry: tuple[datetime, float] | None = None,
    alerts: Sequence[datetime | tuple[datetime, str]] = (),
) -> Picture:
    """One market over time: the band between bid and ask, its middle, and what you think of it.

    `frame` has columns time (Datetime, UTC), bid and ask (Float64 dollars, null where there is none), and perhaps price
    (last trade) and volume (contracts). `own` is your probability, `entry` the time and price of a position, `alerts`
    times, or pairs of time and words. A missing bid or ask breaks the band instead of being bridged. Raises UsageError
    for a missing column.
    """
    need(frame, "time", "bid", "ask")
    rows = frame.drop_nulls("time").sort("time").with_columns(pl.col("bid", "ask").cast(pl.Float64).fill_nan(None))
    times = rows["time"].to_list()
    volume = rows["volume"].cast(pl.Float64).fill_null(0.0).to_list() if "volume" in rows.columns else None
    panels, ratios = (1, (1,)) if volume is None else (2, (4, 1))
    with canvas(title, _quoted(rows), rows=panels, height=4.6, ratios=ratios) as (picture, panes):
        _marks(panes[0], own, entry, alerts)
        if volume is not None:
            panes[1].vlines(times, 0, volume, color=BLUE, alpha=0.55, linewidth=1.5)
            panes[1].set(ylabel="contracts")
            panes[1].set_ylim(bottom=0)
            counted(panes[1], "y")
        time_axis(panes[-1], [*times, *([entry[0]] if entry else []), *(_when(alert)[0] for alert in alerts)])
        if rows["bid"].is_null().all() and rows["ask"].is_null().all():
            say(panes[0], "no quotes")
        else:
            band(panes[0], rows, times)
        price_axis(panes[0])
        legend(picture.figure, panes[0])
    return picture


def _quoted(rows: pl.DataFrame) -> str:
    count = "1 quote" if rows.height == 1 else f"{rows.height:,} quotes"
    both = rows.drop_nulls(["bid", "ask"])
    if both.is_empty():
        return f"{count}, none with both sides"
    bid, ask = both["bid"][-1], both["ask"][-1]
    return f"{count}, the last with both sides {bid:.4g} bid, {ask:.4g} ask"


def band(axes: Axes, rows: pl.DataFrame, times: list[Any]) -> None:
    """Bid to ask, the middle, and the last trades where `rows` has a price; a missing side is a gap."""
    bid, ask, nan = rows["bid"], rows["ask"], float("nan")
    alone: dict[str, Any] = {"linewidth": 0.9, "color": BLUE, "drawstyle": "steps-post", "alpha": 0.7}
    low, high = bid.fill_null(nan).to_list(), ask.fill_null(nan).to_list()
    axes.fill_between(times, low, high, step="post", color=BLUE, alpha=0.18, linewidth=0, label="bid to ask")
    axes.plot(times, low, **alone)
    axes.plot(times, high, **alone)
    middle = (bid + ask) / 2
    axes.plot(times, middle.fill_null(nan).to_list(), color=INK, linewidth=1.3, drawstyle="steps-post", label="middle")
    # A step reaches to the next quote, so the last one before a gap would leave no trace.
    ends = rows.filter(middle.is_not_null() & middle.shift(-1).is_null())
    axes.vlines(ends["time"].to_list(), ends["bid"].to_list(), ends["ask"].to_list(), color=BLUE, linewidth=1.5)
    if "price" in rows.columns:
        trades = rows["price"].cast(pl.Float64).fill_null(nan).to_list()
        axes.plot(times, trades, linestyle="", marker=".", markersize=4, color=ORANGE, label="last trade")


def _marks(
    axes: Axes,
    own: float | None,
    entry: tuple[Any, float] | None,
    alerts: Sequence[datetime | tuple[datetime, str]],
) -> None:
    if own is not None:
        axes.axhline(own, color=GREEN, linewidth=1.4, linestyle="--", label=f"own probability {own:.2f}")
    if entry is not None:
        axes.plot(
            [entry[0]],
            [entry[1]],
            linestyle="",
            marker="D",
            color=RED,
            markersize=7,
            label=f"entry at {float(entry[1]):.4g}",
        )
    for place, (when, words) in enumerate(_when(alert) for alert in alerts):
        axes.axvline(when, color=VIOLET, linewidth=1, linestyle=":", label="alerts" if place == 0 else None)
        axes.annotate(
            literal(words, 24),
            (when, 1),
            xycoords=("data", "axes fraction"),
            xytext=(2, -2),
            textcoords="offset points",
            rotation=90,
            va="top",
            ha="left",
            fontsize=8,
            color=VIOLET,
            parse_math=False,
        )


def _when(alert: datetime | tuple[datetime, str]) -> tuple[Any, str]:
    return alert if isinstance(alert, tuple) else (alert, "")


def quotes(frame: pl.DataFrame, *, title: str = "Quotes") -> Picture:
    """The markets of an event side by side: a bar from bid to ask for each, its middle and its last trade.

    `frame` has columns label (text), bid, ask and last (dollars, null where there is none), drawn from the top in its
    order; at most 40 rows are drawn. A bid without an ask (or the reverse) is a single tick. Raises UsageError for a
    missing column.
    """
    need(frame, "label", "bid", "ask", "last")
    rows = frame.head(ROWS_SHOWN).with_columns(pl.col("bid", "ask", "last").cast(pl.Float64).fill_nan(None))
    note = _spread(rows) + (
        f"; the first {ROWS_SHOWN} of {frame.height:,} markets" if frame.height > rows.height else ""
    )
    places = list(range(rows.height))
    with canvas(title, note, rows=1, height=1.7 + 0.34 * max(rows.height, 3), ratios=(1,)) as (picture, (axes,)):
        both = rows.with_row_index("place").drop_nulls(["bid", "ask"])
        axes.hlines(
            both["place"].to_list(),
            both["bid"].to_list(),
            both["ask"].to_list(),
            color=BLUE,
            alpha=0.35,
            linewidth=9,
            label="bid to ask",
        )
        for name, mark, colour, label in (
            ("bid", "|", BLUE, "bid"),
            ("ask", "|", RED, "ask"),
            ("last", "o", INK, "last trade"),
        ):
            axes.plot(
                rows[name].fill_null(float("nan")).to_list(),
                places,
                linestyle="",
                marker=mark,
                markersize=11 if mark == "|" else 4,
                markeredgewidth=1.6,
                color=colour,
                label=label,
            )
        axes.set_yticks(places, [literal(label, 30) for label in rows["label"].to_list()])
        axes.set(xlim=(-0.02, 1.02), ylim=(max(rows.height, 1) - 0.4, -0.6), xlabel="price (dollars)")
        axes.grid(visible=False, axis="y")
        if rows.is_empty():
            say(axes, "no markets")
        else:
            legend(picture.figure, axes)
    return picture


def _spread(rows: pl.DataFrame) -> str:
    both = rows.drop_nulls(["bid", "ask"])
    if both.is_empty():
        return "no market with both sides"
    spread = both.select((pl.col("ask") - pl.col("bid")).median()).item()
    return f"{both.height} of {rows.height} markets with both sides, median spread {spread:.4g} dollars"
