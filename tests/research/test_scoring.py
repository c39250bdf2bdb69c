"""Edges and scores are those of the formulas, and what is unknown stays unknown."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from kalshi_lab.research import ThesisMarket
from kalshi_lab.research.thesis import scoring

D = Decimal
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def market(own: str, bid: str | None, ask: str | None, result: str | None, *, ticker: str = "A") -> ThesisMarket:
    sides = [None if side is None else D(side) for side in (bid, ask)]
    return ThesisMarket(ticker, ticker, D(own), NOW, sides[0], sides[1], None, result)


@pytest.mark.parametrize(
    ("own", "bid", "ask", "expected"),
    [
        ("0.60", "0.78", "0.80", ("no", "0.18")),  # above one half, and still NO is the side with an edge
        ("0.40", "0.20", "0.25", ("yes", "0.15")),  # below one half, and still YES is
        ("0.79", "0.78", "0.80", ("", "0")),
        ("0.80", "0.78", "0.80", ("", "0")),
        ("0.78", "0.78", "0.80", ("", "0")),
        ("1", "0.98", "0.99", ("yes", "0.01")),
        ("0", "0.01", "0.02", ("no", "0.01")),
    ],
)
def test_the_side_is_the_one_that_pays(own: str, bid: str, ask: str, expected: tuple[str, str]) -> None:
    """The side follows from the price at which one can trade, not from whether the probability is above one half."""
    assert scoring.edge(D(own), D(bid), D(ask)) == (expected[0], D(expected[1]))


@pytest.mark.parametrize(
    ("bid", "ask"), [("0", "1"), ("0", "0.4"), ("0.4", "1"), ("0", "0"), ("0.5", "0.5"), (None, "0.4"), ("0.4", None)]
)
def test_no_quote_no_edge(bid: str | None, ask: str | None) -> None:
    """Where a side is missing there is neither an edge nor an entry price."""
    unpriced = market("0.9", bid, ask, "yes")
    assert (unpriced.edge, unpriced.entry, unpriced.market_brier, unpriced.brier_skill) == (None, None, None, None)
    assert unpriced.brier == D("0.01")


def test_zero_is_a_forecast() -> None:
    """A probability of 0 is scored like any other."""
    assert market("0", "0.4", "0.5", "no").brier == 0
    assert market("0", "0.4", "0.5", "yes").brier == 1


def test_the_market_is_compared_on_the_same_markets() -> None:
    """Skill leaves out markets that had no quote on both sides of the comparison, so that nobody gains by them."""
    markets = [
        market("0.7", "0.4", "0.6", "yes"),
        market("0.1", "0", "1", "yes", ticker="B"),
        market("0.5", "0.4", "0.6", None, ticker="C"),
    ]
    score = scoring.score(markets)
    assert (score.n, score.n_compared) == (2, 1)
    assert score.brier == pytest.approx((0.09 + 0.81) / 2)
    assert score.market_brier == pytest.approx(0.25)
    assert score.skill == pytest.approx(1 - 0.09 / 0.25)
    assert score.unscored == {"C": "not settled"}
    assert score.uncompared == {"B": "no real quote when it was written"}
    assert repr(score) == "<Score Brier 0.4500 over 2, the market's 0.2500 over 1, 1 not scored>"


def test_nothing_to_score() -> None:
    """Without a settled market every score is unknown, not 0."""
    score = scoring.score([market("0.7", "0.4", "0.6", None)])
    assert (score.n, score.brier, score.market_brier, score.skill) == (0, None, None, None)
    assert "nothing scored yet" in repr(score)
    assert "not settled" in score._repr_html_()


def test_a_perfect_market_has_no_skill_to_beat() -> None:
    """Skill against a score of 0 is unknown, not a division by zero."""
    assert scoring.skill(D("0.1"), D(0)) is None
    assert scoring.skill(D(0), D("0.25")) == 1
