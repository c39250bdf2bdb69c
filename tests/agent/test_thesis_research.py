"""A thesis is researched: new evidence with its page and passage, once; criteria looked at; what was found is kept whatever ends."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab.errors import UsageError
from kalshi_lab.exa import canonical
from kalshi_lab.research.agent.verifier import normal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kalshi_lab.research import Thesis

START = datetime(2026, 11, 20, 15, tzinfo=UTC)


pytestmark = pytest.mark.long  # a whole agent for each


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kl.Lab]:
    world: dict[str, Any] = {"markets": 600, "clock": "frozen", "start": START}
    quick: dict[str, Any] = {"backoff_base": 0.001, "breaker_failures": 1000}
    with kl.Lab("sim", home=tmp_path_factory.mktemp("research"), exa_key="practice-key", world=world, **quick) as made:
        made.caps(run=50, day=50)
        made.simulated.advance(7 * 86_400)
        yield made


@pytest.fixture(autouse=True)
def clean(lab: kl.Lab) -> Iterator[None]:
    yield
    lab.simulated.faults()
    lab.simulated.exa()
    lab.exa.credited()
    lab.clear_answers()


@pytest.fixture(scope="module")
def tickers(lab: kl.Lab) -> list[str]:
    """Two markets of different events that the simulated press writes about."""
    now, found = datetime.fromisoformat(lab.simulated.now()).timestamp(), []
    for one in lab.markets(series="KXBILLVOTE")["ticker"]:
        told = [page for page in lab.simulated.exa_truth(one) if page["published"] < now and not page["broken"]]
        if any(page["sentiment"] for page in told) and lab.market(one).is_priced:
            found.append(str(one))
    assert len(found) >= 2
    return found[:2]


def billed(lab: kl.Lab) -> Decimal:
    return Decimal(lab.simulated.exa_billed()["total"])


def written(lab: kl.Lab, name: str, tickers: str | list[str], **words: Any) -> Thesis:
    return lab.thesis(name, tickers=tickers, probability="0.6", because="to be researched", **words)


def test_what_is_found_becomes_evidence_with_its_page_and_who_found_it(lab: kl.Lab, tickers: list[str]) -> None:
    """TH-4: each passage with its page's hash, stance, market and source; one version for two markets, within one budget."""
    before = written(lab, "both", tickers)
    paid = billed(lab)
    made = lab.research("both", budget="0.40")
    assert (made.version, made.status, made.gaps) == (before.version + 1, "active", ())
    assert {one.ticker for one in made.evidence} == set(tickers)
    for one in made.evidence:
        text = lab.exa.contents([one.url], text=True).results[0].text or ""
        assert one.page_sha256 == hashlib.sha256(text.encode()).hexdigest()
        assert one.sha256 == hashlib.sha256((one.passage or "").encode()).hexdigest()
        assert normal(one.passage or "") in normal(text)
        assert (one.source, one.stance in {"yes", "no", "neutral", None}) == ("exa", True)
    assert {one.stance for one in made.evidence} & {"yes", "no"}
    parts = lab.spend().filter(part=lab.spend().filter(part_starts("research both")).row(0, named=True)["part"])
    assert Decimal(str(round(parts["cost"].sum(), 6))) == billed(lab) - paid
    assert str(billed(lab) - paid).rstrip("0") in made.note
    kept = lab.thesis("both")
    assert [(one.key, one.page_sha256, one.source) for one in kept.evidence] == [
        (one.key, one.page_sha256, one.source) for one in made.evidence
    ]
    assert set(lab.predictions()["ticker"]) >= set(tickers)


def part_starts(name: str) -> Any:
    import polars as pl

    return pl.col("part").str.starts_with(name)


@pytest.mark.long
def test_researched_again_it_gets_only_what_is_new(lab: kl.Lab, tickers: list[str]) -> None:
    """TH-4: the same passages under other addresses of the same pages are known: no new version, nothing paid twice."""
    written(lab, "again", tickers[0])
    first = lab.research("again")
    paid = billed(lab)
    again = lab.research(first)
    assert (again.version, len(again.evidence)) == (first.version, len(first.evidence))
    assert billed(lab) == paid
    by_hand = [
        {"url": f"{one.url}?utm_source=x#top", "passage": one.passage, "stance": one.stance} for one in first.evidence
    ]
    written(lab, "by hand", tickers[0], evidence=by_hand)
    known = lab.research("by hand")
    assert {canonical(one.url or "") for one in known.evidence} == {canonical(one.url or "") for one in first.evidence}
    assert len(known.evidence) == len(by_hand)


@pytest.mark.long
def test_criteria_are_held_against_what_comes_in(lab: kl.Lab, tickers: list[str]) -> None:
    """TH-5: a criterion in words gets its hint from the first passage that has them."""
    seen = lab.research(written(lab, "look", tickers[0]))
    words = next(one.passage for one in seen.evidence if one.passage and len(one.passage.split()) > 6)
    criterion = " ".join(words.split(". ")[0].split()[:12])
    made = written(lab, "told", tickers[0], invalidation=[criterion])
    assert [one.verdict for one in made.checks] == ["unknown"]
    (check,) = lab.research("told").checks
    assert (check.criterion, check.verdict) == (criterion, "hint")
    assert lab.thesis("told").checks == (check,)


def test_a_budget_that_ends_midway_keeps_what_was_found(lab: kl.Lab, tickers: list[str]) -> None:
    """S15: never more than the budget for all markets together; what could not be done is said, market by market."""
    written(lab, "dear", tickers)
    paid = billed(lab)
    made = lab.research("dear", budget="0.035")
    assert billed(lab) - paid <= Decimal("0.035")
    assert made.evidence
    assert any(gap.startswith(f"{tickers[1]}: ") and "BudgetExceeded" in gap for gap in made.gaps)
    assert lab.thesis("dear").evidence == made.evidence
    assert made.partial


@pytest.mark.long
@pytest.mark.parametrize("kind", ["credit", "network", "page"])
def test_what_cannot_be_had_is_said_and_nothing_is_made_up(lab: kl.Lab, tickers: list[str], kind: str) -> None:
    """RS-1, lesson 51: out of credit, offline, pages that cannot be read: no evidence, no version, the reason."""
    before = written(lab, f"without {kind}", tickers[0])
    path = "/exa/contents" if kind == "page" else "/exa/*"
    lab.simulated.faults(path, kind="status", status=402 if kind == "credit" else 503, times=500)
    made = lab.research(before.name)
    assert (made.version, made.evidence) == (before.version, ())
    assert made.gaps
    assert all(gap.startswith(f"{tickers[0]}: ") for gap in made.gaps)
    lab.simulated.faults()
    lab.exa.credited()
    assert lab.research(before.name).evidence


def test_with_a_key_that_is_refused_it_says_so(
    lab: kl.Lab, tickers: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """EXA-1: the thesis stands, and what is missing is named."""
    home = tmp_path_factory.mktemp("keyless")
    with kl.Lab("sim", base_url=lab.simulated.url, home=home, exa_key="short") as keyless:
        written(keyless, "alone", tickers[0])
        made = keyless.research("alone")
    assert (made.version, made.evidence) == (1, ())
    assert "AuthFailed" in " ".join(made.gaps)


def test_what_is_over_is_not_paid_for(lab: kl.Lab, tickers: list[str]) -> None:
    """A thesis that is given up, or that is none, costs nothing."""
    paid = billed(lab)
    written(lab, "given up", tickers[0])
    lab.thesis("given up", status="abandoned")
    with pytest.raises(UsageError, match="abandoned"):
        lab.research("given up")
    with pytest.raises(UsageError, match="unknown thesis"):
        lab.research("never written down")
    written(lab, "free", tickers[0])
    with pytest.raises(UsageError, match="buys nothing"):
        lab.research("free", budget=0)
    assert billed(lab) == paid


@pytest.mark.parametrize("bad", [{"page_sha256": "x"}, {"page_sha256": 7}, {"source": 7}, {"source": "x" * 65}])
def test_what_is_said_of_a_page_is_checked(lab: kl.Lab, tickers: list[str], bad: dict[str, Any]) -> None:
    """S16: a hash is one, a source a word."""
    with pytest.raises(UsageError):
        written(lab, "checked", tickers[0], evidence=[{"url": "https://a.example", **bad}])
