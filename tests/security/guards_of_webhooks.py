"""S10: what keeps a webhook from this machine's own network."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kalshi_lab.alerts import webhook
from kalshi_lab.alerts.webhook import ToWebhook
from kalshi_lab.errors import Forbidden, TimedOut, UsageError
from tests.alerts.hooked import HOST, hook
from tests.alerts.test_webhook import PRIVATE, send
from tests.door.raw_server import RawServer, Wait, reply
from tests.security.guards import Guard, attribute, refused, rewritten

if TYPE_CHECKING:
    from pathlib import Path


def hosts_are_allowed_by_name(_: Path) -> None:
    refused(UsageError, lambda: ToWebhook("https://evil.example/x", allow=(HOST,)))


def private_addresses_are_refused(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, hook(tmp_path, patch, loopback=False) as (sink, server, resolver):
        for address in PRIVATE:
            resolver.answers = [[address]]
            assert isinstance(send(sink), Forbidden), address
        assert server.connections == 0


def redirects_are_not_followed(tmp_path: Path) -> None:
    with RawServer() as elsewhere, pytest.MonkeyPatch.context() as patch:
        with hook(tmp_path, patch, reply(b"", 302, Location=elsewhere.url)) as (sink, _, _):
            send(sink)
        assert elsewhere.connections == 0


def certificates_are_of_the_name(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, hook(tmp_path, patch, host="other.example.com") as (sink, server, _):
        send(sink)
        assert server.requests == []


def answers_end(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, hook(tmp_path, patch, reply(b"x" * (webhook.MOST + 1))) as (sink, _, _):
        assert send(sink) is not None


def answers_end_in_time(tmp_path: Path) -> None:
    slow = [reply(b"", length=100), *[act for _ in range(15) for act in (b"x", Wait(0.1))]]
    with pytest.MonkeyPatch.context() as patch, hook(tmp_path, patch, slow) as (sink, _, _):
        patch.setattr(webhook, "PATIENCE", 0.3)
        assert isinstance(send(sink), TimedOut)


def no_proxy_stands_between(tmp_path: Path) -> None:
    with RawServer() as proxy, pytest.MonkeyPatch.context() as patch, hook(tmp_path, patch) as (sink, _, _):
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            patch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        send(sink)
        assert proxy.connections == 0


def the_address_that_was_checked_is_called(tmp_path: Path) -> None:
    async def asked(*_: object, **__: object) -> None:
        raise OSError("asked a second time")

    with pytest.MonkeyPatch.context() as patch, hook(tmp_path, patch) as (sink, server, _):
        patch.setattr(asyncio.BaseEventLoop, "getaddrinfo", asked)
        assert send(sink) is None
        assert len(server.requests) == 1


GUARDS = [
    Guard("S10", "hosts of webhooks", hosts_are_allowed_by_name, rewritten(ToWebhook, "__init__", "self._host not in allowed", "False")),
    Guard("S10", "public addresses", private_addresses_are_refused, attribute(webhook, "public", lambda _: True)),
    Guard("S10", "no redirects", redirects_are_not_followed,
          rewritten(ToWebhook, "_post", "follow_redirects=False", "follow_redirects=True")),
    Guard("S10", "the name's certificate", certificates_are_of_the_name,
          rewritten(ToWebhook, "_post", '"sni_hostname": self._host', '"sni_hostname": "other.example.com"')),
    Guard("S10", "bounded answers", answers_end, rewritten(ToWebhook, "_take", "size > MOST", "False")),
    Guard("S10", "answers in time", answers_end_in_time,
          rewritten(ToWebhook, "send", "asyncio.timeout(PATIENCE)", "asyncio.timeout(None)")),
    Guard("S10", "no proxy", no_proxy_stands_between,
          rewritten(ToWebhook, "_post", "transport=made, trust_env=False", "verify=self._trust, trust_env=True")),
    Guard("S10", "the checked address", the_address_that_was_checked_is_called,
          rewritten(ToWebhook, "_post", "https://{where}:", "https://{self._host}:")),
]  # fmt: skip
