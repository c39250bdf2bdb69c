"""What was asked of the network: one event for each attempt, kept in a bounded memory, counted, and told to listeners.

`lab.stats()` is a frame of it. Logging and OpenTelemetry are listeners like any other; another library can add its own.
"""

from __future__ import annotations

import logging
import math
import secrets
import sys
import threading
from collections import defaultdict, deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

log = logging.getLogger(__name__)
KEPT = 10_000
PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
# seconds; the boundaries that the semantic conventions advise for http.client.request.duration
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at one request. Times are in seconds; `status` is None where no answer came, `error` empty where it succeeded.

    `path` has no query, and nothing here comes from a header: an attempt may be shown, logged and kept.
    """

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
    url: str = ""  # without its query

    @property
    def host(self) -> str:
        """Who was asked, with the port where it is not the usual one."""
        return urlsplit(self.url).netloc


def new_request_id() -> str:
    """A short id that names one request in errors, logs and `lab.stats()`."""
    return secrets.token_hex(6)


class Observer:
    """Keeps the last attempts, counts them by operation, and passes each to its listeners. Safe to share between threads."""

    def __init__(self, listeners: tuple[Callable[[Attempt], None], ...] = ()) -> None:
        self._lock = threading.Lock()
        self._recent: deque[Attempt] = deque(maxlen=KEPT)
        self._totals: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.listeners: list[Callable[[Attempt], None]] = [_to_log, Telemetry(), *listeners]

    def record(self, attempt: Attempt) -> None:
        """Take one attempt in; a listener that fails is logged and never stops a request."""
        with self._lock:
            self._recent.append(attempt)
            total = self._totals[attempt.operation, attempt.host]
            total["attempts"] += 1
            total["retries"] += attempt.attempt > 1
            total["failures"] += bool(attempt.error)
            total["received_bytes"] += attempt.received_bytes
        for listener in self.listeners:
            try:
                listener(attempt)
            except Exception:
                log.exception("a listener of request events failed")

    def recent(self, request: str = "") -> list[dict[str, Any]]:
        """The last attempts, newest last, as rows; of one request where its id, or how it begins, is given."""
        with self._lock:
            return [asdict(attempt) for attempt in self._recent if attempt.request_id.startswith(request)]

    def rows(self) -> list[dict[str, Any]]:
        """One row for each operation of a host: totals since the start, percentiles of latency and queue over the kept attempts."""
        with self._lock:
            recent, totals = list(self._recent), {place: dict(total) for place, total in self._totals.items()}
        kept: dict[tuple[str, str], list[Attempt]] = {place: [] for place in totals}
        for attempt in recent:
            kept[attempt.operation, attempt.host].append(attempt)
        return [
            {"operation": name, "host": host, **total, **_percentiles(kept[name, host])}
            for (name, host), total in sorted(totals.items())
        ]


def _percentiles(attempts: list[Attempt]) -> dict[str, float | None]:
    latency = sorted(attempt.latency for attempt in attempts)
    queued = sorted(attempt.queued for attempt in attempts)
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
    facts = {"request_id": attempt.request_id, "operation": attempt.operation}
    log.log(
        level, "%s %s [%s #%d] %s", attempt.method, attempt.path, attempt.request_id, attempt.attempt, said, extra=facts
    )


class Telemetry:
    """A span and a duration for each attempt, in a program that uses OpenTelemetry; in any other, one look at a dict.

    Names and units are those of the semantic conventions for HTTP clients (1.23 and later): a span of kind CLIENT below the caller's own,
    named by method and operation, and the histogram http.client.request.duration in seconds. Nothing of OpenTelemetry is loaded here:
    a program that sends anything anywhere has loaded it by then.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._providers: tuple[Any, Any] = (None, None)
        self._tracer: Any = None
        self._duration: Any = None

    def __call__(self, attempt: Attempt) -> None:
        """Tell of one attempt that has just ended."""
        if "opentelemetry.trace" not in sys.modules and "opentelemetry.metrics" not in sys.modules:
            return
        from opentelemetry import metrics, trace

        with self._lock:
            self._follow(metrics, trace)
            tracer, duration = self._tracer, self._duration
        shared = _attributes(attempt)
        duration.record(attempt.latency, shared)
        end = int(attempt.at.timestamp() * 1e9)
        span = tracer.start_span(
            f"{attempt.method} {attempt.operation}",
            kind=trace.SpanKind.CLIENT,
            attributes=shared | _more(attempt),
            start_time=end - int(attempt.latency * 1e9),
        )
        if attempt.error:
            span.set_status(trace.StatusCode.ERROR)
        span.end(end)

    def _follow(self, metrics: Any, trace: Any) -> None:
        """The program's present providers: it may set them after this was made."""
        providers = (trace.get_tracer_provider(), metrics.get_meter_provider())
        if all(one is other for one, other in zip(providers, self._providers, strict=True)):
            return
        self._providers = providers
        self._tracer = trace.get_tracer("kalshi_lab")
        self._duration = metrics.get_meter("kalshi_lab").create_histogram(
            "http.client.request.duration",
            unit="s",
            description="Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )


def _attributes(attempt: Attempt) -> dict[str, str | int]:
    """What a span and a measurement share: few values each."""
    parts = urlsplit(attempt.url)
    made: dict[str, str | int] = {
        "http.request.method": attempt.method,
        "server.address": parts.hostname or "",
        "server.port": parts.port or PORTS.get(parts.scheme, 0),
        "url.scheme": parts.scheme,
    }
    if attempt.status is not None:
        made["http.response.status_code"] = attempt.status
    if attempt.error:
        made["error.type"] = attempt.error
    return made


def _more(attempt: Attempt) -> dict[str, str | int | float]:
    """What only a span tells."""
    again: dict[str, str | int | float] = {"http.request.resend_count": attempt.attempt - 1}
    return (again if attempt.attempt > 1 else {}) | {
        "url.full": attempt.url,
        "url.path": urlsplit(attempt.url).path,
        "kalshi_lab.request_id": attempt.request_id,
        "kalshi_lab.operation": attempt.operation,
        "kalshi_lab.queued": attempt.queued,
        "kalshi_lab.received_bytes": attempt.received_bytes,
    }
