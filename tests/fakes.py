"""Stand-ins for what tests must command: time."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime, timedelta


class FakeClock:
    """A clock whose sleeps take no time: it jumps to the earliest wake-up once every task had its turn.

    `slept` lists the sleeps in order; `roll` is what `random()` gives.
    """

    def __init__(self, *, start: datetime = datetime(2026, 11, 22, 14, tzinfo=UTC), roll: float = 0.5) -> None:
        self.start = start
        self.roll = roll
        self.slept: list[float] = []
        self._elapsed = 0.0
        self._wakes: list[float] = []

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    def random(self) -> float:
        return self.roll

    def advance(self, seconds: float) -> None:
        """Let time pass without a sleep."""
        self._elapsed += seconds

    async def sleep(self, seconds: float) -> None:
        assert math.isfinite(seconds), f"nobody wakes from a sleep of {seconds} s"
        assert seconds >= 0
        self.slept.append(seconds)
        wake = self._elapsed + seconds
        self._wakes.append(wake)
        try:
            await asyncio.sleep(0)
            while self._elapsed < wake:
                if min(self._wakes) == wake:
                    self._elapsed = wake
                else:
                    await asyncio.sleep(0)
        finally:
            self._wakes.remove(wake)
