"""What a strategy sees: the world as it was known at a moment, cut before it is handed over, so that there is nothing else to look at."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

import polars as pl

from kalshi_lab.errors import UsageError, one_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

Side = Literal["yes", "no"]
TIME: Final = pl.Datetime("us", "UTC")
MARKETS: Final[dict[str, Any]] = {
    "ticker": pl.String, "event_ticker": pl.String, "series_ticker": pl.String, "title": pl.String, "yes_sub_title": pl.String,
    "open_time": TIME, "strike_type": pl.String, "floor_strike": pl.Float64, "cap_strike": pl.Float64, "rules_primary": pl.String,
}  # fmt: skip
QUOTES: Final[dict[str, Any]] = {
    "ticker": pl.String, "time": TIME, "yes_bid": pl.Float64, "yes_bid_size": pl.Float64, "yes_ask": pl.Float64, "yes_ask_size": pl.Float64,
}  # fmt: skip
TRADES: Final[dict[str, Any]] = {
    "ticker": pl.String, "time": TIME, "yes_price": pl.Float64, "count": pl.Float64, "taker_side": pl.String,
}  # fmt: skip
RESULTS: Final[dict[str, Any]] = {"ticker": pl.String, "time": TIME, "result": pl.String, "value": pl.Float64}


@dataclass(frozen=True, slots=True)
class Order:
    """What a strategy wants: so many contracts of a side of a market, at `limit` dollars at worst (None: at whatever is offered).

    action: buy, or sell (what is held; more than that is not sold). `view.buy` and `view.sell` make them.
    """

    ticker: str
    side: Side
    action: Literal["buy", "sell"]
    count: Decimal
    limit: Decimal | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """The world at `time`, as it was known then: prices Float64 dollars of YES, sizes contracts, times UTC.

    markets: those that had opened and were not known to have ended, with the terms that do not change (ticker, event_ticker,
    series_ticker, title, yes_sub_title, open_time, strike_type, floor_strike, cap_strike, rules_primary). quotes: the last quote of each
    (ticker, time, yes_bid, yes_bid_size, yes_ask, yes_ask_size; null where there was none). past: every quote so far. trades: every trade
    so far (ticker, time, yes_price, count, taker_side). results: what had been paid out (ticker, time, result, value). positions: your own
    contracts by ticker, negative for NO. cash: dollars.
    """

    time: datetime
    cash: Decimal
    positions: Mapping[str, Decimal]
    markets: pl.DataFrame
    quotes: pl.DataFrame
    past: pl.DataFrame
    trades: pl.DataFrame
    results: pl.DataFrame

    def history(self, ticker: str) -> pl.DataFrame:
        """The quotes of one market so far."""
        return self.past.filter(ticker=ticker)

    def buy(
        self,
        ticker: str,
        count: float | str | Decimal,
        *,
        side: Side = "yes",
        limit: float | str | Decimal | None = None,
        reason: str = "",
    ) -> Order:
        """An order to buy; return it. Raises UsageError for a side, count or limit that is none."""
        return order("buy", ticker, count, side=side, limit=limit, reason=reason)

    def sell(
        self,
        ticker: str,
        count: float | str | Decimal,
        *,
        side: Side = "yes",
        limit: float | str | Decimal | None = None,
        reason: str = "",
    ) -> Order:
        """An order to sell what is held; return it. Raises as `buy`."""
        return order("sell", ticker, count, side=side, limit=limit, reason=reason)


def order(action: Literal["buy", "sell"], ticker: str, count: Any, *, side: str, limit: Any, reason: str) -> Order:
    """An order, checked."""
    one_of("side", side, ("yes", "no"))
    wanted = exact(count, "count")
    if wanted <= 0 or wanted != round(wanted, 2):
        raise UsageError(f"count={count} is no number of contracts", hint="Above 0, in hundredths of a contract")
    worst = None if limit is None else exact(limit, "limit")
    if worst is not None and not 0 < worst < 1:
        raise UsageError(f"limit={limit} is no price", hint="Dollars between 0 and 1 of the side that is traded")
    return Order(str(ticker), "yes" if side == "yes" else "no", action, round(wanted, 2), worst, reason)


def exact(value: Any, what: str) -> Decimal:
    """A number as an exact decimal of six places at most."""
    try:
        made = Decimal(str(value))
    except InvalidOperation:
        raise UsageError(f"{what}={str(value)[:40]!r} is no number") from None
    if not made.is_finite():
        raise UsageError(f"{what}={value} is no number")
    return round(made, 6)


class Past:
    """All there is, in the order of time, and cuts of it: a cut holds what had happened by a moment and nothing else."""

    def __init__(
        self, markets: pl.DataFrame, quotes: pl.DataFrame, trades: pl.DataFrame, results: pl.DataFrame
    ) -> None:
        self._frames = {
            name: _sorted(frame) for name, frame in (("past", quotes), ("trades", trades), ("results", results))
        }
        self._times = {name: frame["time"].to_list() for name, frame in self._frames.items()}
        self.markets = markets.sort("open_time", "ticker", nulls_last=False)
        began = [one for one in self.markets["open_time"] if one is not None]
        self._opened = [one or began[0] for one in self.markets["open_time"]] if began else []
        self._rows = list(self._frames["past"].iter_rows())
        self._latest: dict[str, tuple[Any, ...]] = {}
        self._ended: set[str] = set()
        self._at = 0
        self.by_ticker = _by_ticker(self._rows)

    def view(self, time: datetime, cash: Decimal, positions: Mapping[str, Decimal]) -> View:
        """What is known at a moment; moments come in order."""
        cut = {name: frame.head(bisect_right(self._times[name], time)) for name, frame in self._frames.items()}
        self._go_on(cut["past"].height)
        self._ended = set(cut["results"]["ticker"])
        markets = self._listed(time)
        shown = set(markets["ticker"])
        quotes = pl.DataFrame(
            [row for ticker, row in self._latest.items() if ticker in shown], schema=QUOTES, orient="row"
        )
        held = MappingProxyType(dict(positions))
        return View(time, cash, held, markets, quotes, **cut)

    def _go_on(self, until: int) -> None:
        for row in self._rows[self._at : until]:
            self._latest[row[0]] = row
        self._at = until

    def _listed(self, time: datetime) -> pl.DataFrame:
        listed = self.markets.head(bisect_right(self._opened, time))
        return listed.filter(~pl.col("ticker").is_in(list(self._ended)))

    @property
    def moments(self) -> list[datetime]:
        """The moments at which a quote changed."""
        return sorted(set(self._times["past"]))

    @property
    def results(self) -> pl.DataFrame:
        """The results, in the order in which they were paid."""
        return self._frames["results"]

    def quote(self, ticker: str, time: datetime) -> tuple[Any, ...] | None:
        """The last quote of a market at a moment, a row of QUOTES; None where there is none."""
        found = self.by_ticker.get(ticker)
        if found is None:
            return None
        times, rows = found
        place = bisect_right(times, time)
        return rows[place - 1] if place else None


def _by_ticker(rows: Sequence[tuple[Any, ...]]) -> dict[str, tuple[list[datetime], list[tuple[Any, ...]]]]:
    found: dict[str, tuple[list[datetime], list[tuple[Any, ...]]]] = {}
    for row in rows:
        times, kept = found.setdefault(row[0], ([], []))
        times.append(row[1])
        kept.append(row)
    return found


def _sorted(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sort("time", "ticker", maintain_order=True)


def shaped(frame: pl.DataFrame | None, schema: Mapping[str, Any], what: str, needed: Sequence[str]) -> pl.DataFrame:
    """A frame with exactly these columns; what is absent is null, what is more is not taken along.

    Raises UsageError for a missing column that is needed, a time without a zone, and values that do not fit.
    """
    if frame is None:
        return pl.DataFrame(schema=dict(schema))
    absent = [name for name in needed if name not in frame.columns]
    if absent:
        raise UsageError(f"{what} has no column {absent[0]!r}", hint=f"Needed: {', '.join(needed)}")
    for name in schema:
        kind = frame.schema.get(name)
        if schema[name] == TIME and isinstance(kind, pl.Datetime) and kind.time_zone is None:
            raise UsageError(f"{what}: {name} has no time zone", hint='.dt.replace_time_zone("UTC") says which it is')
    try:
        return frame.select(
            pl.col(name).cast(kind) if name in frame.columns else pl.lit(None, kind).alias(name)
            for name, kind in schema.items()
        )
    except pl.exceptions.PolarsError as error:
        raise UsageError(f"{what} cannot be read: {str(error)[:200]}") from None
