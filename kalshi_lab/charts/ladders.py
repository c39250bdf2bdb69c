"""Pictures of events whole: their markets, the distribution that they imply, and what a riskless portfolio pays."""

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
    Picture,
    canvas,
    legend,
    literal,
    say,
    time_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from kalshi_lab.analysis.arbitrage import Arbitrage
    from kalshi_lab.analysis.ladder import Ladder
    from kalshi_lab.analysis.portfolio import Portfolio
    from kalshi_lab.models import Event

ROWS, LABEL = 40, 28  # that fit a picture, and characters of a row's label
FANS = ((0.18, 0), (0.32, 1), (0.5, 2), (0.6, 3))  # how dark each band is, from the outermost in


def event(event: Event) -> Picture:
    """All markets of an event: a bar from bid to ask, the middle, and the last price, in the order of the strikes.

    Of more than 40 markets those with most volume are shown. A market that is not quoted on both sides has no bar.
    """
    whole = event.frame()
    rows = whole
    if whole.height > ROWS:
        most = (
            whole.with_row_index("place").sort("volume", "place", descending=[True, False], nulls_last=True).head(ROWS)
        )
        rows = most.sort("place").drop("place")
    title = event.title or event.event_ticker
    with canvas(title, _markets(event, whole), height=1.0 + 0.24 * max(4, rows.height), ratios=(1,)) as (
        picture,
        (axes,),
    ):
        places = list(range(rows.height))
        quoted = rows.with_columns(place=pl.Series(places, dtype=pl.Float64)).drop_nulls("mid")
        where, low = quoted["place"].to_list(), quoted["yes_bid"].to_list()
        axes.barh(
            where,
            (quoted["yes_ask"] - quoted["yes_bid"]).to_list(),
            left=low,
            height=0.55,
            color=BLUE,
            alpha=0.45,
            label="bid to ask",
        )
        axes.plot(quoted["mid"].to_list(), where, linestyle="", marker="|", markersize=9, color=INK, label="middle")
        traded = rows.with_columns(place=pl.Series(places, dtype=pl.Float64)).filter(pl.col("last_price") > 0)
        axes.plot(
            traded["last_price"].to_list(),
            traded["place"].to_list(),
            linestyle="",
            marker="o",
            markersize=4,
            color=ORANGE,
            label="last price",
        )
        _rows(axes, [name or ticker for name, ticker in rows.select("yes_sub_title", "ticker").iter_rows()])
        axes.set(xlim=(-0.02, 1.02), xlabel="price of YES (dollars)")
        if rows.is_empty():
            say(axes, "no markets")
        else:
            legend(picture.figure, axes)
    return picture


def ladder(result: Ladder, *, title: str | None = None) -> Picture:
    """The implied distribution: its pieces at one time, or over several times a fan of its quantiles around the median.

    Open tails are hatched, as long as they are assumed to be. A fan has a gap where nothing is known.
    """
    names = [str(name) for name in result.summary["event_ticker"].drop_nulls().unique().sort().to_list()]
    heading = title or f"Implied distribution of {', '.join(names[:3]) or 'the event'}"
    return _fan(result, heading) if result.summary["time"].n_unique() > 1 else _pieces(result, heading)


def payoff(result: Arbitrage, *, place: int = 0) -> Picture:
    """What one of the riskless portfolios leaves in each state of the world, after cost and fees: no bar is below zero.

    `place` is that in `result.portfolios`, 0 the best. States that leave the same are one bar where there are more than 40.
    """
    found = result.portfolios[place] if place < len(result.portfolios) else None
    heading = f"Riskless: {found.kind}, {found.events[0]}" if found else "No riskless portfolio"
    rows = _outcomes(found) if found else []
    with canvas(
        heading, found.why if found else str(result.conclusion), height=1.0 + 0.26 * max(4, len(rows)), ratios=(1,)
    ) as (picture, (axes,)):
        profits = [float(profit) for _, profit in rows]
        colours = [GREEN if profit >= 0 else RED for profit in profits]
        axes.barh(list(range(len(rows))), profits, height=0.6, color=colours, alpha=0.75)
        _rows(axes, [label for label, _ in rows])
        axes.set(xlabel="left after cost and fees (dollars)")
        axes.axvline(0, color=INK, linewidth=1)
        if found is None:
            say(axes, "no riskless portfolio")
        else:
            axes.axvline(
                float(found.profit),
                color=INK,
                linewidth=1,
                linestyle="--",
                label=f"in the worst state {found.profit:,.4f}",
            )
            legend(picture.figure, axes)
    return picture


def _rows(axes: Axes, labels: list[str]) -> None:
    axes.set_yticks(list(range(len(labels))), [literal(label, LABEL) for label in labels])
    axes.set_ylim(max(len(labels), 1) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")


def _markets(event: Event, whole: pl.DataFrame) -> str:
    quoted = whole.drop_nulls("mid")
    exclusive = "mutually exclusive" if event.mutually_exclusive else "not mutually exclusive"
    summed = f", middles add up to {quoted['mid'].sum():.3f}" if event.mutually_exclusive and quoted.height else ""
    shown = f", the {ROWS} with most volume shown" if whole.height > ROWS else ""
    markets = "1 market" if whole.height == 1 else f"{whole.height:,} markets"
    return f"{event.event_ticker}: {markets}, {quoted.height:,} quoted on both sides, {exclusive}{summed}{shown}"


def _outcomes(found: Portfolio) -> list[tuple[str, Any]]:
    rows = [(one.state, one.profit) for one in found.outcomes]
    if len(rows) <= ROWS:
        return rows
    alike: dict[Any, list[str]] = {}
    for state, profit in rows:
        alike.setdefault(profit, []).append(state)
    some = sorted(alike.items())[:ROWS]
    return [(states[0] if len(states) == 1 else f"{len(states):,} states", profit) for profit, states in some]


def _pieces(result: Ladder, heading: str) -> Picture:
    cells = result.frame()
    with canvas(heading, result.conclusion, height=4.0, ratios=(1,)) as (picture, (axes,)):
        edges = _edges(cells)
        for (low, high, open_), (mass, least, most) in zip(
            edges, cells.select("probability", "probability_low", "probability_high").iter_rows(), strict=True
        ):
            width = high - low
            axes.bar(
                low,
                mass,
                width=width,
                align="edge",
                color=BLUE,
                alpha=0.25 if open_ else 0.55,
                hatch="//" if open_ else None,
                edgecolor="white",
            )
            if least is not None and most is not None:
                axes.plot([low + width / 2] * 2, [least, most], color=INK, linewidth=1.4)
        mean, median = result.mean, result.latest.get("q50")
        for value, colour, name in ((mean, INK, "mean"), (median, ORANGE, "median")):
            if value is not None:
                axes.axvline(value, color=colour, linewidth=1.3, linestyle="--", label=f"{name} {value:,.4g}")
        axes.set(xlabel="value of the number that decides", ylabel="probability")
        axes.set_ylim(bottom=0)
        if cells.is_empty():
            say(axes, "no ladder")
        else:
            legend(picture.figure, axes)
    return picture


def _edges(cells: pl.DataFrame) -> list[tuple[float, float, bool]]:
    """Low, high and whether it is open, of each piece; points and open ends are as wide as a typical piece."""
    widths = cells.select((pl.col("high") - pl.col("low")).drop_nulls()).to_series()
    step = float(widths.filter(widths > 0).median() or 1.0)  # type: ignore[arg-type] # a float
    found = []
    for low, high in cells.select("low", "high").iter_rows():
        if low is None and high is None:
            found.append((-step / 2, step / 2, True))
        elif low is None or high is None:
            found.append((high - step, high, True) if low is None else (low, low + step, True))
        else:
            found.append((low, high, False) if high > low else (low - step / 4, high + step / 4, False))
    return found


def _fan(result: Ladder, heading: str) -> Picture:
    rows = result.summary.sort("time")
    levels = sorted(
        (name for name in rows.columns if name[0] == "q" and name[1:2].isdigit()), key=lambda name: float(name[1:])
    )
    with canvas(heading, result.conclusion, height=4.6, ratios=(1,)) as (picture, (axes,)):
        times = rows["time"].to_list()
        for (alpha, inner), (low, high) in zip(FANS, zip(levels, reversed(levels), strict=True), strict=False):
            if float(low[1:]) < float(high[1:]):
                lower, upper = (_drawn(rows[name]) for name in (low, high))
                axes.fill_between(
                    times,
                    lower,
                    upper,
                    color=BLUE,
                    alpha=alpha,
                    linewidth=0,
                    zorder=1 + inner,
                    label=f"{low[1:]}% to {high[1:]}%",
                )
        if "q50" in levels:
            axes.plot(times, _drawn(rows["q50"]), color=INK, linewidth=1.4, label="median", zorder=6)
        axes.plot(times, _drawn(rows["mean"]), color=ORANGE, linewidth=1.1, linestyle="--", label="mean", zorder=6)
        time_axis(axes, times)
        axes.set(ylabel="value of the number that decides")
        axes.tick_params(colors=MUTED)
        legend(picture.figure, axes)
    return picture


def _drawn(values: pl.Series) -> list[float]:
    return values.fill_null(float("nan")).to_list()
