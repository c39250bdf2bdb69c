"""Co-movement and lead-lag: on changes, with distinct times, against planted numbers and against nothing planted."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from scipy import stats

import kalshi_lab as kl
from kalshi_lab.analysis.dependence import corrected, correlated
from kalshi_lab.errors import UsageError
from kalshi_lab.sim import World
from tests.liquidity.draws import HOURS, START, OneConnection, frame, no_more_than, not_rejected, ticked, walks

ENGINE = OneConnection()
FEW, ALL = range(12), range(400)
seeds = pytest.mark.parametrize("seeds", [FEW, pytest.param(ALL, marks=pytest.mark.truth)], ids=["few", "all"])


def correlation(values: pl.DataFrame) -> pl.DataFrame:
    return kl.correlation(values, correction="none", engine=ENGINE).frame()


def lead_lag(values: pl.DataFrame, *, lags: int) -> pl.DataFrame:
    return kl.lead_lag(values, lags=lags, correction="none", engine=ENGINE).frame()


def related(seed: int, share: float, *, ahead: int = 0) -> pl.DataFrame:
    """Two walks whose changes correlate by `share`, the first `ahead` hours before the second."""
    common, first, second = np.random.default_rng(seed).normal(size=(3, HOURS + ahead))
    x, y = (math.sqrt(share) * common + math.sqrt(1 - share) * own for own in (first, second))
    return frame(np.cumsum([x[ahead:], y[: len(y) - ahead]], axis=1))


def latent(seed: int, share: float) -> pl.DataFrame:
    """The hidden values of two cities' temperatures on one day of a world."""
    world = World(seed, open_markets=200, history_days=0, correlation=share)
    events = world.events
    day = np.flatnonzero((events.shape == 0) & (events.open == events.open[0]))[:2]
    return frame(world.paths.latent(day[:, None], np.arange(0, 1024, 6)[None, :HOURS]))


@seeds
def test_independent_walks_are_flagged_no_more_often_than_alpha(seeds: range) -> None:
    """COR-1, lesson 37: changes, not levels; free walks, and walks in [0, 1] with ticks; each at 5%."""
    for draw in (walks, ticked):
        tables = [correlation(frame(draw(seed))) for seed in seeds]
        flagged = sum(table["flagged"][0] for table in tables)
        print(draw.__name__, flagged, "of", len(tables))
        assert no_more_than(flagged, len(tables), 0.05)


@seeds
def test_of_many_independent_series_any_is_flagged_no_more_often_than_alpha(seeds: range) -> None:
    """COR-1, lesson 37: five series, ten pairs, with Benjamini and Hochberg's and Holm's correction."""
    results = [correlation(frame(ticked(seed, series=5))) for seed in seeds]
    for correction in ("benjamini-hochberg", "holm"):
        flagged = sum(min(corrected(result["pearson_p"].to_list(), correction)) <= 0.05 for result in results)
        print(correction, flagged, "of", len(results))
        assert no_more_than(flagged, len(results), 0.05)


@seeds
def test_a_planted_correlation_is_covered(seeds: range) -> None:
    """Known truth: the sim's planted correlation of hidden values, 95% intervals, Pearson and Spearman, and their mean width."""
    tables = [correlation(latent(seed, 0.6)) for seed in seeds]
    for method, truth in (("pearson", 0.6), ("spearman", 6 / math.pi * math.asin(0.3))):
        hits = sum(table[f"{method}_low"][0] <= truth <= table[f"{method}_high"][0] for table in tables)
        width = sum(table[f"{method}_high"][0] - table[f"{method}_low"][0] for table in tables) / len(tables)
        print(method, hits, "of", len(tables), "mean width", round(width, 3))
        assert not_rejected(hits, len(tables), 0.95)


@seeds
def test_a_planted_lead_is_found(seeds: range) -> None:
    """Known truth: the first series is three hours ahead, or neither is; the correlation there is covered by intervals over all lags."""
    found = [lead_lag(related(seed, 0.5, ahead=0 if seed % 2 else 3), lags=3) for seed in seeds]
    assert all(table["lag"][0] == (0 if seed % 2 else 3) for seed, table in zip(seeds, found, strict=True))
    assert all(table["flagged"][0] for table in found)
    held = sum(table["low"][0] <= 0.5 <= table["high"][0] for table in found)
    print("covered", held, "of", len(found))
    assert no_more_than(len(found) - held, len(found), 0.05)


@seeds
def test_no_lead_is_made_up(seeds: range) -> None:
    """COR-1: independent series are related at any lag no more often than alpha."""
    nothing = sum(lead_lag(frame(ticked(seed)), lags=3)["flagged"][0] for seed in seeds)
    print("flagged", nothing, "of", len(seeds))
    assert no_more_than(nothing, len(seeds), 0.05)


def test_levels_would_have_flagged_what_changes_do_not() -> None:
    """COR-1: 42% of independent walks passed the predecessor's filter on levels."""
    passed = sum(abs(stats.pearsonr(*walks(seed)).statistic) >= 0.5 for seed in range(200))
    flagged = sum(kl.correlation(frame(walks(seed)), correction="none").frame()["flagged"][0] for seed in range(12))
    assert passed > 40
    assert flagged <= 3


def test_crowded_observations_count_once() -> None:
    """COR-1: quarter-hours over 40 hours are 39 changes, not 160; the last of each hour stands for it."""
    quarter = pl.concat(
        [frame(walks(3)[:, :40]).with_columns(pl.col("time") + timedelta(minutes=15 * part)) for part in range(4)]
    )
    found = kl.correlation(quarter)
    assert found.frame()["n"].to_list() == [39]
    assert found.basis.excluded["rows before the last of their step"] == 2 * 40 * 3
    assert found.frame()["pearson"][0] == pytest.approx(
        kl.correlation(frame(walks(3)[:, :40])).frame()["pearson"][0], abs=1e-5
    )
    assert kl.correlation(quarter.sample(fraction=1, shuffle=True, seed=1)).frame().equals(found.frame())


def test_changes_span_no_gap_and_nulls_are_counted() -> None:
    """Lesson 26: an hour without a value ends two changes instead of bridging them."""
    holed = frame(walks(1)).with_columns(mid=pl.when(pl.col("time") != START + timedelta(hours=50)).then("mid"))
    found = kl.correlation(holed)
    assert found.frame()["n"].to_list() == [HOURS - 1 - 2]
    assert found.basis.excluded["rows without value"] == 2


def test_constant_and_short_series_are_null_with_a_reason() -> None:
    """COR-1: no NaN; the reason stands beside the null, and is counted."""
    values = walks(5, series=3)
    values[2] = 0.5
    found = kl.correlation(frame(values))
    table = found.frame().filter(pl.col("b") == "S02")
    assert table["why"].to_list() == ["never changes"] * 2
    assert table["pearson"].null_count() == table["p_adjusted"].null_count() == table["flagged"].null_count() == 2
    assert found.basis.excluded["pairs: never changes"] == 2
    unknown = kl.correlation(frame(values).with_columns(mid=pl.when(pl.col("ticker") != "S01").then("mid")))
    assert unknown.frame()["n"].to_list() == [0, HOURS - 1, 0]
    short = kl.correlation(frame(walks(5)[:, :20]))
    assert short.frame()["why"].to_list() == ["fewer than 30 common changes"]
    assert short.conclusion == "no pair has enough changes to be tested"
    assert kl.lead_lag(frame(values)).frame()["p"].null_count() == 2
    empty = kl.correlation(frame(walks(5)).clear())
    assert (empty.frame().height, empty.basis.n) == (0, 0)


def test_figures_are_those_of_the_textbook() -> None:
    """Pearson, Spearman and both corrections against scipy's own."""
    x, y = np.diff(walks(8), axis=1)
    table = kl.correlation(frame(walks(8))).frame()
    assert table["pearson"][0] == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-6)
    assert table["spearman"][0] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-3)
    p = [0.04, 0.001, 0.03, 0.8, 0.02]
    assert corrected(p, "benjamini-hochberg") == pytest.approx(stats.false_discovery_control(p).tolist())
    assert corrected(p, "holm") == pytest.approx([0.09, 0.005, 0.09, 0.8, 0.08])
    assert corrected(p, "none") == p


def test_noise_that_hangs_together_counts_for_less() -> None:
    """The effective n shrinks under autocorrelation and common bursts, and never exceeds n."""
    draw = np.random.default_rng(2).normal(size=(2, 2000))
    slow = np.array([np.convolve(one, np.ones(8), mode="valid") for one in draw])
    burst = draw * np.where(np.arange(2000) % 200 < 20, 8.0, 1.0)
    assert correlated(*draw).effective > 1700
    assert correlated(*slow).effective < 600
    assert correlated(*burst).effective < 600
    assert correlated(*draw).effective <= 2000


def test_against_tests_one_series_alone() -> None:
    values = frame(walks(4, series=5))
    assert kl.correlation(values, against="S02").frame().height == 4
    with pytest.raises(UsageError, match="S02"):
        kl.correlation(values, against="S2")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"value": "price"}, "unknown column"), ({"method": "kendall"}, "unknown method"), ({"correction": "none at all"}, "correction"),
        ({"alpha": 0}, "alpha"), ({"min_n": 2}, "min_n"), ({"every": "soon"}, "every"), ({"time": "ticker"}, "no time"),
        ({"value": "ticker"}, "no numbers"),
    ],
)  # fmt: skip
def test_bad_questions_are_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        kl.correlation(frame(walks(1)), **change)


def test_bad_rows_are_refused_with_their_number() -> None:
    bad = frame(walks(1)).with_columns(mid=pl.when(pl.int_range(pl.len()) < 2).then(math.nan).otherwise("mid"))
    with pytest.raises(UsageError, match="'mid': 2 rows"):
        kl.correlation(bad)
    with pytest.raises(UsageError, match="'ticker': 1 row"):
        kl.correlation(frame(walks(1)).with_columns(ticker=pl.when(pl.int_range(pl.len()) > 0).then("ticker")))
    with pytest.raises(UsageError, match="pairs"):
        kl.correlation(frame(np.zeros((202, 2))))


def test_co_movement_is_never_called_an_arbitrage() -> None:
    """Lesson 37: what moves together is not said to be mispriced."""
    for result in (kl.correlation(related(1, 0.9)), kl.lead_lag(related(1, 0.9, ahead=2), lags=3)):
        assert "arbitrage" not in repr(result) + result._repr_html_()
    assert "leads S01 by 2:00:00" in kl.lead_lag(related(1, 0.9, ahead=2), lags=3).conclusion


def test_a_world_without_correlation_is_the_same_world() -> None:
    """The default world's hidden values stay what they were; a planted correlation leaves games alone."""
    plain, same, tied = (
        World(7, open_markets=200),
        World(7, open_markets=200, correlation=0.0),
        World(7, open_markets=200, correlation=0.5),
    )
    every = np.arange(len(plain.events))[:, None]
    steps = np.array([[1, 500, 1024]])
    values = [world.paths.latent(every, steps) for world in (plain, same, tied)]
    assert np.array_equal(values[0], values[1])
    changed = (values[0] != values[2]).any(axis=1)
    assert np.array_equal(changed, plain.events.shape == 0)
    with pytest.raises(UsageError, match="correlation"):
        World(7, open_markets=200, correlation=1.5)
