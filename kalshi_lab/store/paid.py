"""What was paid for: answers, kept until they are stale, and runs, which are found again after a crash."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from kalshi_lab.store import writes

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from kalshi_lab.clock import Clock
    from kalshi_lab.store.connection import Connection
    from kalshi_lab.store.store import Store

MOST: Final = 256 * 1024 * 1024  # bytes of answers that are kept
_MONEY, _TIME = pl.Decimal(18, 6), pl.Datetime("us", "UTC")
_ANSWER: Final[dict[str, Any]] = {
    "key": pl.String, "operation": pl.String, "body": pl.Binary, "received_at": _TIME, "expires_at": _TIME, "request_id": pl.String,
    "cost": _MONEY,
}  # fmt: skip
_RUN: Final[dict[str, Any]] = {
    "key": pl.String, "task": pl.String, "reservation": pl.String, "created_at": _TIME, "run_id": pl.String, "status": pl.String,
    "checked_at": _TIME, "body": pl.String,
}  # fmt: skip
_FOUND = "SELECT body FROM paid_answers WHERE key = $1 AND (expires_at IS NULL OR expires_at > $2)"
_GONE = "DELETE FROM paid_answers WHERE key = $1 OR expires_at <= $2"
_ROOM = """
DELETE FROM paid_answers WHERE key IN (
    SELECT key FROM (SELECT key, sum(octet_length(body)) OVER (ORDER BY received_at DESC, key) AS kept FROM paid_answers) WHERE kept > $1
)
"""
_CLEARED = "DELETE FROM paid_answers WHERE $1 OR expires_at <= $2"
_KNOWN = "SELECT * FROM paid_runs WHERE key = $1"
_NAMED = """
UPDATE paid_runs SET run_id = $2, status = $3, checked_at = $4, body = coalesce($5, body), reservation = coalesce($6, reservation)
WHERE key = $1
"""
_FORGOTTEN = "DELETE FROM paid_runs WHERE key = $1"


@dataclass(frozen=True, slots=True)
class PaidAnswers:
    """Answers by the hash of their request; the oldest go first where they would take more than `most` bytes."""

    store: Store
    clock: Clock
    most: int = MOST

    async def found(self, key: str) -> bytes | None:
        """The answer to a request, as it was received; None where there is none, or a stale one."""
        if self.store.is_new:
            return None
        kept = await self.store.read(_FOUND, [key, self.clock.now()])
        return bytes(kept.item()) if kept.height else None

    async def keep(
        self, key: str, operation: str, body: bytes, *, seconds: float | None, cost: Decimal | None, request_id: str
    ) -> None:
        """Keep an answer for so many seconds (None: for ever), in place of an older one; one larger than there is room for is not kept."""
        now = self.clock.now()
        row = {
            "key": key, "operation": operation, "body": body, "received_at": now, "request_id": request_id, "cost": cost,
            "expires_at": None if seconds is None else now + timedelta(seconds=seconds),
        }  # fmt: skip
        if len(body) <= self.most:
            await self.store.write(lambda connection: self._keep(connection, row, now))

    def _keep(self, connection: Connection, row: dict[str, Any], now: datetime) -> None:
        connection.execute(_GONE, [row["key"], now])
        writes.insert(connection, "paid_answers", pl.DataFrame([row], schema=_ANSWER))
        connection.execute(_ROOM, [self.most])

    async def clear(self, *, stale_only: bool) -> int:
        """Forget the answers, or the stale ones alone; how many."""
        return await self.store.write(
            lambda connection: int(connection.execute(_CLEARED, [not stale_only, self.clock.now()]).fetchall()[0][0])
        )


@dataclass(frozen=True, slots=True)
class PaidRun:
    """A paid task as the store knows it: `run_id` is None where the process ended before anybody heard what it is."""

    key: str
    task: str
    reservation: str
    created_at: datetime
    run_id: str | None
    status: str
    checked_at: datetime | None
    body: str | None


async def claimed(store: Store, wanted: PaidRun) -> PaidRun:
    """The task under this key: the one that the store knows already, else this one, which it knows from now on."""
    return await store.write(lambda connection: _claim(connection, wanted))


def _claim(connection: Connection, wanted: PaidRun) -> PaidRun:
    known = writes.rows(connection, _KNOWN, [wanted.key])
    if known:
        return PaidRun(**known[0])
    row = {name: getattr(wanted, name) for name in _RUN}
    writes.insert(connection, "paid_runs", pl.DataFrame([row], schema=_RUN))
    return wanted


async def noted(
    store: Store,
    key: str,
    now: datetime,
    *,
    run_id: str,
    status: str,
    body: str | None = None,
    reservation: str | None = None,
) -> None:
    """Enter what a run is called and how it stands; `body` is its last answer, `reservation` what it is paid from."""
    values = [key, run_id, status, now, body, reservation]
    await store.write(lambda connection: connection.execute(_NAMED, values) and None)


async def forgotten(store: Store, key: str) -> None:
    """Forget a task that surely was never created."""
    await store.write(lambda connection: connection.execute(_FORGOTTEN, [key]) and None)
