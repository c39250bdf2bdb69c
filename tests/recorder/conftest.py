"""A lab that asks no exchange, and recordings of streams that a test commands."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab import AsyncLab
from kalshi_lab.ingest.recorded_markets import CHANNELS, Wanted
from kalshi_lab.ingest.recorder import BOUND, AsyncRecording
from tests.fakes import FakeClock
from tests.recorder.scripted import Scripted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

Made = tuple[AsyncLab, AsyncRecording, Scripted]


class Named(Wanted):
    """Markets that the exchange need not have."""

    async def markets(self, _kalshi: Any) -> list[str]:
        return [*self.tickers]


@pytest.fixture
def recording_on(tmp_path: Path) -> Any:
    """Opens a lab, and in it the recording of a scripted stream."""

    @asynccontextmanager
    async def open_one(*tickers: str, channels: tuple[str, ...] = CHANNELS, bound: int = BOUND) -> AsyncIterator[Made]:
        async with AsyncLab("demo", home=tmp_path, clock=FakeClock(), store_wait=0.5) as lab:
            stream = Scripted()
            wanted = Named(channels, tickers, None, None)
            made: Any = stream
            recording = AsyncRecording(lab.kalshi, lab.store, lab.clock, wanted, lambda _: made, bound=bound)
            async with recording:
                yield lab, recording, stream

    return open_one


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for something to be so."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - anything may be waited for
            await asyncio.sleep(0.01)
