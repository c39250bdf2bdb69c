"""The rules of the ledger, each worked out by hand."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from kalshi_lab.errors import UsageError
from kalshi_lab.fees import fee
from kalshi_lab.portfolio.ledger import Ledger, ledger
from tests.portfolio.conftest import MARKET, START, fill, frame, moment, settled, settlement

D = Decimal


def booked(*fills: dict[str, Any], paid: dict[str, Any] | None = None, **options: Any) -> Ledger:
    return ledger(frame(fills), None if paid is None else settled(paid), **options)


def row(found: Ledger) -> dict[str, Any]:
    assert found.table.height == 1
    return found.table.row(0, named=True)


def held(*told: tuple[str, str, int]) -> pl.DataFrame:
    """What the exchange said is held: market, contracts, minutes after the start."""
    kinds = {"ticker": pl.String, "position": pl.Decimal(18, 2), "time": pl.Datetime("us", "UTC")}
    rows = [(ticker, D(position), START + timedelta(minutes=minutes)) for ticker, position, minutes in told]
    return pl.DataFrame(rows, schema=kinds, orient="row")


def test_a_sale_closes_the_other_side_at_the_complement() -> None:
    """Lesson 28: YES bought at 0.50, NO sold (YES gained) at 0.85: -35.00 dollars for 100 lots, whichever side was held."""
    found = row(booked(fill(0, "no", "100.00", "0.50"), fill(1, "yes", "100.00", "0.85")))
    assert (found["gross"], found["position"], found["cost"]) == (D("-35.00"), 0, 0)
    mirrored = row(booked(fill(0, "yes", "100.00", "0.50"), fill(1, "no", "100.00", "0.85")))
    assert mirrored["gross"] == D("-35.00")


def test_netted_pairs_realise_at_once() -> None:
    """Lesson 32: 10 YES at 0.40 and 4 NO at 0.50: four pairs are four dollars now, 0.40 gained; six YES stay at their cost."""
    found = booked(fill(0, "yes", "10.00", "0.40"), fill(1, "no", "4.00", "0.50"))
    assert (row(found)["gross"], row(found)["position"], row(found)["cost"]) == (D("0.40"), 6, D("2.40"))
    assert found.closings.select("contracts", "entry_price", "exit_price", "how").row(0) == (
        D(4),
        D("0.4"),
        D("0.5"),
        "fill",
    )


def test_buy_close_rebuy_starts_anew() -> None:
    """Lesson 32: what was closed has no say in the cost of what is bought after it."""
    found = row(booked(fill(0, "yes", "5.00", "0.20"), fill(1, "no", "5.00", "0.70"), fill(2, "yes", "5.00", "0.60")))
    assert (found["gross"], found["average_price"], found["cost"]) == (D("0.50"), D("0.60"), D("3.00"))


def test_one_fill_closes_and_turns_around() -> None:
    """PF-3: sold more than was held: the rest opens the other side at its own price, and the fee is shared by contracts."""
    found = booked(fill(0, "yes", "2.00", "0.30", fee="0.03"), fill(1, "no", "5.00", "0.40", fee="0.10"))
    assert row(found)["position"] == -3
    assert row(found)["cost"] == D("1.20")
    assert found.closings.select("gross", "opening_fee", "closing_fee", "net").row(0) == (
        D("0.60"),
        D("0.03"),
        D("0.04"),
        D("0.53"),
    )
    assert found.open["fees"].to_list() == [D("0.06")]


@pytest.mark.parametrize(
    ("method", "gross", "cost"), [("fifo", "3.00", "5.00"), ("lifo", "1.00", "3.00"), ("average", "2.00", "4.00")]
)
def test_which_lot_a_sale_takes(method: Any, gross: str, cost: str) -> None:
    """PF-5: 10 at 0.30 and 10 at 0.50, ten sold at 0.60: the oldest, the newest, or the mean of them."""
    fills = fill(0, "yes", "10.00", "0.30"), fill(1, "yes", "10.00", "0.50"), fill(2, "no", "10.00", "0.40")
    found = row(booked(*fills, method=method))
    assert (found["gross"], found["cost"]) == (D(gross), D("8.00") - D("6.00") + D(gross))
    assert found["cost"] == D(cost)


@pytest.mark.parametrize(
    ("result", "more", "gross", "how"),
    [
        ("yes", {}, "6.00", "settlement"),
        ("no", {}, "-4.00", "settlement"),
        ("scalar", {"value": 25, "revenue": 250}, "-1.50", "settlement"),
        ("void", {}, "0.00", "void"),
        ("scalar", {}, None, "settlement of unknown value"),
    ],
)
def test_a_settlement_closes_what_is_left(result: str, more: dict[str, Any], gross: str | None, how: str) -> None:
    """PF-6, lesson 29: at a dollar or nothing, at the value, at cost where void; a value that nobody said leaves the profit unknown."""
    found = booked(fill(0, "yes", "10.00", "0.40"), paid=settlement(result, "10.00", **more))
    assert row(found)["gross"] == (None if gross is None else D(gross))
    assert (row(found)["position"], row(found)["result"]) == (0, result)
    assert found.closings["how"].to_list() == [how]
    assert row(found)["unknown"] == (10 if gross is None else 0)


def test_no_contracts_settle_at_the_rest_of_the_dollar() -> None:
    """PF-6: 3 NO at 0.70 when YES pays 0.10: 0.90 each."""
    found = row(booked(fill(0, "no", "3.00", "0.70"), paid=settlement("scalar", "0.00", "3.00", value=10, revenue=270)))
    assert found["gross"] == D("0.60")


def test_a_scalar_payout_is_what_was_paid() -> None:
    """Section 12: a settlement says a value of 31 cents for 0.3148; what was paid, cut to a cent, is what counts."""
    paid = settlement("scalar", "10.66", value=31, revenue=335)
    assert row(booked(fill(0, "yes", "10.66", "0.10"), paid=paid))["gross"] == D("3.35") - D("1.066")


def test_units_are_named_and_turned_into_dollars_in_one_place() -> None:
    """Lessons 21, 23: revenue and value come in whole cents and say so in their names; prices, fees and all sums are dollars."""
    paid = settled(settlement("scalar", "10.00", value=25, revenue=250, fee_cost="0.20"))
    assert {"revenue_cents", "value_cents", "yes_total_cost", "fee_cost"} <= set(paid.columns)
    assert not {"revenue", "value"} & set(paid.columns)
    made = ledger(frame([fill(0, "yes", "10.00", "0.40", fee="0.20")]), paid)
    assert made.closings.select("cost", "proceeds", "fees").row(0) == (D("4.00"), D("2.50"), D("0.20"))


def golden() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Two markets whose fees are those of lesson 33, each bought by a taker, partly sold, added to by a maker, and lost."""
    plan = {
        "KXONE-26": (("189.00", "0.50", "82.00", "0.50", "103.00", "0.19"), ("3.31", "1.44")),
        "KXTWO-26": (("164.00", "0.50", "58.00", "0.50", "1371.00", "0.02"), ("2.87", "1.02")),
    }
    fills, paid = [], []
    for ticker, ((bought, at, sold, out, more, low), fees) in plan.items():
        own = {"ticker": ticker, "market_ticker": ticker}
        ids = [{**own, "fill_id": f"{ticker}-{part}"} for part in range(3)]
        fills += [
            fill(0, "yes", bought, at, fee=fees[0], **ids[0]),
            fill(1, "no", sold, f"{1 - float(out):.2f}", fee=fees[1], **ids[1]),
            fill(2, "yes", more, low, fee="0.00", is_taker=False, **ids[2]),
        ]
        left = f"{float(bought) + float(more):.2f}"
        total = str(sum(map(D, fees)))
        paid.append(settlement("no", left, sold, ticker=ticker, fee_cost=total, revenue=0, value=0))
    return frame(fills), settled(*paid)


def test_golden_the_fees_are_taken_once() -> None:
    """Lessons 30, 33: -77.82 and -84.31 net, -73.07 and -80.42 gross; the settlement repeats the fees and they count once."""
    fills, paid = golden()
    for count, at, expected in (
        ("189", "0.5", "3.31"),
        ("82", "0.5", "1.44"),
        ("164", "0.5", "2.87"),
        ("58", "0.5", "1.02"),
    ):
        assert fee(D(at), D(count), ("quadratic", 1), at="2026-01-10T00:00:00Z", member="non-direct") == D(expected)
    found = ledger(fills, paid).table
    assert found["gross"].to_list() == [D("-73.07"), D("-80.42")]
    assert found["net"].to_list() == [D("-77.82"), D("-84.31")]
    assert found["fees"].to_list() == [D("4.75"), D("3.89")]


def test_golden_it_is_the_same_without_fees_on_the_fills() -> None:
    """Lesson 30: older fills carry no fee; then the settlement's stands in, once, also for what was closed before."""
    fills, paid = golden()
    bare = fills.with_columns(fee_cost=pl.lit(None, pl.Decimal(18, 6)))
    found = ledger(bare, paid).table
    assert found["net"].to_list() == [D("-77.82"), D("-84.31")]
    alone = ledger(bare).table  # no settlement either: what was paid is not known, and not nothing
    assert alone["fees"].to_list() == [None, None]
    assert alone["net"].to_list() == [None, None]


def test_settlements_are_no_fills() -> None:
    """Lessons 27, 29: revenue minus the costs that a settlement names is not the profit; fills and settlement together are."""
    paid = settlement(
        "yes", "10.00", "4.00", yes_total_cost_dollars="4.00", no_total_cost_dollars="2.00", revenue=600, value=100
    )
    found = row(booked(fill(0, "yes", "10.00", "0.40"), fill(1, "no", "4.00", "0.50"), paid=paid))
    assert found["gross"] == D("4.00")  # 0.40 on four pairs, 3.60 on six that won; 6.00 - 4.00 - 2.00 would be nothing
    assert found["complete"]


def test_a_market_without_fills_is_told_by_its_settlement() -> None:
    """PF-6: where no fill is known, counts and costs of the settlement are lots, and pairs among them a dollar each."""
    paid = settlement(
        "yes", "10.00", "4.00", yes_total_cost_dollars="4.00", no_total_cost_dollars="2.00", revenue=600, fee_cost="0.30"
    )  # fmt: skip
    found = booked(paid=paid)
    assert (row(found)["gross"], row(found)["fees"], row(found)["net"]) == (D("4.00"), D("0.30"), D("3.70"))
    assert not row(found)["complete"]
    assert found.closings["how"].to_list() == ["pairs", "settlement"]


def test_missing_history_is_counted_and_its_profit_unknown() -> None:
    """Lessons 26, 31: ten were paid out and six were bought in what is known: four are unknown, six are not touched by that."""
    paid = settlement("yes", "10.00", revenue=1000, value=100, fee_cost="0.50")
    found = booked(fill(0, "yes", "6.00", "0.40", fee="0.10"), paid=paid)
    assert (row(found)["unknown"], row(found)["complete"]) == (4, False)
    assert row(found)["gross"] == D("3.60")
    assert found.closings.sort("contracts").select("contracts", "gross").rows() == [(D(4), None), (D(6), D("3.60"))]
    assert "4.00 contracts of unknown profit" in repr(found)


def test_a_position_without_fills_has_an_unknown_cost() -> None:
    """Lesson 34, PF-3: the exchange says 7 NO and nothing is known of them: no cost, no average price, and never zero."""
    found = ledger(frame([]), positions=held((MARKET, "-7.00", 5)))
    assert (row(found)["position"], row(found)["cost"], row(found)["average_price"]) == (-7, None, None)
    assert (row(found)["unknown"], row(found)["complete"]) == (7, False)


def test_fills_after_the_look_are_not_missing_before_it() -> None:
    """Lesson 31: a position that was looked at before the last fill explains itself by the fills before it."""
    fills = fill(0, "yes", "3.00", "0.40"), fill(10, "yes", "2.00", "0.50")
    found = row(booked(*fills, positions=held((MARKET, "3.00", 5))))
    assert (found["position"], found["complete"], found["unknown"]) == (5, True, 0)


def test_older_sales_close_what_they_say() -> None:
    """Lesson 31: a record that says "sell" closed something; without it before, it was opened in what is missing."""
    sale = {**fill(0, "no", "3.00", "0.13"), "side": "no", "action": "sell", "outcome_side": None, "book_side": None}
    found = row(booked(sale))
    assert (found["position"], found["unknown"], found["gross"]) == (0, 3, None)
    modern = row(booked({**sale, "outcome_side": "no"}))  # where the outcome is said, selling YES may open NO
    assert (modern["position"], modern["complete"]) == (-3, True)


def test_rows_that_cannot_be_used_are_counted() -> None:
    """PF-1, PF-5: without a side, price, count or time: put aside by reason; given twice: once."""
    good = fill(0, "yes", "1.00", "0.40")
    bad = [
        {**fill(1, "yes", "1.00", "0.40"), "outcome_side": "maybe"},
        {**fill(2, "yes", "0.00", "0.40")},
        {**fill(3, "yes", "1.00", "0.40"), "yes_price_dollars": None, "no_price_dollars": None},
        {**fill(4, "yes", "1.00", "0.40"), "created_time": None},
    ]
    found = booked(good, good, *bad)
    assert row(found)["position"] == 1
    assert dict(found.basis.excluded) == {
        "fills without a count": 1, "fills without a market or time": 1, "fills without a price": 1, "fills without a side": 1,
        "fills given twice": 1, "markets with incomplete history (not left out)": 0,
    }  # fmt: skip


def test_prices_of_the_other_side_are_enough() -> None:
    """PF-1: a fill with a NO price alone."""
    bare = {**fill(0, "yes", "2.00", "0.40"), "yes_price_dollars": None}
    assert row(booked(bare))["cost"] == D("0.80")


def test_sub_cent_prices_and_hundredths_stay_exact() -> None:
    """Lesson 22: 227.27 at 0.0123 is 2.795421 dollars."""
    found = row(booked(fill(0, "yes", "227.27", "0.0123")))
    assert found["cost"] == D("2.795421")
    assert found["average_price"] == D("0.0123")


def test_parts_of_a_fee_add_up() -> None:
    """PF-5: a fee of one ten-thousandth over three sales: the parts are cut, and the last takes the rest."""
    sales = [fill(number, "no", "1.00", "0.50") for number in range(1, 4)]
    found = booked(fill(0, "yes", "3.00", "0.40", fee="0.0001"), *sales)
    assert found.closings["opening_fee"].to_list() == [D("0.00003333"), D("0.00003333"), D("0.00003334")]
    assert found.closings["fees"].sum() == row(found)["fees"] == D("0.0001")


def test_at_one_moment_the_book_decides_the_order() -> None:
    """A taker who sells YES hits the best bid first, so that the worse price opens the NO side."""
    fills = [
        fill(0, "yes", "2.00", "0.50"),
        fill(1, "no", "2.00", "0.45", fill_id="b"),  # at 0.55
        fill(1, "no", "2.00", "0.48", fill_id="a"),  # at 0.52
    ]
    found = row(booked(*fills))
    assert (found["gross"], found["cost"]) == (D("0.10"), D("0.96"))
    makers = [{**one, "is_taker": False} for one in fills]  # whose best offer is hit first: the lowest
    assert row(booked(*makers))["gross"] == D("0.04")


def test_it_can_be_opened_down_to_its_fills() -> None:
    """PF-8, lesson 25: each part names its fills, and the parts add up to the figures."""
    fills = fill(0, "yes", "10.00", "0.40", fee="0.17"), fill(1, "no", "4.00", "0.50", fee="0.07")
    found = booked(*fills, paid=settlement("yes", "10.00", "4.00", revenue=600))
    told = found.explain(MARKET)
    assert told.frame()["net"].sum() == told.frame()["running"].to_list()[-1] == row(found)["net"] == D("3.76")
    assert told.frame()["closed_by"].to_list() == ["f000001", None]
    text = repr(told)
    assert (
        "4.00 YES opened at 0.40 (2026-11-02 15:00:00, fill f000000), closed at 0.50 (fill f000001, 2026-11-02 15:01:00)"
        in text
    )
    assert "gross 0.40 - fees 0.138 = net 0.262" in text
    assert "realised gross 4.00, net 3.76, fees paid 0.24" in text
    assert "<table" in told._repr_html_()
    with pytest.raises(UsageError, match="KXHIGHNY"):
        found.explain("KXHIGHNY-26NOV02-B51")


def test_bad_questions_are_refused() -> None:
    with pytest.raises(UsageError, match="fifo"):
        booked(method="filo")
    with pytest.raises(UsageError, match="created_time"):
        ledger(pl.DataFrame({"fill_id": [], "ticker": [], "count": []}))
    assert ledger(frame([])).table.is_empty()
    assert "nothing realised" in repr(ledger(frame([])))


def test_markets_results_stand_in_for_settlements() -> None:
    """PF-6: settlements age out of the exchange's answers; the market's own result closes what is left."""
    known = pl.DataFrame(
        {
            "ticker": [MARKET],
            "market_result": ["scalar"],
            "settlement_value": [D("0.3148")],
            "settled_time": [moment(60)],
        }
    ).with_columns(pl.col("settled_time").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", time_zone="UTC"))
    found = row(ledger(frame([fill(0, "yes", "10.00", "0.20")]), known))
    assert found["gross"] == D("1.148")
