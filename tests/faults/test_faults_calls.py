"""The fault table of calls, by number: clocks, storms, cancelling, signatures, writes, money, and whose key goes where."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest

import kalshi_lab as kl
from kalshi_lab.clock import SystemClock
from kalshi_lab.door import Call, Door, Reply
from kalshi_lab.door.guard import allowed_base
from kalshi_lab.door.host import exa
from kalshi_lab.door.signing import KeyHeader
from kalshi_lab.door.trip import Refusal
from tests.door.raw_server import CLOSE, RESET, STALL, Answer, RawServer, drip, reply
from tests.door.sending import Sent, settings_for
from tests.door.signed import stamp
from tests.fakes import FakeClock
from tests.faults.ground import (
    CALLS,
    FACES,
    KEY,
    KINDS,
    NOW,
    OK,
    WAYS,
    Ended,
    Face,
    Kind,
    asked,
    door_to,
    status,
    through,
)

SKEWED = {"Date": "Sun, 22 Nov 2026 14:02:00 GMT"}


@pytest.mark.parametrize("face", FACES)
def test_a_wrong_clock(face: Face) -> None:
    """F18: a 401 for this machine's clock is signed once more in the exchange's time; a second one is ClockSkew, another AuthFailed."""
    key = kl.Credentials.generate()
    balance = Call("get_balance", "/portfolio/balance", auth=True)

    async def ends(server: RawServer) -> tuple[str, int, list[float]]:
        clock = FakeClock()
        door = Door(settings_for(server), clock=clock, credentials=key)
        try:
            return "Reply", (await door.send(balance)).attempts, clock.slept
        except kl.Forbidden as error:
            return type(error).__name__, error.attempts, clock.slept
        finally:
            await door.aclose()

    refused = status(401, **SKEWED)
    for answers, wanted in (
        ((refused, OK), ("Reply", 2)),
        ((refused,), ("ClockSkew", 2)),
        ((status(401, Date=NOW),), ("AuthFailed", 1)),
    ):
        with RawServer(*answers) as server:
            outcome, attempts, slept = through(face, ends(server))
        assert (outcome, attempts, [one for one in slept if one >= 0.05]) == (*wanted, [])
        stamps = [stamp(request, key) for request in server.requests]
        assert [later - stamps[0] for later in stamps[1:]] == ([120_000] if attempts == 2 else [])


class Jumping(FakeClock):
    """A wall clock that is set by an hour with every look at it; time that passes is as ever."""

    def __init__(self, by: timedelta) -> None:
        super().__init__()
        self._by, self._jumped = by, timedelta()

    def now(self) -> datetime:
        self._jumped += self._by
        return super().now() + self._jumped


@pytest.mark.parametrize("hours", [-1, 1])
@pytest.mark.parametrize("face", FACES)
def test_a_wall_clock_that_jumps(face: Face, hours: int) -> None:
    """F19: deadlines, waits and the circuit's rest do not hear of it."""
    with RawServer(status(503), asked("3"), status(503), OK) as server:
        ended = Ended("exchange", face, server.url, Jumping(timedelta(hours=hours)), deadline=5.0)
    assert (ended.outcome, ended.waits) == ("Reply", [0.25, 3.0, 1.0])
    with RawServer(status(503)) as server:
        ended = Ended("exchange", face, server.url, Jumping(timedelta(hours=hours)), deadline=1.0)
    assert (ended.outcome, len(server.requests)) == ("Unavailable", 3)


@pytest.mark.parametrize(("face", "kind"), WAYS)
def test_a_storm_on_a_dead_host(face: Face, kind: Kind) -> None:
    """F20: 200 calls at once to a dead host are 200 requests and 20 repeats at most; with the circuit breaker far fewer."""

    async def storm(server: RawServer, failures: int) -> list[Any]:
        door = door_to(kind, server.url, breaker_failures=failures)
        ends = await asyncio.gather(*(door.send(CALLS[kind]) for _ in range(200)), return_exceptions=True)
        assert door.state["open_requests"] == 0
        await door.aclose()
        return ends

    with RawServer(status(503)) as server:
        ends = through(face, storm(server, 10_000))
    assert {type(end) for end in ends} == {kl.Unavailable}
    assert len(server.requests) == 220
    with RawServer(status(503)) as server:
        ends = through(face, storm(server, 8))
    assert {type(end) for end in ends} == {kl.Unavailable, kl.CircuitOpen}
    assert len(server.requests) <= 100


@pytest.mark.parametrize("kind", KINDS)
def test_cancelled_at_every_await(kind: Kind) -> None:
    """F21: a call cancelled after n turns of the event loop, for each n, leaves nothing busy, and the next call works."""

    async def main(server: RawServer) -> None:
        door = door_to(kind, server.url, SystemClock())
        for turns in range(60):
            call = asyncio.create_task(door.send(CALLS[kind]))
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            with suppress(asyncio.CancelledError):
                await call
            assert door.state["open_requests"] == 0
        assert isinstance(await door.send(CALLS[kind]), Reply)
        assert door.state["breaker"] == "closed"
        await door.aclose()

    with RawServer([*drip(OK[:-1], 0.0001), OK[-1:]]) as server:
        asyncio.run(main(server))


@pytest.mark.parametrize("face", FACES)
def test_each_attempt_is_signed_and_paid_anew(face: Face) -> None:
    """F35: three attempts carry three timestamps that verify, and take three times the tokens; 5 s grant rate x 5 + burst and no more."""
    key = kl.Credentials.generate()
    balance = Call("get_balance", "/portfolio/balance", cost=50, auth=True)

    async def main(server: RawServer) -> float:
        door = Door(settings_for(server, tier="basic"), clock=FakeClock(), credentials=key)
        await door.send(balance)
        await door.aclose()
        return float(door.state["tokens"])

    with RawServer(status(503), status(502), OK) as server:
        tokens = through(face, main(server))
    assert tokens == pytest.approx(600 - 50)  # the waits of 0.25 s and 0.5 s brought 100 back
    assert len([stamp(request, key) for request in server.requests]) == 3
    signatures = {
        line for request in server.requests for line in request.split(b"\r\n") if b"signature" in line.lower()
    }
    assert len(signatures) == 3


def test_five_seconds_grant_what_the_budget_holds() -> None:
    """F35: of a flood of calls, those granted in any 5 s are at most rate x 5 + burst; Exa's ten a second as well."""

    async def main(server: RawServer) -> int:
        clock = FakeClock()
        door = door_to("exa", server.url, clock, host={"read": (10.0, 10.0)})
        calls = [asyncio.ensure_future(door.send(CALLS["exa"])) for _ in range(100)]
        await clock.sleep(5.0)
        sent = len(server.requests)
        await asyncio.gather(*calls)
        await door.aclose()
        return sent

    with RawServer(OK) as server:
        assert asyncio.run(main(server)) <= 10 * 5 + 10
    assert len(server.requests) == 100


ORDER = Call("create_order_group", "/portfolio/order_groups/create", method="POST", body=b"{}")
LOST: dict[str, Answer] = {
    "no answer": [STALL],
    "a reset": [RESET],
    "half an answer": [reply(b'{"x', length=99), CLOSE],
    "503": status(503),
}


@pytest.mark.parametrize("what", LOST)
@pytest.mark.parametrize("face", FACES)
def test_a_write_of_unknown_outcome(face: Face, what: str) -> None:
    """F36: a write without a client's id is sent once, whatever becomes of it, and the error says that it may have happened."""
    with RawServer(LOST[what], OK) as server:
        ended = Ended("exchange", face, server.url, FakeClock(), ORDER, read_timeout=0.5)
    assert isinstance(ended.error, kl.RequestError)
    assert ended.error.may_have_happened
    assert (len(server.requests), ended.waits, ended.busy) == (1, [], 0)


SPENT = [
    (402, "NO_MORE_CREDITS"),
    (402, "API_KEY_BUDGET_EXCEEDED"),
    (402, ""),
    (403, "NO_MORE_CREDITS"),
    (429, "API_KEY_BUDGET_EXCEEDED"),
]


@pytest.mark.parametrize(("code", "tag"), SPENT)
@pytest.mark.parametrize("face", FACES)
def test_money_that_is_used_up(face: Face, code: int, tag: str) -> None:
    """F30: Exa's 402, and its words for it under any status, are BudgetExceeded after one attempt; the circuit stays closed."""
    body = json.dumps({"requestId": "r", "error": "Insufficient credits", "tag": tag}).encode()
    with RawServer(reply(body, code), OK) as server:
        ended = Ended("exa", face, server.url, FakeClock(), breaker_failures=1)
    assert isinstance(ended.error, kl.BudgetExceeded)
    assert (len(server.requests), ended.waits, ended.busy, ended.state["breaker"]) == (1, [], 0, "closed")
    assert ended.error.code == tag
    assert ended.error.request_id in str(ended.error)
    assert "Insufficient credits" in str(ended.error)


def test_the_exchange_has_no_such_words() -> None:
    """F30: the same answer from the exchange is a refusal like others."""
    with RawServer(reply({"error": {"code": "NO_MORE_CREDITS"}}, 402)) as server:
        assert type(Sent(server).error) is kl.BadRequest


@pytest.mark.parametrize("face", FACES)
def test_a_key_goes_to_its_own_host(face: Face) -> None:
    """Exa's key is sent to Exa and nobody else: not to another address, and not along a redirect."""
    with RawServer(OK) as server:
        Ended("exa", face, server.url, FakeClock())
        Ended("exa", face, server.url, FakeClock(), host={"own": False, "unsafe": True})
        Ended("exchange", face, server.url, FakeClock())
    assert [f"x-api-key: {KEY}".encode() in request for request in server.requests] == [True, False, False]
    with RawServer() as elsewhere, RawServer(reply(b"", 307, Location=elsewhere.url)) as server:
        ended = Ended("exa", face, server.url, FakeClock())
    assert (ended.outcome, elsewhere.connections) == ("UnexpectedRedirect", 0)


@pytest.mark.parametrize(
    ("address", "environment", "own"),
    [
        ("https://api.exa.ai", "prod", True),
        ("https://api.exa.ai", "sim", True),
        ("http://api.exa.ai", "sim", False),
        ("https://api.exa.ai:444", "prod", False),
        ("https://api.exa.ai.evil.example", "prod", False),
        ("https://api.exa.ai@evil.example", "prod", False),
        ("http://127.0.0.1:8000", "prod", False),
        ("http://127.0.0.1:8000", "sim", True),
        ("http://127.0.0.1:8000", "demo", False),
    ],
)
def test_which_address_is_exa_s_own(address: str, environment: str, own: bool) -> None:
    """The exact scheme, host and port, or in the sim's environment a stand-in on this machine; nothing is sent to any other."""
    host = exa(kl.Settings(environment=environment), address)  # type: ignore[arg-type]
    assert host.own is own
    if own:
        assert allowed_base(host) == address
    else:
        with pytest.raises(Refusal):
            allowed_base(host)


def test_a_key_is_never_shown() -> None:
    """An API key is in no repr, pickle or copy of what carries it, and one that is none is refused without being repeated."""
    header = KeyHeader("x-api-key", KEY)
    assert KEY not in repr(header) + str(vars(type(header)))
    for carry in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(kl.UsageError) as caught:
            carry(header)
        assert KEY not in str(caught.value)
    for wrong in ("", "a b", "\n", "ключ"):
        with pytest.raises(kl.UsageError) as caught:
            KeyHeader("x-api-key", wrong)
        assert not wrong or wrong not in str(caught.value)


def test_exa_s_doors_share_ten_requests_a_second() -> None:
    """All doors to Exa share one budget, whatever their keys, since the limit is the team's; the exchange's is apart."""
    settings = kl.Settings()
    doors = [Door(settings, host=exa(settings), key=KeyHeader("x-api-key", key)) for key in ("one", "two")]
    assert doors[0]._budget is doors[1]._budget
    assert doors[0].state["rate"] == 10
    assert 9 <= doors[0].state["tokens"] <= doors[0].state["write_tokens"] <= 10
    assert doors[0]._budget.read is doors[0]._budget.write
    assert doors[0]._breaker is not doors[1]._breaker
    assert Door(settings)._budget is not doors[0]._budget
