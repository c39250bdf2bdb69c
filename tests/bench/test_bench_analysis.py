"""The questions of the benchmark give what the published way gives; their times are read by people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bench import bench_analysis

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.bench
def test_questions_over_many_trades_give_as_many_rows_as_the_published_way(tmp_path: Path) -> None:
    """200,000 trades: calibration by trade, one market's tape and hourly bars, from the store and from files of 10,000 rows."""
    made = bench_analysis.report(tmp_path, trades=200_000, markets=2_000, rounds=1)
    for kind in ("calibration", "tape", "bars"):
        assert made[kind]["rows"] == made[f"published {kind}"]["rows"] > 0
        assert made[kind]["whole"] > 0
    assert made["calibration plain"]["rows"] == made["calibration clustered"]["rows"] == made["calibration"]["rows"]
