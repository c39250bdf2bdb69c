"""The measurement itself works; its figures are read by people."""

from __future__ import annotations

import pytest

from tests.bench import bench_ledger


@pytest.mark.bench
def test_a_ledger_is_measured() -> None:
    """Every method closes lots, whichever way the markets lie."""
    figures = bench_ledger.report(2_000, 20)
    for case in ("fifo", "lifo", "average", "fifo in one market"):
        assert figures[f"{case}, closings"] > 100
