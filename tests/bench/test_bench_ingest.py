"""The measurement itself works; its figures are read by people."""

from __future__ import annotations

import pytest

from tests.bench import bench_ingest


@pytest.mark.bench
def test_the_measurement_measures() -> None:
    """A small run of `bench_ingest` stores every market and gives each of its figures."""
    figures = bench_ingest.report(2000, 1)
    assert figures["markets"] == 2000
    assert all(figure > 0 for figure in figures.values())
