"""Research on the web within a budget: what is found, what it cost, and what could not be done."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

import kalshi_lab as kl
from kalshi_lab.errors import BudgetExceeded, NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = datetime(2026, 11, 20, 15, tzinfo=UTC)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kl.Lab]:
    home = tmp_path_factory.mktemp("context")
    with kl.Lab(
        "sim",
        home=home,
        world={"markets": 300, "clock": "frozen", "start": START},
        backoff_base=0.001,
        breaker_failures=1000,
    ) as made:
        made.caps(run=50, day=50)
        yield made


@pytest.fixture(autouse=True)
def clean(lab: kl.Lab) -> Iterator[None]:
    yield
    lab.simulated.faults()
    lab.simulated.exa()
    lab.exa.credited()
    lab.clear_answers()


@pytest.fixture(scope="module")
def ticker(lab: kl.Lab) -> str:
    return str(lab.markets(series="KXBILLVOTE", limit=1)["ticker"][0])


def billed(lab: kl.Lab) -> Decimal:
    return Decimal(lab.simulated.exa_billed()["total"])


def test_a_market_s_context_is_the_same_few_searches_paid_to_the_cent(lab: kl.Lab, ticker: str) -> None:
    """RS-1: deterministic queries, the deciding sources among them, kalshi.com left out, cost told."""
    before = billed(lab)
    found = lab.context(ticker)
    assert not found.partial
    assert set(found.frame()["kind"]) <= {"news", "source", "paper", "related"}
    assert "news" in set(found.frame()["kind"])
    assert found.frame()["key"].is_unique().all()
    assert "kalshi.com" not in set(found.frame()["domain"])
    assert found.frame().filter(kind="source")["domain"].unique().to_list() in ([], ["congress.gov"])
    assert found.cost == billed(lab) - before == Decimal("0.028")
    assert found.sources().columns == ["domain", "pages", "newest"]
    again = lab.context(ticker)
    assert again.cost == 0
    assert again.frame().equals(found.frame())


def test_over_budget_the_rest_is_given_and_the_gap_named(lab: kl.Lab, ticker: str) -> None:
    """RS-1: a budget that is used up stops nothing that was found."""
    found = lab.context(ticker, budget=0.015)
    assert found.partial
    assert found.cost == Decimal("0.014")
    assert [gap.split(" not done")[0] for gap in found.gaps] == ["paper search", "related search"]
    assert "may cost 0.007 dollars" in found.gaps[0]
    assert found.frame().height > 0
    assert "Partial" in found._repr_html_()


@pytest.mark.long
@pytest.mark.parametrize("trouble", ["credit", "down", "no key"])
def test_whatever_is_wrong_is_said_and_nothing_invented(lab: kl.Lab, ticker: str, trouble: str, tmp_path: Path) -> None:
    """RS-1, RS-2: out of credit, offline or without a key there are gaps, and no pages in their place."""
    if trouble == "no key":
        settings = {"environment": "sim", "base_url": lab.settings.url, "home": tmp_path}
        with kl.Lab(exa_key="short", **settings) as other:
            found, said = other.context(ticker), other.topic("anything?")
        assert "AuthFailed" in found.gaps[0]
    else:
        if trouble == "credit":
            lab.simulated.exa(credit=0)
        else:
            lab.simulated.faults("/exa/*", kind="drop", times=1000)
        found, said = lab.context(ticker), lab.topic("anything?")
    assert found.frame().height == 0
    assert len(found.gaps) == 4
    assert said.answer is None
    assert said.citations.height == 0
    assert len(said.gaps) == 2


def test_a_topic_has_an_answer_with_its_citations_and_pages(lab: kl.Lab) -> None:
    """RS-2: answer and search; the fast mode asks for no answer unless it is wanted."""
    said = lab.topic("H.R. 1001 passes the House")
    assert said.answer
    assert said.citations.height > 0
    assert said.frame().height == 15
    assert said.cost == Decimal("0.017")
    assert lab.topic("H.R. 1002 passes the House", mode="fast").answer is None
    assert lab.topic("H.R. 1003 passes the House", mode="fast", answer=True).answer
    with pytest.raises(UsageError, match="Did you mean 'fast'"):
        lab.topic("x", mode="fats")
    with pytest.raises(UsageError, match="amount of dollars"):
        lab.topic("x", budget="much")


def test_pages_like_one_come_from_elsewhere(lab: kl.Lab) -> None:
    """RS-3, EXA-3: similar pages are a search for the page's own title, without its host."""
    seed = lab.topic("H.R. 1001 passes the House", mode="fast").frame()
    row = next(row for row in seed.to_dicts() if row["title"])
    found = lab.similar(row["url"])
    assert found.frame().height > 0
    assert row["domain"] not in set(found.frame()["domain"])


@pytest.mark.long
def test_a_deep_question_is_paid_once_and_remembered(lab: kl.Lab) -> None:
    """RS-3, AG-2: the same question again is the same run, in whatever session."""
    before = billed(lab)
    lab.simulated.advance(1)
    run = lab.deep("Will H.R. 1004 pass?", budget="0.05")
    assert run.status == "completed"
    assert lab.deep("Will  H.R. 1004 pass?").id == run.id
    assert billed(lab) - before == Decimal("0.025")
    with pytest.raises(BudgetExceeded) as refused:
        lab.deep("Will H.R. 1005 pass?", effort="high", budget="0.05")
    assert refused.value.cost == Decimal("0.50")
    assert billed(lab) - before == Decimal("0.025")


def test_the_cache_is_cleared_on_demand(lab: kl.Lab) -> None:
    """RS-3, EXA-8: all of it, or what is stale."""
    lab.topic("H.R. 1006 passes the House", mode="fast")
    assert lab.clear_answers(stale_only=True) == 0
    assert lab.clear_answers() >= 1
    assert lab.topic("H.R. 1006 passes the House", mode="fast").cost == Decimal("0.009")


def test_spending_is_a_frame_and_caps_are_kept(lab: kl.Lab) -> None:
    """EXA-10: what was spent, by whom, and what is left, in any process of the store."""
    frame = lab.spend()
    assert frame["cost"].sum() == pytest.approx(float(billed(lab)))
    assert frame.columns[:4] == ["time", "run", "part", "payee"]
    settings = {"environment": "sim", "base_url": lab.settings.url, "home": lab.settings.folder}
    with kl.Lab(**settings) as other:
        assert other.caps()["dollars"].to_list() == [50, 50]
        assert other.caps(run="0.001").row(0)[:1] == ("run",)
        with pytest.raises(BudgetExceeded, match=r"this run has 0\.001"):
            other.exa.answer("anything?")
        assert other.topic("anything?").partial
    lab.caps(run=50)


def test_an_unknown_market_is_told_before_anything_is_paid(lab: kl.Lab) -> None:
    before = billed(lab)
    with pytest.raises(NotFound):
        lab.context("KXNOSUCH-26")
    assert billed(lab) == before
