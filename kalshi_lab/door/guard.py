"""Where requests may go: one exact origin and the paths below one prefix, checked before anything connects."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import httpx

from kalshi_lab.door.trip import Refusal
from kalshi_lab.errors import UnexpectedRedirect
from kalshi_lab.settings import HOSTS

if TYPE_CHECKING:
    from kalshi_lab.settings import Settings


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def allowed_base(settings: Settings) -> httpx.URL:
    """The address that requests may go to; Refusal where no request may.

    https to the environment's own hosts. `allow_unsafe_host` admits another host, and plain http for loopback.
    """
    base = httpx.URL(settings.url)
    known = base.host in HOSTS[settings.environment] and base.port is None
    secure = base.scheme == "https" or (base.scheme == "http" and settings.allow_unsafe_host and _loopback(base.host))
    if base.userinfo or not secure or not (known or settings.allow_unsafe_host):
        raise Refusal(UnexpectedRedirect, f"nothing is sent to {base.scheme}://{base.host}")
    return base


class GuardTransport(httpx.AsyncBaseTransport):
    """Passes on requests to one origin and below one path prefix; refuses all others before they connect."""

    def __init__(self, base: httpx.URL, inner: httpx.AsyncBaseTransport) -> None:
        self._origin = _origin(base)
        self._prefix = base.raw_path.rstrip(b"/") + b"/"
        self.inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, or raise Refusal without having connected."""
        url = request.url
        if _origin(url) != self._origin or url.userinfo or not url.raw_path.startswith(self._prefix):
            raise Refusal(UnexpectedRedirect, f"nothing is sent to {url.scheme}://{url.host}")
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.inner.aclose()


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
