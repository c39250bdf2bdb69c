"""The fault table of the network, by number: each row over the exchange's door and Exa's, awaited and blocking."""

from __future__ import annotations

import asyncio
import locale
import socket
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab.clock import SystemClock
from kalshi_lab.door import Call
from kalshi_lab.door.retry import asked_wait
from kalshi_lab.errors import LabError
from tests.door.raw_server import PREFIX, RESET, STALL, RawServer, drip, reply
from tests.door.sending import Sent, settings_for
from tests.door.test_broken_answers import CUT, LARGE, NO_JSON
from tests.door.test_guard import _self_signed
from tests.fakes import FakeClock
from tests.faults.ground import (
    CALLS,
    FACES,
    GOOD,
    KEY,
    KINDS,
    NOW,
    OK,
    WAYS,
    Ended,
    Face,
    Kind,
    Row,
    asked,
    door_to,
    nobody,
    status,
)

if TYPE_CHECKING:
    from pathlib import Path

PAUSES = (0.25, 0.5, 1.0)  # half of each cap, since the fake clock's dice show 0.5


ROWS = [
    Row("F1", "429 without a word, then well", (status(429), OK), "Reply", 2, PAUSES[:1]),
    Row("F1", "429 for ever", (status(429),), "RateLimited", 4, PAUSES),
    *(Row("F2", f"Retry-After {said!r}", (asked(said), OK), "Reply", 2, (wait,)) for said, wait in [
        ("3", 3.0), ("3.5", 3.5), ("0", 0.25), ("-5", 0.25), ("nan", 0.25), ("inf", 0.25), ("garbage", 0.25), ("5, 10", 0.25),
    ]),
    Row("F2", "Retry-After '1e9'", (asked("1e9"), OK), "RateLimited"),
    Row("F2", "Retry-After '7', of which 5 are honoured", (asked("7"), OK), "RateLimited", options={"longest_wait": 5.0}),
    Row("F2", "Retry-After beyond the deadline", (asked("6"), OK), "RateLimited", options={"deadline": 5.0}),
    *(Row("F3", f"Retry-After {said!r}", (asked(said), OK), "Reply", 2, (wait,)) for said, wait in [
        ("Sun, 22 Nov 2026 14:00:07 GMT", 7.0), ("Sunday, 22-Nov-26 14:00:07 GMT", 7.0), ("Sun Nov 22 14:00:07 2026", 7.0),
        ("Sun, 22 Nov 2026 13:59:00 GMT", 0.25),
    ]),
    *(Row("F4", f"{code} for ever", (status(code),), "Unavailable", 4, PAUSES) for code in (500, 502, 503, 504)),
    Row("F4", "500, 502, 504, then well", (status(500), status(502), status(504), OK), "Reply", 4, PAUSES),
    Row("F4", "501", (status(501), OK), "Unavailable"),
    Row("F4", "505", (status(505), OK), "Unavailable"),
    *(Row("F5", str(code), (status(code), OK), kind) for code, kind in [
        (400, "BadRequest"), (401, "AuthFailed"), (403, "Forbidden"), (404, "NotFound"), (409, "Conflict"), (410, "BadRequest"),
        (422, "BadRequest"),
    ]),
    *(Row("F7", what, (answer,), "TimedOut", 2, PAUSES[:1], slow=True, options={"read_timeout": 0.25, "attempts": 2}) for what, answer in [
        ("silence", [STALL]), ("a stall in the head", [OK[:30], STALL]), ("a stall in the body", [OK[:-3], STALL]),
    ]),
    *(Row("F9", what, (CUT[what],), "BrokenResponse", 4, PAUSES) for what in (
        "reset in the body", "reset before the status", "content-length too long", "bad chunk", "empty reply", "garbage status line",
    )),
    Row("F9", "a reset, then well", ([RESET], OK), "Reply", 2, PAUSES[:1]),
    *(Row("F10", what, (CUT[what],), "BrokenResponse", 4, PAUSES) for what in (
        "cut gzip of the length said", "cut where no length was said", "gzip without its trailer", "gzip with a wrong checksum",
        "gzip that is none",
    )),
    *(Row("F10", what, (answer,), "BadPayload", 2, PAUSES[:1]) for what, answer in NO_JSON.items()),
    Row("F10", "no JSON, then well", (reply(b"fine", kind="text/plain"), OK), "Reply", 2, PAUSES[:1]),
    Row("F10", "a web page with 200", (reply(b"<!doctype html><p>Back soon", kind="text/html"),), "Unavailable", 4, PAUSES),
    *(Row("F29", what, (answer,), "TooLarge", options={"raw_cap": 2**20, "body_cap": 2**21}) for what, answer in LARGE.items()),
]  # fmt: skip


@pytest.mark.parametrize(("face", "kind"), WAYS)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_table(row: Row, face: Face, kind: Kind) -> None:
    """F1 to F5, F7, F9, F10, F29: outcome, attempts, waits to the second, retry quota, and no connection left busy."""
    with RawServer(*row.answers) as server:
        ended = Ended(kind, face, server.url, FakeClock(), **row.options)
    assert ended.outcome == row.outcome
    assert ended.waits == list(row.slept)
    assert (ended.busy, ended.state["open_requests"], ended.state["retry_tokens"]) == (0, 0, row.quota)
    assert (ended.reply or ended.error).attempts == row.attempts == len(server.requests)  # type: ignore[union-attr]
    if ended.reply:
        assert ended.reply.body == GOOD
    else:
        assert {"exchange": "exchange", "exa": "Exa"}[kind] in str(ended.error) or row.number in {"F9", "F10", "F29"}
        assert KEY not in repr(vars(ended.error))


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_slows_the_rate_and_success_brings_it_back(kind: Kind) -> None:
    """F1: the bucket's rate is half after a 429, and grows again with each success."""

    async def main(server: RawServer) -> list[float]:
        door = door_to(kind, server.url)
        rates = [door.state["rate"]]
        for _ in range(27):
            await door.send(CALLS[kind])
            rates.append(door.state["rate"])
        await door.aclose()
        return [rate / rates[0] for rate in rates]

    with RawServer(status(429), OK) as server:
        rates = asyncio.run(main(server))
    assert rates[:3] == pytest.approx([1.0, 0.52, 0.54])
    assert rates[-1] == pytest.approx(1.0)


def test_dates_are_read_in_every_locale() -> None:
    """F3: a machine that speaks German reads the same dates, and counts them from the answer's own Date."""
    before = locale.setlocale(locale.LC_TIME)
    with suppress(locale.Error):
        locale.setlocale(locale.LC_TIME, "de_DE.UTF-8")
    try:
        now = FakeClock().now() + timedelta(minutes=3)  # this machine's clock is off; it must not matter
        assert asked_wait("Sun, 22 Nov 2026 14:00:07 GMT", NOW, now) == 7.0
        assert asked_wait("Mon, 07 Dec 2026 14:00:07 GMT", "Mon, 07 Dec 2026 14:00:00 GMT", now) == 7.0
    finally:
        locale.setlocale(locale.LC_TIME, before)


@pytest.mark.parametrize(("face", "kind"), WAYS)
def test_no_connection(face: Face, kind: Kind) -> None:
    """F6: a refused connection is tried four times, then Unavailable without a status."""
    ended = Ended(kind, face, nobody(), FakeClock())
    assert isinstance(ended.error, kl.Unavailable)
    assert (ended.error.status, ended.error.attempts, ended.waits, ended.busy) == (None, 4, list(PAUSES), 0)


@pytest.mark.parametrize(("face", "kind"), WAYS)
def test_a_name_that_nobody_knows(face: Face, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """F6: a failing name service is tried again like a refused connection."""
    names: list[str] = []

    def unknown(host: str, *_: object, **__: object) -> list[Any]:
        names.append(host)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    ended = Ended(
        kind,
        face,
        "https://nowhere.example" + PREFIX,
        FakeClock(),
        **({"host": {"unsafe": True}} if kind == "exa" else {}),
    )
    assert isinstance(ended.error, kl.Unavailable)
    assert (len(names), ended.busy) == (4, 0)


@pytest.mark.parametrize(("face", "kind"), WAYS)
def test_a_certificate_that_nobody_vouches_for(face: Face, kind: Kind, tmp_path: Path) -> None:
    """F6: it is never tried again, and the host sees no request, no key and no signature."""
    with RawServer(tls=_self_signed(tmp_path)) as server:
        ended = Ended(kind, face, server.url, FakeClock(), **({"host": {"unsafe": True}} if kind == "exa" else {}))
    assert isinstance(ended.error, kl.UnexpectedRedirect)
    assert (ended.error.attempts, ended.waits, server.requests, ended.busy) == (1, [], [], 0)


@pytest.mark.parametrize("face", FACES)
def test_a_connection_that_is_never_made(face: Face) -> None:
    """F7: a host whose queue of connections is full is a connect timeout, tried again even for a write."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        write = Call("create_order_group", "/portfolio/order_groups/create", method="POST", body=b"{}")
        address = f"http://127.0.0.1:{full.getsockname()[1]}{PREFIX}"
        ended = Ended("exchange", face, address, FakeClock(), write, connect_timeout=0.1, attempts=2)
        for one in waiting:
            one.close()
    assert isinstance(ended.error, kl.TimedOut)
    assert "connect timeout" in ended.error.message
    assert (ended.error.attempts, ended.error.may_have_happened, ended.busy) == (2, False, 0)


@pytest.mark.parametrize("face", FACES)
def test_a_host_that_does_not_take_what_is_sent(face: Face) -> None:
    """F7: a body that nobody reads is a write timeout."""
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        large = Call("search", "/search", method="POST", cost=1.0, body=b" " * 2**24, auth=True, repeat=True)
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}{PREFIX}"
        ended = Ended("exa", face, address, FakeClock(), large, read_timeout=0.1, attempts=2)
    assert isinstance(ended.error, kl.TimedOut)
    assert "write timeout" in ended.error.message
    assert (ended.error.attempts, ended.state["retry_tokens"], ended.busy) == (2, 90, 0)


@pytest.mark.parametrize(("face", "kind"), WAYS)
def test_a_slow_drip_ends_with_the_deadline(face: Face, kind: Kind) -> None:
    """F8: bytes that come for ever, each in time, are cut at the deadline plus a second at most."""
    with RawServer(drip(reply(GOOD), 0.05)) as server:
        ended = Ended(kind, face, server.url, SystemClock(), deadline=0.4, read_timeout=0.2)  # type: ignore[arg-type]
    assert isinstance(ended.error, kl.TimedOut)
    assert "deadline" in ended.error.message
    assert (ended.error.attempts, ended.busy, len(server.requests)) == (1, 0, 1)
    assert ended.error.elapsed < 5


DAMAGED = {
    "invalid JSON": b'{"markets": [}], "cursor": ""}',
    "NaN": b'{"markets": [{"ticker": "A", "floor_strike": NaN}]}',
    "a hundred thousand brackets": b'{"markets": ' + b"[" * 10**5 + b"]" * 10**5 + b"}",
    "two lists of rows": b'{"markets": [{"ticker": "A"}], "markets": []}',
    "a list for an object": b"[]",
    "null rows": b'{"markets": 7}',
}
OBJECT = {
    "duplicate keys": b'{"market": {"ticker": "A", "title": "one", "title": "two"}}',
    "NaN": b'{"market": {"ticker": "A", "floor_strike": NaN}}',
    "a hundred thousand brackets": b'{"market": ' + b"[" * 10**5 + b"]" * 10**5 + b"}",
    "no object under its key": b'{"market": null}',
}


@pytest.mark.parametrize("what", [*DAMAGED, *(f"{name}, one object" for name in OBJECT)])
def test_what_is_no_answer_of_the_contract(what: str) -> None:
    """F10: it is BadPayload with the body's hash and how it begins, in both faces, as frame and as objects, and no row comes out."""
    alone = what.endswith(", one object")
    body = OBJECT[what.removesuffix(", one object")] if alone else DAMAGED[what]

    async def awaited(settings: kl.Settings) -> list[LabError]:
        async with kl.AsyncKalshi(settings=settings) as client:
            asks = (
                [client.markets.one("A")]
                if alone
                else [client.markets.list().frame(), anext(client.markets.list().__aiter__())]
            )
            return [await failed(one) for one in asks]

    with RawServer(reply(body)) as server:
        errors = asyncio.run(awaited(settings_for(server)))
        with kl.Kalshi(settings=settings_for(server)) as client, pytest.raises(kl.BadPayload) as blocking:
            client.markets.one("A") if alone else client.markets.list().frame()
    for error in [*errors, blocking.value]:
        assert isinstance(error, kl.BadPayload)
        assert len(error.sha256) == 64
        assert error.sha256 in str(error)
        assert len(str(error)) < 1000


async def failed(work: Any) -> LabError:
    try:
        await work
    except LabError as error:
        return error
    raise AssertionError("it did not fail")


def test_a_body_that_nobody_understands_shows_no_secret() -> None:
    """F10: what could be a key is masked, also where it is cut off, and an answer that a key was needed for is not shown at all."""
    key = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7"
    for lead in (b"x ", b"x " * 85, b"x " * 92, b"x " * 97):
        with RawServer(reply(lead + key.encode() * 9, kind="text/plain")) as server:
            error = Sent(server).error
        assert isinstance(error, kl.BadPayload)
        assert "begins 'x" in error.message
        assert key[:4] not in str(error)
    private = Call("get_balance", "/portfolio/balance", auth=True)
    with RawServer(reply(b"7 dollars", kind="text/plain")) as server:
        error = Sent(server, private, credentials=kl.Credentials.generate()).error
    assert isinstance(error, kl.BadPayload)
    assert "dollars" not in str(error)
