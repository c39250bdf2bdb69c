"""The measurement itself works; its figures are read by people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bench import bench_book

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.bench
@pytest.mark.recordings
def test_the_measurement_measures(recordings: Path) -> None:
    """A small run of `bench_book` without peers gives each of its figures."""
    figures = bench_book.report(recordings / "ws" / bench_book.CAPTURE, 1, {}, limit=5000)
    assert figures.keys() == set(bench_book.OURS)
    assert all(figure > 0 for figure in figures.values())
