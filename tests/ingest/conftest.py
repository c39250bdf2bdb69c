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


class Kept:
    """One exchange for all tests that leave its clock alone; whoever moves it has the next one begin anew, so no order of tests matters."""

    def __init__(self) -> None:
        self.exchange, self.began = self._started()

    def _started(self) -> tuple[Exchange, str]:
        exchange = process.start(markets=MARKETS, clock="frozen")
        # the world begins at the opening of some markets, which have done nothing yet
        return exchange, exchange.advance(7200)

    def as_begun(self) -> Exchange:
        """The exchange at the time at which it began, with nothing wrong and nothing logged."""
        if self.exchange.now() != self.began:
            self.exchange.stop()
            self.exchange, self.began = self._started()
        self.exchange.faults()
        self.exchange.reset_log()
        return self.exchange


@pytest.fixture(scope="session")
def running() -> Iterator[Kept]:
    kept = Kept()
    yield kept
    kept.exchange.stop()


@pytest.fixture
def upset(running: Kept) -> Exchange:
    """An exchange with nothing wrong and nothing logged yet, at the beginning of its time."""
    return running.as_begun()


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
