"""A backtest's money over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalshi_lab.charts.house import BLUE, MUTED, ORANGE, Picture, canvas, legend, say, time_axis

if TYPE_CHECKING:
    from kalshi_lab.analysis.base import Result

TITLE = "{profit:+,.2f} dollars on {capital:,.0f}, deepest drawdown {drawdown:.1%}, {trades}"

SMALL = 100  # dollars below which cents are shown


def backtest(result: Result) -> Picture:
    """Equity over time against the capital; below it the drawdown, as a share of the highest equity so far."""
    found: Any = result  # a Backtest, which lives a floor above
    trades = "1 trade" if found.trades.height == 1 else f"{found.trades.height:,} trades"
    title = TITLE.format(profit=found.profit, capital=found.capital, drawdown=found.drawdown, trades=trades)
    curve = found.equity
    times = curve["time"].to_list()
    with canvas(title, found.conclusion, rows=2, height=5.6, ratios=(3, 1)) as (picture, (top, bottom)):
        top.axhline(found.capital, color=MUTED, linestyle="--", linewidth=1, label="capital")
        marker = "o" if curve.height == 1 else None
        top.plot(times, curve["equity"].to_list(), color=BLUE, drawstyle="steps-post", marker=marker, label="equity")
        top.set(ylabel="dollars")
        top.yaxis.set_major_formatter("{x:,.0f}" if found.capital >= SMALL else "{x:,.2f}")
        bottom.fill_between(
            times,
            [-100 * one for one in curve["drawdown"].to_list()],
            color=ORANGE,
            alpha=0.6,
            step="post",
            linewidth=0,
        )
        bottom.set(ylabel="drawdown (%)", ylim=(-max(100 * found.drawdown * 1.1, 1), 0))
        if curve.is_empty():
            say(top, "the strategy was never asked")
        time_axis(bottom, times)
        legend(picture.figure, top)
    return picture
