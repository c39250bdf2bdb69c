"""The measurement itself works; its figures are read by people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bench import bench_alerts

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.bench
@pytest.mark.recordings
def test_the_measurement_measures(recordings: Path) -> None:
    """A small run of `bench_alerts` gives each of its figures."""
    figures = bench_alerts.report(recordings, alerts=50, kills=1, captures=1, most=3000)
    assert all(figure > 0 for figure in figures.values())
