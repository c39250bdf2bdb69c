"""Pictures of liquidity: its parts, what an order slips, what it moves, and when trading is cheap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from kalshi_lab.charts.house import BLUE, GREEN, INK, MUTED, ORANGE, RED, Picture, canvas, counted, legend, literal, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from kalshi_lab.analysis.impact import Impact
    from kalshi_lab.analysis.liquidity import Liquidity
    from kalshi_lab.analysis.slippage import Slippage
    from kalshi_lab.analysis.timing import Timing

NONE, LOW, HIGH = float("nan"), 26.0, 76.0


def liquidity(result: Liquidity) -> Picture:
    """The score of each component as a bar from 0 to 100 with its value; below, the contracts at each price near the mid.

    Components without a score are named without a bar; a dashed line is the whole score, faint bars weigh nothing.
    """
    with canvas(f"Liquidity of {result.ticker}", result.conclusion, rows=1, columns=2, height=3.4, ratios=(1, 1)) as (
        picture,
        (left, right),
    ):
        for place, (name, value, unit, score, weight) in enumerate(result.table.rows()):
            known = "not known" if value is None else f"{value:,.4g} {unit.split(',')[0]}"
            if score is not None:
                colour = RED if score < LOW else ORANGE if score < HIGH else GREEN
                left.barh(place, score, height=0.55, color=colour, alpha=0.85 if weight else 0.25)
            left.text(2, place - 0.42, f"{name.replace('_', ' ')}: {known}", va="center", fontsize=8, color=INK)
        if result.score is not None:
            left.axvline(result.score, color=INK, linestyle="--", linewidth=1.2, label="score")
        left.set_yticks([])
        left.set(xlim=(0, 100), ylim=(4.5, -0.8), xlabel="score")
        left.grid(visible=False, axis="y")
        _near(right, result)
        legend(picture.figure, left, right)
    return picture


def _near(axes: Axes, result: Liquidity) -> None:
    """Contracts at each price within reach."""
    axes.set(xlabel="price of YES (dollars)", ylabel="contracts")
    levels = None if result.mid is None else result.book.frame()
    if levels is None or result.mid is None:
        axes.set(xlim=(0, 1), ylim=(0, 1))
        say(axes, "no two-sided quote")
        return
    mid, reach = float(result.mid), float(result.within)
    for side, colour, label in (("bid", BLUE, "bids"), ("ask", RED, "offers")):
        part = levels.filter((pl.col("side") == side) & ((pl.col("price") - mid).abs() <= reach + 1e-9))
        axes.vlines(
            part["price"].to_list(), 0, part["size"].to_list(), color=colour, linewidth=5, alpha=0.75, label=label
        )
    axes.axvline(mid, color=MUTED, linestyle=":", linewidth=1.2, label="mid")
    axes.set(xlim=(mid - reach * 1.1, mid + reach * 1.1))
    axes.set_ylim(bottom=0)
    counted(axes, "y")


def slippage(result: Slippage) -> Picture:
    """The price of the last contract, and the average price, over the contracts taken; an order cut short ends where the book does."""
    title = f"Slippage: {result.action} {result.contracts:,f} {result.side.upper()} of {result.ticker}"
    with canvas(title, result.conclusion, height=3.8, ratios=(1,)) as (picture, (axes,)):
        if result.table.is_empty():
            say(axes, "nothing to take")
            axes.set(xlim=(0, 1), ylim=(0, 1))
        else:
            filled, prices = [0.0, *map(float, result.table["filled"])], [float(each) for each in result.table["price"]]
            axes.plot(
                filled, [*prices, prices[-1]], drawstyle="steps-post", color=RED, linewidth=1.8, label="last contract"
            )
            axes.plot(*_averages(filled, prices), color=BLUE, linewidth=1.8, label="average")
            axes.axhline(prices[0], color=MUTED, linestyle=":", linewidth=1, label="best price")
            room = max(0.01, 0.1 * abs(prices[-1] - prices[0]))
            axes.set(ylim=(min(prices) - room, max(prices) + room))
            axes.set_xlim(left=0)
            counted(axes, "x")
            legend(picture.figure, axes)
        axes.set(xlabel="contracts", ylabel=f"dollars a {result.side.upper()} contract")
    return picture


def _averages(filled: list[float], prices: list[float]) -> tuple[list[float], list[float]]:
    """The average price, with points inside each level, since it bends there."""
    x, y, cost = [0.0], [prices[0]], 0.0
    for start, end, price in zip(filled, filled[1:], prices, strict=False):
        for part in range(1, 21):
            at = start + (end - start) * part / 20
            x.append(at)
            y.append((cost + (at - start) * price) / at)
        cost += (end - start) * price
    return x, y


def impact(result: Impact) -> Picture:
    """The fitted impact with its band over the size of orders, and how far prices moved with orders of each size."""
    title = f"Price impact of {result.basis.many}"
    with canvas(title, result.conclusion, height=4.2, ratios=(1,)) as (picture, (axes,)):
        rows = result.table.sort("contracts")
        if result.coefficient is None or result.coefficient_interval is None or rows.is_empty():
            say(axes, "too few orders")
        else:
            top = float(rows["contracts"].max())  # type: ignore[arg-type]  # rows are there
            x = [top * (place / 60) ** 2 for place in range(61)]
            low, high = result.coefficient_interval
            axes.fill_between(x, [100 * low * at**0.5 for at in x], [100 * high * at**0.5 for at in x], color=BLUE, alpha=0.18,
                              linewidth=0, label="interval of the law")  # fmt: skip
            axes.plot(
                x, [100 * result.coefficient * at**0.5 for at in x], color=BLUE, linewidth=1.8, label="square-root law"
            )
            moved = rows.select(pl.col("contracts"), pl.col("moved", "moved_low", "moved_high") * 100)
            reach = [(moved["moved"] - moved["moved_low"]).to_list(), (moved["moved_high"] - moved["moved"]).to_list()]
            axes.errorbar(moved["contracts"].to_list(), moved["moved"].to_list(), yerr=reach, linestyle="", marker="o", color=INK,
                          markersize=4, capsize=3, elinewidth=1.2, label="measured, an eighth of the orders each")  # fmt: skip
            axes.axhline(0, color=MUTED, linewidth=0.8)
            legend(picture.figure, axes)
        axes.set(xlabel="contracts of the order", ylabel="move for good (cents)")
    return picture


def timing(result: Timing) -> Picture:
    """Mean spread with its interval by hour of the day, hours that differ from their day filled; below, the volume."""
    title = f"Spreads by hour, clock {result.clock}"
    with canvas(title, result.conclusion, rows=2, height=5.0, ratios=(3, 1)) as (picture, (top, bottom)):
        rows = result.table.drop_nulls("spread")
        judged = rows.drop_nulls("low")
        spread = judged["spread"] * 100
        reach = [(spread - judged["low"] * 100).to_list(), (judged["high"] * 100 - spread).to_list()]
        top.errorbar(
            judged["hour"].to_list(), spread.to_list(), yerr=reach, linestyle="", color=MUTED, capsize=3, zorder=1
        )
        apart = pl.col("p_adjusted").fill_null(1) <= result.alpha
        for part, colour, label in (
            (rows.filter(~apart), MUTED, "like its day"),
            (rows.filter(apart & (pl.col("against_day") < 0)), GREEN, "narrower"),
            (rows.filter(apart & (pl.col("against_day") > 0)), RED, "wider"),
        ):
            if part.height:
                cents = (part["spread"] * 100).to_list()
                top.plot(
                    part["hour"].to_list(), cents, linestyle="", marker="o", color=colour, markersize=6, label=label
                )
        volume = result.table.drop_nulls("volume")
        bottom.bar(volume["hour"].to_list(), volume["volume"].to_list(), color=BLUE, alpha=0.6)
        top.set(ylabel="mean spread (cents)")
        top.set_ylim(bottom=0)
        bottom.set(xlim=(-0.7, 23.7), xlabel=literal(f"hour of the day, {result.clock}", 60), ylabel="contracts")
        bottom.set_ylim(bottom=0)
        bottom.set_xticks(range(0, 24, 3), [f"{hour:02d}" for hour in range(0, 24, 3)])
        counted(bottom, "y")
        if rows.is_empty():
            say(top, "no real quotes")
        else:
            legend(picture.figure, top)
    return picture
