"""The scripted stream server, clients of it, and a look at what is left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import kalshi_lab as kl
from tests.stream.reading import Hasty
from tests.stream.server import StreamServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[StreamServer]:
    with StreamServer() as running:
        yield running


@pytest.fixture
def clock() -> Hasty:
    return Hasty()


@pytest.fixture
def kalshi(server: StreamServer, clock: Hasty) -> Iterator[kl.Kalshi]:
    with kl.Kalshi(settings=server.settings, credentials=kl.Credentials.generate(), clock=clock) as client:
        yield client
