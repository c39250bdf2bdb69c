"""Pictures of order books: how one moved, and what lies in it at one moment."""

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
    counted,
    legend,
    need,
    price_axis,
    say,
    time_axis,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from matplotlib.axes import Axes

    from kalshi_lab.book import OrderBook
    from kalshi_lab.models import Orderbook

NONE = float("nan")
QUOTED = ("bid", "ask", "bid_size", "ask_size")
TOP = pl.Schema({"time": pl.Datetime("us", "UTC"), "stale": pl.Boolean()} | dict.fromkeys(QUOTED, pl.Float64()))
TAKERS = (
    ("yes", "^", GREEN, "trade, YES bought"),
    ("no", "v", ORANGE, "trade, YES sold"),
    (None, "o", MUTED, "trade"),
)
STRETCHES = 1_000  # more of them than a picture has pixels to tell apart
ROOM, NARROWEST = 0.02, 0.1  # dollars beside the outermost levels, and the least that is shown


def book_path(
    steps: Iterable[tuple[datetime, OrderBook]], *, title: str, trades: pl.DataFrame | None = None
) -> Picture:
    """One book over time: best bid, best ask, their middle and the trades; below, the contracts at the best prices.

    `steps` are pairs of time and book, as `lab.replay(ticker)` gives them; `trades` is a frame with columns created_time
    (Datetime, UTC), yes_price (dollars), count (contracts) and taker_outcome_side (yes, no), as in the table of trades. Where
    the book was stale nothing is known, so nothing is drawn but a grey stretch. A price move is many changes in an instant: of
    each thousandth of the time the end is drawn. Raises UsageError for a missing column.
    """
    tops = _tops(steps)
    rows = _thinned(tops)
    if trades is not None:
        need(trades, "created_time", "yes_price", "count", "taker_outcome_side")
        trades = trades.drop_nulls(["created_time", "yes_price"]).cast({"yes_price": pl.Float64, "count": pl.Float64})
    done = [] if trades is None else trades["created_time"].to_list()
    with canvas(title, _told(tops, len(done)), rows=2, height=5.2, ratios=(3, 1)) as (picture, (top, bottom)):
        times = rows["time"].to_list()
        _lines(top, times, rows, (("ask", RED, "best ask"), ("bid", BLUE, "best bid")))
        middle = rows.select(mid=(pl.col("bid") + pl.col("ask")) / 2)
        top.plot(times, _drawn(middle["mid"]), color=INK, linewidth=0.9, drawstyle="steps-post", label="middle")
        if trades is not None:
            _takers(top, trades)
        _lines(bottom, times, rows, (("ask_size", RED, None), ("bid_size", BLUE, None)))
        for start, end in _stale(tops):
            for axes in (top, bottom):
                axes.axvspan(start, end, color=MUTED, alpha=0.15, linewidth=0)
        time_axis(bottom, [*times, *done])
        bottom.set(ylabel="contracts")
        bottom.set_ylim(bottom=0)
        counted(bottom, "y")
        if rows.is_empty():
            say(top, "no book")
        price_axis(top)
        legend(picture.figure, top)
    return picture


def depth(book: OrderBook | Orderbook, *, title: str | None = None) -> Picture:
    """What lies in a book: contracts bid at a price or better, and offered at a price or better, over the price of YES.

    A stale book says so below the title. A side without levels is not drawn; an empty book says that it is empty.
    """
    levels = book.frame()
    with canvas(title or f"Depth of {book.ticker}", _lying(book, levels), height=4.2, ratios=(1,)) as (
        picture,
        (axes,),
    ):
        for side, colour, label in (("bid", BLUE, "bids"), ("ask", RED, "offers")):
            _stairs(axes, levels.filter(pl.col("side") == side), colour, label)
        if book.mid is not None:
            axes.axvline(float(book.mid), color=INK, linewidth=1, linestyle="--", label="middle")
        prices = levels["price"].to_list() or [0.0, 1.0]
        low, high = min(prices), max(prices)
        room = max(ROOM, (NARROWEST - (high - low)) / 2)
        axes.set(xlim=(low - room, high + room), xlabel="price of YES (dollars)")
        axes.set(ylabel="contracts at this price or better")
        axes.set_ylim(bottom=0)
        counted(axes, "y")
        if levels.is_empty():
            say(axes, "empty book")
        else:
            legend(picture.figure, axes)
    return picture


def _tops(steps: Iterable[tuple[datetime, OrderBook]]) -> pl.DataFrame:
    """The best levels at each step at which they changed, and at the last one; null where the book is stale."""
    kept: list[tuple[Any, ...]] = []
    last = None
    for time, book in steps:
        bid, ask = (None, None) if book.stale else (book.best_bid(), book.best_ask())
        now = book.stale, *(float(level[place]) if level else None for place in (0, 1) for level in (bid, ask))
        if not kept or kept[-1][1:] != now:
            kept.append((time, *now))
        last = time, *now
    if last is not None and last[0] != kept[-1][0]:
        kept.append(last)
    return pl.DataFrame(kept, schema=TOP, orient="row")


def _thinned(rows: pl.DataFrame) -> pl.DataFrame:
    """How each burst of changes ended, long ones cut in pieces of a thousandth of the time; the last row stays."""
    time = pl.col("time").cast(pl.Int64)
    piece = pl.max_horizontal((time.last() - time.first()) // STRETCHES, 1)
    bursts = rows.with_columns(burst=(time.diff().fill_null(0) >= piece).cum_sum(), piece=piece)
    into = (time - time.first().over("burst")) // pl.col("piece")
    named = bursts.with_columns(part=pl.struct("burst", into.alias("into")))
    return named.filter(pl.col("part").ne_missing(pl.col("part").shift(-1))).select(rows.columns)


def _lines(axes: Axes, times: list[Any], rows: pl.DataFrame, names: Iterable[tuple[str, str, str | None]]) -> None:
    for name, colour, label in names:
        axes.plot(times, _drawn(rows[name]), color=colour, linewidth=1.4, drawstyle="steps-post", label=label)


def _drawn(values: pl.Series) -> list[float]:
    return values.fill_null(NONE).to_list()


def _takers(axes: Axes, trades: pl.DataFrame) -> None:
    """A mark for each trade, sized by its contracts."""
    most = max(trades["count"].fill_null(0.0).to_list(), default=0.0) or 1.0
    for side, mark, colour, label in TAKERS:
        part = trades.filter(pl.col("taker_outcome_side").eq_missing(pl.lit(side, pl.String)))
        areas = [25 + 90 * (count / most) ** 0.5 for count in part["count"].fill_null(0.0).to_list()]
        if areas:
            when, price = part["created_time"].to_list(), part["yes_price"].to_list()
            axes.scatter(when, price, s=areas, marker=mark, color=colour, edgecolor="white", zorder=4, label=label)


def _stale(rows: pl.DataFrame) -> list[tuple[Any, Any]]:
    """The stretches in which the book was stale."""
    ends = rows.with_columns(end=pl.col("time").shift(-1, fill_value=rows["time"].max()))
    return [(row[0], row[-1]) for row in ends.filter("stale").iter_rows()]


def _stairs(axes: Axes, side: pl.DataFrame, colour: str, label: str) -> None:
    """Contracts at a price or better: a bid's stairs rise to the left, an offer's to the right, each to the end of the axis."""
    if side.is_empty():
        return
    prices, summed = side["price"].to_list(), side["size"].cum_sum().to_list()
    far = 0.0 if label == "bids" else 1.0
    x, y = [prices[0], *prices, far], [0.0, *summed, summed[-1]]
    axes.plot(x, y, color=colour, linewidth=1.6, drawstyle="steps-post", label=label)
    axes.fill_between(x, 0, y, step="post", color=colour, alpha=0.18, linewidth=0)


def _told(rows: pl.DataFrame, trades: int) -> str:
    quoted = rows.drop_nulls(["bid", "ask"])
    if quoted.is_empty():
        return "no moment with both sides known"
    first, last = quoted.select((pl.col("bid") + pl.col("ask")) / 2)["bid"].gather([0, -1]).to_list()
    stretches = len(_stale(rows))
    stale = f", stale for {stretches} stretch{'es' if stretches > 1 else ''}" if stretches else ""
    done = "1 trade" if trades == 1 else f"{trades:,} trades"
    return f"middle from {first:.4g} to {last:.4g} dollars{_spread(rows)}, {done}{stale}"


def _spread(rows: pl.DataFrame) -> str:
    """The mean spread, each weighted by how long it lasted; nothing where no time passed."""
    lasted = pl.col("time").shift(-1, fill_value=rows["time"].max()) - pl.col("time")
    known = rows.with_columns(lasted=lasted.cast(pl.Float64)).drop_nulls(["bid", "ask"]).filter(pl.col("lasted") > 0)
    spread, whole = pl.col("ask") - pl.col("bid"), pl.col("lasted").sum()
    mean = known.select((spread * pl.col("lasted")).sum() / whole).item() if known.height else None
    return "" if mean is None else f", mean spread {mean:.3g}"


def _lying(book: OrderBook | Orderbook, levels: pl.DataFrame) -> str:
    summed = [levels.filter(pl.col("side") == side)["size"].sum() for side in ("bid", "ask")]
    said = f"{summed[0]:,.2f} contracts bid, {summed[1]:,.2f} offered"
    spread = "" if book.spread is None else f", spread {book.spread.normalize():f} dollars"
    reason = getattr(book, "stale_reason", "")
    return said + spread + (f"; stale: {reason}" if getattr(book, "stale", False) else "")
