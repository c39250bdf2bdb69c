"""Where requests may go: one exact origin and the paths below one prefix, checked before anything connects."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import httpx

from kalshi_lab.door.trip import Refusal
from kalshi_lab.errors import UnexpectedRedirect

if TYPE_CHECKING:
    from kalshi_lab.door.host import Host


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def allowed_base(host: Host) -> httpx.URL:
    """The address that requests may go to; Refusal where no request may.

    https to one of the host's own origins. `unsafe` admits another address, and plain http for loopback.
    """
    base = httpx.URL(host.url)
    origin = f"{base.scheme}://{base.host}" + (f":{base.port}" if base.port else "")
    secure = base.scheme == "https" or (base.scheme == "http" and host.unsafe and _loopback(base.host))
    if base.userinfo or not secure or not (origin in host.origins or host.unsafe):
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
