"""What was asked of the network in this session, as frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from kalshi_lab.errors import UsageError, one_of

if TYPE_CHECKING:
    from kalshi_lab.door import Door

By = Literal["operation", "host", "attempt"]
TIME = pl.Datetime("us", "UTC")
STATS: dict[str, Any] = {
    "operation": pl.String, "host": pl.String, "attempts": pl.Int64, "retries": pl.Int64, "failures": pl.Int64,
    "received_bytes": pl.Int64, "latency_p50": pl.Float64, "latency_p95": pl.Float64, "latency_p99": pl.Float64,
    "queued_p50": pl.Float64, "queued_p99": pl.Float64, "breaker": pl.String,
}  # fmt: skip
HOSTS: dict[str, Any] = {
    "host": pl.String, "breaker": pl.String, "until": TIME, "rate": pl.Float64, "tokens": pl.Float64, "write_rate": pl.Float64,
    "write_tokens": pl.Float64, "retry_tokens": pl.Int64, "open_requests": pl.Int64,
}  # fmt: skip
ATTEMPTS: dict[str, Any] = {
    "at": TIME, "request_id": pl.String, "operation": pl.String, "method": pl.String, "path": pl.String, "attempt": pl.Int64,
    "status": pl.Int64, "error": pl.String, "received_bytes": pl.Int64, "queued": pl.Float64, "latency": pl.Float64, "url": pl.String,
}  # fmt: skip


def stats(doors: tuple[Door, ...], by: By, request: str | None) -> pl.DataFrame:
    """The frame that `lab.stats()` promises, of all these doors."""
    if request is not None:
        return _attempts(doors, request)
    one_of("by", by, ("operation", "host", "attempt"))
    if by == "attempt":
        return _attempts(doors, "")
    states = [door.state for door in doors]
    if by == "host":
        return pl.DataFrame([{name: state[name] for name in HOSTS} for state in states], schema=HOSTS)
    breakers = {state["host"]: state["breaker"] for state in states}
    rows = [row | {"breaker": breakers.get(row["host"])} for door in doors for row in door.observer.rows()]
    return pl.DataFrame(rows, schema=STATS)


def _attempts(doors: tuple[Door, ...], request: str) -> pl.DataFrame:
    rows = [row for door in doors for row in door.observer.recent(request)]
    if request and not rows:
        raise UsageError(
            f"no attempt of request {request!r} is kept",
            hint="Give the id as an error shows it; the last 10,000 attempts are kept: lab.stats('attempt')",
        )
    return pl.DataFrame(rows, schema=ATTEMPTS)
