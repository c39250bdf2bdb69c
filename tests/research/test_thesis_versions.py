"""What a thesis holds besides its prices: every change is a version, nothing is overwritten, nothing unclear gets in."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab.errors import UsageError
from kalshi_lab.research.thesis.evidence import digest
from tests.research.desk import bar

if TYPE_CHECKING:
    from tests.research.desk import Desk, Exchange

A, B = "KXA-1", "KXA-2"
EVIL = "<img src=x onerror=alert(1)> $x^2$"


def written(desk: Desk, exchange: Exchange, **given: Any) -> Any:
    exchange.quote(A, "0.4000", "0.4200", event_ticker="KXA")
    return desk.thesis("claim", **{"tickers": A, "probability": 0.6, "because": "a model says so"} | given)


def test_every_field_is_kept(desk: Desk, exchange: Exchange) -> None:
    """TH-1: claim, cases, confidence, assumptions, criteria and evidence come back as they were written."""
    said: dict[str, Any] = {
        "claim": "It will happen.", "confidence": 0.7, "bull": "for it", "bear": "against it", "assumptions": ["one", "two", "one"],
        "invalidation": ["price KXA-1 < 0.2", "the mayor resigns"], "note": "first",
        "evidence": [{"url": "https://www.example.org/a", "passage": "It will.", "stance": "yes", "relevance": 0.9}],
    }  # fmt: skip
    written(desk, exchange, **said)
    kept = desk.thesis("claim")
    assert (kept.claim, kept.bull, kept.bear, kept.note) == ("It will happen.", "for it", "against it", "first")
    assert (kept.confidence, kept.assumptions) == (Decimal("0.7"), ("one", "two"))
    assert kept.invalidation == ("price KXA-1 < 0.2", "the mayor resigns")
    (one,) = kept.evidence
    assert (one.domain, one.stance, one.relevance, one.source, one.sha256) == (
        "example.org", "yes", Decimal("0.9"), "you", digest("It will."),
    )  # fmt: skip
    assert (one.first_seen, one.title, one.page_sha256) == (desk.clock.now(), None, None)
    assert kept.markets[0].event_ticker == "KXA"


def test_each_change_is_a_row(desk: Desk, exchange: Exchange) -> None:
    """TH-1, TH-3: notes, cases, criteria, evidence, a new probability: each is a version, and the earlier ones stay as they were."""
    written(desk, exchange)
    start = desk.clock.now()
    changes: list[dict[str, Any]] = [
        {"note": "read the minutes"}, {"bull": "b"}, {"bear": "c"}, {"assumptions": ["d"]}, {"invalidation": ["after 2027-01-01"]},
        {"evidence": [{"title": "a book", "passage": "page 3"}]}, {"probability": 0.7}, {"claim": "e"}, {"confidence": 0.5},
    ]  # fmt: skip
    for change in changes:
        desk.later(hours=1)
        desk.thesis("claim", **change)
    rows = desk.table("theses").sort("version")
    assert rows["version"].to_list() == list(range(1, len(changes) + 2))
    assert rows["note"].to_list() == ["", "read the minutes", *[""] * 8]
    assert rows["bull"].to_list() == ["", "", *["b"] * 8]
    kept = desk.thesis("claim")
    assert (kept.version, kept.created_at, kept.bull, kept.bear, kept.claim) == (10, start, "b", "c", "e")
    assert kept.history["probability"].to_list() == [0.6] * 7 + [0.7] * 3
    assert kept.history["note"].to_list()[1] == "read the minutes"
    assert desk.thesis("claim", bull="b", evidence=[{"title": "a book", "passage": "page 3"}]).version == 10, (
        "no news, no version"
    )


def test_a_probability_for_one_of_its_markets(desk: Desk, exchange: Exchange) -> None:
    """TH-1: each market has its own probability, and one can be changed alone."""
    exchange.quote(B, "0.1000", "0.1200")
    written(desk, exchange, tickers=[A, B], probability={A: 0.6, B: 0.2})
    again = desk.thesis("claim", probability={B: 0.3})
    assert [one.probability for one in again.markets] == [Decimal("0.6"), Decimal("0.3")]
    with pytest.raises(UsageError, match="unknown ticker in probability= 'KXC-1'"):
        desk.thesis("claim", probability={"KXC-1": 0.3})


def test_a_draft_is_no_forecast_until_it_is_active(desk: Desk, exchange: Exchange) -> None:
    """TH-1, TH-3: a draft waits; made active it takes the quotes of that moment, and not once the outcome is known."""
    assert written(desk, exchange, status="draft").status == "draft"
    assert desk.thesis("claim", probability=0.65).status == "draft"
    desk.later(days=1)
    exchange.quote(A, "0.5000", "0.5400", event_ticker="KXA")
    active = desk.thesis("claim", status="active")
    assert (active.status, active.markets[0].entry, active.markets[0].quoted_at) == (
        "active",
        Decimal("0.52"),
        desk.clock.now(),
    )
    with pytest.raises(UsageError, match="is active and cannot become draft"):
        desk.thesis("claim", status="draft")
    exchange.quote(B, "0.1000", "0.1200")
    desk.thesis("late", tickers=B, probability=0.5, because="x", status="draft")
    exchange.settle(B, "yes", "1.0000")
    assert desk.thesis("late").status == "draft", "what was never said is not resolved"
    with pytest.raises(UsageError, match="outcome is known already"):
        desk.thesis("late", status="active")


def test_a_resolved_thesis_takes_a_note_and_nothing_else(desk: Desk, exchange: Exchange) -> None:
    """TH-3: afterwards one may say what was learned, and change nothing else; the time of the resolution stays."""
    written(desk, exchange)
    exchange.settle(A, "yes", "1.0000")
    done = desk.thesis("claim")
    desk.later(days=3)
    noted = desk.thesis("claim", note="the model was right for the wrong reason")
    assert (noted.status, noted.version, noted.resolved_at) == ("resolved", 3, done.time)
    assert noted.score().brier == pytest.approx(0.16)
    with pytest.raises(UsageError, match=r"is resolved.*note= is all|is resolved"):
        desk.thesis("claim", bull="hindsight")
    assert desk.table("theses").height == 3


def test_an_ambiguous_name_is_refused_with_the_candidates(desk: Desk, exchange: Exchange) -> None:
    """TH-3: as much of a name as no other has is enough to look; what begins several names them all."""
    exchange.quote(A, "0.4000", "0.4200")
    for name in ("fed cut in december", "fed cut in january", "rain"):
        desk.thesis(name, tickers=A, probability=0.5, because="x")
    assert desk.thesis("ra").name == "rain"
    with pytest.raises(UsageError, match="begins the names of 2 theses: fed cut in december, fed cut in january"):
        desk.thesis("fed cut")
    assert desk.thesis("fed", tickers=A, probability=0.5, because="x").name == "fed", "writing takes the name as it is"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"confidence": 70}, r"confidence 70 is not between 0 and 1\. Did you mean 0\.7\?"),
        ({"invalidation": ["price KXA-1 << 0.2"]}, "cannot be checked"),
        ({"invalidation": ["price KXA-1 < 20"]}, "from 0 to 1"),
        ({"invalidation": ["price KXA-1 < cheap"]}, "is no number"),
        ({"invalidation": ["after 2026-13-01"]}, "is no time"),
        ({"invalidation": ["after 7d"]}, "out of range"),
        ({"invalidation": ["  "]}, "a criterion is text"),
        ({"invalidation": [f"criterion {n}" for n in range(21)]}, "too many"),
        ({"evidence": [{"passage": "x"}]}, "needs the url or the title"),
        ({"evidence": [{"url": "javascript:alert(1)"}]}, "no address of a page"),
        ({"evidence": [{"url": "https://a.org", "stance": "bullish"}]}, "stance"),
        ({"evidence": [{"url": "https://a.org", "quote": "x"}]}, "name in evidence"),
        ({"evidence": [{"url": "https://a.org", "ticker": "KXZ"}]}, "ticker in evidence"),
        ({"evidence": [{"url": "https://a.org", "relevance": 2}]}, "relevance 2 is not between"),
        ({"evidence": "https://a.org"}, "evidence is a list"),
        ({"claim": 7}, "claim= is text"),
        ({"bull": "x" * 20_001}, "more than 20,000"),
        ({"conviction": 1}, "argument"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_is_kept(
    desk: Desk, exchange: Exchange, given: dict[str, Any], said: str
) -> None:
    """TH-1: ranges, words, addresses and names are checked, and nothing is written."""
    with pytest.raises(UsageError, match=said):
        written(desk, exchange, **given)
    assert desk.theses().is_empty()
    assert exchange.requests == []


def test_pro_is_for_your_claim_and_yes_for_the_market(desk: Desk, exchange: Exchange) -> None:
    """TH-4: what speaks for YES speaks against you where you think YES too dear; both are said, and neither flips the other."""
    found = [
        {"url": f"https://a.org/{stance}", "passage": stance, "stance": stance} for stance in ("yes", "no", "neutral")
    ]
    cheap = written(desk, exchange, evidence=[*found, {"url": "https://a.org/none"}]).found()
    dear = desk.thesis("dear", tickers=A, probability=0.2, because="x", evidence=found).found()
    assert cheap["claim"].to_list() == ["pro", "con", "neutral", None]
    assert dear["claim"].to_list() == ["con", "pro", "neutral"]
    assert cheap["stance"].to_list()[:3] == dear["stance"].to_list()


def test_a_second_judgement_replaces_the_first_in_sight_only(desk: Desk, exchange: Exchange) -> None:
    """TH-1: the same passage judged anew counts as judged last; both judgements stay in the store."""
    passage = {"url": "https://a.org/p", "passage": "unclear"}
    written(desk, exchange, evidence=[{**passage, "stance": "yes"}])
    assert [one.stance for one in desk.thesis("claim", evidence=[{**passage, "stance": "no"}]).evidence][-1] == "no"
    assert [one.stance for one in desk.thesis("claim").evidence] == ["no"]
    assert sorted(desk.table("thesis_evidence")["stance"].to_list()) == ["no", "yes"]


def test_the_card_shows_what_there_is_and_obeys_none_of_it(desk: Desk, exchange: Exchange) -> None:
    """TH-1: the card has claim, cases, evidence with a link, what would change your mind, and escapes every word of it."""
    exchange.bars[A] = [bar(desk.clock.now() - timedelta(hours=2), "0.3900", "0.4100", "0.4000")]
    made = written(
        desk, exchange, claim=EVIL, bull=EVIL, bear=EVIL, note=EVIL, assumptions=[EVIL], invalidation=[EVIL, "price KXA-1 > 0.9"],
        evidence=[{"url": "https://a.org/x", "title": EVIL, "passage": EVIL, "stance": "yes"}],
    )  # fmt: skip
    html = made._repr_html_()
    for shown in (
        "what would change your mind",
        "not met",
        "last 0.41",
        "bull case",
        "bear case",
        'href="https://a.org/x"',
        "pro",
    ):
        assert shown in html, shown
    assert "<img src=x" not in html
    assert "$" not in html
    assert html.count("data:image/png;base64,") == 1
    assert made.plot().png().startswith(b"\x89PNG")
