"""The recorded exchange, served on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kalshi.conftest import scripted
from tests.real.replay import Recorded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import kalshi_lab as kl
    from tests.kalshi.scripted import Scripted


__all__ = ["scripted"]


@pytest.fixture(scope="session")
def recorded(recordings: Path) -> Recorded:
    return Recorded(recordings)


@pytest.fixture(scope="session")
def replay(recorded: Recorded) -> Iterator[Scripted]:
    with recorded.server() as server:
        yield server


@pytest.fixture(scope="session")
def kalshi(replay: Scripted) -> Iterator[kl.Kalshi]:
    with replay.client() as client:
        yield client
