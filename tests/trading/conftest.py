"""One frozen exchange for all, and a lab with an account of its own for each test."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab.sim import process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import polars as pl

START = datetime(2026, 11, 20, 15, tzinfo=UTC)
ORDERS = "/portfolio/events/orders"


def agree(_proposals: object) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Quoted:
    """A market that trades, with its quote in dollars of YES."""

    ticker: str
    bid: Decimal
    ask: Decimal


@pytest.fixture(scope="session")
def exchange() -> Iterator[process.Exchange]:
    with process.start(start=START, clock="frozen", markets=300) as made:
        yield made


@pytest.fixture
def quoted(exchange: process.Exchange) -> Quoted:
    with kl.Kalshi("sim", base_url=exchange.url) as kalshi:
        return liquid(kalshi)


def liquid(kalshi: kl.Kalshi) -> Quoted:
    """A market whose quote is narrow and large enough for every check."""
    wide, near, enough = Decimal("0.03"), Decimal("0.35"), 60
    for one in kalshi.markets.list(status="open", limit=1000):
        bid, ask = one.yes_bid or Decimal(0), one.yes_ask or Decimal(1)
        sizes = min(one.yes_bid_size or 0, one.yes_ask_size or 0)
        if ask - bid <= wide and near <= bid and ask <= 1 - near and sizes >= enough and one.status == "active":
            return Quoted(one.ticker, bid, ask)
    raise LookupError("no market that is liquid")


@pytest.fixture
def labs(exchange: process.Exchange, tmp_path: Path) -> Iterator[Callable[..., kl.Lab]]:
    """Labs of this test's store."""
    with ExitStack() as stack:

        def made(**options: Any) -> kl.Lab:
            words = {"base_url": exchange.url, "home": tmp_path, "backoff_base": 0.01, **options}
            return stack.enter_context(kl.Lab("sim", **words))

        yield made
        exchange.faults()


@pytest.fixture
def lab(labs: Callable[..., kl.Lab], exchange: process.Exchange) -> kl.Lab:
    made = labs()
    exchange.reset_log()
    return made


def written(exchange: process.Exchange) -> list[tuple[str, str]]:
    """The requests that were no GETs, as the exchange saw them."""
    return [(one["method"], one["path"]) for one in exchange.requests() if one["method"] != "GET"]


def states(frame: pl.DataFrame) -> list[tuple[str, str]]:
    return frame.select("verb", "state").rows()
