"""A small real WebSocket exchange that tests script: it answers commands as the contract says and sends what it is told to."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import defaultdict
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

import kalshi_lab as kl

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.asyncio.server import Request, Response

COUNTED = {
    "orderbook_delta",
    "trade",
    "market_lifecycle_v2",
    "order_group_updates",
    "communications",
    "cfbenchmarks_value",
}


class Line:
    """One connection as the server sees it: what is subscribed on it, and the numbers of its frames."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.newest = 0
        self.sids: dict[int, str] = {}
        self.markets: dict[int, list[str]] = {}
        self.seq: dict[int, int] = defaultdict(int)

    def sid(self, channel: str) -> int:
        """The newest subscription of a channel."""
        return max(sid for sid, name in self.sids.items() if name == channel)

    async def send(self, frame: Any) -> None:
        """Send a frame as it is."""
        with suppress(ConnectionClosed):
            await self.socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    async def tell(self, channel: str, kind: str, msg: Any, *, skip: int = 0, again: bool = False) -> None:
        """Send a message on a channel with the next number; `skip` leaves numbers out, `again` uses the last one."""
        sid = self.sid(channel)
        frame = {"type": kind, "sid": sid, "msg": msg, "sending_ts_ms": 1_795_200_000_000}
        if channel in COUNTED:
            self.seq[sid] += 0 if again else 1 + skip
            frame["seq"] = self.seq[sid]
        await self.send(frame)


class StreamServer:
    """Serves on a loopback port, in a thread of its own, until its `with` block is left.

    `books` are the levels that snapshots send; `refuse` answers handshakes with these statuses, one after the other; `mute` names
    commands that get no answer; `errors` maps commands to the error codes that answer the next ones; `redirect` is where handshakes
    that are refused with 302 are sent; `recorded` frames answer subscriptions instead, as long as there are some.
    """

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.commands: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.books: dict[str, dict[str, list[list[str]]]] = {}
        self.refuse: list[int] = []
        self.mute: set[str] = set()
        self.errors: dict[str, list[int]] = defaultdict(list)
        self.redirect = ""
        self.ahead = 0.0
        self.open = 0
        self.recorded: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: Any = None
        self.port = 0

    @property
    def settings(self) -> kl.Settings:
        return kl.Settings(environment="sim", base_url=f"http://127.0.0.1:{self.port}/trade-api/v2", attempts=3)

    def __enter__(self) -> Self:
        self._thread.start()
        self.do(self._start())
        return self

    async def _start(self) -> None:
        self._server = await serve(self._serve, "127.0.0.1", 0, process_request=self._admit, close_timeout=0.2)
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    def __exit__(self, *_: object) -> None:
        self.do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    def do(self, work: Any) -> Any:
        """Run a coroutine in the server's loop to its end."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def tell(self, channel: str, kind: str, msg: Any, **options: Any) -> None:
        """Send a message on the newest connection."""
        self.do(self.lines[-1].tell(channel, kind, msg, **options))

    def send(self, frame: Any) -> None:
        """Send a frame as it is on the newest connection."""
        self.do(self.lines[-1].send(frame))

    def drop(self) -> None:
        """Cut the newest connection without a word."""
        self._loop.call_soon_threadsafe(self.lines[-1].socket.transport.abort)

    def end(self, code: int, reason: str = "") -> None:
        """Close the newest connection as the exchange does."""
        self.do(self.lines[-1].socket.close(code, reason))

    def freeze(self) -> None:
        """Neither read nor answer anything on the newest connection any more."""
        self._loop.call_soon_threadsafe(self.lines[-1].socket.transport.pause_reading)

    def wait(self, done: Callable[[], bool], seconds: float = 10) -> None:
        """Until something is so, looked at after each command and connection."""
        with self._changed:
            assert self._changed.wait_for(done, seconds), (self.commands, len(self.lines))

    def asked(self, command: str) -> list[dict[str, Any]]:
        """The parameters of the commands of a kind, in their order."""
        return [one.get("params", {}) for one in self.commands if one["cmd"] == command]

    def _admit(self, socket: ServerConnection, request: Request) -> Response | None:
        self.headers.append({name.lower(): value for name, value in request.headers.raw_items()})
        if not self.refuse:
            return None
        answer = socket.respond(HTTPStatus(self.refuse.pop(0)), "no")
        if self.redirect:
            answer.headers["Location"] = self.redirect
        if self.ahead:
            import time

            del answer.headers["Date"]
            answer.headers["Date"] = formatdate(time.time() + self.ahead, usegmt=True)
        return answer

    async def _serve(self, socket: ServerConnection) -> None:
        line = Line(socket)
        self.lines.append(line)
        self._tell_waiters()
        self.open += 1
        with suppress(ConnectionClosed):
            async for text in socket:
                command = json.loads(text)
                self.commands.append(command)
                await self._answer(line, command)
                self._tell_waiters()
        self.open -= 1
        self._tell_waiters()

    def _tell_waiters(self) -> None:
        with self._changed:
            self._changed.notify_all()

    async def _answer(self, line: Line, command: dict[str, Any]) -> None:
        kind, number, given = command["cmd"], command["id"], command.get("params", {})
        if kind in self.mute:
            return
        if self.errors[kind]:
            code = self.errors[kind].pop(0)
            await line.send({"type": "error", "id": number, "msg": {"code": code, "msg": "because"}})
            return
        await getattr(self, f"_{kind}")(line, number, given)

    async def _replay(self, line: Line, number: int) -> None:
        """The next recorded answer to a subscription, and what follows it until the one after."""
        await line.send(json.dumps(self.recorded.pop(0) | {"id": number}))
        while self.recorded and self.recorded[0]["type"] != "subscribed":
            await line.send(json.dumps(self.recorded.pop(0)))

    async def _subscribe(self, line: Line, number: int, given: dict[str, Any]) -> None:
        if self.recorded:
            await self._replay(line, number)
            return
        for channel in given["channels"]:
            line.newest += 1
            sid = line.newest
            line.sids[sid], line.markets[sid] = channel, list(given.get("market_tickers", []))
            await line.send({"type": "subscribed", "id": number, "msg": {"channel": channel, "sid": sid}})
            if channel == "orderbook_delta":
                await self._snapshots(line, line.markets[sid])

    async def _update_subscription(self, line: Line, number: int, given: dict[str, Any]) -> None:
        sid, action, names = given["sid"], given["action"], given.get("market_tickers", [])
        if action == "add_markets":
            line.markets[sid] += names
        if action == "delete_markets":
            line.markets[sid] = [name for name in line.markets[sid] if name not in names]
        if action in {"indexlist", "underlying_list"}:
            await line.tell(line.sids[sid], f"{line.sids[sid]}_indexlist", {"index_ids": ["BRTI", "ETHUSD_RTI"]})
        elif action != "get_snapshot":
            line.seq[sid] += 1
            await line.send(
                {
                    "type": "ok",
                    "id": number,
                    "sid": sid,
                    "seq": line.seq[sid],
                    "msg": {"market_tickers": line.markets[sid]},
                }
            )
        if action in {"add_markets", "get_snapshot"} and line.sids[sid] == "orderbook_delta":
            await self._snapshots(line, names)

    async def _unsubscribe(self, line: Line, number: int, given: dict[str, Any]) -> None:
        for sid in given["sids"]:
            line.sids.pop(sid)
            line.seq[sid] += 1
            await line.send({"type": "unsubscribed", "id": number, "sid": sid, "seq": line.seq[sid]})

    async def _snapshots(self, line: Line, names: list[str]) -> None:
        for name in names:
            levels = self.books.get(name, {"yes_dollars_fp": [["0.4000", "10.00"]]})
            await line.tell(
                "orderbook_delta", "orderbook_snapshot", {"market_ticker": name, "market_id": "m", **levels}
            )

    async def _list_subscriptions(self, line: Line, number: int, _given: dict[str, Any]) -> None:
        rows = [{"channel": channel, "sid": sid} for sid, channel in line.sids.items()]
        await line.send({"type": "ok", "id": number, "msg": rows})
