"""A thesis is written down with the prices of its moment, and nothing unclear gets in."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from tests.research.desk import Desk, Exchange

A, B = "KXA-1", "KXB-2"


def test_keeps_the_quotes_of_its_moment(desk: Desk, exchange: Exchange) -> None:
    """One listing request reads all its markets; bid, ask and last price are kept exactly and stay when the price moves."""
    exchange.quote(A, "0.4000", "0.4200", last_price_dollars="0.4100")
    exchange.quote(B, "0.000000", "0.930001")
    made = desk.thesis("two questions", tickers=[A, B], probability={A: 0.62, B: "0.05"}, because="a model says so")
    assert [query["tickers"] for query in exchange.asked("/markets")] == [f"{A},{B}"]
    assert (made.version, made.status, made.because) == (1, "active", "a model says so")
    assert made.created_at == made.time == desk.clock.now()
    exchange.quote(A, "0.8000", "0.8200")
    desk.later(hours=1)
    again = desk.thesis("two questions")
    first, second = again.markets
    assert (first.yes_bid, first.yes_ask, first.last_price) == (Decimal("0.4"), Decimal("0.42"), Decimal("0.41"))
    assert (first.entry, first.now_bid, first.now_ask) == (Decimal("0.41"), Decimal("0.8"), Decimal("0.82"))
    assert (second.yes_bid, second.yes_ask, second.entry) == (Decimal(0), Decimal("0.930001"), None)
    assert [market.probability for market in again.markets] == [Decimal("0.62"), Decimal("0.05")]
    assert again.version == 1, "looking changes nothing"


def test_a_change_of_mind_is_a_version(desk: Desk, exchange: Exchange) -> None:
    """Writing again under the same name adds a version with new prices; the first version stays in the store."""
    exchange.quote(A, "0.4000", "0.4200")
    start = desk.clock.now()
    desk.thesis("mind", tickers=A, probability=0.6, because="first reason")
    exchange.quote(A, "0.5000", "0.5200")
    desk.later(days=1)
    second = desk.thesis("  mind ", tickers=A, probability=Decimal("0.7"))
    assert (second.version, second.because, second.created_at) == (2, "first reason", start)
    assert second.markets[0].entry == Decimal("0.51")
    kept = desk.table("thesis_markets").sort("version")
    assert kept.get_column("yes_bid").to_list() == [Decimal("0.4"), Decimal("0.5")]
    assert kept.get_column("probability").to_list() == [Decimal("0.6"), Decimal("0.7")]


@pytest.mark.parametrize("value", [0, 1, "0", 0.0, Decimal(1), 0.30000000000000004])
def test_the_ends_are_probabilities(desk: Desk, exchange: Exchange, value: Any) -> None:
    """0 and 1 are values like any other, and a float's noise is no error."""
    exchange.quote(A, "0.4000", "0.4200")
    made = desk.thesis("ends", tickers=A, probability=value, because="sure")
    assert made.markets[0].probability == round(Decimal(str(value)), 6)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (62, r"probability 62 is not between 0 and 1\. Did you mean 0\.62\?"),
        ("62.5", r"Did you mean 0\.625\?"),
        (-0.1, "probability -0.1 is not between 0 and 1"),
        (float("nan"), "no number"),
        (float("inf"), "no number"),
        ("62%", "no number"),
        (True, "no number"),
        ({A: 62}, r"Did you mean 0\.62\?"),
        ({B: 0.5}, "unknown ticker in probability= 'KXB-2'. Did you mean 'KXA-1'\\? Allowed: KXA-1"),
        ({}, "says nothing of KXA-1"),
    ],
)
def test_a_wrong_probability_is_refused(desk: Desk, exchange: Exchange, value: Any, said: str) -> None:
    """What is no probability is refused before anything is asked or written, with the number that was meant."""
    exchange.quote(A, "0.4000", "0.4200")
    with pytest.raises(UsageError, match=said):
        desk.thesis("wrong", tickers=[A], probability=value, because="typo")
    assert exchange.requests == []
    assert desk.theses().is_empty()


@pytest.mark.parametrize("name", ["", "   ", "a" * 65, "a/b", "a\nb\x00", "<b>", None, 7])
def test_a_wrong_name_is_refused(desk: Desk, name: Any) -> None:
    """A name has 1 to 64 letters, digits, spaces, dashes and underscores."""
    with pytest.raises(UsageError, match="cannot be the name"):
        desk.thesis(name, tickers=A, probability=0.5, because="x")


def test_what_goes_together(desk: Desk, exchange: Exchange) -> None:
    """Half a thesis is refused: no reason, no probability, no ticker, a status that only results give."""
    exchange.quote(A, "0.4000", "0.4200")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"tickers": A, "probability": 0.5}, "needs a reason"),
        ({"tickers": A, "probability": 0.5, "because": "  "}, "needs a reason"),
        ({"tickers": A, "because": "x"}, "go together"),
        ({"probability": 0.5, "because": "x"}, "go together"),
        ({"tickers": [], "probability": 0.5, "because": "x"}, "0 tickers"),
        ({"tickers": "not a ticker", "probability": 0.5, "because": "x"}, "malformed"),
        ({"tickers": A, "probability": 0.5, "because": "x", "status": "resolved"}, "written down as active"),
        ({"because": "only a reason"}, "there is no thesis 'half', nor any other"),
    ]
    for given, said in cases:
        with pytest.raises(UsageError, match=said):
            desk.thesis("half", **given)
    assert desk.theses().is_empty()


def test_a_name_that_is_not_kept(desk: Desk, exchange: Exchange) -> None:
    """Asking for a thesis that does not exist names the nearest one that does."""
    exchange.quote(A, "0.4000", "0.4200")
    desk.thesis("fed cut in december", tickers=A, probability=0.5, because="x")
    with pytest.raises(UsageError, match="Did you mean 'fed cut in december'"):
        desk.thesis("fed cut december")


def test_a_market_that_does_not_exist(desk: Desk, exchange: Exchange) -> None:
    """An unknown ticker is named, and nothing is kept of the known ones beside it."""
    exchange.quote(A, "0.4000", "0.4200")
    with pytest.raises(UsageError, match="knows no market KXNO-1, KXNO-2"):
        desk.thesis("absent", tickers=[A, "KXNO-1", "KXNO-2"], probability=0.5, because="x")
    assert desk.theses().is_empty()


@pytest.mark.parametrize(
    ("status", "result"), [("determined", "yes"), ("finalized", "no"), ("disputed", ""), ("amended", "yes")]
)
@pytest.mark.parametrize("archive", [False, True])
def test_a_known_outcome_is_no_forecast(
    desk: Desk, exchange: Exchange, status: str, result: str, archive: bool
) -> None:
    """A market that is decided already, live or in the archive, is refused."""
    exchange.quote(A, "0.4000", "0.4200")
    exchange.settle(A, result, None, status=status, archive=archive)
    with pytest.raises(UsageError, match=r"outcome is known already: KXA-1"):
        desk.thesis("late", tickers=A, probability=0.5, because="x")


def test_closed_but_undecided_is_still_open(desk: Desk, exchange: Exchange) -> None:
    """Trading has ended, the outcome is unknown: that can still be thought about."""
    exchange.quote(A, "0.0000", "1.0000", status="closed")
    made = desk.thesis("late", tickers=A, probability=0.5, because="x")
    assert made.markets[0].entry is None


def test_repeated_tickers_count_once(desk: Desk, exchange: Exchange) -> None:
    """A ticker that is given twice is one market, and the order is kept."""
    exchange.quote(A, "0.4000", "0.4200")
    exchange.quote(B, "0.4000", "0.4200")
    made = desk.thesis("twice", tickers=[B, A, B], probability=0.5, because="x")
    assert [market.ticker for market in made.markets] == [B, A]
    assert [market.ticker for market in desk.thesis("twice").markets] == [B, A]


def test_more_than_a_hundred_markets(desk: Desk, exchange: Exchange) -> None:
    """Many markets are asked for a hundred at a time, and none is lost."""
    names = [f"KXM-{number}" for number in range(130)]
    for name in names:
        exchange.quote(name, "0.4000", "0.4200")
    made = desk.thesis("many", tickers=names, probability=0.5, because="x")
    assert [market.ticker for market in made.markets] == names
    assert [len(query["tickers"].split(",")) for query in exchange.asked("/markets")] == [100, 30]


def test_all_theses_as_a_frame(desk: Desk, exchange: Exchange) -> None:
    """The list has a fixed schema, also when empty, shows last versions, and asks the exchange nothing."""
    empty = desk.theses()
    assert empty.is_empty()
    exchange.quote(A, "0.4000", "0.4200")
    exchange.quote(B, "0.0000", "0.4200")
    desk.thesis("one", tickers=[A, B], probability=0.6, because="x")
    desk.thesis("two", tickers=B, probability=0.1, because="y")
    desk.thesis("two", tickers=B, probability=0.2)
    asked = len(exchange.requests)
    made = desk.theses()
    assert made.schema == empty.schema
    assert made.select("name", "version", "ticker", "probability").rows() == [
        ("one", 1, A, 0.6),
        ("one", 1, B, 0.6),
        ("two", 2, B, 0.2),
    ]
    assert made.get_column("status").to_list() == ["active"] * 3
    assert made.schema["time"] == pl.Datetime("us", "UTC")
    assert len(exchange.requests) == asked
