"""How an answer goes out: whole or damaged, compressed or plain, and how a connection is cut."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import zlib
from typing import TYPE_CHECKING

from starlette.responses import Response

from kalshi_lab.sim.wire import encoded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope, Send

    from kalshi_lab.sim.faults import Fault

SMALL = 1024
_DRIPS = 10
_FLUSH = 0.02
_JSON = "application/json"
Address = tuple[str, int]


def as_json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(value if isinstance(value, bytes) else encoded(value), status, dict(headers or {}), _JSON)


def compressed(response: Response) -> Response:
    """The answer gzipped, without a timestamp, so that equal bodies give equal bytes."""
    squeezer = zlib.compressobj(1, zlib.DEFLATED, 31)
    body = squeezer.compress(bytes(response.body)) + squeezer.flush()
    headers = {"content-encoding": "gzip", "vary": "Accept-Encoding"}
    if known := response.headers.get("x-request-id"):
        headers["x-request-id"] = known
    return Response(body, response.status_code, headers, response.media_type)


def damaged(response: Response, fault: Fault, cursor: str) -> Response:
    """The answer as a fault wants it: cut JSON, a cursor that leads back, or a page without rows."""
    if response.status_code != 200 or fault.kind not in {"garbled", "loop", "empty"}:
        return response
    if fault.kind == "garbled":
        return as_json(bytes(response.body)[:-1][: max(1, len(response.body) // 2)])
    answer = json.loads(bytes(response.body))
    if fault.kind == "loop":
        return as_json({**answer, "cursor": cursor})
    return as_json({key: [] if isinstance(value, list) else value for key, value in answer.items()})


class Wire:
    """The open connections of the server, by the client's address."""

    def __init__(self) -> None:
        self.transports: dict[Address, asyncio.Transport] = {}

    async def send(self, response: Response, fault: Fault | None, scope: Scope, receive: Receive, send: Send) -> None:
        """Send an answer, late, in drips or only in part if the fault says so."""
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        if fault is None or fault.kind not in {"cut", "drip"}:
            await response(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
        body, cut = bytes(response.body), fault.kind == "cut"
        size = max(1, len(body) // 2 if cut else -(-len(body) // _DRIPS))
        for start in range(0, size if cut else len(body), size):
            await send(
                {
                    "type": "http.response.body",
                    "body": body[start : start + size],
                    "more_body": cut or start + size < len(body),
                }
            )
            await asyncio.sleep(_FLUSH if cut else fault.seconds / _DRIPS)
        if cut:
            self.hang_up(scope, reset=False)

    def hang_up(self, scope: Scope, *, reset: bool) -> None:
        """Close the request's connection without another byte, orderly or by a TCP reset."""
        transport = self.transports.get(tuple(scope["client"]))
        if transport is None:
            return
        if reset:
            # a linger time of zero makes the kernel send RST instead of FIN
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()
