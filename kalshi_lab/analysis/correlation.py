"""Which series move together, and which of two moves first: on changes, with control for how many pairs and lags were looked at.

Levels of independent random walks correlate strongly by accident (G. Yule, "Why Do We Sometimes Get Nonsense-Correlations", 1926); their
changes do not. Co-movement is no equality of prices, and no arbitrage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.analysis.dependence import CORRECTIONS, FEWEST, METHODS, corrected, correlated
from kalshi_lab.analysis.grid import gridded
from kalshi_lab.analysis.science import science
from kalshi_lab.errors import UsageError, one_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from kalshi_lab.analysis.engine import Engine
    from kalshi_lab.analysis.grid import Grid

MOST_PAIRS, MOST_LAGS, MIN_N = 20_000, 1_000, 30
_F, _I, _S = pl.Float64(), pl.Int64(), pl.String()
SCHEMA = pl.Schema(
    {"a": _S, "b": _S, "n": _I}
    | {f"{method}{part}": _F for method in METHODS for part in ("", "_low", "_high", "_n", "_p")}
    | {"p_adjusted": _F, "flagged": pl.Boolean(), "why": _S}
)
LAG_SCHEMA = pl.Schema(
    {
        "a": _S,
        "b": _S,
        "lag": _I,
        "n": _I,
        "r": _F,
        "low": _F,
        "high": _F,
        "p": _F,
        "p_adjusted": _F,
        "flagged": pl.Boolean(),
        "why": _S,
    }
)
CURVE_SCHEMA = pl.Schema({"a": _S, "b": _S, "lag": _I, "n": _I, "r": _F, "low": _F, "high": _F})


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Correlation(Result):
    """How the changes of each pair of series move together; see `kalshi_lab.correlation` for the columns.

    `flagged` are the pairs whose adjusted p-value is at most `alpha`. A flagged pair moves together; that is no arbitrage.
    """

    chart: ClassVar[str] = "correlation"
    names: tuple[str, ...]
    method: str
    alpha: float

    @property
    def flagged(self) -> pl.DataFrame:
        """The pairs that move together, the strongest first."""
        return self.table.filter("flagged").sort(pl.col(self.method).abs(), descending=True, maintain_order=True)

    @property
    def conclusion(self) -> str:
        """What the table says, in words."""
        tested = self.table["p_adjusted"].count()
        if not tested:
            return "no pair has enough changes to be tested"
        if self.flagged.is_empty():
            return f"none of {tested:,} tested pairs moves together beyond chance"
        a, b, r = self.flagged.select("a", "b", self.method).row(0)
        return f"{self.flagged.height:,} of {tested:,} tested pairs move together, most of all {a} and {b} ({r:+.2f})"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class LeadLag(Result):
    """For each pair the lag at which its changes correlate most; `curves` has all lags. See `kalshi_lab.lead_lag` for the columns."""

    chart: ClassVar[str] = "lead_lag"
    curves: pl.DataFrame
    every: timedelta
    alpha: float

    @property
    def conclusion(self) -> str:
        """Which leads which, in words."""
        tested, found = self.table["p_adjusted"].count(), self.table.filter("flagged")
        if not tested:
            return "no pair has enough changes to be tested"
        if found.is_empty():
            return f"none of {tested:,} tested pairs is related at any lag beyond chance"
        best = found.sort(pl.col("r").abs(), descending=True, maintain_order=True).row(0, named=True)
        first, second = (best["a"], best["b"]) if best["lag"] >= 0 else (best["b"], best["a"])
        how = (
            f"{first} leads {second} by {abs(best['lag']) * self.every}"
            if best["lag"]
            else f"{first} and {second} move at once"
        )
        return f"{found.height:,} of {tested:,} tested pairs are related; {how} ({best['r']:+.2f})"


def correlation(
    frame: pl.DataFrame,
    *,
    name: str = "ticker",
    time: str = "time",
    value: str = "mid",
    every: timedelta | str = "1h",
    method: str = "pearson",
    correction: str = "benjamini-hochberg",
    alpha: float = 0.05,
    confidence: float = 0.95,
    min_n: int = MIN_N,
    against: str | None = None,
    engine: Engine | None = None,
) -> Correlation:
    """Pearson's and Spearman's correlation between the changes of each pair of series in a long frame.

    `name`, `time` (Datetime) and `value` (a number; null: not known) are its columns. Values are put on a grid of cells `every` long, the
    last of each cell, so that observations crowded into one count once; a change is that between two neighbouring cells which both have a
    value, and a pair uses the changes that both have. `against` tests one series against all others alone.

    Columns: a, b, n Int64; pearson, pearson_low, pearson_high, pearson_n (effective n), pearson_p and the same for spearman Float64, null
    with the reason in `why` for fewer than `min_n` common changes or a series that never changes; p_adjusted (of `method`, by `correction`:
    benjamini-hochberg, holm or none), flagged Boolean. `dependence.correlated` has formulas and sources. UsageError for bad columns or
    words, and for more than 20,000 pairs.
    """
    one_of("method", method, METHODS)
    correction = _checked(correction, alpha, confidence, min_n)
    grid = gridded(frame, name=name, time=time, value=value, every=every, engine=engine)
    pairs = _pairs(grid.names, against)
    changes, np = grid.changes(), science("numpy")
    rows = []
    for a, b in pairs:
        both = np.isfinite(changes[a]) & np.isfinite(changes[b])
        x, y = changes[a][both], changes[b][both]
        enough = len(x) >= min_n
        found = [correlated(x, y, method=each, confidence=confidence) if enough else None for each in METHODS]
        why = None if found[0] else "never changes" if enough else f"fewer than {min_n} common changes"
        figures = [(one.r, one.low, one.high, one.effective, one.p) if one else (None,) * 5 for one in found]
        rows.append((grid.names[a], grid.names[b], len(x), *figures[0], *figures[1], None, None, why))
    table = _flagged(pl.DataFrame(rows, schema=SCHEMA, orient="row"), f"{method}_p", correction, alpha)
    left = table["why"].value_counts().sort("why").drop_nulls().rows()
    words = (
        f"{confidence * 100:g}% by Fisher's z on the effective n; {correction}, alpha {alpha:g}, {len(rows):,} pairs"
    )
    basis = Basis(
        len(rows), "pair", f"each change over {grid.every} counts once", "none", words,
        MappingProxyType({f"pairs: {why}": n for why, n in left} | _rows(grid)),
    )  # fmt: skip
    return Correlation(table=table, basis=basis, names=grid.names, method=method, alpha=alpha)


def lead_lag(
    frame: pl.DataFrame,
    *,
    lags: int = 12,
    name: str = "ticker",
    time: str = "time",
    value: str = "mid",
    every: timedelta | str = "1h",
    correction: str = "benjamini-hochberg",
    alpha: float = 0.05,
    confidence: float = 0.95,
    min_n: int = MIN_N,
    against: str | None = None,
    engine: Engine | None = None,
) -> LeadLag:
    """Which of two series moves first: the correlation of a's change with b's change `lag` steps later, for lags from -lags to lags.

    Columns: a, b; lag Int64 (positive: a leads), where the correlation is strongest; n Int64, r, low, high Float64 there; p: of the
    strongest of all m lags, 1 - (1 - smallest p)^m, a bound whatever the lags have to do with one another
    (Z. Sidak, "Rectangular Confidence Regions for the Means of Multivariate Normal Distributions", 1967); p_adjusted over pairs; flagged;
    why. `.curves` has a row for each lag. All intervals hold at once over the lags of a pair. See `correlation` for the rest.
    """
    correction = _checked(correction, alpha, confidence, min_n)
    if isinstance(lags, bool) or not 1 <= lags <= MOST_LAGS:
        raise UsageError(f"lags={lags!r} is no number of lags", hint=f"Give 1 to {MOST_LAGS:,}")
    grid = gridded(frame, name=name, time=time, value=value, every=every, engine=engine)
    changes, curves, rows = grid.changes(), [], []
    each = confidence ** (1 / (2 * lags + 1))
    for a, b in _pairs(grid.names, against):
        curve = _curve(changes[a], changes[b], lags, min_n, each)
        names = grid.names[a], grid.names[b]
        curves += [(*names, *point[:-1]) for point in curve]
        tested = [point for point in curve if point[-1] is not None]
        if not tested:
            rows.append((*names, *(None,) * 8, f"fewer than {min_n} common changes, or never changes"))
            continue
        best = min(tested, key=lambda point: (point[-1], abs(point[0])))
        p = -math.expm1(len(tested) * math.log1p(-min(best[-1], 1 - 1e-15)))
        rows.append((*names, *best[:-1], p, None, None, None))
    table = _flagged(pl.DataFrame(rows, schema=LAG_SCHEMA, orient="row"), "p", correction, alpha)
    untested = table["why"].count()
    words = (
        f"{confidence * 100:g}% over all {2 * lags + 1} lags at once (Sidak); {correction} over pairs, alpha {alpha:g}"
    )
    basis = Basis(
        len(rows), "pair", f"each change over {grid.every} counts once", f"up to {lags * grid.every} either way", words,
        MappingProxyType({"pairs: too few or no changes": untested} | _rows(grid)),
    )  # fmt: skip
    curve_table = pl.DataFrame(curves, schema=CURVE_SCHEMA, orient="row")
    return LeadLag(table=table, basis=basis, curves=curve_table, every=grid.every, alpha=alpha)


def _curve(x: Any, y: Any, lags: int, min_n: int, confidence: float) -> list[tuple[Any, ...]]:
    """A row for each lag: lag, n, r, low, high, p."""
    np, rows = science("numpy"), []
    for lag in range(-lags, lags + 1):
        first, second = (x[: len(x) - lag], y[lag:]) if lag >= 0 else (x[-lag:], y[: len(y) + lag])
        both = np.isfinite(first) & np.isfinite(second)
        n = int(both.sum())
        found = correlated(first[both], second[both], confidence=confidence) if n >= min_n else None
        rows.append((lag, n, *((found.r, found.low, found.high, found.p) if found else (None,) * 4)))
    return rows


def _rows(grid: Grid) -> dict[str, int]:
    return {"rows without value": grid.empty, "rows before the last of their step": grid.merged}


def _pairs(names: tuple[str, ...], against: str | None) -> list[tuple[int, int]]:
    if against is not None:
        one = names.index(one_of("series", against, names))
        pairs: Iterable[tuple[int, int]] = [(one, other) for other in range(len(names)) if other != one]
        many = len(names) - 1
    else:
        pairs, many = combinations(range(len(names)), 2), len(names) * (len(names) - 1) // 2
    if many > MOST_PAIRS:
        raise UsageError(
            f"{many:,} pairs of {len(names):,} series are too many",
            hint=f"At most {MOST_PAIRS:,}: give fewer, or against=",
        )
    return list(pairs)


def _checked(correction: str, alpha: float, confidence: float, min_n: int) -> str:
    for what, share in (("alpha", alpha), ("confidence", confidence)):
        if not 0 < share < 1:
            raise UsageError(f"{what} {share!r} is no share between 0 and 1", hint="Write 0.05 for 5%")
    if isinstance(min_n, bool) or min_n < FEWEST:
        raise UsageError(f"min_n={min_n!r} is too few", hint=f"Give {FEWEST} or more")
    return one_of("correction", correction, CORRECTIONS, also={"bh": "benjamini-hochberg"})


def _flagged(table: pl.DataFrame, p: str, correction: str, alpha: float) -> pl.DataFrame:
    """The same with adjusted p-values, and what is flagged by them; null where nothing was tested."""
    tested = table[p].is_not_null()
    adjusted = iter(corrected(table[p].drop_nulls().to_list(), correction))
    values = [next(adjusted) if one else None for one in tested]
    return table.with_columns(pl.Series("p_adjusted", values, pl.Float64)).with_columns(
        flagged=pl.col("p_adjusted") <= alpha
    )
