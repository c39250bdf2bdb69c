"""A loopback exchange that answers each operation with every field of the contract, and keeps what it was asked."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from kalshi_lab.kalshi.operations import Operation, table
from tests.operations.contract import BY_NAME, answer

PREFIX = "/trade-api/v2"
_PATHS = sorted(
    ((re.compile(re.sub(r"\{\w+\}", "[^/]+", row.path)), row) for row in table().values()),
    key=lambda pair: "{" in pair[1].path,
)
UNVERIFIED: dict[str, Any] = {
    "get_rfq_batches": {"rfq_batches": [{"id": "b1", "status": "open"}], "cursor": ""},
    "create_rfq_batch": {"rfq_batch": {"id": "b1", "status": "open"}},
    "get_rfq_batch": {"rfq_batch": {"id": "b1", "status": "open"}},
    "get_rfq_batch_best_quotes": {
        "best_quotes": {
            "rfq_batch_id": "b1",
            "status": "open",
            "version": 1,
            "yes_complete": True,
            "no_complete": False,
            "updated_ts": "2026-11-20T15:00:00Z",
            "rfqs": [
                {
                    "rfq_id": "r1",
                    "market_ticker": "KX-A",
                    "yes_bid_dollars": "0.4000",
                    "no_bid_dollars": "0.5000",
                    "yes_contracts_offered_fp": "5.00",
                    "no_contracts_offered_fp": "5.00",
                }
            ],
        }
    },
    "get_rfq_batch_quotes": {"batch_quotes": [{"id": "q1"}]},
    "create_rfq_batch_quote": {"id": "q1"},
    "accept_rfq_batch": {"accepted_side": "yes", "quotes": [{"id": "q1"}]},
}


def operation_of(method: str, path: str) -> Operation | None:
    """The operation that a method and a path below the prefix belong to."""
    return next((row for pattern, row in _PATHS if row.method == method and pattern.fullmatch(path)), None)


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    operation: str
    method: str
    path: str
    query: list[tuple[str, str]]
    body: Any
    headers: dict[str, str]


class ContractServer:
    """Serves until its `with` block is left; `asked` lists the requests."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{PREFIX}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one piece, or each answer waits 40 ms for an acknowledgement

            def _serve(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                sent = self.rfile.read(length) if length else b""
                parts = urlsplit(self.path)
                path = parts.path.removeprefix(PREFIX)
                row = operation_of(self.command, path)
                name = row.operation if row else ""
                query = parse_qsl(parts.query, keep_blank_values=True)
                body = json.loads(sent) if sent else None
                headers = {key.lower(): value for key, value in self.headers.items()}
                server.asked.append(Asked(name, self.command, path, query, body, headers))
                self._answer(name)

            def _answer(self, name: str) -> None:
                made = answer(name) if name in BY_NAME else UNVERIFIED.get(name)
                status = BY_NAME[name]["status"] if name in BY_NAME else 200 if made else 204
                content = b"" if made is None else json.dumps(made).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                if status != 204:
                    self.send_header("content-length", str(len(content)))
                self.end_headers()
                if status != 204:
                    self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the base class's names

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler
