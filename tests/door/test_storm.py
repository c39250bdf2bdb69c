"""Many calls at once: to a dead host, to a dying one, and to a healthy one with few connections."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from kalshi_lab.door import Door, Reply
from kalshi_lab.errors import CircuitOpen, LabError, NotFound, TimedOut, Unavailable
from tests.door.raw_server import PREFIX, RESET, Answer, RawServer, Wait, free_port, reply
from tests.door.sending import CALL, settings_for
from tests.fakes import FakeClock

OK = reply({"markets": []})
DOWN = reply(b"{}", 503)


async def gathered(door: Door, calls: int) -> list[Reply | BaseException]:
    return await asyncio.gather(*(door.send(CALL) for _ in range(calls)), return_exceptions=True)


@pytest.mark.parametrize("answer", [DOWN, [RESET]], ids=["503", "reset"])
def test_a_storm_on_a_dead_host_stays_small(answer: Answer) -> None:
    """F20: 200 calls at once to a dead host are far fewer requests: the circuit opens before most of them are sent."""

    async def main(server: RawServer) -> list[Reply | BaseException]:
        door = Door(settings_for(server, tier="basic"), clock=FakeClock())
        ends = await gathered(door, 200)
        await door.aclose()
        return ends

    with RawServer(answer) as server:
        ends = asyncio.run(main(server))
    assert all(isinstance(end, LabError) for end in ends)
    assert len(server.requests) <= 100
    assert sum(isinstance(end, CircuitOpen) for end in ends) >= 100


def test_the_retry_quota_bounds_a_storm_by_itself() -> None:
    """F20: with a breaker that never opens, 200 calls to a dead host make at most 20 retries: 100 tokens at 5 each."""

    async def main(server: RawServer) -> dict[str, object]:
        door = Door(settings_for(server, breaker_failures=10_000), clock=FakeClock())
        ends = await gathered(door, 200)
        assert all(isinstance(end, Unavailable) for end in ends)
        assert any("too many requests failed lately" in str(end) for end in ends)
        await door.aclose()
        return door.state

    with RawServer(DOWN) as server:
        state = asyncio.run(main(server))
    assert len(server.requests) == 220
    assert state["retry_tokens"] == 0


def test_nobody_listens() -> None:
    """F6: a refused connection is tried again, then Unavailable; so is a name that cannot be resolved."""

    async def main(address: str) -> Unavailable:
        door = Door(settings_for(address), clock=FakeClock())
        with pytest.raises(Unavailable) as caught:
            await door.send(CALL)
        await door.aclose()
        return caught.value

    error = asyncio.run(main(f"http://127.0.0.1:{free_port()}{PREFIX}"))
    assert (error.attempts, error.status) == (4, None)
    assert "no connection" in error.message


def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    """F6: a failing name service is tried again, then Unavailable."""
    asked = []

    def no_such_name(host: str, *_: object, **__: object) -> list[object]:
        asked.append(host)
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", no_such_name)

    async def main() -> None:
        door = Door(settings_for("", environment="demo", allow_unsafe_host=False), clock=FakeClock())
        with pytest.raises(Unavailable, match="Name or service not known"):
            await door.send(CALL)
        await door.aclose()

    asyncio.run(main())
    assert len(asked) == 4


def test_the_circuit_opens_rests_probes_and_closes() -> None:
    """Failed calls in a row open the circuit, one probe tries after the rest, and its success closes it."""
    clock = FakeClock()

    async def fails(door: Door, kind: type[LabError]) -> LabError:
        with pytest.raises(kind) as caught:
            await door.send(CALL)
        return caught.value

    async def main(server: RawServer) -> None:
        door = Door(settings_for(server, attempts=1, breaker_failures=3, breaker_rest=20.0), clock=clock)
        for _ in range(3):
            await fails(door, Unavailable)
        assert door.state["breaker"] == "open"
        error = await fails(door, CircuitOpen)
        assert isinstance(error, CircuitOpen)
        assert error.until == clock.now() + timedelta(seconds=20)
        assert (len(server.requests), error.attempts) == (3, 0)
        clock.advance(20)
        await fails(door, Unavailable)
        await fails(door, CircuitOpen)
        clock.advance(20)
        ends = await gathered(door, 5)
        assert Counter(type(end) for end in ends) == {Reply: 1, CircuitOpen: 4}
        assert door.state["breaker"] == "closed"
        await door.send(CALL)
        assert len(server.requests) == 6
        await door.aclose()

    with RawServer(DOWN, DOWN, DOWN, DOWN, OK) as server:
        asyncio.run(main(server))


def test_refusals_do_not_open_the_circuit() -> None:
    """4xx answers show a living host: they neither open the circuit nor let failures add up across them."""

    async def main(server: RawServer) -> None:
        door = Door(settings_for(server, attempts=1, breaker_failures=2), clock=FakeClock())
        ends = [end for _ in range(9) for end in await gathered(door, 1)]
        assert [type(end) for end in ends] == [
            Unavailable,
            NotFound,
            Unavailable,
            NotFound,
            Unavailable,
            *[NotFound] * 4,
        ]
        assert door.state["breaker"] == "closed"
        await door.aclose()

    missing = reply(b"{}", 404)
    with RawServer(DOWN, missing, DOWN, missing, DOWN, missing) as server:
        asyncio.run(main(server))


def test_waiting_for_a_connection_of_our_own_is_no_failure_of_the_host() -> None:
    """A call that never left, since all connections were busy until its deadline, says nothing against the host."""

    async def main(server: RawServer) -> None:
        door = Door(settings_for(server, max_connections=1, breaker_failures=1, deadline=0.3))
        async with door._lanes().one():  # taken
            ends = await gathered(door, 3)
        assert [getattr(end, "attempts", None) for end in ends] == [0, 0, 0]
        assert [type(end) for end in ends] == [TimedOut] * 3
        assert door.state["breaker"] == "closed"
        await door.aclose()

    with RawServer(OK) as server:
        asyncio.run(main(server))
    assert server.requests == []


def test_connections_are_bounded_and_used_again() -> None:
    """40 calls at once over a pool of 3 are served by 3 connections."""

    async def main(server: RawServer) -> list[Reply | BaseException]:
        door = Door(settings_for(server, max_connections=3))
        ends = await gathered(door, 40)
        await door.aclose()
        return ends

    with RawServer([Wait(0.002), OK]) as server:
        ends = asyncio.run(main(server))
    assert all(isinstance(end, Reply) for end in ends)
    assert (server.peak, server.connections, len(server.requests)) == (3, 3, 40)
