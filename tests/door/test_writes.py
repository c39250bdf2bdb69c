"""When a write may be sent again, and what its error says of what may have happened."""

from __future__ import annotations

import pytest

import kalshi_lab as kl
from kalshi_lab.door import Call
from tests.door.raw_server import CLOSE, PREFIX, RESET, STALL, Answer, RawServer, free_port, reply
from tests.door.sending import CALL, Sent
from tests.fakes import FakeClock

OK = reply({"order_id": "o"}, 201)
DECREASE = Call("decrease_order_v2", "/portfolio/events/orders/o/decrease", method="POST", body=b"{}")
CREATE = Call(
    "create_order_v2", "/portfolio/events/orders", method="POST", body=b'{"client_order_id":"c"}', repeat=True
)
CANCEL = Call("cancel_order_v2", "/portfolio/events/orders/o", method="DELETE", repeat=True)
GROUP = Call("create_order_group", "/portfolio/order_groups/create", method="POST", body=b"{}")
AMBIGUOUS: dict[str, Answer] = {
    "500": reply(b"{}", 500),
    "503": reply(b"{}", 503),
    "no answer": [STALL],
    "a reset": [RESET],
    "a close": [CLOSE],
    "half an answer": [reply(b'{"order', length=99), CLOSE],
    "an answer that is no JSON": reply(b"fine", 200, kind="text/plain"),
}
CERTAIN = {400: kl.BadRequest, 403: kl.Forbidden, 404: kl.NotFound, 409: kl.Conflict, 422: kl.BadRequest}


@pytest.mark.parametrize("call", [DECREASE, GROUP], ids=lambda call: call.operation)
@pytest.mark.parametrize("failure", AMBIGUOUS)
def test_a_write_that_may_have_happened_is_not_sent_again(call: Call, failure: str) -> None:
    """NET-4 ⚠ and lesson 19: a decrease or a new group is sent once, and the error says that it may have happened."""
    with RawServer(AMBIGUOUS[failure], OK) as server:
        error = Sent(server, call, read_timeout=0.2).error
    assert isinstance(error, kl.RequestError)
    assert (len(server.requests), error.attempts) == (1, 1)
    assert error.may_have_happened
    assert "may have been carried out" in str(error)


@pytest.mark.parametrize("call", [CREATE, CANCEL, CALL], ids=lambda call: call.operation)
@pytest.mark.parametrize("failure", AMBIGUOUS)
def test_what_may_be_repeated_is_sent_again(call: Call, failure: str) -> None:
    """NET-2 ⚠ and lesson 19: GET, cancels and creates with a client id are tried again after 5xx, timeouts and cut answers."""
    with RawServer(AMBIGUOUS[failure], OK) as server:
        sent = Sent(server, call, read_timeout=0.2)
    assert sent.reply is not None
    assert (sent.reply.attempts, len(server.requests)) == (2, 2)
    assert server.requests[0].split(b"\r\n\r\n")[1] == server.requests[1].split(b"\r\n\r\n")[1]


@pytest.mark.parametrize("call", [DECREASE, GROUP, CREATE, CANCEL], ids=lambda call: call.operation)
@pytest.mark.parametrize("header", ["3", "Sun, 22 Nov 2026 14:00:03 GMT"])
def test_a_refused_write_waits_as_long_as_it_is_asked(call: Call, header: str) -> None:
    """NET-4 ⚠ and lesson 20: a 429 is tried again for every write, after Retry-After's own seconds, be they a number or a date."""
    limited = reply(b"{}", 429, Retry_After=header, Date="Sun, 22 Nov 2026 14:00:00 GMT")
    with RawServer(limited, OK) as server:
        sent = Sent(server, call)
    assert sent.reply is not None
    assert len(server.requests) == 2
    assert sent.clock.monotonic() == pytest.approx(3.0, abs=0.2)


@pytest.mark.parametrize("call", [DECREASE, CREATE, CALL], ids=lambda call: call.operation)
def test_no_write_waits_beyond_the_ceiling(call: Call) -> None:
    """Lesson 20: a Retry-After above the ceiling ends the call at once, reads and writes alike, and nothing has happened."""
    with RawServer(reply(b"{}", 429, Retry_After="3600"), OK) as server:
        error = Sent(server, call).error
    assert isinstance(error, kl.RateLimited)
    assert (error.retry_after, len(server.requests), error.may_have_happened) == (3600.0, 1, False)


def test_a_429_without_a_word_backs_off() -> None:
    """NET-4: the exchange sends no Retry-After of its own; the wait is full jitter."""
    with RawServer(reply({"error": "too many requests"}, 429), OK) as server:
        sent = Sent(server, DECREASE)
    assert sent.reply is not None
    assert sent.waits[:1] == [0.25]


@pytest.mark.parametrize("call", [DECREASE, CREATE], ids=lambda call: call.operation)
def test_a_connection_that_was_never_made_is_tried_again(call: Call) -> None:
    """NET-4: nothing can have arrived, so every write is tried again, and the error promises that nothing happened."""
    error = Sent(f"http://127.0.0.1:{free_port()}{PREFIX}", call).error
    assert isinstance(error, kl.Unavailable)
    assert (error.attempts, error.may_have_happened) == (4, False)


@pytest.mark.parametrize("status", CERTAIN)
@pytest.mark.parametrize("call", [DECREASE, CREATE], ids=lambda call: call.operation)
def test_a_refusal_is_certain(status: int, call: Call) -> None:
    """NET-4: a refused write is sent once and did not happen."""
    with RawServer(reply({"code": "no", "message": "no"}, status), OK) as server:
        error = Sent(server, call).error
    assert type(error) is CERTAIN[status]
    assert isinstance(error, kl.RequestError)
    assert (len(server.requests), error.may_have_happened) == (1, False)


@pytest.mark.parametrize("failure", AMBIGUOUS)
def test_a_conflict_after_a_lost_answer_says_that_it_was_a_repeat(failure: str) -> None:
    """NET-4 ⚠: a create that timed out and then meets a 409 is a Conflict of a repeat: the order may be live."""
    with RawServer(AMBIGUOUS[failure], reply({"error": {"code": "order_already_exists"}}, 409)) as server:
        error = Sent(server, CREATE, read_timeout=0.2).error
    assert isinstance(error, kl.Conflict)
    assert (error.attempts, error.may_have_happened) == (2, True)


def test_doubt_lasts_over_later_attempts() -> None:
    """An attempt that was lost leaves doubt, whatever the later ones say; one that never arrived leaves none."""
    with RawServer([RESET], reply(b"{}", 429, Retry_After="3600")) as server:
        lost = Sent(server, CREATE).error
    with RawServer(reply(b"{}", 429), reply(b"{}", 429), reply(b"{}", 400)) as server:
        refused = Sent(server, CREATE).error
    assert isinstance(lost, kl.RateLimited)
    assert isinstance(refused, kl.BadRequest)
    assert (lost.may_have_happened, refused.may_have_happened) == (True, False)


def test_a_read_never_may_have_happened() -> None:
    """A GET that failed changes nothing, and its error does not say otherwise."""
    with RawServer([RESET]) as server:
        error = Sent(server).error
    assert isinstance(error, kl.RequestError)
    assert not error.may_have_happened
    assert "carried out" not in str(error)


@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_write_may_be_answered_with_nothing(status: int) -> None:
    """An empty 2xx to a write is a success, while a read that says nothing is none."""
    with RawServer(reply(b"", status, kind="")) as server:
        sent, read = Sent(server, CANCEL), Sent(server)
    assert sent.reply is not None
    assert (sent.reply.body, len(server.requests)) == (b"", 2 if status == 204 else 3)
    assert isinstance(read.error, kl.BadPayload) == (status != 204)


def test_net_errors_have_classes() -> None:
    """NET-5 ⚠: 401 and 404 arrive as their own classes, and the body's code, message and details are read."""
    for status, kind in ((401, kl.AuthFailed), (404, kl.NotFound), (429, kl.RateLimited)):
        body = {"code": "the_code", "message": "the message", "details": "the details"}
        with RawServer(reply(body, status)) as server:
            error = Sent(server).error
        assert type(error) is kind
        assert isinstance(error, kl.RequestError)
        assert (error.status, error.code) == (status, "the_code")
        assert "the message (the details)" in str(error)


def test_a_client_has_a_name_limits_and_request_ids() -> None:
    """NET-1 ⚠: requests name the library, carry an id each call, and share so many connections at most."""
    with RawServer(reply(b"{}", 503), reply({"markets": []})) as server:
        sent = Sent(server, max_connections=1)
    asked = [request.decode().lower() for request in server.requests]
    assert all("user-agent: kalshi_lab/" in text and "accept: application/json" in text for text in asked)
    assert sent.reply is not None
    assert all(f"x-request-id: {sent.reply.request_id}" in text for text in asked)


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[1", b"<html></html>"])
def test_a_signed_read_never_leaks_a_decoding_error(body: bytes) -> None:
    """NET-3 ⚠: an empty or broken body to a signed read is one of ours, as it is for a public one."""
    call = Call("get_balance", "/portfolio/balance", auth=True)
    with RawServer(reply(body)) as server:
        sent = Sent(server, call, credentials=kl.Credentials.generate(), clock=FakeClock(roll=0.0))
    assert isinstance(sent.error, kl.BadPayload | kl.BrokenResponse | kl.Unavailable)
