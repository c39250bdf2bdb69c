"""A simulated exchange that these tests may upset, with its clock standing still."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalshi_lab.sim import Exchange, process

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def running() -> Iterator[Exchange]:
    """One exchange for all tests of this folder; its clock only moves on."""
    with process.start(markets=300, clock="frozen") as started:
        started.advance(7200)
        yield started


@pytest.fixture
def upset(running: Exchange) -> Iterator[Exchange]:
    """That exchange with nothing wrong and nothing logged yet."""
    running.faults()
    running.reset_log()
    yield running
    running.faults()
