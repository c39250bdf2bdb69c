"""When a market is cheap to trade: spreads and volume by the hour of a named clock, from candlesticks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

import polars as pl

from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.analysis.dependence import corrected
from kalshi_lab.analysis.engine import default_engine
from kalshi_lab.analysis.given import given
from kalshi_lab.analysis.science import science
from kalshi_lab.errors import UsageError
from kalshi_lab.models.quote import priced_sql

if TYPE_CHECKING:
    from kalshi_lab.analysis.engine import Engine

# Reads `bars`: end_time, yes_bid_close, yes_ask_close, volume, one row for a market and period of 60 minutes.
_REAL = priced_sql("yes_bid_close", "yes_ask_close")
REDUCTION = f"""
SELECT end_time, COUNT(*) AS bars,
       SUM(CASE WHEN {_REAL} THEN 1 ELSE 0 END) AS quoted,
       SUM(CASE WHEN {_REAL}
           THEN CAST(yes_ask_close AS DECIMAL(18, 6)) - CAST(yes_bid_close AS DECIMAL(18, 6)) ELSE 0 END) AS spread,
       SUM(CAST(volume AS DECIMAL(18, 2))) AS volume
FROM bars GROUP BY end_time
"""  # noqa: S608 - our own words
NEEDED = ("end_time", "yes_bid_close", "yes_ask_close", "volume")
FEWEST = 5
SCHEMA = pl.Schema(
    {"hour": pl.Int64(), "days": pl.Int64(), "bars": pl.Int64(), "quoted": pl.Int64(), "spread": pl.Float64(), "low": pl.Float64(),
     "high": pl.Float64(), "against_day": pl.Float64(), "p_adjusted": pl.Float64(), "volume": pl.Float64()}
)  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Timing(Result):
    """Spreads and volume by hour of the day in one clock: a row for each of its hours that has candlesticks.

    Columns: hour (0 to 23, when it begins), days, bars, quoted (those with a real quote at their end) Int64; spread, low, high: their mean
    spread in dollars with its interval; against_day: by how much it is wider than the same day's mean; p_adjusted: of that against 0, by
    Holm over the hours; volume: contracts traded in a day's hour, on average. Null where not known: no quote is no spread.
    """

    chart: ClassVar[str] = "timing"
    clock: str
    alpha: float = 0.05

    @property
    def conclusion(self) -> str:
        """Which hours are cheaper or dearer than the day's mean, in words."""
        known = self.table.drop_nulls("spread")
        if known.is_empty():
            return "no hour with a real quote"
        told = known.filter(pl.col("p_adjusted") <= self.alpha)
        if told.is_empty():
            return f"no hour's spread differs from its day's mean beyond chance (clock {self.clock})"
        words = []
        for word, part in (
            ("narrower", told.filter(pl.col("against_day") < 0)),
            ("wider", told.filter(pl.col("against_day") > 0)),
        ):
            if part.height:
                words.append(f"{word} than their day's mean at {', '.join(f'{hour:02d}' for hour in part['hour'])} h")
        return f"spreads are {' and '.join(words)} (clock {self.clock})"


def timing(
    candlesticks: pl.DataFrame,
    *,
    clock: str = "America/New_York",
    confidence: float = 0.95,
    engine: Engine | None = None,
) -> Timing:
    """Mean spread and volume by hour of the day, with the day as the unit of chance.

    `candlesticks` are hourly: end_time (Datetime with a zone), yes_bid_close, yes_ask_close (dollars), volume (contracts), as
    `lab.candlesticks(t, "1h")` or the store's table have them; a spread counts where `is_priced` holds. `clock` is a zone's name, so that
    hours follow its summer time. Intervals are Student's over days; an hour is compared with its own day's mean, so that wide days do not
    speak for hours. UsageError for a missing column or an unknown zone.
    """
    candlesticks = given(candlesticks, *NEEDED)
    kind = candlesticks.schema["end_time"]
    if not isinstance(kind, pl.Datetime) or kind.time_zone is None:
        raise UsageError(f"column 'end_time' of type {kind} holds no times with a zone")
    if "interval_minutes" in candlesticks.columns:
        candlesticks = candlesticks.filter(pl.col("interval_minutes") == 60)  # noqa: PLR2004 - an hour
    exact = {"yes_bid_close": pl.Decimal(9, 6), "yes_ask_close": pl.Decimal(9, 6), "volume": pl.Decimal(18, 2)}
    bars = candlesticks.select(
        pl.col("end_time").dt.convert_time_zone("UTC"), *(pl.col(name).cast(each) for name, each in exact.items())
    )
    return finished((engine or default_engine()).run(REDUCTION, bars=bars), clock=clock, confidence=confidence)


def finished(reduced: pl.DataFrame, *, clock: str, confidence: float = 0.95) -> Timing:
    """From the rows of REDUCTION."""
    try:
        ZoneInfo(clock)
    except (KeyError, ValueError, OSError):
        raise UsageError(f"unknown clock {clock!r}", hint='Name a zone: "America/New_York", "UTC"') from None
    begins = (pl.col("end_time") - pl.duration(hours=1)).dt.convert_time_zone(clock)
    hours = reduced.sort("end_time").select(
        begins.dt.date().alias("day"), begins.dt.hour().cast(pl.Int64).alias("hour"), pl.col("bars", "quoted").cast(pl.Int64),
        pl.col("spread", "volume").cast(pl.Float64),
    )  # fmt: skip
    day = pl.col("spread").sum().over("day") / pl.col("quoted").sum().over("day")
    mean = pl.when(pl.col("quoted") > 0).then(pl.col("spread") / pl.col("quoted"))
    hours = hours.with_columns(mean=mean, against=mean - day)
    rows = [_hour(hour, part, confidence) for (hour,), part in hours.partition_by("hour", as_dict=True).items()]
    rows.sort(key=lambda row: row["hour"])
    tested = [row for row in rows if row["p"] is not None]
    for row, p in zip(tested, corrected([row["p"] for row in tested], "holm"), strict=True):
        row["p_adjusted"] = p
    table = pl.DataFrame([[row.get(name) for name in SCHEMA] for row in rows], schema=SCHEMA, orient="row")
    bars, quoted = int(reduced["bars"].sum()), int(reduced["quoted"].sum())
    return Timing(
        table=table, clock=clock,
        basis=Basis(quoted, "quoted market-hour", "each counts once", f"closes of hours, clock {clock}",
                    f"{confidence * 100:g}% over days", MappingProxyType({"market-hours without a real quote": bars - quoted})),
    )  # fmt: skip


def _hour(hour: int, part: pl.DataFrame, confidence: float) -> dict[str, Any]:
    known = part.filter(pl.col("quoted") > 0)
    days, quoted = part["day"].n_unique(), int(part["quoted"].sum())
    row: dict[str, Any] = {
        "hour": hour, "days": days, "bars": int(part["bars"].sum()), "quoted": quoted, "p": None,
        "volume": None if part["volume"].null_count() == part.height else float(part["volume"].sum()) / days,
    }  # fmt: skip
    if not quoted:
        return row
    row["spread"] = float(known["spread"].sum()) / quoted
    row["against_day"] = float(known["against"].mean())  # type: ignore[arg-type]  # there are quotes
    if known.height < FEWEST:
        return row
    student, n = science("scipy.stats").t, known.height
    scatter = ((known["mean"] - row["spread"]) * known["quoted"]).pow(2).sum()
    wide = math.sqrt(float(scatter) * n / (n - 1)) / quoted
    reach = float(student.ppf(0.5 + confidence / 2, n - 1)) * wide
    row["low"], row["high"] = row["spread"] - reach, row["spread"] + reach
    apart = float(known["against"].std()) / math.sqrt(n)  # type: ignore[arg-type]  # as above
    row["p"] = 2 * float(student.sf(abs(row["against_day"]) / apart, n - 1)) if apart > 0 else None
    return row
