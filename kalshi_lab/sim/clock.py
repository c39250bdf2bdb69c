"""The simulated exchange's time for those who work against it: a lab's windows must end when its world says so."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from http.client import HTTPConnection
from urllib.parse import urlsplit

from kalshi_lab.clock import SystemClock

STALE = 0.02  # seconds for which an answer is trusted before the exchange is asked again


class SimulatedClock(SystemClock):
    """A clock whose `now` is the simulated exchange's; waits and jitter are this machine's."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port
        self._known: tuple[float, datetime] | None = None

    def now(self) -> datetime:
        """The exchange's time, UTC-aware; this machine's where the exchange cannot be asked."""
        asked = time.monotonic()
        if self._known is None or asked - self._known[0] > STALE:
            self._known = asked, self._ask() or datetime.now(UTC)
        return self._known[1]

    def _ask(self) -> datetime | None:
        connection = HTTPConnection(self._host, self._port, timeout=5)
        try:
            connection.request("GET", "/sim/clock")
            return datetime.fromisoformat(json.loads(connection.getresponse().read())["now"]).astimezone(UTC)
        except (OSError, ValueError, KeyError):
            return None
        finally:
            connection.close()
