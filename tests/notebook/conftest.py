"""A lab over a simulated exchange whose clock stands still, for panels without a browser."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import kalshi_lab as kl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START = datetime(2026, 11, 22, 14, tzinfo=UTC)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kl.Lab]:
    world = {"start": START, "clock": "frozen", "markets": 100}
    with kl.Lab("sim", home=tmp_path_factory.mktemp("panels"), world=world) as made:
        yield made


@pytest.fixture(scope="module")
def tickers(lab: Any) -> list[str]:
    """Markets with a real quote."""
    return lab.markets(status="open").filter(pl.col("yes_bid").is_between(0.2, 0.7))["ticker"].to_list()


def until(holds: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
