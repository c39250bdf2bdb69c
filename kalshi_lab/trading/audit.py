"""The audit: one row for each attempt, entered before anything is sent and completed once it is known what became of it.

The day's counters are sums over these rows, taken inside the transaction that enters a row, so that processes which share a store keep
to one limit. An attempt whose end nobody knows counts; one that was refused does not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from kalshi_lab import frames
from kalshi_lab.store import writes
from kalshi_lab.trading.checks import COUNTED, added, judged
from kalshi_lab.trading.situation import ZERO, Counters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalshi_lab.clock import Clock
    from kalshi_lab.store import Store
    from kalshi_lab.store.connection import Connection
    from kalshi_lab.trading.limits import Limits
    from kalshi_lab.trading.situation import Check, Mode, Situation

ROW: Final[dict[str, Any]] = {
    "id": pl.String, "time": frames.TIME, "account": pl.String, "environment": pl.String, "mode": pl.String, "verb": pl.String,
    "state": pl.String, "ticker": pl.String, "side": pl.String, "count": frames.COUNT, "price": frames.PRICE, "risk": frames.MONEY,
    "added": frames.MONEY, "client_order_id": pl.String, "order_id": pl.String, "body": pl.String, "checks": pl.String,
    "answer": pl.String, "error": pl.String, "settled_at": frames.TIME,
}  # fmt: skip
_DAY: Final[dict[str, Any]] = {
    "account": pl.String, "mode": pl.String, "day": pl.Date, "worth": frames.MONEY, "looked_at": frames.TIME,
}  # fmt: skip
# what counts on a day: orders that were or may have been placed
_COUNTED = """
SELECT count(*) AS orders, coalesce(sum(added), 0)::DECIMAL(18,6) AS risk FROM order_attempts
WHERE account = $1 AND mode = $2 AND verb IN ('create', 'amend') AND state IN ('intended', 'accepted', 'unknown')
  AND time >= $3 AND time < $3 + INTERVAL 1 DAY
"""
# what may be live and stands in no list of the exchange's: its lists are complete up to $4
_UNSEEN = """
SELECT coalesce(sum(CASE WHEN side = 'bid' THEN "count" END), 0)::DECIMAL(18,2) AS bought,
       coalesce(sum(CASE WHEN side = 'ask' THEN "count" END), 0)::DECIMAL(18,2) AS sold
FROM order_attempts
WHERE account = $1 AND mode = $2 AND ticker = $3 AND verb IN ('create', 'amend') AND NOT list_contains($5, client_order_id)
  AND (state IN ('intended', 'unknown') OR (state = 'accepted' AND $4::TIMESTAMPTZ IS NOT NULL AND time > $4))
"""
_SETTLED = """
UPDATE order_attempts SET state = $2, order_id = coalesce($3, order_id), answer = coalesce($4, answer), error = $5, settled_at = $6
WHERE id = $1
"""
_ALL = "SELECT * FROM order_attempts WHERE account = $1 ORDER BY time, rowid"
_OPEN = """
SELECT * FROM order_attempts WHERE account = $1 AND mode = 'live' AND state IN ('intended', 'unknown') ORDER BY time, rowid
"""
_MARKET = "SELECT ticker FROM order_attempts WHERE order_id = $1 AND ticker IS NOT NULL LIMIT 1"
_MORNING = "SELECT worth FROM trading_days WHERE account = $1 AND mode = $2 AND day = $3"


@dataclass(frozen=True, slots=True)
class Entry:
    """One attempt about to be made: its row, and the situation by which it counts (None for what adds to no risk)."""

    row: dict[str, Any]
    checks: tuple[Check, ...]
    situation: Situation | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What the exchange's lists hold already: up to when they are complete, and the client ids of the orders that rest."""

    as_of: datetime | None = None
    clients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Audit:
    """The rows of one account in one mode."""

    store: Store
    clock: Clock
    account: str
    environment: str
    mode: Mode

    def row(self, made: str, verb: str, body: dict[str, Any], **known: Any) -> dict[str, Any]:
        """A row as it stands before anything was sent."""
        return {
            "id": made, "time": self.clock.now(), "account": self.account, "environment": self.environment, "mode": self.mode,
            "verb": verb, "state": "intended", "body": told(body), **known,
        }  # fmt: skip

    async def enter(self, entries: Sequence[Entry], limits: Limits, seen: Seen) -> list[tuple[Check, ...]]:
        """Enter attempts in one transaction; the checks of each, with those that other attempts bear on judged anew.

        Where a check of one of them failed, all are entered as rejected.
        """
        return await self.store.write(lambda connection: self._enter(connection, entries, limits, seen))

    def _enter(
        self, connection: Connection, entries: Sequence[Entry], limits: Limits, seen: Seen
    ) -> list[tuple[Check, ...]]:
        found: list[tuple[Check, ...]] = []
        earlier: list[Situation] = []
        for one in entries:
            anew: tuple[Check, ...] = ()
            if one.situation is not None and all(check.passed for check in one.checks):
                day = self._counters(connection, one.situation.proposal.ticker, seen)
                anew = judged(replace(one.situation, day=_with(day, one.situation, earlier)), limits, COUNTED)
                earlier.append(one.situation)
            found.append(_renewed(one.checks, anew))
        passed = all(check.passed for checks in found for check in checks)
        rows = [
            one.row
            | {"checks": told([_plain(check) for check in checks]), "state": "intended" if passed else "rejected"}
            for one, checks in zip(entries, found, strict=True)
        ]
        if not passed:
            named = "; ".join(sorted({check.name for checks in found for check in checks if not check.passed}))
            rows = [row | {"error": f"refused: {named}", "settled_at": row["time"]} for row in rows]
        writes.insert(connection, "order_attempts", pl.DataFrame(rows, schema=ROW))
        return found

    async def counters(self, ticker: str, seen: Seen) -> Counters:
        """What the day's attempts come to."""
        return await self.store.look(lambda connection: self._counters(connection, ticker, seen))

    def _counters(self, connection: Connection, ticker: str, seen: Seen) -> Counters:
        own = [self.account, self.mode]
        sums = writes.rows(connection, _COUNTED, [*own, day_of(self.clock.now())])[0]
        unseen = writes.rows(connection, _UNSEEN, [*own, ticker, seen.as_of, list(seen.clients)])[0]
        return Counters(sums["orders"], sums["risk"], unseen["bought"], unseen["sold"])

    async def settle(
        self, made: str, state: str, *, order_id: str | None = None, answer: Any = None, error: str | None = None
    ) -> None:
        """Complete a row."""
        values = [made, state, order_id, None if answer is None else told(answer), error, self.clock.now()]
        await self.store.write(lambda connection: connection.execute(_SETTLED, values) and None)

    async def frame(self) -> pl.DataFrame:
        """All rows of the account, in every mode, oldest first."""
        return (await self.store.read(_ALL, [self.account])).cast(pl.Schema(ROW))

    async def unresolved(self) -> pl.DataFrame:
        """The live rows of which nobody knows what became of them."""
        return (await self.store.read(_OPEN, [self.account])).cast(pl.Schema(ROW))

    async def market(self, order_id: str) -> str | None:
        """The market of an order that was placed here; None for another."""
        found = await self.store.read(_MARKET, [order_id])
        return str(found.item()) if found.height else None

    async def loss(self, worth: Decimal) -> Decimal:
        """Dollars that the account is worth less than when the day was first looked at, which is now where it was not yet."""
        now = self.clock.now()
        key = [self.account, self.mode, now.astimezone(UTC).date()]
        row = dict(zip(_DAY, [*key, worth, now], strict=True))
        known = await self.store.look(lambda connection: writes.rows(connection, _MORNING, key))
        if not known:
            frame = pl.DataFrame([row], schema=_DAY)
            known = await self.store.write(lambda connection: _first(connection, frame, key))
        morning: Decimal = known[0]["worth"]
        return morning - worth


def day_of(now: datetime) -> datetime:
    """The beginning of a day of UTC."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def told(value: Any) -> str:
    """JSON for the audit: exact decimals and times as text."""
    return json.dumps(value, default=_text, ensure_ascii=False)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _plain(check: Check) -> dict[str, Any]:
    return {"name": check.name, "passed": check.passed, "why": check.why}


def _renewed(checks: tuple[Check, ...], anew: tuple[Check, ...]) -> tuple[Check, ...]:
    by_name = {check.name: check for check in anew}
    return tuple(by_name.get(check.name, check) for check in checks)


def _with(day: Counters, situation: Situation, earlier: Sequence[Situation]) -> Counters:
    """The counters with the orders that stand before this one in its batch."""
    same = [one.proposal for one in earlier if one.proposal.ticker == situation.proposal.ticker]
    return Counters(
        day.orders + len(earlier),
        day.risk + sum((added(one) for one in earlier), ZERO),
        day.bought + sum((own.count for own in same if own.side == "bid"), ZERO),
        day.sold + sum((own.count for own in same if own.side == "ask"), ZERO),
    )


def _first(connection: Connection, frame: pl.DataFrame, key: list[Any]) -> list[dict[str, Any]]:
    writes.insert_new(connection, "trading_days", ["account", "mode", "day"], frame)
    return writes.rows(connection, _MORNING, key)
