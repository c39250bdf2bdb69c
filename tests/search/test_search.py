"""Search over a store whose rows are chosen, and over what a first sync brought."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_lab import Lab, UsageError
from kalshi_lab.kalshi.params import ANSWERED
from kalshi_lab.lab.wanted import statuses, wanted
from kalshi_lab.store import Store, search, writes

if TYPE_CHECKING:
    from pathlib import Path

    from kalshi_lab.sim import Exchange

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MARKETS = [
    ("KXFED-26DEC-C25", "KXFED-26DEC", "Will the Fed cut rates in December?", "25 bps", "active", "If the FOMC lowers its target"),
    ("KXFED-26DEC-H0", "KXFED-26DEC", "Will the Fed hold in December?", "No change", "active", "If no rate-cut is announced"),
    ("KXFED-26JAN-C25", "KXFED-26JAN", "Will the Fed cut rates in January?", "25 bps", "finalized", "If the FOMC lowers its target"),
    ("KXINX-26-T5000", "KXINX-26", "S&P 500 above 5,000 on Friday?", "5,000 or more", "active", "By the index's closing value"),
    ("KXUSGDP-26-T3", "KXUSGDP-26", "U.S. GDP growth above 3.25%?", "Above 3.25%", "paused", "As released by the BEA"),
    ("KXCAFE-26-A", "KXCAFE-26", "Will Beyoncé's Café open?", "", "active", "If doors open"),
]  # fmt: skip


def put(store: Store, table: str, keys: list[str], rows: list[dict[str, Any]]) -> None:
    made = pl.DataFrame(rows)
    asyncio.run(store.write(lambda connection: writes.upsert(connection, table, keys, made)))


def filled(folder: Path) -> Store:
    made = Store(folder / "kalshi.duckdb")
    names = ("ticker", "event_ticker", "title", "subtitle", "status", "rules_primary")
    rows = [dict(zip(names, row, strict=True)) | {"seen_at": NOW - timedelta(hours=2)} for row in MARKETS]
    put(made, "markets", ["ticker"], rows)
    put(made, "markets", ["ticker"], [{"ticker": "KXCAFE-26-A", "extra": '{"category": "Culture"}'}])
    event = {"event_ticker": "KXFED-26DEC", "title": "Fed decision in December", "series_ticker": "KXFED"}
    put(made, "events", ["event_ticker"], [event | {"category": "Economics"}])
    series = [
        {"ticker": "KXINX", "title": "Stock index", "category": "Financials"},
        {"ticker": "KXFED", "title": "Fed funds"},
    ]
    put(made, "series", ["ticker"], series)
    return made


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return filled(tmp_path)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store that no test changes."""
    return filled(tmp_path_factory.mktemp("held"))


def find(store: Store, query: str, **filters: Any) -> list[str]:
    plain: dict[str, Any] = dict.fromkeys(("status", "category", "event", "series", "min_volume", "max_spread"))
    asked = wanted(query, **plain | {"limit": 20} | filters)
    return asyncio.run(search.search(store, asked, NOW))["ticker"].to_list()


def quote(
    store: Store, ticker: str, bid: str | None, ask: str | None, *, gone: bool = False, volume: str = "10"
) -> None:
    """A look at a market that found this quote, or found it gone."""
    time = NOW - timedelta(minutes=5)
    prices = {"yes_bid": bid and Decimal(bid), "yes_ask": ask and Decimal(ask), "volume": Decimal(volume)}
    types = {"yes_bid": pl.Decimal(9, 6), "yes_ask": pl.Decimal(9, 6), "volume": pl.Decimal(18, 2)}
    row = {"ticker": ticker, "time": time, "scope": ticker, "status": "active", "gone": gone} | prices
    look = {
        "time": time,
        "scope": ticker,
        "markets": 1,
        "changed": 1,
        "complete": True,
        "keyframe": True,
        "run_id": "r",
    }
    quoted = pl.DataFrame([row], schema_overrides=types)

    def keep(connection: Any) -> None:
        writes.insert(connection, "quotes", quoted)
        writes.insert(connection, "snapshots", pl.DataFrame([look]))

    asyncio.run(store.write(keep))


def test_the_best_match_comes_first(held: Store) -> None:
    """DB-12: rank order by words found, titles before rules; plurals, case and accents do not matter."""
    assert find(held, "fed cut")[0] in {"KXFED-26DEC-C25", "KXFED-26JAN-C25"}
    assert find(held, "FED CUTS december")[0] == "KXFED-26DEC-C25"
    assert find(held, "beyonce cafe") == ["KXCAFE-26-A"]
    assert find(held, "BEA") == ["KXUSGDP-26-T3"]
    assert find(held, "nothing of the kind whatsoever here")[-1:] != ["KXCAFE-26-A"]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("U.S.", "KXUSGDP-26-T3"), ("us gdp", "KXUSGDP-26-T3"), ("rate-cut announced", "KXFED-26DEC-H0"), ("S&P 500", "KXINX-26-T5000"),
        ("index's", "KXINX"), ("5000", "KXINX-26-T5000"), ("3.25%", "KXUSGDP-26-T3"), ("KXCAFE-26-A", "KXCAFE-26-A"),
        ('"S&P 500" AND (NOT x*)', "KXINX-26-T5000"), ("Beyonce\u2019s", "KXCAFE-26-A"),
    ],
)  # fmt: skip
def test_punctuation_is_no_syntax(held: Store, query: str, first: str) -> None:
    """DB-12, lesson 46: what raised before finds what it names."""
    assert find(held, query)[0] == first


@pytest.mark.parametrize("query", ["'", '"', "--", "%", "\\", "*", ";", "$1", "\x00", "( ^"])
def test_punctuation_alone_finds_nothing_and_raises_nothing(held: Store, query: str) -> None:
    """DB-12, lesson 46: a lone quote is a question without an answer."""
    assert find(held, query) == []


@pytest.mark.parametrize("query", ["", "  ", "\n", None, 5])
def test_an_empty_query_is_refused(held: Store, query: Any) -> None:
    """DB-12: nothing to search for is bad input."""
    with pytest.raises(UsageError, match="is empty"):
        find(held, query)


@settings(max_examples=30)
@given(query=st.text(max_size=200) | st.text("\"'*():^-+.&~NOT AND OR NEAR", max_size=60))
def test_no_text_breaks_it(held: Store, query: str) -> None:
    """Lesson 46, S7: any text is a question; only an empty one is refused."""
    try:
        found = find(held, query)
    except UsageError:
        assert not query.strip()
    else:
        assert len(found) == len(set(found))


def test_long_and_broken_texts_are_questions_too(held: Store) -> None:
    """DB-12: 10 kB, and half a character."""
    assert find(held, "fed cut " * 1250)
    assert find(held, "x" * 10_000) == []
    assert find(held, "caf\u00e9 \ud800") == ["KXCAFE-26-A"]


def test_both_vocabularies_of_status_find_the_same(held: Store) -> None:
    """DB-12, lesson 3: open is active, settled is finalized; a word of the answers that shares its filter means itself."""
    assert set(find(held, "fed", status="open")) == set(find(held, "fed", status="active")) >= {"KXFED-26DEC-C25"}
    assert "KXFED-26JAN-C25" not in find(held, "fed", status="open")
    assert (
        find(held, "fed cut", status="settled")
        == find(held, "fed cut", status="finalized")
        == ["KXFED-26JAN-C25", "KXFED"]
    )
    assert find(held, "gdp", status="paused") == find(held, "gdp", status="inactive") == ["KXUSGDP-26-T3"]
    assert statuses("disputed") == ["disputed"]
    assert all(statuses(word) for word in ANSWERED)
    with pytest.raises(UsageError, match="unknown status"):
        find(held, "fed", status="opn")


def test_filters_choose(held: Store) -> None:
    """DB-12, lessons 13 and 24: category by part of its name from market, event or series; event; series; limit, also 0."""
    assert set(find(held, "fed december", category="econ")) == {"KXFED-26DEC", "KXFED-26DEC-C25", "KXFED-26DEC-H0"}
    assert find(held, "friday", category="FINANCIAL") == ["KXINX-26-T5000"]
    assert find(held, "cafe fed", category="culture") == ["KXCAFE-26-A"]
    assert set(find(held, "fed", event="KXFED-26JAN")) == {"KXFED-26JAN-C25"}
    assert set(find(held, "fed cafe", series="KXCAFE")) == {"KXCAFE-26-A"}
    assert len(find(held, "fed", limit=2)) == 2
    assert find(held, "fed", limit=0) == []
    assert len(find(held, "fed", limit=None)) == 5


def test_volume_and_spread_are_those_of_the_last_quote(store: Store) -> None:
    """DB-12, lessons 24 and 26: 0 is a limit, an unknown quote meets none, and an empty side is no quote."""
    quote(store, "KXFED-26DEC-C25", "0.40", "0.45", volume="100")
    quote(store, "KXFED-26DEC-H0", "0", "1", volume="0")
    assert find(store, "fed december", max_spread=0.05) == ["KXFED-26DEC", "KXFED-26DEC-C25", "KXFED"]
    assert find(store, "fed december", max_spread="0.049") == []
    assert "KXFED-26DEC-H0" not in find(store, "fed december", max_spread=1)
    assert set(find(store, "december", min_volume=0)) == {"KXFED-26DEC", "KXFED-26DEC-C25", "KXFED-26DEC-H0"}
    assert set(find(store, "december", min_volume=100)) == {"KXFED-26DEC", "KXFED-26DEC-C25"}
    for wrong in (-1, "x", float("nan"), True):
        with pytest.raises(UsageError, match="is no amount"):
            find(store, "fed", max_spread=wrong)


def test_a_market_that_left_its_listing_is_not_open(store: Store) -> None:
    """DB-12: what was open when last seen and has left the open ones since has no known status."""
    assert "KXFED-26DEC-C25" in find(store, "fed", status="open")
    quote(store, "KXFED-26DEC-C25", None, None, gone=True)
    assert "KXFED-26DEC-C25" not in find(store, "fed", status="open")
    assert "KXFED-26DEC-C25" in find(store, "fed")


def test_the_index_follows_what_changes(store: Store) -> None:
    """DB-12: a changed title is found under its new words alone, what is deleted under none, what is unchanged is left alone."""
    find(store, "fed")
    before = asyncio.run(store.read("SELECT ticker, doc FROM search.docs")).rows()
    put(store, "markets", ["ticker"], [{"ticker": "KXCAFE-26-A", "title": "Will a library open?", "seen_at": NOW}])
    assert find(store, "library") == ["KXCAFE-26-A"]
    assert find(store, "beyonce") == []
    after = asyncio.run(store.read("SELECT ticker, doc FROM search.docs")).rows()
    assert {ticker for ticker, doc in {*before} ^ {*after}} == {"KXCAFE-26-A"}
    asyncio.run(
        store.write(lambda connection: connection.execute("DELETE FROM markets WHERE ticker = 'KXCAFE-26-A'") and None)
    )
    assert find(store, "library") == []
    assert asyncio.run(store.read("SELECT count(*) FROM search.postings ANTI JOIN search.docs USING (doc)")).item() == 0


def test_an_index_is_built_in_steps_and_two_may_build_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """DB-12, lesson 44: others get a turn between the batches, and what one builder did another does not do again."""
    monkeypatch.setattr(search, "FRESH", search.FRESH.replace(f"LIMIT {search.BATCH}", "LIMIT 2"))
    monkeypatch.setattr(search, "BATCH", 2)
    other = Store(store.path)

    async def both() -> None:
        await asyncio.gather(search.refresh(store), search.refresh(other))

    asyncio.run(both())
    held = asyncio.run(store.read("SELECT count(*) AS docs, count(DISTINCT (kind, ticker)) AS things FROM search.docs"))
    assert held.rows() == [(9, 9)]
    assert find(store, "beyonce") == ["KXCAFE-26-A"]


def test_what_a_first_sync_brought_is_found_at_once(exchange: Exchange, tmp_path: Path) -> None:
    """DB-12: no step in between; floats for analyses, decimals on request, the columns as documented."""
    with Lab("sim", base_url=exchange.url, home=tmp_path) as lab:
        assert lab.search("temperature").height == 0
        lab.sync("markets", status="open", progress=False)
        found = lab.search("highest temperature", series="KXHIGHNY", limit=3)
        assert found.columns == list(search.FOUND)
        assert set(found["series_ticker"]) == {"KXHIGHNY"}
        assert found["score"].is_sorted(descending=True)
        assert lab.search("temperature", exact=True).schema == pl.Schema(search.FOUND)
