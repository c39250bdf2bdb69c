"""What would change your mind is checked exactly where a machine can, and is a hint at most where it cannot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from kalshi_lab.portal import PORTAL
from kalshi_lab.research.thesis import criteria
from kalshi_lab.research.thesis.evidence import Evidence
from kalshi_lab.research.thesis.record import empty_path
from kalshi_lab.store import writes
from tests.research.desk import bar

if TYPE_CHECKING:
    from kalshi_lab.research.thesis.criteria import Check
    from tests.research.desk import Desk, Exchange

A, B = "KXA-1", "KXB-2"
NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)


def looked(words: str, *passages: str) -> Check:
    """A text criterion held against passages."""
    found = [
        Evidence(url=f"https://a.org/{n}", domain="a.org", passage=text, first_seen=NOW)
        for n, text in enumerate(passages)
    ]
    known = criteria.Known(empty_path(), {}, found, NOW, NOW)
    return criteria.checked([criteria.criterion(words)], known)[0]


def stands(made: Any) -> list[str]:
    return [one.verdict for one in made.checks]


def written(desk: Desk, exchange: Exchange, *criteria: str, **given: Any) -> Any:
    exchange.quote(A, "0.4000", "0.4200")
    return desk.thesis("claim", tickers=A, probability=0.6, because="x", invalidation=criteria, **given)


def test_a_price_that_is_crossed_is_met_and_stays_met(desk: Desk, exchange: Exchange) -> None:
    """TH-5: a price criterion is exact, needs a real quote, is kept as a version when it is met, and stays met when the price recovers."""
    assert stands(written(desk, exchange, "price KXA-1 < 0.2")) == ["not met"]
    exchange.quote(A, "0.0000", "0.1000")
    assert (stands(desk.thesis("claim")), desk.thesis("claim").version) == (["unknown"], 1), "an empty side is no price"
    exchange.quote(A, "0.1900", "0.2100")
    assert stands(desk.thesis("claim")) == ["not met"], "the middle is 0.2, which is not below"
    desk.later(hours=1)
    exchange.quote(A, "0.1800", "0.2100")
    met = desk.thesis("claim")
    assert (stands(met), met.version, met.checks[0].detail) == (["met"], 2, "0.195 on 2026-11-22 15:00 UTC")
    exchange.quote(A, "0.5000", "0.5100")
    again = desk.thesis("claim")
    assert (stands(again), again.version) == (["met"], 2)
    assert "Met: price KXA-1 &lt; 0.2" in again._repr_html_()


def test_a_price_is_watched_between_looks_and_not_before(desk: Desk, exchange: Exchange) -> None:
    """TH-5: what the price did since the criterion was written down counts, what it did before does not."""
    exchange.bars[A] = [bar(desk.clock.now() - timedelta(hours=5), "0.1000", "0.1200")]
    assert stands(written(desk, exchange, "price KXA-1 < 0.2")) == ["not met"]
    exchange.bars[A] += [bar(desk.clock.now() + timedelta(hours=2), "0.1000", "0.1200")]
    desk.later(hours=6)
    met = desk.thesis("claim")
    assert stands(met) == ["met"]
    assert "0.11 on 2026-11-22 16:00" in met.checks[0].detail


def test_the_price_of_another_market(desk: Desk, exchange: Exchange) -> None:
    """TH-5: a criterion may be about a market that is not of the thesis."""
    exchange.quote(B, "0.7000", "0.7200")
    assert stands(written(desk, exchange, "price KXB-2 >= 0.71", "price KXB-2 > 0.71", "price KXNO-1 > 0.5")) == [
        "met",
        "not met",
        "unknown",
    ]


def test_a_date_passes(desk: Desk, exchange: Exchange) -> None:
    """TH-5: a date is met when it has come, not before."""
    assert stands(written(desk, exchange, "after 2026-11-23")) == ["not met"]
    desk.later(hours=10)
    assert stands(desk.thesis("claim")) == ["met"]


def test_the_value_of_a_series(desk: Desk, exchange: Exchange) -> None:
    """TH-5: a series' newest settled value since the criterion was written is compared; without one it is unknown, and says so."""
    made = written(desk, exchange, "series KXHIGHNY > 90")
    assert (stands(made), made.checks[0].detail) == (["unknown"], "the store has no settled market of it")
    rows = [
        {"ticker": "KXHIGHNY-OLD", "series_ticker": "KXHIGHNY", "expiration_value": "99", "close_time": NOW - timedelta(days=2)},
        {"ticker": "KXHIGHNY-1", "series_ticker": "KXHIGHNY", "expiration_value": "91.5", "close_time": NOW + timedelta(hours=1)},
        {"ticker": "KXHIGHNY-2", "series_ticker": "KXHIGHNY", "expiration_value": "90", "close_time": NOW + timedelta(hours=30)},
    ]  # fmt: skip
    PORTAL.call(desk.store.write(lambda connection: writes.insert(connection, "markets", pl.DataFrame(rows))))
    assert stands(desk.thesis("claim")) == ["unknown"], "what was settled before is no news"
    desk.later(hours=2)
    met = desk.thesis("claim")
    assert (stands(met), met.checks[0].detail) == (["met"], "91.5, by which KXHIGHNY-1 was settled")


def test_evidence_is_checked_when_it_comes(desk: Desk, exchange: Exchange) -> None:
    """TH-5: new evidence is held against the words at once; the hint names the sentence and is kept with the version."""
    written(desk, exchange, "the mayor resigns over the budget")
    passage = "Weather was fine. On Tuesday the mayor resigned over his budget, aides said."
    made = desk.thesis("claim", evidence=[{"url": "https://a.org/1", "passage": passage, "stance": "no"}])
    assert (stands(made), made.version) == (["hint"], 2)
    assert "3 of 3 words" in made.checks[0].detail
    assert "only a hint" in made.checks[0].detail
    assert made.checks[0].sha256 == made.evidence[0].sha256
    assert desk.table("theses").sort("version")["checks"][1] is not None


@pytest.mark.parametrize(
    ("words", "passage", "verdict"),
    [
        (
            "the Fed will not be able to cut rates",
            "It was the best of times and it will not be the worst to be in.",
            "not met",
        ),
        (
            "rate cut in December",
            "A decorated executive cutlery set is rated.",
            "not met",
        ),  # parts of words are no words
        ("rate cut in December", "In December the committee cut its rate.", "hint"),
        ("rate cut in December", "A cut. Then December came. The rate stayed.", "not met"),  # of three sentences
        ("inflation above 3.5%", "Inflation was 3.5% in May.", "hint"),
        ("inflation above 3.5%", "Inflation was 3.4% in May.", "not met"),
        ("it is so", "It is so.", "unknown"),
        ("ГОЛОСОВАНИЕ отложено", "Голосование было отложено.", "hint"),
    ],
)
def test_words_count_whole_and_without_stop_words(words: str, passage: str, verdict: str) -> None:
    """TH-5: stop-words and parts of words trip nothing, and words scattered over a page are no sentence."""
    assert looked(words, passage).verdict == verdict


def test_a_negated_sentence_is_told_as_such() -> None:
    """TH-5: matching cannot read; where one side is negated the hint says so."""
    assert "negated" in looked("the mayor resigns", "The mayor has not resigned.").detail
    assert "negated" not in looked("the mayor resigns", "The mayor resigned.").detail


def test_without_evidence_words_are_unknown() -> None:
    """TH-5: nothing looked at is not the same as nothing found."""
    assert looked("the mayor resigns").verdict == "unknown"
