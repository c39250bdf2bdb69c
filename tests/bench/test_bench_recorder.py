"""The recording under load keeps what it should; its other figures are read by people."""

from __future__ import annotations

import pytest

from tests.bench import bench_recorder


@pytest.mark.bench
def test_a_short_run_keeps_everything() -> None:
    """Ten seconds under drops: nothing missing without a gap, nothing twice, nothing that was never sent."""
    figures = bench_recorder.report(10, rate=500, drops=0.15)
    assert figures["messages"] > 2000
    assert (figures["missing"], figures["twice"], figures["never_sent"], figures["out_of_bounds"]) == (0, 0, 0, {})
    assert figures["connection_gaps"] == figures["connections"] - 1
