"""The server process: binds this machine's loopback address, says where it listens, and ends with its parent."""

from __future__ import annotations

import json
import socket
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    from kalshi_lab.sim.app import Application
    from kalshi_lab.sim.delivery import Wire

HOST = "127.0.0.1"


def _protocol(wire: Wire) -> type[asyncio.Protocol]:
    """The HTTP protocol that also notes each connection, so that a fault can cut it."""

    class Noted(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn declares it
            super().connection_made(transport)
            self._peer = transport.get_extra_info("peername")
            wire.transports[self._peer] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            wire.transports.pop(self._peer, None)
            super().connection_lost(exc)

    return Noted


def config(application: Application) -> uvicorn.Config:
    """How uvicorn serves the exchange; heartbeats are the exchange's own, since uvicorn's pings have other bodies."""
    return uvicorn.Config(
        application, http=_protocol(application.wire), lifespan="off", log_level="critical", access_log=False,
        ws="websockets-sansio", ws_ping_interval=None, timeout_keep_alive=75, timeout_graceful_shutdown=1,
        server_header=False, date_header=False,
    )  # fmt: skip


def serve(application: Application, port: int, *, with_parent: bool) -> None:
    """Listen until a signal comes or, `with_parent`, standard input ends. Prints one line of JSON with url and port."""
    # named as TCP, or asyncio leaves Nagle's algorithm on and each answer waits 40 ms for an acknowledgement
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(1024)
        server = uvicorn.Server(config(application))
        if with_parent:
            threading.Thread(target=_until_orphaned, args=(server,), daemon=True).start()
        where = listener.getsockname()[1]
        print(json.dumps({"url": f"http://{HOST}:{where}/trade-api/v2", "port": where}), flush=True)  # noqa: T201 - read by the parent
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listener])


def _until_orphaned(server: uvicorn.Server) -> None:
    while sys.stdin.buffer.read(1024):
        pass
    server.should_exit = True
