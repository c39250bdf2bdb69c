"""A loopback server that plays scripted bytes, so that tests can show a client what only bytes can express."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import ssl

PREFIX = "/trade-api/v2"


@dataclass(frozen=True)
class Wait:
    """Send nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class End:
    """End the connection: in order, or with a reset."""

    reset: bool = False


CLOSE, RESET, STALL = End(), End(reset=True), Wait(30.0)
Act = bytes | Wait | End
Answer = bytes | Sequence[Act]


def reply(
    body: Any = b"{}", status: int = 200, *, length: int | None = -1, kind: str = "application/json", **headers: str
) -> bytes:
    """The bytes of one answer; `length` overrides Content-Length, None leaves it out, and `_` in header names is `-`."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Said So"]
    if kind:
        lines.append(f"Content-Type: {kind}")
    if length is not None:
        lines.append(f"Content-Length: {len(content) if length < 0 else length}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


def drip(data: bytes, every: float) -> list[Act]:
    """The bytes one by one."""
    return [act for byte in data for act in (bytes([byte]), Wait(every))]


class RawServer:
    """Answers request n with answer n, the last one for ever; counts requests and connections. Runs in its own thread."""

    def __init__(self, *answers: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.answers: list[Answer] = list(answers) or [reply()]
        self.requests: list[bytes] = []
        self.connections = 0
        self.open = 0
        self.peak = 0
        self.port = 0
        self.asked = threading.Event()
        self._tls = tls
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}{PREFIX}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(5), "the server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.peak = max(self.peak, self.open)
        try:
            while await self._play(await self._request(reader), writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        finally:
            self.open -= 1
            writer.close()

    async def _request(self, reader: asyncio.StreamReader) -> Answer:
        head = await reader.readuntil(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                head += await reader.readexactly(int(value))
        self.requests.append(head)
        self.asked.set()
        return self.answers[min(len(self.requests), len(self.answers)) - 1]

    async def _play(self, answer: Answer, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection stays open."""
        for act in [answer] if isinstance(answer, bytes) else answer:
            if isinstance(act, Wait):
                await asyncio.sleep(act.seconds)
            elif isinstance(act, End):
                if act.reset:
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    writer.transport.abort()
                return False
            else:
                writer.write(act)
                await writer.drain()
        return True


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
