"""Base rates: what is known of a market's class, with the uncertainty of few events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest

import kalshi_lab as kl
from kalshi_lab.analysis.base_rate import REDUCTION, BaseRate, base_rate
from kalshi_lab.store import memory

if TYPE_CHECKING:
    from pathlib import Path


def told(rows: list[tuple[str, str, str]], kind: str | None = "between") -> BaseRate:
    settled = pl.DataFrame(rows, schema=["event_ticker", "strike_type", "result"], orient="row")
    return base_rate("A", "KXA", kind, memory.run(REDUCTION, settled=settled), 0.95)


def test_classes_are_counted_by_hand() -> None:
    """FUTURE base rates: the series, then its type of strike; what is neither yes nor no is told."""
    rows = [(f"E{n}", kind, "yes" if n % 4 == 0 else "no") for n in range(20) for kind in ("between", "less")]
    made = told([*rows, ("E0", "between", "scalar"), ("E1", "between", "void")])
    assert made.table.select("reference", "rate", "markets", "events").rows() == [
        ("markets of KXA", 0.25, 40, 20),
        ("between markets of KXA", 0.25, 20, 20),
    ]
    assert made.rate == 0.25
    assert made.basis.excluded == {"scalar or void": 2}
    assert made.plot().png().startswith(b"\x89PNG")


def test_few_events_give_no_base_rate() -> None:
    """Lesson 26: unknown is not zero."""
    made = told([("E0", "between", "yes")] * 50)
    assert made.rate is None
    assert "no base rate" in made.conclusion
    assert told([]).plot().png().startswith(b"\x89PNG")


def test_a_class_that_never_happened_has_an_interval_all_the_same() -> None:
    made = told([(f"E{n}", "between", "no") for n in range(20)])
    low, high = made.table.select("low", "high").row(1)
    assert low == pytest.approx(0, abs=1e-12)
    assert 0.05 < high < 0.3


@pytest.mark.truth
def test_the_interval_holds_the_true_rate_as_often_as_it_says() -> None:
    """Events of five markets that share half their fate, over the seeds 0 to 399."""
    covered = 0
    for seed in range(400):
        random = np.random.default_rng(seed)
        moods = random.uniform(size=40).repeat(5)
        wins = np.where(random.uniform(size=200) < 0.5, moods, random.uniform(size=200)) < 0.3
        made = told([(f"E{n // 5}", "between", "yes" if win else "no") for n, win in enumerate(wins)])
        low, high = made.table.select("low", "high").row(0)
        covered += low <= 0.3 <= high
    print(f"covered {covered} of 400")
    assert binomtest(covered, 400, 0.95).pvalue > 0.001


@pytest.mark.long
def test_the_store_s_own_markets_are_its_class(tmp_path: Path) -> None:
    with kl.Lab("sim", home=tmp_path, world={"markets": 300}) as lab:
        lab.sync("markets", status="settled", series="KXHIGHNY", progress=False)
        ticker = lab.markets(series="KXHIGHNY", limit=3)["ticker"][1]
        made = lab.base_rate(ticker)
        counted = lab.sql("SELECT count(*) AS n FROM results WHERE result IN ('yes', 'no')")["n"][0]
        assert made.table["markets"][0] == counted
        assert made.rate is not None
