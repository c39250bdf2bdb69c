"""Each message as a row: exact numbers, the exchange's times, unknown fields kept, and what cannot be read put aside."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from kalshi_lab.ingest.intake import Intake
from kalshi_lab.ingest.stream_rows import Reader, Rows
from kalshi_lab.kalshi.notices import Disconnected, Gap, Missed, Reconnected
from tests.recorder.conftest import until
from tests.recorder.desk import BEGAN, A, B, Desk, milliseconds
from tests.recorder.scripted import NOW, frame

LATER = BEGAN + timedelta(seconds=5)


def read(*items: Any, now: datetime = LATER) -> tuple[Rows, Reader]:
    """What a reader makes of items as they arrive."""
    intake, reader = Intake(1000, lambda: 0.0), Reader("r1", lambda: BEGAN)
    reader.now = lambda: now
    for item in items:
        intake.take(frame(item) if isinstance(item, bytes) else item)
    return reader.read(intake.batch()), reader


def test_a_ticker_is_a_tick() -> None:
    """WS-3: exact to the last decimal, with the fields that this version does not know."""
    row = read(Desk().ticker(A))[0].tables()["ticks"].to_dicts()[0]
    assert (row["ticker"], row["time"], row["received_at"], row["frame"]) == (A, BEGAN, NOW, 1)
    assert (row["yes_bid"], row["yes_ask_size"], row["dollar_volume"]) == (Decimal("0.400000"), Decimal("50.00"), 420)
    assert row["extra"] == '{"mood":"fair"}'


def test_a_trade_is_a_trade_of_the_exchange() -> None:
    """The columns are those of REST trades, so that both fill one table."""
    row = read(Desk().trade(B))[0].tables()["trades"].to_dicts()[0]
    assert row == {
        "trade_id": "trade-000000", "ticker": B, "created_time": BEGAN, "yes_price": Decimal("0.420000"),
        "no_price": Decimal("0.580000"), "count": Decimal("3.50"), "taker_outcome_side": "yes", "taker_book_side": "bid",
        "taker_side": "yes", "is_block_trade": False, "extra": None, "run_id": "r1", "seen_at": NOW,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "time"),
    [
        ({}, BEGAN),
        ({"sending_ts_ms": None, "msg": {"ts_ms": milliseconds(BEGAN) + 250}}, BEGAN + timedelta(milliseconds=250)),
        ({"sending_ts_ms": None, "msg": {"ts_ms": None, "ts": milliseconds(BEGAN) // 1000 + 7}}, BEGAN + timedelta(seconds=7)),
        ({"sending_ts_ms": None, "msg": {"ts_ms": None, "ts": None}}, NOW),
        ({"sending_ts_ms": 10**18}, BEGAN),
    ],
    ids=["sent", "happened", "happened, in seconds", "received", "out of range"],
)  # fmt: skip
def test_the_time_is_the_exchange_s_where_it_says_one(change: dict[str, Any], time: datetime) -> None:
    """When it was sent, or else when it happened, or else when it arrived."""
    said = json.loads(Desk().ticker(A))
    said["msg"] |= change.pop("msg", {})
    assert read(json.dumps(said | change).encode())[0].tables()["ticks"]["time"].to_list() == [time]


ODD: list[tuple[str, str, str]] = [
    ("delta", '"price_dollars": "1.5000"', "beyond 0 to 1 dollar"),
    ("delta", '"price_dollars": "0.1234567"', "at most 6 decimals"),
    ("delta", '"price_dollars": 42', "text"),
    ("delta", '"side": "maybe"', "side 'maybe'"),
    ("snapshot", '"yes_dollars_fp": [["0.4"]]', "index"),
    ("snapshot", '"yes_dollars_fp": 5', "iterable"),
    ("ticker", '"volume_fp": "1.234"', "at most 2 decimals"),
    ("ticker", '"market_ticker": null', "market_ticker is no text"),
    ("trade", '"trade_id": 5', "trade_id is no text"),
]


@pytest.mark.parametrize(("kind", "part", "reason"), ODD, ids=[f"{kind} {part}" for kind, part, _ in ODD])
def test_what_cannot_be_read_is_put_aside(kind: str, part: str, reason: str) -> None:
    """P3: the message as received, with the reason; where a book misses it, that is a gap of this book."""
    raw = json.loads(getattr(Desk(), kind)(A))
    raw["msg"] |= json.loads("{" + part + "}")
    rows, _ = read(json.dumps(raw).encode(), Desk().ticker(B))
    assert len(rows.refused) == 1
    assert reason in rows.refused[0]["reason"]
    assert json.loads(rows.refused[0]["raw"]) == raw
    assert list(rows.tables()) == ["ticks"]
    wanted = [("unreadable", [A], 1)] if kind in {"delta", "snapshot"} else []
    assert [(gap.reason, gap.tickers, gap.lost) for gap in rows.gaps] == wanted


def test_messages_of_an_unknown_kind_are_put_aside() -> None:
    """P3: a kind that this version does not know, and what is no JSON, are kept as received."""
    desk = Desk()
    broken = frame(desk.ticker(A))
    rows, _ = read(desk.frame("mood_ring", 9, {"mood": "fair"}), type(broken)(NOW, 1, None, None, "", "", b"{oops"))
    assert [row["raw"][:10] for row in rows.refused] == ['{"type": "', "{oops"]
    assert "mood_ring" in rows.refused[0]["reason"]
    assert rows.gaps == []


def test_gaps_lie_between_what_was_heard() -> None:
    """P6: a gap of one subscription lasts from what it said last to what it says next; a lost connection until all stands again."""
    desk = Desk()
    first = desk.snapshot(A)
    desk.tick(1)
    trade = desk.trade(A)
    desk.tick(1)
    rows, reader = read(first, trade, Gap(1, 1, "orderbook_delta", 2, 5, (A, B), NOW), desk.ticker(A))
    assert (rows.gaps, reader.kept_until) == ([], BEGAN)
    rows = reader.read([])
    intake = Intake(10, lambda: 0.0)
    intake.frame = 10
    desk.tick(1)
    for item in (frame(desk.delta(A)), Disconnected(1, NOW), Reconnected(2, NOW, NOW, ()), Missed({"ticker": 3}, NOW)):
        intake.take(item)
    rows = reader.read(intake.batch())
    found = [(gap.reason, gap.since, gap.until, gap.lost) for gap in rows.gaps]
    assert found == [
        ("sequence", BEGAN, BEGAN + timedelta(seconds=3), 3),
        ("connection", BEGAN + timedelta(seconds=3), LATER, None),
    ]
    assert [(gap.reason, gap.since, gap.until) for gap in reader.close(LATER)] == [
        ("behind", BEGAN + timedelta(seconds=3), LATER)
    ]
    assert intake.wants_snapshots


def test_what_came_is_stored_known_or_put_aside(recording_on: Any) -> None:
    """P3: trades balance: received = stored + known + quarantined; a trade that REST brought first is known by its id."""
    desk = Desk()

    async def work() -> None:
        async with recording_on(A, channels=("trade",)) as (lab, recording, stream):
            again = [desk.trade(A), desk.trade(A)]
            odd = desk.trade(A).replace(b'"count_fp": "3.50"', b'"count_fp": "3.505"')
            stream.send(*again, *again, odd)
            await until(lambda: recording.stats.frames.get("trade") == 5)
            stats = recording.stats
            assert (stats.stored["trades"], stats.known, stats.quarantined) == (2, 2, 1)
            assert (await lab.sql("SELECT dataset, run_id FROM quarantine")).rows() == [("stream", recording.recording)]
            from_rest = read(desk.trade(A))[0].tables()["trades"]
            finer = from_rest.with_columns(created_time=from_rest["created_time"] + timedelta(microseconds=321))
            from kalshi_lab.store import writes

            stored = await lab.store.write(
                lambda connection: writes.insert_new(connection, "trades", ["trade_id"], finer, within="created_time")
            )
            stream.send(desk.frame("trade", 2, json.loads(frame_of(desk, finer["trade_id"][0]))))
            await until(lambda: recording.stats.frames.get("trade") == 6)
            assert (stored, recording.stats.known) == (1, 3)

    asyncio.run(work())


def frame_of(desk: Desk, trade_id: str) -> str:
    """The message of a trade once more."""
    msg = json.loads(desk.trade(A))["msg"]
    return json.dumps(msg | {"trade_id": trade_id})
