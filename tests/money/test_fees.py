"""Fees by the contract's own figures: every era, role, type and schedule, and what holds for all of them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import kalshi_lab as kl
from kalshi_lab.fees import ERAS, Fee

D = Decimal
QUADRATIC = ("quadratic", 1)
MAKERS = ("quadratic_with_maker_fees", 1)
COMBOS = ("quadratic_with_combo_maker_fees", 1)
NOW = "2026-09-20T12:00:00Z"


def parts(price: str, count: Any, schedule: Any = QUADRATIC, **how: Any) -> Fee:
    fixed = {name: how.pop(name) for name in ("action", "member") if name in how}
    return kl.OrderFees(schedule, **fixed).add(price, count, **how)


def test_the_contract_s_example() -> None:
    """1 contract bought at 0.055: 0.005 for a non-direct member, 0.0037 for a direct one, with all the parts that are published."""
    other = parts("0.055", 1, member="non-direct")
    assert other == Fee(D("0.00363825"), D("0.003639"), D("0.001361"), D(0), D("-0.06"))
    assert kl.fee("0.055", 1, QUADRATIC, member="non-direct") == other.net == D("0.005")
    direct = parts("0.055", 1)
    assert direct == Fee(D("0.00363825"), D("0.003639"), D("0.000061"), D(0), D("-0.0587"))
    assert str(kl.fee("0.055", 1, QUADRATIC)) == "0.003700"


@pytest.mark.parametrize(
    ("schedule", "role", "model"),
    [
        (QUADRATIC, "taker", "1.75"),
        (MAKERS, "taker", "1.75"),
        (COMBOS, "taker", "1.75"),
        (QUADRATIC, "maker", "0"),
        (MAKERS, "maker", "0.4375"),
        (COMBOS, "maker", "0.875"),
        (("quadratic", D("0.5")), "taker", "0.875"),
        (("quadratic_with_maker_fees", 0.5), "maker", "0.21875"),
        (("quadratic", 0), "taker", "0"),
        (("quadratic", 2), "taker", "3.5"),
    ],
)
def test_the_formula_by_role_type_and_multiplier(schedule: Any, role: Any, model: str) -> None:
    """100 contracts at 0.50: 0.07, 0.0175 or 0.035 times multiplier x C x P x (1 - P), nothing for plain makers."""
    assert parts("0.50", 100, schedule, role=role, at=NOW).model == D(model)


@pytest.mark.parametrize(
    ("at", "member", "net"),
    [
        # 3.33 contracts at 0.333: model 0.0517749, cost 1.10889
        ("2026-03-08T23:59:59Z", "direct", "0.06111"),  # trade 0.06, cash 1.17
        ("2026-03-09T00:00:00Z", "direct", "0.06111"),  # trade 0.0518, cash 1.17
        ("2026-05-27T23:59:59Z", "direct", "0.06111"),
        ("2026-05-28T00:00:00Z", "direct", "0.05181"),  # trade 0.0518, cash 1.1607
        ("2026-05-28T00:00:00Z", "non-direct", "0.06111"),
        ("2026-08-29T23:59:59Z", "direct", "0.05181"),
        ("2026-08-30T00:00:00Z", "direct", "0.05181"),  # trade 0.051775, cash 1.1607
        ("2026-08-30T00:00:00Z", "non-direct", "0.06111"),
        (None, "direct", "0.05181"),
    ],
)
def test_every_era_s_net_fee(at: str | None, member: Any, net: str) -> None:
    """Balances in whole cents for all, then in $0.0001 for direct members."""
    assert kl.fee("0.333", "3.33", QUADRATIC, at=at, member=member) == D(net)


@pytest.mark.parametrize(
    ("at", "trade"),
    [
        ("2026-03-08T23:59:59Z", "0.06"),
        ("2026-03-09T00:00:00Z", "0.0518"),
        ("2026-08-29T23:59:59Z", "0.0518"),
        ("2026-08-30T00:00:00Z", "0.051775"),
        (datetime(2026, 8, 30, tzinfo=UTC), "0.051775"),
        (None, "0.051775"),
    ],
)
def test_every_era_s_trade_fee(at: Any, trade: str) -> None:
    """The formula rounded up to a cent, to $0.0001, to six decimals."""
    assert parts("0.333", "3.33", at=at).trade == D(trade)


def test_combo_makers_pay_since_20_august() -> None:
    """Makers in combos paid nothing before."""
    day_before = parts("0.50", 100, COMBOS, role="maker", at="2026-08-19T23:59:59Z")
    assert (day_before.model, day_before.net) == (0, 0)
    assert parts("0.50", 100, COMBOS, role="maker", at="2026-08-20").net == D("0.875")
    assert parts("0.50", 100, COMBOS, at="2026-08-19").net == D("1.75")


def test_a_sale_rounds_the_other_way() -> None:
    """A seller's proceeds are rounded down: 0.01 - 0.0007 leaves nothing of a cent, so the fee is the whole cent."""
    sold = parts("0.01", 1, action="sell", at="2026-05-08")
    assert (sold.cash, sold.net) == (0, D("0.01"))
    assert parts("0.01", 1, at="2026-05-08").cash == D("-0.02")


def test_the_accumulator_of_a_non_direct_member() -> None:
    """Three fills that each add 0.004 of rounding: the third gets 0.01 back and 0.002 is carried on (the exchange's own example)."""
    order = kl.OrderFees(("quadratic", D("0.8")), member="non-direct")
    fills = [order.add("0.50", 4) for _ in range(3)]
    assert [(fill.rounding, fill.rebate) for fill in fills] == [
        (D("0.004"), 0),
        (D("0.004"), 0),
        (D("0.004"), D("0.01")),
    ]
    assert [fill.net for fill in fills] == [D("0.06"), D("0.06"), D("0.05")]
    assert order.carried == D("0.002")


@pytest.mark.parametrize(
    ("price", "count", "multiplier", "nets"),
    [
        ("0.055", 1, "2.33", ["0.015", "0.005", "0.015"]),  # sub-cent prices, trade fee 0.0085
        ("0.50", "0.30", "0.78", ["0.01", "0", "0.01"]),  # fractions of contracts, trade fee 0.0041
        ("0.3301", "0.03", "1", ["0.010097", "0.000097", "0.000097"]),  # both, trade fee 0.0005
    ],
)
def test_the_exchange_s_tables_of_march(price: str, count: Any, multiplier: str, nets: list[str]) -> None:
    """Three equal fills each, as the fee-rounding page of 20 Mar 2026 works them out (its trade fees come from other multipliers)."""
    order = kl.OrderFees(("quadratic", D(multiplier)), member="non-direct")
    assert [order.add(price, count, at="2026-03-20").net for _ in nets] == [D(net) for net in nets]


def test_what_a_fill_cannot_give_back_is_kept() -> None:
    """A fill that costs less than a unit gets no rebate, whatever is carried: no part of a unit, and nothing below 0."""
    order = kl.OrderFees(("quadratic", 0), member="non-direct")
    fills = [order.add("0.336", 1) for _ in range(4)]
    assert [(fill.rounding, fill.rebate) for fill in fills] == [(D("0.004"), 0)] * 4
    assert order.carried == D("0.016")


def test_the_accumulator_gives_whole_units_back() -> None:
    """Takers' and makers' fills of one order share it; what exceeds a unit is given back in whole units and the rest carried."""
    order = kl.OrderFees(MAKERS, member="non-direct")
    first = order.add("0.73", 1, role="taker")
    assert (first.rounding, first.rebate, order.carried) == (D("0.006203"), 0, D("0.006203"))
    second = order.add("0.73", 1, role="maker")
    assert (second.rounding, second.rebate, second.net) == (D("0.00655"), D("0.01"), 0)
    assert order.carried == D("0.002753")
    assert order.net == D("0.02")
    assert second.cash == D("-0.73")


def test_direct_members_get_whole_cents_back_before_30_august_and_small_units_since() -> None:
    """Rebates were whole cents for everyone; now they follow the member's own precision."""
    for at, rounding, last in (("2026-08-29", "0.000097", "0"), ("2026-08-30", "0.000032", "0.0001")):
        order = kl.OrderFees(QUADRATIC)
        fills = [order.add("0.3301", "0.03", at=at) for _ in range(4)]
        assert {fill.rounding for fill in fills} == {D(rounding)}
        assert [fill.rebate for fill in fills] == [0, 0, 0, D(last)]
        assert order.carried == 4 * D(rounding) - D(last)


def test_exactly_one_unit_is_not_yet_given_back() -> None:
    """The rebate comes once the rounding fees exceed a unit, for a fill that could pay it too."""
    order = kl.OrderFees(("quadratic", D("0.5")), member="non-direct")
    fills = [order.add("0.50", 4) for _ in range(3)]
    assert [(fill.rounding, fill.net) for fill in fills] == [(D("0.005"), D(net)) for net in ("0.04", "0.04", "0.03")]
    assert order.carried == D("0.005")


def series(**fields: Any) -> kl.Series:
    return kl.Series.model_validate({"ticker": "KXA", "fee_type": "quadratic", "fee_multiplier": 1, **fields})


def event(**fields: Any) -> kl.Event:
    return kl.Event.model_validate({"event_ticker": "KXA-1", "series_ticker": "KXA", **fields})


def test_a_series_and_an_event_say_the_fees() -> None:
    """What the event overrides wins, what it leaves null is the series'."""
    assert kl.fee("0.50", 100, series()) == D("1.75")
    assert kl.fee("0.50", 100, series(fee_multiplier=0.5)) == D("0.875")
    assert kl.fee("0.50", 100, event(fee_type_override="quadratic", fee_multiplier_override=2)) == D("3.5")
    both = kl.FeeSchedule.of(series(), event=event(fee_multiplier_override=0))
    assert kl.fee("0.50", 100, both) == 0
    typed = kl.FeeSchedule.of(series(fee_multiplier=2), event=event(fee_type_override="quadratic_with_maker_fees"))
    assert kl.fee("0.50", 100, typed, role="maker") == D("0.875")
    assert kl.fee("0.50", 100, kl.FeeSchedule.of(series(), event=event())) == D("1.75")


CHANGES = [
    {"id": "1", "series_ticker": "KXA", "fee_type": "quadratic", "fee_multiplier": 0.5, "scheduled_ts": "2026-09-10T00:00:00Z"},
    {"id": "2", "series_ticker": "KXB", "fee_type": "quadratic", "fee_multiplier": 9, "scheduled_ts": "2026-09-11T00:00:00Z"},
    {
        "id": "3",
        "event_ticker": "KXA-1",
        "series_ticker": "KXA",
        "fee_type_override": "quadratic",
        "fee_multiplier_override": 0,
        "scheduled_ts": "2026-09-12T00:00:00Z",
    },
    {
        "id": "4",
        "event_ticker": "KXA-1",
        "series_ticker": "KXA",
        "fee_type_override": None,
        "fee_multiplier_override": None,
        "scheduled_ts": "2026-09-14T00:00:00Z",
    },
    {
        "id": "5",
        "event_ticker": "KXA-2",
        "series_ticker": "KXA",
        "fee_type_override": "flat",
        "fee_multiplier_override": 1,
        "scheduled_ts": "2026-09-01T00:00:00Z",
    },
]  # fmt: skip
DATES = ["2026-09-09T23:59:59Z", "2026-09-10", "2026-09-11", "2026-09-12", "2026-09-14"]


def test_scheduled_changes_apply_from_their_time_on() -> None:
    """Those of the series and of the event, each at its moment; null takes an override away; other tickers are passed over."""
    schedule = kl.FeeSchedule.of(series(), event=event(), changes=reversed(CHANGES))
    fees = [kl.fee("0.50", 100, schedule, at=at) for at in DATES]
    assert fees == [D("1.75"), D("0.875"), D("0.875"), 0, D("0.875")]
    alone = kl.FeeSchedule.of(series(), changes=CHANGES)
    assert [kl.fee("0.50", 100, alone, at=at) for at in DATES] == [D("1.75"), *[D("0.875")] * 4]


def test_changes_may_be_objects() -> None:
    """Rows need not be dicts."""

    class Row:
        series_ticker, fee_type, fee_multiplier = "KXA", "quadratic", 3
        scheduled_ts = datetime(2026, 9, 10, tzinfo=UTC)

    schedule = kl.FeeSchedule.of(series(), changes=[Row()])
    assert [schedule.terms(at)[1] for at in DATES[:2]] == [1, 3]


def test_a_schedule_read_after_a_change_says_nothing_about_before() -> None:
    """With history in the changes, the series as read holds from the last past change on; before the first nothing is known."""
    schedule = kl.FeeSchedule.of(series(fee_multiplier=0.5), changes=CHANGES, read="2026-09-20")
    assert schedule.terms("2026-09-10") == ("quadratic", D("0.5"))
    with pytest.raises(kl.UsageError, match="not known before 2026-09-10"):
        schedule.terms("2026-09-09")
    assert kl.FeeSchedule.of(series(), read="2026-09-20").terms("2020-01-01") == ("quadratic", 1)


def test_a_waiver_takes_the_fee_until_it_ends() -> None:
    """No fee before `fee_waiver_expiration_time`, the whole fee from it on; cash still moves in the balance's units."""
    market = kl.Market.model_validate({"ticker": "KXA-1-B", "fee_waiver_expiration_time": "2026-09-10T12:00:00Z"})
    schedule = kl.FeeSchedule.of(series(), market=market)
    assert kl.fee("0.50", 100, schedule, at="2026-09-10T11:59:59Z") == 0
    assert kl.fee("0.50", 100, schedule, at="2026-09-10T12:00:00Z") == D("1.75")
    assert kl.fee("0.50", 100, kl.FeeSchedule.of(series(), market=kl.Market(ticker="KXA-1-C"))) == D("1.75")


@pytest.mark.parametrize(
    "schedule",
    [
        kl.FeeSchedule.of(series(), changes=CHANGES),
        kl.FeeSchedule.of(series(), market=kl.Market(ticker="A", fee_waiver_expiration_time="2026-09-10T12:00:00Z")),
    ],
    ids=["changes", "waiver"],
)
def test_a_schedule_that_changes_needs_a_time(schedule: kl.FeeSchedule) -> None:
    """Without `at` nothing is guessed."""
    with pytest.raises(kl.UsageError, match="Say when the fill is"):
        kl.fee("0.50", 1, schedule)


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        (("flat", 1), "no published formula"),
        (("quadratic_with_makers_fees", 1), "Did you mean 'quadratic_with_maker_fees'"),
        (("margin_market_maker_program_fees", 1), "unknown fee type"),
        (("quadratic", None), "says no fee multiplier"),
        (("quadratic", -1), "fee multiplier '-1'"),
        (("quadratic", float("nan")), "fee multiplier 'nan'"),
        (("quadratic", True), "fee multiplier 'True'"),
        (series(fee_type="flat"), "no published formula"),
        (series(fee_type=None), "says no fee type"),
        (event(), "says no fee type"),
        ("quadratic", "a str says no fees"),
        (None, "a NoneType says no fees"),
    ],
)
def test_a_schedule_that_is_not_known_is_refused(schedule: Any, said: str) -> None:
    """Types without a formula, new words, missing and impossible multipliers: a clear error, never a guess."""
    with pytest.raises(kl.UsageError, match=said):
        kl.fee("0.50", 1, schedule)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"price": 0.5}, "not float"),
        ({"price": 50}, "whole number"),
        ({"price": "0"}, "not above 0"),
        ({"price": "1"}, "below 1"),
        ({"price": "0.1234567"}, "at most 6 decimals"),
        ({"count": 0}, "no fill"),
        ({"count": "-1"}, "no fill"),
        ({"count": "0.001"}, "at most 2 decimals"),
        ({"count": 1.5}, "not float"),
        ({"role": "makr"}, "Did you mean 'maker'"),
        ({"action": "sel"}, "Did you mean 'sell'"),
        ({"member": "direkt"}, "Did you mean 'direct'"),
        ({"at": datetime(2026, 9, 1)}, "has no time zone"),  # noqa: DTZ001 - that is the point
        ({"at": "7d"}, "is no time"),
        ({"at": "tomorrow"}, "is no time"),
    ],
)
def test_bad_input_is_refused(bad: dict[str, Any], said: str) -> None:
    """What was wrong and what is allowed."""
    asked = {"price": "0.50", "count": 1, "schedule": QUADRATIC, **bad}
    with pytest.raises(kl.UsageError, match=said):
        kl.fee(**asked)


def test_schedules_and_fees_show_what_they_are() -> None:
    """One line each."""
    market = kl.Market(ticker="A", fee_waiver_expiration_time="2026-09-10T12:00:00Z")
    schedule = kl.FeeSchedule.of(series(), event=event(fee_type_override="quadratic"), market=market)
    said = "series quadratic x 1.0, event quadratic x None, waived until 2026-09-10T12:00:00+00:00"
    assert repr(schedule) == f"<FeeSchedule {said}>"
    assert repr(parts("0.055", 1)) == "<Fee 0.003700 = trade 0.003639 + rounding 0.000061 - rebate 0>"
    order = kl.OrderFees(QUADRATIC)
    order.add("0.055", 1)
    assert repr(order) == "<OrderFees 0.003700 so far, 0.000061 carried>"


PRICES = st.integers(1, 9999).map(lambda units: D(units).scaleb(-4))
COUNTS = st.integers(1, 10**7).map(lambda units: D(units).scaleb(-2))
TYPES = st.sampled_from(["quadratic", "quadratic_with_maker_fees", "quadratic_with_combo_maker_fees"])
MULTIPLIERS = st.integers(0, 400).map(lambda units: D(units).scaleb(-2))
HOW = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["taker", "maker"]),
        "at": st.sampled_from(["2026-01-01", "2026-04-01", "2026-07-01", "2026-09-20", None]),
        "action": st.sampled_from(["buy", "sell"]),
        "member": st.sampled_from(["direct", "non-direct"]),
    }
)


def unit_of(how: dict[str, Any]) -> Decimal:
    moment = datetime.fromisoformat(how["at"]).replace(tzinfo=UTC) if how["at"] else ERAS[-1].start
    return next(era for era in reversed(ERAS) if era.start <= moment).balance[how["member"]]


@given(PRICES, COUNTS, TYPES, MULTIPLIERS, HOW)
def test_of_one_fill(price: Decimal, count: Decimal, kind: str, multiplier: Decimal, how: dict[str, Any]) -> None:
    """The fee is at least the formula's, cash lands on the balance's units and loses less than one, the formula takes P and 1 - P alike."""
    one = parts(price, count, (kind, multiplier), **how)
    assert one.net >= one.trade >= one.model >= 0
    assert one.rebate == 0
    assert one.cash % unit_of(how) == 0
    assert 0 <= one.rounding < unit_of(how)
    assert one.cash == (-1 if how["action"] == "buy" else 1) * price * count - one.net
    assert parts(1 - price, count, (kind, multiplier), **how).model == one.model


@given(PRICES, COUNTS, TYPES, st.tuples(MULTIPLIERS, MULTIPLIERS), HOW)
def test_a_higher_multiplier_never_costs_less(
    price: Decimal, count: Decimal, kind: str, two: tuple[Decimal, Decimal], how: dict[str, Any]
) -> None:
    """Fees grow with the multiplier; takers pay at least what makers do."""
    low, high = sorted(two)
    assert kl.fee(price, count, (kind, low), **how) <= kl.fee(price, count, (kind, high), **how)
    sides = [kl.fee(price, count, (kind, low), **{**how, "role": role}) for role in ("maker", "taker")]
    assert sides[0] <= sides[1]


@given(st.integers(1, 99), st.lists(st.integers(1, 500), min_size=1, max_size=8), TYPES, MULTIPLIERS, HOW)
def test_an_order_costs_what_one_fill_of_it_would(
    cents: int, counts: list[int], kind: str, multiplier: Decimal, how: dict[str, Any]
) -> None:
    """At whole cents and contracts an order's fills cost at most one rebate unit more than a single fill, and never less."""
    assume(how["at"] != "2026-01-01")  # whole-cent trade fees are rounded fill by fill, and nothing is given back
    price, order = D(cents).scaleb(-2), kl.OrderFees((kind, multiplier), action=how["action"], member=how["member"])
    fills = [order.add(price, count, role=how["role"], at=how["at"]) for count in counts]
    single = kl.fee(price, sum(counts), (kind, multiplier), **how)
    unit = D("0.01") if how["at"] in {"2026-04-01", "2026-07-01"} else unit_of(how)
    assert order.net == sum(fill.net for fill in fills)
    assert single <= order.net <= single + unit


@given(
    st.lists(st.tuples(PRICES, COUNTS, st.sampled_from(["taker", "maker"])), min_size=1, max_size=8),
    TYPES,
    MULTIPLIERS,
    HOW,
)
def test_of_any_order(
    fills: list[tuple[Decimal, Decimal, Any]], kind: str, multiplier: Decimal, how: dict[str, Any]
) -> None:
    """No fill's fee is negative, cash stays on the balance's units, and what was taken for rounding is carried or given back, whole."""
    order = kl.OrderFees((kind, multiplier), action=how["action"], member=how["member"])
    found = [order.add(price, count, role=role, at=how["at"]) for price, count, role in fills]
    assert all(fill.net >= 0 and fill.cash % unit_of(how) == 0 for fill in found)
    assert sum(fill.rounding for fill in found) == order.carried + sum(fill.rebate for fill in found)
    assert order.carried >= 0
    assert order.net == sum(fill.net for fill in found)
