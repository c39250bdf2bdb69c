"""The measurement itself works; its figures are read by people."""

from __future__ import annotations

import pytest

from tests.bench import bench_quotes


@pytest.mark.bench
def test_the_measurement_measures() -> None:
    """A small run of `bench_quotes` answers every question and gives each of its figures; changes take less room than every row."""
    figures = bench_quotes.report(2000, 40, 2)
    assert all(figure > 0 for figure in figures.values())
    assert figures["size of a day, MB"] < figures["every row, MB"]
