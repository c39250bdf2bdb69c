"""The measurement itself works; its figures are read by people, but a refusal is a fault on any machine."""

from __future__ import annotations

import pytest

from tests.bench import bench_budget


@pytest.mark.bench
def test_a_budget_is_used_and_never_exceeded() -> None:
    """RL-3: callers without number spend the budget, and the exchange that counts for itself refuses none of them."""
    figures = bench_budget.report(2, 32)
    for tier in bench_budget.TIERS:
        assert figures[f"{tier}: refused"] == 0
        assert 0 < figures[f"{tier}: share of the budget"] <= 1.02
