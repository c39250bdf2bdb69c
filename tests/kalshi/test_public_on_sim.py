"""The public families on the simulated exchange, over a real socket, held against its raw answers."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import kalshi_lab as kl
from kalshi_lab import frames, models
from kalshi_lab.kalshi import candles
from tests.real.faithful import differences, leftover

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kalshi_lab.sim import Exchange

SERIES = "KXHIGHNY"


@pytest.fixture(scope="module")
def client(exchange: Exchange) -> Iterator[kl.Kalshi]:
    with kl.Kalshi(environment="sim", base_url=exchange.url, tier="prestige") as opened:
        yield opened


@pytest.fixture(scope="module")
def event(client: kl.Kalshi) -> kl.Event:
    """The open event of several markets that has traded longest."""
    listed = client.events.list(series=SERIES, status="open", markets=True)
    return min(listed, key=lambda one: one.markets[0].open_time or datetime.max.replace(tzinfo=UTC))


@pytest.fixture(scope="module")
def now(client: kl.Kalshi) -> datetime:
    """The exchange's own time, which stands still."""
    found = client.exchange.user_data_time().as_of_time
    assert found is not None
    return found


def raw(exchange: Exchange, path: str) -> Any:
    with urllib.request.urlopen(exchange.url + path, timeout=20) as answer:  # noqa: S310 - the loopback exchange
        return json.loads(answer.read())


def test_the_exchange_family(client: kl.Kalshi, exchange: Exchange) -> None:
    """API-10: status by shard, sessions, freshness and changes of fees, with no field left over."""
    found = [client.exchange.status(), client.exchange.schedule(), client.exchange.user_data_time()]
    changes = client.exchange.series_fee_changes(historical=True)
    assert sorted(set(leftover([*found, *changes]))) == []
    assert [one.exchange_index for one in found[0].exchange_index_statuses or ()] == [0, 1, 2, 3]
    assert found[2].as_of_time is not None
    wires = raw(exchange, "/series/fee_changes?show_historical=true")["series_fee_change_arr"]
    assert changes.frame(exact=True).height == len(wires)


def test_the_event_family(client: kl.Kalshi, event: kl.Event, exchange: Exchange) -> None:
    """API-7: an event alone and in lists, its pictures and sources, its changes of fees, and combos apart."""
    alone = client.events.one(event.event_ticker)
    assert {one.ticker for one in alone.markets} == {one.ticker for one in event.markets}
    metadata = client.events.metadata(event.event_ticker)
    combos = list(client.events.multivariate(markets=True, limit=5))
    changes = list(client.events.fee_changes(limit=50))
    assert sorted(set(leftover([alone, metadata, *combos, *changes]))) == []
    wire = raw(exchange, f"/events/{event.event_ticker}/metadata")
    row = frames.of([metadata], exact=True).row(0, named=True)
    assert differences(models.EventMetadata, wire, row) == []
    assert all(market.is_combo for one in combos for market in one.markets)
    listed = {one.event_ticker for one in client.events.list(status="open")}
    assert not listed & {one.event_ticker for one in combos}


def test_candlesticks_are_the_same_from_every_endpoint(client: kl.Kalshi, event: kl.Event, now: datetime) -> None:
    """API-6: one market, a batch of markets and an event give the same candlesticks."""
    window: dict[str, Any] = {"since": now - timedelta(days=3), "until": now, "exact": True}
    tickers = sorted(market.ticker for market in event.markets)
    alone = [client.markets.candlesticks(one, "1h", series=SERIES, **window) for one in tickers]
    batch = client.markets.batch_candlesticks(tickers, "1h", **window)
    whole = client.events.candlesticks(event.event_ticker, "1h", **window)
    assert batch.height > 0
    assert_frame_equal(pl.concat(alone).sort("ticker", "end_time"), batch)
    assert_frame_equal(batch, whole)
    assert batch.get_column("extra").null_count() == batch.height


def test_the_state_before_a_window_comes_first(client: kl.Kalshi, event: kl.Event, now: datetime) -> None:
    """API-6: latest_before adds one candlestick without trades of its own, and changes nothing behind it."""
    ticker = event.markets[0].ticker
    window: dict[str, Any] = {"since": now - timedelta(hours=6), "until": now, "exact": True, "series": SERIES}
    plain = client.markets.candlesticks(ticker, "1h", **window)
    led = client.markets.candlesticks(ticker, "1h", latest_before=True, **window)
    assert plain.height > 2
    assert led.height - plain.height in {0, 1}
    assert_frame_equal(led.tail(plain.height - 1), plain.tail(plain.height - 1))


def test_a_long_window_is_cut_and_joined(
    client: kl.Kalshi, event: kl.Event, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """API-6: a window of more candlesticks than one answer may hold gives the same frame from several answers."""
    ticker, window = event.markets[0].ticker, {"since": now - timedelta(days=1), "until": now, "exact": True}
    whole = client.markets.candlesticks(ticker, "1m", series=SERIES, **window)
    together = client.markets.batch_candlesticks([ticker], "1m", **window)
    monkeypatch.setattr(candles, "MOST_ALONE", 200)
    monkeypatch.setattr(candles, "MOST", 300)
    assert whole.height > 1000
    assert_frame_equal(whole, client.markets.candlesticks(ticker, "1m", series=SERIES, **window))
    assert_frame_equal(whole, client.markets.candlesticks(ticker, "1m", **window))
    assert_frame_equal(together, client.markets.batch_candlesticks([ticker], "1m", **window))


def test_windows_of_a_listing_hold_what_they_say(client: kl.Kalshi, now: datetime) -> None:
    """API-1: a window of creation, of closing or of settlement gives the markets in it, and only those."""
    since = now - timedelta(days=3)
    settled = client.markets.list(settled=(since, None), status="settled").frame()
    created = client.markets.list(created=(since, now), status="open").frame()
    assert settled.height > 0
    assert created.height > 0
    assert settled.select((pl.col("settlement_ts") >= since - timedelta(seconds=1)).all()).item()
    assert created.select(pl.col("created_time").is_between(since - timedelta(seconds=1), now).all()).item()


def test_limits_and_truncation(client: kl.Kalshi) -> None:
    """API-2, API-3, API-5, lessons 5 and 6: exactly as many rows as asked for, none twice, and whether there were more."""
    for pages, wanted in (
        (client.markets.trades(limit=0), 0),
        (client.markets.trades(limit=7), 7),
        (client.markets.trades(limit=1300), 1300),
        (client.events.list(limit=3), 3),
    ):
        frame = pages.frame()
        assert (frame.height, pages.truncated, pages.duplicates) == (wanted, True, 0)
    every = client.series.list()
    assert every.frame().get_column("ticker").is_unique().all()
    assert not every.truncated


def test_the_browse_path(client: kl.Kalshi) -> None:
    """API-9, lesson 13: from a category to its series to their markets, with the series' category where markets have none."""
    series = client.series.list(category="Climate and Weather", volume=True).frame()
    assert series.get_column("volume").null_count() == 0
    ticker = series.item(0, "ticker")
    assert client.series.one(ticker, volume=True).volume is not None
    found = client.markets.list(series=SERIES, status="open").frame()
    assert found.height > 0
    assert "category" not in found.columns


def test_books_are_bids_and_their_complements(client: kl.Kalshi, event: kl.Event) -> None:
    """API-4: the YES ask is one minus the best NO bid, at any depth, and an unknown market has an empty book."""
    tickers = [market.ticker for market in event.markets]
    books = client.markets.orderbooks([*tickers, "KXNOBODY-1"])
    assert books[-1].frame().height == 0
    for book in books[:-1]:
        assert client.markets.orderbook(book.ticker, depth=1).yes_bid == book.yes_bid
        if book.no_bids:
            assert book.yes_ask == 1 - max(price for price, _ in book.no_bids)


def test_the_awaited_face_gives_the_same(client: kl.Kalshi, event: kl.Event, exchange: Exchange, now: datetime) -> None:
    """The awaited client's frames and records equal those of the blocking one."""
    window: dict[str, Any] = {"since": now - timedelta(days=2), "until": now, "exact": True}

    async def ask() -> tuple[Any, ...]:
        async with kl.AsyncKalshi(environment="sim", base_url=exchange.url, tier="prestige") as awaited:
            return (
                await awaited.events.candlesticks(event.event_ticker, **window),
                await awaited.events.metadata(event.event_ticker),
                await awaited.exchange.series_fee_changes(historical=True).frame(exact=True),
                await awaited.events.fee_changes().frame(exact=True),
            )

    bars, metadata, series_fees, event_fees = asyncio.run(ask())
    assert_frame_equal(bars, client.events.candlesticks(event.event_ticker, **window))
    assert metadata == client.events.metadata(event.event_ticker)
    assert_frame_equal(series_fees, client.exchange.series_fee_changes(historical=True).frame(exact=True))
    assert_frame_equal(event_fees, client.events.fee_changes().frame(exact=True))
