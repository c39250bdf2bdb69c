"""Every recorded object comes back from the client field by field: nothing dropped, nothing rounded, nothing made up."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from polars.testing import assert_frame_equal

import kalshi_lab as kl
from kalshi_lab import frames
from kalshi_lab.door import Call
from kalshi_lab.models import Candlestick, Event, ExchangeStatus, Market, Record, Series, Trade, columns
from tests.real.faithful import content, differences

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

    from tests.kalshi.scripted import Scripted
    from tests.real.replay import Recorded, Row

pytestmark = pytest.mark.recordings
SERIES = ["KXMLBKS", "KXMLBTB", "KXNFLGAME"]
SETTLED = ["KXMLBGAME", "KXWNBAGAME", "KXNFLGAME"]


def faithful(record: type[Record], wires: Iterable[Row], frame: pl.DataFrame, key: str) -> int:
    """How many rows were compared; fails with the differences of the first that is not what the wire said."""
    rows = {row[key]: row for row in frame.iter_rows(named=True)}
    wires = list(wires)
    assert frame.height == len(rows) == len(wires)
    for wire in wires:
        assert differences(record, wire, rows[wire[key]]) == []
    return len(wires)


def same_as_objects(frame: pl.DataFrame, objects: list[Any]) -> None:
    """The road of objects leads to the same frame; JSON text is compared by its value."""
    kind: type[Record] = type(objects[0])
    other = frames.of(objects, exact=True)
    nested = [column for column in columns(kind) if column.kind == "json"]
    assert_frame_equal(frame.drop([one.name for one in nested]), other.drop([one.name for one in nested]))
    for column in nested:
        held = [[content(column, value) for value in one.get_column(column.name)] for one in (frame, other)]
        assert held[0] == held[1]


@pytest.mark.parametrize("series", SERIES)
def test_events(series: str, kalshi: kl.Kalshi, recorded: Recorded) -> None:
    """Events as a frame, and as objects with their markets."""
    listing = kalshi.events.list(series=series)
    frame = listing.frame(exact=True)
    assert faithful(Event, recorded.events[series], frame, "event_ticker") == len(recorded.events[series])
    events = list(kalshi.events.list(series=series, markets=True))
    same_as_objects(frame, events)
    assert listing.refused == []
    wires = [wire for event in recorded.events[series] for wire in event["markets"]]
    markets = [market for event in events for market in event.markets]
    assert faithful(Market, wires, frames.of(markets, exact=True), "ticker") == len(wires) > 0


def test_one_event(kalshi: kl.Kalshi, recorded: Recorded) -> None:
    """An event asked for by its ticker has the markets that it was recorded with."""
    wire = recorded.events["KXMLBKS"][0]
    event = kalshi.events.one(wire["event_ticker"])
    faithful(Event, [wire], frames.of([event], exact=True), "event_ticker")
    faithful(Market, wire["markets"], frames.of(event.markets, exact=True), "ticker")


@pytest.mark.parametrize("series", SETTLED)
def test_settled_markets(series: str, kalshi: kl.Kalshi, recorded: Recorded) -> None:
    """Settled markets with their results and payouts, by both roads."""
    wires = [row for row in recorded.settled if row["ticker"].split("-")[0] == series and row["status"] == "finalized"]
    listing = kalshi.markets.list(series=series, status="settled")
    frame = listing.frame(exact=True)
    faithful(Market, wires, frame, "ticker")
    same_as_objects(frame, list(kalshi.markets.list(series=series, status="settled")))
    assert set(frame.get_column("result")) == {"yes", "no"}
    assert listing.refused == []


def test_every_single_market(kalshi: kl.Kalshi, recorded: Recorded) -> None:
    """Every market recorded alone: games, combos with their legs, the legs."""
    wires = recorded.markets
    markets = [kalshi.markets.one(ticker) for ticker in wires]
    assert faithful(Market, wires.values(), frames.of(markets, exact=True), "ticker") == 86
    combos = [market for market in markets if market.mve_selected_legs]
    assert len(combos) == len(recorded.combos)
    assert all(market.is_combo for market in combos)


def test_live_candlesticks(kalshi: kl.Kalshi, recorded: Recorded) -> None:
    """Candlesticks of live markets, from the series' endpoint and from the batch endpoint alike."""
    for ticker, recording in recorded.candles.items():
        ends = [row["end_period_ts"] for row in recording["rows"]]
        asked: dict[str, Any] = {"since": min(ends) - 3600, "until": max(ends) + 3600, "exact": True}
        named = kalshi.markets.candlesticks(ticker, recording["minutes"], series="KXA", **asked)
        assert_frame_equal(named, kalshi.markets.candlesticks(ticker, recording["minutes"], **asked))
        assert candles(recording["rows"], named) == [[]] * len(recording["rows"])


def test_historical_candlesticks(kalshi: kl.Kalshi, recorded: Recorded) -> None:
    """The historical endpoint's other names and its nulls come to the same columns."""
    for ticker, recording in recorded.old_candles.items():
        frame = kalshi.historical.candlesticks(ticker, "1d", since=1, until="2026-11-22", exact=True)
        assert candles(recording["rows"], frame) == [[]] * 4
        assert frame.get_column("price_close").to_list() == [Decimal("0.05"), Decimal("0.04"), None, None]


def candles(wires: list[Row], frame: pl.DataFrame) -> list[list[str]]:
    rows = list(frame.iter_rows(named=True))
    return [differences(Candlestick, wire, row) for wire, row in zip(wires, rows, strict=True)]


def test_trades(kalshi: kl.Kalshi, recorded: Recorded) -> None:
    """Trades to the hundredth of a contract, over a cursor with an empty page behind it."""
    frame = kalshi.markets.trades().frame(exact=True)
    assert faithful(Trade, recorded.trades["trades"], frame, "trade_id") == 12
    same_as_objects(frame, list(kalshi.markets.trades()))
    assert Decimal("113.90") in frame.get_column("count").to_list()


def test_order_books(kalshi: kl.Kalshi, recorded: Recorded) -> None:
    """Every level of every book, best first, single or in a batch; asks are the other side's bids turned over."""
    batch = {book.ticker: book for book in kalshi.markets.orderbooks(recorded.books)}
    assert len(batch) == 23
    for ticker, wire in recorded.books.items():
        book = kalshi.markets.orderbook(ticker)
        assert book == batch[ticker]
        for side, held in (("yes_dollars", book.yes_bids), ("no_dollars", book.no_bids)):
            levels = [(Decimal(price), Decimal(size)) for price, size in wire.get(side) or []]
            assert list(held) == sorted(levels, reverse=True)
        assert [1 - price for price, _ in book.asks] == [price for price, _ in book.no_bids]
        assert book.frame(exact=True).height == len(book.yes_bids) + len(book.no_bids)


def test_series(kalshi: kl.Kalshi, recorded: Recorded) -> None:
    """Series with their fees, one by one and listed."""
    wires = [payload["series"] for payload in recorded.series.values()]
    frame = kalshi.series.list().frame(exact=True)
    assert faithful(Series, wires, frame, "ticker") == 4
    same_as_objects(frame, [kalshi.series.one(wire["ticker"]) for wire in wires])


def test_exchange_status(kalshi: kl.Kalshi, recorded: Recorded) -> None:
    """The exchange's status with every shard of it."""
    frame = frames.of([kalshi.exchange.status()], exact=True)
    assert differences(ExchangeStatus, recorded.status, frame.row(0, named=True)) == []
    assert recorded.status["exchange_index_statuses"][3]["description"] == "Tennis, Baseball, Basketball"


def test_an_unknown_market_is_not_found(kalshi: kl.Kalshi) -> None:
    """The recorded 404 is a NotFound with the exchange's own code and words."""
    with pytest.raises(kl.NotFound, match=r"^the exchange answered 404 \(not_found\): not found") as error:
        kalshi.markets.one("KXNOSUCH-1")
    assert (error.value.status, error.value.code, error.value.attempts) == (404, "not_found", 1)


def test_a_wrong_filter_is_a_bad_request(replay: Scripted) -> None:
    """The recorded 400 is a BadRequest with the exchange's details."""

    async def ask() -> None:
        async with kl.AsyncKalshi(settings=replay.settings()) as client:
            await client.door.send(Call("get_markets", "/markets", (("status", "finalized"),)))

    with pytest.raises(kl.BadRequest, match=r"400 \(bad_request\): bad request \(invalid status filter\)"):
        asyncio.run(ask())
