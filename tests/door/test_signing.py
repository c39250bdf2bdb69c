"""Requests that need a key are signed, each attempt anew, for the environment's own host and in the exchange's time."""

from __future__ import annotations

import asyncio
import itertools
import logging
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kalshi_lab as kl
from kalshi_lab.door import Call, Door, segment
from kalshi_lab.door.signing import Signer
from tests.door.raw_server import Answer, RawServer, Wait, reply
from tests.door.sending import CALL, Sent, settings_for
from tests.door.signed import headers, stamp, target, unsigned
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from kalshi_lab.door import Reply

OK = reply({"balance": 1})
BALANCE = Call("get_balance", "/portfolio/balance", auth=True)
REFUSED = {"code": "header_timestamp_expired", "message": "no"}


@pytest.fixture(scope="module", params=["ed25519", "rsa"])
def key(request: pytest.FixtureRequest) -> kl.Credentials:
    made: kl.Credentials = kl.Credentials.generate(request.param)
    return made


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_signature_covers_time_method_and_path(key: kl.Credentials, method: str) -> None:
    """AUTH-1: milliseconds, method and the path with its prefix are signed, the query is left out."""
    call = Call("get_fills", "/portfolio/fills", (("limit", "5"), ("ticker", "A&B?c")), method, auth=True)
    with RawServer(OK) as server:
        assert Sent(server, call, credentials=key).reply is not None
    clock = FakeClock()
    assert stamp(server.requests[0], key) == int(clock.now().timestamp() * 1000)
    assert target(server.requests[0]) == (method, "/trade-api/v2/portfolio/fills?limit=5&ticker=A%26B%3Fc")


def test_only_calls_that_need_a_key_are_signed(key: kl.Credentials) -> None:
    """AUTH-1: public data are asked for without a word of who asks."""
    with RawServer(reply({"markets": []})) as server:
        assert Sent(server, CALL, credentials=key).reply is not None
    assert unsigned(server.requests[0])


@settings(max_examples=40)
@given(
    given_id=st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(lambda text: text not in {".", ".."})
)
def test_the_path_is_signed_as_it_is_sent(given_id: str) -> None:
    """S4: whatever an id holds, the path stays below the API's own and the signature verifies over its bytes."""
    call = Call("get_order", f"/portfolio/orders/{segment(given_id)}", auth=True)
    door_key = kl.Credentials.generate()

    async def main() -> bytes:
        door = Door(settings_for(url), clock=FakeClock(), credentials=door_key)
        await door.send(call)
        await door.aclose()
        return server.requests[-1]

    with RawServer(OK) as server:
        url = server.url
        request = asyncio.run(main())
    assert stamp(request, door_key)
    assert target(request)[1].startswith("/trade-api/v2/portfolio/orders/")
    assert target(request)[1].count("/") == 5


@pytest.mark.parametrize("failures", [[503], [429, 502], [500, 503, 504]])
def test_each_attempt_is_signed_anew(key: kl.Credentials, failures: list[int]) -> None:
    """NET-3 ⚠, F35 and lesson 19: a retry has its own time and signature, made after the wait."""
    with RawServer(*[reply(b"{}", status) for status in failures], OK) as server:
        sent = Sent(server, BALANCE, credentials=key)
    stamps = [stamp(request, key) for request in server.requests]
    assert len(stamps) == len(failures) + 1
    assert len({headers(request)["kalshi-access-signature"] for request in server.requests}) == len(stamps)
    gaps = [later - earlier for earlier, later in itertools.pairwise(stamps)]
    assert all(gap >= wait * 1000 - 1 for gap, wait in zip(gaps, sent.waits, strict=False))
    assert all(gap > 0 for gap in gaps)


def test_without_a_key_nothing_is_sent() -> None:
    """NET-3: a call that needs a key is refused at once, and the error says what to do."""
    with RawServer(OK) as server:
        sent = Sent(server, BALANCE)
        assert Sent(server).error is None
    assert isinstance(sent.error, kl.AuthFailed)
    assert "get_balance needs a key" in str(sent.error)
    assert "kl.Credentials.from_env()" in str(sent.error)
    assert (sent.error.attempts, len(server.requests)) == (0, 1)


def test_nothing_is_signed_for_another_host(key: kl.Credentials, caplog: pytest.LogCaptureFixture) -> None:
    """S3: a host of the user's own gets the request without key and signature, and the log says so once."""
    for environment in ("prod", "demo"):
        with RawServer(OK) as server:
            assert Sent(server, BALANCE, credentials=key, environment=environment).reply is not None
        assert unsigned(server.requests[0])
        assert "nothing is signed for it" in caplog.text
        caplog.clear()
    with RawServer(OK) as server:
        Sent(server.url.replace("127.0.0.1", "localhost"), BALANCE, credentials=key)
    assert all(unsigned(request) for request in server.requests)


HOSTS = ["external-api.kalshi.com", "api.elections.kalshi.com", "external-api.demo.kalshi.co", "evil.example"]
OWN = {("prod", HOSTS[0]), ("prod", HOSTS[1]), ("demo", HOSTS[2])}


@settings(max_examples=200)
@given(
    scheme=st.sampled_from(["https", "http"]),
    host=st.one_of(
        st.sampled_from([*HOSTS, "127.0.0.1", "localhost", "127.0.0.1.evil.example", "127.0.0.2", "[::1]"]),
        st.sampled_from(HOSTS).flatmap(lambda name: st.sampled_from([name + ".", "x" + name, name + ".evil.example"])),
    ),
    port=st.sampled_from(["", ":443", ":8443", ":80"]),
    environment=st.sampled_from(["prod", "demo", "sim"]),
)
def test_signed_means_own_host(scheme: str, host: str, port: str, environment: Any) -> None:
    """S3: over all addresses, a door signs only for its environment's own hosts over TLS, and for the sim on 127.0.0.1."""
    url = f"{scheme}://{host}{port}/trade-api/v2"
    made = kl.Settings(environment=environment, base_url=url, allow_unsafe_host=True)
    signs = Door(made, clock=FakeClock(), credentials=kl.Credentials.generate()).signer is not None
    own = scheme == "https" and port == "" and (environment, host) in OWN
    assert signs == (own or (environment == "sim" and scheme == "http" and host == "127.0.0.1"))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_signature_follows_no_redirect(key: kl.Credentials, status: int) -> None:
    """S3: an answer that points elsewhere ends the call, and elsewhere sees no request."""
    with RawServer(OK) as elsewhere:
        with RawServer(reply(b"{}", status, Location=f"{elsewhere.url}/portfolio/balance")) as server:
            assert isinstance(Sent(server, BALANCE, credentials=key).error, kl.UnexpectedRedirect)
        assert (len(server.requests), len(elsewhere.requests)) == (1, 0)


@pytest.mark.parametrize(("mine", "theirs"), [("prod", "demo"), ("demo", "prod"), ("prod", "sim")])
def test_a_key_stays_in_its_environment(mine: Any, theirs: Any) -> None:
    """S6: a key that belongs to one environment is refused by a client of another."""
    from tests.keys.pems import pem

    bound = kl.Credentials("some-key-id-0001", pem("ed25519"), environment=mine)
    with pytest.raises(kl.UsageError, match=f"belongs to {mine}.*talks to {theirs}"):
        Door(kl.Settings(environment=theirs), credentials=bound)
    assert Door(kl.Settings(environment=mine), credentials=bound).signer is not None


def dated(clock: FakeClock, ahead: float, status: int = 401, body: object = REFUSED) -> bytes:
    """An answer of an exchange whose clock is `ahead` seconds ahead of this machine's."""
    return reply(body, status, Date=format_datetime(clock.now() + timedelta(seconds=ahead), usegmt=True))


@pytest.mark.parametrize("ahead", [37, -37, 290, -290, 3])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_wrong_clock_is_made_up_for_once(key: kl.Credentials, ahead: float, method: str) -> None:
    """F18: a 401 whose Date shows the clock off is signed again at once in the exchange's time, for reads and writes alike."""
    clock = FakeClock()
    with RawServer(dated(clock, ahead), OK) as server:
        sent = Sent(server, Call("some", "/portfolio/some", method=method, auth=True), clock=clock, credentials=key)
    assert sent.reply is not None
    first, second = (stamp(request, key) for request in server.requests)
    assert second - first == pytest.approx(ahead * 1000, abs=100)
    assert sent.waits == []


def test_a_second_refusal_names_the_offset(key: kl.Credentials) -> None:
    """F18: signed in the exchange's time and refused again is ClockSkew with the offset, after two attempts."""
    clock = FakeClock()
    with RawServer(dated(clock, 37)) as server:
        error = Sent(server, BALANCE, clock=clock, credentials=key).error
    assert isinstance(error, kl.ClockSkew)
    assert error.offset == pytest.approx(37, abs=1)
    assert "37 s behind" in str(error)
    assert (error.attempts, len(server.requests), error.status) == (2, 2, 401)


@pytest.mark.parametrize("ahead", [301, -301, 86_400])
def test_a_clock_far_off_is_not_made_up_for(key: kl.Credentials, ahead: float) -> None:
    """F18: more than 5 minutes are named at once, and nothing is signed again."""
    clock = FakeClock()
    with RawServer(dated(clock, ahead), OK) as server:
        error = Sent(server, BALANCE, clock=clock, credentials=key).error
    assert isinstance(error, kl.ClockSkew)
    assert error.offset == pytest.approx(ahead, abs=1)
    assert ("behind" if ahead > 0 else "ahead of") in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer", [dated(FakeClock(), 1), dated(FakeClock(), -2), reply(REFUSED, 401), reply(b"{}", 401, Date="soon")]
)
def test_another_401_is_final(key: kl.Credentials, answer: bytes) -> None:
    """F18: a 401 that the clock does not explain is AuthFailed after one attempt."""
    with RawServer(answer, OK) as server:
        error = Sent(server, BALANCE, credentials=key).error
    assert type(error) is kl.AuthFailed
    assert len(server.requests) == 1


def test_a_slow_refusal_is_not_taken_for_a_wrong_clock(key: kl.Credentials) -> None:
    """F18: a Date that is as old as the answer was slow says nothing of the clock."""
    signer = Signer(key, FakeClock())
    date = format_datetime(FakeClock().now() - timedelta(seconds=4), usegmt=True)
    assert signer.correct(date, took=4.0) is None
    assert signer.correct(date) == pytest.approx(-4.0)


def test_what_one_call_learned_all_use(key: kl.Credentials) -> None:
    """F18: calls under way together each recover, later ones and the stream's handshake are signed right from the start."""
    clock = FakeClock()

    async def main(url: str) -> tuple[list[Reply], dict[str, str]]:
        door = Door(settings_for(url), clock=clock, credentials=key)
        sent = await asyncio.gather(*(door.send(BALANCE) for _ in range(4)))
        later = await door.send(BALANCE)
        assert door.signer is not None
        handshake = door.signer.headers("get", "/trade-api/ws/v2")
        await door.aclose()
        return [*sent, later], handshake

    late: Answer = [Wait(0.2), dated(clock, 60)]
    with RawServer(late, late, late, late, OK) as server:
        replies, handshake = asyncio.run(main(server.url))
    assert [reply.attempts for reply in replies] == [2, 2, 2, 2, 1]
    now = clock.now().timestamp() * 1000
    assert int(handshake["KALSHI-ACCESS-TIMESTAMP"]) == pytest.approx(now + 60_000, abs=1000)
    lines = "\r\n".join(f"{name}: {value}" for name, value in handshake.items())
    assert stamp(f"GET /trade-api/ws/v2 HTTP/1.1\r\n{lines}\r\n\r\n".encode(), key) > now


def test_public_calls_do_not_blame_the_clock(caplog: pytest.LogCaptureFixture) -> None:
    """A 401 to what was not signed is AuthFailed, whatever its Date says."""
    caplog.set_level(logging.DEBUG)
    clock = FakeClock()
    with RawServer(dated(clock, 60), OK) as server:
        error = Sent(server, CALL, clock=clock, credentials=kl.Credentials.generate()).error
    assert type(error) is kl.AuthFailed
    assert len(server.requests) == 1
