"""Movers: whose price changed between two moments, among markets with a real quote at both; and one market's figures over a window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.analysis.given import given
from kalshi_lab.analysis.scan import dollars, micro
from kalshi_lab.errors import UsageError
from kalshi_lab.models import quote
from kalshi_lab.money import MICRO

if TYPE_CHECKING:
    from datetime import datetime

NEEDED = ("ticker", "yes_bid", "yes_ask")
TIME = pl.Datetime("us", "UTC")
FIGURES = {
    "ticker": pl.String, "quotes": pl.Int64, "bid": pl.Float64, "ask": pl.Float64, "mid": pl.Float64, "spread": pl.Float64,
    "mean_spread": pl.Float64, "median_spread": pl.Float64, "max_spread": pl.Float64, "low": pl.Float64, "high": pl.Float64,
    "change": pl.Float64, "volatility": pl.Float64, "volume": pl.Float64, "quoted": pl.Float64,
}  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Movers(Result):
    """Markets whose price moved, the largest move first."""

    chart: ClassVar[str] = "movers"

    @property
    def conclusion(self) -> str:
        """Who moved most, in words."""
        if self.table.is_empty():
            return "nothing moved that far"
        first = self.table.row(0, named=True)
        up = self.table.filter(pl.col("change") > 0).height
        return (
            f"{up:,} up, {self.table.height - up:,} down; most {first['ticker']}: {100 * first['mid_then']:.4g}c to "
            f"{100 * first['mid']:.4g}c"
        )


def movers(
    then: pl.DataFrame,
    now: pl.DataFrame,
    *,
    over: str = "the time between two looks",
    min_change: float = 0.01,
    top: int | None = 20,
) -> Movers:
    """Markets whose mid price changed by more than `min_change` dollars between two looks, the largest change first.

    Both frames have ticker, yes_bid and yes_ask (dollars), as `lab.quotes(as_of=...)` and `lab.markets()` give them; where both have a
    volume, the contracts traded in between are shown. Only markets with a real quote at both ends count: a side that is empty is no
    price, and a market that was not there has not moved. `over` says in words which time that is.

    Table: ticker String; mid_then, mid, change, spread Float64 dollars; volume Float64 contracts in between (null where not known);
    since Datetime(us, UTC), when the later quote began (null where not known). Raises UsageError for a missing column, a market with two
    rows, and prices outside [0, 1].
    """
    then, now = given(then, *NEEDED), given(now, *NEEDED)
    for frame in (then, now):
        _check(frame)
    late, early = _quotes(now), _quotes(then)
    both = late.join(early, on="ticker", how="left", suffix="_then")
    excluded = {
        "without a quote then": both.filter(pl.col("real_then").is_null()).height,
        "without a real quote then": both.filter(~pl.col("real_then")).height,
        "without a real quote now": both.filter("real_then", ~pl.col("real")).height,
    }
    real = both.filter("real_then", "real").with_columns(moved=pl.col("twice") - pl.col("twice_then"))
    moved = real.filter(pl.col("moved").abs() > round(2 * min_change * MICRO))
    excluded[f"moved by {100 * min_change:g}c or less"] = real.height - moved.height
    found = moved.sort(pl.col("moved").abs(), "ticker", descending=[True, False]).select(
        "ticker", mid_then=dollars(pl.col("twice_then"), 2 * MICRO), mid=dollars(pl.col("twice"), 2 * MICRO),
        change=dollars(pl.col("moved"), 2 * MICRO), spread=dollars(pl.col("spread")), volume=pl.col("volume") - pl.col("volume_then"),
        since="time",
    )  # fmt: skip
    if top is not None and found.height > top:
        excluded[f"beyond the first {top}"] = found.height - top
    basis = Basis(n=both.height, unit="market", weighting="each market counts once", horizon=over, excluded=excluded)
    return Movers(table=found if top is None else found.head(top), basis=basis)


def _check(frame: pl.DataFrame) -> None:
    """One row a market, with prices in dollars."""
    doubled = frame.height - frame["ticker"].n_unique()
    if doubled:
        raise UsageError(f"column 'ticker': {doubled:,} rows repeat a market", hint="Give one quote of each market")
    for name in ("yes_bid", "yes_ask"):
        wrong = frame.filter(~micro(pl.col(name)).is_between(0, MICRO)).height
        if wrong:
            raise UsageError(f"column {name!r}: {wrong:,} rows hold no price in [0, 1]", hint="A price is dollars")


def _quotes(frame: pl.DataFrame) -> pl.DataFrame:
    optional = {"volume": pl.Float64(), "time": TIME}
    absent = [pl.lit(None, kind).alias(name) for name, kind in optional.items() if name not in frame.columns]
    return frame.with_columns(absent).select(
        "ticker", "time", pl.col("volume").cast(pl.Float64), real=quote.priced(),
        twice=micro(pl.col("yes_bid")) + micro(pl.col("yes_ask")), spread=micro(pl.col("yes_ask")) - micro(pl.col("yes_bid")),
    )  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Metrics(Result):
    """One market's figures over a window."""

    chart: ClassVar[str] = "metrics"
    path: pl.DataFrame

    @property
    def conclusion(self) -> str:
        """The market in a sentence."""
        row = self.table.row(0, named=True)
        if row["mid"] is None:
            return f"{row['ticker']} has no real quote at the end of the window"
        return (
            f"{row['ticker']} at {100 * row['mid']:.4g}c ({100 * row['change']:+.3g}c), spread {100 * row['spread']:.4g}c, "
            f"a real quote {row['quoted']:.0%} of the time"
        )


def metrics(path: pl.DataFrame, ticker: str, *, start: datetime, end: datetime) -> Metrics:
    """What a market's quotes did from start to end: spread, range, volatility and volume, each quote weighted by the time it stood.

    `path` has time, yes_bid, yes_ask and perhaps volume (over the market's life), a row a change; a quote stands until the next row,
    and the last one before `start` stands at `start`. Time without a real quote counts in nothing but `quoted`.

    Table, one row: ticker; quotes Int64 (rows with a real quote); bid, ask, mid, spread at the end (null without a real quote);
    mean_spread, median_spread (both by time), max_spread, low, high, change of the mid, all Float64 dollars; volatility, dollars for the
    square root of an hour: the root of the sum of squared changes of the mid, divided by the root of the hours quoted (realised
    volatility, T. G. Andersen and T. Bollerslev, "Answering the Skeptics", 1998); volume Float64 contracts traded in the window (null
    where not known); quoted Float64, the share of the window with a real quote. Raises UsageError for a missing column or an empty window.
    """
    path = given(path, "time", "yes_bid", "yes_ask")
    if end <= start:
        raise UsageError(f"the window from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} is empty")
    rows = _standing(path, start, end)
    real = rows.filter("real")
    hours = float(real["seconds"].sum()) / 3600
    values = dict.fromkeys(FIGURES) | {"ticker": ticker, "quotes": real.height, "quoted": _share(real, start, end)}
    values["volume"] = _traded(rows)
    if real.height:
        mids = (real["bid"] + real["ask"]) / 2
        values |= {"low": mids.min(), "high": mids.max(), "change": mids[-1] - mids[0]}
    if hours:  # a quote of this very moment has not stood for any time
        spreads = real["ask"] - real["bid"]
        squares = float(mids.diff().drop_nulls().pow(2).sum())
        values |= {
            "mean_spread": float((spreads * real["seconds"]).sum()) / (3600 * hours),
            "median_spread": _median(spreads, real["seconds"]), "max_spread": spreads.max(), "volatility": math.sqrt(squares / hours),
        }  # fmt: skip
    if rows.height and rows["real"][-1]:
        bid, ask = rows["bid"][-1], rows["ask"][-1]
        values |= {"bid": bid, "ask": ask, "mid": (bid + ask) / 2, "spread": ask - bid}
    basis = Basis(
        n=rows.height, unit="quote", weighting="each quote by the time it stood",
        horizon=f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC", excluded={"that were no real quote": rows.height - real.height},
    )  # fmt: skip
    return Metrics(table=pl.DataFrame([values], schema=FIGURES), basis=basis, path=rows)


def _standing(path: pl.DataFrame, start: datetime, end: datetime) -> pl.DataFrame:
    """The quotes of the window with the seconds that each stood in it."""
    known = path.filter(pl.col("time") <= end).sort("time", maintain_order=True)
    if "volume" in known.columns:
        known = known.with_columns(pl.col("volume").forward_fill())
    before = known.filter(pl.col("time") < start).tail(1).with_columns(time=pl.lit(start, TIME))
    rows = pl.concat([before, known.filter(pl.col("time") >= start)]).unique("time", keep="last", maintain_order=True)
    volume = pl.col("volume").cast(pl.Float64) if "volume" in rows.columns else pl.lit(None, pl.Float64)
    following = pl.col("time").shift(-1).fill_null(pl.lit(end, TIME))
    return rows.select(
        "time", bid=dollars(micro(pl.col("yes_bid"))), ask=dollars(micro(pl.col("yes_ask"))), volume=volume,
        real=quote.priced(), seconds=(following - pl.col("time")).dt.total_microseconds() / 1e6,
    )  # fmt: skip


def _share(real: pl.DataFrame, start: datetime, end: datetime) -> float:
    return float(real["seconds"].sum()) / ((end - start) / timedelta(seconds=1))


def _traded(rows: pl.DataFrame) -> float | None:
    volumes = rows["volume"].drop_nulls()
    return float(volumes[-1] - volumes[0]) if len(volumes) > 1 else None


def _median(values: pl.Series, weights: pl.Series) -> float:
    """The value that half of the weight lies below or at."""
    ordered = pl.DataFrame({"value": values, "weight": weights}).sort("value")
    reached = ordered["weight"].cum_sum() >= float(weights.sum()) / 2
    return float(ordered["value"].filter(reached)[0])
