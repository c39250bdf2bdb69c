"""Scores of forecasts: against hand-worked figures, other implementations and simulated truth."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kalshi_lab.analysis import scores
from kalshi_lab.analysis.calibration import calibration

FORECASTS = st.lists(
    st.tuples(st.integers(0, 10**6).map(lambda p: Fraction(p, 10**6)), st.booleans(), st.integers(1, 500)),
    min_size=1,
    max_size=40,
)


def test_brier_score_is_the_mean_squared_miss() -> None:
    """(0.2^2 + 0.5^2 + 0.1^2) / 3 for 0.8 yes, 0.5 no, 0.1 no."""
    sums = scores.Sums.of([Decimal("0.8"), Decimal("0.5"), Decimal("0.1")], [True, False, False])
    assert scores.brier(sums) == pytest.approx(0.3 / 3)
    assert scores.win_rate(sums) == 1 / 3


def test_sums_refuse_lists_of_different_lengths() -> None:
    """A forecast without its outcome is an error, never dropped."""
    with pytest.raises(ValueError, match="shorter"):
        scores.Sums.of([Decimal("0.8"), Decimal("0.5")], [True])


def test_skill_is_zero_for_the_base_rate_and_one_for_perfect_forecasts() -> None:
    """The reference of the skill score is the base rate of the same outcomes."""
    outcomes = [True, False, False, False]
    assert scores.skill(scores.Sums.of([Fraction(1, 4)] * 4, outcomes)) == 0
    assert scores.skill(scores.Sums.of([1, 0, 0, 0], outcomes)) == 1
    assert scores.skill(scores.Sums.of([0, 1, 1, 1], outcomes)) == pytest.approx(1 - 1 / (3 / 16))


@pytest.mark.parametrize("outcomes", [[True, True], [False, False]])
def test_skill_is_none_where_the_base_rate_is_certain(outcomes: list[bool]) -> None:
    """Nothing can be better than a base rate of 0 or 1."""
    assert scores.skill(scores.Sums.of([Fraction(1, 2)] * 2, outcomes)) is None


def test_scores_of_nothing_are_none() -> None:
    """No forecasts, no figures."""
    nothing = scores.Sums()
    single = (scores.brier, scores.skill, scores.win_rate)
    assert [score(nothing) for score in single] == [None] * 3
    assert scores.decomposition([]) is None
    assert scores.ece([nothing]) is None
    assert scores.log_score([]) is None
    assert scores.wilson(0.5, 0) is None
    assert scores.clustered([]) is None


@given(FORECASTS, st.integers(1, 20))
def test_the_parts_of_the_brier_score_add_up(forecasts: list[tuple[Fraction, bool, int]], count: int) -> None:
    """Whatever the forecasts, weights and bins: reliability - resolution + uncertainty + within_bin is the Brier score."""
    bins: dict[int, scores.Sums] = {}
    for price, won, weight in forecasts:
        place = min(int(price * count), count - 1)
        bins[place] = bins.get(place, scores.Sums()) + scores.Sums.one(price, won, weight)
    parts = scores.decomposition(bins.values())
    brier = scores.brier(scores.total(bins.values()))
    assert parts is not None
    assert parts.reliability - parts.resolution + parts.uncertainty + parts.within_bin == pytest.approx(
        brier, abs=1e-14
    )
    prices, outcomes, weights = (np.array([float(each) for each in column]) for column in zip(*forecasts, strict=True))
    assert brier == pytest.approx(np.average((prices - outcomes) ** 2, weights=weights), abs=1e-12)


def test_forecasts_equal_within_bins_have_no_within_bin_part() -> None:
    """Murphy's three parts suffice exactly when each bin holds one forecast."""
    bins = [
        scores.Sums.of([Fraction(1, 5)] * 4, [True, False, False, False]),
        scores.Sums.of([Fraction(9, 10)] * 2, [True, True]),
    ]
    parts = scores.decomposition(bins)
    assert parts is not None
    assert parts.within_bin == 0
    assert parts.reliability == pytest.approx((4 * 0.05**2 + 2 * 0.1**2) / 6)
    assert parts.uncertainty == 0.25


def test_calibration_error_weighs_bins_by_what_they_hold() -> None:
    """(4 * 0.05 + 2 * 0.1) / 6."""
    bins = [
        scores.Sums.of([Fraction(1, 5)] * 4, [True, False, False, False]),
        scores.Sums.of([Fraction(9, 10)] * 2, [True, True]),
    ]
    assert scores.ece(bins) == pytest.approx(0.4 / 6)


def test_log_score_is_the_mean_surprise() -> None:
    """-(ln 0.8 + ln 0.5 + 2 ln 0.9) / 4, the last forecast weighing twice."""
    levels = [(Fraction(4, 5), True, 1), (Fraction(1, 2), False, 1), (Fraction(1, 10), False, 2)]
    assert scores.log_score(levels) == pytest.approx(-(math.log(0.8) + math.log(0.5) + 2 * math.log(0.9)) / 4)


def test_log_score_of_certain_forecasts() -> None:
    """A certainty that comes true costs nothing; one that is refuted costs everything."""
    assert scores.log_score([(1, True, 1), (0, False, 1)]) == 0
    assert scores.log_score([(1, True, 1), (0, True, 1)]) == math.inf
    assert scores.log_score([(1, False, 1)]) == math.inf


@pytest.mark.parametrize(("won", "n"), [(0, 1), (0, 20), (3, 20), (1, 1), (500, 1000), (1000, 1000)])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99])
def test_wilson_interval_agrees_with_scipy(won: int, n: int, confidence: float) -> None:
    """The same formula by other hands."""
    expected = stats.binomtest(won, n).proportion_ci(confidence, method="wilson")
    assert scores.wilson(won / n, n, confidence) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_clusters_of_one_give_the_textbook_interval() -> None:
    """With a row a cluster the variance is p (1 - p) / (n - 1): Wilson's interval of n - 1 draws, with Student's t."""
    low, high = scores.clustered([(1, 1)] * 30 + [(1, 0)] * 70) or (0, 0)
    t, n = 1.98421695, 99
    middle, half = 0.3 + t * t / (2 * n), t * math.sqrt(0.3 * 0.7 / n + t * t / (4 * n * n))
    assert (low, high) == pytest.approx(
        ((middle - half) / (1 + t * t / n), (middle + half) / (1 + t * t / n)), rel=1e-5
    )


def test_repeating_every_row_inside_its_cluster_teaches_nothing() -> None:
    """Ten copies of each row leave the clustered interval as wide, and make Wilson's far too narrow."""
    clusters = [(1.0, 1.0)] * 12 + [(1.0, 0.0)] * 28
    once, copied = scores.clustered(clusters), scores.clustered([(10 * w, 10 * won) for w, won in clusters])
    assert once == pytest.approx(copied)
    narrow, wide = scores.wilson(0.3, 400), scores.wilson(0.3, 40)
    assert narrow is not None
    assert wide is not None
    assert narrow.high - narrow.low < 0.4 * (wide.high - wide.low)


def test_one_cluster_gives_no_interval_and_equal_outcomes_no_certainty() -> None:
    """Where the linearised variance cannot speak, the interval is absent or Wilson's over clusters, never a point."""
    assert scores.clustered([(50, 20)]) is None
    assert scores.clustered([(5, 0)] * 10) == scores.wilson(0, 10)
    assert scores.clustered([(5, 5)] * 10) == scores.wilson(1, 10)


def test_clustered_intervals_cover_the_truth_and_naive_ones_do_not() -> None:
    """400 samples of 60 events whose 8 rows share a fate: 95% intervals hold the truth in about 95% only when clustered."""
    samples, events, rows, truth = 400, 60, 8, 0.3
    rng = np.random.default_rng(20261122)
    chance = rng.beta(truth * 2, (1 - truth) * 2, size=(samples, events, 1))
    won = rng.random((samples, events, rows)) < chance
    sample, event, _ = np.indices(won.shape)
    frame = pl.DataFrame(
        {"price": truth, "outcome": won.ravel(), "sample": sample.ravel(), "event": event.ravel()},
        schema_overrides={"price": pl.Float64},
    )
    held = pl.col("low").is_between(0, truth) & pl.col("high").is_between(truth, 1)
    clustered = calibration(frame, by="sample", cluster="event", bins=1).frame().filter(held).height
    naive = calibration(frame, by="sample", bins=1).frame().filter(held).height
    assert stats.binomtest(clustered, samples, 0.95).pvalue > 0.01
    assert naive < 0.75 * samples
