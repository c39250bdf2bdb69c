"""Intervals of the Brier score and its skill, for many groups at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from kalshi_lab.analysis import ratio
from kalshi_lab.analysis.scores import student

if TYPE_CHECKING:
    from collections.abc import Sequence


def score_intervals(rows: pl.DataFrame, keys: Sequence[str], *, clustered: bool, confidence: float) -> pl.DataFrame:
    """For each value of `keys` brier_low, brier_high, skill_low and skill_high; null where there are not two clusters.

    Both scores are smooth functions of weighted means, so each forecast's influence on them is known: (f - o)**2 - B for the Brier score B,
    and -((f - o)**2 - B)/u + B (1 - 2r)(o - r)/u**2 for the skill 1 - B/u, with r the base rate and u = r (1 - r). Their weighted sums
    in each cluster are squared and added, times G/(G-1), over the whole weight squared; the interval uses Student's t as
    `kalshi_lab.analysis.ratio.means` does. `rows` has the keys, cluster, n, price (dollars), won, weight, weight_squares.
    """
    names = list(keys)
    w, loss, won = pl.col("weight"), pl.col("loss"), pl.col("won")
    ready = rows.with_columns(loss=(pl.col("price") - pl.col("won")) ** 2).sort(*names, "cluster", "price", "won")
    means = ready.group_by(names, maintain_order=True).agg(
        W=w.sum(), B=(w * loss).sum() / w.sum(), r=(w * won).sum() / w.sum()
    )
    joined = ready.join(means, on=names, nulls_equal=True, maintain_order="left")
    spread = pl.col("r") * (1 - pl.col("r"))
    joined = joined.with_columns(u=pl.when(spread > 0).then(spread), eb=loss - pl.col("B")).with_columns(
        es=-pl.col("eb") / pl.col("u") + pl.col("B") * (1 - 2 * pl.col("r")) * (won - pl.col("r")) / pl.col("u") ** 2
    )
    if clustered:
        sums = joined.group_by(*names, "cluster", maintain_order=True).agg(
            w.sum(), b2=(w * pl.col("eb")).sum() ** 2, s2=(w * pl.col("es")).sum() ** 2, n=pl.lit(1, pl.Int64)
        )
        sums = sums.with_columns(w2=w**2)
    else:
        squares = pl.col("weight_squares")
        sums = joined.with_columns(w2=squares, b2=squares * pl.col("eb") ** 2, s2=squares * pl.col("es") ** 2)
    found = ratio.sums(sums, names, "b2", "s2", "n", "w2")
    found = found.join(means, on=names, nulls_equal=True, maintain_order="left").join(
        joined.group_by(names, maintain_order=True).agg(pl.col("u").first()), on=names, nulls_equal=True, maintain_order="left"
    )  # fmt: skip
    n = pl.col("n")
    t = (pl.col("W") ** 2 / pl.col("w2")).map_elements(
        lambda draws: student(confidence, draws - 1), return_dtype=pl.Float64
    )
    factor = pl.when(n > 1).then(t * (n / (n - 1)).sqrt() / pl.col("W"))
    half = {"brier": factor * pl.col("b2").sqrt(), "skill": pl.when(pl.col("u") > 0).then(factor * pl.col("s2").sqrt())}
    middle = {"brier": pl.col("B"), "skill": 1 - pl.col("B") / pl.col("u")}
    return found.select(
        *names,
        brier_low=(middle["brier"] - half["brier"]).clip(0, 1),
        brier_high=(middle["brier"] + half["brier"]).clip(0, 1),
        skill_low=middle["skill"] - half["skill"],
        skill_high=middle["skill"] + half["skill"],
    )
