"""An exchange with members: in this process for the rules, over HTTP for keys, shapes and statuses."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from starlette.datastructures import QueryParams

from kalshi_lab import sim
from kalshi_lab.sim.api import Api
from kalshi_lab.sim.desk.desk import Desk
from kalshi_lab.sim.desk.ledger import Account
from kalshi_lab.sim.desk.order import Order, Wish
from kalshi_lab.sim.hub import Event, Hub
from kalshi_lab.sim.queries import Query
from kalshi_lab.sim.virtual import Bucket, VirtualClock
from kalshi_lab.sim.world import World, microseconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

WEATHER = "KXHIGHNY-26NOV20-B51.5"


def pem(private: Any) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return private.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def signature(private: Any, text: str) -> str:
    if isinstance(private, rsa.RSAPrivateKey):
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
        return base64.b64encode(private.sign(text.encode(), scheme, hashes.SHA256())).decode()
    return base64.b64encode(private.sign(text.encode())).decode()


def headers(private: Any, key: str, method: str, path: str, *, late: float = 0.0) -> dict[str, str]:
    stamp = str(int((time.time() - late) * 1000))
    signed = signature(private, f"{stamp}{method}/trade-api/v2{path}")
    return {"KALSHI-ACCESS-KEY": key, "KALSHI-ACCESS-TIMESTAMP": stamp, "KALSHI-ACCESS-SIGNATURE": signed}


@dataclass
class Member:
    """Calls an exchange with a key of its own."""

    exchange: sim.Exchange
    client: httpx.Client
    private: Any = field(default_factory=ed25519.Ed25519PrivateKey.generate)
    key: str = ""

    def join(self, **options: Any) -> Member:
        self.key = self.exchange.account(pem(self.private), **options)
        return self

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> httpx.Response:
        signed = headers(self.private, self.key, method, path)
        return self.client.request(method, self.exchange.url + path, json=body, params=query, headers=signed)

    def get(self, path: str, **query: Any) -> Any:
        response = self.call("GET", path, **query)
        assert response.status_code == 200, response.text
        return response.json()

    def order(self, **wanted: Any) -> httpx.Response:
        return self.call("POST", "/portfolio/events/orders", {**ORDER, **wanted})


ORDER = {
    "ticker": WEATHER, "side": "bid", "count": "10", "price": "0.01", "time_in_force": "good_till_canceled",
    "self_trade_prevention_type": "taker_at_cross",
}  # fmt: skip


@pytest.fixture
def market() -> Iterator[sim.Exchange]:
    """A frozen exchange of the test's own."""
    with sim.start(markets=180, history_days=10, clock="frozen") as running:
        yield running


@pytest.fixture
def member(market: sim.Exchange, client: httpx.Client) -> Member:
    return Member(market, client).join(tier="prestige", direct=True)


@pytest.fixture(scope="session")
def small() -> World:
    return World(open_markets=180, history_days=10)


class Floor:
    """A desk in this process: members `A`, `B`, `C` by name, orders in a line, what was published."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.clock = VirtualClock(microseconds(world.start), "frozen")
        self.api, self.hub = Api(world, self.clock.now), Hub()
        self.desk = Desk(self.api, self.hub, Bucket(100.0))
        self.venue = self.desk.venue
        self.heard: list[Event] = []
        self.hub.subscribe(self.heard.append)
        self.members: dict[str, Account] = {}

    def member(self, name: str, dollars: int = 1_000, *, direct: bool = False) -> Account:
        account = Account(name, direct=direct)
        self.venue.admit(account, dollars * 1_000_000, self.clock.now())
        self.members[name] = account
        return account

    def place(self, name: str, side: str, count: int, price: int, *, ticker: str = WEATHER, **more: Any) -> Order:
        """An order for hundredths of a contract at 1/10,000 dollars."""
        self.venue.settle(self.clock.now())
        wish: dict[str, Any] = {"time_in_force": "good_till_canceled", "prevention": "taker_at_cross", **more}
        row = self.world.names.find_market(ticker)
        assert row is not None
        return self.venue.place(
            self.members[name], Wish(row=row, buys=side == "bid", price=price, count=count, **wish), self.clock.now()
        )

    def advance(self, seconds: float) -> None:
        self.venue.settle(self.clock.advance(seconds))

    def book(self, ticker: str = WEATHER) -> tuple[dict[int, int], dict[int, int]]:
        """Bids and asks by price of YES."""
        row = self.world.names.find_market(ticker)
        assert row is not None
        yes, no = self.api.levels(row, self.clock.now())
        return dict(yes), {10_000 - price: size for price, size in no}

    def public(self, name: str, *parts: Any, **query: Any) -> Any:
        return getattr(self.api, name)(Query(QueryParams(query)), *parts)


@pytest.fixture
def floor(small: World) -> Floor:
    return Floor(small)
