"""A schedule that does not drift: moments on a grid aligned to the clock, and a wait that notices when the machine slept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kalshi_lab.clock import Clock

EPOCH = datetime.fromtimestamp(0, UTC)
SLICE = 5.0  # seconds slept at a time, so that it is soon noticed when the machine was asleep or its clock was set
JUMP = 60.0  # seconds by which the clock may differ from what was slept
JITTER = 0.1  # of the interval
LONGEST_JITTER = 30.0  # seconds


@dataclass(frozen=True, slots=True)
class Schedule:
    """Moments that lie `every` apart: whole multiples since 1970, so "15m" means 0, 15, 30 and 45 past, each `offset` later.

    The offset is drawn once, up to a tenth of the interval and 30 seconds: many users don't ask in the same second, and yet the
    distance between two moments is always the same.
    """

    every: timedelta
    offset: timedelta = timedelta()

    @classmethod
    def jittered(cls, every: timedelta, roll: float) -> Schedule:
        """The schedule with its offset for a roll in [0, 1)."""
        most = min(JITTER * every.total_seconds(), LONGEST_JITTER)
        return cls(every, timedelta(seconds=roll * most))

    def last(self, moment: datetime) -> datetime:
        """The last moment of the schedule that is not after this one."""
        return moment - (moment - EPOCH - self.offset) % self.every

    def next(self, moment: datetime) -> datetime:
        """The first moment of the schedule that is after this one."""
        return self.last(moment) + self.every

    def passed(self, after: datetime, until: datetime) -> int:
        """How many of its moments lie after the one and not after the other."""
        return max((self.last(until) - self.last(after)) // self.every, 0)


@dataclass(frozen=True, slots=True)
class Waited:
    """How a wait went: seconds for which the machine was asleep, or its clock was set forward; whether it was set back."""

    asleep: float = 0.0
    set_back: bool = False


async def wait_until(clock: Clock, moment: datetime) -> Waited:
    """Wait until a moment of the wall clock; ends early where the clock was set back, since the schedule is another then."""
    asleep, now = 0.0, clock.now()
    while (left := (moment - now).total_seconds()) > 0:
        nap = min(left, SLICE)
        await clock.sleep(nap)
        before, now = now, clock.now()
        late = (now - before).total_seconds() - nap
        if late < -JUMP:
            return Waited(asleep, set_back=True)
        asleep += late if late > JUMP else 0.0
    return Waited(asleep)
