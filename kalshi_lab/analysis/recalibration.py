"""Recalibration: what a price has meant, learned from other events than those it is applied to."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import polars as pl

from kalshi_lab.analysis import logit, ratio
from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.analysis.comparison import Comparison, compare
from kalshi_lab.analysis.forecasts import prepared
from kalshi_lab.errors import UsageError, one_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

METHODS = ("isotonic", "logit")
Curve = tuple[list[float], list[float]]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Recalibration(Result):
    """Forecasts mended by what happened to others.

    `table` has a row for each forecast that counts: row (its place in the frame), price, recalibrated, outcome, cluster, weight, fold.
    `curve` is the mended price of each price, learned from all forecasts; `against` tests the mended prices, each mended by folds that
    its event is not in, against the prices themselves.
    """

    curve: pl.DataFrame
    against: Comparison
    method: str
    chart: ClassVar[str] = "recalibration"

    def apply(self, prices: Sequence[float] | pl.Series) -> pl.Series:
        """New prices, mended by the curve, which is read between its points in a straight line."""
        known, mended = self.curve["price"].to_list(), self.curve["recalibrated"].to_list()
        if not known:
            raise UsageError("nothing was learned: there were no forecasts")
        return pl.Series("recalibrated", [_between(known, mended, float(price)) for price in prices], pl.Float64)

    @property
    def conclusion(self) -> str:
        """Whether mending helped out of sample."""
        return f"{self.method}, cross-fitted: {self.against.conclusion}"


def recalibrate(
    frame: Any,
    *,
    price: str = "price",
    outcome: str = "outcome",
    cluster: str = "event_ticker",
    weight: str | None = None,
    method: Literal["isotonic", "logit"] = "isotonic",
    folds: int = 5,
    confidence: float = 0.95,
    horizon: str = "not said",
) -> Recalibration:
    """Learn what prices have meant, and mend each by what was learned from other events alone.

    "isotonic": the rising curve of least weighted squares, by pooling adjacent violators. "logit": the line of
    `kalshi_lab.analysis.logit`, log-odds = intercept + slope x log-odds of the price. The events are dealt into `folds` by a hash of
    their name, so that the same events are always dealt alike; the curve for a fold is learned from the others. Rows without price,
    outcome, cluster or weight are left out and counted. Raises UsageError for bad columns, as `kl.calibration` does, for fewer events
    than folds, and where too little is there to learn from.

    R. E. Barlow, D. J. Bartholomew, J. M. Bremner, H. D. Brunk, "Statistical Inference under Order Restrictions" (1972); B. Zadrozny,
    C. Elkan, "Transforming classifier scores into accurate multiclass probability estimates", KDD (2002); J. Platt, "Probabilistic
    outputs for support vector machines" (1999); V. Chernozhukov et al., "Double/debiased machine learning for treatment and structural
    parameters", Econometrics Journal 21 (2018), for cross-fitting.
    """
    one_of("method", method, METHODS)
    if folds < 2:  # noqa: PLR2004 - one to learn from, one to mend
        raise UsageError(f"folds={folds!r} leave nothing to learn from", hint="Give 2 or more")
    ready, excluded = _counted(prepared(frame, price=price, outcome=outcome, cluster=cluster, weight=weight))
    names = sorted(ready["cluster"].unique(), key=lambda name: (blake2b(name.encode()).digest(), name))
    if 0 < len(names) < folds:
        raise UsageError(f"{len(names)} values of {cluster!r} cannot make {folds} folds", hint="Give fewer folds")
    dealt = {name: place % folds for place, name in enumerate(names)}
    ready = ready.with_columns(fold=pl.col("cluster").replace_strict(dealt, return_dtype=pl.Int64))
    learn = _LEARNERS[method]
    parts = []
    for fold in range(folds) if names else ():
        curve = learn(ready.filter(pl.col("fold") != fold))
        here = ready.filter(pl.col("fold") == fold)
        parts.append(here.with_columns(recalibrated=_mended(here["price"], curve)))
    table = pl.concat(parts).sort("row") if parts else ready.with_columns(recalibrated=pl.lit(None, pl.Float64))
    shown = table.select(
        "row", "price", "recalibrated", pl.col("won").cast(pl.Int8).alias("outcome"), "cluster", "weight", "fold"
    )
    against = compare(
        shown, "recalibrated", "price", cluster="cluster", weight="weight" if weight else None, confidence=confidence
    )
    known, mended = learn(ready) if names else ([], [])
    words = f"weighted by {weight}" if weight else "each row counts once"
    how = f"{confidence * 100:g}% interval clustered by {cluster} ({len(names):,} clusters), {folds} folds"
    return Recalibration(
        table=shown,
        basis=Basis(shown.height, "forecast", words, horizon, how, excluded),
        curve=pl.DataFrame(
            {"price": known, "recalibrated": mended}, schema={"price": pl.Float64, "recalibrated": pl.Float64}
        ),
        against=against,
        method=method,
    )


def _counted(ready: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    reason = (
        pl.when(pl.col("price").is_null()).then(pl.lit("with no price"))
        .when(pl.col("won").is_null()).then(pl.lit("with no outcome"))
        .when(pl.col("cluster").is_null()).then(pl.lit("with no cluster"))
        .when(pl.col("weight").is_null() | (pl.col("weight") <= 0)).then(pl.lit("with no weight"))
    )  # fmt: skip
    marked = ready.with_row_index("row").with_columns(reason=reason)
    left = marked.drop_nulls("reason").group_by("reason").agg(pl.len()).sort("reason")
    kept = marked.filter(pl.col("reason").is_null()).drop("reason")
    return kept.with_columns(pl.col("price", "weight").cast(pl.Float64), pl.col("row").cast(pl.Int64)), dict(
        left.iter_rows()
    )


def _isotonic(rows: pl.DataFrame) -> Curve:
    """Neighbours that fall are pooled until the curve rises; a pool is flat from its lowest price to its highest."""
    w = pl.col("weight")
    levels = ratio.sums(rows, ["price"], "weight", won=(w * pl.col("won")).sum()).sort("price")
    pools: list[tuple[float, float, float, float]] = []  # lowest price, highest, wins, weight
    for price, won, weight in levels.select("price", "won", "weight").iter_rows():
        pool = (price, price, won, weight)
        while pools and pools[-1][2] * pool[3] >= pool[2] * pools[-1][3]:
            last = pools.pop()
            pool = (last[0], pool[1], last[2] + pool[2], last[3] + pool[3])
        pools.append(pool)
    points = [(at, won / weight) for low, high, won, weight in pools for at in dict.fromkeys((low, high))]
    return [at for at, _ in points], [rate for _, rate in points]


def _logit(rows: pl.DataFrame) -> Curve:
    plain = rows.select(
        "cluster", "price", "weight", pl.col("won").cast(pl.Float64), weight_squares=pl.col("weight") ** 2, n=1
    )
    line = logit.lines(plain, [], clustered=True, confidence=0.95)
    if line.is_empty() or line["slope"][0] is None:
        raise UsageError(
            "no line can be drawn: one outcome is missing, or prices don't vary", hint='Take method="isotonic"'
        )
    a, b = line["intercept"][0], line["slope"][0]
    prices = sorted(
        {*(place / 200 for place in range(1, 200)), *(each for each in rows["price"].unique() if 0 < each < 1)}
    )
    return [0.0, *prices, 1.0], [float(b < 0), *(_sigmoid(a + b * math.log(p / (1 - p))) for p in prices), float(b > 0)]


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


def _mended(prices: pl.Series, curve: Curve) -> pl.Series:
    levels = prices.unique()
    found = {price: _between(*curve, price) for price in levels}
    return prices.replace_strict(found, return_dtype=pl.Float64)


def _between(known: list[float], values: list[float], at: float) -> float:
    """The value at a price, in a straight line between the points next to it."""
    place = bisect_left(known, at)
    if place == len(known):
        return values[-1]
    if place == 0 or known[place] == at:
        return values[place]
    share = (at - known[place - 1]) / (known[place] - known[place - 1])
    return values[place - 1] + share * (values[place] - values[place - 1])


_LEARNERS: dict[str, Callable[[pl.DataFrame], Curve]] = {"isotonic": _isotonic, "logit": _logit}
