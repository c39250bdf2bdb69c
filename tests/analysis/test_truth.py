"""Calibration against planted truth: slopes, scores and tests say what was planted, as often as they promise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from kalshi_lab import calibration, compare, recalibrate
from kalshi_lab.analysis.comparison import two_sided
from kalshi_lab.analysis.scores import student
from kalshi_lab.errors import UsageError
from kalshi_lab.sim.paths import STEPS
from kalshi_lab.sim.world import World
from tests.analysis.planted import forecasts

if TYPE_CHECKING:
    from kalshi_lab.analysis.result import Calibration

FEW = pytest.param(range(30), id="few", marks=pytest.mark.long)
ALL = pytest.param(range(400), id="all", marks=pytest.mark.truth)


def measured(seeds: range, *, cluster: str | None = "event_ticker", **planted: Any) -> pl.DataFrame:
    """The scores of each seed; events of different seeds are different events."""
    found = []
    for first in range(0, len(seeds), 50):
        drawn = pl.concat([forecasts(seed, **planted) for seed in seeds[first : first + 50]])
        frame = drawn.with_columns(event_ticker=pl.format("{}-{}", "seed", "event_ticker"))
        found.append(calibration(frame, cluster=cluster, by="seed").scores.filter(~pl.col("overall")))
    return pl.concat(found)


def held(scores: pl.DataFrame, name: str, truth: float, seeds: range) -> int:
    assert scores.height == len(seeds)
    width = scores.select((pl.col(f"{name}_high") - pl.col(f"{name}_low")).mean()).item()
    print(f"{name}: mean width {width:.4f} over {len(seeds)} seeds")
    return scores.filter(pl.col(f"{name}_low") <= truth, truth <= pl.col(f"{name}_high")).height


def promised(count: int, seeds: range, share: float = 0.95) -> bool:
    return stats.binomtest(count, len(seeds), share).pvalue > 0.001


@pytest.mark.parametrize("seeds", [FEW, ALL])
@pytest.mark.parametrize("bias", [0.0, 0.2])
def test_the_slope_is_the_planted_one(seeds: range, bias: float) -> None:
    """CAL-1: log-odds shrunk by a bias of b have slope 1 / (1 - b), which the 95% interval holds in 95% of draws; none included."""
    scores = measured(seeds, bias=bias)
    assert scores["slope"].mean() == pytest.approx(1 / (1 - bias), abs=0.06)
    assert promised(held(scores, "slope", 1 / (1 - bias), seeds), seeds)
    assert promised(held(scores, "intercept", 0.0, seeds), seeds)


@pytest.mark.parametrize("seeds", [FEW, ALL])
def test_fifty_markets_to_an_event_deceive_only_the_naive(seeds: range) -> None:
    """Intervals that take markets for independent hold the truth far too seldom; clustered ones as often as they say."""
    planted = {"bias": 0.1, "events": 40, "markets": 50}
    few = seeds[:100]
    clustered, naive = measured(seeds, **planted), measured(few, cluster=None, **planted)
    truth = 0.0
    assert promised(held(clustered, "intercept", truth, seeds), seeds)
    assert held(naive, "intercept", truth, few) < 0.75 * len(few)


@pytest.mark.parametrize("seeds", [FEW, ALL])
def test_equal_forecasts_are_told_apart_no_more_often_than_chance(seeds: range) -> None:
    """The paired test at 5% calls two equally good forecasts different in 5% of draws, and a biased price worse than the truth in most."""
    false = found = 0
    for seed in seeds:
        frame = forecasts(seed, bias=0.4, noise=0.3)
        p = compare(frame, "model", "rival").p_value
        false += p is not None and p < 0.05
        against = compare(frame, "chance", "price")
        found += against.p_value is not None and against.p_value < 0.05 and (against.difference or 0) < 0
    assert promised(false, seeds, 0.05)
    assert found > 0.6 * len(seeds)


def biased() -> pl.DataFrame:
    return forecasts(3, bias=0.5, events=400)


def test_the_line_is_that_of_another_implementation() -> None:
    """Newton's steps end where scipy's minimiser of the likelihood does, weights included."""
    from scipy.optimize import minimize

    frame = forecasts(5, bias=0.3).with_columns(w=pl.int_range(pl.len()) % 3 + 1)
    x = np.log(frame["price"] / (1 - frame["price"])).to_numpy()
    y, w = frame["outcome"].to_numpy().astype(float), frame["w"].to_numpy()

    def lost(line: np.ndarray) -> float:
        z = line[0] + line[1] * x
        return float(np.sum(w * (np.logaddexp(0, z) - y * z)))

    best = minimize(lost, [0, 1], method="BFGS", options={"gtol": 1e-9}).x
    made = calibration(frame, cluster="event_ticker", weight="w")
    assert (made.intercept, made.slope) == pytest.approx(tuple(best), abs=1e-5)
    assert "slope" in repr(made)


@pytest.mark.parametrize(
    "rows", [{"price": [0.5, 0.5], "outcome": [1, 0]}, {"price": [0.2, 0.8], "outcome": [0, 1]}, {"price": [0.2, 0.8], "outcome": [1, 1]},
             {"price": [0.0, 1.0], "outcome": [0, 1]}],
)  # fmt: skip
def test_where_no_line_can_be_drawn_there_is_none(rows: dict[str, list[float]]) -> None:
    """One price, outcomes split cleanly, one outcome, prices without log-odds: null, not a huge number."""
    made = calibration(pl.DataFrame(rows))
    assert (made.slope, made.intercept) == (None, None)


def test_the_bootstrap_and_the_formula_agree() -> None:
    """Clusters drawn with replacement give the Brier score's interval that linearisation gives, and the same again for a seed."""
    made: Calibration = calibration(biased(), cluster="event_ticker")
    drawn = made.bootstrap(400)
    assert drawn.equals(made.bootstrap(400))
    brier = drawn.row(0, named=True)
    analytic = made.scores.row(0, named=True)
    assert brier["value"] == pytest.approx(made.brier)
    assert (brier["low"], brier["high"]) == pytest.approx((analytic["brier_low"], analytic["brier_high"]), abs=0.004)
    skill = drawn.row(1, named=True)
    assert (skill["low"], skill["high"]) == pytest.approx((analytic["skill_low"], analytic["skill_high"]), abs=0.02)
    bins = drawn.filter(pl.col("score") == "win_rate")
    full = made.bins["n"] > 200
    assert bins["value"].to_list() == pytest.approx(made.bins["win_rate"].to_list())
    assert (bins["low"] - made.bins["low"]).filter(full).abs().max() < 0.03
    with pytest.raises(UsageError, match="none was named"):
        calibration(biased()).bootstrap()
    assert calibration(biased().clear(), cluster="event_ticker").bootstrap().is_empty()


def test_the_comparison_is_the_textbook_test_where_rows_are_alone() -> None:
    """With a row to each cluster it is the paired t-test of the losses; a base rate as the other forecast gives the skill score."""
    frame = forecasts(1, bias=0.4).with_columns(event_ticker=pl.format("{}", pl.int_range(pl.len())))
    made = compare(frame, "price", "model")
    losses = [(frame[name] - frame["outcome"].cast(pl.Float64)) ** 2 for name in ("price", "model")]
    expected = stats.ttest_rel(*losses)
    row = made.table.row(0, named=True)
    assert (row["statistic"], row["p_value"]) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-3)
    skill = compare(frame, "price").table["skill"][0]
    assert skill == pytest.approx(calibration(frame).skill)
    log = compare(frame, "price", "model", loss="log", cluster=None)
    assert log.table["loss_first"][0] == pytest.approx(calibration(frame).log_score)


def test_a_tail_is_the_level_of_its_quantile() -> None:
    """As scipy has it, for any freedom."""
    for freedom in (1, 2, 7.5, 200):
        for statistic in (0.1, 1.0, 2.5, 6.0):
            assert two_sided(statistic, freedom) == pytest.approx(2 * stats.t.sf(statistic, freedom), abs=2e-3)
            assert two_sided(-student(0.95, freedom), freedom) == pytest.approx(0.05, abs=1e-6)


def test_comparisons_say_what_they_leave_out() -> None:
    """Missing forecasts, outcomes and clusters, and impossible ones under the logarithm, are counted by reason."""
    frame = pl.DataFrame(
        {"price": [None, 0.2, 0.3, 1.0, 0.4], "model": [0.1, None, 0.3, 0.9, 0.5], "outcome": [1, 1, None, 0, 1],
         "event_ticker": ["a", "b", "c", "d", None]}
    )  # fmt: skip
    made = compare(frame, "price", "model", loss="log")
    assert dict(made.basis.excluded) == {
        "that called impossible what happened": 1, "without cluster": 1, "without outcome": 1,
        "without the first forecast": 1, "without the second forecast": 1,
    }  # fmt: skip
    assert made.conclusion == "no forecasts"
    assert made.p_value is None
    one = compare(frame[3:4], "price", "model")
    assert "too few clusters" in one.conclusion
    for options, words in [
        ({"second": "modle"}, "Did you mean 'model'"),
        ({"loss": "hinge"}, "loss"),
        ({"confidence": 95}, "95"),
    ]:
        with pytest.raises(UsageError, match=words):
            compare(frame, **options)


@pytest.mark.parametrize("method", ["isotonic", "logit"])
def test_recalibration_helps_out_of_sample_and_never_sees_its_own_event(method: Any) -> None:
    """A planted bias is undone by what other events taught; an event's own outcomes move its prices not at all."""
    frame = biased()
    made = recalibrate(frame, method=method)
    assert made.table.height == frame.height
    assert made.table.group_by("cluster").agg(pl.col("fold").n_unique()).get_column("fold").max() == 1
    assert (made.against.difference or 0) < 0
    assert (made.against.p_value or 1) < 0.05
    assert "recalibrated is better" in made.conclusion
    mended = calibration(made.table, price="recalibrated", cluster="cluster")
    assert mended.slope == pytest.approx(1, abs=0.2)
    own = pl.col("event_ticker") == "E7"
    turned = recalibrate(frame.with_columns(outcome=pl.col("outcome") ^ own), method=method)
    mine = made.table["cluster"] == "E7"
    assert made.table.filter(mine)["recalibrated"].equals(turned.table.filter(mine)["recalibrated"])
    assert not made.table["recalibrated"].equals(turned.table["recalibrated"])
    assert made.apply([0.0, 0.31, 1.0]).is_sorted()


def test_the_isotonic_curve_is_the_best_rising_one() -> None:
    """As scipy's, on every price."""
    from scipy.optimize import isotonic_regression

    frame = forecasts(2, bias=0.3).with_columns(price=pl.col("price").round(2))
    made = recalibrate(frame)
    levels = frame.group_by("price").agg(pl.len(), pl.col("outcome").mean()).sort("price")
    best = isotonic_regression(levels["outcome"].to_numpy(), weights=levels["len"].to_numpy()).x
    assert made.apply(levels["price"]).to_list() == pytest.approx(list(best))


def test_recalibration_refuses_what_it_cannot_learn_from() -> None:
    """Fewer events than folds, one fold, one outcome under the line; nothing in gives nothing out."""
    frame = forecasts(1, bias=0.1, events=3, markets=4)
    for options, words in [
        ({}, "cannot make 5 folds"),
        ({"folds": 1}, "leave nothing"),
        ({"method": "magic"}, "method"),
    ]:
        with pytest.raises(UsageError, match=words):
            recalibrate(frame, **options)
    with pytest.raises(UsageError, match="no line can be drawn"):
        recalibrate(frame.with_columns(outcome=True), folds=2, method="logit")
    empty = recalibrate(frame.clear())
    assert empty.table.is_empty()
    assert empty.plot().png().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="nothing was learned"):
        empty.apply([0.5])


def test_their_pictures_take_any_name() -> None:
    """Names with dollar signs are drawn as they stand; one forecast is enough, and so is none."""
    frame = biased().with_columns(pl.col("model").alias("_a $x$"))
    for each in (compare(frame, "price", "_a $x$"), compare(frame.clear()), compare(frame.head(1)), recalibrate(frame)):
        assert each.plot().png().startswith(b"\x89PNG")
        assert math.isfinite(len(each._repr_html_()))


def world_forecasts(seed: int, bias: float) -> pl.DataFrame:
    """The middle of every quote of a world halfway through each event, and how it ended."""
    world = World(seed, open_markets=300, history_days=20, longshot_bias=bias, maker_noise=0.0, maker_edge=0.002)
    rows = np.arange(len(world.markets))
    bid, ask = (side / 10_000 for side in world.quotes.best(rows, np.full(len(rows), STEPS // 2)))
    frame = pl.DataFrame(
        {
            "bid": bid,
            "ask": ask,
            "paid": world.payouts / 10_000,
            "event_ticker": world.markets.event[rows] + 10**6 * seed,
        }
    )
    real = (pl.col("bid") > 0) & (pl.col("ask") < 1) & pl.col("paid").is_in([0.0, 1.0])
    return frame.filter(real).select(
        "event_ticker", price=(pl.col("bid") + pl.col("ask")) / 2, outcome=pl.col("paid") == 1
    )


@pytest.mark.parametrize("bias", [0.0, 0.3])
def test_the_simulated_makers_bias_is_found(bias: float) -> None:
    """CAL-1: from the quotes of whole worlds, on the exchange's own price grid, the slope is 1 / (1 - bias)."""
    frame = pl.concat([world_forecasts(seed, bias) for seed in range(4)])
    scores = calibration(frame, cluster="event_ticker").scores.row(0, named=True)
    print(scores["n"], scores["clusters"], scores["slope"], scores["slope_low"], scores["slope_high"])
    assert scores["slope_low"] < 1 / (1 - bias) < scores["slope_high"]
    assert (scores["slope_low"] > 1.1) == (bias > 0)


def lopsided(seed: int, bias: float) -> pl.DataFrame:
    """Three events of sixty markets beside fifty-seven of two."""
    drawn = forecasts(seed, bias=bias, events=60, markets=60).with_columns(
        place=pl.int_range(pl.len()).over("event_ticker")
    )
    large = pl.col("event_ticker").is_in(["E0", "E1", "E2"])
    return drawn.filter(large | (pl.col("place") < 2)).with_columns(
        event_ticker=pl.format("{}-{}", "seed", "event_ticker")
    )


@pytest.mark.parametrize("seeds", [FEW, ALL])
def test_a_few_large_events_do_not_make_the_line_too_sure(seeds: range) -> None:
    """CAL-1: of events of very unequal size the slope's interval holds the planted one; a plain sandwich's does not."""
    drawn = pl.concat([lopsided(seed, 0.2) for seed in seeds])
    scores = calibration(drawn, cluster="event_ticker", by="seed").scores.filter(~pl.col("overall"))
    count = held(scores, "slope", 1.25, seeds)
    print(f"slope: {count} of {len(seeds)}")
    assert stats.binomtest(count, len(seeds), 0.95, alternative="less").pvalue > 0.001
