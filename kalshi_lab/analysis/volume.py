"""The volume profile: where on the scale of prices, and when in the day, contracts are traded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from kalshi_lab.analysis.bars import present
from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.analysis.engine import default_engine
from kalshi_lab.analysis.given import framed
from kalshi_lab.analysis.tape import TRADED, banded, edges, flags, instants, whole
from kalshi_lab.errors import UsageError, one_of
from kalshi_lab.money import CENTI, MICRO

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from kalshi_lab.analysis.engine import Engine

By = Literal["price", "hour", "weekday"]
QUARTER = 900_000_000  # microseconds: every clock in use is a whole number of quarter hours from UTC
# Reads `tape`: price, size, yes, and time where the key asks for it.
REDUCTION = """
SELECT {key} AS key, COUNT(*) AS n, CAST(SUM(size) AS BIGINT) AS size, CAST(SUM(price * size) AS BIGINT) AS paid,
       CAST(SUM(CASE WHEN yes = 1 THEN size ELSE 0 END) AS BIGINT) AS yes_size
FROM tape GROUP BY {key}
"""
_KEYS = {"price": "price", "hour": f"time - time % {QUARTER}", "weekday": f"time - time % {QUARTER}"}
_DAYS = dict(enumerate(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"), 1))


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class VolumeProfile(Result):
    """Trades and contracts by price, hour of the day, or day of the week.

    `table`: the key (low_price and high_price Float64, or hour Int8, or weekday String), n Int64, contracts, share (of contracts),
    dollars (what YES and NO of them cost together is a dollar each; here YES's part), vwap, mean_size, yes_share (contracts whose taker
    bought YES, of all) Float64.
    """

    by: By
    clock: str
    chart: ClassVar[str] = "volume_profile"

    @property
    def conclusion(self) -> str:
        """Where most is traded."""
        if self.table.is_empty():
            return "no trades"
        most = self.table.sort("contracts", descending=True, maintain_order=True).row(0, named=True)
        where = {
            "price": lambda: f"at {100 * most['low_price']:g}-{100 * most['high_price']:g}c",
            "hour": lambda: f"from {most['hour']:02d}:00 ({self.clock})",
            "weekday": lambda: f"on {most['weekday']}s ({self.clock})",
        }[self.by]()
        return f"most is traded {where}: {100 * most['share']:.1f}% of all contracts"


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, checked."""

    by: By
    clock: str
    bands: list[float]

    @property
    def fields(self) -> tuple[str, ...]:
        """What the reduction reads of the tape."""
        return ("price", "size", "yes") if self.by == "price" else ("time", "price", "size", "yes")

    def sql(self, source: str = "") -> str:
        """The reduction, over a SELECT that gives the tape, or over a table of that name."""
        made = REDUCTION.format(key=_KEYS[self.by])
        return f"WITH tape AS ({source}) {made}" if source else made

    def result(self, reduced: pl.DataFrame) -> VolumeProfile:
        """From the reduced rows to the result."""
        whole_n = int(reduced["n"].sum())
        rows = reduced.with_columns(place=self._place()).drop_nulls("place").sort("key")
        sums = rows.group_by("place").agg(pl.col("n", "size", "paid", "yes_size").sum()).sort("place")
        named = {
            "price": [
                pl.col("place").replace_strict(dict(enumerate(ends)), return_dtype=pl.Float64).alias(name)
                for name, ends in (("low_price", self.bands[:-1]), ("high_price", self.bands[1:]))
            ],
            "hour": [pl.col("place").cast(pl.Int8).alias("hour")],
            "weekday": [pl.col("place").replace_strict(_DAYS, return_dtype=pl.String).alias("weekday")],
        }[self.by]
        some = pl.when(pl.col("size") > 0)
        table = sums.select(
            *named, "n", (pl.col("size") / CENTI).alias("contracts"), (pl.col("size") / pl.col("size").sum()).alias("share"),
            (pl.col("paid") / (MICRO * CENTI)).alias("dollars"), some.then(pl.col("paid") / pl.col("size") / MICRO).alias("vwap"),
            (pl.col("size") / CENTI / pl.col("n")).alias("mean_size"), some.then(pl.col("yes_size") / pl.col("size")).alias("yes_share"),
        )  # fmt: skip
        left = {"outside the bands": lost} if (lost := whole_n - int(rows["n"].sum())) else {}
        when = "all times" if self.by == "price" else f"hours of the clock of {self.clock}"
        return VolumeProfile(
            table=table,
            basis=Basis(whole_n - lost, "trade", "each contract counts once", when, "none", left),
            by=self.by,
            clock=self.clock,
        )

    def _place(self) -> pl.Expr:
        if self.by == "price":
            return banded("key", self.bands)
        local = pl.col("key").cast(pl.Datetime("us")).dt.replace_time_zone("UTC").dt.convert_time_zone(self.clock)
        return local.dt.hour() if self.by == "hour" else local.dt.weekday()


def asked(by: By, clock: str, bins: int | Sequence[float | Decimal]) -> Question:
    """The question, checked."""
    one_of("by", by, tuple(_KEYS))
    try:
        ZoneInfo(clock)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"clock {clock!r} is no time zone", hint='Name one as "America/New_York" or "UTC"') from None
    return Question(by, clock, edges(bins))


def volume_profile(
    trades: Any,
    *,
    by: By = "price",
    clock: str = "America/New_York",
    bins: int | Sequence[float | Decimal] = 20,
    time: str = "created_time",
    price: str = TRADED["price"],
    count: str = TRADED["count"],
    side: str | None = TRADED["side"],
    engine: Engine | None = None,
) -> VolumeProfile:
    """How many trades and contracts there were by price of YES, by hour of the day, or by day of the week.

    Hours and days are those of `clock`, by default the exchange's own, Eastern time. `bins` is a number of bands of price or their edges.
    See `VolumeProfile` for the table. Raises UsageError for a missing column, for values that are no time, price or count, and for nulls.
    """
    question = asked(by, clock, bins)
    rows = framed(trades, {"price": price, "size": count, "yes": side} | ({} if by == "price" else {"time": time}))
    made = {
        "price": whole(present(rows["price"], price), MICRO, what="price in [0, 1]", name=price, highest=1),
        "size": whole(present(rows["size"], count), CENTI, what="count of contracts", name=count, highest=10**9),
        "yes": flags(rows["yes"], what="side", name=side)
        if side
        else pl.repeat(None, rows.height, dtype=pl.Int32, eager=True),
    }
    if by != "price":
        made["time"] = instants(rows["time"], name=time)
    return question.result((engine or default_engine()).run(question.sql(), tape=pl.DataFrame(made)))
