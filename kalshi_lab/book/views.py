"""What a book says: quotes, depth and costs, for YES and for NO, exact.

The exchange publishes bids only. A bid for NO at q is an offer of YES at 1 - q, and the other way round, so that the asks of one side
are the complements of the other side's bids. Unknown is None; zero is a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Literal, NamedTuple

from kalshi_lab import markup
from kalshi_lab.book import wire
from kalshi_lab.errors import UsageError, one_of
from kalshi_lab.models import Orderbook, quote
from kalshi_lab.models.fields import milliseconds
from kalshi_lab.models.orderbook import taken

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl

    from kalshi_lab.models.orderbook import Level

Side = Literal["yes", "no"]
Action = Literal["buy", "sell"]
_DOLLARS, _CONTRACTS, _ONE = wire.DOLLARS, wire.CONTRACTS, wire.ONE_DOLLAR
_SHOWN = 10
_MOST = 10**12  # contracts; above it decimal arithmetic could round


class Depth(NamedTuple):
    """Contracts that rest on each side of a quote."""

    bid: Decimal
    ask: Decimal


@dataclass(frozen=True, slots=True)
class FillCost:
    """What an order that takes from the book at once would get, before fees.

    `contracts` asked for, `filled` and `unfilled` (contracts), `cost` (dollars paid for a buy, received for a sale), `best`, `average`
    and `worst` price (dollars a contract; None where nothing fills), `levels` touched.
    """

    side: str
    action: str
    contracts: Decimal
    filled: Decimal
    cost: Decimal
    best: Decimal | None
    worst: Decimal | None
    levels: int

    @property
    def unfilled(self) -> Decimal:
        """Contracts that the book does not hold."""
        return self.contracts - self.filled

    @property
    def average(self) -> Decimal | None:
        """Cost over contracts filled, in dollars; None where nothing fills."""
        return self.cost / self.filled if self.filled else None

    @property
    def slippage(self) -> Decimal | None:
        """By how much the average is worse than the best price, in dollars a contract, never negative; None where nothing fills."""
        return None if self.average is None or self.best is None else abs(self.average - self.best)


class Views:  # noqa: PLW1641 - levels change, so that a book has no hash
    """The readings of a book whose levels are kept as whole numbers (see `wire`)."""

    __slots__ = ("_ask", "_ask_of", "_bid", "_bid_of")

    ticker: str
    stale: bool
    stale_reason: str
    _yes: dict[int, int]
    _no: dict[int, int]
    _yes_prices: list[int]
    _no_prices: list[int]
    _at: int | None
    _bid: Level | None  # the best quotes as last read, and the whole numbers that they were made of
    _ask: Level | None
    _bid_of: tuple[int, int] | None
    _ask_of: tuple[int, int] | None

    @property
    def updated_at(self) -> datetime | None:
        """The exchange's time (UTC) of the last change or snapshot; None where that frame carried none."""
        try:
            return None if self._at is None else milliseconds(self._at)
        except ValueError:
            return None

    def bids(self, side: Side = "yes") -> tuple[Level, ...]:
        """Bids for `side` ("yes" or "no") as (price in dollars, size in contracts), best (highest) first."""
        levels, prices = self._resting(side)
        return tuple((_DOLLARS[price], _CONTRACTS[levels[price]]) for price in reversed(prices))

    def asks(self, side: Side = "yes") -> tuple[Level, ...]:
        """Offers of `side` as (price in dollars, size in contracts), best (lowest) first: the other side's bids at 1 - price."""
        levels, prices = self._opposing(side)
        return tuple((_DOLLARS[_ONE - price], _CONTRACTS[levels[price]]) for price in reversed(prices))

    def best_bid(self, side: Side = "yes") -> Level | None:
        """The highest bid for `side` as (price in dollars, size in contracts); None where there is none."""
        if side != "yes":
            return _best(*self._resting(side), ask=False)
        prices = self._yes_prices
        if not prices:
            return None
        price = prices[-1]
        size = self._yes[price]
        if (price, size) != self._bid_of:  # most changes are not at the best level
            self._bid_of, self._bid = (price, size), _best(self._yes, prices, ask=False)
        return self._bid

    def best_ask(self, side: Side = "yes") -> Level | None:
        """The lowest offer of `side` as (price in dollars, size in contracts); None where there is none."""
        if side != "yes":
            return _best(*self._opposing(side), ask=True)
        prices = self._no_prices
        if not prices:
            return None
        price = prices[-1]
        size = self._no[price]
        if (price, size) != self._ask_of:
            self._ask_of, self._ask = (price, size), _best(self._no, prices, ask=True)
        return self._ask

    @property
    def yes_bid(self) -> Decimal | None:
        """Best YES bid in dollars; None where there is none."""
        return _DOLLARS[self._yes_prices[-1]] if self._yes_prices else None

    @property
    def yes_ask(self) -> Decimal | None:
        """Best YES ask in dollars; None where there is none."""
        return _DOLLARS[_ONE - self._no_prices[-1]] if self._no_prices else None

    @property
    def mid(self) -> Decimal | None:
        """Middle of the YES quote in dollars; None unless both sides are quoted inside (0, 1) and the bid is below the ask."""
        return quote.mid(self.yes_bid, self.yes_ask)

    @property
    def spread(self) -> Decimal | None:
        """Best YES ask minus best YES bid in dollars, zero or below while the book is crossed; None where a side is empty."""
        return None if self.yes_bid is None or self.yes_ask is None else self.yes_ask - self.yes_bid

    @property
    def microprice(self) -> Decimal | None:
        """The YES quote weighted by the opposite sizes: (bid x ask size + ask x bid size) / (bid size + ask size), in dollars.

        It leans to the side that is about to give way. None where `mid` is None.
        """
        bid, ask = self.best_bid(), self.best_ask()
        if self.mid is None or bid is None or ask is None:
            return None
        return (bid[0] * ask[1] + ask[0] * bid[1]) / (bid[1] + ask[1])

    @property
    def crossed(self) -> bool:
        """Whether best YES bid plus best NO bid reach one dollar, which happens for a moment between two deltas of a trade."""
        yes, no = self._yes_prices, self._no_prices
        return bool(yes and no) and yes[-1] + no[-1] >= _ONE

    def depth_within(self, distance: Decimal | str | float, side: Side = "yes") -> Depth | None:
        """Contracts bid for `side` at mid - distance or better and offered at mid + distance or better; None where `mid` is None.

        `distance` is in dollars, zero or more; UsageError otherwise.
        """
        reach, middle = _number("distance", distance), self.mid
        if reach < 0:
            raise UsageError(f"a distance of {distance!r} dollars", hint="Pass zero or more, such as 0.05")
        if middle is None:
            _side(side)
            return None
        middle = middle if _side(side) == "yes" else 1 - middle
        bid = sum((size for price, size in self.bids(side) if price >= middle - reach), Decimal("0.00"))
        ask = sum((size for price, size in self.asks(side) if price <= middle + reach), Decimal("0.00"))
        return Depth(bid, ask)

    def imbalance(self, distance: Decimal | str | float | None = None) -> Decimal | None:
        """(bid - ask) / (bid + ask) in contracts of the YES book, from -1 (all offers) to 1 (all bids).

        Of the whole book, or of what lies within `distance` dollars of the mid. None where there is nothing to weigh.
        """
        whole = Depth(_CONTRACTS[sum(self._yes.values())], _CONTRACTS[sum(self._no.values())])
        depth = whole if distance is None else self.depth_within(distance)
        total = depth.bid + depth.ask if depth else 0
        return (depth.bid - depth.ask) / total if depth and total else None

    def cost_to_fill(self, contracts: Decimal | str | float, side: Side = "yes", action: Action = "buy") -> FillCost:
        """What buying or selling that many contracts of `side` at once would cost, level by level, before fees.

        A buy takes the asks, a sale the bids, best first. What the book does not hold is left in `unfilled`. These are the sums alone,
        quick enough for every change of a live book; `kl.slippage` shows the levels, nets the fees and refuses a stale book. UsageError
        where `contracts` is not above zero or has more than 2 decimals.
        """
        asked = _number("contracts", contracts)
        if not 0 < asked <= _MOST or asked * 100 % 1:
            raise UsageError(f"an order of {contracts!r} contracts", hint="Pass 0.01 or more, with at most 2 decimals")
        _side(side)
        buys = one_of("action", action, ("buy", "sell")) == "buy"
        fills = taken(self.asks(side) if buys else self.bids(side), asked)
        filled, cost = (
            sum((size for _, size in fills), Decimal(0)),
            sum((price * size for price, size in fills), Decimal(0)),
        )
        best, worst = (fills[0][0], fills[-1][0]) if fills else (None, None)
        return FillCost(side, action, asked, filled, cost, best, worst, len(fills))

    def orderbook(self) -> Orderbook:
        """The levels of this moment as an immutable `Orderbook`."""
        return Orderbook(self.ticker, self.bids("yes"), self.bids("no"))

    def frame(self, *, exact: bool = False) -> pl.DataFrame:
        """The YES book as a frame, each side best first, like `Orderbook.frame`.

        Columns: ticker String, side String (bid, ask), price Float64 dollars, size Float64 contracts; `exact=True` gives
        Decimal(9, 6) and Decimal(18, 2).
        """
        return self.orderbook().frame(exact=exact)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Orderbook):
            return self.orderbook() == other
        if isinstance(other, Views):
            return (self.ticker, self._yes, self._no) == (other.ticker, other._yes, other._no)
        return NotImplemented

    def __repr__(self) -> str:
        said = f" STALE ({self.stale_reason})" if self.stale else ""
        return f"<OrderBook {self.ticker} bid {self.yes_bid} ask {self.yes_ask}, {len(self._yes)}+{len(self._no)} levels{said}>"

    def _repr_html_(self) -> str:
        facts = {"mid": self.mid, "spread": self.spread, "as of": self.updated_at}
        warning = markup.warning(f"Stale: {self.stale_reason}. These levels may be out of date.") if self.stale else ""
        shown = {name: fact for name, fact in facts.items() if fact is not None}
        ladder = markup.ladder(self.bids()[:_SHOWN], self.asks()[:_SHOWN])
        return markup.card(self.ticker, shown, warning, ladder)

    def _resting(self, side: str) -> tuple[dict[int, int], list[int]]:
        return (self._yes, self._yes_prices) if _side(side) == "yes" else (self._no, self._no_prices)

    def _opposing(self, side: str) -> tuple[dict[int, int], list[int]]:
        return (self._no, self._no_prices) if _side(side) == "yes" else (self._yes, self._yes_prices)


def _best(levels: dict[int, int], prices: list[int], *, ask: bool) -> Level | None:
    """The best of one side's bids, or the offer that it makes of the other."""
    if not prices:
        return None
    price = prices[-1]
    return _DOLLARS[_ONE - price if ask else price], _CONTRACTS[levels[price]]


def _side(side: str) -> str:
    return one_of("side", side, ("yes", "no"))


def _number(what: str, value: object) -> Decimal:
    """A number that a person wrote; a float counts as the digits that it shows."""
    readable = isinstance(value, str | int | float | Decimal) and not isinstance(value, bool)
    try:
        number = Decimal(str(value) if readable else "NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise UsageError(f"{what} is no number: {value!r}", hint="Pass a Decimal, text or a number")
    return number
