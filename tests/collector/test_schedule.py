"""The schedule: a grid that does not drift, an offset within its bounds, and a wait that notices when the machine slept."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kalshi_lab.ingest.schedule import SLICE, Schedule, wait_until
from tests.fakes import FakeClock

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - drawn with UTC
EVERY = st.integers(1, 7 * 86_400).map(lambda seconds: timedelta(seconds=seconds))
ROLLS = st.floats(0, 1, exclude_max=True)


class Sleepy(FakeClock):
    """A clock whose machine sleeps, once, for some seconds more during the nth nap."""

    def __init__(self, nap: int, seconds: float) -> None:
        super().__init__(start=NOON)
        self.nap, self.seconds = nap, seconds

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        if len(self.slept) == self.nap:
            self.start += timedelta(seconds=self.seconds)  # the wall clock went on, the monotonic one did not


@given(EVERY, ROLLS, MOMENTS)
def test_the_next_tick_is_on_the_grid(every: timedelta, roll: float, moment: datetime) -> None:
    """DB-8: ticks are whole multiples of the interval, later by an offset of a tenth of it and 30 seconds at most, wherever one asks."""
    schedule = Schedule.jittered(every, roll)
    assert timedelta() <= schedule.offset <= min(every / 10, timedelta(seconds=30))
    last, following = schedule.last(moment), schedule.next(moment)
    assert last <= moment < following == last + every
    assert (last - datetime(1970, 1, 1, tzinfo=UTC) - schedule.offset) % every == timedelta()


@given(EVERY, ROLLS, MOMENTS, st.integers(0, 1000))
def test_ticks_that_passed_are_counted(every: timedelta, roll: float, moment: datetime, ticks: int) -> None:
    """DB-8: between a tick and one n intervals later n ticks passed, and none backwards."""
    schedule = Schedule.jittered(every, roll)
    first = schedule.last(moment)
    assert schedule.passed(first, first + ticks * every) == ticks
    assert schedule.passed(first, first + (ticks + 1) * every - timedelta(microseconds=1)) == ticks
    assert schedule.passed(first + ticks * every, first) == 0


def test_a_quarter_of_an_hour_is_that_of_the_clock() -> None:
    """Without its offset, every="15m" means 0, 15, 30 and 45 past."""
    schedule = Schedule(timedelta(minutes=15))
    assert schedule.next(NOON + timedelta(minutes=7)) == NOON + timedelta(minutes=15)
    assert schedule.next(NOON) == NOON + timedelta(minutes=15)


def test_it_is_slept_in_short_naps() -> None:
    """A wait ends at its moment and wakes up in between, so that a machine that slept is noticed within seconds."""
    clock = FakeClock(start=NOON)
    waited = asyncio.run(wait_until(clock, NOON + timedelta(seconds=12)))
    assert clock.slept == [SLICE, SLICE, 12 - 2 * SLICE]
    assert clock.now() == NOON + timedelta(seconds=12)
    assert (waited.asleep, waited.set_back) == (0.0, False)


def test_a_machine_that_slept_is_noticed() -> None:
    """F19: three hours that nobody slept for are told, within one nap of waking up."""
    clock = Sleepy(2, 3 * 3600)
    waited = asyncio.run(wait_until(clock, NOON + timedelta(minutes=15)))
    assert (waited.asleep, waited.set_back) == (3 * 3600, False)
    assert len(clock.slept) == 2


def test_a_clock_set_back_ends_the_wait() -> None:
    """F19: where the wall clock jumps back an hour, the wait does not last an hour longer."""
    clock = Sleepy(2, -3600)
    waited = asyncio.run(wait_until(clock, NOON + timedelta(minutes=15)))
    assert waited.set_back
    assert len(clock.slept) == 2
