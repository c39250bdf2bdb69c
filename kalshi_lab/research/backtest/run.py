"""The run: moment by moment a strategy sees a view, its orders take what was offered or wait for trades, and results are paid."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from kalshi_lab.errors import UsageError
from kalshi_lab.models.quote import is_priced
from kalshi_lab.research.backtest.account import ONE, ZERO, Account
from kalshi_lab.research.backtest.offers import Offers
from kalshi_lab.research.backtest.resting import Waiting, Working, meet
from kalshi_lab.research.backtest.view import Cancel, Order, View, exact

if TYPE_CHECKING:
    from kalshi_lab.fees import Role
    from kalshi_lab.research.backtest.offers import Offer
    from kalshi_lab.research.backtest.past import Past
    from kalshi_lab.research.backtest.rules import Ends, Rules

Strategy = Callable[[View], Iterable[Order | Cancel] | None]
Due = tuple[datetime, int, int, Callable[[datetime], None]]

CENT: Final = Decimal("0.01")
RESULT, END, TRADE, ARRIVAL = range(4)  # what comes first of what happens at one time


@dataclass(slots=True)
class Run:
    """One run on its way: what is known, the account, what waits, what is due, and what is written down of it."""

    past: Past
    rules: Rules
    ends: Ends
    account: Account = field(init=False)
    offers: Offers = field(init=False)
    waiting: Waiting = field(default_factory=Waiting)
    trades: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    rested: list[dict[str, Any]] = field(default_factory=list)
    equity: list[dict[str, Any]] = field(default_factory=list)
    paid: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    _due: list[Due] = field(default_factory=list)
    _number: int = 0
    _orders: int = 0
    _changed: bool = False
    _walked: set[str] = field(default_factory=set)
    _events: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.account = Account(self.rules.capital)
        self.offers = Offers(self.past, self.rules.available)
        self._events = dict(
            self.past.markets.select("ticker", pl.col("event_ticker").fill_null(pl.col("ticker"))).iter_rows()
        )
        for ticker, time, result, value in self.past.results.iter_rows():
            self._number += 1
            self._due.append((time, RESULT, self._number, partial(self._pay, ticker, result, value)))
        heapify(self._due)

    def decide(self, strategy: Strategy, time: datetime) -> None:
        """Show the strategy its view of a moment, and send off what it orders."""
        self.advance(time)
        seen = tuple(one.seen for one in self.waiting)
        view = self.past.view(time, self.account.cash - self.waiting.bound, self.account.positions, seen)
        known = set(view.markets["ticker"])
        for wish in strategy(view) or ():
            if isinstance(wish, Cancel):
                self._later(time + self.rules.latency, ARRIVAL, partial(self._cancel, wish.number))
                continue
            if not isinstance(wish, Order):
                raise UsageError(
                    f"a strategy gives orders, not {type(wish).__name__}", hint="return [view.buy(ticker, 10)]"
                )
            self.counts["orders"] += 1
            if wish.ticker in known:
                self._later(time + self.rules.latency, ARRIVAL, partial(self._arrive, wish, time))
            else:
                self._refuse(wish, time, "no market that was open and known then")
        self.advance(time)
        self._mark(time)

    def advance(self, until: datetime | None) -> None:
        """Let happen what is due by a moment (None: all there is), in the order of time; what changes the account has it valued."""
        while self._due and (until is None or self._due[0][0] <= until):
            time, _, _, happen = heappop(self._due)
            happen(time)
            if self._changed and not (self._due and self._due[0][0] == time):
                self._mark(time)

    def _later(self, time: datetime, rank: int, happen: Callable[[datetime], None]) -> None:
        self._number += 1
        heappush(self._due, (time, rank, self._number, happen))

    def _refuse(self, order: Order, time: datetime, why: str) -> None:
        told = {"ticker": order.ticker, "action": order.action, "side": order.side, "count": order.count}
        self.refused.append({"time": time, **told, "why": why})

    def _arrive(self, order: Order, decided: datetime, at: datetime) -> None:
        """An order meets what is offered; what is left of it waits, if it rests."""
        offer, why = self.offers.meet(order, at), self._unfit(order, at)
        if self._closed(order.ticker, at) or (offer is None and not order.rests):
            why = "not traded any more, or no quote"
        if why:
            self._refuse(order, decided, why)
            return
        self._orders += 1  # a count of its own: a strategy sees it, and how much is due would tell of trades to come
        one = Working(order, self._orders, decided, at, self.rules.charge(order), order.count)
        why = self._take(one, offer, at)
        if order.rests and one.left:
            why = self._rest(one, at)
        if one.filled and one.left:
            self.trades[-1]["short"] = why or "the rest waits"
        elif one.left and why:
            self._refuse(order, decided, why)

    def _closed(self, ticker: str, at: datetime) -> bool:
        close = self.ends.closes.get(ticker)
        return close is not None and close <= at

    def _unfit(self, order: Order, at: datetime) -> str:
        """Why an order that rests would not be accepted."""
        if not order.rests:
            return ""
        if order.limit is None:
            return "no limit to wait at"
        if not self.ends.grid(order.ticker).valid(order.priced(order.limit)):
            return "no price of the market's grid"
        return "its time was over when it arrived" if order.until is not None and order.until <= at else ""

    def _take(self, one: Working, offer: Offer | None, at: datetime) -> str:
        """Take what is offered, level by level, as far as the limits allow; why no more, where something is left."""
        why = "nothing offered on that side"
        for level in offer.levels if offer else ():
            if not _within(one.order, level.price):
                return "beyond the limit"
            count, held_back = self._allowed(one, level.price, min(one.left, level.left), "taker", at)
            if count > 0 and offer is not None:
                self.offers.take(level, count)
                self._fill(one, count, level.price, at, filled_by=offer.source)
                self.counts["fills of unknown size"] += not offer.sized
            if held_back or not one.left:
                return held_back
            why = "all that was offered is taken" if not one.filled else "no more was offered"
        return why

    def _fill(self, one: Working, count: Decimal, price: Decimal, at: datetime, *, filled_by: str) -> None:
        """Write a fill at a price of YES into the account and the list of trades."""
        order = one.order
        own = order.priced(price)
        paid = one.charge.add(own, count, "maker" if filled_by == "tape" else "taker", at)
        flow = self.account.trade(order.ticker, count if order.lifts else -count, price, paid)
        one.left -= count
        one.filled += count
        self._changed = True
        self.trades.append(
            {"time": at, "ticker": order.ticker, "event_ticker": self._events.get(order.ticker, order.ticker), "action": order.action,
             "side": order.side, "asked": order.count, "count": count, "price": own, "fee": paid, "cash": flow, "short": "",
             "reason": order.reason, "filled_by": filled_by}
        )  # fmt: skip

    def _allowed(self, one: Working, price: Decimal, count: Decimal, role: Role, at: datetime) -> tuple[Decimal, str]:
        """How much of an order the position, the stake and the cash allow beside what else rests, and what held it back."""
        order, rules, why = one.order, self.rules, ""
        count, cost, held = max(count, ZERO), order.priced(price), self.account.count(order.ticker)
        own = held if order.side == "yes" else -held
        free = self.account.cash - self.waiting.bound + one.bound
        alike = [other for other in self.waiting.of(order.ticker) if other is not one and _alike(other.order, order)]
        promised = sum((other.left for other in alike), ZERO)
        if order.action == "sell":
            most = min(count, max(own - promised, ZERO))
            if free + most * cost < one.charge.expected(cost, most, role, at):
                return ZERO, "the cash"
            return most, "not held" if most < count else ""
        if rules.max_position is not None and own + promised + count > rules.max_position:
            count, why = _whole(rules.max_position - own - promised), "the position's limit"
        stake = sum(
            (other.left * _own(other) for other in alike), self.account.stake(order.ticker) if own > 0 else ZERO
        )
        if rules.max_stake is not None and stake + count * cost > rules.max_stake:
            count, why = _whole((rules.max_stake - stake) / cost), "the stake's limit"
        closing = max(min(count, -own), ZERO)
        if (count - closing) * cost + one.charge.expected(cost, count, role, at) > free + closing * (ONE - cost):
            most = max(
                free // (cost + one.charge.expected(cost, ONE, role, at)), ZERO
            )  # whole ones: fees are rounded up
            count, why = min(count, most), "the cash"
        return count, why

    def _rest(self, one: Working, at: datetime) -> str:
        """Let what is left of an order wait at its limit, as far as the limits allow; why it does not."""
        order = one.order
        count, why = self._allowed(one, one.price, one.left, "maker", at)
        if count <= 0:
            return why
        times, _ = self.past.tape(order.ticker)
        one.rested = one.left = count
        one.queue = one.queued = self.offers.ahead(order, one.price, at)
        if order.ticker not in self._walked:
            self._next_trade(order.ticker, bisect_right(times, at))
        self.waiting.add(one)
        self._bind(one, at)
        self.counts["resting orders in markets without trades"] += not times
        close = self.ends.closes.get(order.ticker)
        for time, said in ((close, "the market closed"), (order.until, "its time was over")):
            if time is not None:
                self._later(time, END, partial(self._end, one, said))
        return ""

    def _bind(self, one: Working, at: datetime) -> None:
        """Bind what an order would cost if the rest of it were filled; a sale costs nothing."""
        cost = one.left * _own(one) + one.charge.expected(_own(one), one.left, "maker", at)
        free = self.account.cash - self.waiting.bound + one.bound  # less where a part of it closes a position
        self.waiting.bind(one, min(cost, free) if one.order.action == "buy" else ZERO)

    def _next_trade(self, ticker: str, place: int) -> None:
        times, _ = self.past.tape(ticker)
        if place < len(times):
            self._walked.add(ticker)
            self._later(times[place], TRADE, partial(self._trade, ticker, place))

    def _trade(self, ticker: str, place: int, at: datetime) -> None:
        """A trade of the tape meets what waits; the next one is looked for as long as anything does."""
        self._walked.discard(ticker)
        meet(self.waiting.of(ticker), self.past.tape(ticker)[1][place], partial(self._made, at))
        if self.waiting.of(ticker):
            self._next_trade(ticker, place + 1)

    def _made(self, at: datetime, one: Working, count: Decimal) -> Decimal:
        """Fill an order that waits, as far as the limits allow; how much."""
        count, _ = self._allowed(one, one.price, count, "maker", at)
        if count <= 0:
            return ZERO
        self._fill(one, count, one.price, at, filled_by="tape")
        if one.left:
            self.trades[-1]["short"] = "the rest waits"
            self._bind(one, at)
        else:
            self._end(one, "filled", at)
        return count

    def _end(self, one: Working, why: str, at: datetime) -> None:
        """An order waits no longer, if it still did."""
        if one not in self.waiting.of(one.order.ticker):
            return
        self.waiting.drop(one)
        times, _ = self.past.tape(one.order.ticker)
        why = why if times else f"{why}; no trades of the market are kept"
        order, filled = one.order, one.rested - one.left
        self.rested.append(
            {"time": one.since, "ticker": order.ticker, "action": order.action, "side": order.side, "limit": order.limit,
             "count": one.rested, "queue": one.queued, "filled": filled, "ended": at, "why": why}
        )  # fmt: skip
        if not one.filled:
            self._refuse(order, one.decided, f"rested until {why}")

    def _cancel(self, number: int, at: datetime) -> None:
        for one in self.waiting:
            if one.number == number:
                self._end(one, "it was cancelled", at)

    def _pay(self, ticker: str, result: str, value: float | None, time: datetime) -> None:
        """Pay out a market's result."""
        pays = _pays(result, value)
        payout = self.account.settle(ticker, pays)
        self.paid.append({"ticker": ticker, "settled_time": time, "result": result, "value": pays, "payout": payout})
        self._changed = self._changed or payout is not None

    def _mark(self, time: datetime) -> None:
        """Write down what the account is worth: cash, and positions at what they could be sold for; at cost where nothing was bid."""
        worth, self._changed = ZERO, False
        for ticker, one in self.account.held.items():
            if one.count:
                sold = _worth(one.count, *self.past.best(ticker, time))
                worth += one.cost if sold is None else sold
        cash = self.account.cash
        self.equity.append(
            {"time": time, "cash": cash, "bound": self.waiting.bound, "positions": worth, "equity": cash + worth}
        )

    def told(self) -> dict[str, Any]:
        """Everything that was written down."""
        for one in self.waiting:
            self._end(one, "nothing more is known", self.equity[-1]["time"])
        self.counts["open at the end"] = len(self.account.positions)
        return {
            "trades": self.trades, "refused": self.refused, "rested": self.rested, "equity": self.equity, "paid": self.paid,
            "counts": self.counts, "sums": self.account.sums, "events": self._events, "open": self.account.positions,
            "capital": self.rules.capital,
        }  # fmt: skip


def _within(order: Order, price: Decimal) -> bool:
    """Whether a price of YES is no worse than an order's limit."""
    own = order.priced(price)
    return order.limit is None or (own <= order.limit if order.action == "buy" else own >= order.limit)


def _own(one: Working) -> Decimal:
    """The limit of an order that waits, as a price of its side."""
    return one.order.limit or ZERO


def _alike(one: Order, other: Order) -> bool:
    return (one.side, one.action) == (other.side, other.action)


def _worth(count: Decimal, bid: Decimal | None, ask: Decimal | None) -> Decimal | None:
    """What a position could be sold for at a quote; None where nothing is bid for it."""
    if bid is None or ask is None or not is_priced(bid, ask):
        return None
    return count * bid if count > 0 else -count * (ONE - ask)


def _pays(result: str, value: float | None) -> Decimal | None:
    """What one YES contract paid; None for a void."""
    if result == "void":
        return None
    if value is None and result in {"yes", "no"}:
        return ONE if result == "yes" else ZERO
    if value is None:
        raise UsageError(f"a result {result!r} needs a value", hint="What YES paid, in dollars")
    return exact(value, "value")


def _whole(count: Decimal) -> Decimal:
    """Down to a hundredth of a contract."""
    return max(count // CENT * CENT, ZERO)
