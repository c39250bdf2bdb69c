"""Means of rows that share their fate inside clusters, with intervals that know it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import polars as pl

from kalshi_lab.analysis.scores import Interval, scored, wilson
from kalshi_lab.analysis.scores import student as student  # noqa: PLC0414 - known here too
from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


FEWEST = 10  # clusters with a win, and with a loss, for their differences to tell how a win rate varies
ROUNDED = 1e-9  # a share of a sum that is 0 but for rounding


def level(confidence: float) -> float:
    """The confidence, checked."""
    if not 0 < confidence < 1:
        raise UsageError(f"confidence {confidence!r} is no share between 0 and 1", hint="Write 0.95 for 95%")
    return confidence


def numbered(rows: pl.DataFrame) -> pl.DataFrame:
    """The same rows with numbers for clusters, in the order of their names: millions of them sort in a fraction of the time."""
    names = rows["cluster"].cast(pl.String).drop_nulls().unique().sort()
    return rows.with_columns(pl.col("cluster").cast(pl.String).cast(pl.Enum(names)).to_physical())


def sums(rows: pl.DataFrame, keys: Sequence[str], *columns: str, **named: pl.Expr) -> pl.DataFrame:
    """Sums by keys, in the order in which keys first come: of columns, and what else is named; floats are added in the order of rows.

    Left to itself Polars splits the rows of plain sums among its threads and adds what they bring as they finish, so that the last digit
    is another with each call. Beside a slice it keeps the rows of a key together.
    """
    whole = pl.col(rows.columns[-1]).slice(0, 1).first()
    made = rows.group_by(*keys, maintain_order=True).agg(pl.col(columns).sum(), **named, _whole=whole)
    return made.drop("_whole")


def means(rows: pl.DataFrame, keys: Sequence[str], values: Sequence[str], confidence: float) -> pl.DataFrame:
    """For each key and value column v its weighted mean v and the interval v_low to v_high, clustered.

    `rows` has the keys, cluster (null: every row on its own), weight, n, and for each v a column with the weighted sums. With R the ratio
    of sums, e_g = sum(v)_g - R x W_g in cluster g of G and W the whole weight, the variance of R is G/(G-1) x sum(e_g**2) / W**2, and the
    interval R -+ t x its root, t of Student's distribution with W**2/sum(W_g**2) - 1 degrees of freedom: few large clusters tell no more
    than few. Null where there are not two clusters. K.-Y. Liang, S. L. Zeger, "Longitudinal data analysis using generalized linear
    models", Biometrika 73 (1986); A. V. Carter, K. T. Schnepel, D. G. Steigerwald, "Asymptotic behavior of a t-test robust to cluster
    heterogeneity", Review of Economics and Statistics 99 (2017), for the effective number of clusters.
    """
    return of_clusters(by_cluster(rows, keys, values), keys, values, confidence)


def by_cluster(rows: pl.DataFrame, keys: Sequence[str], values: Sequence[str]) -> pl.DataFrame:
    """The first step of `means`: the sums of each key and cluster. Clusters may come in parts, whose sums are put below one another."""
    names, squares = list(keys) or ["_all"], pl.col("weight").pow(2).sum()
    return sums(rows.with_columns(_all=pl.lit(0)), [*names, "cluster"], "weight", "n", *values, _squares=squares)


def of_clusters(rows: pl.DataFrame, keys: Sequence[str], values: Sequence[str], confidence: float) -> pl.DataFrame:
    """The rest of `means`, from the sums of each key and cluster."""
    names = list(keys) or ["_all"]
    summed = rows.sort(*names, "cluster")
    whole = [
        pl.col("weight").sum().over(names).alias("_W"),
        *(pl.col(v).sum().over(names).alias(f"_{v}") for v in values),
    ]
    summed = summed.with_columns(whole)
    errors = [
        (pl.col(v) - pl.col(f"_{v}") / pl.col("_W") * pl.col("weight")).pow(2).sum().alias(f"_{v}_e") for v in values
    ]
    found = summed.group_by(names, maintain_order=True).agg(
        pl.len().alias("clusters"), pl.col("n").sum(), pl.col("weight").sum(),
        (pl.col("weight").sum().pow(2) / pl.col("weight").pow(2).sum()).alias("draws"),
        (pl.col("weight").sum().pow(2) / pl.col("_squares").sum()).alias("most_draws"),
        *(pl.col(f"_{v}").first() / pl.col("_W").first() for v in values), *errors, *_rarer(values),
    )  # fmt: skip
    reach = [_student(pl.col("draws"), confidence).alias("_t")]
    found = found.rename({f"_{v}": v for v in values}).with_columns(reach)
    half = {
        v: pl.col("_t") * (pl.col(f"_{v}_e") * pl.col("clusters") / (pl.col("clusters") - 1)).sqrt() / pl.col("weight")
        for v in values
    }
    sides = [(v, sign, name) for v in values for name, sign in (("low", -1), ("high", 1))]
    found = found.with_columns(
        pl.when(pl.col("clusters") > 1).then(pl.col(v) + sign * half[v]).alias(f"{v}_{name}") for v, sign, name in sides
    )
    return found.drop("_t", *(f"_{v}_e" for v in values), *([] if keys else ["_all"]))


def _rarer(values: Sequence[str]) -> list[pl.Expr]:
    """In how many clusters there are wins, or in how many losses, whichever are fewer."""
    if "win_rate" not in values:
        return []
    won, lost = pl.col("win_rate") > 0, pl.col("weight") - pl.col("win_rate") > ROUNDED * pl.col("weight")
    return [pl.min_horizontal(won.sum(), lost.sum()).alias("rarer")]


def _student(draws: pl.Expr, confidence: float) -> pl.Expr:
    return draws.map_elements(lambda n: student(confidence, n - 1), return_dtype=pl.Float64)


def certain(found: pl.DataFrame, values: Sequence[str], confidence: float) -> pl.DataFrame:
    """The intervals of means that move with a win rate, in the shape that Wilson's interval has for that rate.

    `found` is what `means` gives of win_rate and the values. Near 0 and 1 a mean's symmetric interval holds the truth too seldom; Wilson's,
    for as many independent draws as have the win rate's variance (`kalshi_lab.analysis.scores.clustered` has the source), reaches further
    to the inside. With fewer than 10 clusters that won, or that lost, they are no more draws than the rows have by their weights: one
    small loss among large wins has hardly any variance. Each value's interval is bent as the win rate's is, in proportion to its own
    width. Where all won or all lost the variance is 0 and says nothing: each effective cluster is then a draw.
    """
    ends = [_share(row, confidence) for row in found.iter_rows(named=True)]
    low = pl.Series("_low", [None if each is None else each.low for each in ends], pl.Float64)
    high = pl.Series("_high", [None if each is None else each.high for each in ends], pl.Float64)
    win, half = pl.col("win_rate"), pl.col("win_rate_high") - pl.col("win_rate")
    scale = {v: pl.when(half > 0).then((pl.col(f"{v}_high") - pl.col(v)) / half).otherwise(1.0) for v in values}
    made = [
        pl.coalesce(pl.col(v) + scale[v] * (pl.col(f"_{end}") - win), pl.col(f"{v}_{end}")).alias(f"{v}_{end}")
        for v in values
        for end in ("low", "high")
    ]
    return found.with_columns(low, high).with_columns(made).drop("_low", "_high")


def _share(row: dict[str, float], confidence: float) -> Interval | None:
    rate, draws = row["win_rate"], row["draws"]
    if row["clusters"] < 2 or row["win_rate_high"] is None:  # noqa: PLR2004 - a variance needs two
        return None
    if rate in {0.0, 1.0}:
        return wilson(rate, draws, confidence)
    t = student(confidence, draws - 1)
    variance = ((row["win_rate_high"] - rate) / t) ** 2
    many = rate * (1 - rate) / max(variance, ROUNDED**2)
    return scored(rate, min(many, row["most_draws"]) if row["rarer"] < FEWEST else many, t)


def slope(rows: pl.DataFrame, confidence: float) -> tuple[float, float, float, float] | None:
    """Least squares of y on x with clustered errors: intercept, slope and the slope's interval; None where x does not vary.

    `rows` has cluster, the weighted sums w, wx, wxx, wy, wxy of its rows, and v, vx: w and wx with the sign in which a miss that all rows
    of a cluster share shows in each. The error is the jackknife's, the root of (G-1)/G x the sum of the squared changes of the slope as
    each of the G clusters is left out (CR3), which needs no more than these sums.

    Student's t has the effective number of clusters less 1 as its degrees of freedom: (sum of k)**2 / sum of k**2, where k is what each
    cluster adds to the slope's variance, by the less favourable of two working models: rows that miss independently, k = sum of
    w (x - mean)**2, or a miss that the whole cluster shares, k = (sum of v (x - mean))**2. R. M. Bell, D. F. McCaffrey, "Bias reduction
    in standard errors for linear regression with multi-stage samples", Survey Methodology 28 (2002), for the jackknife; G. W. Imbens,
    M. Kolesar, "Robust standard errors in small samples: some practical advice", Review of Economics and Statistics 98 (2016), for
    freedom under misses that clusters share.
    """
    summed = sums(rows, ["cluster"], "w", "wx", "wxx", "wy", "wxy", "v", "vx").sort("cluster")
    w, wx, wxx, wy, wxy = (float(summed[name].sum()) for name in ("w", "wx", "wxx", "wy", "wxy"))
    if w <= 0 or summed.height < 3:  # noqa: PLR2004 - two clusters make a line
        return None
    spread = wxx - wx * wx / w
    if spread <= 1e-12 * w:
        return None
    middle, b = wx / w, (wxy - wx * wy / w) / spread
    a = wy / w - b * middle
    missed = pl.col("wy") - a * pl.col("w") - b * pl.col("wx")
    parts = summed.select(
        s0=missed,
        s1=pl.col("wxy") - a * pl.col("wx") - b * pl.col("wxx") - middle * missed,
        h0=pl.col("w") / w,
        h1=pl.col("wx") - middle * pl.col("w"),
        h2=(pl.col("wxx") - 2 * middle * pl.col("wx") + middle * middle * pl.col("w")) / spread,
        shared=(pl.col("vx") - middle * pl.col("v")) ** 2,
    )
    error = math.sqrt((summed.height - 1) / summed.height * float(parts.select(_left_out(w, spread)).to_series().sum()))
    draws = [_draws(parts["h2"]), *([_draws(parts["shared"])] if parts["shared"].sum() > ROUNDED * w * spread else [])]
    half = student(confidence, min(draws) - 1) * error / spread
    return a, b, b - half, b + half


def _left_out(w: float, spread: float) -> pl.Expr:
    """The square of each cluster's score, as it is where the line is drawn without the cluster."""
    own, other, tilt = 1 - pl.col("h0"), 1 - pl.col("h2"), pl.col("h1") / w
    left, all_of_it = own * other - pl.col("h1") ** 2 / (w * spread), (own + other) ** 2
    # without some clusters there is no line: of those only the part that others bear on
    rest = pl.when(all_of_it > ROUNDED).then((other * pl.col("s1") - tilt * pl.col("s0")) / all_of_it).otherwise(0.0)
    return pl.when(left > ROUNDED).then((own * pl.col("s1") + tilt * pl.col("s0")) / left).otherwise(rest).pow(2)


def _draws(shares: pl.Series) -> float:
    """As how many equal ones unequal shares of a variance count."""
    return float(shares.sum()) ** 2 / float((shares**2).sum())
