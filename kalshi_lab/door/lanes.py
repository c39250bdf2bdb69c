"""The connections of one event loop: so many lanes, each a client with one connection.

httpcore's pool never takes back a connection whose request was cancelled before it was sent (encode/httpcore issue 1093),
and the stop button of a notebook is such a cancel. With a lane each, a request that fails takes its connection along.
"""

from __future__ import annotations

import asyncio
import http.cookiejar
import logging
import ssl
from contextlib import asynccontextmanager
from importlib import metadata
from typing import TYPE_CHECKING

import httpx

from kalshi_lab.door.guard import GuardTransport, allowed_base
from kalshi_lab.door.quiet import quiet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kalshi_lab.door.host import Host
    from kalshi_lab.settings import Settings

log = logging.getLogger(__name__)
KEPT_ALIVE = 20.0  # seconds that an idle connection is kept


class Lanes:
    """At most `settings.max_connections` connections; the last one used is the first one used again."""

    def __init__(self, settings: Settings, host: Host) -> None:
        self._settings = settings
        self._base = allowed_base(host)
        self._places = asyncio.Semaphore(settings.max_connections)
        # a context that trusts nobody serves plain http as well and spares loading the authorities
        secure = self._base.scheme == "https"
        self._context = httpx.create_ssl_context(trust_env=False) if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._free: list[httpx.AsyncClient] = []
        self._closed = False
        if secure and self._context.keylog_filename:
            log.warning("SSLKEYLOGFILE is set: whoever reads that file can read this traffic")

    @asynccontextmanager
    async def one(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client that nobody else uses meanwhile; closed when the block fails, kept otherwise."""
        async with self._places:
            client = self._free.pop() if self._free else self._opened()
            with quiet():
                try:
                    yield client
                except BaseException:
                    await client.aclose()
                    raise
            self._free.append(client)
        if self._closed:
            await self.aclose()

    async def aclose(self) -> None:
        """Close the connections, those in use once they are given back."""
        self._closed = True
        with quiet():
            while self._free:
                await self._free.pop().aclose()

    def _opened(self) -> httpx.AsyncClient:
        """A client that verifies certificates, follows nothing, keeps no cookie and reads no environment."""
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEPT_ALIVE)
        transport = httpx.AsyncHTTPTransport(verify=self._context, trust_env=False, limits=limits)
        return httpx.AsyncClient(
            transport=GuardTransport(self._base, transport),
            timeout=httpx.Timeout(self._settings.read_timeout, connect=self._settings.connect_timeout),
            trust_env=False,
            follow_redirects=False,
            cookies=http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[])),
            headers={"User-Agent": f"kalshi_lab/{_version()}", "Accept": "application/json", "Accept-Encoding": "gzip"},
        )


def _version() -> str:
    try:
        return metadata.version("kalshi_lab")
    except metadata.PackageNotFoundError:
        return "0"
