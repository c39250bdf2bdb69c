"""One simulated exchange, with its Exa, for all these tests; each gets its own client and a bill that begins at its start."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab.exa import AsyncExa, Exa
from kalshi_lab.sim import process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kalshi_lab.sim.process import Exchange

KEY = "practice-key"
BILL = "H.R. 1001 passes the House"


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    with process.start(markets=300, clock="frozen") as made:
        yield made


@pytest.fixture(autouse=True)
def clean(exchange: Exchange) -> Iterator[None]:
    exchange.reset_log()
    yield
    exchange.faults()
    exchange.exa()


@pytest.fixture
def options(exchange: Exchange) -> dict[str, Any]:
    return {"environment": "sim", "base_url": exchange.url, "url": exchange.exa_url, "backoff_base": 0.001}


@pytest.fixture
def exa(options: dict[str, Any]) -> Iterator[Exa]:
    with Exa(KEY, **options) as made:
        yield made


@pytest.fixture
def aexa(options: dict[str, Any]) -> Callable[..., AsyncExa]:
    return lambda **more: AsyncExa(KEY, **{**options, **more})


@pytest.fixture
def billed(exchange: Exchange) -> Callable[[], Decimal]:
    """What was charged since the test began."""
    before = Decimal(exchange.exa_billed()["total"])
    return lambda: Decimal(exchange.exa_billed()["total"]) - before


class Kept(dict[str, bytes]):
    """A cache in memory."""

    async def found(self, key: str) -> bytes | None:
        return self.get(key)

    async def keep(self, key: str, _operation: str, body: bytes, *, seconds: float | None, **_told: Any) -> None:
        if seconds != 0:
            self[key] = body


@pytest.fixture
def kept() -> Kept:
    return Kept()
