"""What is said while the exchange is down: its status by its own answer, its maintenance by its own schedule."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab.errors import CircuitOpen
from kalshi_lab.kalshi.maintenance import resting
from kalshi_lab.models import Schedule
from tests.door.raw_server import STALL, Answer, RawServer, reply
from tests.door.sending import settings_for
from tests.fakes import FakeClock
from tests.faults.ground import FACES, Face, nobody
from tests.kalshi.scripted import Answer as Said
from tests.kalshi.scripted import Asked, Scripted

if TYPE_CHECKING:
    from collections.abc import Callable

WHOLE = [{"open_time": "00:00", "close_time": "00:00"}]
THURSDAY = [{"open_time": "00:00", "close_time": "03:00"}, {"open_time": "05:00", "close_time": "00:00"}]
WEEK = dict.fromkeys(("monday", "tuesday", "wednesday", "friday", "saturday", "sunday"), WHOLE) | {"thursday": THURSDAY}
HOURS = [{"start_time": "2024-12-01T00:00:00Z", "end_time": "2200-12-01T00:00:00Z", **WEEK}]
WINDOW = {"start_datetime": "2026-11-22T13:00:00Z", "end_datetime": "2026-11-22T15:30:00Z"}


def schedule(windows: Any = (), hours: Any = HOURS) -> dict[str, Any]:
    return {"schedule": {"maintenance_windows": list(windows), "standard_hours": hours}}


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("2026-11-26T07:59:59Z", ""),
        (
            "2026-11-26T08:00:00Z",
            "closed until 10:00 UTC, by the exchange's standard hours",
        ),  # 03:00 in New York, winter
        ("2026-11-26T09:59:59Z", "closed until 10:00 UTC, by the exchange's standard hours"),
        ("2026-11-26T10:00:00Z", ""),
        ("2026-07-09T07:30:00Z", "closed until 09:00 UTC, by the exchange's standard hours"),  # and in summer
        ("2026-07-09T09:30:00Z", ""),
        ("2026-11-22T13:00:00Z", "maintenance until 15:30 UTC, by the exchange's schedule"),
        ("2026-11-22T15:30:00Z", ""),
        ("2026-11-23T04:59:59Z", ""),  # midnight in New York is no end
    ],
)
def test_windows_and_hours(at: str, said: str) -> None:
    """A planned window counts by its instants, standard hours by New York's clock, in both its seasons; ends are excluded."""
    read = Schedule.model_validate(schedule([WINDOW])["schedule"])
    assert resting(read, datetime.fromisoformat(at)) == said


SILENT: list[Any] = [
    None,
    [],
    [{}],
    [{"monday": None}],
    [{"sunday": [{"open_time": "soon", "close_time": "later"}]}],
    [{**HOURS[0], "end_time": "2025-01-01T00:00:00Z"}],
]


@pytest.mark.parametrize("hours", SILENT)
def test_hours_that_say_nothing(hours: Any) -> None:
    """No hours, hours of another year and hours that nobody understands are no closure."""
    assert (
        resting(Schedule.model_validate(schedule((), hours)["schedule"]), datetime(2026, 11, 22, 14, tzinfo=UTC)) == ""
    )


def test_a_window_over_midnight_names_the_day() -> None:
    """An end on another day is given with its date, and the later of two windows counts."""
    windows = [
        WINDOW,
        {"start_datetime": "2026-11-22T14:00:00Z", "end_datetime": "2026-11-23T01:00:00Z"},
        {"start_datetime": None},
    ]
    read = Schedule.model_validate(schedule(windows)["schedule"])
    assert resting(read, FakeClock().now()) == "maintenance until 2026-11-23 01:00 UTC, by the exchange's schedule"


def failing(face: Face, settings: kl.Settings, times: int = 1, **given: Any) -> list[kl.RequestError]:
    """The errors of so many calls in a row on one client."""

    async def awaited() -> list[kl.RequestError]:
        errors = []
        async with kl.AsyncKalshi(settings=settings, clock=FakeClock(), **given) as client:
            for _ in range(times):
                with pytest.raises(kl.RequestError) as caught:
                    await client.markets.one("A")
                errors.append(caught.value)
        return errors

    if face == "awaited":
        return asyncio.run(awaited())
    errors = []
    with kl.Kalshi(settings=settings, clock=FakeClock(), **given) as client:
        for _ in range(times):
            with pytest.raises(kl.RequestError) as caught:
                client.markets.one("A")
            errors.append(caught.value)
    return errors


def down(told: Any, status: int = 200) -> Callable[[Asked], Said]:
    return lambda asked: (
        Said(told, status) if asked.path == "/exchange/schedule" else Said({"error": {"code": "down"}}, 503)
    )


@pytest.mark.parametrize("face", FACES)
def test_an_error_names_the_maintenance(face: Face) -> None:
    """Calls that fail while a window runs say until when, also once the circuit is open; the schedule is read once."""
    with Scripted(down(schedule([WINDOW]))) as server:
        errors = failing(face, server.settings(breaker_failures=2), 4)
    assert [type(error) for error in errors] == [kl.Unavailable, kl.Unavailable, CircuitOpen, CircuitOpen]
    for error in errors:
        assert "; maintenance until 15:30 UTC, by the exchange's schedule" in str(error)
        assert error.args == (error.message,)
    assert [asked.path for asked in server.asked].count("/exchange/schedule") == 1
    assert len(server.asked) == 2 * 4 + 1


OTHER: dict[str, tuple[Any, int]] = {
    "no window": (schedule(), 200),
    "a schedule that fails": ({"error": {"code": "down"}}, 503),
    "a schedule that is none": ({"calendar": {}}, 200),
    "a web page": (b"<html>down</html>", 200),
    "no such page": ({}, 404),
}


@pytest.mark.parametrize("what", OTHER)
@pytest.mark.parametrize("face", FACES)
def test_a_schedule_never_masks_the_error(face: Face, what: str) -> None:
    """Whatever becomes of the one look at the schedule, the call's own error comes out, with its status and attempts."""
    with Scripted(down(*OTHER[what])) as server:
        errors = failing(face, server.settings(), 2)
    for error in errors:
        assert type(error) is kl.Unavailable
        assert (error.status, error.attempts, error.code) == (503, 4, "down")
        assert "UTC" not in error.message
    assert [asked.path for asked in server.asked].count("/exchange/schedule") == 1


def test_a_schedule_that_stalls_costs_a_second() -> None:
    """The look at the schedule has a second of its own and no more, and no part in the circuit or the retry quota."""
    answers: list[Answer] = [reply({}, 503), [STALL]]
    with RawServer(*answers) as server:

        async def main() -> dict[str, Any]:
            async with kl.AsyncKalshi(settings=settings_for(server, attempts=1, breaker_failures=2)) as client:
                with pytest.raises(kl.Unavailable):
                    await asyncio.wait_for(client.markets.one("A"), 10)
                return client.door.state

        state = asyncio.run(main())
    assert (state["breaker"], state["retry_tokens"], state["open_requests"], len(server.requests)) == (
        "closed",
        100,
        0,
        2,
    )


def test_nobody_there_is_not_asked_for_a_schedule() -> None:
    """Where no connection is made, and once the circuit is open, the error comes as it is and at once."""

    async def main() -> tuple[list[type[Exception]], set[str]]:
        ends: list[type[Exception]] = []
        async with kl.AsyncKalshi(settings=settings_for(nobody(), breaker_failures=1), clock=FakeClock()) as client:
            for _ in range(2):
                with pytest.raises(kl.RequestError) as caught:
                    await client.markets.one("A")
                ends.append(caught.type)
        return ends, {row["operation"] for row in client.observer.recent()}

    assert asyncio.run(main()) == ([kl.Unavailable, CircuitOpen], {"get_market"})


@pytest.mark.parametrize("code", [200, 500, 503, 504])
def test_a_status_told_with_a_failure_is_a_status(code: int) -> None:
    """`exchange.status()` reads the status from a 500, 503 or 504 at once; other clients of the same door see the failure."""
    body = {"exchange_active": False, "trading_active": False, "exchange_estimated_resume_time": "2026-11-22T15:30:00Z"}
    with RawServer(reply(body, code)) as server:

        async def awaited() -> kl.ExchangeStatus:
            async with kl.AsyncKalshi(settings=settings_for(server)) as client:
                return await client.exchange.status()

        with kl.Kalshi(settings=settings_for(server), clock=FakeClock()) as client:
            blocking = client.exchange.status()
            assert (len(server.requests), client._twin.door.state["breaker"]) == (1, "closed")
        assert asyncio.run(awaited()) == blocking
    assert (blocking.exchange_active, blocking.trading_active) == (False, False)


@pytest.mark.parametrize(
    "body", [b'{"error": {"code": "down"}}', b"<html>", b"", b'["exchange_active"]', b'{"exchange_active": tr']
)
def test_a_failure_without_a_status_is_a_failure(body: bytes) -> None:
    """A 503 that holds no status is tried again and Unavailable."""
    with RawServer(reply(body, 503)) as server, kl.Kalshi(settings=settings_for(server), clock=FakeClock()) as client:
        with pytest.raises(kl.Unavailable):
            client.exchange.status()
        assert len(server.requests) == 4 + 1


def test_a_status_does_not_close_the_circuit() -> None:
    """An exchange that answers 503 with its status has not come back: the probe proves nothing, and the next call may try."""
    body = {"exchange_active": False, "trading_active": False}
    clock = FakeClock()
    with RawServer(reply({}, 503), reply({}, 404), reply(body, 503)) as server:
        settings = settings_for(server, attempts=1, breaker_failures=1)
        with kl.Kalshi(settings=settings, clock=clock) as client:
            with pytest.raises(kl.Unavailable):
                client.markets.one("A")
            with pytest.raises(CircuitOpen):
                client.exchange.status()
            clock.advance(settings.breaker_rest)
            assert client.exchange.status().exchange_active is False
            assert client._twin.door.state["breaker"] == "half_open"
