"""Measurements run when they are asked for: `pytest -m bench`."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip measurements unless -m names them."""
    if "bench" not in config.option.markexpr:
        for item in items:
            if item.get_closest_marker("bench"):
                item.add_marker(pytest.mark.skip(reason="measures; run with -m bench"))
