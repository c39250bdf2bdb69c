"""A member of a scripted exchange, a session of hers, and a simulated exchange that no test upsets."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from kalshi_lab.sim import Exchange, process
from kalshi_lab.store import Store
from tests.portfolio_sync.member import Member, Session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = datetime(2026, 11, 22, 14, tzinfo=UTC)


@pytest.fixture
def member() -> Member:
    return Member()


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that holds nothing yet."""
    path = tmp_path_factory.mktemp("empty") / "kalshi.duckdb"
    asyncio.run(Store(path).write(lambda _connection: None))
    return path


@pytest.fixture
def session(member: Member, empty: Path, tmp_path: Path) -> Iterator[Session]:
    shutil.copy(empty, tmp_path)
    with member.server() as server:
        yield Session(server, tmp_path)


@pytest.fixture(scope="session")
def traded() -> Iterator[Exchange]:
    """A simulated exchange, frozen until a test lets time pass."""
    with process.start(markets=180, history_days=5, clock="frozen", start=START) as running:
        yield running
