"""An exchange whose quotes and results a test sets by hand, and a research desk that works against it."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from kalshi_lab.alerts import Alerts, AsyncAlerts
from kalshi_lab.kalshi import AsyncKalshi
from kalshi_lab.portal import PORTAL
from kalshi_lab.research import thesis as research
from kalshi_lab.settings import Settings
from kalshi_lab.store import Store
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from kalshi_lab.research import Thesis

PREFIX = "/trade-api/v2"
DIED = 599
Row = dict[str, Any]


class Exchange:
    """Serves what its dictionaries hold at the moment of the request, and notes every request."""

    def __init__(self) -> None:
        self.live: dict[str, Row] = {}
        self.archive: dict[str, Row] = {}
        self.bars: dict[str, list[Row]] = {}
        self.archived_bars: dict[str, list[Row]] = {}
        self.broken: set[str] = set()
        self.requests: list[tuple[str, dict[str, str]]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{PREFIX}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def quote(self, ticker: str, bid: str, ask: str, **changes: Any) -> None:
        """List a market with this quote, or change it."""
        known = self.live.get(ticker) or {
            "ticker": ticker,
            "title": f"Will {ticker} happen?",
            "status": "active",
            "result": "",
        }
        quoted = {
            "yes_bid_dollars": bid,
            "yes_ask_dollars": ask,
            "last_price_dollars": known.get("last_price_dollars", "0.3300"),
        }
        self.live[ticker] = {**known, **quoted, **changes}

    def settle(
        self, ticker: str, result: str, value: str | None, *, status: str = "finalized", archive: bool = False
    ) -> None:
        """Give a market its result."""
        self.live[ticker] |= {"status": status, "result": result, "settlement_value_dollars": value}
        if archive:
            self.archive[ticker] = self.live.pop(ticker)

    def asked(self, path: str) -> list[dict[str, str]]:
        """The queries of the requests to a path."""
        return [query for where, query in self.requests if where == path]

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, Row]:
        self.requests.append((path, query))
        if path in self.broken:
            return 404, {"error": {"code": "not_found", "message": "not found"}}
        if path in {"/markets", "/historical/markets"}:
            table = self.live if path == "/markets" else self.archive
            return 200, {
                "markets": [table[name] for name in query["tickers"].split(",") if name in table],
                "cursor": "",
            }
        if path == "/markets/candlesticks":
            name = query["market_tickers"]
            return 200, {"markets": [{"market_ticker": name, "candlesticks": self.bars.get(name, [])}]}
        if path.startswith("/historical/markets/") and path.endswith("/candlesticks"):
            name = path.split("/")[3]
            return 200, {"ticker": name, "candlesticks": self.archived_bars.get(name, [])}
        return DIED, {"error": f"the test exchange does not serve {path}"}


def _handler(exchange: Exchange) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            status, row = exchange.answer(parts.path.removeprefix(PREFIX), query)
            body = json.dumps(row).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
            """Keep the output of tests clean."""

    return Handler


def bar(time: Any, bid: str, ask: str, price: str | None = None) -> Row:
    """A candlestick as the exchange writes it, of which only the close differs from zero."""
    sides = {name: {"close_dollars": value} for name, value in (("yes_bid", bid), ("yes_ask", ask))}
    return {"end_period_ts": int(time.timestamp()), **sides, "price": {"close_dollars": price}, "volume_fp": "1.00"}


class Desk:
    """One kernel's worth of objects over a store: its own client, store and alerts."""

    def __init__(self, url: str, folder: Path, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        given: dict[str, Any] = {"environment": "sim", "base_url": url, "allow_unsafe_host": True, "attempts": 1}
        self.kalshi = AsyncKalshi(settings=Settings(**given))
        self.store = Store(folder / "kalshi.duckdb")
        self.async_alerts = AsyncAlerts(self.kalshi, self.store, self.clock)
        self.alerts = Alerts(self.async_alerts)

    def thesis(self, name: str, **given: Any) -> Thesis:
        return PORTAL.call(research.thesis(self.kalshi, self.store, self.clock, name, **given))

    def theses(self) -> pl.DataFrame:
        return PORTAL.call(research.theses(self.store))

    def table(self, name: str) -> pl.DataFrame:
        return PORTAL.call(self.store.table(name))

    def later(self, **span: float) -> None:
        self.clock.advance(timedelta(**span).total_seconds())

    def close(self) -> None:
        PORTAL.call(self.kalshi.close())
