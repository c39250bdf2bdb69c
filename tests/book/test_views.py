"""What a book says, against figures worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import kalshi_lab as kl
from kalshi_lab.book import Depth

A = "KXA-1"
SIDES = {
    "yes_dollars_fp": [["0.40", "10.00"], ["0.42", "30.00"], ["0.30", "100.00"]],
    "no_dollars_fp": [["0.56", "10.00"], ["0.50", "5.50"]],
}


def made(ticker: str = A, **sides: Any) -> kl.OrderBook:
    book = kl.OrderBook(ticker)
    book.apply({"type": "orderbook_snapshot", "sid": 1, "seq": 1, "msg": {"market_ticker": ticker, **sides}})
    return book


def test_both_sides_mirror_each_other() -> None:
    """Asks of one side are the other side's bids at one dollar less the price, best first, exact."""
    book = made(**SIDES)
    assert book.bids() == (
        (Decimal("0.42"), Decimal(30)),
        (Decimal("0.40"), Decimal(10)),
        (Decimal("0.30"), Decimal(100)),
    )
    assert book.asks() == ((Decimal("0.44"), Decimal(10)), (Decimal("0.50"), Decimal("5.5")))
    assert book.asks("no") == (
        (Decimal("0.58"), Decimal(30)),
        (Decimal("0.60"), Decimal(10)),
        (Decimal("0.70"), Decimal(100)),
    )
    assert (book.best_bid("no"), book.best_ask("no")) == (
        (Decimal("0.56"), Decimal(10)),
        (Decimal("0.58"), Decimal(30)),
    )
    assert (str(book.yes_bid), str(book.yes_ask)) == ("0.4200", "0.4400")
    assert str(made(yes_dollars_fp=[["0.123456", "1"]]).yes_bid) == "0.123456"
    for view in (book.bids, book.asks, book.best_bid, book.best_ask):
        with pytest.raises(kl.UsageError, match="Did you mean 'yes'"):
            view("yess")  # type: ignore[operator]


def test_figures_of_the_quote() -> None:
    """LIQ-1: mid, spread, microprice (0.42 x 10 + 0.44 x 30) / 40, imbalance (140 - 15.5) / 155.5."""
    book = made(**SIDES)
    assert (book.mid, book.spread, book.microprice) == (Decimal("0.43"), Decimal("0.02"), Decimal("0.435"))
    assert book.imbalance() == Decimal("124.5") / Decimal("155.5")
    assert book.imbalance("0.03") == Decimal("0.6")
    assert not book.crossed


def test_depth_within_a_distance_of_the_mid() -> None:
    """LIQ-1: both ends included, NO mirrored; UsageError for what is no distance."""
    book = made(**SIDES)
    assert book.depth_within("0.03") == Depth(Decimal(40), Decimal(10))
    assert book.depth_within(0.07, "no") == Depth(Decimal("15.5"), Decimal(40))
    assert book.depth_within(0) == Depth(Decimal(0), Decimal(0))
    for wrong in (-1, "near", float("nan"), None, True):
        with pytest.raises(kl.UsageError):
            book.depth_within(wrong)  # type: ignore[arg-type]
    with pytest.raises(kl.UsageError, match="unknown side"):
        made().depth_within(1, "bid")  # type: ignore[arg-type]


def test_the_cost_of_taking() -> None:
    """LIQ-3: each side and action walks its own levels; what is not there is left over."""
    book = made(**SIDES)
    buy = book.cost_to_fill(12)
    assert (buy.cost, buy.average, buy.best, buy.worst, buy.levels) == (
        Decimal("5.4"),
        Decimal("0.45"),
        Decimal("0.44"),
        Decimal("0.50"),
        2,
    )
    assert (buy.filled, buy.unfilled, buy.slippage) == (Decimal(12), Decimal(0), Decimal("0.01"))
    sale = book.cost_to_fill("35.00", action="sell")
    assert (sale.cost, sale.worst, sale.levels) == (Decimal("14.6"), Decimal("0.40"), 2)
    assert book.cost_to_fill(30, "no").cost == Decimal("17.4")
    over = book.cost_to_fill(Decimal("20.01"), "no", "sell")
    assert (over.filled, over.unfilled, over.levels) == (Decimal("15.5"), Decimal("4.51"), 2)
    nothing = made().cost_to_fill("0.01")
    assert (nothing.cost, nothing.unfilled, nothing.average, nothing.worst, nothing.slippage) == (
        0,
        Decimal("0.01"),
        None,
        None,
        None,
    )
    for wrong in (0, "-1", "0.001", 10**13, "many", "inf"):
        with pytest.raises(kl.UsageError):
            book.cost_to_fill(wrong)
    with pytest.raises(kl.UsageError, match="unknown action"):
        book.cost_to_fill(1, action="hold")  # type: ignore[arg-type]


def test_unknown_is_none() -> None:
    """A side that is empty has no quote, and nothing is worked out from it."""
    book = made(yes_dollars_fp=[["0.42", "1"]])
    assert (book.best_ask(), book.yes_ask, book.mid, book.spread, book.microprice) == (None,) * 5
    assert (book.depth_within("0.1"), book.imbalance("0.1"), book.imbalance()) == (None, None, Decimal(1))
    assert made().imbalance() is None
    assert not book.crossed


def test_crossed_is_shown_not_raised() -> None:
    """Bids that reach a dollar together are crossed; no mid is made from them."""
    book = made(yes_dollars_fp=[["0.45", "1"]], no_dollars_fp=[["0.55", "1"]])
    assert (book.crossed, book.spread, book.mid, book.microprice) == (True, Decimal(0), None, None)


def test_a_book_and_an_answer_of_the_same_levels_are_equal() -> None:
    """Equality with the REST value goes both ways, and the frames are the same."""
    book = made(**SIDES)
    answer = kl.Orderbook.from_wire(A, {"yes_dollars": SIDES["yes_dollars_fp"], "no_dollars": SIDES["no_dollars_fp"]})
    assert book == answer
    assert answer == book
    assert book != kl.Orderbook(A)
    assert book.frame().equals(answer.frame())
    assert book.frame(exact=True).schema == answer.frame(exact=True).schema
    assert (book.yes_bid, book.yes_ask, book.mid, book.spread) == (
        answer.yes_bid,
        answer.yes_ask,
        answer.mid,
        answer.spread,
    )


def test_the_ladder_shows_asks_over_bids_and_warns() -> None:
    """Prices fall from the highest offer to the lowest bid; a stale book says so; texts are escaped."""
    book = made("<b>KX$</b>", **SIDES)
    shown = book._repr_html_()
    places = [shown.index(price) for price in ("0.5000", "0.4400", "0.4200", "0.4000", "0.3000")]
    assert places == sorted(places)
    assert shown.count("linear-gradient") == 5
    assert "<b>" not in shown
    assert "$" not in shown
    assert 'role="alert"' not in shown
    assert repr(made(**SIDES)) == "<OrderBook KXA-1 bid 0.4200 ask 0.4400, 3+2 levels>"
    book.mark_stale("<i>lost</i>")
    assert 'role="alert"' in book._repr_html_()
    assert "Stale: &lt;i&gt;lost" in book._repr_html_()
    assert "STALE (<i>lost</i>)" in repr(book)
    assert "no levels" in made()._repr_html_()
