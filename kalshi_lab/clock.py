"""Time as an argument: the clock that every wait uses, and the words in which people give times.

All times are UTC-aware; intervals are half-open, [start, end).
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from kalshi_lab.errors import UsageError

When = datetime | date | timedelta | str | int
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SIZES = (("day", 86_400), ("hour", 3_600), ("minute", 60))
_SPAN = re.compile(r"^(\d+(?:\.\d+)?)\s*([smhdw])$")


class Clock(Protocol):
    """What waits and timestamps are taken from, so that tests need not wait."""

    def now(self) -> datetime:
        """The wall clock, UTC-aware."""

    def monotonic(self) -> float:
        """Seconds that never jump."""

    def random(self) -> float:
        """A number in [0, 1), for jitter."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The wall clock, UTC-aware."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never jump."""
        return time.monotonic()

    def random(self) -> float:
        """A number in [0, 1), for jitter."""
        return random.random()  # noqa: S311 - jitter, not cryptography

    async def sleep(self, seconds: float) -> None:
        """Wait on the running event loop."""
        await asyncio.sleep(seconds)


def span(value: timedelta | str, *, what: str = "span") -> timedelta:
    """A length of time, from a timedelta or text like "90s", "15m", "24h", "7d", "2w".

    >>> span("90m")
    datetime.timedelta(seconds=5400)
    """
    if isinstance(value, timedelta):
        return value
    match = _SPAN.match(str(value).strip().lower())
    if not match:
        raise UsageError(f"{what} {value!r} is no length of time", hint='Write it like "15m", "24h", "7d" or "2w"')
    try:
        return timedelta(**{_UNITS[match[2]]: float(match[1])})
    except OverflowError:
        raise UsageError(f"{what} {value!r} is too long") from None


def spelled(length: timedelta) -> str:
    """A length of time in words, in the largest unit in which it is whole.

    >>> spelled(timedelta(hours=36)), spelled(timedelta(days=7)), spelled(timedelta(seconds=1))
    ('36 hours', '7 days', '1 second')
    """
    seconds = length.total_seconds()
    fitting = [(name, size) for name, size in _SIZES if seconds and seconds % size == 0]
    name, size = fitting[0] if fitting else ("second", 1)
    return f"{seconds / size:,g} {name}{'' if seconds == size else 's'}"


def moment(value: When, *, now: datetime, what: str = "time") -> datetime:
    """A UTC-aware time from a datetime, a date, ISO text, Unix seconds, or a span meaning that long before `now`.

    A datetime without a zone is refused, since guessing one moves data by hours; ISO text without one is read as UTC.
    """
    try:
        return _moment(value, now, what)
    except (OverflowError, OSError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{what} {value!r} is out of range", hint="Years 1 to 9999 can be given") from None


def _moment(value: When, now: datetime, what: str) -> datetime:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise UsageError(f"{what} {value.isoformat()} has no time zone", hint="Use datetime(..., tzinfo=UTC)")
        return value.astimezone(UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, timedelta):
        return now - value
    if isinstance(value, int) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    if not isinstance(value, str):
        raise _no_time(what, value)
    return now - span(value, what=what) if _SPAN.match(value.strip().lower()) else _from_text(value, what)


def _no_time(what: str, value: object) -> UsageError:
    return UsageError(f"{what} {value!r} is no time", hint='Write it like "2026-11-22", "2026-11-22T14:00:00Z" or "7d"')


def _from_text(text: str, what: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        raise _no_time(what, text) from None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def between(start: When | None, end: When | None, *, now: datetime) -> tuple[datetime | None, datetime | None]:
    """The half-open interval [start, end), each side optional; an inverted one is refused."""
    first = None if start is None else moment(start, now=now, what="start")
    last = None if end is None else moment(end, now=now, what="end")
    if first is not None and last is not None and first >= last:
        raise UsageError(f"the time range is empty: start {first.isoformat()} is not before end {last.isoformat()}")
    return first, last


def unix(value: datetime) -> int:
    """Whole Unix seconds, rounded down."""
    return int(value.timestamp() // 1)
