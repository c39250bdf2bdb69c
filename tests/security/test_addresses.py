"""S3, S4, S6: whatever address, ticker or key is given, a signature goes to the exchange's own host and fits what was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import kalshi_lab as kl
from kalshi_lab.clock import SystemClock
from kalshi_lab.door.signing import signer_of
from kalshi_lab.settings import HOSTS, PREFIX, STREAM_HOSTS, Settings
from tests.door.raw_server import RawServer, reply
from tests.door.signed import stamp, target, unsigned
from tests.security.canary import KEY, client

if TYPE_CHECKING:
    from collections.abc import Iterator

KNOWN = [host for hosts in HOSTS.values() for host in hosts]
PARTS = st.sampled_from(
    [*KNOWN, "evil.example", "127.0.0.1", "kalshi.com", "a.kalshi.com", "localhost", "[::1]", "127.0.0.1.evil.example"]
)
ADDRESSES = st.builds(
    "{}://{}{}{}{}".format,
    st.sampled_from(["https", "http", "HTTPS", "wss", "file"]),
    st.sampled_from(["", "a@", "a:b@", "evil.example@"]),
    PARTS,
    st.sampled_from(["", ":443", ":80", ":8443", ".", "#", "\\@evil.example", "%2e", "\u0430"]),
    st.sampled_from([PREFIX, "", "/", f"{PREFIX}/..", f"/x{PREFIX}", f"{PREFIX}?a=b"]),
)  # fmt: skip


@settings(max_examples=400)
@given(st.sampled_from(["prod", "demo", "sim"]), ADDRESSES | st.text(max_size=40), st.booleans())
@example("prod", f"https://{KNOWN[0]}{PREFIX}", False)
def test_only_the_exchange_s_own_host_is_ever_signed_for(environment: Any, address: str, unsafe: bool) -> None:
    """S3: signed means that scheme, host and port are the environment's own, for requests and for streams; or it is refused."""
    try:
        made = Settings(environment=environment, base_url=address, allow_unsafe_host=unsafe)
        signer = signer_of(made, KEY, SystemClock())
    except kl.UsageError:
        return
    if signer is None:
        return
    parts, stream = urlsplit(made.url), urlsplit(made.stream_url)
    if environment == "sim":
        assert (parts.scheme, parts.hostname, stream.hostname) == ("http", "127.0.0.1", "127.0.0.1")
        return
    assert (parts.scheme, stream.scheme) == ("https", "wss")
    assert parts.netloc in HOSTS[environment]
    assert stream.netloc in {*HOSTS[environment], *(STREAM_HOSTS.get(host) for host in HOSTS[environment])}


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with RawServer(reply({"order": {"order_id": "o"}})) as running:
        yield running


@pytest.fixture(scope="module")
def kalshi(server: RawServer) -> Iterator[kl.Kalshi]:
    with client(server.url) as made:
        yield made


@settings(max_examples=60)
@given(
    st.text(min_size=1, max_size=40)
    | st.sampled_from(["../../x", "a/b", "a?b", "a#b", "%2e%2e", "..;", "\u202e", "a b", "\uff0e\uff0e"])
)
def test_what_is_signed_is_what_is_sent(server: RawServer, kalshi: kl.Kalshi, text: str) -> None:
    """S4: any id is one segment below the prefix, and the signature verifies over the very path that was sent; or it is refused."""
    server.requests.clear()
    try:
        kalshi.orders.one(text)
    except kl.UsageError:
        assert server.requests == []
        return
    (request,) = server.requests
    _, path = target(request)
    assert path.startswith(f"{PREFIX}/portfolio/orders/")
    assert path.count("/") == 5
    stamp(request, KEY)


@pytest.mark.parametrize("mine", [None, "prod", "demo", "sim"])
@pytest.mark.parametrize("where", ["prod", "demo", "sim"])
def test_a_key_signs_in_its_own_environment_alone(mine: Any, where: Any) -> None:
    """S6: the whole matrix; a key that says nothing of its environment is taken at its owner's word."""
    key = kl.Credentials._of(("an id", KEY._key, mine))
    address = {"base_url": "http://127.0.0.1:9/trade-api/v2"} if where == "sim" else {}
    if mine in {None, where}:
        assert kl.Kalshi(environment=where, credentials=key, **address)._twin.door.signer is not None
        assert f"{where}" in repr(kl.Kalshi(environment=where, credentials=key, **address))
    else:
        with pytest.raises(kl.UsageError, match=f"belongs to {mine}"):
            kl.Kalshi(environment=where, credentials=key, **address)


def test_a_host_of_one_s_own_is_sent_no_signature(server: RawServer) -> None:
    """S3: with allow_unsafe_host requests go out unsigned, whatever key there is."""
    server.requests.clear()
    strange = kl.Settings(environment="prod", base_url=server.url, allow_unsafe_host=True)
    with kl.Kalshi(settings=strange, credentials=KEY) as made:
        made.orders.one("o")
    assert [unsigned(request) for request in server.requests] == [True]
