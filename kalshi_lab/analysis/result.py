"""The result of a calibration: its tables, its scores, and how it reads in a notebook."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from kalshi_lab.analysis import resampled
from kalshi_lab.analysis.base import Result
from kalshi_lab.analysis.logit import LINE

if TYPE_CHECKING:
    from kalshi_lab.analysis.scores import Decomposition

_FLOAT, _COUNT = pl.Float64(), pl.Int64()
COLUMNS: dict[str, pl.DataType] = {
    "bin_low": _FLOAT,
    "bin_high": _FLOAT,
    "n": _COUNT,
    "clusters": _COUNT,
    "weight": _FLOAT,
    "mean_price": _FLOAT,
    "win_rate": _FLOAT,
    "low": _FLOAT,
    "high": _FLOAT,
    "gap": _FLOAT,
}
SCORE_COLUMNS: dict[str, pl.DataType] = {
    "n": _COUNT,
    "clusters": _COUNT,
    "weight": _FLOAT,
    "base_rate": _FLOAT,
    "brier": _FLOAT,
    "skill": _FLOAT,
    "log_score": _FLOAT,
    "impossible": _COUNT,
    "ece": _FLOAT,
    "reliability": _FLOAT,
    "resolution": _FLOAT,
    "uncertainty": _FLOAT,
    "within_bin": _FLOAT,
}
# What an interval comes with; after the scores in the table of scores
MORE_COLUMNS = ("brier_low", "brier_high", "skill_low", "skill_high", *LINE)


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of one set of forecasts; None where there is nothing to score. `scores.py` has the formulas."""

    n: int
    clusters: int | None
    weight: float
    base_rate: float | None
    brier: float | None
    skill: float | None
    log_score: float | None
    impossible: int
    ece: float | None
    decomposition: Decomposition | None

    def row(self) -> tuple[float | None, ...]:
        """The values in the order of SCORE_COLUMNS."""
        parts = self.decomposition or (None,) * 4
        plain = (self.n, self.clusters, self.weight, self.base_rate, self.brier, self.skill, self.log_score)
        return (*plain, self.impossible, self.ece, *parts)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Calibration(Result):
    """How often events happened that were priced at p.

    `bins` is the table over all forecasts, `groups` the same for each group of `by`, `scores` the scores of all
    (`overall` true) and of each group, with the calibration slope and intercept (`kalshi_lab.analysis.logit`) and
    intervals. `excluded` counts the rows that were left out, by reason.
    """

    chart: ClassVar[str] = "reliability"
    bins: pl.DataFrame
    groups: pl.DataFrame | None
    scores: pl.DataFrame
    overall: Scores
    excluded: dict[str, int]
    levels: pl.DataFrame
    by: tuple[str, ...] = ()
    weight: str | None = None
    cluster: str | None = None
    confidence: float = field(default=0.95)

    def frame(self) -> pl.DataFrame:
        """The table: a row for each bin that holds forecasts, for each group of `by` where groups were asked for.

        Columns: those of `by`, then bin_low, bin_high (Float64, dollars; a bin holds its lower edge), n (Int64),
        clusters (Int64, null unless clustered), weight, mean_price, win_rate, low, high (the interval of the win rate,
        null where one cluster cannot give any), gap (win_rate - mean_price), all Float64.
        """
        return self.bins if self.groups is None else self.groups

    @property
    def n(self) -> int:
        """How many forecasts count."""
        return self.overall.n

    @property
    def clusters(self) -> int | None:
        """How many clusters they form; None where no cluster was named."""
        return self.overall.clusters

    @property
    def base_rate(self) -> float | None:
        """The weighted share of forecasts whose event happened."""
        return self.overall.base_rate

    @property
    def brier(self) -> float | None:
        """The Brier score: 0 is perfect."""
        return self.overall.brier

    @property
    def skill(self) -> float | None:
        """The Brier skill against the base rate; None where the base rate is 0 or 1."""
        return self.overall.skill

    @property
    def decomposition(self) -> Decomposition | None:
        """The Brier score in parts: reliability - resolution + uncertainty + within_bin."""
        return self.overall.decomposition

    @property
    def log_score(self) -> float | None:
        """The mean negative log likelihood in nats; infinite where a price of 0 or 1 was refuted."""
        return self.overall.log_score

    @property
    def impossible(self) -> int:
        """How many forecasts called impossible what happened, or certain what did not."""
        return self.overall.impossible

    @property
    def ece(self) -> float | None:
        """The expected calibration error over these bins."""
        return self.overall.ece

    @property
    def slope(self) -> float | None:
        """The calibration slope: 1 is honest, above 1 prices are drawn towards even odds; None where no line can be drawn."""
        return self._overall("slope")

    @property
    def intercept(self) -> float | None:
        """The calibration intercept in log-odds: 0 is honest, above 0 events happen more often than they cost."""
        return self._overall("intercept")

    @property
    def weighting(self) -> str:
        """What counts how much, in words."""
        return self.basis.weighting

    @property
    def interval(self) -> str:
        """How `low` and `high` were made, in words."""
        return self.basis.interval

    def bootstrap(self, replicates: int = 999, seed: int = 0) -> pl.DataFrame:
        """Intervals from drawing whole clusters with replacement (rows, where no cluster was named): percentiles of `replicates` draws.

        A row for each score (brier, skill, ece, base_rate) and for the win rate of each bin. Columns: score String, bin_low, bin_high
        (Float64, null for scores of all), value, low, high (Float64; null in bins where fewer than 10 clusters have a win, or a loss: draws
        of them are too much alike, and `bins` has an interval that holds). Needs numpy, and a cluster. A. C. Cameron, J. B. Gelbach, D. L.
        Miller, "Bootstrap-based improvements for inference with clustered errors", Review of Economics and Statistics 90 (2008);
        B. Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7 (1979).
        """
        edges = list(self.bins.select("bin_low", "bin_high").iter_rows())
        clustered = self.cluster is not None
        return resampled.intervals(self.levels, edges, replicates, seed, self.confidence, clustered=clustered)

    def _overall(self, name: str) -> float | None:
        return None if self.scores.is_empty() else self.scores.filter("overall")[name][0]

    @property
    def conclusion(self) -> str:
        """What the bins say, in words: only those count whose interval leaves out their mean price."""
        if not self.n:
            return "no forecasts"
        judged = self.bins.drop_nulls("low")
        off = judged.filter((pl.col("low") > pl.col("mean_price")) | (pl.col("high") < pl.col("mean_price")))
        if off.is_empty():
            return f"no interval leaves out its mean price ({judged.height} of {self.bins.height} bins have one)"
        chance = (
            f"{off.height} of {judged.height} bins off, {judged.height * (1 - self.confidence):.1g} expected by chance"
        )
        stretches = _stretches(off)
        said = [_said(*stretch) for stretch in stretches[:_TOLD]]
        more = [f"and {len(stretches) - _TOLD} more"] if len(stretches) > _TOLD else []
        return f"{'; '.join(said + more)} ({chance})"

    def __repr__(self) -> str:
        facts = self.basis.facts()
        said = [f"Brier {_figure(self.brier)}", f"skill {_figure(self.skill)}", f"slope {_figure(self.slope)}"]
        said += [facts["weighting"], f"horizon {facts['horizon']}", facts["interval"]]
        return f"<Calibration of {facts['n']}: {', '.join(said)}; excluded: {facts['excluded']}; {self.conclusion}>"

    def _facts(self) -> dict[str, str]:
        parts = self.decomposition
        named = parts._asdict().items() if parts else ()
        low, high = self._overall("slope_low"), self._overall("slope_high")
        return {
            "Brier score": f"{_figure(self.brier)} (skill {_figure(self.skill)})",
            "base rate": _figure(self.base_rate),
            "log score": _figure(self.log_score)
            + (f" ({self.impossible:,} impossible outcomes)" if self.impossible else ""),
            "calibration error": _figure(self.ece),
            "slope": f"{_figure(self.slope)} ({_figure(low)} to {_figure(high)}), intercept {_figure(self.intercept)}",
            "parts": ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in named) or "none",
            **super()._facts(),
        }


_TOLD = 3


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _stretches(off: pl.DataFrame) -> list[tuple[float, float, bool]]:
    """Neighbouring bins that err the same way, joined: (low, high, whether they win more often than they cost)."""
    found: list[tuple[float, float, bool]] = []
    for low, high, gap in off.select("bin_low", "bin_high", "gap").iter_rows():
        more = gap > 0
        if found and found[-1][1] == low and found[-1][2] == more and _side(found[-1][0], low) == _side(low, high):
            found[-1] = (found[-1][0], high, more)
        else:
            found.append((low, high, more))
    return found


def _side(low: float, high: float) -> str:
    return "long shots" if low + high < 1 else "favourites"


def _said(low: float, high: float, more: bool) -> str:
    often, verdict = ("more", "underpriced") if more else ("less", "overpriced")
    return f"prices of {100 * low:g}-{100 * high:g}c win {often} often than they cost: {_side(low, high)} {verdict}"
