"""How orders are filled: limits, latency, and what the exchange charges for each fill."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl

from kalshi_lab.errors import UsageError
from kalshi_lab.fees import FeeSchedule, OrderFees
from kalshi_lab.grid import Grid
from kalshi_lab.research.backtest.past import shaped

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from kalshi_lab.fees import Role
    from kalshi_lab.research.backtest.view import Order

ZERO = Decimal(0)
CENTS: Final = Grid([{"start": "0", "end": "1", "step": "0.01"}])
CLOSES: Final[dict[str, Any]] = {
    "ticker": pl.String,
    "time": pl.Datetime("us", "UTC"),
    "close_time": pl.Datetime("us", "UTC"),
}
Terms = FeeSchedule | tuple[str, Any]
Fees = Terms | Mapping[str, Terms] | Callable[..., Decimal]


@dataclass(frozen=True, slots=True)
class Rules:
    """How orders are filled: dollars at the start, how much later than the decision, contracts where nobody says how many, and limits.

    `available` contracts are taken to be offered where a quote has no size. A market's position never grows beyond `max_position`
    contracts, nor what is staked on it beyond `max_stake` dollars (None: no limit); what rests counts as if it were filled.
    """

    capital: Decimal
    latency: timedelta
    available: Decimal
    max_position: Decimal | None
    max_stake: Decimal | None
    charge: Callable[[Order], Charge]


class Charge:
    """The fees of one order, fill by fill, as `fees.OrderFees` adds them up; or what a function of yours says of each fill."""

    def __init__(self, order: Order, fees: OrderFees | Callable[..., Decimal] | None) -> None:
        self._ticker, self.fees = order.ticker, fees

    def add(self, price: Decimal, count: Decimal, role: Role, at: datetime) -> Decimal:
        """The fee of the next fill, at a price of the side that is traded."""
        if self.fees is None or count <= 0:
            return ZERO
        if isinstance(self.fees, OrderFees):
            return self.fees.add(price, count, role=role, at=at).net
        return self.fees(self._ticker, price, count, at, role)

    def expected(self, price: Decimal, count: Decimal, role: Role, at: datetime) -> Decimal:
        """The same without keeping it."""
        twin = copy(self)
        twin.fees = copy(self.fees)
        return twin.add(price, count, role, at)


def charges(given: Fees | None) -> Callable[[Order], Charge]:
    """What each order is charged: by one schedule, by a schedule for each market, by a function, or nothing."""
    if given is None:
        return lambda order: Charge(order, None)
    if isinstance(given, Mapping):
        terms = {one: _schedule(one) for one in set(given.values())}
        by_ticker = {ticker: terms[one] for ticker, one in given.items()}
        return lambda order: Charge(order, OrderFees(_of(by_ticker, order.ticker), action=order.action))
    if isinstance(given, FeeSchedule | tuple):
        schedule = _schedule(given)
        return lambda order: Charge(order, OrderFees(schedule, action=order.action))
    function = _with_role(given)
    return lambda order: Charge(order, function)


def _schedule(terms: Terms) -> FeeSchedule:
    return terms if isinstance(terms, FeeSchedule) else FeeSchedule.of(terms)


def _of(schedules: Mapping[str, FeeSchedule], ticker: str) -> FeeSchedule:
    if ticker not in schedules:
        raise UsageError(f"fees says nothing of {ticker}", hint="A mapping names every market that is traded")
    return schedules[ticker]


def _with_role(function: Callable[..., Decimal]) -> Callable[..., Decimal]:
    """A function that is asked with the role last; where it has no parameter of that name, makers pay what takers pay."""
    if "role" in inspect.signature(function).parameters:
        return lambda ticker, price, count, at, role: function(ticker, price, count, at, role=role)
    return lambda ticker, price, count, at, _role: function(ticker, price, count, at)


@dataclass(frozen=True, slots=True)
class Ends:
    """What no view shows of markets, since it may change: when trading ended, and the prices that are on their grids."""

    closes: dict[str, datetime]
    grids: dict[str, Grid]

    def grid(self, ticker: str) -> Grid:
        """The prices of a market; whole cents where they are not known."""
        return self.grids.get(ticker, CENTS)

    @classmethod
    def of(cls, results: pl.DataFrame, markets: pl.DataFrame | None) -> Ends:
        """From the frames that were given."""
        ended = shaped(results, CLOSES, "results", ("ticker", "time"))
        closes = dict(ended.select("ticker", pl.min_horizontal("time", "close_time")).iter_rows())
        if markets is None or "price_ranges" not in markets.columns:
            return cls(closes, {})
        bands = markets.select("ticker", "price_ranges").drop_nulls().iter_rows()
        return cls(closes, {ticker: _grid(said) for ticker, said in bands if said not in ("", "null", "[]")})


def _grid(said: Any) -> Grid:
    return Grid(msgspec.json.decode(said) if isinstance(said, str) else said)
