"""The run: moment by moment the strategy sees a view, its orders meet what was offered, and results are paid when they were."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from kalshi_lab.clock import span
from kalshi_lab.errors import UsageError
from kalshi_lab.fees import FeeSchedule, fee
from kalshi_lab.models.quote import is_priced
from kalshi_lab.research.backtest.account import ONE, ZERO, Account
from kalshi_lab.research.backtest.result import Backtest, finished
from kalshi_lab.research.backtest.view import (
    MARKETS,
    QUOTES,
    RESULTS,
    TRADES,
    Order,
    Past,
    View,
    exact,
    shaped,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime, timedelta

    Strategy = Callable[[View], Iterable[Order] | None]
    Fees = Callable[[str, Decimal, Decimal, datetime], Decimal]

CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Rules:
    """How orders are filled: dollars at the start, how much later than the decision, contracts where nobody says how many, and limits.

    `available` contracts are taken to be offered where a quote has no size. A market's position never grows beyond `max_position`
    contracts, nor what is staked on it beyond `max_stake` dollars (None: no limit).
    """

    capital: Decimal
    latency: timedelta
    available: Decimal
    max_position: Decimal | None
    max_stake: Decimal | None
    fees: Fees


def backtest(
    strategy: Strategy,
    quotes: pl.DataFrame,
    results: pl.DataFrame,
    *,
    times: Sequence[datetime] | None = None,
    markets: pl.DataFrame | None = None,
    trades: pl.DataFrame | None = None,
    capital: float | str | Decimal = 10_000,
    fees: FeeSchedule | tuple[str, Any] | Fees | None = ("quadratic", 1),
    latency: timedelta | str = "0s",
    available: float | str | Decimal = 100,
    max_position: float | str | Decimal | None = None,
    max_stake: float | str | Decimal | None = None,
    confidence: float = 0.95,
) -> Backtest:
    """Run a strategy over frames of the past: `strategy(view)` gives orders, and `view` holds nothing that came later.

    quotes: ticker, time (UTC), yes_bid, yes_ask (dollars; 0 or null where there was none), and yes_bid_size, yes_ask_size where they are
    known. results: ticker, time (when it was paid), result (yes, no, scalar, void), and value (what YES paid, dollars; needed for scalar).
    markets: ticker, event_ticker, open_time and what else `View.markets` shows; without it every ticker with a quote is a market of its
    own event, open from its first quote on. trades: ticker, time, yes_price, count, taker_side. times: when the strategy is asked; without
    them at each moment at which a quote changed.

    An order is filled at the best quote in force `latency` after the decision: buying YES pays the ask, buying NO one dollar less the bid,
    as much as was offered there (`available` contracts where no size is known), at its limit or better, within the cash; what is not
    filled is gone. Fees are a taker's: a `FeeSchedule`, a pair (type, multiplier), a function of (ticker, price of the side, count, time),
    or None for none. YES and NO of a market annul each other. A scalar result pays its value, a void gives the cost back. Look-ahead is
    impossible by what a view is: frames cut at its time, nothing behind them.

    Raises UsageError for frames without the columns or with times without a zone, for orders that are none, and for bad limits.
    """
    past = _past(markets, quotes, trades, results)
    rules = Rules(
        exact(capital, "capital"), span(latency, what="latency"), exact(available, "available"),
        None if max_position is None else exact(max_position, "max_position"),
        None if max_stake is None else exact(max_stake, "max_stake"), _fees(fees),
    )  # fmt: skip
    if rules.capital <= 0:
        raise UsageError(f"capital={capital} buys nothing")
    run = Run(past, rules)
    for time in sorted(times) if times is not None else past.moments:
        run.decide(strategy, time)
    run.settle(None)
    return finished(run.told(), confidence=confidence)


def _past(
    markets: pl.DataFrame | None, quotes: pl.DataFrame, trades: pl.DataFrame | None, results: pl.DataFrame
) -> Past:
    made = shaped(quotes, QUOTES, "quotes", ("ticker", "time", "yes_bid", "yes_ask"))
    if made.select(pl.any_horizontal(pl.col("yes_bid", "yes_ask").is_between(0, 1).not_()).any()).item():
        raise UsageError("quotes has prices outside 0 to 1", hint="Prices are dollars of the YES contract")
    if markets is None:
        named = "event_ticker" if "event_ticker" in quotes.columns else "ticker"
        events = quotes.select(pl.col("ticker").cast(pl.String), event_ticker=pl.col(named).cast(pl.String))
        opened = made.group_by("ticker").agg(open_time=pl.col("time").min())
        markets = opened.join(events.unique("ticker"), on="ticker", how="left")
    return Past(
        shaped(markets, MARKETS, "markets", ("ticker", "event_ticker")).unique("ticker", keep="first"),
        made,
        shaped(trades, TRADES, "trades", ("ticker", "time", "yes_price", "count") if trades is not None else ()),
        shaped(results, RESULTS, "results", ("ticker", "time", "result")).unique("ticker", keep="last"),
    )


def _fees(given: FeeSchedule | tuple[str, Any] | Fees | None) -> Fees:
    if given is None:
        return lambda _ticker, _price, _count, _time: ZERO
    if isinstance(given, FeeSchedule | tuple):
        schedule = given if isinstance(given, FeeSchedule) else FeeSchedule.of(given)
        return lambda _ticker, price, count, time: fee(price, count, schedule, at=time)
    return given


@dataclass(slots=True)
class Run:
    """One run on its way: what is known, the account, and what is written down of it."""

    past: Past
    rules: Rules
    account: Account = field(init=False)
    trades: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    equity: list[dict[str, Any]] = field(default_factory=list)
    paid: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    _settled: int = 0
    _taken: dict[tuple[Any, ...], Decimal] = field(default_factory=dict)
    _final: dict[str, datetime] = field(init=False)
    _events: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.account = Account(self.rules.capital)
        self._final = dict(zip(self.past.results["ticker"], self.past.results["time"], strict=True))
        self._events = dict(
            self.past.markets.select("ticker", pl.col("event_ticker").fill_null(pl.col("ticker"))).iter_rows()
        )

    def decide(self, strategy: Strategy, time: datetime) -> None:
        """Show the strategy its view of a moment, and fill what it orders."""
        self.settle(time)
        view = self.past.view(time, self.account.cash, self.account.positions)
        known = set(view.markets["ticker"])
        for order in strategy(view) or ():
            if not isinstance(order, Order):
                raise UsageError(
                    f"a strategy gives orders, not {type(order).__name__}", hint="return [view.buy(ticker, 10)]"
                )
            self.counts["orders"] += 1
            why = self._fill(order, time) if order.ticker in known else "no market that was open and known then"
            if why:
                told = {"ticker": order.ticker, "action": order.action, "side": order.side, "count": order.count}
                self.refused.append({"time": time, **told, "why": why})
        self._mark(time)

    def _fill(self, order: Order, time: datetime) -> str:
        """Fill an order as far as it can be; why nothing of it was, empty where something was."""
        at = time + self.rules.latency
        quote = self.past.quote(order.ticker, at)
        final = self._final.get(order.ticker)
        if quote is None or (final is not None and final <= at):
            return "not traded any more, or no quote"
        offered = _offered(order, quote)
        if offered is None:
            return "nothing offered on that side"
        price, size = offered
        own = price if order.side == "yes" else ONE - price
        if order.limit is not None and (own > order.limit if order.action == "buy" else own < order.limit):
            return "beyond the limit"
        if size is None:
            self.counts["fills of unknown size"] += 1
        place = _place(order, quote)
        offer = round(self.rules.available if size is None else size, 2)
        left = offer - self._taken.get(place, ZERO)
        return self._take(order, at, price, left, place=place)

    def _take(self, order: Order, at: datetime, price: Decimal, left: Decimal, *, place: tuple[Any, ...]) -> str:
        """Take what is left of a quote, as far as the limits allow."""
        gained = order.side == ("yes" if order.action == "buy" else "no")
        count, why = self._allowed(order, price, min(order.count, left), at)
        if count <= 0:
            return why or "all that was offered is taken"
        change = count if gained else -count
        paid = self.rules.fees(order.ticker, price if gained else ONE - price, count, at)
        flow = self.account.trade(order.ticker, change, price, paid)
        self._taken[place] = self._taken.get(place, ZERO) + count
        short = "" if count == order.count else (why or "no more was offered")
        self.trades.append(
            {"time": at, "ticker": order.ticker, "event_ticker": self._events.get(order.ticker, order.ticker), "action": order.action,
             "side": order.side, "asked": order.count, "count": count, "price": price if order.side == "yes" else ONE - price, "fee": paid,
             "cash": flow, "short": short, "reason": order.reason}
        )  # fmt: skip
        return ""

    def _allowed(self, order: Order, price: Decimal, count: Decimal, at: datetime) -> tuple[Decimal, str]:
        """How much of an order the position, the stake and the cash allow, and what held it back."""
        held = self.account.count(order.ticker)
        own = held if order.side == "yes" else -held
        if order.action == "sell":
            return min(count, max(own, ZERO)), "not held"
        why, rules = "", self.rules
        cost = price if order.side == "yes" else ONE - price
        if rules.max_position is not None and own + count > rules.max_position:
            count, why = _whole(rules.max_position - own), "the position's limit"
        stake = self.account.held[order.ticker].cost if own > 0 else ZERO
        if rules.max_stake is not None and stake + count * cost > rules.max_stake:
            count, why = _whole((rules.max_stake - stake) / cost), "the stake's limit"
        closing = max(min(count, -own), ZERO)
        if (count - closing) * cost + self._worst(order, cost, count, at) > self.account.cash + closing * (ONE - cost):
            most = max(
                self.account.cash // (cost + self._worst(order, cost, ONE, at)), ZERO
            )  # whole ones: fees are rounded up
            count, why = min(count, most), "the cash"
        return count, why

    def _worst(self, order: Order, cost: Decimal, count: Decimal, at: datetime) -> Decimal:
        return self.rules.fees(order.ticker, cost, count, at) if count > 0 else ZERO

    def settle(self, until: datetime | None) -> None:
        """Pay out what had its result by a moment (None: all that has one), in the order in which it was paid."""
        results, changed = self.past.results, False
        while self._settled < results.height:
            ticker, time, result, value = results.row(self._settled)
            if until is not None and time > until:
                return
            self._settled += 1
            pays = _pays(result, value)
            payout = self.account.settle(ticker, pays)
            self.paid.append(
                {"ticker": ticker, "settled_time": time, "result": result, "value": pays, "payout": payout}
            )
            last = self._settled == results.height or results["time"][self._settled] > time
            changed = changed or payout is not None
            if changed and last:
                self._mark(time)
                changed = False

    def _mark(self, time: datetime) -> None:
        """Write down what the account is worth: cash, and positions at what they could be sold for; at cost where nothing was bid."""
        worth = ZERO
        for ticker, one in self.account.held.items():
            if one.count:
                quote = self.past.quote(ticker, time)
                sold = None if quote is None else _worth(one.count, quote)
                worth += one.cost if sold is None else sold
        self.equity.append(
            {"time": time, "cash": self.account.cash, "positions": worth, "equity": self.account.cash + worth}
        )

    def told(self) -> dict[str, Any]:
        """Everything that was written down."""
        self.counts["open at the end"] = len(self.account.positions)
        return {
            "trades": self.trades, "refused": self.refused, "equity": self.equity, "paid": self.paid, "counts": self.counts,
            "sums": self.account.sums, "events": self._events, "open": self.account.positions, "capital": self.rules.capital,
        }  # fmt: skip


def _place(order: Order, quote: tuple[Any, ...]) -> tuple[Any, ...]:
    """Which side of which quote an order meets: buying YES and selling NO meet the ask."""
    asked = (order.side == "yes") == (order.action == "buy")
    return (order.ticker, quote[1] if quote else None, asked)


def _offered(order: Order, quote: tuple[Any, ...]) -> tuple[Decimal, Decimal | None] | None:
    """The YES price and the contracts that an order meets; None where that side is empty."""
    bid, bid_size, ask, ask_size = quote[2:6]
    asked = (order.side == "yes") == (order.action == "buy")
    price, size = (ask, ask_size) if asked else (bid, bid_size)
    if price is None or not 0 < price < 1:
        return None
    return exact(price, "price"), None if size is None else exact(size, "size")


def _worth(count: Decimal, quote: tuple[Any, ...]) -> Decimal | None:
    """What a position could be sold for at a quote; None where nothing is bid for it."""
    bid, ask = quote[2], quote[4]
    if bid is None or ask is None or not is_priced(exact(bid, "bid"), exact(ask, "ask")):
        return None
    return count * exact(bid, "bid") if count > 0 else -count * (ONE - exact(ask, "ask"))


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
