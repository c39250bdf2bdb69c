"""A strategy of the backtest, forward: shown the world as it is now, its orders are placed on a paper account behind the same checks."""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from kalshi_lab.errors import OrderRejected, UsageError
from kalshi_lab.kalshi.orders import NewOrder
from kalshi_lab.portal import Facade, blocking
from kalshi_lab.research.backtest.past import MARKETS, QUOTES, RESULTS, TRADES
from kalshi_lab.research.backtest.view import Cancel, Order, Resting, View
from kalshi_lab.trading.face import Trading
from kalshi_lab.trading.situation import ZERO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalshi_lab.models import Market, Orderbook
    from kalshi_lab.research.backtest.run import Strategy
    from kalshi_lab.trading.executor import AsyncTrading
    from kalshi_lab.trading.paper import PaperDesk
    from kalshi_lab.trading.situation import Attempt

FILLS: Final[dict[str, Any]] = {
    "time": pl.Datetime("us", "UTC"), "order_id": pl.String, "ticker": pl.String, "side": pl.String, "count": pl.Decimal(18, 2),
    "price": pl.Decimal(9, 6), "fee": pl.Decimal(18, 6), "cash": pl.Decimal(18, 6), "is_taker": pl.Boolean,
}  # fmt: skip
TRADES_SEEN: Final = 1000  # of each market at a look


class AsyncPaper:
    """A paper account, awaited: `trading` takes orders by hand, `step` those of a strategy; made by `AsyncLab.paper(...)`."""

    def __init__(self, desk: PaperDesk, trading: AsyncTrading) -> None:
        self.desk, self.trading = desk, trading
        self._past: list[tuple[Any, ...]] = []
        self._results: dict[str, tuple[Any, ...]] = {}

    @property
    def cash(self) -> Decimal:
        """Dollars that no resting order holds back."""
        return self.desk.account.cash - self.desk.bound

    @property
    def positions(self) -> dict[str, Decimal]:
        """Contracts by ticker, negative for NO."""
        return self.desk.account.positions

    async def look(self) -> None:
        """Bring the account up to now: what rests meets later books and trades, and what is over is paid out."""
        await self.desk.look()

    async def fills(self) -> pl.DataFrame:
        """Every fill so far: time, order_id, ticker, side, count, price (of the side bought), fee, cash, is_taker; exact."""
        return pl.DataFrame(self.desk.fills, schema=FILLS)

    async def step(self, strategy: Strategy, tickers: Sequence[str]) -> tuple[Attempt, ...]:
        """Bring the account up to now, show the strategy these markets, and place what it orders; what was placed.

        `strategy(view)` is one of `kl.backtest`: it gets the same `View` (quotes and trades since the first step, live books) and gives
        the same orders. An order without a limit takes as far as the book goes; what is sold is sold as far as it is held. Orders that a
        check refuses are rows of `trading.audit()`, as everywhere. Call it as often as the strategy is to decide.
        """
        if not tickers or isinstance(tickers, str):
            raise UsageError("give a list of tickers")
        await self.look()
        view = await self._view(tickers)
        made = []
        for wish in strategy(view) or ():
            if isinstance(wish, Cancel):
                gone = [one for one in self.desk.resting if one.number == wish.number]
                made += [await self.trading.cancel(one.id) for one in gone]
                continue
            if not isinstance(wish, Order):
                raise UsageError(
                    f"a strategy gives orders, not {type(wish).__name__}", hint="return [view.buy(ticker, 10)]"
                )
            order = self._order(wish, view.books)
            try:
                made += [await self.trading.create(order)] if order is not None else []
            except OrderRejected:
                continue  # the audit has it, with its reasons
        return tuple(made)

    def _order(self, wish: Order, books: Any) -> NewOrder | None:
        """A wish as an order on the YES book; None where nothing is offered, or nothing held that could be sold."""
        book: Orderbook | None = books.get(wish.ticker)
        held = self.positions.get(wish.ticker, ZERO) * (1 if wish.side == "yes" else -1)
        count = wish.count if wish.action == "buy" else min(wish.count, max(held, ZERO))
        facing = () if book is None else book.asks if wish.lifts else book.yes_bids
        price = wish.priced(wish.limit) if wish.limit is not None else _reach(facing, count)
        if price is None or count <= 0:
            return None
        words: dict[str, Any] = (
            {"time_in_force": "good_till_canceled", "expiration_time": wish.until}
            if wish.rests
            else {"time_in_force": "immediate_or_cancel", "reduce_only": wish.action == "sell" or None}
        )
        return NewOrder(ticker=wish.ticker, side="bid" if wish.lifts else "ask", count=count, price=price, **words)

    async def _view(self, tickers: Sequence[str]) -> View:
        looks = self.desk.looks
        now = looks.clock.now()
        markets = [await looks.markets.one(ticker) for ticker in tickers]
        live = [one for one in markets if one.status == "active"]
        books = {one.ticker: await looks.markets.orderbook(one.ticker) for one in live}
        quotes = [_quote(book, now) for book in books.values()]
        self._past += quotes
        self._results |= {
            one.ticker: (one.ticker, one.settlement_ts or now, one.result, one.settlement_value)
            for one in markets
            if one.result
        }
        since = self._past[0][1] if self._past else now
        trades = [
            (one.ticker, one.created_time, one.yes_price, one.count, one.taker_outcome_side)
            for ticker in books
            async for one in looks.markets.trades(ticker, since=since, limit=TRADES_SEEN)
        ]
        seen = tuple(Resting(_wish(one), one.left, one.since, one.number) for one in self.desk.resting)
        return View(
            now, self.cash, MappingProxyType(dict(self.positions)), _frame([_terms(one) for one in live], MARKETS),
            _frame(quotes, QUOTES), _frame(self._past, QUOTES), _frame(trades, TRADES).sort("time"),
            _frame(list(self._results.values()), RESULTS), MappingProxyType(books), seen,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.cash:f} dollars free, {len(self.positions)} positions>"


class Paper(Facade):
    """The blocking face of `AsyncPaper`."""

    _twin: AsyncPaper

    def __init__(self, twin: AsyncPaper) -> None:
        super().__init__(twin)
        self.trading = Trading(twin.trading)

    look = blocking(AsyncPaper.look)
    step = blocking(AsyncPaper.step)
    fills = blocking(AsyncPaper.fills)

    @property
    def cash(self) -> Decimal:
        """Dollars that no resting order holds back."""
        return self._twin.cash

    @property
    def positions(self) -> dict[str, Decimal]:
        """Contracts by ticker, negative for NO."""
        return self._twin.positions

    def __repr__(self) -> str:
        return repr(self._twin).replace("AsyncPaper", "Paper")


def _reach(facing: Sequence[tuple[Decimal, Decimal]], count: Decimal) -> Decimal | None:
    """The price of YES to which an order must reach to be filled, or the last there is; None for an empty side."""
    price = None
    for price, size in facing:  # noqa: B007 - the last one looked at is the answer
        count -= size
        if count <= 0:
            break
    return price


def _wish(one: Any) -> Order:
    return Order(one.asked.ticker, "yes" if one.buys else "no", "buy", one.left, one.own_price, rests=True)


def _quote(book: Orderbook, now: Any) -> tuple[Any, ...]:
    bid, ask = (book.yes_bids or ((None, None),))[0], (book.asks or ((None, None),))[0]
    return (book.ticker, now, bid[0], bid[1], ask[0], ask[1])


def _terms(market: Market) -> tuple[Any, ...]:
    return tuple(getattr(market, name, None) for name in MARKETS)


def _frame(rows: Sequence[tuple[Any, ...]], schema: dict[str, Any]) -> pl.DataFrame:
    """Rows as the frame that a view has: exact numbers become floats here, as in a backtest."""
    plain = [tuple(float(value) if isinstance(value, Decimal) else value for value in row) for row in rows]
    return pl.DataFrame(plain, schema=schema, orient="row")
