"""What a lab keeps of the recordings is what the exchange said, field by field, after the store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab.clock import SystemClock
from kalshi_lab.models import Candlestick, Event, Market, Record, Series, Trade
from tests.real.faithful import differences
from tests.real.replay import bare

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.kalshi.scripted import Scripted
    from tests.real.replay import Recorded, Row

pytestmark = pytest.mark.recordings
GAMES = ["KXMLBGAME", "KXWNBAGAME", "KXNFLGAME"]


class Later(SystemClock):
    """A clock that stands after everything that was recorded."""

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 14, tzinfo=UTC)


@pytest.fixture
def lab(replay: Scripted, tmp_path: Path) -> Iterator[kl.Lab]:
    with kl.Lab(settings=replay.settings(home=tmp_path), clock=Later()) as made:
        yield made


def kept(lab: kl.Lab, table: str, record: type[Record], wires: Iterable[Row], *keys: str) -> int:
    """How many rows the table has; every one is what the wire said."""
    frame = lab.table(table, exact=True)
    rows = {tuple(row[key] for key in keys): row for row in frame.iter_rows(named=True)}
    assert len(rows) == frame.height
    by_key = {tuple(wire[key] for key in keys): wire for wire in wires}
    assert rows.keys() == by_key.keys()
    for key, wire in by_key.items():
        assert differences(record, wire, rows[key]) == []
    return len(rows)


def whole(result: kl.SyncResult) -> bool:
    """Whether the counts balance and no row was put aside."""
    return result.received == result.stored + result.duplicate and result.quarantined == 0


def test_events_and_their_markets(lab: kl.Lab, recorded: Recorded) -> None:
    """Events with nested markets, of all recorded series, in their two tables; again, and nothing doubles."""
    for series in recorded.events:
        assert whole(lab.sync("events", series=series, nested=True, progress=False))
    events = [event for rows in recorded.events.values() for event in rows]
    markets = [market for event in events for market in event["markets"]]
    assert kept(lab, "events", Event, events, "event_ticker") == 40
    assert kept(lab, "markets", Market, markets, "ticker") == len(markets)
    for series in recorded.events:
        lab.sync("events", series=series, nested=True, resume=False, progress=False)
    assert (lab.table("events").height, lab.table("markets").height) == (40, len(markets))


def test_settled_markets_and_their_results(lab: kl.Lab, recorded: Recorded) -> None:
    """Lesson 15: settled markets, and their outcomes as the exchange recorded them."""
    for series in GAMES:
        assert whole(lab.sync("markets", status="settled", series=series, progress=False))
    wires = [row for row in recorded.settled if row["status"] == "finalized"]
    assert kept(lab, "markets", Market, wires, "ticker") == 42
    results = dict(lab.table("results").select("ticker", "result").iter_rows())
    assert results == {row["ticker"]: row["result"] for row in wires}


def test_candlesticks(lab: kl.Lab, recorded: Recorded) -> None:
    """Candlesticks of live markets and of one that only the historical endpoint has."""
    every = recorded.candles | recorded.old_candles
    for ticker, recording in every.items():
        ends = [row["end_period_ts"] for row in recording["rows"]]
        asked: dict[str, Any] = {"interval": recording["minutes"], "since": ends[0], "until": ends[-1] + 60}
        done = lab.sync("candlesticks", tickers=[ticker], progress=False, **asked)
        assert whole(done)
        assert done.stored == len(recording["rows"])
    frame = lab.table("candlesticks", exact=True)
    assert frame.height == sum(len(recording["rows"]) for recording in every.values())
    for ticker, recording in every.items():
        own = [row for row in frame.sort("end_time").iter_rows(named=True) if row["ticker"] == ticker]
        for wire, row in zip(recording["rows"], own, strict=True):
            assert differences(Candlestick, wire, row) == []


def test_trades(lab: kl.Lab, recorded: Recorded) -> None:
    """Trades of the recorded markets."""
    wires = recorded.trades["trades"]
    tickers = sorted({wire["ticker"] for wire in wires})
    assert whole(lab.sync("trades", tickers=tickers, since="2026-01-01", progress=False))
    assert kept(lab, "trades", Trade, wires, "trade_id") == 12
    assert kept(lab, "markets", Market, map(bare, tickers), "ticker") == len(tickers)


def test_series(lab: kl.Lab, recorded: Recorded) -> None:
    """Series with their fees."""
    assert whole(lab.sync("series", progress=False))
    assert kept(lab, "series", Series, [one["series"] for one in recorded.series.values()], "ticker") == 4
