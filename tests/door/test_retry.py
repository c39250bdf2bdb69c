"""Which failures are tried again, after how long, and which error ends them."""

from __future__ import annotations

import pytest

from kalshi_lab import errors
from kalshi_lab.door import Call
from kalshi_lab.door.retry import Quota, asked_wait
from tests.door.raw_server import RawServer, reply
from tests.door.sending import CALL, Sent
from tests.fakes import FakeClock

OK = reply({"markets": []})
NOW = "Sun, 22 Nov 2026 14:00:00 GMT"


@pytest.mark.parametrize("failures", [[500], [502, 503], [504, 500, 503], [429], [429, 502, 429], [521]])
def test_passing_failures_are_tried_again(failures: list[int]) -> None:
    """A GET that fails for a passing reason succeeds within its four attempts, with full-jitter waits between them."""
    with RawServer(*[reply(b"{}", status) for status in failures], OK) as server:
        sent = Sent(server)
    assert sent.reply is not None
    assert (sent.reply.status, sent.reply.body, sent.reply.attempts) == (200, b'{"markets": []}', len(failures) + 1)
    assert len(server.requests) == len(failures) + 1
    assert sent.waits == [0.25, 0.5, 1.0][: len(failures)]
    assert [status for _, status, _ in sent.attempts] == [*failures, 200]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_attempts_are_bounded(status: int) -> None:
    """After four attempts the error says which request failed, how, how often and for how long."""
    body = {"code": "service_unavailable", "message": "in trouble", "details": "until noon"}
    with RawServer(reply(body, status)) as server:
        sent = Sent(server)
    error = sent.error
    assert isinstance(error, errors.RateLimited if status == 429 else errors.Unavailable)
    assert (error.status, error.attempts, error.method, error.path) == (status, 4, "GET", "/markets")
    assert len(server.requests) == 4
    assert error.elapsed == pytest.approx(sum(sent.clock.slept))  # type: ignore[attr-defined]
    assert error.code == "service_unavailable"
    assert "in trouble (until noon)" in str(error)
    assert error.request_id in str(error)
    assert error.hint


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.BadRequest),
        (401, errors.AuthFailed),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (408, errors.BadRequest),
        (409, errors.Conflict),
        (410, errors.BadRequest),
        (422, errors.BadRequest),
        (501, errors.Unavailable),
        (505, errors.Unavailable),
        (999, errors.BrokenResponse),
    ],
)
def test_lasting_failures_are_not_tried_again(status: int, kind: type[errors.RequestError]) -> None:
    """A refusal that another attempt cannot change is raised after one; an answer of no known class is garbled."""
    with RawServer(reply({"error": {"code": "no", "message": "nope"}}, status)) as server:
        sent = Sent(server)
    assert type(sent.error) is kind
    assert len(server.requests) == (4 if kind is errors.BrokenResponse else 1)
    assert isinstance(sent.error, LookupError) == (status == 404)


@pytest.mark.parametrize(
    ("header", "waits"),
    [
        ("3", [3.0]),
        ("3.5", [3.5]),
        ("59", [59.0]),
        ("0", [0.25]),
        ("-5", [0.25]),
        ("nan", [0.25]),
        ("inf", [0.25]),
        ("garbage", [0.25]),
        ("5, 10", [0.25]),
        ("1_0", [0.25]),
        ("9" * 400, [0.25]),
        ("Sun, 22 Nov 2026 14:00:07 GMT", [7.0]),
        ("Sunday, 22-Nov-26 14:00:07 GMT", [7.0]),
        ("Sun Nov 22 14:00:07 2026", [7.0]),
        ("Sun, 22 Nov 2026 15:00:09 +0100", [9.0]),
        ("Sun, 22 Nov 2026 13:59:00 GMT", [0.25]),
        ("Sun, 99 Nov 2026 14:00:07 GMT", [0.25]),
    ],
)
def test_retry_after(header: str, waits: list[float]) -> None:
    """A sensible Retry-After is waited out to the second; nonsense is ignored in favour of the own backoff."""
    with RawServer(reply(b"{}", 429, Retry_After=header, Date=NOW), OK) as server:
        sent = Sent(server)
    assert sent.reply is not None
    assert sent.waits[:1] == waits
    assert len(server.requests) == 2


@pytest.mark.parametrize(("header", "asked"), [("61", 61.0), ("1e9", 1e9), ("Mon, 23 Nov 2026 14:00:00 GMT", 86400.0)])
@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_that_is_too_long_is_not_begun(header: str, asked: float, status: int) -> None:
    """A longer wait than is allowed ends the call at once, and the error says how long it would have been."""
    with RawServer(reply(b"{}", status, Retry_After=header, Date=NOW), OK) as server:
        sent = Sent(server)
    assert len(server.requests) == 1
    assert sent.waits == []
    assert f"{asked:g} s" in str(sent.error)
    if status == 429:
        assert isinstance(sent.error, errors.RateLimited)
        assert sent.error.retry_after == asked


def test_a_wait_beyond_the_deadline_is_not_begun() -> None:
    """What is left of the deadline bounds a wait that would otherwise be honoured."""
    with RawServer(reply(b"{}", 429, Retry_After="6"), OK) as server:
        assert isinstance(Sent(server, deadline=5).error, errors.RateLimited)
        assert len(server.requests) == 1


def test_skew_between_the_clocks_does_not_lengthen_a_wait() -> None:
    """A Retry-After date counts from the answer's own Date, so a wrong clock on this machine changes nothing."""
    clock = FakeClock()
    assert asked_wait("Sun, 22 Nov 2026 14:00:07 GMT", "Sun, 22 Nov 2026 14:00:05 GMT", clock.now()) == 2.0
    assert asked_wait("Sun, 22 Nov 2026 14:00:07 GMT", "nonsense", clock.now()) == 7.0
    assert asked_wait("", "", clock.now()) is None


@pytest.mark.parametrize("roll", [0.0, 0.3, 0.999])
def test_backoff_is_full_jitter(roll: float) -> None:
    """Waits are a uniform share of a cap that doubles from backoff_base to backoff_cap."""
    with RawServer(reply(b"{}", 503)) as server:
        sent = Sent(server, clock=FakeClock(roll=roll), attempts=7, backoff_cap=4.0)
    caps = [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    assert sent.waits == [pytest.approx(roll * cap) for cap in caps if roll * cap >= 0.05]
    assert len(server.requests) == 7


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_writes_are_never_sent_again(method: str) -> None:
    """A request that is no GET is sent once, whatever comes back."""
    call = Call("create_order", "/portfolio/orders", method=method, body=b'{"ticker": "A"}')
    with RawServer(reply(b"{}", 503), OK) as server:
        assert isinstance(Sent(server, call).error, errors.Unavailable)
    assert len(server.requests) == 1
    assert server.requests[0].endswith(b'{"ticker": "A"}')
    assert b"content-type: application/json" in server.requests[0].lower()


def test_retries_stop_when_the_quota_is_empty() -> None:
    """A retry costs quota, a timeout twice as much, and a success gives a little back."""
    quota = Quota()
    assert all(quota.take(Quota.SLOW) for _ in range(10))
    assert not quota.take(Quota.COST)
    for _ in range(200):
        quota.refund()
    assert quota.left == Quota.FULL
    with RawServer(reply(b"{}", 503), reply(b"{}", 503), OK) as server:
        assert Sent(server).state["retry_tokens"] == 91


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (b'{"code": "bad", "message": "wrong limit", "details": "max 1000"}', "bad", "wrong limit (max 1000)"),
        (b'{"error": {"code": "not_found", "message": "not found"}}', "not_found", "not found"),
        (b'{"error": "too many requests"}', "", "too many requests"),
        (b'{"exchange_active": false}', "", '{"exchange_active": false}'),
        (b"plain words", "", "plain words"),
        (b'"a string"', "", "a string"),
        (b'{"code": 7, "message": ["odd"]}', "", '{"code": 7, "message": ["odd"]}'),
        (b"[" * 60_000, "", "[" * 300),
        (b"\xff\xfe\x00\x1b[31m", "", "[31m"),
    ],
)
def test_error_bodies_are_put_into_words(body: bytes, code: str, text: str) -> None:
    """Every shape of error body ends as code and one printable line of the message, bounded in length."""
    with RawServer(reply(body, 400)) as server:
        error = Sent(server).error
    assert isinstance(error, errors.BadRequest)
    assert error.code == code
    assert text in error.message
    assert error.message.isprintable()
    assert len(error.message) < 450


def test_web_pages_and_huge_error_bodies_are_not_quoted() -> None:
    """An error page adds nothing to a message, and an endless one is not read."""
    with RawServer(reply(b"<html>secret stack</html>", 500), reply(b"x" * 200_000, 400)) as server:
        error = Sent(server).error
    assert isinstance(error, errors.BadRequest)
    assert error.message == "the exchange answered 400"


def test_each_attempt_is_one_event_and_pays_its_own_tokens() -> None:
    """Every attempt is recorded with its status, error and bytes, and takes its cost from the rate budget."""
    with RawServer(reply(b"{}", 503), reply(b"{}", 502), OK) as server:
        sent = Sent(server, Call("get_markets", "/markets", cost=50), clock=FakeClock(roll=0.0), tier="basic")
    assert sent.attempts == [(1, 503, "Unavailable"), (2, 502, "Unavailable"), (3, 200, "")]
    assert sent.state["tokens"] == pytest.approx(600 - 3 * 50)
    rows = sent.observer.recent()
    assert len({row["request_id"] for row in rows}) == 1
    assert rows[-1]["received_bytes"] == len(b'{"markets": []}')
    assert sent.observer.rows()[0]["retries"] == 2


def test_refusals_slow_the_rate_and_successes_bring_it_back() -> None:
    """A 429 empties the bucket and halves the rate; each success returns a little of it."""
    with RawServer(reply(b"{}", 429), OK) as server:
        sent = Sent(server, tier="basic")
    assert sent.state["rate"] == pytest.approx(200 * 0.52)
    assert sent.state["tokens"] < 100


def test_the_request_says_who_asks_and_nothing_more() -> None:
    """Requests carry our name, the request id and the parameters, accept gzip only, and return no cookie."""
    call = CALL.with_params(limit="1000", cursor="a b&c=d")
    with RawServer(reply(b"{}", 503, Set_Cookie="session=1; Path=/"), OK) as server:
        sent = Sent(server, call)
    assert sent.reply is not None
    text = server.requests[1].decode().lower()
    assert text.startswith("get /trade-api/v2/markets?limit=1000&cursor=a+b%26c%3dd http/1.1")
    assert "accept-encoding: gzip\r\n" in text
    assert "user-agent: kalshi_lab/" in text
    assert f"x-request-id: {sent.reply.request_id}\r\n" in text
    assert "cookie" not in text
