"""Signed headers: for each attempt anew, in the exchange's time as far as it is known.

Source: the exchange's page on API keys. Signed are the milliseconds, the method and the path from the host's root, without the query.
"""

from __future__ import annotations

import logging
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NoReturn

from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from kalshi_lab.clock import Clock
    from kalshi_lab.credentials import Credentials
    from kalshi_lab.settings import Settings

log = logging.getLogger(__name__)

TOLERATED = 2.0  # seconds: the Date header has whole ones, and an answer takes its time
LARGEST = 300.0  # seconds: a clock that is further off is set right, not made up for
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = parsedate_to_datetime("Thu, 01 Jan 1970 00:00:00 GMT").astimezone(UTC)


class Signer:
    """Signs for one key by one clock; `offset` is what was learned of it: seconds by which the exchange is ahead."""

    def __init__(self, credentials: Credentials, clock: Clock) -> None:
        self.credentials, self._clock = credentials, clock
        self.offset = 0.0

    def headers(self, method: str, path: str) -> dict[str, str]:
        """The three headers of a request sent now; `path` begins at the host's root and has no query."""
        at = self._clock.now() + timedelta(seconds=self.offset)
        stamp = str((at - _EPOCH) // _MILLISECOND)
        return {
            "KALSHI-ACCESS-KEY": self.credentials.key_id,
            "KALSHI-ACCESS-TIMESTAMP": stamp,
            "KALSHI-ACCESS-SIGNATURE": self.credentials.signature(f"{stamp}{method.upper()}{path}"),
        }

    def correct(self, date: str, *, used: float | None = None, took: float = 0.0) -> float | None:
        """Learn the exchange's time from the Date header of a 401: by how many seconds it is ahead of this machine (negative: behind).

        `used` is the offset that was signed with (None: the present one), `took` the seconds from the signature to the answer. None where
        the clock was not to blame: within 2 s of the time that was signed, or no date. More than 5 minutes are not learned.
        """
        try:
            sent = parsedate_to_datetime(date)
        except (ValueError, OverflowError):
            return None
        there = sent.replace(tzinfo=UTC) if sent.tzinfo is None else sent
        ahead = (there - self._clock.now()).total_seconds() + took / 2
        if abs(ahead - (self.offset if used is None else used)) <= TOLERATED + took / 2:
            return None
        if abs(ahead) <= LARGEST:
            self.offset = ahead
        return ahead


class KeyHeader:
    """An API key in a header of its own, as Exa wants it; it is never shown, copied or pickled."""

    __slots__ = ("_header", "_key")

    def __init__(self, header: str, key: str) -> None:
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise UsageError("the API key is empty or holds characters that no key has")
        self._header, self._key = header, key

    def __reduce__(self) -> NoReturn:
        raise UsageError("an API key is neither copied nor pickled", hint="Read it anew where it is needed")

    def headers(self, _method: str, _path: str) -> dict[str, str]:
        """The header with the key."""
        return {self._header: self._key}


def signer_of(settings: Settings, credentials: Credentials | None, clock: Clock) -> Signer | None:
    """What signs for the environment's own host; None without a key and for any other host."""
    if credentials is None:
        return None
    if credentials.environment not in {None, settings.environment}:
        said = f"the key belongs to {credentials.environment}, and this client talks to {settings.environment}"
        raise UsageError(said, hint="Keys never work across environments: give that environment's own")
    if settings.own_host:
        return Signer(credentials, clock)
    if settings.url:
        log.warning("%s is not the exchange's own address: nothing is signed for it", settings.url)
    return None
