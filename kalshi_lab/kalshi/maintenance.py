"""When the exchange rests by its own schedule, so that an error can say that it is down on purpose, and until when."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kalshi_lab.errors import CircuitOpen, LabError
from kalshi_lab.kalshi.family import envelope, read
from kalshi_lab.kalshi.operations import call
from kalshi_lab.models import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kalshi_lab.clock import Clock
    from kalshi_lab.door import Door
    from kalshi_lab.errors import RequestError
    from kalshi_lab.models.exchange import Week

ZONE = "America/New_York"  # sessions are written in Eastern time, whatever the season
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WITHIN = 1.0  # seconds that reading the schedule may add to a failed call
AGAIN = 60.0  # seconds until a schedule that could not be read is asked for once more
FRESH = 86_400.0  # seconds for which a schedule that was read holds


class Timetable:
    """The exchange's schedule, read once a call has failed because the exchange is down; the door's `advice`."""

    def __init__(self, door: Door, clock: Clock, machine: Clock) -> None:
        self._door, self._clock, self._machine = door, clock, machine
        self._schedule: Schedule | None = None
        self._next = machine.monotonic()
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    async def __call__(self, error: RequestError) -> str:
        """What the schedule says of this moment, as words to add to the error; empty where it says nothing or cannot be read.

        An exchange that did answer is asked for its schedule, in one request that is not repeated and whose failure is nobody's
        business. Where nobody answered, or the circuit is open, what is known already has to do.
        """
        if error.status is not None and not isinstance(error, CircuitOpen):
            async with self._turns.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
                await self._refresh()
        return resting(self._schedule, self._clock.now()) if self._schedule else ""

    async def _refresh(self) -> None:
        if self._machine.monotonic() < self._next:
            return
        self._next = self._machine.monotonic() + AGAIN
        try:
            reply = await self._door.once(call("get_exchange_schedule"), within=WITHIN)
            self._schedule = read(Schedule, reply, envelope(reply, "schedule")["schedule"])
        except LabError:
            return
        self._next = self._machine.monotonic() + FRESH


def resting(schedule: Schedule, now: datetime) -> str:
    """The pause that is running at `now`, planned or regular, in words; empty while the exchange should be up."""
    windows = [(one.start_datetime, one.end_datetime) for one in schedule.maintenance_windows or ()]
    ends = [end for start, end in windows if start and end and start <= now < end]
    if ends:
        return f"maintenance until {_shown(max(ends), now)}, by the exchange's schedule"
    opens = _reopening(schedule, now)
    return f"closed until {_shown(opens, now)}, by the exchange's standard hours" if opens else ""


def _shown(end: datetime, now: datetime) -> str:
    at = end.astimezone(UTC)
    return f"{at:%H:%M} UTC" if at.date() == now.astimezone(UTC).date() else f"{at:%Y-%m-%d %H:%M} UTC"


def _reopening(schedule: Schedule, now: datetime) -> datetime | None:
    """When the next session begins, where none is running; None where one is or the schedule tells nothing that is understood."""
    try:
        zone = ZoneInfo(ZONE)
        today = now.astimezone(zone).date()
        weeks = [one for one in schedule.standard_hours or () if _holds(one, now)]
        dates = [today + timedelta(days=ahead) for ahead in range(-1, 8)]
        sessions = [session for week in weeks for day in dates for session in _sessions(week, day, zone)]
    except (ValueError, TypeError, OverflowError, ZoneInfoNotFoundError):
        return None
    if any(opens <= now < closes for opens, closes in sessions):
        return None
    return min((opens for opens, _ in sessions if opens > now), default=None)


def _holds(week: Week, now: datetime) -> bool:
    return (week.start_time is None or week.start_time <= now) and (week.end_time is None or now < week.end_time)


def _sessions(week: Week, day: date, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """The sessions that begin on a day; one that closes at or before its opening, as 00:00 does, closes on the next day."""
    for session in getattr(week, DAYS[day.weekday()]) or ():
        opens, closes = (_clock_time(text) for text in (session.open_time, session.close_time))
        last = day if closes > opens else day + timedelta(days=1)
        yield datetime.combine(day, opens, zone).astimezone(UTC), datetime.combine(last, closes, zone).astimezone(UTC)


def _clock_time(text: str | None) -> time:
    return time.fromisoformat("00:00" if text == "24:00" else text or "")
