"""Money: what a call may cost at worst is reserved before it is made, and settled from its answer.

The rows are in the store, so every process that shares it spends from the same caps; a process that dies leaves its reservation standing,
since nobody knows whether the call was made.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import UTC
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from kalshi_lab.errors import BudgetExceeded, UsageError
from kalshi_lab.store import writes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from kalshi_lab.clock import Clock
    from kalshi_lab.store.connection import Connection
    from kalshi_lab.store.store import Store

CAPS: Final = {"run": Decimal(1), "day": Decimal(5)}  # dollars, until the store says otherwise
PART: Final = "part"
_MONEY: Final = pl.Decimal(18, 6)
_TIME: Final = pl.Datetime("us", "UTC")
COLUMNS: Final[dict[str, Any]] = {
    "time": _TIME, "run": pl.String, "part": pl.String, "payee": pl.String, "operation": pl.String, "reserved": _MONEY, "cost": _MONEY,
    "state": pl.String, "settled_at": _TIME, "request_id": pl.String,
}  # fmt: skip
_ROW: Final[dict[str, Any]] = {"id": pl.String, **COLUMNS}
_LIMITS: Final[dict[str, Any]] = {"name": pl.String, "dollars": _MONEY, "spent": _MONEY, "left": _MONEY}
_CAP: Final[dict[str, Any]] = {"name": pl.String, "dollars": _MONEY, "time": _TIME}
# a call whose cost nobody told counts as what was reserved for it
_SPENT = """
SELECT coalesce(sum(CASE WHEN run = $1 THEN coalesce(cost, reserved) END), 0) AS run,
       coalesce(sum(CASE WHEN run = $1 AND part = $2 THEN coalesce(cost, reserved) END), 0) AS part,
       coalesce(sum(CASE WHEN time >= $3 AND time < $3 + INTERVAL 1 DAY THEN coalesce(cost, reserved) END), 0) AS day
FROM spend WHERE state <> 'released' AND (run = $1 OR (time >= $3 AND time < $3 + INTERVAL 1 DAY))
"""
_CAPPED = "SELECT name, dollars FROM caps"
_SETTLED = """
UPDATE spend SET cost = coalesce($2, cost), state = 'settled', settled_at = $3, request_id = coalesce(nullif($4, ''), request_id)
WHERE id = $1
"""
_RELEASED = "UPDATE spend SET state = 'released', settled_at = $2 WHERE id = $1 AND state = 'reserved'"
_ALL = "SELECT time, run, part, payee, operation, reserved, cost, state, settled_at, request_id FROM spend ORDER BY time, id"
WORDS: Final = {"run": "this run", "day": "today", PART: "this task"}


@dataclass(frozen=True, slots=True)
class Spending:
    """What one run spends at one payee, within the caps of the run, of the day (UTC) and, for a `part` of it, of that part."""

    store: Store
    clock: Clock
    run: str
    payee: str = "Exa"
    name: str = ""
    cap: Decimal | None = None

    def part(self, name: str, dollars: Decimal | None) -> Spending:
        """The same run's spending on one task: it has a cap of its own, too, where `dollars` gives one."""
        if dollars is not None and not dollars > 0:
            raise UsageError(f"a budget of {dollars} dollars buys nothing", hint="Give more than 0")
        return replace(self, name=f"{name} {uuid.uuid4().hex[:8]}", cap=dollars)

    def at(self, payee: str) -> Spending:
        """The same caps for what another is paid."""
        return replace(self, payee=payee)

    async def reserve(self, operation: str, dollars: Decimal) -> str:
        """Set aside what a call may cost at worst; the id to settle it by.

        Raises BudgetExceeded, with nothing set aside, where that is more than what is left under one of the caps.
        """
        if dollars < 0:
            raise UsageError(f"a call cannot cost {dollars} dollars")
        made, now = uuid.uuid4().hex, self.clock.now()
        row = {
            "id": made, "time": now, "run": self.run, "part": self.name, "payee": self.payee, "operation": operation,
            "reserved": dollars, "state": "reserved",
        }  # fmt: skip
        await self.store.write(lambda connection: self._reserve(connection, row, dollars, now))
        return made

    async def settle(self, reservation: str, dollars: Decimal | None, request_id: str = "") -> None:
        """Enter what a call cost; None where nobody said so: then what was reserved counts, and the cost stays unknown."""
        values = [reservation, dollars, self.clock.now(), request_id]
        await self.store.write(lambda connection: connection.execute(_SETTLED, values) and None)

    async def release(self, reservation: str) -> None:
        """Give back what was set aside for a call that surely cost nothing."""
        values = [reservation, self.clock.now()]
        await self.store.write(lambda connection: connection.execute(_RELEASED, values) and None)

    async def used(self) -> Decimal:
        """Dollars that this part has spent, or set aside for calls whose cost nobody told."""
        spent = await self.store.look(lambda connection: self._spent(connection, self.clock.now()))
        return spent[PART]

    async def left(self) -> Decimal:
        """Dollars that may still be spent on this: the least that a cap leaves."""
        return min(await self.store.look(lambda connection: self._left(connection, self.clock.now())))

    def _reserve(self, connection: Connection, row: Mapping[str, Any], dollars: Decimal, now: datetime) -> None:
        for name, left in zip(self._names(), self._left(connection, now), strict=True):
            if dollars > left:
                raise self._exceeded(row["operation"], name, dollars, left)
        writes.insert(connection, "spend", pl.DataFrame([row], schema=_ROW))

    def _names(self) -> list[str]:
        return [*CAPS, *([PART] if self.cap is not None else [])]

    def _left(self, connection: Connection, now: datetime) -> list[Decimal]:
        """What each of the caps leaves, in the order of `_names`."""
        caps, spent = _caps(connection), self._spent(connection, now)
        most = {**caps, **({PART: self.cap} if self.cap is not None else {})}
        return [max(most[name] - spent[name], Decimal(0)) for name in self._names()]

    def _spent(self, connection: Connection, now: datetime) -> dict[str, Decimal]:
        day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return writes.rows(connection, _SPENT, [self.run, self.name, day])[0]

    def _exceeded(self, operation: str, name: str, dollars: Decimal, left: Decimal) -> BudgetExceeded:
        said = (
            f"{self.payee}'s {operation} may cost {dollars:f} dollars, and {WORDS[name]} has {left:f} left of its cap"
        )
        more = "Give the task a larger budget=" if name == PART else f"Raise it: lab.caps({name}=...)"
        error = BudgetExceeded(f"{said}; nothing was sent", hint=more)
        error.cost, error.left = dollars, left
        return error

    async def caps(self, **wanted: Decimal | None) -> pl.DataFrame:
        """The caps of a run and of a day, with new values where they are given, and what is left of them: name, dollars, spent, left."""
        now = self.clock.now()
        new = [
            {"name": name, "dollars": _sensible(name, dollars), "time": now}
            for name, dollars in wanted.items()
            if dollars is not None
        ]
        if new:
            await self.store.write(
                lambda connection: writes.upsert(connection, "caps", ["name"], pl.DataFrame(new, schema=_CAP))
            )
        caps, spent = await self.store.look(lambda connection: (_caps(connection), self._spent(connection, now)))
        rows = [
            {"name": name, "dollars": most, "spent": spent[name], "left": max(most - spent[name], Decimal(0))}
            for name, most in caps.items()
        ]
        return pl.DataFrame(rows, schema=_LIMITS)


def _caps(connection: Connection) -> dict[str, Decimal]:
    return CAPS | {row["name"]: row["dollars"] for row in writes.rows(connection, _CAPPED)}


def _sensible(name: str, dollars: Decimal) -> Decimal:
    if not dollars.is_finite() or dollars < 0:
        raise UsageError(f"the cap of a {name} cannot be {dollars} dollars", hint="Give 0 or more")
    return dollars


async def spent(store: Store) -> pl.DataFrame:
    """Every call that costs something, a row each, with the columns of COLUMNS."""
    return (await store.read(_ALL)).cast(pl.Schema(COLUMNS))
