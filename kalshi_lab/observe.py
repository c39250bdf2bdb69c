"""What the door did: one event for each attempt, kept in a bounded memory, counted, and told to listeners.

`lab.stats()` is a frame of it. Logging is a listener like any other; another library can add its own.
"""

from __future__ import annotations

import logging
import math
import secrets
import threading
from collections import defaultdict, deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

log = logging.getLogger(__name__)
KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at one request. Times are in seconds; `status` is None where no answer came."""

    at: datetime
    request_id: str
    operation: str
    method: str
    path: str
    attempt: int
    status: int | None
    error: str
    received_bytes: int
    queued: float
    latency: float


def new_request_id() -> str:
    """A short id that names one request in errors, logs and `lab.stats()`."""
    return secrets.token_hex(6)


class Observer:
    """Keeps the last attempts, counts them by operation, and passes each to its listeners. Safe to share between threads."""

    def __init__(self, listeners: tuple[Callable[[Attempt], None], ...] = ()) -> None:
        self._lock = threading.Lock()
        self._recent: deque[Attempt] = deque(maxlen=KEPT)
        self._totals: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.listeners = [_to_log, *listeners]

    def record(self, attempt: Attempt) -> None:
        """Take one attempt in; a listener that fails is logged and never stops a request."""
        with self._lock:
            self._recent.append(attempt)
            total = self._totals[attempt.operation]
            total["attempts"] += 1
            total["retries"] += attempt.attempt > 1
            total["failures"] += bool(attempt.error)
            total["received_bytes"] += attempt.received_bytes
        for listener in self.listeners:
            try:
                listener(attempt)
            except Exception:
                log.exception("a listener of request events failed")

    def recent(self) -> list[dict[str, Any]]:
        """The last attempts, newest last, as rows."""
        with self._lock:
            return [asdict(attempt) for attempt in self._recent]

    def rows(self) -> list[dict[str, Any]]:
        """One row for each operation: totals since the start, latency and queue percentiles over the kept attempts."""
        with self._lock:
            recent, totals = list(self._recent), {name: dict(total) for name, total in self._totals.items()}
        return [{"operation": name, **total, **_percentiles(name, recent)} for name, total in sorted(totals.items())]


def _percentiles(operation: str, recent: list[Attempt]) -> dict[str, float | None]:
    latency = sorted(a.latency for a in recent if a.operation == operation)
    queued = sorted(a.queued for a in recent if a.operation == operation)
    return {
        "latency_p50": _at(latency, 0.50),
        "latency_p95": _at(latency, 0.95),
        "latency_p99": _at(latency, 0.99),
        "queued_p50": _at(queued, 0.50),
        "queued_p99": _at(queued, 0.99),
    }


def _at(ordered: list[float], share: float) -> float | None:
    """The nearest-rank percentile of sorted values; None for none."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None


def _to_log(attempt: Attempt) -> None:
    level = logging.WARNING if attempt.error else logging.DEBUG
    said = attempt.error or attempt.status
    log.log(level, "%s %s [%s #%d] %s", attempt.method, attempt.path, attempt.request_id, attempt.attempt, said)
