"""When to try again, after how long, and how often at most.

A GET is sent again, and so is a write that may arrive twice; another write only where it cannot have arrived or was refused
with a 429. Waits are full jitter (a uniform share of a doubling cap, as in AWS's "Exponential Backoff And Jitter"), or what
the server asked for where that is sensible. A quota of retries, shared by all calls of a door and
refilled by success, keeps many calls to a dead host from multiplying.
"""

from __future__ import annotations

import math
import re
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from kalshi_lab.errors import BadPayload, BrokenResponse, ClockSkew, RateLimited, RequestError, TimedOut, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenacity import RetryCallState

    from kalshi_lab.door.call import Reply
    from kalshi_lab.door.trip import Trip
    from kalshi_lab.settings import Settings

_SECONDS = re.compile(r"\d+(?:\.\d+)?(?:e\+?\d+)?", re.ASCII | re.IGNORECASE)
_HEALTHY = range(200, 300)  # a 2xx whose body was bad
_BAD_PAYLOADS = 2  # attempts at most: what is no JSON twice is no accident


def asked_wait(retry_after: str, date: str, now: datetime) -> float | None:
    """Seconds that Retry-After asks for (a number, or a date counted from the answer's own Date); None for nonsense."""
    text = retry_after.strip()
    if _SECONDS.fullmatch(text):
        wait = float(text)
    else:
        until, sent = _date(text), _date(date) or now
        wait = (until - sent).total_seconds() if until else 0.0
    return wait if 0 < wait < math.inf else None


def _date(text: str) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(text)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


class Quota:
    """The retries that a door may still spend: one takes `COST` (`SLOW` after a timeout), a success returns one."""

    FULL, COST, SLOW = 100, 5, 10

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = self.FULL

    @property
    def left(self) -> int:
        """Tokens left, 0 to `FULL`."""
        return self._left

    def take(self, cost: int) -> bool:
        """Take tokens for one retry; False, and none taken, where there are too few."""
        with self._lock:
            enough = self._left >= cost
            self._left -= cost if enough else 0
            return enough

    def refund(self) -> None:
        """Return one token, after a success."""
        with self._lock:
            self._left = min(self.FULL, self._left + 1)


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one call's attempts."""

    trip: Trip
    settings: Settings
    quota: Quota

    def again(self, error: BaseException) -> bool:
        """Whether this failure may pass by itself."""
        if isinstance(error, ClockSkew):
            return self.trip.resign
        if isinstance(error, RateLimited):
            return error.status is not None
        return (self.trip.repeatable or not self.trip.arrived) and self._passing(error)

    def _passing(self, error: BaseException) -> bool:
        if isinstance(error, BadPayload):
            return self.trip.attempts < _BAD_PAYLOADS
        if isinstance(error, Unavailable):
            return error.status is None or error.status in _HEALTHY or error.status in self.trip.host.retried
        return isinstance(error, TimedOut | BrokenResponse)

    def wait(self, state: RetryCallState) -> float:
        """Seconds to wait: none to sign again, what the server asked for, else full jitter; infinite where it asked for too much."""
        if self.trip.resign:
            return 0.0
        if self.trip.asked is not None:
            return self.trip.asked if self.trip.asked <= self.settings.longest_wait else math.inf
        cap = math.ldexp(self.settings.backoff_base, state.attempt_number - 1)
        return self.trip.clock.random() * min(self.settings.backoff_cap, cap)

    def stop(self, state: RetryCallState) -> bool:
        """Whether to give up: attempts used up, no time for the wait, or no retry left in the quota (taken here)."""
        if state.attempt_number >= self.settings.attempts or state.upcoming_sleep >= self.trip.remaining:
            return True
        error = state.outcome.exception() if state.outcome else None
        if self.quota.take(Quota.SLOW if isinstance(error, TimedOut) else Quota.COST):
            return False
        if isinstance(error, RequestError):
            error.hint = "It was not tried again, since too many requests failed lately; try again later"
        return True

    async def run(self, attempt: Callable[[Trip], Awaitable[Reply]]) -> Reply:
        """The reply of the first attempt that succeeds; raises the error of the last one."""
        from tenacity import AsyncRetrying, retry_if_exception

        rules = retry_if_exception(self.again)
        loop = AsyncRetrying(sleep=self.trip.clock.sleep, retry=rules, wait=self.wait, stop=self.stop, reraise=True)
        reply: Reply = await loop(attempt, self.trip)
        return reply
