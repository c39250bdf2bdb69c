"""The WebSocket itself: who may connect, what comes in, heartbeats, and connections that break."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.responses import Response
from websockets.exceptions import InvalidState

from kalshi_lab.sim.delivery import as_json
from kalshi_lab.sim.faults import error_body
from kalshi_lab.sim.feed.clerk import Clerk
from kalshi_lab.sim.feed.commands import ERRORS
from kalshi_lab.sim.feed.faults import StreamFault
from kalshi_lab.sim.feed.feed import TICK
from kalshi_lab.sim.feed.session import Connection, Frame
from kalshi_lab.sim.queries import Refused

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from kalshi_lab.sim.delivery import Wire
    from kalshi_lab.sim.desk.keys import Caller, Keyring
    from kalshi_lab.sim.feed.feed import Feed

PATH = "/trade-api/ws/v2"
HEARTBEAT = 10.0


class Socket:
    """The ASGI application of the streams."""

    def __init__(self, feed: Feed, keys: Keyring, wire: Wire) -> None:
        self.feed, self.keys, self.wire = feed, keys, wire
        self.clerk = Clerk(feed)
        self._ticking: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection from its handshake to its end."""
        await receive()
        caller = self._caller(scope)
        if isinstance(caller, Response):
            await _refuse(caller, send)
            return
        await send({"type": "websocket.accept"})
        connection = self.feed.join(caller, tuple(scope["client"]))
        writer = asyncio.create_task(connection.write(send, self.feed.log))
        self._tick()
        try:
            while (message := await receive())["type"] == "websocket.receive":
                text = message.get("text")
                await self.clerk.answer(connection, message["bytes"].decode(errors="replace") if text is None else text)
        finally:
            self.feed.part(connection)
            self.wire.transports.pop(connection.client, None)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    def _caller(self, scope: Scope) -> Caller | Response:
        if scope["path"] != PATH:
            return as_json(error_body(404), 404)
        if fault := self.feed.faults.strikes("refuse"):
            self.feed.log.counts["refused"] += 1
            return as_json(error_body(fault.status), fault.status)
        caller = self.keys.verify(Headers(scope=scope), "GET", scope["path"])
        if isinstance(caller, Refused):
            self.feed.log.counts["refused"] += 1
            return as_json(caller.body, caller.status)
        return caller

    # ------------------------------------------------------------------ time

    def _tick(self) -> None:
        if self._ticking is None or self._ticking.done():
            self._ticking = asyncio.create_task(self._run())

    async def _run(self) -> None:
        """Tick about ten times a second until nobody is connected."""
        last = time.monotonic()
        while self.feed.connections:
            began = time.monotonic()
            self._keep(began, began - last)
            last = began
            try:
                await self.feed.tick()
            except Exception:
                # nobody must wait for frames that will never come
                self.spoil(StreamFault("close", code=1011))
                raise
            await asyncio.sleep(max(TICK / 5, TICK - (time.monotonic() - began)))

    def _keep(self, now: float, passed: float) -> None:
        for connection in list(self.feed.connections.values()):
            if self.feed.faults.dropped(passed):
                self._drop(connection, reset=False)
            elif now - connection.pinged >= HEARTBEAT and now >= connection.quiet_until:
                connection.pinged = now
                self._ping(connection)

    def _ping(self, connection: Connection) -> None:
        """A ping with the exchange's own body, which uvicorn's pings don't have; it ignores the answer."""
        transport: Any = self.wire.transports.get(connection.client)
        if transport is None or transport.is_closing():
            return
        protocol = transport.get_protocol().conn
        with suppress(InvalidState):
            protocol.send_ping(b"heartbeat")
            transport.write(b"".join(protocol.data_to_send()))

    # ------------------------------------------------------------------ what goes wrong

    def spoil(self, fault: StreamFault) -> None:
        """Let a fault happen to all connections now, or switch it on. Raises ValueError for an unknown error code."""
        if fault.kind in {"error", "command_error"} and fault.code not in ERRORS:
            raise ValueError(f"unknown error code {fault.code}; allowed: {', '.join(map(str, ERRORS))}")
        now = time.monotonic()
        for connection in list(self.feed.connections.values()):
            if fault.kind == "drop":
                self._drop(connection, reset=fault.reset)
            elif fault.kind == "silence":
                connection.quiet_until = now + fault.seconds
            elif fault.kind == "close":
                connection.tell(Frame("", close=fault.code))
            elif fault.kind == "error":
                self._fail(connection, fault)
        if fault.kind not in {"drop", "silence", "close", "error"}:
            self.feed.faults.add(fault)

    def _fail(self, connection: Connection, fault: StreamFault) -> None:
        for subscription in list(connection.subscriptions.values()):
            if fault.channel in {"", subscription.channel}:
                self.feed.fail(subscription, fault.code)

    def _drop(self, connection: Connection, *, reset: bool) -> None:
        self.feed.log.counts["dropped"] += 1
        self.wire.hang_up({"client": connection.client}, reset=reset)

    def mend(self) -> None:
        """Switch all faults off, let silent connections speak, and send what was held back."""
        for connection, frame in self.feed.faults.clear():
            connection.tell(frame)
        for connection in self.feed.connections.values():
            connection.quiet_until = 0.0


async def _refuse(response: Response, send: Send) -> None:
    await send(
        {"type": "websocket.http.response.start", "status": response.status_code, "headers": response.raw_headers}
    )
    await send({"type": "websocket.http.response.body", "body": bytes(response.body)})
