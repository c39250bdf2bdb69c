"""S1 to S20: each goal is met, and each guard is what meets it: without it, the same check fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.security import guards_of_keys, guards_of_requests

if TYPE_CHECKING:
    from pathlib import Path

    from tests.security.guards import Guard

GUARDS = [*guards_of_keys.GUARDS, *guards_of_requests.GUARDS]


@pytest.mark.parametrize("guard", GUARDS, ids=str)
def test_the_goal_is_met(guard: Guard, tmp_path: Path) -> None:
    """With the guard in its place the check passes."""
    guard.check(tmp_path)


@pytest.mark.parametrize("guard", GUARDS, ids=str)
def test_without_its_guard_it_is_not(guard: Guard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the guard patched out the check fails: it is no formality, and the guard is no ornament."""
    guard.remove(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        guard.check(tmp_path)
