"""The life of a connection: lost and made again, in ever longer pauses; readers, and the end of it all."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab.kalshi import connection
from kalshi_lab.kalshi.notices import Disconnected, Reconnected
from tests.stream.reading import is_back, until
from tests.stream.server import StreamServer
from tests.stream.test_messages import TICK

if TYPE_CHECKING:
    from tests.stream.reading import Hasty

# the connection


def test_a_redirect_is_not_followed(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-1: signed headers go to the exchange's own host alone."""
    with StreamServer() as other:
        server.refuse, server.redirect = [302], f"ws://127.0.0.1:{other.port}/trade-api/ws/v2"
        with pytest.raises(kl.UnexpectedRedirect):
            kalshi.stream("ticker").start()
        assert other.headers == []


def test_slower_is_asked_for_at_the_door(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-1: a 429 is RateLimited when the attempts are used up."""
    server.refuse = [429] * 9
    with pytest.raises(kl.RateLimited) as caught:
        kalshi.stream("ticker").start()
    assert (caught.value.status, caught.value.attempts, len(server.headers)) == (429, 3, 3)


def test_a_clock_that_stays_off_is_named(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """F18: two attempts at most, then ClockSkew."""
    server.refuse, server.ahead = [401] * 9, 1000.0
    with pytest.raises(kl.ClockSkew, match="off by"):
        kalshi.stream("ticker").start()
    assert len(server.headers) == 1  # more than five minutes are not made up for


def test_silence_is_the_end(server: StreamServer, kalshi: kl.Kalshi, monkeypatch: pytest.MonkeyPatch) -> None:
    """WS-1, F22: a peer that says nothing any more, pongs neither, is given up and connected anew."""
    assert connection.PING + connection.PONG == 30
    monkeypatch.setattr(connection, "PING", 0.05)
    monkeypatch.setattr(connection, "PONG", 0.1)
    with kalshi.stream("ticker") as stream:
        server.freeze()
        found = until(stream, is_back)
        assert [type(one) for one in found] == [Disconnected, Reconnected]
        assert "keepalive" in found[0].reason


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 4001])
def test_the_exchange_closes(code: int, server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-1: whatever the code, it is told and the connection made again."""
    with kalshi.stream("ticker") as stream:
        server.end(code, "maintenance")
        found = until(stream, is_back)
        assert f"{code}" in found[0].reason
        assert "maintenance" in found[0].reason
        assert stream.subscriptions() == {"ticker": 1}


def test_pauses_grow_until_a_connection_is_steady(server: StreamServer, kalshi: kl.Kalshi, clock: Hasty) -> None:
    """WS-1: full jitter below a doubling cap, also where each connection is cut at once; a steady one begins anew."""
    with kalshi.stream("ticker") as stream:
        for _ in range(7):
            server.drop()
            until(stream, is_back)
        assert clock.slept == [1, 2, 4, 8, 16, 30, 30]
        clock.roll = 0.5
        stream._twin._pace = 5_000  # attempts of a long outage
        server.drop()
        until(stream, is_back)
        assert clock.slept[-1] == 15
        clock.fast = 1e6
        server.drop()
        until(stream, is_back)
        server.drop()
        until(stream, is_back)
        assert clock.slept[-1] == 0.5


def test_attempts_are_bounded_where_that_is_asked_for(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-1 ⚠: then the stream ends, and says so to its reader, in its errors and its repr."""
    with kalshi.stream("ticker", attempts=2) as stream:
        server.refuse = [503] * 9
        server.drop()
        with pytest.raises(kl.Unavailable, match="503"):
            until(stream, is_back)
        assert len(server.headers) == 3
        assert stream.errors[-1].attempts == 2  # type: ignore[attr-defined]
        assert "failed" in repr(stream)
        assert "503" in stream._repr_html_()
        with pytest.raises(kl.Unavailable):
            stream.start()
    with pytest.raises(kl.UsageError, match="attempts is 0"):
        kalshi.stream("ticker", attempts=0)


def test_a_key_that_is_withdrawn_ends_it(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-1, F23: a 401 on the way back is not tried again."""
    with kalshi.stream("ticker") as stream:
        server.refuse = [401] * 9
        server.drop()
        with pytest.raises(kl.AuthFailed):
            until(stream, is_back)
        assert len(server.headers) == 2


def test_the_first_connection_is_lost_at_once(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """A connection that ends before anything is subscribed is made again, as one that was refused."""
    server.mute = {"subscribe"}

    def cut() -> None:
        server.wait(lambda: bool(server.asked("subscribe")))
        server.mute = set()
        server.drop()

    cutter = threading.Thread(target=cut)
    cutter.start()
    with kalshi.stream("ticker") as stream:
        assert len(server.headers) == 2
        assert stream._twin.state == "open"
    cutter.join()


# readers, and the end


def test_a_loop_opens_and_ends_what_nobody_opened(server: StreamServer, kalshi: kl.Kalshi) -> None:
    """WS-1: nothing goes on behind the back of who broke off."""
    stream = kalshi.stream("orderbook_delta", tickers="KX-A")
    for one in stream:
        assert one.type == "orderbook_snapshot"  # type: ignore[union-attr]
        break
    gc.collect()
    assert "closed" in repr(stream)
    with pytest.raises(kl.UsageError, match="was closed"):
        stream.start()

    async def story() -> str:
        async with kl.AsyncKalshi(settings=server.settings, credentials=kl.Credentials.generate()) as awaited:
            other = awaited.stream("orderbook_delta", tickers="KX-A")
            messages = aiter(other)
            assert (await anext(messages)).type == "orderbook_snapshot"  # type: ignore[union-attr]
            await messages.aclose()  # type: ignore[attr-defined]
            return repr(other)

    assert "closed" in asyncio.run(story())


def test_streams_end_with_their_client(server: StreamServer) -> None:
    """Nothing is left behind; a reader that waits is let go."""

    async def story() -> tuple[set[Any], Any, str]:
        before = asyncio.all_tasks()
        async with kl.AsyncKalshi(settings=server.settings, credentials=kl.Credentials.generate()) as kalshi:
            stream = await kalshi.stream("ticker").open()
            same, again = await asyncio.gather(stream.open(), stream.open())
            assert same is again
            waiting = asyncio.create_task(stream.next())
            await asyncio.sleep(0)
        return asyncio.all_tasks() - before - {waiting}, await waiting, repr(stream)

    left, read, shown = asyncio.run(story())
    assert (left, read) == (set(), None)
    assert "closed" in shown
    assert len(server.headers) == 1


@pytest.mark.parametrize("ended", [True, False], ids=["closed", "cancelled"])
def test_an_end_while_it_opens(ended: bool, server: StreamServer) -> None:
    """A stream that is closed, or its opening cancelled, before everything is subscribed leaves nothing behind."""
    server.mute = {"subscribe"}

    async def story() -> set[Any]:
        before = asyncio.all_tasks()
        async with kl.AsyncKalshi(settings=server.settings, credentials=kl.Credentials.generate()) as kalshi:
            stream = kalshi.stream("ticker")
            opening = asyncio.create_task(stream.open())
            await asyncio.to_thread(server.wait, lambda: bool(server.asked("subscribe")))
            await stream.close() if ended else opening.cancel()
            (problem,) = await asyncio.gather(opening, return_exceptions=True)
            assert isinstance(problem, kl.Unavailable if ended else asyncio.CancelledError)
        return asyncio.all_tasks() - before

    assert asyncio.run(story()) == set()


def test_cancelled_anywhere(server: StreamServer) -> None:
    """F21: the opening, and a change, cancelled at each of their steps: no task and no connection is left."""

    async def story() -> None:
        before = asyncio.all_tasks()
        async with kl.AsyncKalshi(settings=server.settings, credentials=kl.Credentials.generate()) as kalshi:
            for steps in range(40):
                stream = kalshi.stream(["orderbook_delta", "ticker"], tickers="KX-A")
                await cancelled(stream.open(), steps)
                if stream.state == "open":
                    await cancelled(stream.add(f"KX-{steps}"), steps % 5)
                    assert await stream.subscriptions()
                await stream.close()
                assert asyncio.all_tasks() - before - {asyncio.current_task()} == set()

    async def cancelled(work: Any, steps: int) -> None:
        task = asyncio.create_task(work)
        for _ in range(steps):
            await asyncio.sleep(0 if steps < 20 else 0.0005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())
    server.wait(lambda: server.open == 0)


def test_a_fault_of_its_own_ends_it_aloud(
    server: StreamServer, kalshi: kl.Kalshi, caplog: pytest.LogCaptureFixture
) -> None:
    """What this library did not foresee is no silent loop of new connections."""
    caplog.set_level(logging.ERROR)
    with kalshi.stream("ticker") as stream:
        stream._twin.received.keep = lambda _: 1 / 0  # type: ignore[method-assign, assignment, return-value]
        server.tell("ticker", "ticker", TICK)
        with pytest.raises(kl.Unavailable, match="ZeroDivisionError"):
            until(stream, is_back)
        assert len(server.headers) == 1
    assert [record.message for record in caplog.records] == ["the stream ended by a fault of its own"]
