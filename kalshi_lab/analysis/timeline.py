"""A market over time: its quotes, trades and volume, and what happened to it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.analysis.given import given
from kalshi_lab.models.quote import mids, priced

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

# Quotes carry the volume of a market's whole life, candlesticks that of their period: the bars' alone can be drawn as bars.
PATH = """
SELECT time, status, yes_bid, yes_ask, last_price AS price, NULL AS volume FROM quotes WHERE list_contains($1, ticker) AND NOT gone
UNION ALL
SELECT end_time, NULL, yes_bid_close, yes_ask_close, price_close, volume FROM candlesticks WHERE list_contains($1, ticker)
ORDER BY time
"""
MARKS = """
SELECT settlement_ts AS time, 'settlement' AS kind, 'settled ' || result AS words FROM results WHERE list_contains($1, ticker)
UNION ALL
SELECT theses.time, 'thesis', theses.name FROM theses JOIN thesis_markets USING (name, version) WHERE list_contains($1, ticker)
UNION ALL
SELECT time, 'alert', message FROM alert_events WHERE list_contains($1, ticker)
"""
PAUSED = ("inactive", "paused")
KINDS = ("settlement", "thesis", "alert", "event")
SCHEMA = pl.Schema(
    {"time": pl.Datetime("us", "UTC"), "bid": pl.Float64(), "ask": pl.Float64(), "mid": pl.Float64(), "spread": pl.Float64(),
     "price": pl.Float64(), "volume": pl.Float64()}
)  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Timeline(Result):
    """One market over time, oldest first.

    Columns: time; bid, ask, mid and spread (Float64 dollars, null without a real quote); price of the last trade; volume (contracts of the
    period, null where not known). `marks` are (time, kind, words), `pauses` (start, end).
    """

    chart: ClassVar[str] = "timeline"
    ticker: str
    marks: tuple[tuple[datetime, str, str], ...] = ()
    pauses: tuple[tuple[datetime, datetime], ...] = ()

    @property
    def conclusion(self) -> str:
        """From where to where, in words."""
        known = self.table["mid"].drop_nulls()
        if known.is_empty():
            return f"{self.ticker} has no real quote"
        first, last, spread = float(known[0]), float(known[-1]), self.table.select(pl.col("spread").median()).item()
        return f"{self.ticker} went from {first:.4g} to {last:.4g}, median spread {spread:.3g}"


def timeline(
    path: pl.DataFrame,
    marks: pl.DataFrame | None = None,
    *,
    ticker: str,
    pauses: Sequence[tuple[datetime, datetime]] = (),
) -> Timeline:
    """A market's history from rows of time, yes_bid, yes_ask, and perhaps price, volume and status, and its marks (time, kind, words).

    Rows in which `status` is inactive are pauses, up to the next row that says otherwise. Raises UsageError for a missing column.
    """
    path = given(path, "time", "yes_bid", "yes_ask")
    for name, dtype in (("price", pl.Float64), ("volume", pl.Float64), ("status", pl.String)):
        if name not in path.columns:
            path = path.with_columns(pl.lit(None, dtype).alias(name))
    rows = path.drop_nulls("time").sort("time", maintain_order=True)
    real = pl.when(priced())
    table = rows.select(
        pl.col("time").cast(pl.Datetime("us", "UTC")), real.then(pl.col("yes_bid").cast(pl.Float64)).alias("bid"),
        real.then(pl.col("yes_ask").cast(pl.Float64)).alias("ask"), mids(),
        real.then(pl.col("yes_ask").cast(pl.Float64) - pl.col("yes_bid").cast(pl.Float64)).alias("spread"),
        pl.col("price", "volume").cast(pl.Float64),
    ).cast(SCHEMA)  # fmt: skip
    told = (
        ()
        if marks is None
        else tuple(
            given(marks, "time", "kind", "words")
            .drop_nulls("time")
            .sort("time", "kind")
            .select("time", "kind", "words")
            .rows()
        )
    )
    unpriced = table["mid"].null_count()
    return Timeline(
        table=table, ticker=ticker, marks=told, pauses=(*pauses, *_pauses(rows)),
        basis=Basis(table.height, "row", horizon="as kept", excluded=MappingProxyType({"rows without a real quote": unpriced})),
    )  # fmt: skip


def _pauses(rows: pl.DataFrame) -> list[tuple[datetime, datetime]]:
    said = rows.drop_nulls("status").select("time", paused=pl.col("status").is_in(PAUSED))
    turns = said.filter(pl.col("paused").ne_missing(pl.col("paused").shift(1))).with_columns(
        end=pl.col("time").shift(-1, fill_value=rows["time"].max())
    )
    return [(start, end) for start, paused, end in turns.rows() if paused]
