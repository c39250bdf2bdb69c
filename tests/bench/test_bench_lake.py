"""The questions of the lake's benchmark give rows; their times are read by people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bench import bench_lake

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.bench
def test_a_lake_is_filled_and_asked(tmp_path: Path) -> None:
    """DB-9: 20,000 trades, exported once, and nothing the second time."""
    made = bench_lake.grown(tmp_path, 20_000)
    assert all(made[kind]["rows"] > 0 for kind in bench_lake.KINDS)
    assert 0 < made["nothing_seconds"] < made["export_seconds"]
