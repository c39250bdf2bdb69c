"""Calibration slope and intercept, by logistic regression of outcomes on the log-odds of their prices, for many groups at once.

log(p / (1 - p)) = intercept + slope x log(f / (1 - f)). Honest prices have slope 1 and intercept 0; a slope above 1 says that prices
are drawn towards even odds, the favourite-longshot bias. D. R. Cox, "Two further applications of a model for binary regression",
Biometrika 45 (1958).

Clustered errors are the jackknife's, with one step of Newton's for each cluster left out; the slope has the degrees of freedom of
`ratio.slope`, the intercept those of `ratio.means`, which name their sources. Without clusters the errors are the sandwich, G/(G-1)
times: K.-Y. Liang, S. L. Zeger, "Longitudinal data analysis using generalized linear models", Biometrika 73 (1986).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from kalshi_lab.analysis import ratio
from kalshi_lab.analysis.scores import student

if TYPE_CHECKING:
    from collections.abc import Sequence

LINE = ("slope", "slope_low", "slope_high", "intercept", "intercept_low", "intercept_high")
SHARES = ("own", "shared", "weighed")
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
        rows = _left_out(ready.with_columns(v=w * p * (1 - p), s=w * miss), names, fixed)
    else:  # every forecast is a cluster of its own; those of one price and outcome are alike
        square = pl.col("weight_squares") * miss**2
        slope = (pl.col("h00") * x - pl.col("h01")) / pl.col("det")
        intercept = (pl.col("h11") - pl.col("h01") * x) / pl.col("det")
        rows = ready.sort(*names, "x", "won").with_columns(
            draw="n", slope=slope**2 * square, intercept=intercept**2 * square, own=0.0, shared=0.0, weighed=0.0
        )
    shares = {f"{name}2": pl.col(name).pow(2).sum() for name in SHARES}
    sums = ratio.sums(
        rows, names, "slope", "intercept", "draw", *SHARES, **{name: fixed[name] for name in ("a", "b")}, **shares
    )
    count = pl.col("draw")
    least = (
        {"b": _least("own", "shared"), "a": _draws("weighed")}
        if clustered
        else dict.fromkeys("ab", count.cast(pl.Float64))
    )
    factor = pl.when(count > 2).then((count - 1) / count if clustered else count / (count - 1))  # noqa: PLR2004 - two clusters make a line
    slope, intercept = pl.col("slope"), pl.col("intercept")
    t = {
        f"_t{end}": each.map_elements(lambda n: student(confidence, n - 1), return_dtype=pl.Float64)
        for end, each in least.items()
    }
    sums = sums.with_columns(**t, _b=(factor * slope).sqrt(), _a=(factor * intercept).sqrt())
    ends = {
        f"{name}_{end}": pl.col(of) + sign * pl.col(f"_t{of}") * pl.col(error)
        for name, of, error in (("slope", "b", "_b"), ("intercept", "a", "_a"))
        for end, sign in (("low", -1), ("high", 1))
    }
    return sums.select(*names, slope="b", intercept="a", **ends)


def _left_out(ready: pl.DataFrame, names: list[str], fixed: dict[str, pl.Expr]) -> pl.DataFrame:
    """For each cluster the squares by which a step without it would move slope and intercept, and its shares of their variances."""
    v, x, s = pl.col("v"), pl.col("x"), pl.col("s")
    rows = ratio.sums(
        ready.sort(*names, "cluster", "x", "won"), [*names, "cluster"], **fixed, s0=s.sum(), s1=(s * x).sum(),
        g00=v.sum(), g01=(v * x).sum(), g11=(v * x * x).sum(),
    )  # fmt: skip
    h00, h01, h11, g00, g01, g11 = (pl.col(name) for name in ("h00", "h01", "h11", "g00", "g01", "g11"))
    r00, r01, r11, s0, s1 = h00 - g00, h01 - g01, h11 - g11, pl.col("s0"), pl.col("s1")
    rest = r00 * r11 - r01**2
    # without some clusters there is no line: those count as they do in the line of all
    det, (q00, q01, q11) = (
        pl.when(rest > ratio.ROUNDED * pl.col("det")).then(rest).otherwise(pl.col("det")),
        (
            pl.when(rest > ratio.ROUNDED * pl.col("det")).then(r).otherwise(h)
            for r, h in ((r00, h00), (r01, h01), (r11, h11))
        ),
    )
    return rows.with_columns(
        draw=1,
        slope=((q00 * s1 - q01 * s0) / det) ** 2,
        intercept=((q11 * s0 - q01 * s1) / det) ** 2,
        own=(h01**2 * g00 - 2 * h00 * h01 * g01 + h00**2 * g11) / pl.col("det") ** 2,
        shared=((h00 * g01 - h01 * g00) / pl.col("det")) ** 2,
        weighed=g00,
    )


def _least(own: str, shared: str) -> pl.Expr:
    """The fewer draws of two; what clusters share says nothing where it is 0 but for rounding."""
    told = pl.col(shared) > ratio.ROUNDED * pl.col(own)
    return pl.min_horizontal(_draws(own), pl.when(told).then(_draws(shared)))


def _draws(name: str) -> pl.Expr:
    """As how many equal ones unequal shares of a variance count."""
    return (pl.col(name) ** 2 / pl.col(f"{name}2")).clip(2, None)
