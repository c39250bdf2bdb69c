"""Signed headers: for each attempt anew, in the exchange's time as far as it is known.

Source: the exchange's page on API keys. Signed are the milliseconds, the method and the path from the host's root, without the query.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kalshi_lab.clock import Clock
    from kalshi_lab.credentials import Credentials

TOLERATED = 2.0  # seconds: the Date header has whole ones, and an answer takes its time
LARGEST = 300.0  # seconds: a clock that is further off is set right, not made up for
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = parsedate_to_datetime("Thu, 01 Jan 1970 00:00:00 GMT").astimezone(UTC)


class Signer:
    """Signs for one key by one clock; `offset` is what was learned of it: seconds by which the exchange is ahead."""

    def __init__(self, credentials: Credentials, clock: Clock) -> None:
        self._credentials, self._clock = credentials, clock
        self.offset = 0.0

    def headers(self, method: str, path: str) -> dict[str, str]:
        """The three headers of a request sent now; `path` begins at the host's root and has no query."""
        at = self._clock.now() + timedelta(seconds=self.offset)
        stamp = str((at - _EPOCH) // _MILLISECOND)
        return {
            "KALSHI-ACCESS-KEY": self._credentials.key_id,
            "KALSHI-ACCESS-TIMESTAMP": stamp,
            "KALSHI-ACCESS-SIGNATURE": self._credentials.signature(f"{stamp}{method.upper()}{path}"),
        }

    def correct(self, date: str) -> float | None:
        """Learn the exchange's time from the Date header of a 401: by how many seconds it is ahead of this machine (negative: behind).

        None where the clock was not to blame: within 2 s of the time that was signed, or no date. More than 5 minutes are not learned.
        """
        try:
            sent = parsedate_to_datetime(date)
        except (ValueError, OverflowError):
            return None
        there = sent.replace(tzinfo=UTC) if sent.tzinfo is None else sent
        ahead = (there - self._clock.now()).total_seconds()
        if abs(ahead - self.offset) <= TOLERATED:
            return None
        if abs(ahead) <= LARGEST:
            self.offset = ahead
        return ahead
