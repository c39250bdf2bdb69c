"""Depth: orders walk the recorded book as it stood, and what they took of it stays gone."""

from __future__ import annotations

from decimal import Decimal

import pytest

import kalshi_lab as kl
from tests.backtest.tapes import at, books, fills, nothing, quotes, results, run

LADDER = ({0.40: 10, 0.39: 20}, {0.45: 5, 0.46: 10, 0.50: 100})


def test_an_order_walks_the_book_level_by_level() -> None:
    """TH-7: depth. 5 at 45, 10 at 46 and 5 at 50 cents by hand; selling YES takes bids, buying NO takes them too."""
    made = run({1: lambda view: [view.buy("A", 20)], 2: nothing}, books=books((0, *LADDER)))
    assert fills(made) == [(1, 5, 0.45, "book"), (1, 10, 0.46, "book"), (1, 5, 0.50, "book")]
    assert made.profit == pytest.approx(20 - (5 * 0.45 + 10 * 0.46 + 5 * 0.50))
    no = run({1: lambda view: [view.buy("A", 15, side="no")]}, books=books((0, *LADDER)))
    assert fills(no) == [(1, 10, 0.60, "book"), (1, 5, 0.61, "book")]
    assert "contracts filled 100% by book" in repr(made)


def test_the_walk_costs_what_slippage_says() -> None:
    """Two roads to one figure: the same book, contracts and fees through `kl.slippage`, rounding fees given back included."""
    wanted = {"fees": ("quadratic", 1), "books": books((0, *LADDER))}
    seen: list[kl.Orderbook] = []

    def buys(view: kl.View) -> list[object]:
        seen.append(view.books["A"])
        return [view.buy("A", "17.31")]

    made = run({1: buys}, **wanted)
    cost = kl.slippage(seen[0], "17.31", fees=("quadratic", 1), at=at(1))
    assert -made.trades["cash"].sum() == pytest.approx(float(cost.total or 0), abs=1e-12)
    assert made.fees == pytest.approx(float(cost.fees or 0), abs=1e-12)


def test_a_limit_ends_the_walk_and_what_the_book_lacks_is_not_had() -> None:
    limited = run({1: lambda view: [view.buy("A", 20, limit=0.46)]}, books=books((0, *LADDER)))
    assert fills(limited) == [(1, 5, 0.45, "book"), (1, 10, 0.46, "book")]
    assert limited.trades["short"].to_list() == ["", "beyond the limit"]
    whole = run({1: lambda view: [view.buy("A", 500)]}, books=books((0, *LADDER)))
    assert whole.trades["count"].sum() == 115
    assert whole.trades["short"].to_list() == ["", "", "no more was offered"]
    assert run({1: lambda view: [view.buy("A", 1, limit=0.44)]}, books=books((0, *LADDER))).refused["why"][0] == (
        "beyond the limit"
    )


def test_cash_and_position_hold_back_between_levels() -> None:
    poor = run({1: lambda view: [view.buy("A", 20)]}, books=books((0, *LADDER)), capital=3)
    assert fills(poor) == [(1, 5, 0.45, "book"), (1, 1, 0.46, "book")]
    assert poor.trades["short"][-1] == "the cash"
    small = run({1: lambda view: [view.buy("A", 20)]}, books=books((0, *LADDER)), max_position=8)
    assert small.trades["count"].to_list() == [5, 3]


def test_what_was_taken_stays_gone_while_the_level_stands() -> None:
    """TH-7: 5 were taken of 8; 8 later are 3; 4 are none, and of 10 after that only 4 can be missing; gone and back is new."""
    told = books(
        (0, {}, {0.45: 8}), (2, {}, {0.45: 8, 0.60: 1}), (4, {}, {0.45: 4}), (6, {}, {0.45: 10}),
        (8, {}, {0.60: 1}), (10, {}, {0.45: 2}),
    )  # fmt: skip
    five = run(dict.fromkeys((1, 3), lambda view: [view.buy("A", 5, limit=0.45)]), books=told)
    assert fills(five) == [(1, 5, 0.45, "book"), (3, 3, 0.45, "book")]
    shrunk = run(
        {1: lambda view: [view.buy("A", 5)], **dict.fromkeys((5, 7, 11), lambda view: [view.buy("A", 50, limit=0.45)])},
        books=told,
    )
    assert fills(shrunk) == [(1, 5, 0.45, "book"), (7, 6, 0.45, "book"), (11, 2, 0.45, "book")]
    assert shrunk.refused["why"].to_list() == ["all that was offered is taken"]


def test_where_no_book_is_known_the_quote_counts_and_the_result_says_so() -> None:
    """TH-7: before the recording, in its gaps, and in an empty book."""
    told = books((2, {0.40: 10}, {0.45: 5}), (4, None, {}), (6, {}, {}))
    plan = dict.fromkeys((1, 3, 5, 7), lambda view: [view.buy("A", 3)])
    made = run(plan, books=told, quotes=quotes((0, 0.30, 0.50, 9, 9)))
    assert fills(made) == [(1, 3, 0.50, "quote"), (3, 3, 0.45, "book"), (5, 3, 0.50, "quote")]
    assert made.refused["why"].to_list() == [
        "nothing offered on that side"
    ]  # the book was empty, whatever the quote says
    assert "67% by quote, 33% by book" in made.basis.horizon


def test_latency_meets_the_book_of_then_and_the_view_shows_the_one_of_now() -> None:
    told = books((0, {}, {0.45: 5}), (3, {}, {0.55: 5}), (5, {}, {0.20: 5}))
    seen: list[object] = []

    def buys(view: kl.View) -> list[object]:
        seen.append(view.books["A"].yes_ask)
        return [view.buy("A", 1)]

    made = run({1: buys, 2: nothing}, books=told, latency="3m")
    assert seen == [Decimal("0.45")]
    assert fills(made) == [(4, 1, 0.55, "book")]


def test_an_order_on_its_way_has_done_nothing_yet() -> None:
    """Lesson 40: a strategy that is asked before its order arrived sees neither the position nor the cash of later."""
    seen: list[tuple[object, ...]] = []

    def look(view: kl.View) -> list[object]:
        seen.append((dict(view.positions), view.cash))
        return [view.buy("A", 2)] if len(seen) == 1 else []

    run({1: look, 2: look, 5: look}, books=books((0, {}, {0.50: 5})), latency="3m")
    assert seen == [({}, 10_000), ({}, 10_000), ({"A": 2}, 9_999)]


def test_a_book_that_is_crossed_for_a_moment_sells_nothing_below_its_bid() -> None:
    crossed = books((0, {0.47: 3, 0.40: 10}, {0.45: 5, 0.48: 10}))
    made = run({1: lambda view: [view.buy("A", 8), view.buy("A", 8, side="no")]}, books=crossed)
    assert fills(made) == [(1, 8, 0.48, "book"), (1, 8, 0.60, "book")]


def test_positions_are_worth_the_best_bid_of_the_book() -> None:
    made = run({1: lambda view: [view.buy("A", 5)], 2: nothing}, books=books((0, *LADDER)), results=results(None))
    assert made.equity["positions"].to_list() == [pytest.approx(2.0), pytest.approx(2.0)]


def test_nothing_is_bought_once_trading_has_ended() -> None:
    """TH-7: the last quote stands on after the close; nobody sells at it."""
    plan = dict.fromkeys((10, 20), lambda view: [view.buy("A", 1)])
    made = run(plan, quotes=quotes((0, 0.40, 0.45)), results=results(60, close=15))
    assert fills(made) == [(10, 1, 0.45, "quote")]
    assert made.refused["why"].to_list() == ["not traded any more, or no quote"]


@pytest.mark.parametrize("frame", [books((0, *LADDER)).drop("size"), books((0, {45: 1}, {}))])
def test_books_that_are_none_are_refused(frame: object) -> None:
    with pytest.raises(kl.UsageError):
        run({1: nothing}, books=frame)
