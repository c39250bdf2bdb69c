"""What arrives: typed messages of every channel, books, sequence numbers, and what cannot be read."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab.kalshi.connection import Connection
from kalshi_lab.kalshi.notices import Gap
from kalshi_lab.kalshi.received import Received
from kalshi_lab.models import fields
from kalshi_lab.models.stream import MESSAGES, BookDelta, Message, PositionChange, Tick
from tests.fakes import FakeClock
from tests.operations.contract import sample

if TYPE_CHECKING:
    from tests.stream.server import StreamServer

WS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "contract.json").read_text(encoding="utf-8"))["ws"][
    "messages"
]
DELTA = {
    "market_ticker": "KX-A",
    "market_id": "m",
    "price_dollars": "0.4150",
    "delta_fp": "5.50",
    "side": "yes",
    "ts_ms": 1795200000123,
}
TICK = {
    "market_ticker": "KX-A",
    "market_id": "m",
    "price_dollars": "0.4100",
    "yes_bid_dollars": "0.4000",
    "ts_ms": 1795200000123,
}


def filled(kind: str) -> dict[str, Any]:
    """A message of a type with every field of the contract."""
    return {name: sample(row["type"], row) for name, row in WS[kind]["msg"].items()}


@pytest.mark.parametrize("kind", WS)
def test_every_message_of_the_contract_is_typed(kind: str) -> None:
    """WS-3: every field of every message has its place; none is left over."""
    known = {wire for column in fields.columns(MESSAGES[kind]) for wire in column.wires}
    assert WS[kind]["msg"].keys() <= known


def test_messages_arrive_typed(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-3, lesson 17: a delta is {price, delta, side}, exact; a trade has the real fields; a position is `market_position`."""
    with kalshi.stream(["orderbook_delta", "ticker", "trade", "market_positions"], tickers="KX-A") as stream:
        server.tell("orderbook_delta", "orderbook_delta", DELTA)
        server.tell("ticker", "ticker", TICK)
        server.tell("trade", "trade", filled("trade"))
        server.tell("market_positions", "market_position", filled("market_position"))
        found = [next(iter(stream)) for _ in range(5)]
    snapshot, delta, tick, trade, position = found
    assert [one.type for one in found] == [
        "orderbook_snapshot",
        "orderbook_delta",
        "ticker",
        "trade",
        "market_position",
    ]
    assert isinstance(delta, BookDelta)
    assert (delta.price, delta.delta, delta.side) == (Decimal("0.4150"), Decimal("5.50"), "yes")
    assert isinstance(tick, Tick)
    assert (tick.yes_bid, tick.at and tick.at.isoformat()) == (Decimal("0.4000"), "2026-11-20T18:40:00.123000+00:00")
    assert isinstance(position, PositionChange)
    assert not any(one.model_extra for one in (snapshot, delta, tick, trade, position))


def test_books_are_kept_whether_or_not_anybody_reads(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-3: snapshot and deltas make a book; `latest` and `frame` show what came."""
    server.books["KX-A"] = {"yes_dollars_fp": [["0.4000", "10.00"]], "no_dollars_fp": [["0.5000", "7.00"]]}
    with kalshi.stream(["orderbook_delta", "ticker"], tickers="KX-A") as stream:
        server.tell("orderbook_delta", "orderbook_delta", DELTA)
        server.tell("ticker", "ticker", TICK)
        assert len(list(stream.messages(timeout=0.3))) == 3
        book = stream.books["KX-A"]
        assert book.bids()[0] == (Decimal("0.4150"), Decimal("5.50"))
        assert book.asks()[0] == (Decimal("0.5000"), Decimal("7.00"))
        assert stream.latest["ticker", "KX-A"].price == Decimal("0.4100")  # type: ignore[attr-defined]
        frame = stream.frame("orderbook_delta", exact=True)
        assert frame.select("ticker", "side", "price", "delta").rows() == [
            ("KX-A", "yes", Decimal("0.415"), Decimal("5.5"))
        ]
        assert stream.frame("fill").height == 0
        with pytest.raises(kl.UsageError, match="Did you mean 'ticker'"):
            stream.frame("tickr")


def test_a_gap_is_told_and_mended(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-3, F22: numbers left out are told, the books of the subscription are stale until the snapshots that are asked for by itself."""
    with kalshi.stream("orderbook_delta", tickers=["KX-A", "KX-B"]) as stream:
        server.tell("orderbook_delta", "orderbook_delta", DELTA, skip=3)
        server.wait(lambda: bool(server.asked("update_subscription")))
        found = list(stream.messages(timeout=0.3))
        gap = next(one for one in found if isinstance(one, Gap))
        assert (gap.channel, gap.expected, gap.received, gap.tickers) == ("orderbook_delta", 3, 6, ("KX-A", "KX-B"))
        assert server.asked("update_subscription")[0]["action"] == "get_snapshot"
        assert not stream.books["KX-A"].stale
        assert list(stream.books["KX-A"].bids()) == [(Decimal("0.4000"), Decimal("10.00"))]
        assert stream.gaps == (gap,)


def test_control_frames_count_in_the_sequence(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """Lesson 17: an `ok` consumes a number, so adding markets makes no gap."""
    with kalshi.stream("orderbook_delta", tickers="KX-A") as stream:
        stream.add(["KX-B", "KX-C"])
        server.tell("orderbook_delta", "orderbook_delta", DELTA)
        assert len(list(stream.messages(timeout=0.3))) == 4
        assert stream.gaps == ()
        assert sorted(stream.books) == ["KX-A", "KX-B", "KX-C"]


def test_what_came_twice_counts_once(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """F22: the same number again is dropped and counted; the book took it once."""
    with kalshi.stream("orderbook_delta", tickers="KX-A") as stream:
        server.tell("orderbook_delta", "orderbook_delta", DELTA)
        server.tell("orderbook_delta", "orderbook_delta", DELTA, again=True)
        assert len(list(stream.messages(timeout=0.3))) == 2
        assert stream.books["KX-A"].bids()[0] == (Decimal("0.4150"), Decimal("5.50"))
        assert stream._twin.duplicates == 1


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "of_tomorrow", "sid": 1, "msg": {"market_ticker": "KX-A", "what": 5}},
        {"type": "ticker", "sid": 1, "msg": {"market_ticker": "KX-A", "price_dollars": 42}},
        {"type": "ticker", "sid": 1, "msg": ["no object"]},
        {"type": "ticker", "sid": 1, "msg": None},
        {"type": "ticker", "sid": 1, "msg": {"market_ticker": "KX-A", "mystery": True, "yes_bid_dollars": "0.4"}},
        "no JSON at all",
        '["a list"]',
        b"\xff\xfe",
        "{}",
    ],
    ids=str,
)
def test_odd_frames_end_nothing(frame: Any, server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-2 ⚠, WS-3 ⚠: what cannot be read is delivered as a plain message with its reason; the next one comes as ever."""
    with kalshi.stream("ticker") as stream:
        server.send(frame)
        server.tell("ticker", "ticker", TICK)
        odd, tick = list(stream.messages(timeout=0.3))
        assert isinstance(odd, Message)
        assert isinstance(tick, Tick)
        assert not tick.problem


def test_recorded_frames_are_read(recordings: Path) -> None:
    """Lesson 17: snapshots, deltas, acks as recorded: read with nothing left over."""
    found = json.loads((recordings / "ws" / "cockpit_orderbook_stream.json").read_text(encoding="utf-8"))
    line: Any = Connection(None, 1, FakeClock())  # type: ignore[arg-type]  # frames are only read here
    made = [Received().message(line._framed(json.dumps(row["frame"]).encode())) for row in found["frames"]]
    assert len(made) == 269
    assert {"orderbook_snapshot", "orderbook_delta", "ok", "subscribed"} == {one.type for one in made}
    assert [one for one in made if one.problem] == []
    assert [one for one in made if one.type in MESSAGES and one.model_extra] == []


@pytest.mark.parametrize(
    ("name", "channels", "counts", "gaps"),
    [
        ("cockpit_orderbook_stream.json", ["orderbook_delta"], {"orderbook_snapshot": 12, "orderbook_delta": 245}, 0),
        (
            "btc15m_frames_20260511T053112Z.jsonl",
            ["ticker", "orderbook_delta"],
            {"orderbook_snapshot": 1, "orderbook_delta": 2964, "ticker": 29},
            0,
        ),
        ("cockpit_orderbook_stream.json", ["orderbook_delta"], {"orderbook_snapshot": 12, "orderbook_delta": 244}, 1),
    ],
    ids=["twelve markets", "two channels", "one frame lost"],
)
def test_recorded_streams_are_heard_as_they_were_sent(
    *,
    name: str,
    channels: list[str],
    counts: dict[str, int],
    gaps: int,
    recordings: Path,
    server: StreamServer,
    kalshi: kl.Kalshi,
) -> None:
    """Lesson 17: recorded frames, acks among them, over a real socket: in sequence, typed, and books as the frames make them."""
    text = (recordings / "ws" / name).read_text(encoding="utf-8")
    rows = json.loads(text)["frames"] if name.endswith(".json") else [json.loads(line) for line in text.splitlines()]
    frames = [row["frame"] for row in rows]
    if gaps:
        frames.pop(
            next(place for place, frame in enumerate(frames) if frame["type"] == "orderbook_delta" and place > 60)
        )
    tickers = sorted({frame["msg"]["market_ticker"] for frame in frames if frame["type"].startswith("orderbook_")})
    alone = kl.OrderBook(tickers[0])
    for frame in frames:
        if frame.get("sid") == (2 if "ticker" in channels else 1):
            alone.apply(frame)
    server.recorded, server.mute = frames, {"update_subscription"}
    with kalshi.stream(channels, tickers=tickers) as stream:
        heard: list[Any] = []
        for one in stream.messages(timeout=10):
            heard.append(one)
            if len(heard) == sum(counts.values()) + gaps:
                break
        typed = [one for one in heard if isinstance(one, Message)]
        assert {kind: sum(one.type == kind for one in typed) for kind in counts} == counts
        assert [one for one in typed if one.problem or one.model_extra] == []
        assert len(stream.gaps) == gaps
        book = stream.books[tickers[0]]
        assert (book.stale, book.bids(), book.asks()) == (alone.stale, alone.bids(), alone.asks())
        assert all(one.stale for one in stream.books.values()) == bool(gaps)
