"""What taking from a book costs, level by level, exact and net of fees; and how much can be taken before it costs too much.

A book holds bids alone; a bid for NO at q is an offer of YES at 1 - q, so that a buyer of one side takes the other side's bids.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import polars as pl

from kalshi_lab import money
from kalshi_lab.analysis.base import Basis, Result
from kalshi_lab.errors import OrderRejected, UsageError, one_of
from kalshi_lab.fees import OrderFees
from kalshi_lab.models import Orderbook
from kalshi_lab.models.orderbook import taken

if TYPE_CHECKING:
    from kalshi_lab.book import OrderBook
    from kalshi_lab.fees import FeeSchedule, When
    from kalshi_lab.models import Event, Series
    from kalshi_lab.models.orderbook import Level

    Schedule = Series | Event | FeeSchedule | tuple[str, Any]

Side = Literal["yes", "no"]
Action = Literal["buy", "sell"]
Amount = Decimal | str | float
HUNDREDTH, ZERO = Decimal("0.01"), Decimal(0)
_MOST = 10**12  # contracts; above it decimal arithmetic could round
SCHEMA = pl.Schema(
    {
        "price": pl.Decimal(9, 6), "contracts": pl.Decimal(18, 2), "filled": pl.Decimal(18, 2), "cost": pl.Decimal(18, 6),
        "fee": pl.Decimal(18, 6), "average": pl.Float64(),
    }
)  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Slippage(Result):
    """What an order that takes at once would get: a row for each level that it touches.

    Columns: price Decimal dollars a contract of the side, contracts taken there, filled so far, cost so far (dollars paid by a buyer,
    received by a seller, before fees), fee of the fill there, average price so far Float64. `fees` are the dollars charged for all
    fills, None where no schedule was given; `safe` tells that the order was sized by `safe_size`.
    """

    chart: ClassVar[str] = "slippage"
    ticker: str
    side: str
    action: str
    contracts: Decimal
    filled: Decimal
    cost: Decimal
    fees: Decimal | None
    best: Decimal | None
    worst: Decimal | None
    safe: bool = False

    @property
    def levels(self) -> int:
        """How many levels of the book it touches."""
        return self.table.height

    @property
    def unfilled(self) -> Decimal:
        """Contracts that the book does not hold."""
        return self.contracts - self.filled

    @property
    def fillable(self) -> bool:
        """Whether the book holds all of it."""
        return self.filled == self.contracts > 0

    @property
    def average(self) -> Decimal | None:
        """Cost over contracts filled, dollars; None where nothing fills."""
        return self.cost / self.filled if self.filled else None

    @property
    def slippage(self) -> Decimal | None:
        """By how many dollars a contract the average is worse than the best price; None where nothing fills."""
        return None if self.average is None or self.best is None else abs(self.average - self.best)

    @property
    def share(self) -> Decimal | None:
        """The same as a share of the best price."""
        return self.slippage / self.best if self.slippage is not None and self.best else None

    @property
    def total(self) -> Decimal | None:
        """Dollars paid by a buyer or received by a seller, fees included; None where nothing fills or the fees are not known."""
        if self.fees is None or not self.filled:
            return None
        return self.cost + self.fees if self.action == "buy" else self.cost - self.fees

    @property
    def conclusion(self) -> str:
        """What it comes to, in words."""
        if self.best is None or self.average is None:
            held = "is safe within these limits" if self.safe and self.contracts == 0 else "can be filled"
            return f"nothing {held}"
        fees = "fees not known" if self.fees is None else f"fees {self.fees:f} dollars"
        said = f"{self.filled:f} contracts at {_short(self.average)} on average, {_short(self.best)} to {self.worst:f}"
        rest = f", {self.unfilled:f} not filled" if self.unfilled else ""
        return f"{said} over {self.levels} level{'' if self.levels == 1 else 's'}, {fees}{rest}"


def slippage(
    book: OrderBook | Orderbook,
    contracts: Amount,
    *,
    side: Side = "yes",
    action: Action = "buy",
    fees: Schedule | None = None,
    limit: Amount | None = None,
    at: When | None = None,
) -> Slippage:
    """What buying or selling that many contracts of `side` at once would cost, by walking the book, exact.

    `fees` is what `kl.fee` takes as its schedule (a series, or a pair like ("quadratic", 1)), with `at` the time of the fills: each
    level is a fill of one order. `limit` is the slippage in dollars a contract (average against best) that is borne: OrderRejected, and
    nothing has been sent, where the order would slip more or the book does not hold all of it. An empty side fills nothing: prices are
    None then, never zero. UsageError for contracts that are not above zero or have more than 2 decimals, and for a stale book.
    """
    levels = _levels(book, side, action)
    asked = _contracts(contracts)
    most = None if limit is None else _dollars("limit", limit)
    walked = _walked(book.ticker, levels, asked, side=side, action=action, schedule=fees, at=at)
    if most is not None and (not walked.fillable or (walked.slippage or ZERO) > most):
        raise OrderRejected(
            f"{action} {asked:f} {side} of {book.ticker} is beyond the limit of {most:f} dollars: {walked.conclusion}",
            hint="Nothing was sent. Ask for less (kl.safe_size says how much), or raise the limit",
        )
    return walked


def safe_size(
    book: OrderBook | Orderbook,
    *,
    side: Side = "yes",
    action: Action = "buy",
    average: Amount | None = "0.03",
    marginal: Amount | None = "0.03",
    fees: Schedule | None = None,
    at: When | None = None,
) -> Slippage:
    """The largest order that is safe: neither its average nor its last contract costs more than so much above the first one.

    `average` and `marginal` are dollars a contract against the best level, None for no such limit (not both). An average alone hides
    what the last contracts cost. With `fees` both limits are on prices net of the formula's fee, which is exact and unrounded; what a
    real order's rounding adds is in `.fees`. An empty side is safe for nothing. Raises UsageError without a limit and for an unknown side.
    """
    mean, last = (None if limit is None else _dollars("limit", limit) for limit in (average, marginal))
    if mean is None and last is None:
        raise UsageError("a safe size needs a limit", hint="Give average=, marginal=, or both, in dollars a contract")
    levels = _levels(book, side, action)
    sign = 1 if one_of("action", action, ("buy", "sell")) == "buy" else -1
    dear = [sign * price + (_formula(price, fees, action, at) if fees else ZERO) for price, _ in levels]
    safe, worse = ZERO, ZERO  # contracts, and the dollars above the first contract's price that they cost together
    for (_, size), price in zip(levels, dear, strict=True):
        above = price - dear[0]
        if last is not None and above > last:
            break
        taken = size
        if mean is not None and above > mean:
            room = (mean * safe - worse) / (above - mean)
            taken = min(size, room.quantize(HUNDREDTH, rounding=ROUND_FLOOR))
        safe, worse = safe + taken, worse + taken * above
        if taken < size:
            break
    return _walked(book.ticker, levels, safe, side=side, action=action, schedule=fees, at=at, safe=True)


def levels_of(book: OrderBook | Orderbook, side: str = "yes") -> tuple[tuple[Level, ...], tuple[Level, ...]]:
    """Bids and asks of one side, best first, as (price in dollars, size in contracts); UsageError for a stale book."""
    if not isinstance(book, Orderbook) and not hasattr(book, "orderbook"):
        raise UsageError(f"{type(book).__name__} is no order book", hint="lab.orderbook(ticker) gives one")
    if getattr(book, "stale", False):
        why = getattr(book, "stale_reason", "") or "its levels may be out of date"
        raise UsageError(f"the book of {book.ticker} is stale: {why}", hint="Wait for a snapshot, or ask anew")
    plain = book if isinstance(book, Orderbook) else book.orderbook()
    own, other = (plain.yes_bids, plain.no_bids) if side == "yes" else (plain.no_bids, plain.yes_bids)
    return tuple(own), tuple((1 - price, size) for price, size in other)


def _levels(book: OrderBook | Orderbook, side: str, action: str) -> tuple[Level, ...]:
    one_of("side", side, ("yes", "no"))
    bids, asks = levels_of(book, side)
    return asks if one_of("action", action, ("buy", "sell")) == "buy" else bids


def _walked(
    ticker: str,
    levels: tuple[Level, ...],
    asked: Decimal,
    *,
    side: str,
    action: Action,
    schedule: Schedule | None,
    at: When | None,
    safe: bool = False,
) -> Slippage:
    order = OrderFees(schedule, action=action) if schedule is not None else None
    filled, cost, rows = ZERO, ZERO, []
    for price, size in taken(levels, asked):
        filled, cost = filled + size, cost + size * price
        fee = order.add(price, size, at=at).net if order and 0 < price < 1 else None
        rows.append((price, size, filled, cost, fee, float(cost / filled)))
    horizon = "the book as it stands" if at is None else f"the book as it stands, fees as of {at}"
    words = "net of fees" if order else "before fees"
    return Slippage(
        table=pl.DataFrame(rows, schema=SCHEMA, orient="row"),
        basis=Basis(len(rows), "level", f"by contracts, {words}", horizon, "none, exact"),
        ticker=ticker, side=side, action=action, contracts=asked, filled=filled, cost=cost, safe=safe,
        fees=order.net if order else None, best=levels[0][0] if levels else None, worst=rows[-1][0] if rows else None,
    )  # fmt: skip


def _formula(price: Decimal, schedule: Schedule, action: Action, at: When | None) -> Decimal:
    """The fee of a contract before any rounding."""
    return OrderFees(schedule, action=action).add(price, 1, at=at).model if 0 < price < 1 else ZERO


def _contracts(value: Amount) -> Decimal:
    try:
        asked = money.contracts(str(value) if isinstance(value, float) else value)
    except ValueError:
        asked = ZERO
    if isinstance(value, bool) or not 0 < asked <= _MOST:
        raise UsageError(f"an order of {value!r} contracts", hint="Pass 0.01 or more, with at most 2 decimals")
    return asked


def _dollars(what: str, value: Amount) -> Decimal:
    try:
        found = money.dollars(str(value) if isinstance(value, float) else value)
    except ValueError:
        found = Decimal(-1)
    if isinstance(value, bool) or found < 0:
        raise UsageError(f"{what} {value!r} is no amount in dollars", hint='Three cents are "0.03"')
    return found


def _short(value: Decimal) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")
