"""Calibration: how often things happen that were priced at p.

A reduction in SQL counts forecasts by exact price and outcome (and by cluster where one is named); all division,
statistics and pictures come after it, from those counts. `calibration` runs it over a frame, `lab.calibration` over a
query of the store: `Question` is the text and the finish of both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.analysis import logit, ratio, scores
from kalshi_lab.analysis.base import Basis
from kalshi_lab.analysis.engine import default_engine
from kalshi_lab.analysis.forecasts import PRICE, SCALE, prepared
from kalshi_lab.analysis.result import COLUMNS, MORE_COLUMNS, SCORE_COLUMNS, Calibration, Scores
from kalshi_lab.analysis.scored import score_intervals
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


UNSAID = "not said"


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, checked: `sql` reads the forecasts, `result` finishes."""

    by: tuple[str, ...]
    cluster: str | None
    weight: str | None
    edges: tuple[Fraction, ...]
    confidence: float
    horizon: str = UNSAID
    weighting: str | None = None

    @property
    def keys(self) -> list[str]:
        """The names under which the reduction knows `by`."""
        return [f"by_{place}" for place in range(len(self.by))]

    def sql(self, source: str = "") -> str:
        """The reduction over a SELECT of what it reads, or over a table `forecasts`."""
        text = REDUCTION.format(keys="".join(f"{key}, " for key in self.keys))
        return f"WITH forecasts AS ({source}) {text}" if source else text

    def result(self, reduced: pl.DataFrame) -> Calibration:
        """From the reduced rows to the result."""
        return _finished(reduced, self)

    def basis(self, n: int, clusters: int | None, excluded: dict[str, int]) -> Basis:
        """What the result rests on."""
        level = f"{self.confidence * 100:g}% interval"
        if self.cluster:
            how = f"{level} clustered by {self.cluster} ({clusters or 0:,} clusters)"
        else:
            rows = "on the effective number of rows" if self.weight else "rows taken as independent"
            how = f"{level} by Wilson, {rows}"
        weighting = self.weighting or (f"weighted by {self.weight}" if self.weight else "each row counts once")
        return Basis(
            n, "forecast", weighting, self.horizon, how, {f"with {why}": count for why, count in excluded.items()}
        )


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
    horizon: str | None = None,
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
    1965). `.scores` adds the calibration slope and intercept (`kalshi_lab.analysis.logit`) and intervals of the Brier
    score and its skill (`kalshi_lab.analysis.scored`). `horizon` says in words when the prices were taken; a column of
    that name says it too.

    Raises UsageError for a missing column, values that are no price, outcome or weight, and edges that do not run from
    0 to 1.
    """
    question = asked(by, cluster, weight, bins, confidence, horizon=horizon or _horizon(frame))
    ready = prepared(frame, price=price, outcome=outcome, by=question.by, cluster=cluster, weight=weight)
    reduced = (engine or default_engine()).run(question.sql(), forecasts=ready)
    return question.result(reduced.cast({key: ready.schema[key] for key in question.keys}))


def _horizon(frame: Any) -> str:
    if not isinstance(frame, pl.DataFrame) or frame.schema.get("horizon") != pl.String or frame.is_empty():
        return UNSAID
    spans = frame["horizon"].drop_nulls().unique(maintain_order=True).to_list()
    return ", ".join(spans[:5]) + (f" and {len(spans) - 5} more" if len(spans) > 5 else "")  # noqa: PLR2004 - a line's worth


def asked(
    by: str | Sequence[str] | None,
    cluster: str | None,
    weight: str | None,
    bins: int | Sequence[float | Decimal],
    confidence: float,
    *,
    horizon: str = UNSAID,
    weighting: str | None = None,
) -> Question:
    """The question, checked; `weighting` says in words what `weight` is where the name does not."""
    names = (by,) if isinstance(by, str) else tuple(by or ())
    reserved = {*COLUMNS, *SCORE_COLUMNS, *MORE_COLUMNS}
    for name in names:
        if name in reserved or names.count(name) > 1:
            why = "is a column of the result" if name in reserved else "is given twice"
            raise UsageError(f"by={name!r} {why}", hint="Rename the column")
    return Question(names, cluster, weight, _edges(bins), ratio.level(confidence), horizon, weighting)


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


def _finished(reduced: pl.DataFrame, question: Question) -> Calibration:
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
    bins = _framed(whole[0], COLUMNS)
    groups = [(*key, *row) for key, part in parts.items() for row in part[0]]
    split = _framed(groups, types | COLUMNS) if types else None
    scored = _framed(lines, {"overall": pl.Boolean()} | types | SCORE_COLUMNS)
    return Calibration(
        table=bins if split is None else split,
        basis=question.basis(whole[1].n, whole[1].clusters, excluded),
        bins=bins,
        groups=split,
        scores=pl.concat([scored, _more(binned, question)], how="horizontal"),
        overall=whole[1],
        excluded=excluded,
        levels=binned,
        by=question.by,
        weight=question.weight,
        cluster=question.cluster,
        confidence=question.confidence,
    )


def _more(binned: pl.DataFrame, question: Question) -> pl.DataFrame:
    """Lines and intervals of all and of each group, in the order of the scores: all groups are finished at once."""
    plain = binned.select(
        *question.keys,
        "cluster",
        pl.col("n"),
        price=pl.col("price") / _UNIT,
        won=pl.col("won").cast(pl.Float64),
        weight=pl.col("weight").cast(pl.Float64) / _UNIT,
        weight_squares=pl.col("weight_squares").cast(pl.Float64) / _UNIT**2,
    )
    made = []
    for keys in [[], question.keys] if question.keys else [[]]:
        groups = (
            plain.select(pl.lit(0).alias("_one"), *keys).unique().sort(keys) if keys else pl.DataFrame({"_one": [0]})
        )
        for each in (score_intervals, logit.lines):
            rows = plain.with_columns(_one=pl.lit(0))
            found = each(rows, ["_one", *keys], clustered=question.cluster is not None, confidence=question.confidence)
            groups = groups.join(found, on=["_one", *keys], how="left", nulls_equal=True, maintain_order="left")
        made.append(groups.select(pl.col(MORE_COLUMNS).cast(pl.Float64)))
    return pl.concat(made)


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


def _split(reduced: pl.DataFrame, question: Question) -> tuple[pl.DataFrame, dict[str, int]]:
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


def _measured(part: pl.DataFrame, question: Question) -> tuple[list[tuple[Any, ...]], Scores]:
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


def _scores(part: pl.DataFrame, bins: list[scores.Sums], question: Question) -> Scores:
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
