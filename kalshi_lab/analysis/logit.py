"""Calibration slope and intercept, by logistic regression of outcomes on the log-odds of their prices, for many groups at once.

log(p / (1 - p)) = intercept + slope x log(f / (1 - f)). Honest prices have slope 1 and intercept 0; a slope above 1 says that prices
are drawn towards even odds, the favourite-longshot bias. D. R. Cox, "Two further applications of a model for binary regression",
Biometrika 45 (1958). The errors are the cluster-robust sandwich, G/(G-1) times: K.-Y. Liang, S. L. Zeger, "Longitudinal data analysis
using generalized linear models", Biometrika 73 (1986).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from kalshi_lab.analysis import ratio
from kalshi_lab.analysis.scores import student

if TYPE_CHECKING:
    from collections.abc import Sequence

LINE = ("slope", "slope_low", "slope_high", "intercept", "intercept_low", "intercept_high")
STEPS, CLOSE, STEEPEST = 40, 1e-10, 50.0


def lines(rows: pl.DataFrame, keys: Sequence[str], *, clustered: bool, confidence: float) -> pl.DataFrame:
    """A row for each value of `keys` with the columns of LINE; null where no line can be drawn.

    `rows` has the keys, cluster, price (dollars, Float64), won (Float64), weight and weight_squares. Prices of 0 and 1 have no log-odds
    and are left out. There is no line where one outcome is missing, all prices are the same, or outcomes are split cleanly by a price.
    """
    names = list(keys) or ["_all"]
    inside = rows.with_columns(_all=pl.lit(0)).filter(pl.col("price") > 0, pl.col("price") < 1, pl.col("weight") > 0)
    # floats are added up in one order, whatever that of the rows
    ready = inside.sort(*names, "price", "won", "cluster").with_columns(
        x=(pl.col("price") / (1 - pl.col("price"))).log()
    )
    levels = ratio.sums(ready, [*names, "x", "won"], "weight")
    groups = levels.select(names).unique(maintain_order=True)
    fitted = _fitted(levels, names, groups.with_columns(a=pl.lit(0.0), b=pl.lit(1.0), step=pl.lit(1.0)))
    good = fitted.filter(pl.col("step").abs() < CLOSE, pl.col("b").abs() < STEEPEST, pl.col("det") > 0)
    made = _errors(ready.join(good, on=names, nulls_equal=True), names, clustered=clustered, confidence=confidence)
    whole = groups.join(made, on=names, how="left", nulls_equal=True, maintain_order="left")
    return whole.select(*keys, *LINE)


def _fitted(levels: pl.DataFrame, names: list[str], at: pl.DataFrame) -> pl.DataFrame:
    """Newton's steps, of length 3 at most, until none moves."""
    w, x = pl.col("weight"), pl.col("x")
    for _ in range(STEPS):
        p = 1 / (1 + (-(pl.col("a") + pl.col("b") * x)).exp())
        joined = levels.join(at.select(*names, "a", "b"), on=names, nulls_equal=True, maintain_order="left")
        joined = joined.with_columns(v=w * p * (1 - p), r=w * (pl.col("won") - p))
        sums = ratio.sums(
            joined, names, a=pl.col("a").first(), b=pl.col("b").first(), g0=pl.col("r").sum(), g1=(pl.col("r") * x).sum(),
            h00=pl.col("v").sum(), h01=(pl.col("v") * x).sum(), h11=(pl.col("v") * x * x).sum(),
        )  # fmt: skip
        det = pl.col("h00") * pl.col("h11") - pl.col("h01") ** 2
        # a spread of log-odds that is only rounding is none
        found = sums.with_columns(det=pl.when(det > 1e-12 * pl.col("h00") * pl.col("h11")).then(det))
        da = (pl.col("h11") * pl.col("g0") - pl.col("h01") * pl.col("g1")) / pl.col("det")
        db = (pl.col("h00") * pl.col("g1") - pl.col("h01") * pl.col("g0")) / pl.col("det")
        at = found.with_columns(da=da.clip(-3, 3), db=db.clip(-3, 3)).with_columns(
            a=pl.col("a") + pl.col("da"), b=pl.col("b") + pl.col("db"), step=pl.max_horizontal(pl.col("da").abs(), pl.col("db").abs())
        )  # fmt: skip
        if at.filter(pl.col("step") >= CLOSE, pl.col("b").abs() < STEEPEST).is_empty():
            break
    return at.select(*names, "a", "b", "step", "h00", "h01", "h11", "det")


def _errors(ready: pl.DataFrame, names: list[str], *, clustered: bool, confidence: float) -> pl.DataFrame:
    """The lines with their intervals."""
    w, x = pl.col("weight"), pl.col("x")
    p = 1 / (1 + (-(pl.col("a") + pl.col("b") * x)).exp())
    miss = pl.col("won") - p
    fixed = {name: pl.col(name).first() for name in ("a", "b", "h00", "h01", "h11", "det")}
    if clustered:
        rows = ratio.sums(
            ready.sort(*names, "cluster", "x", "won"), [*names, "cluster"], **fixed,
            s0=(w * miss).sum(), s1=(w * miss * x).sum(), share=(w * p * (1 - p)).sum(),
        )  # fmt: skip
        rows = rows.with_columns(m00=pl.col("s0") ** 2, m01=pl.col("s0") * pl.col("s1"), m11=pl.col("s1") ** 2, draw=1)
    else:  # every forecast is a cluster of its own; those of one price and outcome are alike
        square = pl.col("weight_squares") * miss**2
        rows = ready.sort(*names, "x", "won").with_columns(
            m00=square, m01=square * x, m11=square * x * x, draw="n", share=w * p * (1 - p)
        )
    sums = ratio.sums(rows, names, "m00", "m01", "m11", "draw", **fixed, squares=pl.col("share").pow(2).sum())
    det, count = pl.col("det"), pl.col("draw")
    effective = (pl.col("h00") ** 2 / pl.col("squares")).clip(2, None) if clustered else count.cast(pl.Float64)
    h00, h01, h11 = pl.col("h00"), pl.col("h01"), pl.col("h11")
    slope = (h00**2 * pl.col("m11") - 2 * h00 * h01 * pl.col("m01") + h01**2 * pl.col("m00")) / det**2
    intercept = (h11**2 * pl.col("m00") - 2 * h11 * h01 * pl.col("m01") + h01**2 * pl.col("m11")) / det**2
    factor = pl.when(count > 2).then(count / (count - 1))  # noqa: PLR2004 - two clusters make a line
    t = effective.map_elements(lambda n: student(confidence, n - 1), return_dtype=pl.Float64)
    sums = sums.with_columns(_t=t, _b=(factor * slope).sqrt(), _a=(factor * intercept).sqrt())
    ends = {
        f"{name}_{end}": pl.col(of) + sign * pl.col("_t") * pl.col(error)
        for name, of, error in (("slope", "b", "_b"), ("intercept", "a", "_a"))
        for end, sign in (("low", -1), ("high", 1))
    }
    return sums.select(*names, slope="b", intercept="a", **ends)
