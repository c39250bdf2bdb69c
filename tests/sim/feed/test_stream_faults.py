"""Streams that break on purpose: each fault does what it says, and the log says what was sent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ed25519
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.frames import Frame, Opcode

from kalshi_lab.errors import UsageError
from kalshi_lab.sim.api import Api
from kalshi_lab.sim.app import Application
from kalshi_lab.sim.serving import config
from kalshi_lab.sim.virtual import Bucket, VirtualClock
from kalshi_lab.sim.world import World, microseconds
from tests.sim.feed.conftest import Member, Stream, public_pem, rest_books, signed, tickers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kalshi_lab import sim

BOOK, PATH = "orderbook_delta", "/trade-api/ws/v2"
PRIVATE = ed25519.Ed25519PrivateKey.generate()
PUBLIC = public_pem(PRIVATE)


def on_books(exchange: sim.Exchange, act: Callable[[Stream, list[str]], Awaitable[None]], many: int = 20) -> None:
    """Do something with a stream that follows some books."""

    async def run() -> None:
        names = tickers(exchange, many)
        async with Member(exchange).stream() as stream:
            await stream.subscribe(BOOK, market_tickers=names)
            await act(stream, names)

    asyncio.run(run())


def numbers(stream: Stream) -> list[int]:
    """The numbers of the first subscription's frames as they came."""
    return [frame["seq"] for frame in stream.frames if frame.get("sid") == 1 and "seq" in frame]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("skip", [21, 22, 23, 26, 27, 28]),
        ("duplicate", [21, 22, 23, 24, 24, 25, 25, 26]),
        ("swap", [21, 22, 23, 25, 24, 27, 26, 28]),
    ],
)
def test_numbers_go_wrong(shaken: sim.Exchange, kind: str, expected: list[int]) -> None:
    """Two messages, after three good ones, are lost, doubled or swapped with their successors; the log knows which were sent."""

    async def act(stream: Stream, names: list[str]) -> None:
        shaken.stream_log(keep=True)
        shaken.stream_faults(kind, times=2, after=3)
        shaken.advance(120)
        await stream.settle()
        got = numbers(stream)[len(names) :]
        assert got[: len(expected)] == expected
        log = shaken.stream_log()
        made = [frame["seq"] for frame in log["frames"]]
        assert made == list(range(21, 21 + len(made)))
        sent = {frame["seq"] for frame in log["frames"] if frame["sent"]}
        assert sent == set(got)
        assert log["counts"]["sent"] >= len(got)

    on_books(shaken, act)


def test_a_lost_message_is_mended_by_a_snapshot(shaken: sim.Exchange) -> None:
    """After a lost message the books differ, and get_snapshot makes them right."""

    async def act(stream: Stream, names: list[str]) -> None:
        shaken.stream_faults("skip")
        shaken.advance(120)
        await stream.settle()
        assert stream.books() != rest_books(shaken, names)
        await stream.send("update_subscription", sid=1, action="get_snapshot", market_tickers=names)
        await stream.settle()
        assert stream.books() == rest_books(shaken, names)

    on_books(shaken, act)


@pytest.mark.parametrize("reset", [False, True])
def test_all_connections_drop(shaken: sim.Exchange, reset: bool) -> None:
    """A drop ends the connection without a close frame; a new one starts at 1 with whole books."""

    async def act(stream: Stream, _names: list[str]) -> None:
        shaken.stream_faults("drop", reset=reset)
        with pytest.raises(ConnectionClosedError) as ended:
            await stream.settle()
        assert ended.value.rcvd is None

    on_books(shaken, act)
    on_books(shaken, lambda stream, _names: asyncio.sleep(0, stream.check_sequence()))
    assert shaken.stream_log()["counts"]["dropped"] == 1


def test_connections_drop_at_random(shaken: sim.Exchange) -> None:
    """With certainty a second every connection is dropped soon; ended, none is."""

    async def act(stream: Stream, _names: list[str]) -> None:
        shaken.stream_faults("random_drop", probability=1.0, seed=3)
        with pytest.raises(ConnectionClosed):
            await stream.read()

    on_books(shaken, act)
    shaken.stream_faults()
    on_books(shaken, lambda stream, _names: stream.settle())


def test_everything_that_was_sent_arrives_before_a_drop(shaken: sim.Exchange) -> None:
    """What the log calls sent is what the client has, also of a connection that was dropped under load."""

    async def act(stream: Stream, _names: list[str]) -> None:
        shaken.stream_log(keep=True)
        shaken.stir(3000)
        await stream.until(lambda _frame: len(stream.frames) > 1000)
        shaken.stream_faults("drop")
        with contextlib.suppress(ConnectionClosed):
            while True:
                await stream.read()
        shaken.stir(0)
        log = shaken.stream_log()
        assert log["open"] == 0
        sent = [frame["seq"] for frame in log["frames"] if frame["sent"]]
        assert sent == numbers(stream)[-len(sent) :]
        assert len(sent) > 900

    on_books(shaken, act)


@pytest.mark.parametrize("code", [25, 10])
def test_subscriptions_end_with_an_error(shaken: sim.Exchange, code: int) -> None:
    """An overflow or a channel error ends one channel's subscription with its sid; the others go on, and it can be had again."""

    async def act(stream: Stream, names: list[str]) -> None:
        await stream.subscribe("ticker")
        shaken.stream_faults("error", code=code, channel=BOOK)
        (error,) = [frame for frame in await stream.settle() if frame["type"] == "error"]
        assert (error["sid"], error["msg"]["code"]) == (1, code)
        assert stream.frames[-1]["msg"] == [{"channel": "ticker", "sid": 2}]
        shaken.advance(60)
        assert {frame["type"] for frame in await stream.settle()} == {"ticker"}
        answer = await stream.subscribe(BOOK, market_tickers=names)
        assert answer["msg"] == {"channel": BOOK, "sid": 3}

    on_books(shaken, act)


def test_closing_with_a_code(shaken: sim.Exchange) -> None:
    """The close frame has the wanted code, after everything that waited."""

    async def act(stream: Stream, _names: list[str]) -> None:
        shaken.stream_faults("close", code=1001)
        with pytest.raises(ConnectionClosed) as ended:
            await stream.read()
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == 1001

    on_books(shaken, act)


def test_silence_and_delay(shaken: sim.Exchange) -> None:
    """A silent connection sends nothing for a time, then all of it; delayed frames come later, in order."""

    async def act(stream: Stream, names: list[str]) -> None:
        shaken.stream_faults("silence", seconds=0.6)
        began = time.monotonic()
        shaken.advance(60)
        await stream.settle()
        assert time.monotonic() - began > 0.5
        shaken.stream_faults("delay", seconds=0.3)
        began = time.monotonic()
        shaken.advance(60)
        await stream.settle()
        assert time.monotonic() - began > 0.25
        stream.check_sequence()
        assert stream.books() == rest_books(shaken, names)
        shaken.stream_faults("silence", seconds=1000.0)
        shaken.stream_faults()
        await stream.settle()

    on_books(shaken, act)


@pytest.mark.parametrize("status", [401, 503])
def test_handshakes_are_refused(shaken: sim.Exchange, status: int) -> None:
    """The next handshakes get a status and the exchange's error body, the one after them is let in."""
    shaken.stream_faults("refuse", status=status, times=2)

    async def run() -> None:
        member = Member(shaken)
        for _ in range(2):
            with pytest.raises(InvalidStatus) as refused:
                async with member.stream():
                    pass
            assert refused.value.response.status_code == status
            assert "error" in json.loads(refused.value.response.body)
        async with member.stream() as stream:
            await stream.settle()

    asyncio.run(run())
    assert shaken.stream_log()["counts"]["refused"] == 2


def test_a_command_is_answered_by_an_error(shaken: sim.Exchange) -> None:
    """The next command fails with any code, such as 27 for too many requests."""

    async def act(stream: Stream, _names: list[str]) -> None:
        shaken.stream_faults("command_error", code=27)
        assert (await stream.ask("list_subscriptions"))["msg"]["code"] == 27
        assert (await stream.ask("list_subscriptions"))["type"] == "ok"

    on_books(shaken, act)


def test_a_slow_reader_overflows(shaken: sim.Exchange) -> None:
    """When more waits than the buffer holds, the subscription ends with error 25; nothing is missing before it, and others go on."""

    async def run() -> None:
        names, member = tickers(shaken, 40), Member(shaken)
        async with member.stream() as quick:
            await quick.subscribe(BOOK, market_tickers=names)
            shaken.stream_faults("buffer", size=60)
            async with member.stream() as slow:
                await slow.subscribe(BOOK, market_tickers=names)
                await slow.subscribe("communications")
                shaken.stream_faults("silence", seconds=1.0)
                shaken.advance(120)
                error = await slow.until(lambda frame: frame["type"] == "error")
                assert (error["sid"], error["msg"]["code"]) == (1, 25)
                await slow.settle()
                slow.check_sequence()
                assert slow.frames[-1]["msg"] == [{"channel": "communications", "sid": 2}]
            await quick.settle()
            quick.check_sequence()
            assert quick.books() == rest_books(shaken, names)

    asyncio.run(run())
    assert shaken.stream_log()["counts"]["overflows"] == 1


def test_wrong_wishes_are_refused(steady: sim.Exchange) -> None:
    """A fault that does not exist, or a value that is not allowed, is refused with what is."""
    wrong: list[dict[str, Any]] = [
        {"kind": "explode"}, {"kind": "skip", "often": 2}, {"kind": "close", "code": 1005}, {"kind": "refuse", "status": 200},
        {"kind": "error", "code": 6}, {"kind": "random_drop", "probability": 2}, {"kind": "skip", "times": -1},
    ]  # fmt: skip
    for options in wrong:
        with pytest.raises(UsageError, match="refused POST /sim/stream-faults"):
            steady.stream_faults(**options)


def test_heartbeats_have_the_exchanges_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exchange's pings carry `heartbeat`; a silent connection has none."""
    monkeypatch.setattr("kalshi_lab.sim.feed.socket.HEARTBEAT", 0.2)
    pinged: list[bytes] = []

    class Noting(ClientConnection):
        def process_event(self, event: Any) -> None:
            if isinstance(event, Frame) and event.opcode is Opcode.PING:
                pinged.append(bytes(event.data))
            super().process_event(event)

    async def run() -> None:
        world = World(open_markets=100, history_days=1)
        clock = VirtualClock(microseconds(world.start), "frozen")
        application = Application(Api(world, clock.now), clock, Bucket(1000.0))
        key = application.desk.open_account({"public_key": PUBLIC})["key_id"]
        server = uvicorn.Server(config(application))
        monkeypatch.setattr(server, "capture_signals", contextlib.nullcontext)
        listener = socket.create_server(("127.0.0.1", 0))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}{PATH}"
        async with connect(
            url,
            additional_headers=signed(PRIVATE, key, "GET", PATH),
            create_connection=Noting,
            ping_interval=None,
            proxy=None,
        ):
            await _until(lambda: len(pinged) >= 2)
            (connection,) = application.streams.feed.connections.values()
            connection.quiet_until = time.monotonic() + 1000
            quiet, ticks = len(pinged), application.streams.feed.ticks
            await _until(lambda: application.streams.feed.ticks > ticks + 5)
            assert len(pinged) <= quiet + 1
        server.should_exit = True
        await serving

    asyncio.run(run())
    assert set(pinged) == {b"heartbeat"}


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - what happens in the server sets no event here
            await asyncio.sleep(0.02)
