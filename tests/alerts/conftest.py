"""An exchange and a desk for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.research.desk import Desk, Exchange

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    made = Exchange()
    yield made
    made.stop()


@pytest.fixture
def desk(exchange: Exchange, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(exchange.url, tmp_path)
    yield made
    made.close()
