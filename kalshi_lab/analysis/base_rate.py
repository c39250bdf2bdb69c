"""How often markets like one settled at YES, before anything is known of this one: the base rate of its reference classes."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl

from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.analysis.ratio import certain, level, means
from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

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


@dataclass(frozen=True, slots=True)
class Stood:
    """The counts of markets that stood in a band of prices so long before their end, in words; how many had no real quote then."""

    words: str
    reduced: pl.DataFrame
    unpriced: int


def band_of(given: Sequence[float | str | Decimal] | None, mid: Decimal | None) -> tuple[Decimal, Decimal]:
    """A band of prices in dollars, or the ten cents in which the market stands now. Raises UsageError for what is no band."""
    if given is None:
        if mid is None:
            raise UsageError("the market has no real quote now", hint="Say which prices: band=(0.20, 0.30)")
        low = min(mid // Decimal("0.1"), Decimal(9)) / 10
        return low, low + Decimal("0.1")
    try:
        low, high = (Decimal(str(one)) for one in given)
    except (ValueError, TypeError, ArithmeticError):
        raise UsageError(f"band={given!r} is no band of prices", hint="Write it like band=(0.20, 0.30)") from None
    if not (low.is_finite() and high.is_finite() and 0 <= low < high <= 1):
        raise UsageError(f"band={given!r} is no band of prices", hint="Two prices in dollars, 0 to 1, the lower first")
    return low, high


def stood(forecasts: pl.DataFrame, kinds: pl.DataFrame, band: tuple[Decimal, Decimal], horizon: str) -> Stood:
    """Count the forecasts of one horizon whose price lay in a band: its lower end belongs to it, its upper one only at a dollar.

    `forecasts` are rows as `lab.forecasts` gives them, in which nothing is later than the decision; `kinds` has ticker and strike_type.
    """
    low, high = band
    inside = pl.col("price").is_between(float(low), float(high), closed="left") | (
        pl.col("price") == 1 if high == 1 else False
    )
    kept = forecasts.filter(inside).join(kinds, on="ticker", how="left")
    counted = {"n": pl.len(), "yes": (pl.col("outcome") == 1).sum(), "other": pl.col("outcome").null_count()}
    reduced = kept.group_by("event_ticker", "strike_type").agg(**counted)
    cents = " to ".join(f"{(100 * one).normalize():f}" for one in band)
    words = f"at {cents} cents, {horizon} before the end"
    return Stood(words, reduced.sort("event_ticker", "strike_type"), forecasts["price"].null_count())


def base_rate(
    ticker: str,
    series: str,
    strike_type: str | None,
    reduced: pl.DataFrame,
    confidence: float,
    *,
    near: Stood | None = None,
) -> BaseRate:
    """The base rates from the counts of a series' settled markets by event and type of strike; of those that `stood` near, too.

    The market itself knows more than its class: a base rate is where to start from, not an estimate.
    """
    level(confidence)
    parts = [("", _decided(reduced)), *([] if near is None else [(f" {near.words}", _decided(near.reduced))])]
    rows = []
    for words, decided in parts:
        rows.append(_row(f"markets of {series}{words}", decided, confidence))
        if strike_type:
            kind = decided.filter(strike_type=strike_type)
            rows.append(_row(f"markets of {series} of type {strike_type}{words}", kind, confidence))
    table = pl.DataFrame(rows, schema=TABLE)
    known = "at the opening, before anything was known"
    excluded = {"scalar or void": int(reduced["other"].sum())}
    if near is not None:
        known, excluded = f"{known}; and {near.words}", excluded | {"no real quote then": near.unpriced}
    basis = Basis(
        int(parts[0][1]["n"].sum()), "settled market", "each market counts once", known, f"{confidence:.0%}, clustered by event", excluded,
    )  # fmt: skip
    return BaseRate(table=table, basis=basis, ticker=ticker)


def _decided(reduced: pl.DataFrame) -> pl.DataFrame:
    return reduced.with_columns(n=pl.col("n") - pl.col("other"))


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
