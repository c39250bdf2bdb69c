"""Each check by itself: a situation that passes it, one that fails it, and one that lacks its data."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from kalshi_lab.errors import UsageError
from kalshi_lab.fees import FeeSchedule
from kalshi_lab.models import Market, Orderbook
from kalshi_lab.models.exchange import ExchangeStatus, ShardStatus
from kalshi_lab.trading import checks
from kalshi_lab.trading.limits import Limits
from kalshi_lab.trading.situation import Counters, Proposal, Situation, refused

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
CENTS = [{"start": "0.00", "end": "1.00", "step": "0.01"}]
BUY_YES = Proposal("KXA-1", "bid", Decimal(10), Decimal("0.42"))
BUY_NO = Proposal("KXA-1", "ask", Decimal(10), Decimal("0.70"))  # buying NO at 0.30


def market(**words: Any) -> Market:
    given = {"ticker": "KXA-1", "status": "active", "price_ranges": CENTS, "exchange_index": 0, **words}
    return Market.model_validate(given)


def status(**words: Any) -> ExchangeStatus:
    return ExchangeStatus.model_validate({"exchange_active": True, "trading_active": True, **words})


def book(bid: str | None, ask: str | None, contracts: str = "50") -> Orderbook:
    """A book of two levels on each side, a cent apart."""
    step, held = Decimal("0.01"), Decimal(contracts)
    bids = () if bid is None else ((Decimal(bid), held), (Decimal(bid) - step, held))
    offers = () if ask is None else ((1 - Decimal(ask), held), (1 - Decimal(ask) - step, held))
    return Orderbook("KXA-1", bids, offers)


def good(own: Proposal = BUY_YES) -> Situation:
    quotes = book("0.40", "0.42") if own.side == "bid" else book("0.69", "0.71")
    return Situation(
        own, NOW, killed=False, market=market(close_time=NOW + timedelta(hours=1)), book=quotes, status=status(),
        fees=FeeSchedule.of(("quadratic", 1)), position=Decimal(0), resting_bids=Decimal(0), resting_asks=Decimal(0), loss=Decimal(0),
        day=Counters(),
    )  # fmt: skip


TIGHT = Limits()
FAILING: dict[str, list[tuple[dict[str, Any], Limits]]] = {
    "kill_switch": [({"killed": True}, TIGHT)],
    "market_open": [
        ({"market": market(status="inactive")}, TIGHT),
        ({"market": market(status="")}, TIGHT),
        ({"market": market(close_time=NOW)}, TIGHT),
        ({"status": status(trading_active=False)}, TIGHT),
        ({"status": status(exchange_active=False)}, TIGHT),
        ({"status": status(exchange_active=None)}, TIGHT),
    ],
    "price_grid": [
        ({"market": market(price_ranges=[{"start": "0", "end": "1", "step": "0.05"}])}, TIGHT),
        ({"market": market(price_ranges=None)}, TIGHT),
    ],
    "size": [
        ({}, Limits(contracts="9.99")),
        ({"proposal": replace(BUY_YES, count=Decimal(0))}, TIGHT),
        ({"proposal": replace(BUY_YES, count=Decimal("0.005"))}, TIGHT),
    ],
    "order_risk": [({}, Limits(order_risk="4.37")), ({"fees": FeeSchedule.of(("flat", 1))}, TIGHT)],
    "day_risk": [({"day": Counters(risk=Decimal("195.63"))}, TIGHT), ({"fees": FeeSchedule.of(("flat", 1))}, TIGHT)],
    "day_loss": [({"loss": Decimal(50)}, TIGHT), ({"loss": Decimal("0.01")}, Limits(day_loss=0))],
    "day_orders": [({"day": Counters(orders=25)}, TIGHT), ({}, Limits(day_orders=0))],
    "position": [
        ({"position": Decimal("90.01")}, TIGHT),
        ({"position": Decimal(50), "resting_bids": Decimal(41)}, TIGHT),
        ({"position": Decimal(50), "day": Counters(bought=Decimal(41))}, TIGHT),
    ],
    "deviation": [({"book": book("0.20", "0.22")}, TIGHT), ({"book": book("0.40", None)}, TIGHT)],
    "slippage": [({"book": book("0.36", "0.38", "5")}, Limits(slippage="0.01"))],
    "liquidity": [
        ({"book": book("0.30", "0.42")}, TIGHT),
        ({"book": book("0.40", "0.42", "0.50")}, TIGHT),
        ({"book": book(None, "0.42")}, TIGHT),
    ],
}
NEEDS = {
    "kill_switch": ("killed",), "market_open": ("market", "status"), "price_grid": ("market",), "order_risk": ("fees",),
    "day_risk": ("fees", "day"), "day_loss": ("loss",), "day_orders": ("day",), "deviation": ("book",), "slippage": ("book",),
    "position": ("position", "resting_bids", "resting_asks", "day"), "liquidity": ("book",),
}  # fmt: skip
JUDGES = {one.__name__: one for one in checks.CHECKS}


def test_every_check_stands_in_these_tables() -> None:
    assert set(JUDGES) == set(FAILING) == set(NEEDS) | {"size"}


@pytest.mark.parametrize("own", [BUY_YES, BUY_NO], ids=lambda own: own.buys)
@pytest.mark.parametrize("name", JUDGES)
def test_a_sound_order_passes_each_check(name: str, own: Proposal) -> None:
    """EX-2, EX-3, EX-4: what is within its limits and fully known is let through, on either side."""
    verdict = JUDGES[name](good(own), TIGHT)
    assert verdict.passed, verdict
    assert verdict.name == name


@pytest.mark.parametrize(("name", "number"), [(name, n) for name, cases in FAILING.items() for n in range(len(cases))])
def test_each_check_refuses_what_is_beyond_its_limit_and_nothing_else_does(name: str, number: int) -> None:
    """EX-2, EX-4 ⚠: size, risk, loss, position, deviation, slippage, liquidity and an open market are each enforced."""
    changes, limits = FAILING[name][number]
    verdict = JUDGES[name](replace(good(), **changes), limits)
    assert not verdict.passed, verdict
    assert verdict.why


@pytest.mark.parametrize(("name", "lacks"), [(name, need) for name, needs in NEEDS.items() for need in needs])
def test_a_check_without_its_data_fails_closed_and_names_what_it_lacks(name: str, lacks: str) -> None:
    """EX-4 ⚠: a check is never skipped for lack of data."""
    verdict = JUDGES[name](replace(good(), **{lacks: None}, missing={lacks: "the wire was cut"}), TIGHT)
    assert not verdict.passed
    assert f"{lacks}: the wire was cut" in verdict.why


LIMITED = {
    "order_risk": "order_risk", "day_risk": "day_risk", "day_loss": "day_loss", "day_orders": "day_orders", "position": "position",
    "deviation": "deviation", "slippage": "slippage",
}  # fmt: skip


@pytest.mark.parametrize(("name", "limit"), LIMITED.items())
def test_a_limit_of_none_asks_for_no_data_and_the_others_stay(name: str, limit: str) -> None:
    """EX-4: what is not to be limited is said in so many words, by None."""
    bare = Situation(BUY_YES, NOW)
    assert JUDGES[name](bare, Limits(**{limit: None})).passed
    assert not all(one.passed for one in checks.judged(bare, Limits(**{limit: None})))


def test_buying_no_is_an_ask_whose_risk_and_deviation_are_those_of_the_no_price() -> None:
    """EX-2 ⚠: NO at 0.30 is an ask at YES 0.70; it can lose 10 x 0.30 and its fee, and is judged by the mid of NO."""
    there = good(BUY_NO)
    assert (BUY_NO.buys, BUY_NO.own_price, BUY_NO.change) == ("no", Decimal("0.30"), Decimal(-10))
    assert checks.risk(there) == Decimal("3.15")  # 3.00 and a fee of 0.147, in whole cents
    far = replace(there, book=book("0.29", "0.31"))  # NO stands at 0.70, so 0.30 is far off, although YES is "0.30"
    assert not JUDGES["deviation"](far, TIGHT).passed
    assert JUDGES["deviation"](there, TIGHT).passed


def test_slippage_is_that_of_the_real_limit_and_size() -> None:
    """EX-4 ⚠: an order that rests slips by nothing; one that takes is judged by the levels within its limit alone."""
    steep = Orderbook(
        "KXA-1", ((Decimal("0.38"), Decimal(9)),), ((Decimal("0.60"), Decimal(5)), (Decimal("0.50"), Decimal(99)))
    )
    resting = replace(good(), book=steep, proposal=replace(BUY_YES, price=Decimal("0.39")))
    within = replace(good(), book=steep, proposal=replace(BUY_YES, price=Decimal("0.40")))
    beyond = replace(good(), book=steep, proposal=replace(BUY_YES, price=Decimal("0.50")))
    maker = replace(beyond, proposal=replace(beyond.proposal, rests_only=True))
    verdicts = [JUDGES["slippage"](one, TIGHT).passed for one in (resting, within, beyond, maker)]
    assert verdicts == [True, True, False, True]  # 5 at 0.40 and 5 at 0.50 are 0.45 on average: 12.5 % above 0.40


def test_what_closes_is_not_held_to_the_position_and_risks_its_fee() -> None:
    """EX-4: the way out of a position that is too large stays open."""
    way_out = replace(good(), position=Decimal(-500))
    assert JUDGES["position"](way_out, TIGHT).passed
    only_closes = replace(good(), position=Decimal(500), proposal=replace(BUY_NO, price=Decimal("0.41"), reduces=True))
    assert JUDGES["position"](only_closes, TIGHT).passed
    assert checks.risk(only_closes) == Decimal("0.17")


def test_an_amendment_adds_to_the_day_only_what_it_is_more() -> None:
    larger = replace(
        good(), proposal=replace(BUY_YES, verb="amend", replaces=Decimal(8), replaced_price=Decimal("0.42"))
    )
    smaller = replace(
        good(), proposal=replace(BUY_YES, verb="amend", replaces=Decimal(50), replaced_price=Decimal("0.42"))
    )
    assert checks.added(larger) == checks.risk(good()) - Decimal("3.36")
    assert checks.added(smaller) == 0


def test_a_refusal_names_every_reason() -> None:
    """EX-1: all checks are judged, and all that failed are named, in words and by name."""
    verdicts = checks.judged(replace(good(), killed=True, market=None, missing={"market": "timed out"}), TIGHT)
    error = refused(verdicts, "an order")
    assert error.reasons == ("kill_switch", "market_open", "price_grid")
    assert "timed out" in str(error)


@pytest.mark.parametrize("value", [0.1, True, "ten", "-1", "NaN", Decimal("Infinity")])
def test_limits_are_exact_or_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="deviation"):
        Limits(deviation=value)


def test_a_shard_that_stands_still_is_not_open() -> None:
    """EX-4 ⚠: whether a market is open is asked of its own shard too."""
    halted = status(
        exchange_index_statuses=(ShardStatus(exchange_index=2, exchange_active=True, trading_active=False),)
    )
    there = replace(good(), status=halted)
    assert JUDGES["market_open"](there, TIGHT).passed
    assert not JUDGES["market_open"](replace(there, market=market(exchange_index=2)), TIGHT).passed
