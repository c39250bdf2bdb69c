"""A small loopback exchange that tests script: three pages of markets, and any answer in place of any request."""

from __future__ import annotations

import json
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

import kalshi_lab as kl

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "/trade-api/v2"
ROWS = 200
Row = dict[str, Any]


def market(number: int, **changes: Any) -> Row:
    """A market as the exchange sends it; a change to None stays in it as null, `...` takes the field out."""
    row = {
        "ticker": f"KXODD-{number:03}",
        "event_ticker": "KXODD",
        "market_type": "binary",
        "title": f"Question {number}",
        "yes_sub_title": "Yes",
        "status": "active",
        "result": "",
        "yes_bid_dollars": "0.5600",
        "yes_ask_dollars": "0.5700",
        "no_bid_dollars": "0.4300",
        "no_ask_dollars": "0.4400",
        "volume_fp": "13.00",
        "open_time": "2026-11-01T14:00:00Z",
        "close_time": "2026-12-01T14:00:00Z",
        "strike_type": "greater",
        "floor_strike": 50.5,
        "settlement_bounds_type": "default",
        "can_close_early": True,
        "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
    } | changes
    return {name: value for name, value in row.items() if value is not ...}


@dataclass
class Answer:
    """What is sent: a body (bytes as they are), a status, headers, and how many bytes of it are kept back."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    kept_back: int = 0
    kind: str = "application/json"

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body, separators=(",", ":")).encode()


@dataclass
class Asked:
    """A request that arrived: its path below the prefix, its parameters, joined and as they came, its method and body."""

    path: str
    params: dict[str, str]
    query: str = ""
    method: str = "GET"
    body: bytes = b""


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """Say nothing of a client that broke off, as one does that has read enough; anything else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*_)


class Scripted:
    """Answers `answer(asked)` to each request; `asked` lists them, and `arrived` tells that request n is here."""

    def __init__(self, answer: Callable[[Asked], Answer]) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self._more = threading.Condition()
        self.open = 0
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{PREFIX}"

    def client(self, **options: Any) -> kl.Kalshi:
        return kl.Kalshi(settings=self.settings(**options))

    def settings(self, **options: Any) -> kl.Settings:
        return kl.Settings(
            **{"environment": "sim", "base_url": self.url, "backoff_base": 0.01, "backoff_cap": 0.02, **options}
        )

    def arrived(self, count: int, timeout: float = 5) -> bool:
        """Whether that many requests have arrived, waiting for them a little."""
        with self._more:
            return self._more.wait_for(lambda: len(self.asked) >= count, timeout)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def take(self, target: str, method: str = "GET", body: bytes = b"") -> Answer:
        parts = urlsplit(target)
        params = {name: ",".join(values) for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        asked = Asked(parts.path.removeprefix(PREFIX), params, parts.query, method, body)
        with self._more:
            self.asked.append(asked)
            self._more.notify_all()
        return self.answer(asked)

    def count(self, change: int) -> None:
        with self._more:
            self.open += change
            self._more.notify_all()

    def closed(self, timeout: float = 5) -> bool:
        """Whether no connection is open, waiting for that a little."""
        with self._more:
            return self._more.wait_for(lambda: self.open == 0, timeout)

    def _handler(script) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the handler has its own self
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # headers and body in one piece: the second of two would wait 40 ms for an acknowledgement

            def setup(self) -> None:
                super().setup()
                script.count(1)

            def finish(self) -> None:
                super().finish()
                script.count(-1)

            def do_POST(self) -> None:
                self.do_GET()

            do_PUT = do_DELETE = do_POST  # noqa: N815 - the base class's names

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                answer = script.take(self.path, self.command, body)
                content = answer.content
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.kind)
                self.send_header("Content-Length", str(len(content)))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(ConnectionError):  # a client may have broken off
                    self.wfile.write(content[: len(content) - answer.kept_back])
                    self.wfile.flush()
                self.close_connection = bool(answer.kept_back)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


def pages(first: list[Row], second: list[Row], third: list[Row], key: str = "markets") -> Callable[[Asked], Answer]:
    """Three pages, whose cursors are p2 and p3."""
    listed = {"": (first, "p2"), "p2": (second, "p3"), "p3": (third, "")}

    def answer(asked: Asked) -> Answer:
        rows, cursor = listed[asked.params.get("cursor", "")]
        return Answer({key: rows, "cursor": cursor})

    return answer


def three(second: list[Row] | None = None) -> tuple[list[Row], list[Row], list[Row]]:
    """The rows of three pages of 200 markets; `second` replaces those of page two."""
    made = [[market(page * ROWS + number) for number in range(ROWS)] for page in range(3)]
    return made[0], made[1] if second is None else second, made[2]
