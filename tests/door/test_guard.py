"""Requests reach the exchange's own address and nothing else."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from kalshi_lab.door import Call, segment
from kalshi_lab.door.guard import GuardTransport, allowed_base
from kalshi_lab.door.host import exchange
from kalshi_lab.door.trip import Refusal
from kalshi_lab.errors import UnexpectedRedirect, UsageError
from kalshi_lab.settings import HOSTS, Settings
from tests.door.raw_server import RawServer, reply
from tests.door.sending import Sent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOST = HOSTS["prod"][0]
BASE = f"https://{HOST}/trade-api/v2"
LOOK_ALIKES: list[Callable[[str], str]] = [
    lambda word: f"https://{HOST}.{word}.com/trade-api/v2/markets",
    lambda word: f"https://{word}{HOST}/trade-api/v2/markets",
    lambda word: f"https://{HOST}@{word}.com/trade-api/v2/markets",
    lambda word: f"https://{word}@{HOST}/trade-api/v2/markets",
    lambda word: f"https://{word}:{word}@{HOST}/trade-api/v2/markets",
    lambda word: f"https://{HOST}:{len(word) + 443}/trade-api/v2/markets",
    lambda word: f"https://{HOST}./trade-api/v2/{word}",
    lambda word: f"http://{HOST}/trade-api/v2/{word}",
    lambda word: f"https://{HOST}/{word}/v2/markets",
    lambda word: f"https://{HOST}/trade-api/v2/../{word}",
    lambda word: f"https://{HOST}/trade-api/v2{word}/markets",
    lambda word: f"https://external-api.kаlshi.com/trade-api/v2/{word}",  # noqa: RUF001 - a Cyrillic a
]


class Reached(httpx.AsyncBaseTransport):
    """Stands where the socket would be, and counts what gets there."""

    def __init__(self) -> None:
        self.urls: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.urls.append(str(request.url))
        return httpx.Response(200)


def reached(url: str) -> list[str]:
    inner = Reached()
    with suppress(Refusal):
        asyncio.run(GuardTransport(httpx.URL(BASE), inner).handle_async_request(httpx.Request("GET", url)))
    return inner.urls


@given(st.sampled_from(LOOK_ALIKES), st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=12))
def test_look_alike_addresses_are_refused(make: Callable[[str], str], word: str) -> None:
    """No address but the exact scheme, host, port and prefix gets past the guard."""
    try:
        httpx.URL(make(word))
    except httpx.InvalidURL:
        return
    assert reached(make(word)) == []


@given(st.text(min_size=1, max_size=200))
def test_every_path_parameter_stays_below_the_prefix(value: str) -> None:
    """Whatever a ticker holds, quoted it is one segment below the API's prefix, or it is refused."""
    try:
        call = Call("get_market", f"/markets/{segment(value)}")
    except UsageError:
        assert value in {".", ".."} or any("\ud800" <= letter <= "\udfff" for letter in value)
        return
    url = httpx.URL(BASE + call.path)
    assert url.raw_path.startswith(b"/trade-api/v2/markets/")
    assert url.raw_path.count(b"/") == 4
    assert not url.query
    assert not url.fragment
    assert url.path.rsplit("/markets/", 1)[1] == value
    assert reached(str(url)) == [str(url)]


@pytest.mark.parametrize(
    "path",
    ["markets", "", "/", "//evil.com/x", "/markets/../../x", "/a?b=c", "/a#b", "/a/%2e%2E/b", "/a\\b", "/a b", "/a/"],
)
def test_paths_that_lead_astray_are_refused(path: str) -> None:
    """A call's path is a plain path below the prefix."""
    with pytest.raises(UsageError, match="no path of the API"):
        Call("x", path)


@pytest.mark.parametrize("value", ["", ".", "..", "A" * 201, "\ud800"])
def test_segments_that_cannot_be_one_are_refused(value: str) -> None:
    """What cannot be part of an address is said so, shortly."""
    with pytest.raises(UsageError) as caught:
        segment(value)
    assert len(str(caught.value)) < 200


def test_parameters_are_replaced_in_place() -> None:
    """with_params changes what it names, adds the rest at the end, and leaves the first call alone."""
    call = Call("x", "/x", params=(("limit", "5"), ("cursor", "a")))
    assert call.with_params(cursor="b", status="open").params == (("limit", "5"), ("cursor", "b"), ("status", "open"))
    assert call.params == (("limit", "5"), ("cursor", "a"))


@pytest.mark.parametrize(
    ("url", "unsafe", "environment", "allowed"),
    [
        ("", False, "prod", True),
        ("", False, "demo", True),
        ("https://api.elections.kalshi.com/trade-api/v2", False, "prod", True),
        ("http://127.0.0.1:9/trade-api/v2", True, "sim", True),
        ("http://[::1]:9/trade-api/v2", True, "sim", True),
        ("http://localhost:9", True, "prod", True),
        ("https://proxy.example/trade-api/v2", True, "prod", True),
        ("http://proxy.example/trade-api/v2", True, "prod", False),
        ("http://127.0.0.1.example/trade-api/v2", True, "prod", False),
        ("http://127.1/trade-api/v2", True, "prod", False),
        (f"http://{HOST}/trade-api/v2", True, "prod", False),
    ],
)
def test_where_requests_may_go(url: str, unsafe: bool, environment: str, allowed: bool) -> None:
    """https to the exchange; other hosts only when asked for; plain http only on this machine; never with a password."""
    given: dict[str, object] = {"environment": environment, "base_url": url, "allow_unsafe_host": unsafe}
    settings = Settings(**given)
    if allowed:
        assert str(allowed_base(exchange(settings))) == settings.url
    else:
        with pytest.raises(Refusal):
            allowed_base(exchange(settings))
        error = Sent(url, environment=environment, allow_unsafe_host=unsafe).error
        assert isinstance(error, UnexpectedRedirect)


@pytest.mark.parametrize("url", ["https://evil.example/trade-api/v2", f"https://:word@{HOST}/trade-api/v2"])
def test_settings_that_slipped_past_their_check_are_refused_too(url: str) -> None:
    """The door checks the host itself, even where Settings' own check was gone round."""
    settings = Settings(environment="prod").model_copy(update={"base_url": url})
    with pytest.raises(Refusal):
        allowed_base(exchange(settings))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_never_followed(status: int) -> None:
    """A redirect ends as UnexpectedRedirect, and the host that it names sees no connection."""
    with RawServer() as elsewhere, RawServer(reply(b"", status, Location=f"{elsewhere.url}/markets")) as server:
        sent = Sent(server)
    assert isinstance(sent.error, UnexpectedRedirect)
    assert len(server.requests) == 1
    assert elsewhere.connections == 0
    assert str(elsewhere.port) not in str(sent.error)


def _self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "both.pem").write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return context


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    """A self-signed server gets no request, and is not tried again."""
    with RawServer(tls=_self_signed(tmp_path)) as server:
        sent = Sent(server)
    assert isinstance(sent.error, UnexpectedRedirect)
    assert "certificate" in sent.error.message
    assert sent.error.attempts == 1
    assert server.requests == []


def test_plain_http_where_tls_is_expected_is_no_certificate_trouble() -> None:
    """A server that speaks no TLS is unreachable, not untrusted."""
    with RawServer(reply(b"{}", 400)) as server:
        sent = Sent(server.url.replace("http:", "https:"), attempts=2, connect_timeout=0.2)
    assert sent.error is not None
    assert not isinstance(sent.error, UnexpectedRedirect)


def test_a_key_log_is_said_aloud(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """SSLKEYLOGFILE, which lets others read the traffic, is warned of."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    with RawServer(tls=_self_signed(tmp_path)) as server:
        assert isinstance(Sent(server).error, UnexpectedRedirect)
    assert "SSLKEYLOGFILE" in caplog.text


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy variable does not turn requests elsewhere."""
    with RawServer() as proxy, RawServer() as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert Sent(server).reply is not None
    assert proxy.connections == 0
