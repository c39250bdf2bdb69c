"""A webhook that cannot be turned against the machine's own network.

The host is one that its user allowed by name; the name is looked up once, every address must be a public one, and the connection
goes to the address that was checked, with the certificate of the name. Nothing redirects, no proxy stands between, and time and size
of the answer are bounded.
"""

from __future__ import annotations

import asyncio
import json
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import httpx

from kalshi_lab.errors import Forbidden, TimedOut, Unavailable, UsageError, one_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

    from kalshi_lab.alerts.alarm import Alarm

HTTPS = 443
PATIENCE = 5.0  # seconds for all of it
MOST = 64 * 1024  # bytes of an answer
ALSO_PRIVATE = tuple(ip_network(one) for one in ("64:ff9b::/96", "2002::/16", "::ffff:0:0/96", "100.64.0.0/10"))
Shape = Literal["text", "slack", "discord", "json"]
SHAPES = ("text", "slack", "discord", "json")


class ToWebhook:
    """Posts alarms to an https address of your own, whose host you allow by name.

        kl.ToWebhook("https://hooks.slack.com/services/...", allow=("hooks.slack.com",), shape="slack")

    shape: what is posted: "text" (plain words), "slack" and "discord" (their JSON), "json" (all fields). The header Idempotency-Key has
    the id of the event. The address is a secret: it is nowhere shown. Raises UsageError for an address without https or of another host.
    """

    def __init__(
        self,
        url: str,
        *,
        allow: Iterable[str],
        shape: Shape = "text",
        name: str | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        allowed = {allow.lower()} if isinstance(allow, str) else {one.lower() for one in allow}
        parts = urlsplit(url)
        self._host = (parts.hostname or "").lower()
        if parts.scheme != "https" or not self._host or parts.username or parts.password:
            raise UsageError(
                "a webhook's address begins with https:// and a host", hint="A name and password do not belong there"
            )
        if self._host not in allowed:
            raise UsageError(
                f"the host {self._host} is not among those that you allow", hint=f'Give allow=("{self._host}",)'
            )
        if not any(letter.isalpha() for letter in self._host.rpartition(".")[2]):
            raise UsageError("a webhook's host is a name, not an address")
        self._shape = one_of("shape", shape, SHAPES)
        self._port, self._target = parts.port or HTTPS, parts.path or "/"
        self._target += f"?{parts.query}" if parts.query else ""
        self._trust = trust
        self.name = name or f"webhook {self._host}"

    async def send(self, alarm: Alarm) -> None:
        """Post it. Raises Forbidden where the host is no public one, TimedOut after five seconds, Unavailable for all but success."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._post(alarm, await _looked_up(self._host, self._port))
        except TimeoutError:
            raise TimedOut(f"{self.name} took more than {PATIENCE:.0f} s") from None
        except httpx.HTTPError as error:
            raise Unavailable(f"{self.name} could not be reached: {type(error).__name__}") from None

    async def _post(self, alarm: Alarm, address: str) -> None:
        where = f"[{address}]" if ":" in address else address
        content, kind = _body(alarm, self._shape)
        headers = {"Host": self._host if self._port == HTTPS else f"{self._host}:{self._port}", "Content-Type": kind}
        made = httpx.AsyncHTTPTransport(verify=self._trust or True, trust_env=False, retries=0)
        async with httpx.AsyncClient(
            transport=made, trust_env=False, follow_redirects=False, timeout=PATIENCE
        ) as client:
            request = client.build_request(
                "POST", f"https://{where}:{self._port}{self._target}", content=content,
                headers=headers | {"Idempotency-Key": alarm.event_id}, extensions={"sni_hostname": self._host},
            )  # fmt: skip
            reply = await client.send(request, stream=True)
            try:
                await self._take(reply)
            finally:
                await reply.aclose()

    async def _take(self, reply: httpx.Response) -> None:
        size = 0
        async for piece in reply.aiter_raw():
            size += len(piece)
            if size > MOST:
                raise Unavailable(f"{self.name} answered more than {MOST:,} bytes")
        if not reply.is_success:
            raise Unavailable(f"{self.name} answered {reply.status_code}")

    def __repr__(self) -> str:
        return f"<ToWebhook {self._host}>"


def _body(alarm: Alarm, shape: str) -> tuple[bytes, str]:
    if shape == "text":
        return alarm.text.encode(), "text/plain; charset=utf-8"
    said = {"slack": {"text": alarm.text}, "discord": {"content": alarm.text}, "json": alarm.row()}
    return json.dumps(said[shape]).encode(), "application/json"


async def _looked_up(host: str, port: int) -> str:
    """One address of a host, all of which are public; looked up once, so that no second answer can be another."""
    addresses = await addresses_of(host, port)
    if not addresses or not all(public(address) for address in addresses):
        raise Forbidden(
            f"the host {host} is not a public one", hint="A webhook never goes to this machine's own network"
        )
    return addresses[0]


async def addresses_of(host: str, port: int) -> list[str]:
    """What the system says that a host's addresses are."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unavailable(f"the host {host} was not found: {error.strerror or type(error).__name__}") from None
    return [str(one[4][0]) for one in found]


def public(address: str) -> bool:
    """Whether an address is one of the internet at large: not of this machine, a private network, a group, or another one in disguise."""
    try:
        one: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    odd = any(one in network for network in ALSO_PRIVATE if network.version == one.version)
    return one.is_global and not (one.is_multicast or one.is_reserved or one.is_unspecified or odd)
