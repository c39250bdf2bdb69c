"""One id for each request: in its error, in the log, in `stats()`, and in the header that the exchange receives."""

from __future__ import annotations

import ast
import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import kalshi_lab as kl
from tests.door.raw_server import CLOSE, RESET, Answer, RawServer, free_port, reply
from tests.door.signed import headers
from tests.fakes import FakeClock
from tests.house.measures import ROOT, name, sources, tree
from tests.stream.reading import Hasty
from tests.stream.server import StreamServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Client = kl.Kalshi
CALLS: dict[str, tuple[Callable[[Client], Any], Answer, type[kl.LabError]]] = {
    "a status": (lambda k: k.markets.one("KX-1"), reply({}, 404), kl.NotFound),
    "an object that is none": (lambda k: k.markets.one("KX-1"), reply({"market": 7}), kl.BadPayload),
    "a page without its rows": (lambda k: k.markets.list().frame(), reply({"other": []}), kl.BadPayload),
    "a page that is cut": (lambda k: k.markets.list().frame(), [reply(b'{"markets": [', length=99), CLOSE], kl.LabError),
    "a page of nonsense": (lambda k: k.markets.trades().frame(), reply({"trades": 7}), kl.BadPayload),
    "pages that lead back": (
        lambda k: k.markets.list().frame(),
        reply({"markets": [], "cursor": "A"}),
        kl.LabError,
    ),
    "a stall": (lambda k: k.exchange.status(), [RESET], kl.BrokenResponse),
    "candlesticks of nothing": (
        lambda k: k.markets.candlesticks("KX-1", "1h", since="1d", series="KX"), reply({"candlesticks": 7}), kl.BadPayload
    ),
    "too many": (lambda k: k.exchange.status(), reply({}, 429), kl.RateLimited),
}  # fmt: skip


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="kalshi_lab")
    return caplog


@pytest.mark.parametrize("name", CALLS)
def test_one_id_in_error_log_stats_and_header(name: str, log: pytest.LogCaptureFixture) -> None:
    """Request ids: the last request's id is in the error's text and field, in the log line of each attempt, and in what was sent."""
    ask, answer, kind = CALLS[name]
    with RawServer(answer) as server, kl.Kalshi(
        environment="prod", base_url=server.url, allow_unsafe_host=True, clock=FakeClock(roll=0.0), attempts=2
    ) as kalshi, pytest.raises(kind) as caught:  # fmt: skip
        ask(kalshi)
    error = caught.value
    assert isinstance(error, kl.RequestError)
    assert error.request_id
    assert f"request {error.request_id}" in str(error)
    assert headers(server.requests[-1])["x-request-id"] == error.request_id
    lines = [record for record in log.records if getattr(record, "request_id", "") == error.request_id]
    assert [error.request_id in line.getMessage() for line in lines] == [True] * len(lines)
    assert len(lines) >= 1


def test_a_lost_order_names_its_request() -> None:
    """Orders: what nobody knows the end of names the request that placed it."""
    with RawServer([RESET]) as server, kl.Kalshi(
        environment="prod", base_url=server.url, allow_unsafe_host=True, clock=FakeClock(roll=0.0), writable=True
    ) as kalshi, pytest.raises(kl.LabError) as caught:  # fmt: skip
        kalshi.orders.create(kl.NewOrder(ticker="KX-1", side="bid", count=1, price="0.5"))
    sent = {headers(one)["x-request-id"] for one in server.requests if one.startswith(b"POST")}
    assert isinstance(caught.value, kl.OrderUnknown)
    assert sent == {caught.value.request_id}
    assert caught.value.request_id in str(caught.value)


@pytest.fixture
def stream_server() -> Iterator[StreamServer]:
    with StreamServer() as running:
        yield running


@pytest.fixture
def streaming(stream_server: StreamServer) -> Iterator[kl.Kalshi]:
    with kl.Kalshi(settings=stream_server.settings, credentials=kl.Credentials.generate(), clock=Hasty()) as client:
        yield client


@pytest.mark.parametrize("status", [401, 403, 404, 429, 503])
def test_a_stream_that_is_refused(stream_server: StreamServer, streaming: kl.Kalshi, status: int) -> None:
    """Streams: the handshake carries an id, which the error names and the observer knows."""
    stream_server.refuse = [status] * 9
    with pytest.raises(kl.RequestError) as caught:
        streaming.stream("ticker").start()
    sent = {name.lower(): value for name, value in stream_server.headers[-1].items()}
    assert sent["x-request-id"] == caught.value.request_id
    assert f"request {caught.value.request_id}" in str(caught.value)
    rows = streaming._twin.observer.recent(caught.value.request_id)
    assert [(row["operation"], row["status"], row["error"]) for row in rows] == [
        ("open_stream", status, type(caught.value).__name__)
    ]


def test_what_goes_wrong_on_a_stream_names_its_connection(stream_server: StreamServer, streaming: kl.Kalshi) -> None:
    """Streams: a refused command names the request that opened the connection, which counts as one attempt that succeeded."""
    stream_server.errors["subscribe"] = [8] * 9
    with pytest.raises(kl.BadRequest) as caught:
        streaming.stream("ticker").start()
    (row,) = streaming._twin.observer.recent(caught.value.request_id)
    assert (row["status"], row["error"], row["path"]) == (101, "", "/trade-api/ws/v2")


def test_a_stream_without_a_server(log: pytest.LogCaptureFixture) -> None:
    """Streams: a refused connection has an id too, and the log knows it."""
    settings = kl.Settings(environment="sim", base_url=f"http://127.0.0.1:{free_port()}/trade-api/v2", attempts=1)
    key = kl.Credentials.generate()
    with (
        kl.Kalshi(settings=settings, credentials=key, clock=Hasty()) as client,
        pytest.raises(kl.Unavailable) as caught,
    ):
        client.stream("ticker").start()
    assert caught.value.request_id
    assert caught.value.request_id in log.text


FAILS = """
import kalshi_lab as kl, logging, sys
from tests.fakes import FakeClock
with kl.Kalshi(environment="prod", base_url=sys.argv[1], allow_unsafe_host=True, clock=FakeClock()) as kalshi:
    try:
        kalshi.exchange.status()
    except kl.Unavailable:
        pass
assert logging.getLogger("kalshi_lab.observe").level == logging.getLogger("kalshi_lab").level == logging.NOTSET
"""


def test_silent_by_default() -> None:
    """Logging: a program that configures no log hears nothing of ours, whatever fails."""
    command = [sys.executable, "-c", FAILS, f"http://127.0.0.1:{free_port()}/trade-api/v2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


QUIET = "kalshi_lab/door/quiet.py"  # which filters what other libraries log


def test_each_module_has_a_logger_of_its_own_name() -> None:
    """Logging: a logger is asked for by the module's name and no other, and none but that of the sockets is given a level."""
    for path in sources():
        if path.name == "__main__.py":  # a program of its own, which shows on the terminal what the log says
            continue
        calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
        asked = [ast.unparse(call) for call in calls if ast.unparse(call.func) == "logging.getLogger"]
        allowed = "logging.getLogger(_name)" if name(path) == QUIET else "logging.getLogger(__name__)"
        assert asked in ([], [allowed]), name(path)
        levels = [ast.unparse(call) for call in calls if ast.unparse(call.func).endswith((".setLevel", ".basicConfig"))]
        assert levels in ([], ["_QUIET.setLevel(logging.INFO)"]), name(path)


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
def test_the_libraries_below_say_nothing_of_our_requests(level: int, caplog: pytest.LogCaptureFixture) -> None:
    """S1: with every log open, no address with its query, no header and no cookie is logged by httpx and httpcore; their own users' are."""
    caplog.set_level(level)
    with RawServer(reply({"markets": []}, Set_Cookie="canary-cookie", X_Trace="canary-header")) as server:
        with kl.Kalshi(environment="prod", base_url=server.url, allow_unsafe_host=True) as kalshi:
            kalshi.markets.list(tickers="KXCANARY-QUERY").frame()
        assert [record for record in caplog.records if record.name.startswith(("httpx", "httpcore"))] == []
        assert "canary" not in caplog.text.lower()
        httpx.get(server.url, trust_env=False)
    assert [record for record in caplog.records if record.name.startswith(("httpx", "httpcore"))] != []
