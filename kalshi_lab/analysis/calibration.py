"""Calibration: how often things happen that were priced at p.

A reduction in SQL counts forecasts by exact price and outcome (and by cluster where one is named); all division,
statistics and pictures come after it, from those counts. `calibration` runs it over a frame, `calibration_over` over a
query of the store.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.analysis import scores
from kalshi_lab.analysis.engine import default_engine
from kalshi_lab.analysis.forecasts import PRICE, SCALE, prepared
from kalshi_lab.analysis.result import COLUMNS, SCORE_COLUMNS, Calibration, Scores
from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from decimal import Decimal

    from kalshi_lab.analysis.engine import Engine

# Reads `forecasts`: price DECIMAL(9,6) dollars, won 1 or 0 or null, cluster text or null, weight DECIMAL(18,6), then
# the keys by_0, by_1, ... An unclustered question has one null cluster and so a row a price and outcome, however many
# forecasts there are. The square's factors differ in width because DuckDB keeps 18 digits for 18 * 18, and Spark would
# cut the scale of 19 * 19.
REDUCTION = """
SELECT {keys}cluster, price, won, CASE WHEN weight > 0 THEN 1 ELSE 0 END AS counts, COUNT(*) AS n,
       SUM(CAST(weight AS DECIMAL(18, 6))) AS total_weight,
       SUM(CAST(weight AS DECIMAL(18, 6)) * CAST(weight AS DECIMAL(19, 6))) AS weight_squares
FROM forecasts
GROUP BY {keys}cluster, price, won, CASE WHEN weight > 0 THEN 1 ELSE 0 END
"""
_UNIT = 10**SCALE


@dataclass(frozen=True, slots=True)
class _Question:
    """What was asked, checked."""

    by: tuple[str, ...]
    cluster: str | None
    weight: str | None
    edges: tuple[Fraction, ...]
    confidence: float

    @property
    def keys(self) -> list[str]:
        return [f"by_{place}" for place in range(len(self.by))]

    @property
    def sql(self) -> str:
        return REDUCTION.format(keys="".join(f"{key}, " for key in self.keys))


def calibration(
    frame: Any,
    *,
    price: str = "price",
    outcome: str = "outcome",
    by: str | Sequence[str] | None = None,
    cluster: str | None = None,
    weight: str | None = None,
    bins: int | Sequence[float | Decimal] = 10,
    confidence: float = 0.95,
    engine: Engine | None = None,
) -> Calibration:
    """Compare prices with how often the events happened: a table of bins, and the scores.

    `price` is a column of dollars in [0, 1], as floats, decimals or text; inside it is exact to 6 decimals, floats
    being rounded half to even. `outcome` is True/False, 1/0 or "yes"/"no". `by` names columns to split by, `cluster`
    the column that says which rows share their fate (the event), `weight` a column of numbers of 0 or more, exact to 6
    decimals. `bins` is a number of bins of equal width or their edges from 0 to 1; a bin holds its lower edge, the last
    one both. Rows without price, outcome, cluster or (positive) weight are left out and counted in `.excluded`.

    With `cluster` the intervals are cluster-robust (`scores.clustered`), without it Wilson's, which take rows for
    independent; under weights Wilson's n is the effective one, sum(w)**2 / sum(w**2) (L. Kish, "Survey Sampling",
    1965).

    Raises UsageError for a missing column, values that are no price, outcome or weight, and edges that do not run from
    0 to 1.
    """
    question = _question(by, cluster, weight, bins, confidence)
    ready = prepared(frame, price=price, outcome=outcome, by=question.by, cluster=cluster, weight=weight)
    reduced = (engine or default_engine()).run(question.sql, forecasts=ready)
    return _finished(reduced.cast({key: ready.schema[key] for key in question.keys}), question)


def calibration_over(
    source: str,
    engine: Engine,
    *,
    by: str | Sequence[str] | None = None,
    cluster: str | None = None,
    weight: str | None = None,
    bins: int | Sequence[float | Decimal] = 10,
    confidence: float = 0.95,
) -> Calibration:
    """The same over a query: `source` is a SELECT that gives what the reduction reads.

    Its columns are price (DECIMAL, dollars), won (1, 0 or null), cluster (text; null throughout when unclustered),
    weight (DECIMAL; 1 when unweighted), and by_0, by_1, ... in the order of `by`. `by`, `cluster` and `weight` are the
    names shown in the result.
    """
    question = _question(by, cluster, weight, bins, confidence)
    return _finished(engine.run(f"WITH forecasts AS ({source}) {question.sql}"), question)


def _question(
    by: str | Sequence[str] | None,
    cluster: str | None,
    weight: str | None,
    bins: int | Sequence[float | Decimal],
    confidence: float,
) -> _Question:
    names = (by,) if isinstance(by, str) else tuple(by or ())
    reserved = {*COLUMNS, *SCORE_COLUMNS}
    for name in names:
        if name in reserved or names.count(name) > 1:
            why = "is a column of the result" if name in reserved else "is given twice"
            raise UsageError(f"by={name!r} {why}", hint="Rename the column")
    if not 0 < confidence < 1:
        raise UsageError(f"confidence {confidence!r} is no share between 0 and 1", hint="Write 0.95 for 95%")
    return _Question(names, cluster, weight, _edges(bins), confidence)


def _edges(bins: int | Sequence[float | Decimal]) -> tuple[Fraction, ...]:
    """The edges of the bins, exact: 0.1 means one tenth, not the float next to it."""
    hint = "Give a number of bins from 1 to 1000, or rising edges from 0 to 1"
    if isinstance(bins, int):
        if isinstance(bins, bool) or not 1 <= bins <= 1000:  # noqa: PLR2004 - more bins than tenths of a cent hold nothing
            raise UsageError(f"bins={bins!r} is no number of bins", hint=hint)
        return tuple(Fraction(place, bins) for place in range(bins + 1))
    try:
        edges = tuple(Fraction(str(edge)) for edge in bins)
    except (TypeError, ValueError, ZeroDivisionError):
        raise UsageError(f"bins={bins!r} are no edges", hint=hint) from None
    rising = all(low < high for low, high in pairwise(edges))
    if len(edges) < 2 or not rising or edges[0] != 0 or edges[-1] != 1:  # noqa: PLR2004 - a bin has two edges
        raise UsageError(f"bins={bins!r} do not run from 0 to 1", hint=hint)
    return edges


def _finished(reduced: pl.DataFrame, question: _Question) -> Calibration:
    """From the reduced rows to the result; nothing here depends on their order."""
    counted, excluded = _split(_as_integers(reduced), question)
    inner = pl.Series([math.ceil(edge * _UNIT) for edge in question.edges[1:-1]], dtype=pl.Int64)
    binned = counted.with_columns(bin=inner.search_sorted(counted["price"], side="right"))
    types = {name: reduced.schema[key] for name, key in zip(question.by, question.keys, strict=True)}
    whole = _measured(binned, question)
    parts = {key: _measured(part, question) for key, part in _parts(binned, question.keys)}
    lines = [
        (True, *([None] * len(types)), *whole[1].row()),
        *((False, *key, *part[1].row()) for key, part in parts.items()),
    ]
    return Calibration(
        bins=_framed(whole[0], COLUMNS),
        groups=_framed([(*key, *row) for key, part in parts.items() for row in part[0]], types | COLUMNS)
        if types
        else None,
        scores=_framed(lines, {"overall": pl.Boolean()} | types | SCORE_COLUMNS),
        overall=whole[1],
        excluded=excluded,
        by=question.by,
        weight=question.weight,
        cluster=question.cluster,
        confidence=question.confidence,
    )


def _framed(rows: Sequence[Sequence[Any]], schema: dict[str, pl.DataType]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=schema, orient="row")


def _as_integers(reduced: pl.DataFrame) -> pl.DataFrame:
    """Prices and weights as whole millionths, in integers wide enough for their exact products."""
    return reduced.with_columns(
        pl.col("price").cast(PRICE).to_physical(),
        pl.col("won").cast(pl.Int128),
        pl.col("n").cast(pl.Int64),
        pl.col("total_weight").cast(pl.Decimal(38, SCALE)).to_physical().alias("weight"),
        pl.col("weight_squares").cast(pl.Decimal(38, 2 * SCALE)).to_physical(),
    )


def _split(reduced: pl.DataFrame, question: _Question) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows that count, and how many forecasts do not, by reason."""
    unclustered = pl.col("cluster").is_null() & pl.lit(question.cluster is not None)
    reason = (
        pl.when(pl.col("price").is_null())
        .then(pl.lit("no price"))
        .when(pl.col("won").is_null())
        .then(pl.lit("no outcome"))
        .when(unclustered)
        .then(pl.lit("no cluster"))
        .when(pl.col("counts") == 0)
        .then(pl.lit("no weight"))
    )
    marked = reduced.with_columns(reason=reason)
    excluded = marked.drop_nulls("reason").group_by("reason").agg(pl.col("n").sum()).sort("reason")
    counted = marked.filter(pl.col("reason").is_null())
    if not counted["price"].is_between(0, _UNIT).all() or not counted["won"].is_in([0, 1]).all():
        raise UsageError("the forecasts hold prices outside [0, 1] or outcomes that are not 0 or 1")
    return counted, dict(excluded.iter_rows())


def _parts(binned: pl.DataFrame, keys: list[str]) -> Iterable[tuple[tuple[Any, ...], pl.DataFrame]]:
    return binned.sort(keys).partition_by(keys, as_dict=True, maintain_order=True).items() if keys else ()


def _measured(part: pl.DataFrame, question: _Question) -> tuple[list[tuple[Any, ...]], Scores]:
    """The rows of the table of bins, and the scores, of one group."""
    sums = _sums(part)
    clusters = _clusters(part) if question.cluster else {}
    rows = []
    for place, (bin_sums, effective) in sums.items():
        rate = float(bin_sums.won / bin_sums.weight)
        price = float(bin_sums.price / bin_sums.weight)
        members = clusters.get(place, [])
        between = (
            scores.clustered(members, question.confidence)
            if question.cluster
            else scores.wilson(rate, effective, question.confidence)
        )
        low, high = between or (None, None)
        edges = float(question.edges[place]), float(question.edges[place + 1])
        count = len(members) if question.cluster else None
        rows.append((*edges, bin_sums.n, count, float(bin_sums.weight), price, rate, low, high, rate - price))
    return rows, _scores(part, [each for each, _ in sums.values()], question)


def _sums(part: pl.DataFrame) -> dict[int, tuple[scores.Sums, float]]:
    """The exact sums of each bin, and the effective number of forecasts in it."""
    weight, price, won = pl.col("weight"), pl.col("price"), pl.col("won")
    products = {
        "price": weight * price,
        "won": weight * won,
        "price_price": weight * price * price,
        "price_won": weight * price * won,
    }
    scales = dict(zip(products, (_UNIT**2, _UNIT, _UNIT**3, _UNIT**2), strict=True))
    summed = part.group_by("bin").agg(
        pl.col("n", "weight", "weight_squares").sum(), **{name: each.sum() for name, each in products.items()}
    )
    found = {}
    for row in summed.sort("bin").iter_rows(named=True):
        exact = {name: Fraction(row[name], scale) for name, scale in scales.items()}
        bin_sums = scores.Sums(row["n"], Fraction(row["weight"], _UNIT), **exact)
        found[row["bin"]] = bin_sums, row["weight"] ** 2 / row["weight_squares"]
    return found


def _clusters(part: pl.DataFrame) -> dict[int, list[tuple[float, float]]]:
    """For each bin the weight of every cluster in it and of the cluster's wins."""
    weight = pl.col("weight")
    summed = part.group_by("bin", "cluster").agg(won=(weight * pl.col("won")).sum(), weight=weight.sum()).sort("bin")
    found: dict[int, list[tuple[float, float]]] = {}
    for place, won, whole in summed.select("bin", "won", "weight").iter_rows():
        found.setdefault(place, []).append((whole, won))
    return found


def _scores(part: pl.DataFrame, bins: list[scores.Sums], question: _Question) -> Scores:
    whole = scores.total(bins)
    levels = part.group_by("price", "won").agg(pl.col("weight", "n").sum())
    impossible = levels.filter(
        ((pl.col("price") == 0) & (pl.col("won") == 1)) | ((pl.col("price") == _UNIT) & (pl.col("won") == 0))
    )
    return Scores(
        n=whole.n,
        clusters=part["cluster"].n_unique() if question.cluster else None,
        weight=float(whole.weight),
        base_rate=scores.win_rate(whole),
        brier=scores.brier(whole),
        skill=scores.skill(whole),
        log_score=scores.log_score(_likelihoods(levels)),
        impossible=int(impossible["n"].sum()),
        ece=scores.ece(bins),
        decomposition=scores.decomposition(bins),
    )


def _likelihoods(levels: pl.DataFrame) -> Iterator[tuple[Fraction, bool, int]]:
    for price, won, weight in levels.select("price", "won", "weight").iter_rows():
        yield Fraction(price, _UNIT), won == 1, weight
