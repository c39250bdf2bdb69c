"""Recordings of streams that a test commands, and of a simulated exchange that logs what it sends."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab.ingest.recorded_markets import CHANNELS, Wanted
from kalshi_lab.ingest.recorder import BOUND, AsyncRecording
from kalshi_lab.sim import process
from tests.fakes import FakeClock
from tests.recorder.scripted import Scripted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from kalshi_lab.sim import Exchange

Made = tuple[kl.AsyncLab, AsyncRecording, Scripted]


class Named(Wanted):
    """Markets that the exchange need not have."""

    async def markets(self, _kalshi: Any) -> list[str]:
        return [*self.tickers]


@pytest.fixture
def recording_on(tmp_path: Path) -> Any:
    """Opens a lab that asks no exchange, and in it the recording of a scripted stream."""

    @asynccontextmanager
    async def open_one(*tickers: str, channels: tuple[str, ...] = CHANNELS, bound: int = BOUND) -> AsyncIterator[Made]:
        async with kl.AsyncLab("demo", home=tmp_path, clock=FakeClock(), store_wait=0.3) as lab:
            stream = Scripted()
            wanted = Named(channels, tickers, None, None)
            made: Any = stream
            recording = AsyncRecording(lab.kalshi, lab.store, lab.clock, wanted, lambda _: made, bound=bound)
            async with recording:
                yield lab, recording, stream

    at_home: Any = open_one
    at_home.home = tmp_path
    return at_home


@pytest.fixture(scope="module")
def streaming() -> Iterator[Exchange]:
    """An exchange of this module's own, whose streams it may upset; its clock stands still until it is moved."""
    with process.start(markets=100, clock="frozen") as running:
        yield running


@pytest.fixture
def upset(streaming: Exchange) -> Iterator[Exchange]:
    """That exchange with nothing wrong, logging its streams anew."""
    streaming.stream_faults()
    streaming.stir(0)
    streaming.stream_log(keep=True)
    yield streaming
    streaming.stir(0)
    streaming.stream_faults()


@pytest.fixture
def new_lab(upset: Exchange, tmp_path: Path) -> Iterator[Callable[[], kl.Lab]]:
    """Makes labs on that exchange and on one store."""
    made: list[kl.Lab] = []

    def make() -> kl.Lab:
        made.append(kl.Lab("sim", base_url=upset.url, home=tmp_path))
        return made[-1]

    yield make
    for lab in made:
        lab.close()


@pytest.fixture
def lab(new_lab: Callable[[], kl.Lab]) -> kl.Lab:
    return new_lab()


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for something to be so."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - anything may be waited for
            await asyncio.sleep(0.01)


def wait(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """The same, blocking."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
