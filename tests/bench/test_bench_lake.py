"""The questions of the lake's benchmark give rows; their times are read by people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bench import bench_lake

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.bench
@pytest.mark.parametrize("through", [20_000, 0])
def test_a_lake_is_filled_and_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, through: int) -> None:
    """DB-9: 20,000 trades by way of a store, exported once and nothing the second time, or written as a lake at once."""
    monkeypatch.setattr(bench_lake, "THROUGH", through)
    if not through:  # one of the two is tried in processes of their own
        monkeypatch.setattr(bench_lake, "alone", bench_lake.one)
    made = bench_lake.grown(tmp_path, 20_000)
    assert all(made[kind]["rows"] > 0 for kind in bench_lake.KINDS)
    if through:
        assert made["export"]["rows"] > made["nothing"]["rows"] == 0


@pytest.mark.bench
def test_the_growth_is_drawn_from_what_was_measured() -> None:
    """DB-9: a line for each question, dashed beyond the largest lake that was measured."""
    found = bench_lake.figures()
    assert found["trades"].max() == 200_000_000
    made = bench_lake.picture(found)
    assert made.png().startswith(b"\x89PNG")
    assert [len(axes.lines) for axes in made.figure.axes] == [2 * len(bench_lake.SAID)] * 2


def test_beyond_what_was_measured_the_line_goes_on() -> None:
    """DB-9: and never below the last figure."""
    assert bench_lake.beyond([100, 200_000_000], [1.0, 201.0]) == pytest.approx(1001.0, rel=1e-3)
    assert bench_lake.beyond([100, 200_000_000], [300.0, 201.0]) == 201.0
