"""A long history of trades, in short: killed again and again, complete and unique at the end."""

from __future__ import annotations

import pytest

from tests.bench import bench_backfill


@pytest.mark.bench
def test_a_backfill_that_is_killed_again_and_again_is_complete() -> None:
    """200,000 trades, three kills: every trade is there once, one run came to its end, and pages before the kills are not read again."""
    figures = bench_backfill.report(bench_backfill.SHORT, kills=3)
    assert figures["trades"] == bench_backfill.SHORT
    assert figures["kills"] == 3
    assert figures["resumed pages"] > 0
