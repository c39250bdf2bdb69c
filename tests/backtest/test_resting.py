"""Orders that wait: which trades fill them, what they bind, and how they end; every answer worked out by hand."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import kalshi_lab as kl
from kalshi_lab.errors import UsageError
from tests.backtest.tapes import START, books, fills, nothing, quotes, results, run, trades

if TYPE_CHECKING:
    from collections.abc import Callable

BOOK = books((0, {0.40: 30, 0.39: 20}, {0.45: 5}))


def bid(count: float = 10, limit: float = 0.40, **more: Any) -> Callable[[kl.View], list[Any]]:
    return lambda view: [view.buy("A", count, limit=limit, rests=True, **more)]


def ended(result: kl.Backtest) -> list[tuple[Any, ...]]:
    """contracts that waited, those filled, when it ended in minutes, and why."""
    minutes = (pl.col("ended") - START).dt.total_seconds() / 60
    return result.rested.select("count", "filled", minutes, "why").rows()


def test_a_trade_through_the_price_fills_what_it_counted() -> None:
    """TH-7: 4 of 10 at 39 cents, then the other 6 of 50 at 20 cents, always at the limit."""
    made = run({1: bid()}, books=BOOK, trades=trades((2, 0.39, 4, "no"), (3, 0.20, 50, "no"), (4, 0.1, 50, "no")))
    assert fills(made) == [(2, 4, 0.40, "tape"), (3, 6, 0.40, "tape")]
    assert ended(made) == [(10, 10, 3, "filled")]
    assert made.rested["queue"].to_list() == [30]
    assert made.trades["short"].to_list() == ["the rest waits", ""]
    assert made.profit == pytest.approx(6)


def test_a_trade_at_the_price_fills_it_after_the_queue() -> None:
    """TH-7: 30 stood before it: of 20 and 13 traded at 40 cents it gets 3, of the next 5 all 5."""
    tape = trades((2, 0.40, 20, "no"), (3, 0.40, 13, "no"), (4, 0.40, 5, "no"))
    made = run({1: bid()}, books=BOOK, trades=tape)
    assert fills(made) == [(3, 3, 0.40, "tape"), (4, 5, 0.40, "tape")]
    assert ended(made) == [(10, 8, 600, "the market closed")]


def test_who_waits_on_the_other_side_is_not_in_the_queue() -> None:
    """A taker of YES at 40 cents met an ask; one whose side is unknown may have."""
    made = run({1: bid()}, books=BOOK, trades=trades((2, 0.40, 500, "yes"), (3, 0.40, 500, None)))
    assert fills(made) == []
    assert made.refused["why"].to_list() == ["rested until the market closed"]


def test_without_a_book_the_queue_is_unknown_and_trades_at_the_price_fill_nothing() -> None:
    """TH-7: only those through it do, and they say nothing of the queue."""
    tape = trades((2, 0.40, 500, "no"), (3, 0.39, 1, "no"), (4, 0.40, 4, "no"))
    made = run({1: bid()}, quotes=quotes((0, 0.40, 0.45, 30, 30)), trades=tape)
    assert fills(made) == [(3, 1, 0.40, "tape")]
    assert made.rested["queue"].to_list() == [None]


def test_quotes_that_touch_or_cross_fill_nothing() -> None:
    """TH-7: never by a mere touch."""
    told = books((0, {0.40: 30}, {0.45: 5}), (2, {0.40: 1}, {0.41: 5}), (3, {0.20: 1}, {0.21: 500}))
    made = run(dict.fromkeys((2, 3, 4), nothing) | {1: bid()}, books=told, trades=trades((0.5, 0.1, 9, "no")))
    assert fills(made) == []
    assert ended(made) == [(10, 0, 600, "the market closed")]


def test_trades_before_and_at_its_arrival_do_not_count() -> None:
    tape = trades((0.5, 0.1, 99, "no"), (1, 0.1, 99, "no"), (2, 0.1, 99, "no"), (3, 0.1, 99, "no"))
    made = run({1: bid()}, books=BOOK, trades=tape, latency="1m")
    assert fills(made) == [(3, 10, 0.40, "tape")]


def test_what_crosses_is_taken_and_the_rest_waits() -> None:
    made = run({1: bid(limit=0.45)}, books=BOOK, trades=trades((2, 0.44, 2, "no")), fees=("quadratic", 1))
    assert fills(made) == [(1, 5, 0.45, "book"), (2, 2, 0.45, "tape")]
    assert made.trades["asked"].to_list() == [10, 10]
    assert made.trades["fee"].to_list() == [float(kl.fee("0.45", 5, ("quadratic", 1), at=START)), 0]
    assert ended(made) == [(5, 2, 600, "the market closed")]


@pytest.mark.parametrize(
    ("order", "limit", "through", "touch"),
    [("no", 0.55, 0.46, "yes"), ("yes", 0.40, 0.39, "no")],
)
def test_both_sides_wait_alike(order: str, limit: float, through: float, touch: str) -> None:
    """Buying NO at 55 cents waits among the asks at 45."""
    price = limit if order == "yes" else 1 - limit
    told = books((0, {0.40: 2}, {0.45: 2}))
    tape = trades((2, price, 3, touch), (3, through, 4, touch))
    made = run({1: bid(limit=limit, side=order)}, books=told, trades=tape)
    assert fills(made) == [(2, 1, limit, "tape"), (3, 4, limit, "tape")]


def test_a_sale_waits_and_sells_no_more_than_is_held() -> None:
    """TH-7: 5 held: of two sales of 4 the second waits for 1."""

    def sells(view: kl.View) -> list[Any]:
        return [view.sell("A", 4, limit=0.50, rests=True), view.sell("A", 4, limit=0.50, rests=True)]

    tape = trades((3, 0.60, 100, "yes"))
    made = run({1: lambda view: [view.buy("A", 5)], 2: sells}, books=BOOK, trades=tape)
    assert fills(made) == [(1, 5, 0.45, "book"), (3, 4, 0.50, "tape"), (3, 1, 0.50, "tape")]
    assert made.markets["open"][0] == 0
    assert made.profit == pytest.approx(0.25)


def test_no_trade_fills_more_than_it_counted_and_better_prices_come_first() -> None:
    """TH-7: 12 traded at 38: 10 for the bid at 41 cents, 2 for the one at 40; the next 32 at 40 meet 30 others first."""

    def two(view: kl.View) -> list[Any]:
        return [view.buy("A", 10, limit=limit, rests=True) for limit in (0.40, 0.41)]

    made = run({1: two}, books=BOOK, trades=trades((2, 0.38, 12, "no"), (3, 0.40, 32, "no")))
    assert fills(made) == [(2, 10, 0.41, "tape"), (2, 2, 0.40, "tape"), (3, 2, 0.40, "tape")]


def test_two_orders_at_one_price_share_one_queue() -> None:
    """The first waits behind 30, the second behind 30, what the first wants, and 10 that came between them."""
    told = books((0, {0.40: 30}, {}), (2, {0.40: 40}, {}))
    tape = trades((4, 0.40, 31, "no"), (5, 0.40, 20, "no"), (6, 0.40, 5, "no"))
    made = run({1: bid(3), 3: bid(4)}, books=told, trades=tape)
    assert fills(made) == [(4, 1, 0.40, "tape"), (5, 2, 0.40, "tape"), (5, 4, 0.40, "tape")]
    assert made.rested["queue"].to_list() == [30, 40]


def test_cash_is_bound_while_it_waits() -> None:
    """TH-7: 10 at 40 cents bind 4 dollars of 5; the second order waits for 2 whole ones, and then the cash is free again."""
    seen: list[Decimal] = []

    def look(view: kl.View) -> list[Any]:
        seen.append(view.cash)
        return []

    plan = {1: bid(until="10m"), 2: bid(), 3: look, 20: look}
    made = run(plan, books=BOOK, trades=trades((0, 0.4, 1, "no")), capital=5)
    assert made.rested["count"].to_list() == [10, 2]
    assert seen == [Decimal("0.2"), Decimal("4.2")]
    assert made.equity["bound"].to_list() == [4, 4.8, 4.8, 0.8]
    assert made.equity["cash"].to_list() == [5] * 4
    taken = run({1: bid(), 2: lambda view: [view.buy("A", 5)]}, books=BOOK, trades=trades(), capital=5)
    assert taken.trades["count"].to_list() == [2]
    assert taken.trades["short"].to_list() == ["the cash"]


def test_limits_count_what_waits() -> None:
    made = run({1: bid(6), 2: bid(6), 3: lambda view: [view.buy("A", 5)]}, books=BOOK, trades=trades(), max_position=8)
    assert made.rested["count"].to_list() == [6, 2]
    assert made.refused["why"].to_list()[0] == "the position's limit"
    stake = run({1: bid(6), 2: bid(6)}, books=BOOK, trades=trades(), max_stake=4)
    assert stake.rested["count"].to_list() == [6, 4]


def test_it_ends_by_its_time_the_strategy_the_close_or_the_end() -> None:
    """TH-7: a trade through its price at the very moment of its end no longer fills it."""
    tape = trades((11, 0.1, 99, "no"), (600, 0.1, 99, "no"))
    timed = run({1: bid(until="10m")}, books=BOOK, trades=tape)
    assert ended(timed) == [(10, 0, 11, "its time was over")]
    assert timed.refused["why"].to_list() == ["rested until its time was over"]

    def takes_back(view: kl.View) -> list[Any]:
        return [view.cancel(one) for one in view.resting]

    cancelled = run({1: bid(), 5: takes_back, 8: takes_back}, books=BOOK, trades=tape, latency="1m")
    assert ended(cancelled) == [(10, 0, 6, "it was cancelled")]
    late = run({1: bid(), 10.5: takes_back}, books=BOOK, trades=tape, latency="1m")
    assert fills(late) == [(11, 10, 0.40, "tape")]  # it was filled while the cancellation was on its way
    closed = run({1: bid()}, books=BOOK, trades=tape, results=results(600, close=10))
    assert ended(closed) == [(10, 0, 10, "the market closed")]
    open_end = run({1: bid(), 20: nothing}, books=BOOK, trades=trades((0, 0.4, 1, "no")), results=results(None))
    assert ended(open_end) == [(10, 0, 20, "nothing more is known")]


def test_the_strategy_sees_what_waits() -> None:
    seen: list[tuple[Any, ...]] = []

    def look(view: kl.View) -> list[Any]:
        seen.append(tuple((one.ticker, one.left, one.since, one.order.limit) for one in view.resting))
        return []

    run({1: bid(), 3: look, 5: look}, books=BOOK, trades=trades((2, 0.39, 4, "no"), (4, 0.39, 40, "no")))
    assert seen == [(("A", 6, START + timedelta(minutes=1), Decimal("0.4")),), ()]


def test_makers_pay_what_makers_pay() -> None:
    """FEE: a quarter of the taker's fee where makers pay, nothing where they do not, one accumulator for an order."""
    tape = trades((2, 0.39, 4, "no"), (3, 0.39, 6, "no"))
    words = ("quadratic_with_maker_fees", 1)
    made = run({1: bid()}, books=BOOK, trades=tape, fees=words)
    fees = kl.OrderFees(words)
    expected = [float(fees.add("0.40", count, role="maker", at=START).net) for count in (4, 6)]
    assert made.trades["fee"].to_list() == expected
    assert sum(expected) > 0
    assert run({1: bid()}, books=BOOK, trades=tape, fees={"A": ("quadratic", 1)}).fees == 0

    def own(_ticker: str, _price: Decimal, count: Decimal, _time: Any, role: str) -> Decimal:
        return count if role == "maker" else Decimal(0)

    assert run({1: bid()}, books=BOOK, trades=tape, fees=own).fees == 10
    with pytest.raises(UsageError, match="says nothing of A"):
        run({1: bid()}, books=BOOK, trades=tape, fees={"B": ("quadratic", 1)})


def test_without_trades_nothing_that_waits_is_filled_and_the_result_says_so() -> None:
    """TH-7, lesson 26: unknown is not zero."""
    for tape in (None, trades()):
        made = run({1: bid()}, books=BOOK, trades=tape)
        assert made.trades.is_empty()
        assert made.basis.excluded["resting orders in markets without trades (never filled)"] == 1
        assert made.rested["why"].to_list() == ["the market closed; no trades of the market are kept"]
        assert "never filled" in repr(made)


@pytest.mark.parametrize(
    ("ranges", "limit", "why"),
    [
        (None, 0.405, "no price of the market's grid"),
        (None, 0.40, None),
        ('[{"start": "0", "end": "1", "step": "0.001"}]', 0.405, None),
        ([{"start": "0", "end": "1", "step": "0.02"}], 0.41, "no price of the market's grid"),
    ],
)
def test_what_waits_must_be_on_the_price_grid(ranges: Any, limit: float, why: str | None) -> None:
    """TH-7, GRID: nobody waits between two prices, ahead of everybody; cents where the grid is not known."""
    markets = pl.DataFrame({"ticker": ["A"], "event_ticker": ["A"], "open_time": [START], "price_ranges": [ranges]})
    made = run({1: bid(limit=limit)}, books=BOOK, trades=trades((2, 0.3, 99, "no")), markets=markets)
    assert made.refused["why"].to_list() == ([] if why is None else [why])
    assert made.rested.height == (why is None)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"rests": True}, "needs a limit"),
        ({"limit": 0.4, "until": "1h"}, "orders that rest"),
        ({"limit": 0.4, "rests": True, "until": START}, "has passed"),
        ({"limit": 0.4, "rests": True, "until": START.replace(tzinfo=None)}, "no time zone"),
        ({"limit": 0.4, "rests": True, "until": "soon"}, "no length of time"),
    ],
)
def test_orders_that_cannot_wait_are_refused(words: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        run({1: lambda view: [view.buy("A", 1, **words)]}, books=BOOK)


def test_the_number_of_an_order_tells_nothing_of_trades_to_come() -> None:
    """Lesson 40: it counts your orders alone; a number that counted what is due was a way of looking ahead."""
    numbers: list[list[int]] = []

    def look(view: kl.View) -> list[Any]:
        numbers[-1] += [one.number for one in view.resting]
        return []

    def two(view: kl.View) -> list[Any]:
        return [view.buy("A", 1, limit=limit, rests=True) for limit in (0.40, 0.39)]

    for tape in (trades(), trades((300, 0.1, 1, "no"))):
        numbers.append([])
        run({1: two, 2: look}, books=BOOK, trades=tape)
    assert numbers == [[1, 2], [1, 2]]
