"""A sync of an account that is killed inside a commit loses nothing that was acknowledged, and the next one completes it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.portfolio_sync.member import NOW, Member, Session, fill, order, position, settlement
from tests.portfolio_sync.test_sync import balanced, contents, run

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DAY = timedelta(days=1)


@pytest.fixture
def full(member: Member, session: Session) -> Iterator[Session]:
    """A member with a few pages of everything."""
    member.fills = [fill(n, NOW - n * DAY) for n in range(1, 20)]
    member.orders = [order(n, NOW - n * DAY) for n in range(1, 12)]
    member.settlements = [settlement(f"KXS-{n}", NOW - n * DAY) for n in range(1, 8)]
    member.open = [position(f"KXA-{n}", "1.00") for n in range(4)]
    return session


@pytest.mark.kill
@pytest.mark.parametrize("nth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("point", ["rows", "ledger", "written", "committed", "journalled"])
def test_killed_inside_a_commit(full: Session, tmp_path: Path, point: str, nth: int) -> None:
    """Lesson 44: a page is there whole or not at all; the sync that follows has what an undisturbed one has."""
    command = [
        sys.executable,
        str(ROOT / "tests/portfolio_sync/killed.py"),
        full.server.url,
        str(full.home),
        point,
        str(nth),
    ]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert run(full).ok
    balanced(full)
    fresh = tmp_path / "undisturbed"
    fresh.mkdir()
    other = Session(full.server, fresh, full.credentials)
    assert run(other).ok
    assert contents(full) == contents(other)
