"""Clients of the streams: signed connections, commands and their answers, and books kept from the frames alone."""

from __future__ import annotations

import asyncio
import atexit
import base64
import json
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from websockets.asyncio.client import ClientConnection, connect

from kalshi_lab import sim

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

PATIENCE = 20.0
Frame = dict[str, Any]


def public_pem(private: ed25519.Ed25519PrivateKey) -> str:
    """The public half."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return private.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def signed(private: ed25519.Ed25519PrivateKey, key: str, method: str, path: str) -> dict[str, str]:
    """The three headers."""
    stamp = str(int(time.time() * 1000))
    made = base64.b64encode(private.sign(f"{stamp}{method}{path}".encode())).decode()
    return {"KALSHI-ACCESS-KEY": key, "KALSHI-ACCESS-TIMESTAMP": stamp, "KALSHI-ACCESS-SIGNATURE": made}


@dataclass
class Member:
    """An account of an exchange: its signed requests and its streams."""

    exchange: sim.Exchange
    private: ed25519.Ed25519PrivateKey = field(default_factory=ed25519.Ed25519PrivateKey.generate)
    key: str = ""

    def __post_init__(self) -> None:
        self.key = self.exchange.account(public_pem(self.private), tier="prestige", direct=True)

    def headers(self, method: str, path: str) -> dict[str, str]:
        return signed(self.private, self.key, method, path)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = self.headers(method, f"/trade-api/v2{path}")
        response = _client().request(method, self.exchange.url + path, json=body, headers=headers)
        assert response.status_code < 300, response.text
        return response.json()

    def order(self, ticker: str, side: str, price: str, count: str = "10", **more: str) -> Any:
        wish = {"ticker": ticker, "side": side, "price": price, "count": count, "time_in_force": "good_till_canceled"}
        return self.call(
            "POST", "/portfolio/events/orders", {**wish, "self_trade_prevention_type": "taker_at_cross", **more}
        )

    @asynccontextmanager
    async def stream(self, **options: Any) -> AsyncIterator[Stream]:
        """A connection; the client's own pings are off."""
        opened = connect(
            self.exchange.stream_url, additional_headers=self.headers("GET", "/trade-api/ws/v2"), max_queue=None,
            ping_interval=None, proxy=None, **options,
        )  # fmt: skip
        async with opened as connection:
            yield Stream(connection)


class Stream:
    """One connection: what came in stands in `frames`, in order."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.frames: list[Frame] = []
        self.ids = 0

    async def read(self) -> Frame:
        """The next frame."""
        self.frames.append(json.loads(await asyncio.wait_for(self.connection.recv(), PATIENCE)))
        return self.frames[-1]

    async def send(self, cmd: str, **params: Any) -> int:
        """Send a command; its id."""
        self.ids += 1
        await self.connection.send(json.dumps({"id": self.ids, "cmd": cmd, "params": params}))
        return self.ids

    async def ask(self, cmd: str, **params: Any) -> Frame:
        """Send a command; the answer that carries its id."""
        number = await self.send(cmd, **params)
        while (frame := await self.read()).get("id") != number:
            pass
        return frame

    async def subscribe(self, *channels: str, **params: Any) -> Frame:
        """The answer to a subscription, and everything that follows at once."""
        answer = await self.ask("subscribe", channels=list(channels), **params)
        await self.settle()
        return answer

    async def settle(self) -> list[Frame]:
        """Read until everything has come that was on its way; the frames of it."""
        before = len(self.frames)
        await self.ask("list_subscriptions")
        return self.frames[before:-1]

    async def until(self, wanted: Callable[[Frame], bool]) -> Frame:
        """Read until a frame is as wanted."""
        while not wanted(frame := await self.read()):
            pass
        return frame

    def of(self, *kinds: str) -> list[Frame]:
        """The frames of some types so far."""
        return [frame for frame in self.frames if frame["type"] in kinds]

    def count(self) -> Counter[str]:
        """How many frames of each type so far."""
        return Counter(frame["type"] for frame in self.frames)

    def check_sequence(self) -> None:
        """Every subscription's numbers go up by one from 1, over all frames that carry one."""
        last: dict[int, int] = {}
        for frame in self.frames:
            if "seq" in frame:
                assert frame["seq"] == last.get(frame["sid"], 0) + 1, frame
                last[frame["sid"]] = frame["seq"]

    def books(self, *, yes_prices: bool = False) -> dict[str, Any]:
        """The books that the frames make, each in the form of the REST answer."""
        books: dict[str, dict[str, dict[Decimal, Decimal]]] = {}
        for frame in self.frames:
            msg = frame["msg"] if frame["type"].startswith("orderbook_") else {}
            if frame["type"] == "orderbook_snapshot":
                sides = ("yes", "no")
                books[msg["market_ticker"]] = {
                    side: {Decimal(level): Decimal(size) for level, size in msg.get(f"{side}_dollars_fp", [])}
                    for side in sides
                }
            elif frame["type"] == "orderbook_delta":
                levels, at = books[msg["market_ticker"]][msg["side"]], Decimal(msg["price_dollars"])
                levels[at] = levels.get(at, Decimal(0)) + Decimal(msg["delta_fp"])
                assert levels[at] >= 0, frame
                if not levels[at]:
                    del levels[at]
        return {ticker: _listed(book, yes_prices=yes_prices) for ticker, book in books.items()}


def _listed(book: dict[str, dict[Decimal, Decimal]], *, yes_prices: bool) -> dict[str, list[list[str]]]:
    turned = {1 - level: size for level, size in book["no"].items()} if yes_prices else book["no"]
    sides = {"no_dollars": turned, "yes_dollars": book["yes"]}
    return {name: [[f"{at:.4f}", f"{size:.2f}"] for at, size in sorted(side.items())] for name, side in sides.items()}


@cache
def _client() -> httpx.Client:
    """One for all: making one reads the machine's certificates."""
    opened = httpx.Client(trust_env=False, timeout=30)
    atexit.register(opened.close)
    return opened


def rest(exchange: sim.Exchange, path: str, **params: Any) -> Any:
    """The public answer to GET `path`."""
    response = _client().get(exchange.url + path, params=params)
    assert response.status_code == 200, response.text
    return response.json()


def rest_books(exchange: sim.Exchange, tickers: list[str]) -> dict[str, Any]:
    """The books of markets by REST."""
    listed = rest(exchange, "/markets/orderbooks", tickers=tickers)["orderbooks"]
    return {one["ticker"]: one["orderbook_fp"] for one in listed}


def tickers(exchange: sim.Exchange, many: int, **params: Any) -> list[str]:
    """Some open markets."""
    found = rest(exchange, "/markets", status="open", limit=1000, **params)["markets"]
    return [market["ticker"] for market in found[:many]]


@pytest.fixture(scope="module")
def steady() -> Iterator[sim.Exchange]:
    """A frozen exchange that a module's tests share and never move."""
    with sim.start(markets=180, history_days=5, clock="frozen") as running:
        yield running


@pytest.fixture
def moving() -> Iterator[sim.Exchange]:
    """A frozen exchange of the test's own."""
    with sim.start(markets=180, history_days=5, clock="frozen") as running:
        yield running


@pytest.fixture(scope="module")
def _shared() -> Iterator[sim.Exchange]:
    with sim.start(markets=180, history_days=5, clock="frozen") as running:
        yield running


@pytest.fixture
def shaken(_shared: sim.Exchange) -> Iterator[sim.Exchange]:
    """A frozen exchange whose clock a module's tests move by minutes, and whose faults end with each test."""
    _shared.stream_log(keep=False)
    yield _shared
    _shared.stream_faults()
    _shared.stir(0)


@pytest.fixture
def member(steady: sim.Exchange) -> Member:
    return Member(steady)
