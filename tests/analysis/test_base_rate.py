"""Base rates: what is known of a market's class, with the uncertainty of few events."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest

import kalshi_lab as kl
from kalshi_lab.analysis.base_rate import REDUCTION, BaseRate, band_of, base_rate, stood
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
        ("markets of KXA of type between", 0.25, 20, 20),
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


EMPTY = pl.DataFrame(
    schema={"event_ticker": pl.String, "strike_type": pl.String, "n": pl.Int64, "yes": pl.Int64, "other": pl.Int64}
)
KINDS = pl.DataFrame(schema={"ticker": pl.String, "strike_type": pl.String})


def forecasts(rows: list[tuple[str, str, float | None, int | None]]) -> pl.DataFrame:
    named = {"ticker": pl.String, "event_ticker": pl.String, "price": pl.Float64, "outcome": pl.Int8}
    return pl.DataFrame(rows, schema=named, orient="row")


def test_those_that_stood_in_a_band_are_counted_by_hand() -> None:
    """FUTURE base rates: the lower end is in, the upper one out but for a dollar; no quote is told, void is no NO."""
    rows = [(f"T{n}", f"E{n}", 0.2 + n / 100, int(n % 2 == 0)) for n in range(20)]
    rows += [("U", "E0", None, 1), ("V", "E1", 0.25, None), ("W", "E2", 1.0, 1)]
    kinds = pl.DataFrame({"ticker": ["T0", "T1"], "strike_type": ["less", "less"]})
    near = stood(forecasts(rows), kinds, (Decimal("0.2"), Decimal("0.3")), "1d")
    made = base_rate("A", "KXA", "less", EMPTY, 0.95, near=near)
    assert made.table.select("reference", "rate", "markets", "events").rows()[2:] == [
        ("markets of KXA at 20 to 30 cents, 1d before the end", 0.5, 10, 10),
        ("markets of KXA of type less at 20 to 30 cents, 1d before the end", 0.5, 2, 2),
    ]
    assert made.rate == 0.5
    assert made.basis.excluded == {"scalar or void": 0, "no real quote then": 1}
    assert made.plot().png().startswith(b"\x89PNG")
    top = stood(forecasts(rows), KINDS, (Decimal("0.9"), Decimal(1)), "1d")
    assert top.reduced["n"].to_list() == [1]


@pytest.mark.parametrize(
    ("given", "mid", "band"),
    [
        ((0.2, "0.3"), None, ("0.2", "0.3")),
        (None, "0.25", ("0.2", "0.3")),
        (None, "0.3", ("0.3", "0.4")),
        (None, "1", ("0.9", "1.0")),
    ],
)
def test_a_band_is_given_or_that_of_the_price_now(given: Any, mid: str | None, band: tuple[str, str]) -> None:
    assert band_of(given, None if mid is None else Decimal(mid)) == tuple(map(Decimal, band))


@pytest.mark.parametrize(
    "given", [(0.3, 0.2), (0.2,), (0.2, 0.3, 0.4), (-0.1, 0.2), (0.5, 1.1), ("x", 1), 7, (float("nan"), 1), None]
)
def test_what_is_no_band_is_refused(given: Any) -> None:
    """Bad input: said before anything is read."""
    with pytest.raises(kl.UsageError):
        band_of(given, None)


@pytest.mark.truth
def test_the_interval_of_a_band_holds_its_true_rate_as_often_as_it_says() -> None:
    """Events of five markets that share half their fate, priced at their true odds: 400 seeds, the true rate of the band is 0.25."""
    covered = 0
    for seed in range(400):
        random = np.random.default_rng(seed)
        odds = random.uniform(size=1500).round(6)
        moods = random.uniform(size=300).repeat(5)
        wins = np.where(random.uniform(size=1500) < 0.5, moods, random.uniform(size=1500)) < odds
        rows = [(f"T{n}", f"E{n // 5}", float(odds[n]), int(wins[n])) for n in range(1500)]
        near = stood(forecasts(rows), KINDS, (Decimal("0.2"), Decimal("0.3")), "1d")
        low, high = base_rate("A", "KXA", None, EMPTY, 0.95, near=near).table.select("low", "high").row(1)
        covered += low <= 0.25 <= high
    print(f"covered {covered} of 400")
    assert binomtest(covered, 400, 0.95).pvalue > 0.001


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
        with pytest.raises(kl.UsageError, match="goes with horizon"):
            lab.base_rate(ticker, band=(0.2, 0.3))
        lab.sync("candlesticks", series="KXHIGHNY", progress=False)
        known = lab.forecasts(horizon="6h", series="KXHIGHNY")
        near = lab.base_rate(ticker, horizon="6h", band=("0.05", "0.5"))
        among = known.filter(pl.col("price").is_between(0.05, 0.5, closed="left"), pl.col("outcome").is_not_null())
        row = near.table.row(
            by_predicate=pl.col("reference") == "markets of KXHIGHNY at 5 to 50 cents, 6h before the end", named=True
        )
        assert (row["markets"], row["events"]) == (among.height, among["event_ticker"].n_unique())
        assert row["rate"] == pytest.approx(among["outcome"].mean())
        assert near.basis.excluded["no real quote then"] == known["price"].null_count()
