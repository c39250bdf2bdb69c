"""Which of two forecasts is better: the mean difference of their losses, tested in pairs and by cluster."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import polars as pl

from kalshi_lab.analysis import ratio
from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.analysis.engine import default_engine
from kalshi_lab.analysis.forecasts import SCALE, prepared
from kalshi_lab.analysis.scores import student
from kalshi_lab.errors import UsageError, one_of

if TYPE_CHECKING:
    from kalshi_lab.analysis.engine import Engine

# Reads `forecasts`: price, other DECIMAL(9,6), won, cluster, weight DECIMAL(18,6).
REDUCTION = """
SELECT cluster, price, other, won, CASE WHEN weight > 0 THEN 1 ELSE 0 END AS counts, COUNT(*) AS n, SUM(weight) AS total_weight,
       SUM(CAST(weight AS DECIMAL(18, 6)) * CAST(weight AS DECIMAL(19, 6))) AS weight_squares
FROM forecasts GROUP BY cluster, price, other, won, CASE WHEN weight > 0 THEN 1 ELSE 0 END
"""
LOSSES = ("brier", "log")
BASE_RATE = "base rate"
SMALLEST, LEAST = 1e-4, 1e-12  # a level below is not told apart from others, nor computed


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Comparison(Result):
    """Two forecasts of the same outcomes; `table` is a row: see `compare`."""

    first: str
    second: str
    confidence: float
    chart: ClassVar[str] = "comparison"

    @property
    def difference(self) -> float | None:
        """The mean loss of the first less that of the second: below 0 the first is better."""
        return self._of("difference")

    @property
    def p_value(self) -> float | None:
        """How likely a difference as large would be if both were equally good; None where it cannot be judged."""
        return self._of("p_value")

    def _of(self, name: str) -> float | None:
        return None if self.table.is_empty() else self.table[name][0]

    @property
    def conclusion(self) -> str:
        """Which is better, if either is."""
        if self.table.is_empty():
            return "no forecasts"
        row = self.table.row(0, named=True)
        losses = f"{self.first} {row['loss_first']:.4f}, {self.second} {row['loss_second']:.4f} ({row['loss']})"
        if row["p_value"] is None:
            return f"{losses}; too few clusters to tell"
        told = f"difference {row['difference']:+.4f}, {row['low']:+.4f} to {row['high']:+.4f}, {_level(row['p_value'])}"
        if row["p_value"] >= 1 - self.confidence:
            return f"{losses}; no difference that chance would not make ({told})"
        return f"{losses}; {self.first if row['difference'] < 0 else self.second} is better ({told})"


def compare(
    frame: Any,
    first: str = "price",
    second: str | None = None,
    *,
    outcome: str = "outcome",
    cluster: str | None = "event_ticker",
    weight: str | None = None,
    loss: Literal["brier", "log"] = "brier",
    confidence: float = 0.95,
    horizon: str = "not said",
    engine: Engine | None = None,
) -> Comparison:
    """Test whether one forecast is better than another, pair by pair, with the cluster as the unit of chance.

    `first` and `second` are columns of probabilities in [0, 1]; without `second` the first is held against the base rate of these very
    outcomes. With d = loss(first) - loss(second) of each row, the statistic is mean(d) over its clustered error, compared with Student's
    t (`kalshi_lab.analysis.ratio.means` has the formula). Losses are (f - o)**2 or, for "log", -ln of the probability of what happened.

    The table: first, second, loss String; n Int64; clusters; loss_first, loss_second, difference, low, high, statistic, p_value, and
    skill = 1 - loss_first / loss_second, all Float64. Rows without either forecast, outcome, cluster or weight are left out and counted;
    under "log" so are those where a forecast called impossible what happened. The base rate is an estimate too: against it the test
    takes it as given. Raises UsageError for a missing column, and values that are no probability, outcome or weight.

    F. X. Diebold, R. S. Mariano, "Comparing predictive accuracy", Journal of Business & Economic Statistics 13 (1995), with errors
    clustered instead of autocorrelated: K.-Y. Liang, S. L. Zeger, "Longitudinal data analysis using generalized linear models",
    Biometrika 73 (1986).
    """
    one_of("loss", loss, LOSSES)
    ratio.level(confidence)
    ready = prepared(frame, price=first, outcome=outcome, cluster=cluster, weight=weight)
    other = prepared(frame, price=second, outcome=outcome)["price"] if second else pl.lit(None, pl.Decimal(9, SCALE))
    reduced = (engine or default_engine()).run(REDUCTION, forecasts=ready.with_columns(other=other))
    counted, excluded = _split(reduced, cluster, second, loss)
    base = _base_rate(counted) if second is None else None
    rows = _losses(counted, base, loss)
    clusters = rows["cluster"].n_unique() if cluster else None
    how = f"clustered by {cluster} ({clusters:,} clusters)" if cluster else "rows taken as independent"
    basis = Basis(
        int(rows["n"].sum()), "forecast", f"weighted by {weight}" if weight else "each row counts once", horizon,
        f"{confidence * 100:g}% interval {how}", excluded,
    )  # fmt: skip
    names = (first, second or BASE_RATE)
    table = _tested(rows, names, loss, confidence, clustered=cluster is not None)
    return Comparison(table=table, basis=basis, first=names[0], second=names[1], confidence=confidence)


def _split(
    reduced: pl.DataFrame, cluster: str | None, second: str | None, loss: str
) -> tuple[pl.DataFrame, dict[str, int]]:
    exact = reduced.with_columns(
        pl.col("price", "other").cast(pl.Float64), weight=pl.col("total_weight").cast(pl.Float64),
        squares=pl.col("weight_squares").cast(pl.Float64), n=pl.col("n").cast(pl.Int64),
    )  # fmt: skip
    reason: pl.Expr = (
        pl.when(pl.col("price").is_null()).then(pl.lit("without the first forecast"))
        .when(pl.col("other").is_null() & pl.lit(second is not None)).then(pl.lit("without the second forecast"))
        .when(pl.col("won").is_null()).then(pl.lit("without outcome"))
        .when(pl.col("cluster").is_null() & pl.lit(cluster is not None)).then(pl.lit("without cluster"))
        .when(pl.col("counts") == 0).then(pl.lit("without weight"))
    )  # fmt: skip
    if loss == "log":
        refuted = pl.any_horizontal((pl.col(name) - pl.col("won")).abs() == 1 for name in ("price", "other"))
        reason = pl.coalesce(
            reason, pl.when(refuted.fill_null(value=False)).then(pl.lit("that called impossible what happened"))
        )
    marked = exact.with_columns(reason=reason)
    left = marked.drop_nulls("reason").group_by("reason").agg(pl.col("n").sum()).sort("reason")
    kept = marked.filter(pl.col("reason").is_null()).sort("cluster", "price", "other", "won", nulls_last=True)
    return kept, dict(left.iter_rows())


def _base_rate(rows: pl.DataFrame) -> float | None:
    whole = rows.select(pl.col("total_weight").sum(), won=pl.col("total_weight").filter(pl.col("won") == 1).sum())
    total, won = (Fraction(each) if each else Fraction(0) for each in whole.row(0))
    return float(won / total) if total else None


def _losses(rows: pl.DataFrame, base: float | None, loss: str) -> pl.DataFrame:
    won = pl.col("won").cast(pl.Float64)
    made = rows if base is None else rows.with_columns(other=pl.lit(base))

    def lost(name: str) -> pl.Expr:
        if loss == "brier":
            return (pl.col(name) - won) ** 2
        return -pl.when(pl.col("won") == 1).then(pl.col(name)).otherwise(1 - pl.col(name)).log()

    return made.with_columns(a=lost("price"), b=lost("other"))


def _tested(
    rows: pl.DataFrame, names: tuple[str, str], loss: str, confidence: float, *, clustered: bool
) -> pl.DataFrame:
    floats = ("loss_first", "loss_second", "difference", "low", "high", "statistic", "p_value", "skill")
    schema = {"first": pl.String, "second": pl.String, "loss": pl.String, "n": pl.Int64, "clusters": pl.Int64}
    schema |= dict.fromkeys(floats, pl.Float64)
    if rows.is_empty():
        return pl.DataFrame(schema=schema)
    w, a, b, n = (rows[name] for name in ("weight", "a", "b", "n"))
    whole = math.fsum(w)
    first, second = math.fsum(w * a) / whole, math.fsum(w * b) / whole
    mean = math.fsum(w * (a - b)) / whole
    miss = (a - b) - mean
    if clustered:
        sums = ratio.sums(rows.with_columns(e=w * miss), ["cluster"], "e", "weight").sort("cluster")
        squares, effective, groups = math.fsum(sums["e"] ** 2), whole**2 / math.fsum(sums["weight"] ** 2), sums.height
    else:
        squares = math.fsum(rows["squares"] * miss**2)
        effective, groups = whole**2 / math.fsum(rows["squares"]), int(n.sum())
    low = high = statistic = p = None
    if groups > 1 and squares > 0:
        error = math.sqrt(groups / (groups - 1) * squares) / whole
        half = student(confidence, effective - 1) * error
        low, high, statistic = mean - half, mean + half, mean / error
        p = two_sided(statistic, max(effective - 1, 1.0))
    skill = 1 - first / second if second else None
    count = rows["cluster"].n_unique() if clustered else None
    line = (*names, loss, int(n.sum()), count, first, second, mean, low, high, statistic, p, skill)
    return pl.DataFrame([line], schema=schema, orient="row")


def _level(p: float) -> str:
    return f"p {p:.3g}" if p >= SMALLEST else f"p below {SMALLEST:g}"


def two_sided(statistic: float, freedom: float) -> float:
    """P(|T| > |statistic|) of Student's distribution: the level whose quantile it is, by bisection of `scores.student`; LEAST or more."""
    if not math.isfinite(statistic):
        raise UsageError("a test statistic that is no number")
    low, high = 0.0, 1.0  # of the confidence
    for _ in range(60):
        middle = (low + high) / 2
        if 0 < middle < 1 and student(middle, freedom) < abs(statistic):
            low = middle
        else:
            high = middle
    return max(1 - (low + high) / 2, LEAST)
