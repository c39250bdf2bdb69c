"""Bars of any interval from trades: open, high, low, close, volume and VWAP, in half-open intervals aligned to UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.analysis.engine import default_engine
from kalshi_lab.analysis.given import framed
from kalshi_lab.analysis.tape import TRADED, flags, instants, texts, whole
from kalshi_lab.clock import span, spelled
from kalshi_lab.errors import UsageError
from kalshi_lab.money import CENTI, MICRO

if TYPE_CHECKING:
    from kalshi_lab.analysis.engine import Engine

# Reads `tape`: ticker, time, price, size, yes. First and last are found through one number that holds the moment inside the bar and the
# price, since a MIN and a MAX of whole numbers cost a fraction of any other way; a price is less than 2**20 millionths. Trades of one
# microsecond have no known order: by their price.
REDUCTION = """
SELECT ticker, bar, MIN(key) AS first_key, MAX(price) AS high, MIN(price) AS low, MAX(key) AS last_key, COUNT(*) AS n,
       CAST(SUM(size) AS BIGINT) AS size, CAST(SUM(price * size) AS BIGINT) AS paid,
       CAST(SUM(CASE WHEN yes = 1 THEN size ELSE 0 END) AS BIGINT) AS yes_size
FROM (SELECT ticker, price, size, yes, time - time % {width} AS bar, (time % {width}) * 1048576 + price AS key FROM tape)
GROUP BY ticker, bar
"""
FIELDS = ("ticker", "time", "price", "size", "yes")
KEY = 1 << 20
LONGEST = timedelta(days=90)  # of a microsecond's key, 2**63 / 2**20 microseconds are 101 days
DAY = 86_400_000_000
GAPS = 10_000_000  # rows that `filled` makes at most


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Bars(Result):
    """Bars of trades, by ticker and start.

    `table`: ticker String; start Datetime (UTC; a bar holds the trades of [start, start + every)); open, high, low, close, vwap Float64
    dollars of YES; volume Float64 contracts; n Int64 trades; yes_volume Float64, contracts whose taker bought YES; gap Int64, how many
    intervals without a trade came before this bar since the ticker's last one.
    """

    every: timedelta
    chart: ClassVar[str] = "bars"

    @property
    def conclusion(self) -> str:
        """How many bars of how many markets, and how many intervals between them had no trade."""
        if self.table.is_empty():
            return "no trades"
        tickers, gaps = self.table["ticker"].n_unique(), int(self.table["gap"].sum())
        return f"{self.table.height:,} bars of {tickers:,} market{'' if tickers == 1 else 's'}, {gaps:,} intervals between without a trade"

    def filled(self) -> pl.DataFrame:
        """The table with a row for every interval between a ticker's first bar and its last.

        Columns as in `frame`: where nobody traded n and volume are 0 and prices (Float64 dollars) null.

        Raises UsageError where that would be more than ten million rows.
        """
        wanted = self.table.height + int(self.table["gap"].sum())
        if wanted > GAPS:
            raise UsageError(f"the gaps make {wanted:,} rows", hint="Choose fewer markets or a longer interval")
        ends = (
            self.table.group_by("ticker")
            .agg(pl.col("start").min().alias("from"), pl.col("start").max().alias("to"))
            .sort("ticker")
        )
        steps = ends.select("ticker", start=pl.datetime_ranges("from", "to", interval=self.every)).explode(
            "start", empty_as_null=True
        )
        steps = steps.with_columns(pl.col("start").cast(self.table.schema["start"]))
        return steps.join(self.table, on=["ticker", "start"], how="left", maintain_order="left").with_columns(
            pl.col("n", "gap").fill_null(0), pl.col("volume", "yes_volume").fill_null(0.0)
        )


def width(every: str | timedelta) -> int:
    """An interval in microseconds; UsageError for one of less than a second, or more than 90 days."""
    length = span(every, what="every")
    if not timedelta(seconds=1) <= length <= LONGEST:
        raise UsageError(f"every={every!r} is no interval for bars", hint='From "1s" to "90d"')
    return length // timedelta(microseconds=1)


def sql(every: int, source: str = "") -> str:
    """The reduction, over a SELECT that gives the tape, or over a table of that name."""
    made = REDUCTION.format(width=every)
    return f"WITH tape AS ({source}) {made}" if source else made


def finished(reduced: pl.DataFrame) -> pl.DataFrame:
    """From the reduced rows to those of the table, in any order, without the gaps."""
    first, last, size = pl.col("first_key") % KEY, pl.col("last_key") % KEY, pl.col("size")
    prices = {"open": first, "high": pl.col("high"), "low": pl.col("low"), "close": last}
    return reduced.select(
        "ticker",
        pl.col("bar").cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias("start"),
        # Polars divides by a constant through its reciprocal, which misses the nearest float; rounding finds it
        *((each / MICRO).round(6).alias(name) for name, each in prices.items()),
        pl.when(size > 0).then(pl.col("paid") / size / MICRO).alias("vwap"),
        (size / CENTI).round(2).alias("volume"),
        "n",
        (pl.col("yes_size") / CENTI).round(2).alias("yes_volume"),
    )


def result(rows: pl.DataFrame, every: int, excluded: dict[str, int] | None = None) -> Bars:
    """From the rows of `finished` to the result."""
    length = timedelta(microseconds=every)
    apart = pl.col("start").diff().over("ticker").dt.total_microseconds() // every - 1
    table = rows.sort("ticker", "start").with_columns(apart.fill_null(0).alias("gap"))
    basis = Basis(
        int(rows["n"].sum()),
        "trade",
        "VWAP: each contract counts once",
        f"intervals of {spelled(length)}, half-open, in UTC",
        "none",
        excluded or {},
    )
    return Bars(table=table, basis=basis, every=length)


def bars(
    trades: Any,
    *,
    every: str | timedelta = "1h",
    ticker: str = "ticker",
    time: str = "created_time",
    price: str = TRADED["price"],
    count: str = TRADED["count"],
    side: str | None = TRADED["side"],
    engine: Engine | None = None,
) -> Bars:
    """Open, high, low, close, volume and VWAP of trades in intervals of `every` ("5m", "1h", "1d", "2h30m" as a timedelta).

    Intervals start at whole multiples of their length since 1970 in UTC, so days are UTC's and not the exchange's, which end at midnight
    Eastern. Every column named is needed but `side` (None: yes_volume is 0). VWAP is the sum of price x count over the sum of counts.
    Trades of the same microsecond have no known order and are taken by price. See `Bars` for the table. Raises UsageError for a missing
    column, for values that are no time, price or count, and for nulls.
    """
    every_us = width(every)
    rows = framed(trades, {"ticker": ticker, "time": time, "price": price, "size": count, "yes": side})
    made = {
        "ticker": texts(rows["ticker"], name=ticker),
        "time": instants(rows["time"], name=time),
        "price": whole(present(rows["price"], price), MICRO, what="price in [0, 1]", name=price, highest=1),
        "size": whole(present(rows["size"], count), CENTI, what="count of contracts", name=count, highest=10**9),
        "yes": flags(rows["yes"], what="side", name=side)
        if side
        else pl.repeat(None, rows.height, dtype=pl.Int32, eager=True),
    }
    return result(finished((engine or default_engine()).run(sql(every_us), tape=pl.DataFrame(made))), every_us)


def present(column: pl.Series, name: str) -> pl.Series:
    """A column without nulls; UsageError where there are some."""
    if column.null_count():
        raise UsageError(f"column {name!r}: {column.null_count():,} rows hold nothing", hint="Leave them out")
    return column


def by_day(times: str) -> str:
    """The trades of each day of a tape, as `windows` asks for them."""
    made = f"SELECT time // {DAY} * {DAY} AS day FROM ({times})"  # noqa: S608 - our own words
    return f"SELECT day, count(*) AS n FROM ({made}) GROUP BY day ORDER BY day"  # noqa: S608 - our own words


def windows(counted: pl.DataFrame, every: int, rows: int) -> list[tuple[datetime, datetime]]:
    """Whole days joined to windows of about so many trades, from the number of trades of each day; no bar is cut by a window's end.

    `counted` has day (microseconds) and n, sorted.
    """
    found: list[tuple[int, int]] = []
    held = 0
    for day, n in counted.select("day", "n").iter_rows():
        start, end = day - day % every, -(-(day + DAY) // every) * every
        if found and (held + n <= rows or start < found[-1][1]):
            found[-1], held = (found[-1][0], max(end, found[-1][1])), held + n
        else:
            found.append((start, end))
            held = n
    return [(_utc(start), _utc(end)) for start, end in found]


def _utc(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
