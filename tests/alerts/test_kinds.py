"""Each kind of condition: what it says of what is seen, what it remembers, and that its text brings it back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

import kalshi_lab as kl
from kalshi_lab.alerts.conditions import Condition, from_text
from kalshi_lab.alerts.kinds import KINDS
from kalshi_lab.alerts.seen import Judged, Quote, Seen
from kalshi_lab.errors import UsageError

T, U = "KXA-1", "KXB-2"
NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)
EVERY = [
    kl.above(T, 0.62), kl.below(T, 0.62), kl.crosses(T, 0.5, direction="up"), kl.moves(T, 0.05, within="15m"),
    kl.spread_above(T, 0.04), kl.volume_above(T, 1000), kl.volume_rate_above(T, 500, per="10m"), kl.settles(T),
    kl.edge_above(T, 0.05, probability=0.7), kl.edge_above(T, 0.05, thesis="fed"), kl.arbitrage_appears("KXA-26"),
    kl.market_listed("KXA"), kl.sentiment_shifts("KXA-26", 0.3), kl.evidence_against("fed", at_least=2),
    kl.data_stale("quotes", after="30m"), kl.above(T, 0.5) & ~kl.below(U, 0.2) | kl.settles(T), kl.above("KXA-*", 0.9),
]  # fmt: skip


def quote(bid: Any = None, ask: Any = None, ticker: str = T, **more: Any) -> Quote:
    return Quote(ticker, *(None if one is None else Decimal(one) for one in (bid, ask)), **more)


def seen(*quotes: Quote, after: float = 0, facts: Any = None, margin: str = "0") -> Seen:
    return Seen({one.ticker: one for one in quotes}, NOW + timedelta(seconds=after), facts or {}, Decimal(margin))


def walk(condition: Condition, *moments: Seen) -> list[bool | None]:
    past, found = None, []
    for moment in moments:
        judged: Judged = condition.judge(moment, past)
        past = judged.past
        found.append(judged.holds)
    return found


@pytest.mark.parametrize("condition", EVERY, ids=str)
def test_its_text_brings_it_back(condition: Condition) -> None:
    """AL-1: every kind is kept as text and read again as the same condition."""
    assert from_text(condition.text) == condition
    assert from_text(condition.text).text == condition.text
    assert str(condition)
    assert condition.kind in KINDS


def test_every_kind_is_tried() -> None:
    """The table of kinds and the list of this module name the same."""
    assert {one.kind for one in EVERY} | {"all", "any", "not"} == set(KINDS)


@pytest.mark.parametrize("condition", [one for one in EVERY if one.kind != "data_stale"], ids=str)
def test_nothing_seen_is_nothing_known(condition: Condition) -> None:
    """Without a market, a real quote or a fact, no kind holds and none denies it."""
    assert condition.judge(seen()).holds is None
    if condition.tickers and condition.kind not in {"any", "settles"}:
        assert condition.judge(seen(quote("0", "1"), quote("0", "1", U))).holds is None, "an empty side is no price"


def test_crossing_needs_the_look_before() -> None:
    """AL-1: the side is remembered between looks, a mid on the price changes nothing, and a broken quote forgets nothing."""
    up = kl.crosses(T, 0.5, direction="up")
    moments = [
        quote("0.40", "0.42"),
        quote("0.49", "0.51"),
        quote("0", "1"),
        quote("0.52", "0.54"),
        quote("0.60", "0.62"),
        quote("0.3", "0.4"),
    ]
    assert walk(up, *map(seen, moments)) == [False, False, None, True, False, False]
    assert walk(kl.crosses(T, 0.5), *map(seen, moments)) == [False, False, None, True, False, True]


def test_a_move_is_measured_within_its_time() -> None:
    """AL-1: from the lowest or the highest mid of the time before, whichever is further."""
    condition = kl.moves(T, 0.05, within="60s")
    steps = [("0.40", 0), ("0.43", 20), ("0.45", 40), ("0.46", 70), ("0.42", 80), ("0.50", 200), ("0.45", 230)]
    moments = [seen(quote(bid, Decimal(bid) + Decimal("0.02")), after=after) for bid, after in steps]
    assert walk(condition, *moments) == [False, False, True, False, False, False, True]


def test_spread_and_volume() -> None:
    """AL-1: a spread is of a real quote; volumes are of the market's life, or of a time by the looks had in it."""
    assert kl.spread_above(T, 0.04).holds({T: quote("0.40", "0.45")}) is True
    assert kl.spread_above(T, 0.05).holds({T: quote("0.40", "0.45")}) is False
    assert kl.volume_above(T, 100).holds({T: quote(volume=Decimal(101))}) is True
    assert kl.volume_above(T, 100).holds({T: quote(volume=Decimal(100))}) is False
    looks = [("100", 0), ("120", 30), ("190", 59), ("250", 90), ("251", 300)]
    moments = [seen(quote(volume=Decimal(volume)), after=after) for volume, after in looks]
    assert walk(kl.volume_rate_above(T, 80, per="60s"), *moments) == [False, False, True, True, False]


def test_an_edge_is_on_the_side_that_can_be_traded() -> None:
    """AL-1: edge is the probability less the ask, or the bid less the probability: by a number, or by what a thesis holds now."""
    mine = kl.edge_above(T, 0.05, probability=0.70)
    assert [
        mine.holds({T: quote(*sides)})
        for sides in (("0.60", "0.65"), ("0.60", "0.66"), ("0.75", "0.80"), ("0.70", "0.72"))
    ] == [True, False, True, False]
    held = kl.edge_above(T, 0.05, thesis="fed")
    assert held.judge(seen(quote("0.60", "0.65"), facts={("probability", "fed"): {T: Decimal("0.70")}})).holds is True
    assert held.judge(seen(quote("0.60", "0.65"), facts={("probability", "fed"): {U: Decimal("0.70")}})).holds is None


def test_facts_decide_the_wider_ones() -> None:
    """AL-1: arbitrage, new markets, news, evidence and stale data, each by its fact; what is new is new since the look before."""
    assert walk(
        kl.arbitrage_appears("KXA-26"), *(seen(facts={("arbitrage", "KXA-26"): Decimal(n)}) for n in ("0", "1.5"))
    ) == [False, True]
    listed = [frozenset({"KXA-1"}), frozenset({"KXA-1", "KXA-2"}), frozenset({"KXA-2"}), frozenset({"KXA-1", "KXA-2"})]
    assert walk(kl.market_listed("KXA"), *(seen(facts={("listed", "KXA"): one}) for one in listed)) == [
        False,
        True,
        False,
        False,
    ]
    shift = kl.sentiment_shifts("KXA-26", 0.3)
    assert walk(
        shift, *(seen(facts={("sentiment", "KXA-26", "604800"): one}) for one in ((0.1, 0.3), (0.4, 0.0), (0.4, None)))
    ) == [False, True, None]
    counts = [1, 2, 3, 3, 5]
    assert walk(kl.evidence_against("fed", at_least=2), *(seen(facts={("evidence", "fed"): n}) for n in counts)) == [
        False,
        False,
        True,
        False,
        True,
    ]
    stale = kl.data_stale("quotes", after="30m")
    assert walk(stale, *(seen(after=after, facts={("held", "quotes"): NOW}) for after in (1800, 1801))) == [False, True]


def test_a_result_settles() -> None:
    """AL-1: a market settles when it has its result; before, and of an unknown one, it has not."""
    states = [
        quote(),
        quote(status="active", result=""),
        quote(status="determined", result="yes"),
        quote(status="finalized", result="no"),
    ]
    assert [kl.settles(T).holds({T: one}) for one in states] == [None, False, True, True]


def test_what_is_unknown_stays_so() -> None:
    """The logic of three values: unknown and False is False, unknown or True is True, and the rest is unknown."""
    yes, no, open_ = kl.above(T, 0.1), kl.below(T, 0.1), kl.above(U, 0.5)
    markets = {T: quote("0.40", "0.42")}
    cases = {
        yes & open_: None,
        no & open_: False,
        yes | open_: True,
        no | open_: None,
        ~open_: None,
        ~yes: False,
        ~no: True,
        ~(no | open_): None,
    }
    assert {str(one): one.holds(markets) for one in cases} == {str(one): wanted for one, wanted in cases.items()}


def test_a_margin_eases_and_is_turned_by_not() -> None:
    """Hysteresis: above 0.62 with a margin of 0.02 holds down to 0.60; its opposite ceases only above 0.64."""
    near = seen(quote("0.60", "0.62"), margin="0.02")
    assert kl.above(T, 0.62).judge(near).holds is True
    assert (~kl.above(T, 0.60)).judge(near).holds is True
    assert (~kl.above(T, 0.60)).judge(seen(quote("0.60", "0.62"))).holds is False


def test_patterns_name_a_series() -> None:
    """A pattern is about each market of a series by itself; a star alone would be about the whole exchange."""
    condition = kl.above("KXA-26*", 0.9) & kl.spread_above("KXA-26*", 0.02)
    assert (condition.pattern, condition.tickers) == ("KXA-26*", ())
    assert condition.bound("KXA-26-B1").tickers == ("KXA-26-B1",)
    for wrong in ("*", "KX*", "*-26", "KXA*", "kxa-*"):
        with pytest.raises(UsageError, match="ticker"):
            kl.above(wrong, 0.5)
    with pytest.raises(UsageError, match="one pattern"):
        _ = kl.above("KXA-*", 0.5) & kl.above("KXB-*", 0.5)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: kl.crosses(T, 0.5, direction="sideways"), "direction"),
        (lambda: kl.moves(T, 0.05, within="90d"), "within"),
        (lambda: kl.moves(T, 5), "between 0 and 1"),
        (lambda: kl.volume_above(T, -1), "contracts"),
        (lambda: kl.edge_above(T, 0.05), "one probability"),
        (lambda: kl.edge_above(T, 0.05, probability=0.5, thesis="fed"), "one probability"),
        (lambda: kl.evidence_against("fed", at_least=0), "at_least"),
        (lambda: kl.evidence_against(" "), "name of a thesis"),
        (lambda: kl.data_stale("quote"), "quotes"),
        (lambda: kl.sentiment_shifts("KXA-26", 3), "at most 2"),
        (lambda: kl.above(T, 0.5) & "KXA-1 above 0.5", "no condition"),  # type: ignore[operator]
    ],
)
def test_what_cannot_be_is_refused(make: Any, said: str) -> None:
    """A condition that could never hold, or means two things, is an error that says what is allowed."""
    with pytest.raises(UsageError, match=said):
        make()
