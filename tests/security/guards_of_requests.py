"""S3 to S6 and S14: where requests go, what is signed, and that nothing is written unasked."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Any

import httpx

import kalshi_lab as kl
from kalshi_lab.door import Call, Door, call, guard, lanes, transport
from kalshi_lab.kalshi import connection
from kalshi_lab.kalshi.family import Family
from kalshi_lab.settings import Settings
from tests.door.raw_server import RawServer, reply
from tests.door.sending import Sent
from tests.door.signed import stamp
from tests.door.test_guard import LOOK_ALIKES, _self_signed, reached
from tests.operations.calls import WRITES, Known
from tests.security.canary import KEY, client, raised
from tests.security.guards import Guard, attribute, refused, rewritten
from tests.stream.reading import Hasty
from tests.stream.server import StreamServer

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

Client = httpx.AsyncClient


def look_alikes_see_nothing(_: Path) -> None:
    assert [found for make in LOOK_ALIKES for found in reached(make("evil"))] == []


def redirects_lead_nowhere(_: Path) -> None:
    with RawServer() as elsewhere:
        for status in (302, 307):
            with RawServer(reply(b"", status, Location=f"{elsewhere.url}/x")) as server, client(server.url) as kalshi:
                raised(kalshi.portfolio.balance)
        assert elsewhere.connections == 0


def redirected_streams_lead_nowhere(_: Path) -> None:
    with StreamServer() as server, StreamServer() as elsewhere:
        server.refuse, server.redirect = [302] * 9, f"ws://127.0.0.1:{elsewhere.port}/trade-api/ws/v2"
        with kl.Kalshi(settings=server.settings, credentials=KEY, clock=Hasty()) as kalshi:
            raised(lambda: kalshi.stream("ticker").start().stop())
        assert elsewhere.headers == []


def strangers_get_no_signature(_: Path) -> None:
    with RawServer() as server:
        strange = Settings(environment="prod", base_url=server.url, allow_unsafe_host=True)
        with kl.Kalshi(settings=strange, credentials=KEY) as kalshi:
            kalshi.portfolio.balance()
    assert b"access-signature" not in server.requests[0].lower()


def addresses_need_to_be_the_exchange_s(_: Path) -> None:
    for address in ("https://evil.example/trade-api/v2", "https://external-api.kalshi.com.evil.example/trade-api/v2"):
        refused(kl.UsageError, lambda url=address: Settings(environment="prod", base_url=url))


def tickers_stay_one_segment(_: Path) -> None:
    for ticker in ("../../admin", "a/b", "a?b=c", "a#b", "..%2f"):
        assert not {"/", "?", "#"} & set(call.segment(ticker))


def paths_stay_below_the_prefix(_: Path) -> None:
    for path in ("//evil.com/x", "/a?b=c", "/a#b", "/a b"):
        refused(kl.UsageError, Call, "x", path)


def dots_are_no_segments(_: Path) -> None:
    for path in ("/markets/../../x", "/a/%2e%2E/b", "/./a"):
        refused(kl.UsageError, Call, "x", path)


def what_is_signed_is_what_is_sent(_: Path) -> None:
    with RawServer(reply({"orders": []})) as server, client(server.url) as kalshi:
        kalshi.orders.list(ticker="KX-1").frame()
    assert b"?" in server.requests[0].split(b" ")[1]
    stamp(server.requests[0], KEY)


def certificates_are_checked(tmp_path: Path) -> None:
    with RawServer(tls=_self_signed(tmp_path)) as server:
        assert isinstance(Sent(server).error, kl.UnexpectedRedirect)
    assert server.requests == []


def the_environment_names_no_proxy(_: Path) -> None:
    names = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
    with RawServer() as proxy, RawServer() as server:
        before = {name: os.environ.pop(name, None) for name in (*names, "NO_PROXY", "no_proxy")}
        os.environ.update(dict.fromkeys(names, f"http://127.0.0.1:{proxy.port}"))
        try:
            with client(server.url) as kalshi:
                kalshi.portfolio.balance()
        finally:
            for name, value in before.items():
                os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
    assert proxy.connections == 0


def keys_stay_in_their_environment(_: Path) -> None:
    path = KEY._key
    for mine, other in (("demo", "prod"), ("prod", "demo"), ("prod", "sim"), ("demo", "sim")):
        key = kl.Credentials._of(("an id", path, mine))  # type: ignore[arg-type]  # words of the list above
        refused(kl.UsageError, lambda key=key, where=other: kl.Kalshi(environment=where, credentials=key))
        assert kl.Kalshi(environment=mine, credentials=key)._twin.door.signer is not None  # type: ignore[arg-type]  # as above


def nothing_is_written_unasked(_: Path) -> None:
    with RawServer() as server, kl.Kalshi(environment="sim", base_url=server.url, credentials=KEY) as reader:
        ended = {name: type(raised(write, reader, Known())) for name, write in WRITES.items()}
    assert server.requests == []
    assert set(ended.values()) == {kl.TradingOff}


async def _pass_on(self: guard.GuardTransport, request: httpx.Request) -> httpx.Response:
    return await self.inner.handle_async_request(request)


def _client(**changed: Any) -> Any:
    return lambda **options: Client(**(options | changed))


def _trusting(**_: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def _send_anything(self: Family, asked: Call) -> Any:
    return await self._door.send(asked)


def following(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lanes.httpx, "AsyncClient", _client(follow_redirects=True))
    patch.setattr(guard.GuardTransport, "handle_async_request", _pass_on)


GUARDS = [
    Guard("S3", "the guard before the socket", look_alikes_see_nothing,
          attribute(guard.GuardTransport, "handle_async_request", _pass_on)),
    Guard("S3", "redirects of requests", redirects_lead_nowhere, following),
    Guard("S3", "redirects of streams", redirected_streams_lead_nowhere,
          rewritten(connection, "_opened", "return exc", "return open_socket.process_redirect(self, exc)")),
    Guard("S3", "signatures for the own host alone", strangers_get_no_signature,
          attribute(Settings, "own_host", property(lambda _: True))),
    Guard("S3", "addresses of the exchange alone", addresses_need_to_be_the_exchange_s,
          attribute(Settings, "__init__", lambda self, **given: object.__setattr__(self, "__dict__", given))),
    Guard("S4", "quoted segments", tickers_stay_one_segment, attribute(call, "quote", lambda value, safe: value + safe)),
    Guard("S4", "plain paths", paths_stay_below_the_prefix, rewritten(Call, "__post_init__", "not _PATH.fullmatch(self.path) or", "")),
    Guard("S4", "no dots in paths", dots_are_no_segments, attribute(call, "_DOTS", set())),
    Guard("S4", "the signed path is the sent one", what_is_signed_is_what_is_sent,
          rewritten(Door, "_request", '.partition(b"?")[0]', "")),
    Guard("S5", "certificates", certificates_are_checked, attribute(lanes.httpx, "create_ssl_context", _trusting)),
    Guard("S5", "no proxy from outside", the_environment_names_no_proxy,
          attribute(lanes.httpx, "AsyncClient", _client(trust_env=True, transport=None))),
    Guard("S6", "a key knows its environment", keys_stay_in_their_environment,
          rewritten(transport, "signer_of", "credentials.environment not in {None, settings.environment}", "False")),
    Guard("S14", "reading only", nothing_is_written_unasked, attribute(Family, "_send", _send_anything)),
]  # fmt: skip
