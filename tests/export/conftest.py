"""A store whose rows are chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalshi_lab.store import Store
from tests.export.samples import TITLES, TRADES, add, put

if TYPE_CHECKING:
    from pathlib import Path


def filled(folder: Path) -> Store:
    made = Store(folder / "home" / "kalshi.duckdb")
    add(made, TRADES)
    put(
        made,
        "markets",
        [{"ticker": "KXHIGHNY-26NOV21-A1", "event_ticker": "KXHIGHNY-26NOV21", "series_ticker": "../evil"}],
    )
    put(
        made,
        "series",
        [{"ticker": f"S{place}", "title": title, "fee_multiplier": -1.5} for place, title in enumerate(TITLES)],
    )
    return made


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return filled(tmp_path)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store that no test changes."""
    return filled(tmp_path_factory.mktemp("held"))
