"""A clock that does not wait, and reading until something is as wanted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from kalshi_lab.clock import SystemClock
from kalshi_lab.kalshi.notices import Reconnected

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalshi_lab.kalshi.live import Stream


class Hasty(SystemClock):
    """Sleeps take hardly any time; `slept` lists them, `roll` is what random() gives, `fast` the factor by which time passes."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.roll = 1.0
        self.fast = 1.0

    def random(self) -> float:
        return self.roll

    def monotonic(self) -> float:
        return super().monotonic() * self.fast

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(min(seconds, 0.01))


def until(stream: Stream, wanted: Callable[[Any], bool]) -> list[Any]:
    """Read until something is as wanted; what was read, that last."""
    found = []
    for one in stream.messages(timeout=10):
        found.append(one)
        if wanted(one):
            return found
    raise AssertionError(found)


def is_back(one: object) -> bool:
    return isinstance(one, Reconnected)
