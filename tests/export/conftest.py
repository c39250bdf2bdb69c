"""A store whose rows are chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalshi_lab.store import Store
from tests.export.samples import TITLES, TRADES, add, put

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "home" / "kalshi.duckdb")
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
