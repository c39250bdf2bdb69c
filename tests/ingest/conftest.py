"""A simulated exchange that tests may upset, and a lab on it with a store of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalshi_lab import Lab
from kalshi_lab.sim import Exchange, World, process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MARKETS = 300


@pytest.fixture(scope="session")
def running() -> Iterator[Exchange]:
    """One exchange for all tests of this folder; its clock only moves on."""
    with process.start(markets=MARKETS, clock="frozen") as started:
        started.advance(7200)  # the world begins at the opening of some markets, which have done nothing yet
        yield started


@pytest.fixture
def upset(running: Exchange) -> Iterator[Exchange]:
    """That exchange with nothing wrong and nothing logged yet."""
    running.faults()
    running.reset_log()
    yield running
    running.faults()


@pytest.fixture(scope="session")
def world() -> World:
    """The world that the exchange serves."""
    return World(7, open_markets=MARKETS)


@pytest.fixture
def new_lab(upset: Exchange, tmp_path: Path) -> Iterator[Callable[[], Lab]]:
    """Makes labs on one store, each a session of its own; requests are tried once, so that faults show at once."""
    made: list[Lab] = []

    def make() -> Lab:
        made.append(Lab("sim", base_url=upset.url, home=tmp_path, attempts=1))
        return made[-1]

    yield make
    for lab in made:
        lab.close()


@pytest.fixture
def lab(new_lab: Callable[[], Lab]) -> Lab:
    return new_lab()
