"""A lab on the exchange that all tests share, with a store of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalshi_lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kalshi_lab.sim import Exchange


@pytest.fixture
def lab(exchange: Exchange, tmp_path: Path) -> Iterator[Lab]:
    with Lab("sim", base_url=exchange.url, home=tmp_path) as made:
        yield made
