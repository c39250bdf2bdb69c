"""Deadlines, stalls and cancelling, with real time on real sockets."""

from __future__ import annotations

import asyncio

import pytest

from kalshi_lab.clock import SystemClock
from kalshi_lab.door import Call, Door
from kalshi_lab.errors import RateLimited, TimedOut, UsageError
from kalshi_lab.observe import Observer
from tests.door.raw_server import STALL, Answer, RawServer, Wait, drip, reply
from tests.door.sending import CALL, Sent, busy_connections, settings_for
from tests.fakes import FakeClock

BODY = b'{"markets": []}'


class Patient(SystemClock):
    """The machine's clock, whose jitter always takes the longest wait: luck could make it none."""

    def random(self) -> float:
        return 1.0


def test_a_slow_drip_is_cut_at_the_deadline() -> None:
    """F8: a server that sends a byte now and then, each within the read timeout, holds a call no longer than its deadline."""
    with RawServer(drip(reply(BODY), 0.05)) as server:
        sent = Sent(server, clock=SystemClock(), deadline=0.4, read_timeout=0.2)
    assert isinstance(sent.error, TimedOut)
    assert "deadline" in sent.error.message
    assert sent.error.elapsed < 5
    assert (len(server.requests), sent.busy) == (1, 0)


@pytest.mark.parametrize(
    "begun", [b"", reply(BODY)[:30], reply(BODY)[:-3]], ids=["silent", "in the head", "in the body"]
)
def test_a_stall_is_tried_again(begun: bytes) -> None:
    """F7: a server that falls silent is given up after the read timeout and asked again."""
    stalled: Answer = [begun, STALL] if begun else [STALL]
    with RawServer(stalled, stalled, reply(BODY)) as server:
        sent = Sent(server, read_timeout=0.1)
    assert sent.reply is not None
    assert sent.reply.attempts == 3
    assert sent.state["retry_tokens"] == 100 - 2 * 10 + 1
    with RawServer(stalled) as server:
        sent = Sent(server, read_timeout=0.1, attempts=2)
    assert isinstance(sent.error, TimedOut)
    assert (sent.error.attempts, sent.busy) == (2, 0)


def test_the_deadline_spans_all_attempts() -> None:
    """Attempts and the waits between them share one deadline: none begins that could not end within it."""
    with RawServer(reply(b"{}", 503)) as server:
        sent = Sent(server, clock=FakeClock(roll=0.9), attempts=10, deadline=5.0)
    assert sent.error is not None
    assert sum(sent.waits) < 5.0
    assert len(server.requests) == 4


def test_a_wait_for_the_rate_budget_that_cannot_end_in_time_is_refused() -> None:
    """A call whose turn comes after its deadline fails at once, says when it would have been, and sends nothing."""
    clock = FakeClock()

    async def main(server: RawServer) -> RateLimited:
        door = Door(settings_for(server, tier="expert", deadline=0.3), clock=clock)
        await door.send(Call("all", "/all", cost=600))
        with pytest.raises(RateLimited) as caught:
            await door.send(Call("all", "/all", cost=300))
        await door.send(Call("some", "/some", cost=100))
        await door.aclose()
        return caught.value

    with RawServer(reply(BODY)) as server:
        error = asyncio.run(main(server))
    assert error.retry_after == pytest.approx(0.5)
    assert (error.status, error.attempts, len(server.requests)) == (None, 0, 2)
    assert clock.slept == [pytest.approx(100 / 600)]


@pytest.mark.parametrize(
    "acts", [[STALL], [reply(BODY)[:-3], STALL], [reply(b"{}", 503)]], ids=["head", "body", "backoff"]
)
def test_cancelling_leaves_nothing_behind(acts: list[bytes | Wait]) -> None:
    """F21: a call cancelled at any stage re-raises, gives its connection back, is no failure, and the next call works."""

    async def main(server: RawServer) -> None:
        answered = asyncio.Event()
        settings = settings_for(server, backoff_base=60.0, deadline=300.0, breaker_failures=1)
        door = Door(settings, clock=Patient(), observer=Observer((lambda _: answered.set(),)))
        call = asyncio.create_task(door.send(CALL))
        await asyncio.to_thread(server.asked.wait, 5)
        if acts == [reply(b"{}", 503)]:
            await answered.wait()
        await asyncio.sleep(0.02)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert busy_connections(door) == 0
        assert (door.state["open_requests"], door.state["breaker"]) == (0, "closed")
        assert (await door.send(CALL)).body == BODY
        assert door.observer.recent()[0]["error"] == (
            "Unavailable" if acts[0] is not STALL and len(acts) == 1 else "Cancelled"
        )
        await door.aclose()

    with RawServer(acts, reply(BODY)) as server:
        asyncio.run(main(server))


def test_cancelling_at_every_moment() -> None:
    """F21: however early a call is cancelled, no connection stays busy and the door goes on working."""

    async def main(server: RawServer) -> None:
        door = Door(settings_for(server))
        await door.send(CALL)
        for steps in range(60):
            call = asyncio.create_task(door.send(CALL))
            for _ in range(steps):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            assert busy_connections(door) == 0
            assert door.state["open_requests"] == 0
        assert (await door.send(CALL)).body == BODY
        await door.aclose()
        await asyncio.sleep(0.05)
        assert server.open == 0

    with RawServer([*drip(reply(BODY)[:-1], 0.0001), reply(BODY)[-1:]]) as server:
        asyncio.run(main(server))


def test_one_door_serves_several_event_loops() -> None:
    """A door used from one event loop after another opens connections for each, and sends nothing once closed."""

    async def use(door: Door) -> bytes:
        try:
            return (await door.send(CALL)).body
        finally:
            await next(reversed(door._opened.values())).aclose()

    async def after_closing(door: Door) -> None:
        await door.aclose()
        with pytest.raises(UsageError, match="closed"):
            await door.send(CALL)

    with RawServer(reply(BODY)) as server:
        door = Door(settings_for(server))
        assert asyncio.run(use(door)) == BODY
        assert asyncio.run(use(door)) == BODY
        assert len(door._opened) == 1
        asyncio.run(after_closing(door))
    assert server.connections == 2


def test_closing_while_a_call_is_under_way() -> None:
    """A call under way may end, its connection is closed after it, and nothing new is sent."""

    async def main(server: RawServer) -> None:
        door = Door(settings_for(server))
        call = asyncio.create_task(door.send(CALL))
        await asyncio.to_thread(server.asked.wait, 5)
        await door.aclose()
        assert (await call).body == BODY
        await asyncio.sleep(0.05)
        assert (server.open, door.state["open_requests"]) == (0, 0)

    with RawServer([Wait(0.1), reply(BODY)]) as server:
        asyncio.run(main(server))


def test_a_sim_that_is_not_running_is_said_so() -> None:
    """Without an address nothing is sent, and the error says why."""
    assert isinstance(Sent("", allow_unsafe_host=False).error, UsageError)
    with RawServer(reply(BODY)) as server:
        assert isinstance(Sent(server, CALL.with_params(tickers="A," * 40_000)).error, UsageError)
        assert isinstance(Sent(server, CALL.with_params(ticker="\ud800")).error, UsageError)
    assert server.requests == []
