"""Each interval of calibration, of returns and of longshots by band holds the planted number as often as it says."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from scipy import stats

import kalshi_lab as kl
from tests.analysis.planted import forecasts
from tests.tape.draws import trades

if TYPE_CHECKING:
    from collections.abc import Iterator

FEW = pytest.param(range(30), id="few", marks=pytest.mark.long)
ALL = pytest.param(range(400), id="all", marks=pytest.mark.truth)
BANDS = [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1]
LEAST = 0.8  # of the seeds must know a band


def truths(bias: float) -> tuple[dict[str, float], dict[int, float]]:
    """The scores and the win rate of each bin that forecasts of an even spread of chances have, by a fine sum over them."""
    chance = np.linspace(0.05, 0.95, 200_001)
    price = 1 / (1 + np.exp(-(1 - bias) * np.log(chance / (1 - chance))))
    brier = float((chance * (1 - chance) + (price - chance) ** 2).mean())
    bins = np.floor(price * 10).astype(int)
    scores = {"brier": brier, "skill": 1 - brier / 0.25, "base_rate": 0.5}
    return scores, {int(place): float(chance[bins == place].mean()) for place in np.unique(bins)}


class Held:
    """How often intervals held what they should."""

    def __init__(self) -> None:
        self.hits: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.width: Counter[str] = Counter()

    def add(self, name: str, low: float | None, truth: float, high: float | None) -> None:
        if low is not None and high is not None:
            self.hits[name] += low <= truth <= high
            self.asked[name] += 1
            self.width[name] += high - low

    def judged(self, seeds: range) -> None:
        """None is rejected by a binomial test at 0.001; where wins are few an interval may hold more than it promises."""
        for name, asked in sorted(self.asked.items()):
            hits = self.hits[name]
            print(f"{name}: {hits} of {asked}, mean width {self.width[name] / asked:.4f}")
            if asked >= LEAST * len(seeds):
                assert stats.binomtest(hits, asked, 0.95, alternative="less").pvalue > 0.001, name


def parts(seeds: range) -> Iterator[range]:
    for first in range(0, len(seeds), 50):
        yield seeds[first : first + 50]


@pytest.mark.parametrize("seeds", [FEW, ALL])
@pytest.mark.parametrize("bias", [0.0, 0.2])
def test_bins_brier_and_skill_hold_the_planted_numbers(seeds: range, bias: float) -> None:
    """CAL-1: the win rate of every bin, the Brier score and its skill."""
    scores, rates = truths(bias)
    held = Held()
    for some in parts(seeds):
        drawn = pl.concat([forecasts(seed, bias=bias) for seed in some])
        frame = drawn.with_columns(event_ticker=pl.format("{}-{}", "seed", "event_ticker"))
        made = kl.calibration(frame, cluster="event_ticker", by="seed")
        for row in made.scores.filter(~pl.col("overall")).iter_rows(named=True):
            for name in ("brier", "skill"):
                held.add(name, row[f"{name}_low"], scores[name], row[f"{name}_high"])
        for row in made.frame().iter_rows(named=True):
            held.add(f"bin {row['bin_low']}", row["low"], rates[round(row["bin_low"] * 10)], row["high"])
    held.judged(seeds)
    assert len([name for name, asked in held.asked.items() if asked == len(seeds)]) >= 10


@pytest.mark.parametrize("seeds", [FEW, ALL])
def test_the_bootstrap_over_events_holds_them_too(seeds: range) -> None:
    """CAL-1: percentiles of draws of whole events; bins with too few wins or losses for it have no interval."""
    scores, rates = truths(0.2)
    held, unknown = Held(), 0
    for seed in seeds:
        made = kl.calibration(forecasts(seed, bias=0.2), cluster="event_ticker").bootstrap(199, seed=seed)
        for row in made.filter(pl.col("score") != "ece").iter_rows(named=True):
            of_bin = row["bin_low"] is not None
            truth = rates[round(row["bin_low"] * 10)] if of_bin else scores[row["score"]]
            unknown += row["low"] is None
            held.add(f"bin {row['bin_low']}" if of_bin else row["score"], row["low"], truth, row["high"])
    held.judged(seeds)
    assert unknown > 0


@pytest.mark.parametrize("seeds", [FEW, ALL])
@pytest.mark.parametrize(("bias", "edge"), [(0.0, 0.0), (0.2, 0.02)])
def test_returns_and_longshots_hold_the_planted_numbers_in_every_band(seeds: range, bias: float, edge: float) -> None:
    """What takers of each side earn by price, and how often contracts of each price win, weighted by contract and by trade."""
    held = Held()
    for seed in seeds:
        frame, true = trades(seed, bias=bias, edge=edge)
        yes = true.select("count", "taker_outcome_side", cost="yes_price", chance="chance")
        no = yes.with_columns(cost=1 - pl.col("cost"), chance=1 - pl.col("chance"))
        both = pl.concat([yes.with_columns(side=pl.lit("yes")), no.with_columns(side=pl.lit("no"))])
        gain = pl.col("chance") - pl.col("cost")
        for row in (
            kl.returns(frame, fees=None, bins=BANDS).frame().filter(pl.col("role") == "taker").iter_rows(named=True)
        ):
            part = banded(both, row).filter(pl.col("side") == row["side"], pl.col("taker_outcome_side") == row["side"])
            wanted = part.select((gain * pl.col("count")).sum() / pl.col("count").sum()).item()
            held.add(f"gross {row['side']} {row['low_price']}", row["gross_low"], wanted, row["gross_high"])
        for row in kl.longshots(frame, bins=BANDS).frame().iter_rows(named=True):
            part = banded(both, row)
            held.add(f"win rate {row['low_price']}", row["low"], part["chance"].mean(), row["high"])
            held.add(f"gap {row['low_price']}", row["gap_low"], part.select(gain.mean()).item(), row["gap_high"])
    held.judged(seeds)


def banded(both: pl.DataFrame, row: dict[str, float]) -> pl.DataFrame:
    return both.filter(pl.col("cost") >= row["low_price"] - 1e-9, pl.col("cost") < row["high_price"] - 1e-9)


@pytest.mark.parametrize("seeds", [FEW, ALL])
def test_a_planted_effect_of_size_is_held(seeds: range) -> None:
    """Takers of 10 contracts and more pay 3 cents more: what they earn is held in each band of sizes, and the bands lie apart."""
    held = Held()
    apart = 0
    for seed in seeds:
        frame, true = trades(seed, bias=0.0, edge=0.0, markets=2, events=100, per_market=4)
        more = pl.when(pl.col("count") >= 10).then(0.03).otherwise(0.0)
        dearer = pl.when(pl.col("taker_outcome_side") == "yes").then(more).otherwise(-more)
        paid = (pl.col("yes_price") + dearer).clip(0.001, 0.999)
        made = kl.size_effects(frame.with_columns(yes_price=paid), sizes=(0, 10), fees=None).frame()
        gain = pl.when(pl.col("taker_outcome_side") == "yes").then(1).otherwise(-1) * (pl.col("chance") - paid)
        rows = made.filter(pl.col("role") == "taker").sort("low_size")
        for low, high, row in zip((0, 10), (10, 1e9), rows.iter_rows(named=True), strict=True):
            part = true.filter(pl.col("count") >= low, pl.col("count") < high)
            wanted = part.select((gain * pl.col("count")).sum() / pl.col("count").sum()).item()
            held.add(f"from {low}", row["gross_low"], wanted, row["gross_high"])
        apart += rows["gross"][1] < rows["gross"][0]
    held.judged(seeds)
    assert apart > 0.6 * len(seeds)
