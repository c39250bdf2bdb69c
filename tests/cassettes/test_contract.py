"""The client's contract with each public family of endpoints, as far as it holds for the simulated and the real exchange alike."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from kalshi_lab import frames
from kalshi_lab.models import Event, Market, Series, Trade

if TYPE_CHECKING:
    import kalshi_lab as kl

OHLC = ["open", "high", "low", "close"]


def sound(frame: pl.DataFrame, *prices: str) -> None:
    """Prices lie in [0, 1] dollars, and there are rows."""
    assert frame.height > 0
    for name in prices:
        assert frame.get_column(name).drop_nulls().is_between(0, 1).all()


def test_exchange(kalshi: kl.Kalshi) -> None:
    """Status with its flags and shards, schedule with its weeks."""
    status, schedule = kalshi.exchange.status(), kalshi.exchange.schedule()
    assert None not in {status.exchange_active, status.trading_active}
    assert status.exchange_index_statuses
    assert schedule.standard_hours is not None
    assert schedule.standard_hours[0].monday


def test_series(kalshi: kl.Kalshi) -> None:
    """Series of a category with their fees, and one of them alone."""
    listing = kalshi.series.list(category="Climate and Weather")
    frame = listing.frame(exact=True)
    assert (frame.schema, listing.refused) == (frames.schema(Series), [])
    assert frame.get_column("ticker").is_unique().all()
    one = kalshi.series.one(frame.item(0, "ticker"))
    assert (one.ticker, one.fee_type) == (frame.item(0, "ticker"), frame.item(0, "fee_type"))
    assert one.fee_multiplier is not None


def test_events(kalshi: kl.Kalshi) -> None:
    """Open events over a page boundary, one of them with its markets."""
    listing = kalshi.events.list(status="open", limit=7)
    frame = listing.frame(exact=True)
    assert (frame.height, frame.schema, listing.refused, listing.truncated) == (7, frames.schema(Event), [], True)
    event = kalshi.events.one(frame.item(0, "event_ticker"))
    assert event.markets
    assert {market.event_ticker for market in event.markets} == {event.event_ticker}


def test_markets(kalshi: kl.Kalshi) -> None:
    """Open markets with quotes that fit together, one of them alone, and NotFound for one that is not there."""
    listing = kalshi.markets.list(status="open", limit=12)
    frame = listing.frame(exact=True)
    sound(frame, "yes_bid", "yes_ask", "no_bid", "no_ask", "last_price")
    assert (frame.height, frame.schema, listing.refused) == (12, frames.schema(Market), [])
    assert frame.select((pl.col("yes_bid") + pl.col("no_ask") == 1).all()).item()
    assert frame.select((pl.col("open_time") < pl.col("close_time")).all()).item()
    assert set(frame.get_column("status")) == {"active"}
    one = kalshi.markets.one(frame.item(0, "ticker"))
    assert (one.ticker, one.close_time) == (frame.item(0, "ticker"), frame.item(0, "close_time"))
    with pytest.raises(LookupError):
        kalshi.markets.one("KXNOSUCHMARKET-1")


def test_trades(kalshi: kl.Kalshi) -> None:
    """Trades, newest first, whose two prices make a dollar; and those of one market before a moment."""
    listing = kalshi.markets.trades(limit=15)
    frame = listing.frame(exact=True)
    sound(frame, "yes_price", "no_price")
    assert (frame.height, frame.schema, listing.refused) == (15, frames.schema(Trade), [])
    assert frame.select((pl.col("yes_price") + pl.col("no_price") == 1).all()).item()
    assert frame.get_column("created_time").is_sorted(descending=True)
    ticker, until = frame.item(0, "ticker"), frame.item(0, "created_time") - timedelta(minutes=1)
    older = kalshi.markets.trades(ticker, until=until, limit=5).frame(exact=True)
    assert set(older.get_column("ticker")) <= {ticker}
    assert (older.get_column("created_time") <= until + timedelta(seconds=1)).all()


def test_orderbooks(kalshi: kl.Kalshi) -> None:
    """Books of markets that traded last, alone and in one request: sorted bids that do not cross."""
    tickers = kalshi.markets.trades(limit=15).frame().get_column("ticker").unique(maintain_order=True).head(3).to_list()
    books = kalshi.markets.orderbooks(tickers)
    assert [book.ticker for book in books] == tickers
    alone = kalshi.markets.orderbook(tickers[0], depth=5)
    assert len(alone.yes_bids) <= 5
    for book in (*books, alone):
        assert list(book.yes_bids) == sorted(book.yes_bids, reverse=True)
        assert book.spread is None or book.spread > 0
        assert all(0 < price < 1 and size > 0 for price, size in (*book.yes_bids, *book.no_bids))


def test_candlesticks(kalshi: kl.Kalshi) -> None:
    """Hours of a market that traded last, in order, with highs above lows; the same from both endpoints."""
    trade = next(iter(kalshi.markets.trades(limit=1)))
    market = kalshi.markets.one(trade.ticker or "")
    event = kalshi.events.one(market.event_ticker or "")
    assert trade.created_time is not None
    window: dict[str, Any] = {
        "since": trade.created_time - timedelta(hours=12),
        "until": trade.created_time,
        "exact": True,
    }
    frame = kalshi.markets.candlesticks(market.ticker, "1h", series=event.series_ticker, **window)
    sound(frame, *(f"{side}_{name}" for side in ("price", "yes_bid", "yes_ask") for name in OHLC))
    assert frame.get_column("end_time").is_sorted()
    for side in ("price", "yes_bid", "yes_ask"):
        fits = pl.col(f"{side}_high") >= pl.max_horizontal(f"{side}_open", f"{side}_close", f"{side}_low")
        assert frame.select(fits.fill_null(value=True).all()).item()
    assert frame.equals(kalshi.markets.candlesticks(market.ticker, "1h", **window))


def test_historical(kalshi: kl.Kalshi) -> None:
    """Behind the cutoffs: settled markets with results, one of them alone, its trades and its days."""
    cutoff = kalshi.historical.cutoff()
    assert cutoff.market_settled_ts is not None
    assert cutoff.trades_created_ts is not None
    listing = kalshi.historical.markets(limit=6)
    frame = listing.frame(exact=True)
    assert (frame.height, listing.refused) == (6, [])
    assert (frame.get_column("settlement_ts") < cutoff.market_settled_ts).all()
    assert set(frame.get_column("result")) <= {"yes", "no", "scalar", ""}
    market = kalshi.historical.market(frame.item(0, "ticker"))
    assert market.result == frame.item(0, "result")
    trades = kalshi.historical.trades(limit=5).frame(exact=True)
    assert (trades.get_column("created_time") < cutoff.trades_created_ts).all()
    assert market.close_time is not None
    days = kalshi.historical.candlesticks(
        market.ticker, "1d", since=market.close_time - timedelta(days=5), until=market.close_time, exact=True
    )
    sound(days, "yes_bid_close", "yes_ask_close")
