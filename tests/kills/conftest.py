"""The long form runs when it is asked for: `pytest -m kill`."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the long form unless -m names it."""
    if "kill" not in config.option.markexpr:
        for item in items:
            if item.get_closest_marker("kill"):
                item.add_marker(pytest.mark.skip(reason="the long form; run with -m kill"))
