"""S10: a webhook goes to the host that was allowed, at the public address that was checked, and nowhere else."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab.alerts import webhook
from kalshi_lab.errors import Forbidden, LabError, TimedOut, Unavailable, UsageError
from tests.alerts.hooked import ALARM, HOST, PLACE, hook
from tests.door.raw_server import RawServer, Wait, reply

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE = [
    "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "198.18.0.1", "192.0.2.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808", "2002:7f00:1::", "2002:808:808::", "2001:db8::1", "2130706433", "0x7f000001",
    "0.0.0.0", "127.1", "0177.0.0.1", "", "localhost",  # noqa: S104 - nothing is bound
]  # fmt: skip


def send(sink: Any) -> LabError | None:
    try:
        asyncio.run(sink.send(ALARM))
    except LabError as error:
        return error
    return None


@pytest.mark.parametrize("address", PRIVATE)
def test_no_address_of_a_network_of_ones_own(address: str) -> None:
    """S10: private, link-local, shared, multicast, mapped and translated addresses are none of the internet's, in whatever spelling."""
    assert not webhook.public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111"])
def test_public_addresses_are(address: str) -> None:
    """S10: and what is public is not refused."""
    assert webhook.public(address)


@pytest.mark.parametrize("shape", webhook.SHAPES)
def test_it_posts_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: Any) -> None:
    """AL-3: words, or the JSON of Slack, of Discord, or all fields; with the event's id, over a connection to the checked address."""
    with hook(tmp_path, monkeypatch, shape=shape) as (sink, server, resolver):
        assert send(sink) is None
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(f"POST /{PLACE}?x=1 HTTP/1.1".encode())
    assert f"host: {HOST}:{server.port}".encode() in head.lower()
    assert b"idempotency-key: a1:1" in head.lower()
    said = body.decode() if shape == "text" else json.loads(body)
    wanted = {
        "text": ALARM.text,
        "slack": {"text": ALARM.text},
        "discord": {"content": ALARM.text},
        "json": ALARM.row(),
    }
    assert said == wanted[shape]
    assert resolver.asked == 1


@pytest.mark.parametrize("answer", [["10.0.0.1"], ["8.8.8.8", "127.0.0.1"], [], ["::ffff:127.0.0.1"]])
def test_a_host_at_home_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: list[str]) -> None:
    """S10: one address that is not public is enough, and nothing is connected."""
    with hook(tmp_path, monkeypatch, loopback=False) as (sink, server, resolver):
        resolver.answers = [answer]
        assert isinstance(send(sink), Forbidden)
        assert server.connections == 0


def test_a_second_answer_of_the_name_server_counts_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """S10: a name that is public first and this machine's afterwards is asked once for each alarm, and judged by that answer."""
    with hook(tmp_path, monkeypatch, loopback=False) as (sink, server, resolver):
        resolver.answers = [["192.0.2.1"], ["127.0.0.1"]]
        assert isinstance(send(sink), Forbidden)
        assert isinstance(send(sink), Forbidden)
        assert (resolver.asked, server.connections) == (2, 0)


def test_a_redirect_leads_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """S10: neither to the addresses of a cloud's secrets nor anywhere else."""
    with RawServer() as elsewhere:
        for place in ("http://169.254.169.254/latest/meta-data/", elsewhere.url):
            with hook(tmp_path, monkeypatch, reply(b"", 302, Location=place)) as (sink, _, _):
                assert "answered 302" in str(send(sink))
        assert elsewhere.connections == 0


def test_proxies_of_the_environment_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """S10: a proxy would look the name up again, and see the address."""
    with RawServer() as proxy, hook(tmp_path, monkeypatch) as (sink, server, _):
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert send(sink) is None
        assert (proxy.connections, len(server.requests)) == (0, 1)


def test_a_certificate_of_another_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """S10: the address was checked, but who answers there must be the host."""
    with hook(tmp_path, monkeypatch, host="other.example.com") as (sink, server, _):
        assert isinstance(send(sink), Unavailable)
        assert server.requests == []


def test_answers_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """S10: in size, and in time as a whole, however slowly they drip."""
    with hook(tmp_path, monkeypatch, reply(b"x" * (webhook.MOST + 1))) as (sink, _, _):
        assert "answered more than" in str(send(sink))
    monkeypatch.setattr(webhook, "PATIENCE", 0.3)
    slow = [reply(b"", length=100), *[act for _ in range(50) for act in (b"x", Wait(0.1))]]
    with hook(tmp_path, monkeypatch, slow) as (sink, _, _):
        assert isinstance(send(sink), TimedOut)


def test_the_address_is_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """S10: it is in no repr, no name and no error."""
    with hook(tmp_path, monkeypatch, reply(b"", 500)) as (sink, _, _):
        said = [repr(sink), sink.name, str(send(sink)), repr(send(sink))]
    assert not [text for text in said if "SECRET" in text or "TOKEN" in text]


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/x", "https://evil.example/x", "https://" + "user:pass@hooks.example.com/x", "https://2130706433/x",
        "https://127.0.0.1/x", "https://[::1]/x", "ftp://hooks.example.com", "hooks.example.com", "https:///x",
        "https://hooks.example.com.evil.example/x", "https://hooks.example.com@evil.example/",
    ],
)  # fmt: skip
def test_other_addresses_are_refused_at_once(url: str) -> None:
    """S10: https, to a host that its user named."""
    with pytest.raises(UsageError) as caught:
        kl.ToWebhook(url, allow=(HOST, "127.0.0.1", "::1", "2130706433"))
    assert "pass" not in str(caught.value).replace("password", "")
