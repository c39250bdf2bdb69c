"""How often markets like one settled at YES, before anything is known of this one: the base rate of its reference classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl

from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.analysis.ratio import certain, level, means

if TYPE_CHECKING:
    from collections.abc import Mapping

FEWEST: Final = 10  # events, below which a class says too little
# Settled markets of one series: how often YES, by event. Voids and scalar results are no yes or no, and are counted apart.
REDUCTION: Final = """
SELECT event_ticker, strike_type, COUNT(*) AS n, SUM(CASE WHEN result = 'yes' THEN 1 ELSE 0 END) AS yes,
       SUM(CASE WHEN result IN ('yes', 'no') THEN 0 ELSE 1 END) AS other
FROM settled GROUP BY event_ticker, strike_type
"""
TABLE: Final[dict[str, Any]] = {
    "reference": pl.String, "rate": pl.Float64, "low": pl.Float64, "high": pl.Float64, "markets": pl.Int64, "events": pl.Int64,
}  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class BaseRate(Result):
    """How often markets like this one settled at YES.

    frame(): a row for each reference class, the widest first: reference (in words), rate, low and high (clustered by event; null where
    there are not two), markets, events. `rate` is that of the narrowest class with ten events or more, None where there is none.
    """

    chart: ClassVar[str] = "base_rate"
    ticker: str

    @property
    def rate(self) -> float | None:
        """The rate of the narrowest class that says enough."""
        told = self.table.filter(pl.col("events") >= FEWEST)
        return None if told.is_empty() else float(told["rate"][-1])

    @property
    def conclusion(self) -> str:
        """The rate in words, or that too little is known."""
        told = self.table.filter(pl.col("events") >= FEWEST)
        if told.is_empty():
            return f"fewer than {FEWEST} events like it are kept: no base rate"
        row = told.row(-1, named=True)
        return f"{row['rate']:.1%} [{row['low']:.1%}, {row['high']:.1%}] of {row['reference']} settled at YES"


def base_rate(ticker: str, series: str, strike_type: str | None, reduced: pl.DataFrame, confidence: float) -> BaseRate:
    """The base rates from the counts of a series' settled markets by event and type of strike.

    The market itself knows more than its class: a base rate is where to start from, not an estimate.
    """
    level(confidence)
    decided = reduced.with_columns(n=pl.col("n") - pl.col("other"))
    classes: Mapping[str, pl.DataFrame] = {f"markets of {series}": decided}
    if strike_type:
        kind = decided.filter(strike_type=strike_type)
        classes = {**classes, f"{strike_type} markets of {series}": kind}
    rows = [_row(name, rows, confidence) for name, rows in classes.items()]
    table = pl.DataFrame(rows, schema=TABLE)
    basis = Basis(
        int(decided["n"].sum()), "settled market", "each market counts once", "at the opening, before anything was known",
        f"{confidence:.0%}, clustered by event", {"scalar or void": int(reduced["other"].sum())},
    )  # fmt: skip
    return BaseRate(table=table, basis=basis, ticker=ticker)


def _row(name: str, rows: pl.DataFrame, confidence: float) -> dict[str, Any]:
    kept = rows.filter(pl.col("n") > 0).select(
        cluster="event_ticker",
        weight=pl.col("n").cast(pl.Float64),
        n=pl.col("n").cast(pl.Int64),
        win_rate=pl.col("yes").cast(pl.Float64),
    )
    if kept.is_empty():
        return {"reference": name, "markets": 0, "events": 0}
    found = certain(means(kept, [], ["win_rate"], confidence), ["win_rate"], confidence).row(0, named=True)
    low, high = found["win_rate_low"], found["win_rate_high"]
    return {
        "reference": name, "rate": found["win_rate"], "low": None if low is None else max(low, 0.0),
        "high": None if high is None else min(high, 1.0), "markets": found["n"], "events": found["clusters"],
    }  # fmt: skip
