"""The verbs that look at the live exchange, against what the simulated one holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl
import pytest

from kalshi_lab import Lab, NotFound, UsageError, frames
from kalshi_lab.lab.traffic import STATS
from kalshi_lab.models import Candlestick, Event, Market, Series, Trade
from kalshi_lab.sim import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalshi_lab.models.fields import Record
    from kalshi_lab.sim import Exchange

WEATHER = "KXHIGHNY"


@pytest.fixture(scope="module")
def world() -> World:
    return World(7, open_markets=300)


def test_markets_are_the_open_ones_without_combos(lab: Lab) -> None:
    """By default a frame of the open markets, no combos; with them on request; with the schema of the field table."""
    plain, everything = lab.markets(), lab.markets(combos=True)
    assert (plain.height, everything.height) == (270, 300)
    assert set(plain["status"]) == {"active"}
    assert plain["mve_collection_ticker"].null_count() == 270
    assert lab.markets(exact=True).schema == frames.schema(Market)


def test_filters_choose(lab: Lab) -> None:
    """Status, series, event, tickers and limit choose; tickers are found whatever their status."""
    weather = lab.markets(series=WEATHER, status=None)
    event = weather["event_ticker"][0]
    assert set(lab.markets(event=event, status=None)["ticker"]) == set(weather.filter(event_ticker=event)["ticker"])
    settled = weather.filter(status="finalized")["ticker"].to_list()[:3]
    assert sorted(lab.markets(tickers=settled)["ticker"]) == sorted(settled)
    assert set(lab.markets(status="settled", limit=7)["status"]) == {"finalized"}
    assert lab.markets(limit=7).height == 7
    assert lab.markets(limit=0).height == 0


def test_one_market_live_or_long_settled(lab: Lab, world: World) -> None:
    """A market is found on either side of the cutoff, its outcome is the world's; an unknown one is NotFound."""
    old = min(
        (ticker for ticker in world.tickers() if ticker.startswith(WEATHER)),
        key=lambda ticker: world.names.find_market(ticker) or 0,
    )
    made = lab.market(old)
    assert (made.ticker, made.status) == (old, "finalized")
    assert float(made.settlement_value or 0) == world.outcome(old)
    live = lab.market(lab.markets(limit=1)["ticker"][0])
    assert live.status == "active"
    assert isinstance(live.yes_bid, Decimal)
    with pytest.raises(NotFound, match="/markets/KXNOSUCH-1"):
        lab.market("KXNOSUCH-1")


def test_events_and_series(lab: Lab) -> None:
    """An event comes with its markets, a series with its volume; unknown ones are NotFound."""
    events = lab.events(series=WEATHER)
    assert set(events["series_ticker"]) == {WEATHER}
    event = lab.event(events["event_ticker"][0])
    assert event.series_ticker == WEATHER
    assert [market.event_ticker for market in event.markets] == [event.event_ticker] * len(event.markets)
    assert len(event.markets) == 6
    series = lab.series()
    assert WEATHER in series["ticker"]
    assert (series["volume"] > 0).sum() > 5
    assert set(lab.series(category="Climate and Weather")["ticker"]) < set(series["ticker"])
    assert lab.one_series(WEATHER).ticker == WEATHER
    for missing in (lambda: lab.event("KXNOSUCH-1"), lambda: lab.one_series("KXNOSUCH")):
        with pytest.raises(NotFound):
            missing()


def test_the_book_agrees_with_the_quote(lab: Lab) -> None:
    """The best levels of the order book are the market's own bid and ask, and depth cuts it."""
    for row in (
        lab.markets(exact=True).filter(pl.col("yes_bid") > 0, pl.col("yes_ask") < 1).head(5).iter_rows(named=True)
    ):
        book = lab.orderbook(row["ticker"])
        assert (book.yes_bid, book.yes_ask) == (row["yes_bid"], row["yes_ask"])
        assert len(lab.orderbook(row["ticker"], depth=1).frame()) <= 2


def test_trades_are_those_of_the_window(lab: Lab, exchange: Exchange) -> None:
    """Newest first, inside the window, of one market where one is named, and no more than the limit."""
    now = datetime.fromisoformat(exchange.now()).astimezone(UTC)
    found = lab.trades(since="6h", limit=None)
    assert found.height > 100
    assert found["created_time"].is_sorted(descending=True)
    assert found["created_time"].min() >= now - timedelta(hours=6)  # type: ignore[operator] # a frame of times
    assert found["trade_id"].n_unique() == found.height
    ticker = found["ticker"].mode().sort()[0]
    assert lab.trades(ticker, since="6h", limit=None).equals(found.filter(ticker=ticker), null_equal=True)
    assert lab.trades(since="6h", limit=10).equals(found.head(10), null_equal=True)


def test_candlesticks_on_either_side_of_the_cutoff(lab: Lab, world: World) -> None:
    """Candlesticks of live and of archived markets have one form; volumes add up to the market's own."""
    old = min(
        (ticker for ticker in world.tickers() if ticker.startswith(WEATHER)),
        key=lambda ticker: world.names.find_market(ticker) or 0,
    )
    for ticker in (old, lab.markets(series=WEATHER, status="settled", limit=1)["ticker"][0]):
        market = lab.market(ticker)
        assert market.open_time is not None
        bars = lab.candlesticks(ticker, "1d", since=market.open_time, exact=True)
        assert bars.schema == frames.schema(Candlestick)
        assert bars["end_time"].is_sorted()
        assert bars["volume"].sum() == market.volume
        assert bars.height > 0


def test_nothing_has_the_same_columns(lab: Lab) -> None:
    """A question without an answer gives an empty frame with the columns that an answer has."""
    for found in (lab.markets(series="KXNOSUCH", exact=True), lab.markets(limit=0, exact=True)):
        assert found.is_empty()
        assert found.schema == frames.schema(Market)
    assert lab.trades("KXNOSUCH-1", exact=True).schema == frames.schema(Trade)


def test_floats_by_default_decimals_on_request(lab: Lab) -> None:
    """Frames carry Float64 by default, and with exact=True the same values as decimals."""
    for exact, loose in (
        (lab.markets(limit=50, exact=True), lab.markets(limit=50)),
        (lab.trades(exact=True), lab.trades()),
    ):
        assert frames.floats(exact).equals(loose, null_equal=True)
        assert not [name for name, dtype in loose.schema.items() if isinstance(dtype, pl.Decimal)]
        assert [name for name, dtype in exact.schema.items() if isinstance(dtype, pl.Decimal)]


def test_stats_count_what_was_asked(lab: Lab) -> None:
    """`stats` has a row for each operation with its schema, also before anything was asked."""
    assert lab.stats().schema == STATS
    assert lab.stats().is_empty()
    lab.status()
    lab.status()
    with pytest.raises(NotFound):
        lab.one_series("KXNOSUCH")
    found = lab.stats()
    assert found.schema == STATS
    counted = {row["operation"]: row for row in found.iter_rows(named=True)}
    assert (counted["get_exchange_status"]["attempts"], counted["get_exchange_status"]["failures"]) == (2, 0)
    assert (counted["get_series"]["attempts"], counted["get_series"]["failures"]) == (1, 1)
    assert counted["get_exchange_status"]["received_bytes"] > 100
    assert 0 < counted["get_exchange_status"]["latency_p50"] <= counted["get_exchange_status"]["latency_p99"] < 30


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"enviroment": "sim"}, "Did you mean 'environment'"),
        ({"environment": "simm"}, "Did you mean 'sim'"),
        ({"environment": "prod", "base_url": "https://example.com/trade-api/v2"}, "not the exchange's address"),
        ({"environment": "sim", "attempts": 0}, "attempts"),
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, object], said: str) -> None:
    """An option that does not exist or is not allowed is a UsageError that says so, before anything is started."""
    with pytest.raises(UsageError) as caught:
        Lab(**wrong)  # type: ignore[arg-type] # that is the mistake
    assert said in str(caught.value)


@pytest.mark.parametrize("record", [Market, Event, Series, Trade])
def test_listings_have_the_columns_of_their_field_table(lab: Lab, record: type[Record]) -> None:
    """A frame has the fields of its record in order, then `extra`, empty where this version knows every field."""
    listings: dict[type[Record], Callable[[], pl.DataFrame]] = {
        Market: lambda: lab.markets(limit=20, exact=True),
        Event: lambda: lab.events(limit=20),
        Series: lab.series,
        Trade: lambda: lab.trades(limit=20, exact=True),
    }
    found = listings[record]()
    assert found.columns == frames.schema(record).names()
    assert found["extra"].null_count() == found.height > 0
