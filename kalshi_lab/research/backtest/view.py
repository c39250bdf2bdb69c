"""What a strategy sees: the world as it was known at a moment, cut before it is handed over, so that there is nothing else to look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from kalshi_lab.clock import span
from kalshi_lab.errors import UsageError, one_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from kalshi_lab.models import Orderbook

Side = Literal["yes", "no"]
Action = Literal["buy", "sell"]
Amount = float | str | Decimal
Until = datetime | timedelta | str


@dataclass(frozen=True, slots=True)
class Order:
    """What a strategy wants: so many contracts of a side of a market, at `limit` dollars at worst (None: at whatever is offered).

    action: buy, or sell (what is held; more than that is not sold). rests: what is not had at once waits at the limit, until a time
    where one is given. `view.buy` and `view.sell` make them.
    """

    ticker: str
    side: Side
    action: Action
    count: Decimal
    limit: Decimal | None = None
    reason: str = ""
    rests: bool = False
    until: datetime | None = None

    @property
    def lifts(self) -> bool:
        """Whether it meets the asks of the YES book, as buying YES and selling NO do; it rests among the bids then."""
        return (self.side == "yes") == (self.action == "buy")

    def priced(self, yes_price: Decimal) -> Decimal:
        """A price of YES as one of the side that is traded, and the other way round."""
        return yes_price if self.side == "yes" else 1 - yes_price


@dataclass(frozen=True, slots=True)
class Resting:
    """An order of yours that waits: `left` contracts of it, since when, and the number that `view.cancel` takes it back by."""

    order: Order
    left: Decimal
    since: datetime
    number: int

    @property
    def ticker(self) -> str:
        """Its market."""
        return self.order.ticker


@dataclass(frozen=True, slots=True)
class Cancel:
    """What a strategy gives back to take a resting order out of the market; `view.cancel` makes it."""

    number: int


@dataclass(frozen=True, slots=True)
class View:
    """The world at `time`, as it was known then: prices Float64 dollars of YES, sizes contracts, times UTC.

    markets: those that had opened and were not known to have ended, with the terms that do not change (ticker, event_ticker,
    series_ticker, title, yes_sub_title, open_time, strike_type, floor_strike, cap_strike, rules_primary). quotes: the last quote of each
    (ticker, time, yes_bid, yes_bid_size, yes_ask, yes_ask_size; null where there was none). past: every quote so far. trades: every trade
    so far (ticker, time, yes_price, count, taker_side). results: what had been paid out (ticker, time, result, value). positions: your own
    contracts by ticker, negative for NO. cash: dollars that no resting order binds. books: the order book (`Orderbook`) of each of these
    markets whose book was recorded then without a gap. resting: your orders that wait.
    """

    time: datetime
    cash: Decimal
    positions: Mapping[str, Decimal]
    markets: pl.DataFrame
    quotes: pl.DataFrame
    past: pl.DataFrame
    trades: pl.DataFrame
    results: pl.DataFrame
    books: Mapping[str, Orderbook] = field(default_factory=lambda: MappingProxyType({}))
    resting: tuple[Resting, ...] = ()

    def history(self, ticker: str) -> pl.DataFrame:
        """The quotes of one market so far, oldest first, with the columns of `past` (Float64 dollars and contracts, times in UTC)."""
        return self.past.filter(ticker=ticker)

    def buy(
        self,
        ticker: str,
        count: Amount,
        *,
        side: Side = "yes",
        limit: Amount | None = None,
        reason: str = "",
        rests: bool = False,
        until: Until | None = None,
    ) -> Order:
        """An order to buy; return it. With `rests` what is not had at once waits at its limit, until it is cancelled or a time ("2h").

        Raises UsageError for a side, count or limit that is none, for an order that rests without a limit, and for a time that has passed.
        """
        ends = _ends(self.time, until, rests=rests)
        return order("buy", ticker, count, side=side, limit=limit, reason=reason, rests=rests, until=ends)

    def sell(
        self,
        ticker: str,
        count: Amount,
        *,
        side: Side = "yes",
        limit: Amount | None = None,
        reason: str = "",
        rests: bool = False,
        until: Until | None = None,
    ) -> Order:
        """An order to sell what is held; return it. Rests and raises as `buy`."""
        ends = _ends(self.time, until, rests=rests)
        return order("sell", ticker, count, side=side, limit=limit, reason=reason, rests=rests, until=ends)

    def cancel(self, one: Resting) -> Cancel:
        """Take an order of `resting` out of the market; return it. It takes as long as an order does to arrive."""
        return Cancel(one.number)


def _ends(now: datetime, until: Until | None, *, rests: bool) -> datetime | None:
    if until is None:
        return None
    if not rests:
        raise UsageError("until= is for orders that rest", hint="rests=True makes it one")
    if isinstance(until, datetime) and until.tzinfo is None:
        raise UsageError("until= has no time zone", hint='A span like "2h" counts from the view\'s time')
    ends = until if isinstance(until, datetime) else now + span(until, what="until")
    if ends <= now:
        raise UsageError(f"until={until} has passed at {now}")
    return ends


def order(
    action: Action,
    ticker: str,
    count: Any,
    *,
    side: str,
    limit: Any,
    reason: str,
    rests: bool = False,
    until: datetime | None = None,
) -> Order:
    """An order, checked."""
    one_of("side", side, ("yes", "no"))
    wanted = exact(count, "count")
    if wanted <= 0 or wanted != round(wanted, 2):
        raise UsageError(f"count={count} is no number of contracts", hint="Above 0, in hundredths of a contract")
    worst = None if limit is None else exact(limit, "limit")
    if worst is not None and not 0 < worst < 1:
        raise UsageError(f"limit={limit} is no price", hint="Dollars between 0 and 1 of the side that is traded")
    if rests and worst is None:
        raise UsageError("an order that rests needs a limit", hint="limit= is the price at which it waits")
    own: Side = "yes" if side == "yes" else "no"
    return Order(str(ticker), own, action, round(wanted, 2), worst, reason, rests, until)


def exact(value: Any, what: str) -> Decimal:
    """A number as an exact decimal of six places at most."""
    try:
        made = Decimal(str(value))
    except InvalidOperation:
        raise UsageError(f"{what}={str(value)[:40]!r} is no number") from None
    if not made.is_finite():
        raise UsageError(f"{what}={value} is no number")
    return round(made, 6)
