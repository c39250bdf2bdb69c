"""The shared store keeps what it acknowledged; its times are read by people."""

from __future__ import annotations

import pytest

from tests.bench import bench_store


@pytest.mark.bench
def test_what_three_processes_commit_beside_a_reader_is_kept() -> None:
    """F26: three writers and a reader, each a process of its own: every commit that was acknowledged is there, once."""
    made = bench_store.report(seconds=5, megabytes=5)
    assert made["base_kept"]
    assert made["found"] == made["acknowledged"]
    assert len(made["found"]) == 3
    assert made["read_ms"]["n"] > 0
