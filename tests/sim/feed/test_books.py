"""Books from the stream alone equal the REST answers, whatever happens to them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kalshi_lab import sim
from kalshi_lab.errors import UsageError
from tests.sim.feed.conftest import Member, Stream, rest, rest_books, tickers

BOOK = "orderbook_delta"
CLOSING = "KXBTCD-26NOV2017"


def equal(exchange: sim.Exchange, stream: Stream, names: list[str]) -> None:
    """The stream's books are the exchange's."""
    told, listed = stream.books(), rest_books(exchange, names)
    assert {name: told[name] for name in names} == listed


@pytest.mark.long
@pytest.mark.parametrize("steps", [(1, 59, 60, 600, 3 * 3600, 1)])
def test_books_follow_the_clock(moving: sim.Exchange, steps: tuple[float, ...]) -> None:
    """Snapshot and deltas make the REST book after every step of the clock, in every market, in one running sequence."""

    async def run() -> None:
        names = tickers(moving, 80)
        async with Member(moving).stream() as stream:
            await stream.subscribe(BOOK, market_tickers=names)
            assert stream.count()["orderbook_snapshot"] == len(names)
            equal(moving, stream, names)
            for seconds in steps:
                moving.advance(seconds)
                await stream.settle()
                equal(moving, stream, names)
            stream.check_sequence()
            assert stream.count()["orderbook_delta"] > 500
            assert all(frame["msg"]["delta_fp"] != "0.00" for frame in stream.of("orderbook_delta"))

    asyncio.run(run())


@pytest.mark.long
def test_books_of_touched_and_stirred_markets(moving: sim.Exchange) -> None:
    """Members' orders and stirred sizes are in the stream as they are in the REST book; an own order's change says so to its owner."""
    owner, other = Member(moving), Member(moving)

    async def run() -> None:
        names = tickers(moving, 12, series_ticker="KXHIGHNY")
        ticker = names[0]
        async with owner.stream() as stream, other.stream() as second:
            for one in (stream, second):
                await one.subscribe(BOOK, market_tickers=names)
            before = stream.count()["orderbook_delta"]
            order = owner.order(ticker, "bid", "0.01", "7.50", client_order_id="mine")
            await stream.settle()
            equal(moving, stream, names)
            added = stream.of("orderbook_delta")[before:]
            assert [(one["msg"]["delta_fp"], one["msg"]["side"], one["msg"]["client_order_id"]) for one in added] == [
                ("7.50", "yes", "mine")
            ]
            await second.settle()
            (seen,) = second.of("orderbook_delta")
            assert {**seen["msg"], "client_order_id": "mine"} == added[0]["msg"]
            moving.stir(4000, names)
            await stream.until(lambda _frame: stream.count()["orderbook_delta"] > 1500)
            moving.stir(0)
            moving.tick()
            for one in (stream, second):
                await one.settle()
                equal(moving, one, names)
            owner.call("DELETE", f"/portfolio/events/orders/{order['order_id']}")
            asks = rest(moving, f"/markets/{ticker}/orderbook")["orderbook_fp"]["no_dollars"]
            owner.order(ticker, "bid", "0.99", asks[-1][1], time_in_force="immediate_or_cancel")
            moving.advance(61)
            for one in (stream, second):
                await one.settle()
                equal(moving, one, names)
                one.check_sequence()

    asyncio.run(run())


def test_no_prices_as_yes_prices(shaken: sim.Exchange) -> None:
    """With use_yes_price the NO side comes at the prices of YES, in snapshots and deltas."""

    async def run() -> None:
        names = tickers(shaken, 20)
        async with Member(shaken).stream() as stream:
            await stream.subscribe(BOOK, market_tickers=names, use_yes_price=True)
            shaken.advance(300)
            await stream.settle()
            assert any(frame["msg"]["side"] == "no" for frame in stream.of("orderbook_delta"))
            assert stream.books(yes_prices=True) == rest_books(shaken, names)

    asyncio.run(run())


def test_a_market_that_closes_sends_an_empty_snapshot(moving: sim.Exchange) -> None:
    """At the close a snapshot without sides comes in the running sequence, once, and nothing after it."""

    async def run() -> None:
        names = tickers(moving, 10, event_ticker=CLOSING)
        assert names
        async with Member(moving).stream() as stream:
            await stream.subscribe(BOOK, market_tickers=names)
            for seconds in (3600, 7 * 3600, 3600):
                moving.advance(seconds)
                await stream.settle()
                equal(moving, stream, names)
            last = stream.of("orderbook_snapshot", "orderbook_delta")[-len(names) :]
            assert {frame["msg"]["market_ticker"] for frame in last} == set(names)
            assert all(set(frame["msg"]) == {"market_ticker", "market_id"} for frame in last)
            assert stream.count()["orderbook_snapshot"] == 2 * len(names)
            stream.check_sequence()

    asyncio.run(run())


def test_connections_are_apart(shaken: sim.Exchange) -> None:
    """Each connection has its own sids and numbers; who comes later gets the same books; who leaves a market hears no more of it."""

    async def run() -> None:
        names, member = tickers(shaken, 30), Member(shaken)
        async with member.stream() as first, member.stream() as second:
            await first.subscribe(BOOK, market_tickers=names)
            shaken.advance(120)
            await second.subscribe("ticker")
            await second.subscribe(BOOK, market_tickers=names[:10])
            shaken.advance(120)
            for stream, followed in ((first, names), (second, names[:10])):
                await stream.settle()
                equal(shaken, stream, followed)
                stream.check_sequence()
            await first.ask("update_subscription", sid=1, action="delete_markets", market_tickers=names[5:])
            shaken.advance(120)
            late = await first.settle()
            assert {frame["msg"]["market_ticker"] for frame in late} <= set(names[:5])
            await second.ask("unsubscribe", sids=[2])
            shaken.advance(120)
            assert {frame["type"] for frame in await second.settle()} == {"ticker"}

    asyncio.run(run())


@pytest.mark.long
def test_a_thousand_books_in_live_time() -> None:
    """A live exchange at 100 times the speed keeps many books in sequence, and REST answers come meanwhile."""

    async def run() -> None:
        with sim.start(markets=1200, history_days=5, speed=100.0) as exchange:
            names = tickers(exchange, 1000, mve_filter="exclude")
            async with Member(exchange).stream() as stream:
                await stream.subscribe(BOOK, "trade", market_tickers=names)
                await stream.until(lambda _frame: len(stream.frames) > 8_000)
                rest(exchange, "/exchange/status")
                await stream.settle()
                stream.check_sequence()
                assert len(stream.books()) == len(names)

    asyncio.run(run())


def test_thousands_of_messages_on_one_connection(shaken: sim.Exchange) -> None:
    """The load generator sends thousands of messages on one connection, none lost."""

    async def run() -> None:
        names = tickers(shaken, 50)
        async with Member(shaken).stream(compression=None) as stream:
            await stream.subscribe(BOOK, market_tickers=names)
            shaken.stir(6000)
            start = await stream.until(lambda frame: frame["type"] == "orderbook_delta")
            await stream.until(lambda frame: frame.get("seq", 0) >= start["seq"] + 5000)
            shaken.stir(0)
            shaken.tick()
            await stream.settle()
            equal(shaken, stream, names)
            stream.check_sequence()

    asyncio.run(run())


def test_a_rate_and_its_markets_are_checked(steady: sim.Exchange) -> None:
    """A rate out of range and a ticker that does not exist are refused with what is allowed."""
    wrong: list[dict[str, Any]] = [
        {"messages_per_second": -1}, {"messages_per_second": 1e9}, {"messages_per_second": 1, "tickers": ["KXNOSUCH-1"]},
    ]  # fmt: skip
    for options in wrong:
        with pytest.raises(UsageError, match="refused POST /sim/stir"):
            steady.stir(**options)
