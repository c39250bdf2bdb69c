"""Pictures of trades: what makers and takers earned, spreads, bars, and where and when there is volume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.charts.house import (
    BLUE,
    CYCLE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    RED,
    Picture,
    canvas,
    counted,
    legend,
    literal,
    say,
    time_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from kalshi_lab.analysis.bars import Bars
    from kalshi_lab.analysis.longshots import Longshots
    from kalshi_lab.analysis.returns import Returns, SizeEffects
    from kalshi_lab.analysis.spreads import Spreads
    from kalshi_lab.analysis.volume import VolumeProfile

COLOURS = {"taker": ORANGE, "maker": BLUE}
MARKETS_SHOWN, BARS_SHOWN = 3, 400
CENTS = 100
TOO_FEW = 20  # trades in a band whose interval would hide all others


def returns(result: Returns) -> Picture:
    """What makers and takers earned per contract, net of fees where those are known, over the price paid; below, how many contracts.

    Both sides, YES and NO, are in one line each, every band with its interval; a line that rises is a favourite-longshot bias.
    """
    title = f"Returns of makers and takers, {result.basis.many}"
    with canvas(title, result.conclusion, rows=2, height=6.4, ratios=(4, 1)) as (picture, (top, bottom)):
        _zero(top)
        table = result.table
        for side, style in (("yes", "-"), ("no", ":")):
            for role, colour in COLOURS.items():
                rows = table.filter(pl.col("role") == role, pl.col("side") == side).sort("low_price")
                _interval_line(
                    top,
                    rows,
                    "mean_price",
                    _known(rows),
                    colour=colour,
                    label=f"{role}s of {side.upper()}",
                    style=style,
                )
        paid = (
            table.filter(pl.col("role") == "taker")
            .group_by("low_price", "high_price")
            .agg(pl.col("contracts").sum())
            .sort("low_price")
        )
        width = (paid["high_price"] - paid["low_price"]).to_list()
        bottom.bar(
            paid["low_price"].to_list(), paid["contracts"].to_list(), width=width, align="edge", color=BLUE, alpha=0.4
        )
        top.set(xlim=(-0.02, 1.02), ylabel="cents a contract")
        bottom.set(xlim=(-0.02, 1.02), xlabel="price paid (dollars)", ylabel="takers' contracts")
        counted(bottom, "y")
        _limits(top, table, ("gross", "net"))
        _empty(top, bottom, table, picture)
    return picture


def longshots(result: Longshots) -> Picture:
    """What contracts won above what they cost, in cents, over their price, each band with its interval; below, how many there are."""
    title = f"Favourites and long shots, {result.basis.many}"
    with canvas(title, result.conclusion, rows=2, height=5.6, ratios=(3, 1)) as (picture, (top, bottom)):
        _zero(top)
        table = result.table
        _interval_line(top, table, "mean_price", "gap", colour=INK, label="won less paid")
        width = (table["high_price"] - table["low_price"]).to_list()
        bottom.bar(table["low_price"].to_list(), table["n"].to_list(), width=width, align="edge", color=BLUE, alpha=0.4)
        top.set(xlim=(-0.02, 1.02), ylabel="cents a contract")
        bottom.set(xlim=(-0.02, 1.02), xlabel="price paid (dollars)", ylabel="bought")
        counted(bottom, "y")
        _limits(top, table, ("gap",))
        _empty(top, bottom, table, picture)
    return picture


def size_effects(result: SizeEffects) -> Picture:
    """What makers and takers earned per contract, gross, over the size of the trade; below, the share of contracts."""
    title = f"Returns by the size of the trade, {result.basis.many}"
    with canvas(title, result.conclusion, rows=2, height=5.6, ratios=(3, 1)) as (picture, (top, bottom)):
        _zero(top)
        sizes = result.table.filter(pl.col("role") == "taker")["low_size"].to_list()
        places = {size: place for place, size in enumerate(sizes)}
        for role, colour in COLOURS.items():
            rows = result.table.filter(pl.col("role") == role)
            rows = rows.with_columns(
                place=pl.col("low_size").replace_strict(places, default=None, return_dtype=pl.Float64)
            )
            _interval_line(top, rows, "place", "gross", colour=colour, label=f"{role}s")
            if role == "taker":
                bottom.bar(rows["place"].to_list(), rows["contracts_share"].to_list(), color=BLUE, alpha=0.4)
        labels = [f"{size:,.0f}+" for size in sizes]
        for axes in (top, bottom):
            axes.set(xlim=(-0.6, max(len(sizes), 1) - 0.4))
            axes.set_xticks(range(len(sizes)), labels)
        top.set(ylabel="cents a contract")
        bottom.set(xlabel="contracts in the trade", ylabel="share")
        _limits(top, result.table, ("gross",))
        _empty(top, bottom, result.table, picture)
    return picture


def spreads(result: Spreads) -> Picture:
    """Quoted, effective and realised spread and price impact over the price of YES, each with its interval; below, how many trades."""
    title = f"Spreads, {result.basis.many}: after {result.after}"
    with canvas(title, result.conclusion, rows=2, height=6.0, ratios=(4, 1)) as (picture, (top, bottom)):
        _zero(top)
        table = result.table.with_columns(middle=(pl.col("low_price") + pl.col("high_price")) / 2)
        for name, colour in zip(("quoted", "effective", "realised", "impact"), (MUTED, INK, BLUE, RED), strict=True):
            _interval_line(
                top, table, "middle", name, colour=colour, label=name, style="--" if name == "quoted" else "-"
            )
        width = (table["high_price"] - table["low_price"]).to_list()
        bottom.bar(table["low_price"].to_list(), table["n"].to_list(), width=width, align="edge", color=BLUE, alpha=0.4)
        top.set(xlim=(-0.02, 1.02), ylabel="cents")
        bottom.set(xlim=(-0.02, 1.02), xlabel="price of YES (dollars)", ylabel="trades")
        counted(bottom, "y")
        _limits(top, table, ("quoted", "effective", "realised", "impact"))
        _empty(top, bottom, table, picture)
    return picture


def bars(result: Bars, *, ticker: str | None = None) -> Picture:
    """Open, high, low and close of a market over time with its VWAP, and its volume below; of several markets, the VWAP of the busiest.

    Intervals without a trade break the line of the VWAP. Of more than 400 bars of one market the last 400 are drawn.
    """
    table = result.table if ticker is None else result.table.filter(pl.col("ticker") == ticker)
    busiest = table.group_by("ticker").agg(pl.col("volume").sum()).sort("volume", "ticker", descending=[True, False])
    shown = busiest["ticker"].head(MARKETS_SHOWN).to_list()
    name = shown[0] if len(shown) == 1 else f"{busiest.height:,} markets"
    note = (
        result.conclusion
        if busiest.height <= MARKETS_SHOWN
        else f"{result.conclusion}; the {MARKETS_SHOWN} busiest are drawn"
    )
    with canvas(f"{name}, every {result.every}", note, rows=2, height=5.6, ratios=(4, 1)) as (picture, (top, bottom)):
        times: list[Any] = []
        for place, each in enumerate(shown):
            rows = table.filter(pl.col("ticker") == each).sort("start").tail(BARS_SHOWN)
            times += rows["start"].to_list()
            if len(shown) == 1:
                _candles(top, rows, result)
            _broken_line(top, rows, CYCLE[place % len(CYCLE)], literal(each, 30) if len(shown) > 1 else "VWAP")
            days = result.every.total_seconds() / 86_400
            bottom.bar(
                rows["start"].to_list(),
                rows["volume"].to_list(),
                width=days,
                align="edge",
                color=CYCLE[place % len(CYCLE)],
                alpha=0.5,
            )
        time_axis(top, times)
        time_axis(bottom, times)
        top.set(ylim=(-0.02, 1.02), ylabel="price of YES (dollars)", xlabel="")
        bottom.set(ylabel="contracts")
        counted(bottom, "y")
        _empty(top, bottom, table, picture)
    return picture


def volume_profile(result: VolumeProfile) -> Picture:
    """Contracts by price, hour or weekday, those whose taker bought YES apart from the others."""
    title = f"Volume by {result.by}, {result.basis.many}"
    with canvas(title, result.conclusion, height=4.2, ratios=(1,)) as (picture, (axes,)):
        table = result.table
        yes = (table["contracts"] * table["yes_share"].fill_null(0.0)).to_list()
        no = [whole - part for whole, part in zip(table["contracts"].to_list(), yes, strict=True)]
        places = table["low_price"].to_list() if result.by == "price" else list(range(table.height))
        width: Any = (table["high_price"] - table["low_price"]).to_list() if result.by == "price" else 0.85
        align: Any = "edge" if result.by == "price" else "center"
        if result.by == "hour":
            places = table["hour"].to_list()
        axes.bar(
            places,
            yes,
            width=width,
            align=align,
            color=BLUE,
            alpha=0.75,
            label="taker bought YES",
            edgecolor="white",
            linewidth=0.4,
        )
        axes.bar(
            places,
            no,
            width=width,
            align=align,
            bottom=yes,
            color=ORANGE,
            alpha=0.75,
            label="taker bought NO",
            edgecolor="white",
            linewidth=0.4,
        )
        if result.by == "weekday":
            axes.set_xticks(range(table.height), [each[:3] for each in table["weekday"].to_list()])
        elif result.by == "hour":
            axes.set_xticks(range(0, 24, 3))
            axes.set_xlim(-0.7, 23.7)
        else:
            axes.set_xlim(-0.02, 1.02)
        axes.set(
            xlabel="price of YES (dollars)" if result.by == "price" else f"{result.by} ({literal(result.clock, 40)})",
            ylabel="contracts",
        )
        counted(axes, "y")
        _empty(axes, axes, table, picture)
    return picture


def _known(rows: pl.DataFrame) -> str:
    return "net" if rows["net"].null_count() == 0 else "gross"


def _zero(axes: Axes) -> None:
    axes.axhline(0, color=MUTED, linestyle="--", linewidth=1)


def _interval_line(
    axes: Axes, rows: pl.DataFrame, place: str, name: str, *, colour: str, label: str, style: str = "-"
) -> None:
    """A line through the means of the bands, each with the bar of its interval."""
    if rows.is_empty():
        return
    axes.plot(
        rows[place].to_list(),
        (rows[name] * CENTS).to_list(),
        color=colour,
        linestyle=style,
        linewidth=1.4,
        marker="o",
        markersize=4,
        label=label,
    )
    sure = rows.filter(pl.col("n") >= TOO_FEW).drop_nulls([f"{name}_low", f"{name}_high"])
    axes.vlines(
        sure[place].to_list(),
        (sure[f"{name}_low"] * CENTS).to_list(),
        (sure[f"{name}_high"] * CENTS).to_list(),
        color=colour,
        alpha=0.45,
        linewidth=1.2,
    )


def _limits(axes: Axes, table: pl.DataFrame, names: tuple[str, ...]) -> None:
    """Limits that hold the means of all bands that have enough trades to mean something, and room for their intervals."""
    enough = max(TOO_FEW, int(table["n"].sum()) // 100)
    seen = table.filter(pl.col("n") >= enough) if (table["n"] >= enough).any() else table
    ends = [value * CENTS for name in names for value in seen[name].drop_nulls().to_list()] + [0.0]
    room = max(max(ends) - min(ends), 1.0) * 0.8
    axes.set_ylim(min(ends) - room, max(ends) + room)


def _candles(axes: Axes, rows: pl.DataFrame, result: Bars) -> None:
    times = [start + result.every / 2 for start in rows["start"].to_list()]
    colours = [
        GREEN if end >= begin else RED
        for begin, end in zip(rows["open"].to_list(), rows["close"].to_list(), strict=True)
    ]
    axes.vlines(times, rows["low"].to_list(), rows["high"].to_list(), color=colours, linewidth=0.9)
    body = 0.7 * result.every.total_seconds() / 86_400
    low = [min(pair) for pair in rows.select("open", "close").iter_rows()]
    tall = [max(abs(begin - end), 0.002) for begin, end in rows.select("open", "close").iter_rows()]
    axes.bar(times, tall, bottom=low, width=body, color=colours, alpha=0.8, linewidth=0)


def _broken_line(axes: Axes, rows: pl.DataFrame, colour: str, label: str) -> None:
    times, values = list[Any](), list[float]()
    for start, value, gap in rows.select("start", "vwap", "gap").iter_rows():
        if gap and times:
            times.append(start)
            values.append(float("nan"))
        times.append(start)
        values.append(float("nan") if value is None else value)
    axes.plot(times, values, color=colour, linewidth=1.1, marker=".", markersize=3, label=label)


def _empty(top: Axes, bottom: Axes, table: pl.DataFrame, picture: Picture) -> None:
    if table.is_empty():
        say(top, "no trades")
        bottom.set_ylim(0, 1)
    else:
        legend(picture.figure, top)
