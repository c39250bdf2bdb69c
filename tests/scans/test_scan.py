"""What a scan lets in, and what it says of the rest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kalshi_lab as kl
from kalshi_lab import objects
from kalshi_lab.analysis.scan import KINDS

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
PLAIN: dict[str, Any] = {
    "ticker": "A", "event_ticker": "E", "title": "Will it?", "yes_sub_title": "It will", "status": "active", "yes_bid": 0.49,
    "yes_ask": 0.51, "yes_bid_size": 100.0, "yes_ask_size": 100.0, "volume_24h": 20_000.0, "open_interest": 5.0,
    "created_time": NOW - 5 * HOUR, "open_time": NOW - 4 * HOUR, "close_time": NOW + 10 * HOUR, "expected_expiration_time": None,
}  # fmt: skip


def listing(*changes: dict[str, Any]) -> pl.DataFrame:
    rows = [PLAIN | {"ticker": f"M{place}"} | change for place, change in enumerate(changes)]
    times = {name: pl.Datetime("us", "UTC") for name in PLAIN if name.endswith("_time")}
    return pl.DataFrame(rows, schema_overrides=times)


def found(markets: pl.DataFrame, kind: Any, **options: Any) -> list[str]:
    return kl.scan(markets, kind, now=NOW, **options).frame()["ticker"].to_list()


EMPTY_BOOKS = [{"yes_bid": 0.0, "yes_ask": 0.0}, {"yes_bid": 0.0, "yes_ask": 1.0}, {"yes_bid": 0.0, "yes_ask": 0.99},
               {"yes_bid": 0.01, "yes_ask": 1.0}, {"yes_bid": None, "yes_ask": 0.5}]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_side_is_no_price(kind: str) -> None:
    """SCN-11, SCN-2, SCN-3, SCN-4, lesson 35: 0/0, 0/100 and one-sided quotes are in no scan, and counted."""
    made = kl.scan(listing({}, *EMPTY_BOOKS), kind, now=NOW, **({"spread": 0.02} if kind == "wide_spread" else {}))  # type: ignore[arg-type]
    assert made.frame()["ticker"].to_list() == ["M0"]
    assert made.basis.excluded["without a real quote"] == len(EMPTY_BOOKS)


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_can_be_traded_is_in(kind: str) -> None:
    """SCN-1: active, and not past its close; what is not says why."""
    others = [{"status": "finalized"}, {"status": None}, {"close_time": NOW}, {"close_time": NOW - HOUR}]
    made = kl.scan(listing({}, *others), kind, now=NOW, **({"spread": 0.02} if kind == "wide_spread" else {}))  # type: ignore[arg-type]
    assert made.frame().height == 1
    assert made.basis.excluded == {"not active": 2, "past their close": 2}


def test_why_a_market_cannot_be_traded() -> None:
    """SCN-1: the reason in words; an exchange that does not say plainly that it trades counts as not trading."""
    market: kl.Market = objects.one(
        kl.Market, {"ticker": "A", "status": "active", "close_time": "2026-11-20T16:00:00Z"}
    )
    status = {name: kl.ExchangeStatus(exchange_active=up, trading_active=on) for name, up, on in
              (("on", True, True), ("halted", True, False), ("down", False, True), ("odd", None, True))}  # fmt: skip
    assert kl.why_not_tradeable(market, now=NOW) == kl.why_not_tradeable(market, now=NOW, status=status["on"]) == ""
    assert all(
        "trading" in kl.why_not_tradeable(market, now=NOW, status=status[name]) for name in ("halted", "down", "odd")
    )
    assert "closed at 2026-11-20 16:00 UTC" in kl.why_not_tradeable(market, now=NOW + HOUR)
    assert kl.why_not_tradeable(objects.one(kl.Market, {"ticker": "A"}), now=NOW) == "A is of unknown status"


def test_close_races() -> None:
    """SCN-2: mids from 40 to 60 cents, both ends in, the closest to even first."""
    bounds = [
        {"yes_bid": 0.39, "yes_ask": 0.41},
        {"yes_bid": 0.59, "yes_ask": 0.61},
        {"yes_bid": 0.38, "yes_ask": 0.41},
        {},
    ]
    made = kl.scan(listing(*bounds), "close_race", now=NOW)
    assert made.frame().select("ticker", "score").rows() == [
        ("M3", 1.0),
        ("M0", pytest.approx(0.8)),
        ("M1", pytest.approx(0.8)),
    ]
    assert made.basis.excluded == {"priced outside 0.4 to 0.6 dollars": 1}
    assert found(listing(*bounds), "close_race", low=0.395, high=0.395) == ["M2"]


def test_high_volume() -> None:
    """SCN-3: 10,000 contracts in 24 hours and more, the busiest first."""
    made = kl.scan(
        listing({"volume_24h": 9_999.99}, {"volume_24h": 10_000.0}, {"volume_24h": 5e6}), "high_volume", now=NOW
    )
    assert made.frame()["ticker"].to_list() == ["M2", "M1"]
    assert made.frame()["score"].to_list() == [1.0, pytest.approx(0.666681, abs=1e-5)]


@given(st.integers(1, 94))
def test_a_spread_of_five_cents_is_wide_at_every_price(cents: int) -> None:
    """SCN-4: the sixth decimal decides, not a float's last bit: of 94 prices none loses its 5 cents."""
    row = {"yes_bid": cents / 100, "yes_ask": (cents + 5) / 100}
    exact = {"yes_bid": Decimal(cents) / 100, "yes_ask": Decimal(cents + 5) / 100}
    assert found(listing(row), "wide_spread") == found(listing(exact), "wide_spread") == ["M0"]
    assert found(listing(row), "wide_spread", max_spread=0.05) == ["M0"]
    assert found(listing(row), "wide_spread", spread=0.050001) == []


def test_what_ends_soon_ends_by_whichever_comes_first() -> None:
    """SCN-5: the close or the expected expiration; the soonest first."""
    ends = [{"close_time": NOW + 20 * HOUR}, {"close_time": NOW + 900 * HOUR, "expected_expiration_time": NOW + 2 * HOUR},
            {"close_time": NOW + 25 * HOUR}, {"close_time": None}]  # fmt: skip
    made = kl.scan(listing(*ends), "expiring", now=NOW)
    assert made.frame().select("ticker", "reason").rows() == [("M1", "2.0 h left"), ("M0", "20.0 h left")]
    assert made.basis.excluded == {"without an end": 1, "ending later than in 24 h": 1}
    assert found(listing(*ends), "expiring", within="30h") == ["M1", "M0", "M2"]


def test_new_markets_and_their_labels() -> None:
    """SCN-8, lesson 38: by creation, else by opening; without quotes only when asked for; both times are shown."""
    young = [
        {},
        {"created_time": None},
        {"created_time": None, "open_time": None},
        {"created_time": NOW - 30 * HOUR},
        *EMPTY_BOOKS[1:3],
    ]
    made = kl.scan(listing(*young), "new", now=NOW)
    assert made.frame().select("ticker", "reason").rows() == [
        ("M0", "5.0 h old, at 50.0c"),
        ("M1", "4.0 h old, at 50.0c"),
    ]
    assert made.basis.excluded == {
        "without a real quote": 2,
        "without a time of creation": 1,
        "created more than 24 h ago": 1,
    }
    all_of_them = kl.scan(listing(*young), "new", now=NOW, unpriced=True).frame()
    assert set(all_of_them["reason"]) >= {"5.0 h old, no quotes yet", "5.0 h old, one side quoted"}
    assert {"created_time", "open_time"} <= set(made.frame().columns)


@pytest.mark.parametrize("kind", KINDS)
def test_a_profile_holds_for_every_kind(kind: str) -> None:
    """SCN-6: its limits apply whatever is looked for, and what is said explicitly wins."""
    rows = listing(
        {"yes_bid": 0.47, "yes_ask": 0.53, "volume_24h": 12_000.0},
        {"yes_bid": 0.475, "yes_ask": 0.525, "yes_bid_size": 1.0, "yes_ask_size": 1.0},
    )
    assert len(found(rows, kind)) == 2
    assert len(found(rows, kind, profile="tradeable")) == 2
    assert found(rows, kind, profile="liquid") == []
    assert found(rows, kind, profile="liquid", max_spread=0.06) == ["M0"]
    assert found(rows, kind, profile="liquid", min_size=0) == ["M1"]
    assert found(rows, kind, max_age="4h") == []


def test_depth_is_known_where_a_book_is() -> None:
    """SCN-6: contracts within two cents of the best, of the side that has fewer; a profile lets the unknown stand and says so."""
    rows = listing({}, {}, {})
    no = ((Decimal("0.48"), Decimal(500)), (Decimal("0.47"), Decimal(500)), (Decimal("0.40"), Decimal(10_000)))

    def book(contracts: int) -> kl.Orderbook:
        return kl.Orderbook("M", ((Decimal("0.49"), Decimal(contracts)), (Decimal("0.46"), Decimal(9_999))), no)

    books = {"M0": book(900), "M1": book(20)}
    table = kl.scan(rows, "close_race", now=NOW, books=books).frame().sort("ticker")
    assert table["depth"].to_list() == [900.0, 20.0, None]
    assert kl.scan(rows, "close_race", now=NOW, books=books, slippage=0.03).frame().sort("ticker")["depth"][0] == 1000
    liquid = kl.scan(rows, "close_race", now=NOW, books=books, profile="liquid")
    assert liquid.frame()["ticker"].sort().to_list() == ["M0", "M2"]
    assert "the depth of 1 is not known" in liquid.conclusion
    assert liquid.basis.excluded["with fewer than 60 contracts within 0.02 dollars of the best price"] == 1
    asked = kl.scan(rows, "close_race", now=NOW, books=books, min_depth=30)
    assert asked.frame()["ticker"].to_list() == ["M0"]
    assert asked.basis.excluded["without a known book"] == 1
    with pytest.raises(kl.UsageError, match="min_dept"):
        kl.scan(rows, "close_race", now=NOW, min_dept=30)  # type: ignore[call-arg]


def test_categories_are_those_of_the_series_or_a_guess() -> None:
    """SCN-7, CAT-1: short words and any case; a column is believed before the ticker."""
    rows = listing(
        {"ticker": "KXHIGHNY-1", "category": "Politics"},
        {"ticker": "KXHIGHNY-2", "category": None},
        {"ticker": "XYZ-1", "category": None},
    )
    assert found(rows, "close_race", category="pol") == ["KXHIGHNY-1"]
    assert found(rows, "close_race", category="Climate and weather") == ["KXHIGHNY-2"]
    assert found(rows, "close_race", category="other") == ["XYZ-1"]
    assert kl.category("ECON") == "Economics"
    assert [kl.guessed_category(one) for one in ("KXFEDDECISION-1", "kxhousex", "HOUSE", "Q")] == [
        "Economics",
        "Elections",
        "Elections",
        "Other",
    ]
    with pytest.raises(kl.UsageError, match="Did you mean"):
        kl.category("sprots")


def test_questions_that_make_no_sense_are_refused() -> None:
    with pytest.raises(kl.UsageError, match="Did you mean 'close_race'"):
        kl.scan(listing({}), "close_rac", now=NOW)  # type: ignore[arg-type]
    with pytest.raises(kl.UsageError, match="option of a high_volume scan 'low'"):
        kl.scan(listing({}), "high_volume", now=NOW, low=0.1)
    with pytest.raises(kl.UsageError, match="unknown column 'yes_ask'"):
        kl.scan(listing({}).drop("yes_ask"), "new", now=NOW)
    with pytest.raises(kl.UsageError, match="1 rows hold no price"):
        kl.scan(listing({}, {"yes_bid": 42.0}), "new", now=NOW)
    with pytest.raises(kl.UsageError, match="no time zone"):
        kl.scan(listing({}), "new", now=datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused


def test_combos_are_left_out_unless_asked_for() -> None:
    """SCN-7: by their collection or their ticker, also in a frame, and counted."""
    rows = listing({}, {"ticker": "KXMVESPORTS-1"}, {}).with_columns(mve_collection_ticker=pl.Series([None, None, "C"]))
    made = kl.scan(rows, "close_race", now=NOW)
    assert made.frame()["ticker"].to_list() == ["M0"]
    assert made.basis.excluded == {"combos": 2}
    assert sorted(found(rows, "close_race", combos=True)) == ["KXMVESPORTS-1", "M0", "M2"]


def test_what_is_no_number_is_no_price() -> None:
    """Lesson 26: NaN is not known, so it is no quote; nothing is asked for with top=0, and top=-1 makes no sense."""
    made = kl.scan(listing({"yes_bid": float("nan")}, {"yes_ask": float("nan")}, {}), "close_race", now=NOW)
    assert made.basis.excluded == {"without a real quote": 2}
    assert found(listing({}), "close_race", top=0) == []
    with pytest.raises(kl.UsageError, match="top=-1"):
        found(listing({}), "close_race", top=-1)


def test_a_scan_says_what_it_rests_on() -> None:
    """SCN-1: n, when, and what was left out are in its words; the first `top` and how many more."""
    made = kl.scan(listing({}, {}, {"status": "closed"}), "close_race", now=NOW, top=1, trading=False)
    assert repr(made) == (
        "<Scan of 3 markets: weighting each market counts once, horizon as of 2026-11-20 15:00 UTC, interval none; excluded: 1 not active, "
        "1 beyond the first 1; the exchange is not trading now; 1 found, first M0: mid 50.0c is close to even>"
    )
    assert "no market fits" in repr(kl.scan(listing({}).clear(), "new", now=NOW))
    assert "&lt;b&gt;" in kl.scan(listing({"title": "<b>$5</b>"}), "new", now=NOW)._repr_html_()
