"""A backtest from frames: what is given is checked and shaped, then the run goes through it moment by moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from kalshi_lab.analysis.given import given
from kalshi_lab.clock import span
from kalshi_lab.errors import UsageError
from kalshi_lab.research.backtest.books import BOOKS, Books
from kalshi_lab.research.backtest.past import MARKETS, QUOTES, RESULTS, TRADES, Past, shaped
from kalshi_lab.research.backtest.result import finished
from kalshi_lab.research.backtest.rules import Ends, Rules, charges
from kalshi_lab.research.backtest.run import Run
from kalshi_lab.research.backtest.view import exact

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from kalshi_lab.research.backtest.result import Backtest
    from kalshi_lab.research.backtest.rules import Fees
    from kalshi_lab.research.backtest.run import Strategy
    from kalshi_lab.research.backtest.view import Amount


def backtest(
    strategy: Strategy,
    quotes: pl.DataFrame,
    results: pl.DataFrame,
    *,
    times: Sequence[datetime] | None = None,
    markets: pl.DataFrame | None = None,
    trades: pl.DataFrame | None = None,
    books: pl.DataFrame | None = None,
    capital: Amount = 10_000,
    fees: Fees | None = ("quadratic", 1),
    latency: timedelta | str = "0s",
    available: Amount = 100,
    max_position: Amount | None = None,
    max_stake: Amount | None = None,
    confidence: float = 0.95,
) -> Backtest:
    """Run a strategy over frames of the past: `strategy(view)` gives orders, and `view` holds nothing that came later.

    quotes: ticker, time (UTC), yes_bid, yes_ask (dollars; 0 or null where there was none), and yes_bid_size, yes_ask_size where they are
    known. results: ticker, time (when it was paid), result (yes, no, scalar, void), value (what YES paid, dollars; needed for scalar), and
    close_time where trading ended earlier. markets: ticker, event_ticker, open_time and what else `View.markets` shows, and price_ranges;
    without it every ticker with a quote is a market of its own event, open from its first quote on. trades: ticker, time, yes_price, count,
    taker_side. books: ticker, time, side (bid, ask), price (of YES), size, as `OrderBook.frame()` with its time: the rows of a ticker and
    a time are its whole book; a row without a side has none (size 0: an empty book, null: not known from then on). times: when the strategy
    is asked; without them at each moment at which a quote or a book changed.

    An order arrives `latency` after the decision and takes what the book held then, level by level, less what you took of it before; where
    no book was recorded, the best quote in force: buying YES pays the ask, buying NO one dollar less the bid, as much as was offered there
    (`available` contracts where no size is known), at its limit or better, within the cash. What is not filled is gone, unless the order
    rests: then it waits at its limit and binds its cash until it is filled, cancelled, over, or the market closes. It is filled by trades
    through its price, and by trades at its price once the book's queue before it has traded; never by quotes. Where there are no trades
    of its market it is never filled, which the result says. Limits that rest must be on the market's grid (cents where it is not known).

    Fees are the exchange's, for takers and makers: a `FeeSchedule`, a pair (type, multiplier), either of them by ticker, a function of
    (ticker, price of the side, count, time, and role if it has such a parameter), or None for none. YES and NO of a market annul each
    other. A scalar result pays its value, a void gives the cost back. Look-ahead is impossible by what a view is: frames cut at its time,
    nothing behind them.

    Raises UsageError for frames without the columns or with times without a zone, for orders that are none, and for bad limits.
    """
    rules = Rules(
        exact(capital, "capital"), span(latency, what="latency"), exact(available, "available"),
        None if max_position is None else exact(max_position, "max_position"),
        None if max_stake is None else exact(max_stake, "max_stake"), charges(fees),
    )  # fmt: skip
    if rules.capital <= 0:
        raise UsageError(f"capital={capital} buys nothing")
    past = _past(markets, quotes, trades, results, books)
    run = Run(past, rules, Ends.of(results, markets))
    for time in sorted(times) if times is not None else past.moments:
        run.decide(strategy, time)
    run.advance(None)
    return finished(run.told(), confidence=confidence)


def _past(
    markets: pl.DataFrame | None,
    quotes: pl.DataFrame,
    trades: pl.DataFrame | None,
    results: pl.DataFrame,
    books: pl.DataFrame | None,
) -> Past:
    quotes = given(quotes)
    made = shaped(quotes, QUOTES, "quotes", ("ticker", "time", "yes_bid", "yes_ask"))
    held = shaped(books, BOOKS, "books", tuple(BOOKS) if books is not None else ())
    _priced(made, "quotes", "yes_bid", "yes_ask")
    _priced(held, "books", "price")
    if markets is None:
        named = "event_ticker" if "event_ticker" in quotes.columns else "ticker"
        events = quotes.select(pl.col("ticker").cast(pl.String), event_ticker=pl.col(named).cast(pl.String))
        seen = pl.concat([made.select("ticker", "time"), held.select("ticker", "time")])
        opened = seen.group_by("ticker").agg(open_time=pl.col("time").min())
        event = pl.col("event_ticker").fill_null(pl.col("ticker"))
        markets = opened.join(events.unique("ticker"), on="ticker", how="left").with_columns(event)
    return Past(
        shaped(markets, MARKETS, "markets", ("ticker", "event_ticker")).unique("ticker", keep="first"),
        made,
        shaped(trades, TRADES, "trades", ("ticker", "time", "yes_price", "count") if trades is not None else ()),
        shaped(results, RESULTS, "results", ("ticker", "time", "result")).unique("ticker", keep="last"),
        Books(held),
    )


def _priced(frame: pl.DataFrame, what: str, *columns: str) -> None:
    if frame.select(pl.any_horizontal(pl.col(*columns).is_between(0, 1).not_()).any()).item():
        raise UsageError(f"{what} has prices outside 0 to 1", hint="Prices are dollars of the YES contract")
