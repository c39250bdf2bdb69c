"""Fees that the exchange took, as others recorded them: every fill is reproduced to the last digit, alone or as a part of its order."""

from __future__ import annotations

import json
from collections import defaultdict
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.recordings

D = Decimal
CENT, CENTICENT = D("0.01"), D("0.0001")
OTHER = {"yes": "no", "no": "yes"}
HALF = ("KXMLB",)  # the series whose recorded fee_multiplier is 0.5
PLAIN, HALVED = ("quadratic", 1), ("quadratic", D("0.5"))


@pytest.fixture(scope="module")
def whole_cents(recordings: Path) -> list[dict[str, Any]]:
    """432 fills of one account, 7 to 10 May 2026, when every balance moved in whole cents."""
    body = json.loads((recordings / "rest-current/btc15m_account/fills.json").read_text(encoding="utf-8"))
    return body["fills"]


@pytest.fixture(scope="module")
def fine(recordings: Path) -> list[dict[str, Any]]:
    """33 fills of another account, 10 to 18 Aug 2026, when a direct member's balance moved in $0.0001."""
    name = "rest-current/cockpit/portfolio_fills_redacted.json"
    return json.loads((recordings / name).read_text(encoding="utf-8"))["payload"]["fills"]


def price(fill: dict[str, Any]) -> Decimal:
    """The price of the side that the order trades; a fill that closes a position is recorded with the other side."""
    side = fill["side"] if fill["action"] == "buy" else OTHER[fill["side"]]
    return D(fill[f"{side}_price_dollars"])


def alone(fill: dict[str, Any], schedule: Any) -> Decimal:
    """The fee of a fill by itself, by the library."""
    return kl.fee(price(fill), fill["count_fp"], schedule, action=fill["action"], at=fill["created_time"])


def smallest(fill: dict[str, Any], multiplier: Decimal, unit: Decimal) -> Decimal:
    """The simple rule, written apart from the library: the smallest fee from the formula on that moves cash in whole units."""
    p, c = price(fill), D(fill["count_fp"])
    model = D("0.07") * multiplier * c * p * (1 - p)
    if fill["action"] == "buy":
        return ((c * p + model) / unit).to_integral_value(ROUND_CEILING) * unit - c * p
    return c * p - ((c * p - model) / unit).to_integral_value(ROUND_FLOOR) * unit


def multiplier(fill: dict[str, Any]) -> Decimal:
    return D("0.5") if fill["ticker"].startswith(HALF) else D(1)


def orders(fills: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The fills by order. All fills of a recorded order have one time to the microsecond."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for fill in fills:
        found[fill["order_id"]].append(fill)
    assert all(len({fill["created_time"] for fill in parts}) == 1 for parts in found.values())
    return list(found.values())


def in_turn(fills: list[dict[str, Any]]) -> list[Decimal]:
    """The fees of an order's fills one after another."""
    order = kl.OrderFees(PLAIN, action=fills[0]["action"])
    return [order.add(price(fill), fill["count_fp"], at=fill["created_time"]).net for fill in fills]


def paid(fills: list[dict[str, Any]]) -> list[Decimal]:
    return [D(fill["fee_cost"]) for fill in fills]


def test_fills_of_may_one_by_one(whole_cents: list[dict[str, Any]]) -> None:
    """422 of 432 fills cost what a fill alone costs, by the simple rule and by the library; the other ten cost a cent less."""
    assert len(whole_cents) == 432
    for rule in (lambda fill: smallest(fill, D(1), CENT), lambda fill: alone(fill, PLAIN)):
        off = [fill for fill in whole_cents if rule(fill) != D(fill["fee_cost"])]
        assert len(off) == 10
        assert {rule(fill) - D(fill["fee_cost"]) for fill in off} == {CENT}


def test_fills_of_may_as_parts_of_their_orders(whole_cents: list[dict[str, Any]]) -> None:
    """All 432 agree once an order's rounding fees are added up and given back: none is left over.

    Each of the ten is one of two fills of an order, and the rounding fees of both exceed a cent, which the later fill gets back:

        order's fills (count x price)  action  formula        alone        paid         rounding fees
        1.00, 1.00 x 0.73              buy     0.0138 each    0.02 0.02    0.02 0.01    0.0062 + 0.0062
        1.00, 1.00 x 0.78 (two orders) buy     0.0121 each    0.02 0.02    0.02 0.01    0.0079 + 0.0079
        0.24, 2.76 x 0.64              sell    0.0039 0.0446  .0136 .0464  .0136 .0364  0.0097 + 0.0018
        1.04, 0.96 x 0.75              buy     0.0137 0.0126  0.02 0.02    0.02 0.01    0.0063 + 0.0074
        1.00, 1.00 x 0.78              sell    0.0121 each    0.02 0.02    0.02 0.01    0.0079 + 0.0079
        1.00, 1.00 x 0.81              buy     0.0108 each    0.02 0.02    0.02 0.01    0.0092 + 0.0092
        1.00, 1.00 x 0.75              buy     0.0132 each    0.02 0.02    0.02 0.01    0.0068 + 0.0068
        1.00, 1.00 x 0.74              buy     0.0135 each    0.02 0.02    0.02 0.01    0.0065 + 0.0065
        1.00, 1.00 x 0.01              sell    0.0007 each    0.01 0.01    0.01 0.00    0.0093 + 0.0093

    The fills of an order share their time, so their order is not recorded: it is the reverse of the listing's in six of the ten
    orders (as the listing is newest first), and the listing's own in four.
    """
    parts = [fills for fills in orders(whole_cents) if len(fills) > 1]
    assert len(parts) == 16
    single = [fills for fills in orders(whole_cents) if len(fills) == 1]
    assert [in_turn(fills) for fills in single] == [paid(fills) for fills in single]
    rebated = [fills for fills in parts if [alone(fill, PLAIN) for fill in fills] != paid(fills)]
    assert len(rebated) == 10
    for fills in parts:
        assert any(in_turn(list(order)) == paid(list(order)) for order in permutations(fills))
    assert sum(in_turn(fills[::-1]) == paid(fills[::-1]) for fills in rebated) == 6
    assert sum(in_turn(fills) == paid(fills) for fills in rebated) == 4


def test_a_rebated_order_costs_what_one_fill_of_all_would(whole_cents: list[dict[str, Any]]) -> None:
    """The fills of each of the ten orders sum to the fee of one fill of their whole count, in whichever order they came."""
    rebated = [fills for fills in orders(whole_cents) if [alone(fill, PLAIN) for fill in fills] != paid(fills)]
    for fills in rebated:
        assert len({price(fill) for fill in fills}) == 1
        whole = {**fills[0], "count_fp": str(sum(D(fill["count_fp"]) for fill in fills))}
        assert sum(paid(fills)) == alone(whole, PLAIN) == sum(in_turn(fills)) == sum(in_turn(fills[::-1]))


def test_a_rebate_above_the_fill_s_own_fee_is_held_back(whole_cents: list[dict[str, Any]]) -> None:
    """A recorded order shows the cap: 1.87 then 0.13 contracts at 0.70 carry 0.0105 of rounding, and the second fill costs only 0.009."""
    fills = next(fills for fills in orders(whole_cents) if {fill["count_fp"] for fill in fills} == {"1.87", "0.13"})
    fills = sorted(fills, key=lambda fill: -D(fill["count_fp"]))
    assert paid(fills) == in_turn(fills) == [D("0.031"), D("0.009")]
    order = kl.OrderFees(PLAIN)
    for fill in fills:
        order.add(price(fill), fill["count_fp"], at=fill["created_time"])
    assert order.carried == D("0.0105")


def test_orders_say_the_same_fees(whole_cents: list[dict[str, Any]], recordings: Path) -> None:
    """`taker_fees_dollars` of the orders is the sum over their fills."""
    listed = json.loads((recordings / "rest-current/btc15m_account/orders.json").read_text(encoding="utf-8"))["orders"]
    fees = {order["order_id"]: order for order in listed}
    known = [fills for fills in orders(whole_cents) if fills[0]["order_id"] in fees]
    complete = [
        fills
        for fills in known
        if sum(D(fill["count_fp"]) for fill in fills) == D(fees[fills[0]["order_id"]]["fill_count_fp"])
    ]
    assert len(complete) == 257
    for fills in complete:
        order = next(order for order in map(list, permutations(fills)) if in_turn(order) == paid(order))
        assert sum(in_turn(order)) == D(fees[fills[0]["order_id"]]["taker_fees_dollars"])


def test_fills_of_august(fine: list[dict[str, Any]]) -> None:
    """32 of 33 fills follow the simple rule with a unit of $0.0001; all 33 follow the library, which rounds the formula first.

    The one that differs: 71.94 x 0.013, formula 0.0646143498, paid 0.064780. The trade fee is rounded up to 0.0647 before the balance
    is, 0.93522 + 0.0647 = 0.99992 becomes 1.0000, and 0.06478 is the fee; the simple rule would stop at 0.9999, a fee of 0.06468.
    """
    assert len(fine) == 33
    off = [fill for fill in fine if smallest(fill, multiplier(fill), CENTICENT) != D(fill["fee_cost"])]
    assert [(fill["count_fp"], fill["yes_price_dollars"], fill["fee_cost"]) for fill in off] == [
        ("71.94", "0.0130", "0.064780")
    ]
    assert [alone(fill, PLAIN if multiplier(fill) == 1 else HALVED) for fill in fine] == paid(fine)
    assert sum(multiplier(fill) != 1 for fill in fine) == 10


def test_multipliers_are_those_of_the_recorded_series(fine: list[dict[str, Any]], recordings: Path) -> None:
    """The series as recorded, read by the model, give the fees of their fills."""
    text = (recordings / "rest-current/cockpit/series_fee_fields.json").read_text(encoding="utf-8")
    series = [kl.Series.model_validate(body["series"]) for body in json.loads(text)["payloads"].values()]
    fills = [(fill, one) for fill in fine for one in series if fill["ticker"].startswith(f"{one.ticker}-")]
    assert len(fills) == 11
    assert [alone(fill, one) for fill, one in fills] == paid([fill for fill, _ in fills])


def test_the_rules_of_another_era_would_not_do(whole_cents: list[dict[str, Any]], fine: list[dict[str, Any]]) -> None:
    """The recordings tell the eras apart: with whole-cent trade fees 41 fills of May differ, with those of September one of August."""
    early = [{**fill, "created_time": "2026-03-08"} for fill in whole_cents]
    differ = sum(alone(fill, PLAIN) != D(fill["fee_cost"]) for fill in early)
    assert differ == 41
    late = [{**fill, "created_time": "2026-09-01"} for fill in fine]
    schedules = [PLAIN if multiplier(fill) == 1 else HALVED for fill in late]
    assert (
        sum(alone(fill, schedule) != D(fill["fee_cost"]) for fill, schedule in zip(late, schedules, strict=True)) == 1
    )
