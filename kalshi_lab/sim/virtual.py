"""The exchange's own clock and its rate limit."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Literal

from kalshi_lab.sim.wire import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

COST = 10.0


class VirtualClock:
    """Virtual time in microseconds: it starts at `start`, runs `speed` times as fast as `monotonic` unless frozen, and can be advanced."""

    def __init__(
        self,
        start: int,
        mode: Literal["live", "frozen"] = "live",
        speed: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._start, self._speed = start, 0.0 if mode == "frozen" else speed
        self._monotonic, self._began = monotonic, monotonic()
        self._moved = 0

    def now(self) -> int:
        """The virtual time."""
        return self._start + self._moved + int((self._monotonic() - self._began) * self._speed * SECOND)

    def advance(self, seconds: float) -> int:
        """Move on by so many virtual seconds; gives the new time. Raises ValueError for a step back."""
        if not (math.isfinite(seconds) and 0 <= seconds <= 10 * 365 * 86_400):
            raise ValueError(f"the clock moves forward by finite seconds, not by {seconds}")
        self._moved += round(seconds * SECOND)
        return self.now()


class Bucket:
    """A token bucket: `rate` tokens a second, holding three seconds' worth for small rates and one for others unless told otherwise.

    It holds one request at least, however small the rate.
    """

    def __init__(
        self, rate: float, monotonic: Callable[[], float] = time.monotonic, *, capacity: float | None = None
    ) -> None:
        self.rate = rate
        self.capacity = max(COST, rate * (3.0 if rate <= 300 else 1.0) if capacity is None else capacity)
        self._monotonic, self._last = monotonic, monotonic()
        self._tokens = self.capacity

    def take(self, cost: float = COST) -> bool:
        """Pay for one request; False, and nothing paid, when the bucket holds too little."""
        now = self._monotonic()
        self._tokens = min(self.capacity, self._tokens + (now - self._last) * self.rate)
        self._last = now
        if self._tokens < cost:
            return False
        self._tokens -= cost
        return True
