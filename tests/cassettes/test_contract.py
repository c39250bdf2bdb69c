"""The client's contract with each public family of endpoints, as far as it holds for the simulated and the real exchange alike."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl
import pytest

import kalshi_lab as kl
from kalshi_lab import frames
from kalshi_lab.models import (
    Collection,
    Event,
    EventFeeChange,
    IncentiveProgram,
    Market,
    Milestone,
    PlayByPlay,
    Series,
    SeriesFeeChange,
    StructuredTarget,
    Trade,
)
from tests.operations.discover import charted

OHLC = ["open", "high", "low", "close"]


def sound(frame: pl.DataFrame, *prices: str) -> None:
    """Prices lie in [0, 1] dollars, and there are rows."""
    assert frame.height > 0
    for name in prices:
        assert frame.get_column(name).drop_nulls().is_between(0, 1).all()


def test_exchange(kalshi: kl.Kalshi) -> None:
    """Status with its flags and shards, schedule with its weeks, fees that changed, and how fresh an account's data are."""
    status, schedule = kalshi.exchange.status(), kalshi.exchange.schedule()
    assert None not in {status.exchange_active, status.trading_active}
    assert status.exchange_index_statuses
    assert schedule.standard_hours is not None
    assert schedule.standard_hours[0].monday
    changes = kalshi.exchange.series_fee_changes(historical=True)
    frame = changes.frame(exact=True)
    assert (frame.schema, changes.refused) == (frames.schema(SeriesFeeChange), [])
    assert (frame.get_column("fee_multiplier").drop_nulls() >= 0).all()
    assert kalshi.exchange.user_data_time().as_of_time is not None


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
    """Open events over a page boundary, one of them with its markets and metadata; combos; changes of fees."""
    listing = kalshi.events.list(status="open", limit=7)
    frame = listing.frame(exact=True)
    assert (frame.height, frame.schema, listing.refused, listing.truncated) == (7, frames.schema(Event), [], True)
    event = kalshi.events.one(frame.item(0, "event_ticker"))
    assert event.markets
    assert {market.event_ticker for market in event.markets} == {event.event_ticker}
    details = kalshi.events.metadata(event.event_ticker).market_details or ()
    assert {one.market_ticker for one in details} <= {market.ticker for market in event.markets}
    for combo in kalshi.events.multivariate(limit=2):
        assert (combo.event_ticker or "").startswith("KXMVE")
    changes = kalshi.events.fee_changes(limit=3)
    assert (changes.frame(exact=True).schema, changes.refused) == (frames.schema(EventFeeChange), [])


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
    """Hours of a market that traded last, in order, with highs above lows; the same from all three endpoints."""
    trade = next(iter(kalshi.markets.trades(limit=1)))
    market = kalshi.markets.one(trade.ticker or "")
    event = kalshi.events.one(market.event_ticker or "")
    assert trade.created_time is not None
    window: dict[str, Any] = {
        "since": trade.created_time - timedelta(hours=6),
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
    assert frame.equals(kalshi.markets.batch_candlesticks([market.ticker], "1h", **window))
    whole = kalshi.events.candlesticks(event.event_ticker, "1h", series=event.series_ticker, **window)
    assert frame.equals(whole.filter(pl.col("ticker") == market.ticker))


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


def test_milestone(kalshi: kl.Kalshi) -> None:
    """What events are about, with when it starts; one of them alone."""
    listing = kalshi.milestones.list(limit=5)
    frame = listing.frame(exact=True)
    assert (frame.height, frame.schema, listing.refused) == (5, frames.schema(Milestone), [])
    assert frame.get_column("id").is_unique().all()
    assert frame.get_column("start_date").null_count() == 0
    one = kalshi.milestones.one(frame.item(0, "id"))
    assert (one.id, one.type, one.start_date) == tuple(frame.select("id", "type", "start_date").row(0))


def test_multivariate(kalshi: kl.Kalshi) -> None:
    """Collections with the events that supply legs, and one of them alone."""
    listing = kalshi.multivariate.list(limit=2)
    frame = listing.frame(exact=True)
    assert (frame.schema, listing.refused) == (frames.schema(Collection), [])
    assert frame.height > 0
    one = kalshi.multivariate.one(frame.item(0, "collection_ticker"))
    assert one.collection_ticker == frame.item(0, "collection_ticker")
    assert one.associated_events
    assert one.size_min is None or one.size_max is None or one.size_min <= one.size_max


def test_structured_targets(kalshi: kl.Kalshi) -> None:
    """Teams and persons by id, page by page, and one of them alone."""
    listing = kalshi.structured_targets.list(limit=5)
    frame = listing.frame(exact=True)
    assert (frame.height, frame.schema, listing.refused) == (5, frames.schema(StructuredTarget), [])
    one = kalshi.structured_targets.one(frame.item(0, "id"))
    assert (one.id, one.name, one.type) == tuple(frame.select("id", "name", "type").row(0))
    again = kalshi.structured_targets.list(ids=frame.get_column("id").to_list()[:2]).frame(exact=True)
    assert set(again.get_column("id")) == set(frame.get_column("id").head(2))


def test_search(kalshi: kl.Kalshi) -> None:
    """Categories with their tags, and sports in the order in which they are shown."""
    assert "Climate and Weather" in kalshi.search.tags_by_category()
    sports = kalshi.search.filters_by_sport()
    assert sports.filters_by_sports
    assert set(sports.sport_ordering or ()) <= set(sports.filters_by_sports)


def test_incentive_programs(kalshi: kl.Kalshi) -> None:
    """Programs that begin before they end and pay something."""
    listing = kalshi.incentive_programs.list(limit=5)
    frame = listing.frame(exact=True)
    assert (frame.height, frame.schema, listing.refused) == (5, frames.schema(IncentiveProgram), [])
    assert frame.select((pl.col("start_date") < pl.col("end_date")).all()).item()
    assert (frame.get_column("period_reward").drop_nulls() > 0).all()


def test_live_data(kalshi: kl.Kalshi) -> None:
    """How milestones stand, alone and together, play by play; an event's underlying; the weather by the minute."""
    milestones = {one.id: one.type for one in kalshi.milestones.list(limit=5)}
    together = {one.milestone_id: one for one in kalshi.live_data.batch(milestones)}
    assert together.keys() <= milestones.keys()
    for found in list(together.values())[:1]:
        alone = kalshi.live_data.milestone(found.milestone_id or "")
        typed = kalshi.live_data.typed_milestone(found.type or "", found.milestone_id or "")
        assert (alone.milestone_id, alone.type) == (typed.milestone_id, typed.type) == (found.milestone_id, found.type)
        assert isinstance(kalshi.live_data.game_stats(found.milestone_id or ""), PlayByPlay)
    if event := charted(kalshi, [trade.ticker or "" for trade in kalshi.markets.trades(limit=25)]):
        chart = kalshi.live_data.event(event)
        assert chart.default_range in (chart.range_options or ())
    weather = kalshi.live_data.weather("nyc", last="5m")
    times = kl.frame(weather.timeseries).get_column("time")
    assert (weather.city, times.is_sorted()) == ("nyc", True)
    assert kalshi.live_data.weather_calibrations("nyc").calibrations
