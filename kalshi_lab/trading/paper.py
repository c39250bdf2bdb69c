"""The paper account: orders meet the live book, and what becomes of them is kept here; nothing is sent.

An order takes the levels that it meets at its limit, less what the account took of them before and which still stands; what is left rests
and is filled at its limit by later books that cross it and by later trades beyond it. The account's own orders move no book, nobody stands
before them in a queue, and cash, positions and orders last as long as the object.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import uuid4

from kalshi_lab.errors import NotFound, OrderRejected, UsageError
from kalshi_lab.fees import OrderFees
from kalshi_lab.models.order import Order, OrderResult
from kalshi_lab.trading.looks import Looks, Own
from kalshi_lab.trading.situation import ZERO

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from kalshi_lab.fees import Role
    from kalshi_lab.kalshi.orders import NewOrder
    from kalshi_lab.models import Market, Orderbook
    from kalshi_lab.research.backtest.account import Account

ONE = Decimal(1)
ENDED = ("finalized", "settled")


@dataclass(slots=True, eq=False)
class Working:
    """An order of the account: contracts filled and left, and its fees."""

    id: str
    number: int
    asked: NewOrder
    price: Decimal
    left: Decimal
    since: datetime
    fees: OrderFees
    client_order_id: str
    filled: Decimal = ZERO
    status: str = "resting"

    @property
    def buys(self) -> bool:
        """Whether it buys YES."""
        return self.asked.side == "bid"

    @property
    def own_price(self) -> Decimal:
        """Its limit as a price of the side that it buys."""
        return self.price if self.buys else ONE - self.price

    @property
    def record(self) -> Order:
        """The order as the exchange would list it."""
        return Order.model_validate(
            {
                "order_id": self.id, "client_order_id": self.client_order_id, "ticker": self.asked.ticker, "book_side": self.asked.side,
                "status": self.status, "yes_price_dollars": f"{self.price:f}", "no_price_dollars": f"{ONE - self.price:f}",
                "fill_count_fp": f"{self.filled:f}", "remaining_count_fp": f"{self.left:f}", "created_time": self.since.isoformat(),
            }
        )  # fmt: skip


@dataclass(slots=True)
class PaperDesk:
    """Takes orders in the words of `AsyncOrders`, and fills them from what the exchange shows."""

    looks: Looks
    account: Account
    orders: dict[str, Working] = field(default_factory=dict)
    fills: list[dict[str, Any]] = field(default_factory=list)
    _taken: dict[tuple[str, bool, Decimal], Decimal] = field(default_factory=dict)
    _met: set[str] = field(default_factory=set)

    @property
    def resting(self) -> tuple[Working, ...]:
        """The orders that wait."""
        return tuple(one for one in self.orders.values() if one.status == "resting")

    @property
    def bound(self) -> Decimal:
        """Dollars that the resting orders hold back."""
        return sum((one.left * one.own_price for one in self.resting), ZERO)

    async def one(self, order_id: str) -> Order:
        """One order."""
        return self._of(order_id).record

    async def create(self, order: NewOrder, *, again: bool = False) -> OrderResult:  # noqa: ARG002 - the words of AsyncOrders
        """Place an order; OrderRejected where the account has not the cash, or post_only would take."""
        asked, market = order.fields(), await self.looks.markets.one(order.ticker)
        fees = OrderFees(await self.looks.schedule(market))
        number = len(self.orders) + 1
        one = Working(
            str(uuid4()), number, order, asked["price"], self._closing(order, asked["count"]), self.looks.clock.now(), fees,
            str(order.client_order_id),
        )  # fmt: skip
        self._afford(one)
        book = await self.looks.markets.orderbook(order.ticker)
        levels = self._levels(one, book)
        if order.post_only and levels:
            raise OrderRejected("a post_only order would take from the book")
        whole = sum((size for _, size in levels), ZERO) >= one.left
        if order.time_in_force != "fill_or_kill" or whole:
            for price, size in levels:
                self._fill(one, min(size, one.left), price, "taker")
        if one.left and order.time_in_force != "good_till_canceled":
            one.left, one.status = ZERO, "canceled"
        self.orders[one.id] = one
        return _result(one)

    async def create_batch(self, orders: Sequence[NewOrder], *, again: bool = False) -> tuple[OrderResult, ...]:
        """Place several orders, one after the other."""
        return tuple([await self.create(order, again=again) for order in orders])

    async def amend(
        self, order_id: str, *, price: Decimal, count: Decimal, updated_client_order_id: str, **_: Any
    ) -> OrderResult:
        """Change an order; `count` is what is filled plus what is to rest."""
        one = self._of(order_id)
        before = one.price, one.left
        one.price, one.left = price, count - one.filled
        try:
            self._afford(one)
        except OrderRejected:
            one.price, one.left = before
            raise
        one.client_order_id = updated_client_order_id
        for level, size in self._levels(one, await self.looks.markets.orderbook(one.asked.ticker)):
            self._fill(one, min(size, one.left), level, "taker")
        return _result(one)

    async def decrease(self, order_id: str, *, reduce_by: Any = None, reduce_to: Any = None, **_: Any) -> OrderResult:
        """Make an order smaller."""
        one = self._of(order_id)
        left = one.left - Decimal(reduce_by) if reduce_by is not None else Decimal(reduce_to)
        one.left = max(min(left, one.left), ZERO)
        one.status = one.status if one.left else "canceled"
        return _result(one)

    async def cancel(self, order_id: str, **_: Any) -> OrderResult:
        """Cancel an order."""
        one = self._of(order_id)
        reduced, one.left, one.status = one.left, ZERO, "canceled"
        return OrderResult(order_id=one.id, client_order_id=one.client_order_id, reduced_by=reduced)

    async def cancel_batch(self, order_ids: Sequence[str], **_: Any) -> tuple[OrderResult, ...]:
        """Cancel several orders."""
        return tuple([await self.cancel(one) for one in order_ids])

    async def cancel_all(self) -> None:
        """Cancel all resting orders."""
        for one in self.resting:
            await self.cancel(one.id)

    async def look(self) -> None:
        """Bring the account up to now: resting orders meet the book and the trades since, what is over is paid out."""
        now = self.looks.clock.now()
        for ticker in sorted({one.asked.ticker for one in self.resting} | set(self.account.positions)):
            market = await self.looks.markets.one(ticker)
            mine = [one for one in self.resting if one.asked.ticker == ticker]
            if mine:
                await self._meet(mine, now)
            if market.status != "active":
                for one in mine:
                    one.left, one.status = (ZERO, "canceled") if one.left else (one.left, one.status)
            self._pay(market)

    async def _meet(self, mine: list[Working], now: datetime) -> None:
        ticker, since = mine[0].asked.ticker, min(one.since for one in mine)
        trades = [one async for one in self.looks.markets.trades(ticker, since=since)]
        for trade in trades:
            price, left = trade.yes_price, trade.count or ZERO
            if trade.trade_id in self._met or price is None or trade.created_time is None:
                continue
            self._met.add(trade.trade_id)
            for one in mine:
                beyond = price < one.price if one.buys else price > one.price
                if beyond and trade.created_time > one.since and left:
                    left -= self._fill(one, min(left, one.left), one.price, "maker")
        book = await self.looks.markets.orderbook(ticker)
        for one in mine:
            for level, size in self._levels(one, book):
                self._fill(one, min(size, one.left), one.price, "maker", level=level)
            ends = one.asked.expiration_time
            if one.left and ends is not None and ends <= now:  # type: ignore[operator] # the executor made it a time
                one.left, one.status = ZERO, "canceled"

    def _levels(self, one: Working, book: Orderbook) -> list[tuple[Decimal, Decimal]]:
        """What an order meets of a book at its limit, less what the account took of it before and which still stands."""
        ticker = book.ticker
        for lifts, standing in ((True, dict(book.asks)), (False, dict(book.yes_bids))):
            for key in [key for key in self._taken if key[:2] == (ticker, lifts)]:
                self._taken[key] = min(self._taken[key], standing.get(key[2], ZERO))
        facing = book.asks if one.buys else book.yes_bids
        side = [level for level in facing if (level[0] <= one.price if one.buys else level[0] >= one.price)]
        free = [(price, size - self._taken.get((ticker, one.buys, price), ZERO)) for price, size in side]
        return [(price, size) for price, size in free if size > 0]

    def _fill(
        self, one: Working, count: Decimal, price: Decimal, role: Role, *, level: Decimal | None = None
    ) -> Decimal:
        """Fill contracts at a price of YES; how many."""
        if count <= 0:
            return ZERO
        now, ticker = self.looks.clock.now(), one.asked.ticker
        own = price if one.buys else ONE - price
        fee = one.fees.add(own, count, role=role, at=now).net
        cash = self.account.trade(ticker, count if one.buys else -count, price, fee)
        one.left, one.filled = one.left - count, one.filled + count
        one.status = one.status if one.left else "executed"
        if role == "taker" or level is not None:
            key = (ticker, one.buys, price if level is None else level)
            self._taken[key] = self._taken.get(key, ZERO) + count
        self.fills.append(
            {"time": now, "order_id": one.id, "ticker": ticker, "side": "yes" if one.buys else "no", "count": count, "price": own,
             "fee": fee, "cash": cash, "is_taker": role == "taker"}
        )  # fmt: skip
        return count

    def _afford(self, one: Working) -> None:
        held = self.account.count(one.asked.ticker)
        closes = min(one.left, max(-held if one.buys else held, ZERO))
        twin = (
            OrderFees(one.fees.schedule).add(one.own_price, one.left, at=self.looks.clock.now()).net
            if one.left
            else ZERO
        )
        others = sum((other.left * other.own_price for other in self.resting if other is not one), ZERO)
        needed = (one.left - closes) * one.own_price + twin
        free = self.account.cash - others + closes * (ONE - one.own_price)
        if needed > free:
            raise OrderRejected(f"the paper account has {free:f} dollars free, and the order needs {needed:f}")

    def _closing(self, order: NewOrder, count: Decimal) -> Decimal:
        """The contracts of an order: of one that may only close what is held no more than that."""
        held = self.account.count(order.ticker)
        return min(count, max(-held if order.side == "bid" else held, ZERO)) if order.reduce_only else count

    def _pay(self, market: Market) -> None:
        value = market.settlement_value
        if value is None and market.result in {"yes", "no"}:
            value = ONE if market.result == "yes" else ZERO
        if market.status in ENDED and value is not None:
            self.account.settle(market.ticker, value)

    def _of(self, order_id: str) -> Working:
        one = self.orders.get(order_id)
        if one is None or one.status != "resting":
            raise NotFound(f"the paper account has no resting order {order_id}")
        return one


class NoGroups:
    """A paper account has no order groups."""

    def __getattr__(self, name: str) -> NoReturn:
        raise UsageError("a paper account has no order groups")


class PaperLooks(Looks):
    """What the exchange shows of its markets, and the paper account's own positions and orders."""

    def on(self, desk: PaperDesk) -> PaperLooks:
        """The looks of one desk."""
        self.desk = desk
        self.orders = desk  # type: ignore[assignment] # in the same words
        return self

    async def own(self, _subaccount: int | None, _day: datetime, _missing: dict[str, str]) -> Own:
        """The paper account's positions, orders and worth: cash, and positions at the best bid, or at cost where nothing is bid."""
        desk, worth = self.desk, self.desk.account.cash
        for ticker, count in desk.account.positions.items():
            book = await self.markets.orderbook(ticker)
            bids = book.yes_bids if count > 0 else book.no_bids
            worth += abs(count) * bids[0][0] if bids else desk.account.stake(ticker)
        return Own(dict(desk.account.positions), tuple(one.record for one in desk.resting), worth, self.clock.now())


def _result(one: Working) -> OrderResult:
    left = one.left if one.status == "resting" else ZERO
    return OrderResult(
        order_id=one.id, client_order_id=one.client_order_id, fill_count=one.filled, remaining_count=left
    )
