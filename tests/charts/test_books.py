"""Pictures of books and fees: what they draw, what they say, and what they make of nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import matplotlib as mpl
import polars as pl
import pytest
from matplotlib.text import Text

import kalshi_lab as kl
from kalshi_lab import charts
from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

PNG = b"\x89PNG\r\n\x1a\n"
START = datetime(2026, 7, 18, 12, tzinfo=UTC)
TICKER = "KXHIGHNY-26JUL18-B85.5"
TERMS = ("quadratic_with_maker_fees", 1)


def texts(picture: charts.Picture) -> list[str]:
    return [text.get_text() for text in picture.figure.findobj(Text) if text.get_text()]


def book(yes: list[list[str]], no: list[list[str]]) -> kl.OrderBook:
    made = kl.OrderBook(TICKER)
    msg = {"market_ticker": TICKER, "yes_dollars_fp": yes, "no_dollars_fp": no}
    made.apply({"type": "orderbook_snapshot", "sid": 1, "seq": 1, "msg": msg})
    return made


def moved(bid: str, ask: str, size: str = "10.00") -> kl.OrderBook:
    return book([[bid, size]], [[str(1 - Decimal(ask)), "5.00"]])


def stale() -> kl.OrderBook:
    made = moved("0.40", "0.44")
    made.mark_stale("the connection was lost")
    return made


def minutes(*books: kl.OrderBook) -> Iterator[tuple[datetime, kl.OrderBook]]:
    return ((START + timedelta(minutes=place), each) for place, each in enumerate(books))


def trades(*rows: tuple[int, str, str, str | None]) -> pl.DataFrame:
    columns = {
        "created_time": [START + timedelta(minutes=row[0]) for row in rows],
        "yes_price": [Decimal(row[1]) for row in rows],
        "count": [Decimal(row[2]) for row in rows],
        "taker_outcome_side": [row[3] for row in rows],
    }
    types = {"created_time": pl.Datetime("us", "UTC"), "yes_price": pl.Decimal(9, 6), "count": pl.Decimal(18, 2)}
    return pl.DataFrame(columns, schema={**types, "taker_outcome_side": pl.String})


def line(picture: charts.Picture, label: str, panel: int = 0) -> list[tuple[float, float]]:
    found = next(each for each in picture.figure.axes[panel].lines if each.get_label() == label)
    return [
        (round(float(x), 6), round(float(y), 6))
        for x, y in zip(found.get_xdata(orig=False), found.get_ydata(), strict=True)
    ]


def when(minute: float) -> float:
    return round(float(mpl.dates.date2num(START + timedelta(minutes=minute))), 6)


def test_a_book_path_draws_quotes_middle_trades_and_sizes() -> None:
    """Best bid, best ask and their middle as steps, a mark for each kind of taker, and the contracts at the best prices below."""
    done = trades((0, "0.44", "3.00", "yes"), (1, "0.40", "1.00", "no"), (2, "0.43", "1.00", None))
    steps = minutes(moved("0.40", "0.44"), moved("0.40", "0.44"), moved("0.42", "0.44", "20.00"))
    picture = charts.book_path(steps, title="Will it rain?", trades=done)
    top, bottom = picture.figure.axes
    assert line(picture, "best bid") == [(when(0), 0.40), (when(2), 0.42)]
    assert line(picture, "best ask") == [(when(0), 0.44), (when(2), 0.44)]
    assert line(picture, "middle") == [(when(0), 0.42), (when(2), 0.43)]
    assert [each.get_ydata().tolist() for each in bottom.lines] == [[5, 5], [10, 20]]
    marks = {each.get_label(): each.get_offsets().tolist() for each in top.collections}
    assert marks["trade, YES bought"] == [pytest.approx([when(0), 0.44])]
    assert marks["trade, YES sold"] == [pytest.approx([when(1), 0.40])]
    assert marks["trade"] == [pytest.approx([when(2), 0.43])]
    assert "middle from 0.42 to 0.43 dollars, mean spread 0.04, 3 trades" in texts(picture)
    assert (top.get_ylabel(), bottom.get_ylabel(), bottom.get_xlabel()) == (
        "price (dollars)",
        "contracts",
        "time (UTC)",
    )


def test_a_stale_book_is_a_grey_stretch_and_never_a_price() -> None:
    """While the book is stale nothing is drawn and nothing bridged; the stretch is marked and counted."""
    picture = charts.book_path(minutes(moved("0.40", "0.44"), stale(), moved("0.50", "0.54")), title="gap")
    drawn = [y for _, y in line(picture, "best bid")]
    assert [y for y in drawn if y == y] == [0.40, 0.50]  # noqa: PLR0124 - NaN
    assert len(drawn) == 3
    spans = [
        patch.get_extents().transformed(picture.figure.axes[0].transData.inverted())
        for patch in picture.figure.axes[0].patches
    ]
    assert [(span.x0, span.x1) for span in spans] == [pytest.approx((when(1), when(2)))]
    assert "middle from 0.42 to 0.52 dollars, mean spread 0.04, 0 trades, stale for 1 stretch" in texts(picture)


def test_a_price_move_of_many_changes_is_one_step() -> None:
    """What lasts less than a thousandth of the time is not drawn as a spike, and does not weigh in the spread; the ends stay."""
    spike = (START + timedelta(minutes=30), moved("0.10", "0.90"))
    end = (START + timedelta(minutes=30, milliseconds=3), moved("0.45", "0.49"))
    last = (START + timedelta(minutes=60), moved("0.45", "0.49"))
    picture = charts.book_path([*minutes(moved("0.40", "0.44")), spike, end, last], title="moved")
    assert [y for _, y in line(picture, "best bid")] == [0.40, 0.45, 0.45]
    assert any("mean spread 0.04," in text for text in texts(picture))


def test_a_short_path_fills_its_axis() -> None:
    """Ten seconds take the whole width: no minute of nothing before and after them."""
    steps = [(START, moved("0.40", "0.44")), (START + timedelta(seconds=10), moved("0.41", "0.44"))]
    left, right = charts.book_path(steps, title="short").figure.axes[1].get_xlim()
    assert (right - left) * 86_400 == pytest.approx(10.4, abs=0.01)


def test_a_path_of_little_or_nothing() -> None:
    """No step says that there is no book; one step, one side or no side draw what there is."""
    nothing = charts.book_path([], title="none", trades=trades())
    assert "no book" in texts(nothing)
    assert "no moment with both sides known" in texts(nothing)
    for steps in (
        minutes(moved("0.40", "0.44")),
        minutes(book([["0.40", "1.00"]], [])),
        minutes(book([], []), stale()),
    ):
        picture = charts.book_path(steps, title="$little$")
        assert picture.png(40).startswith(PNG)
        assert "no book" not in texts(picture)
    with pytest.raises(UsageError, match=r"the frame lacks count.*It needs the columns"):
        charts.book_path([], title="x", trades=trades().drop("count"))


def test_a_real_replay_is_drawn_as_it_is_walked() -> None:
    """The one book of a replay moves on while it is read: each step is noted at its time."""
    made = moved("0.40", "0.44")

    def walked() -> Iterator[tuple[datetime, kl.OrderBook]]:
        yield START, made
        change = {"market_ticker": TICKER, "price_dollars": "0.42", "delta_fp": "7.00", "side": "yes"}
        made.apply({"type": "orderbook_delta", "sid": 1, "seq": 2, "msg": change})
        yield START + timedelta(minutes=1), made

    assert [y for _, y in line(charts.book_path(walked(), title="walk"), "best bid")] == [0.40, 0.42]


def test_depth_sums_from_the_best_price_outwards() -> None:
    """At each price the contracts at that price or better, bids falling to the middle and offers rising from it."""
    made = book([["0.38", "7.00"], ["0.40", "10.00"]], [["0.56", "5.00"], ["0.50", "1.00"]])
    picture = charts.depth(made)
    axes = picture.figure.axes[0]
    assert line(picture, "bids") == [(0.40, 0), (0.40, 10), (0.38, 17), (0, 17)]
    assert line(picture, "offers") == [(0.44, 0), (0.44, 5), (0.50, 6), (1, 6)]
    assert line(picture, "middle")[0][0] == 0.42
    assert axes.get_xlim() == pytest.approx((0.36, 0.52))
    assert picture.title == f"Depth of {TICKER}"
    assert "17.00 contracts bid, 6.00 offered, spread 0.04 dollars" in texts(picture)
    assert line(charts.depth(made.orderbook()), "bids") == line(picture, "bids")


def test_depth_of_a_stale_or_empty_book_says_so() -> None:
    """The reason stands below the title; an empty book is not drawn as zero."""
    assert any("stale: the connection was lost" in text for text in texts(charts.depth(stale())))
    empty = charts.depth(book([], []), title="$5 or $6?")
    assert {"empty book", "$5 or $6?"} <= set(texts(empty))
    assert [each.get_label() for each in charts.depth(book([], [["0.5", "1.00"]])).figure.axes[0].lines] == ["offers"]


def test_fees_are_those_of_the_schedule_with_the_charged_ones_marked() -> None:
    """Each line is `kl.fee` at every cent, a fill stands at its own price and fee, and a role without fees is named so."""
    charged = {
        "yes_price": [Decimal("0.50")],
        "count": [Decimal(100)],
        "fee_cost": [Decimal("1.75")],
        "is_taker": [True],
    }
    picture = charts.fees(TERMS, fills=pl.DataFrame(charged))
    for role in ("taker", "maker"):
        wanted = [
            (cent / 100, round(float(kl.fee(Decimal(cent) / 100, 100, TERMS, role=role)), 6)) for cent in range(1, 100)
        ]
        assert line(picture, role) == wanted
    assert line(picture, "charged as taker") == [(0.5, 1.75)]
    assert "lines: an order of 100 contracts filled at once; marks: 1 fill, 1.7500 dollars charged" in texts(picture)
    assert picture.figure.axes[0].get_ylabel() == "fee (cents per contract)"
    free = [each.get_label() for each in charts.fees(("quadratic", 1)).figure.axes[0].lines]
    assert free == ["taker", "maker: no fee"]


def test_fees_of_nothing_known_are_refused() -> None:
    """No fee is guessed, and a frame without its columns is told."""
    with pytest.raises(UsageError, match="no published formula"):
        charts.fees(("flat", 1))
    with pytest.raises(UsageError, match="the frame lacks fee_cost"):
        charts.fees(TERMS, fills=pl.DataFrame({"yes_price": [0.5], "count": [1.0], "is_taker": [True]}))
    nothing = pl.DataFrame(
        schema=dict.fromkeys(("yes_price", "count", "fee_cost"), pl.Float64) | {"is_taker": pl.Boolean}
    )
    assert charts.fees(TERMS, fills=nothing).png(40).startswith(PNG)
