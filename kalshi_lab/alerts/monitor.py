"""The monitor: keeps alerts in the store, looks at the exchange when it is told to, and lets each alert fire once."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab import frames
from kalshi_lab.alerts.conditions import Condition, from_text
from kalshi_lab.errors import UsageError, unknown
from kalshi_lab.kalshi.markets import BATCH
from kalshi_lab.portal import Facade, blocking
from kalshi_lab.store import writes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from kalshi_lab.clock import Clock
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.models import Market
    from kalshi_lab.store import Store
    from kalshi_lab.store.connection import Connection

log = logging.getLogger(__name__)
ARMED, FIRED, ENDED, REMOVED = "armed", "fired", "ended", "removed"
OVER = frozenset({"closed", "determined", "disputed", "amended", "finalized"})
TICKERS = pl.List(pl.String)
ALERT: dict[str, Any] = {
    "alert_id": pl.String,
    "kind": pl.String,
    "tickers": TICKERS,
    "condition": pl.String,
    "label": pl.String,
    "state": pl.String,
    "created_at": frames.TIME,
}
LOOK: dict[str, Any] = {"alert_id": pl.String, "state": pl.String, "checked_at": frames.TIME, "last_look": pl.String}
EVENT: dict[str, Any] = {
    "alert_id": pl.String,
    "time": frames.TIME,
    "what": pl.String,
    "ticker": pl.String,
    "yes_bid": frames.PRICE,
    "yes_ask": frames.PRICE,
    "message": pl.String,
}
HISTORY: dict[str, Any] = {
    "alert_id": pl.String,
    "label": pl.String,
    "condition": pl.String,
    **dict(list(EVENT.items())[1:]),
}
LISTED: dict[str, Any] = {
    "alert_id": pl.String,
    "label": pl.String,
    "condition": pl.String,
    "tickers": TICKERS,
    "state": pl.String,
    "created_at": frames.TIME,
    "checked_at": frames.TIME,
    "note": pl.String,
}
ALL = "SELECT * FROM alerts WHERE state <> 'removed' ORDER BY created_at, length(alert_id), alert_id"
EVENTS = """
SELECT events.*, alerts.label, alerts.condition FROM alert_events AS events JOIN alerts USING (alert_id)
ORDER BY events.time, length(alert_id), alert_id
"""


@dataclass(frozen=True, slots=True)
class Looked:
    """What one check made of one alert: its state now, what was seen of its markets, and an event if something happened."""

    alert_id: str
    state: str
    last_look: str
    event: dict[str, Any] | None = None


class AsyncAlerts:
    """Alerts of one store: `add` a condition, `check` them all against the exchange; each fires once, in whichever process.

    They live in the store, so they survive a restart. An alert is armed, then fired, or ended where its market closed first.
    """

    def __init__(self, kalshi: AsyncKalshi, store: Store, clock: Clock) -> None:
        self._kalshi = kalshi
        self._store = store
        self._clock = clock

    async def add(self, condition: Condition, *, label: str = "") -> str:
        """Arm an alert and return its id; a condition that is armed already keeps its id and label."""
        if not isinstance(condition, Condition):
            raise UsageError(
                f"{str(condition)[:80]!r} is no condition",
                hint='Give one like kl.above("KXHIGHNY-26NOV22-B50.5", 0.62)',
            )
        now = self._clock.now()
        return await self._store.write(lambda connection: _arm(connection, condition, label, now))

    async def check(self) -> pl.DataFrame:
        """Look at the markets of the armed alerts and return those that fired now; each fires once.

        One request for up to 100 markets. Columns: alert_id, label, condition (words), time Datetime(us, UTC), what ("fired"), ticker,
        yes_bid, yes_ask (Float64 dollars), message. Only a real two-sided quote counts. An alert whose market is closed becomes
        "ended", told in `history`; one whose market is missing stays armed, told in `list`.
        """
        rows = (await self._store.read("SELECT alert_id, condition FROM alerts WHERE state = 'armed'")).to_dicts()
        armed = {row["alert_id"]: condition for row in rows if (condition := _known(row["condition"])) is not None}
        if not armed:
            return frames.floats(pl.DataFrame(schema=HISTORY))
        markets = await self._markets(sorted({ticker for condition in armed.values() for ticker in condition.tickers}))
        now = self._clock.now()
        looks = [_judge(alert_id, condition, markets, now) for alert_id, condition in armed.items()]
        happened = await self._store.write(lambda connection: _keep(connection, looks, now))
        fired = [alert_id for alert_id, what in happened if what == FIRED]
        if not fired:
            return frames.floats(pl.DataFrame(schema=HISTORY))
        return (await self.history()).filter(pl.col("alert_id").is_in(fired), what=FIRED)

    async def list(self) -> pl.DataFrame:
        """The alerts that were not removed, oldest first.

        Columns: alert_id, label, condition (words), tickers List(String), state (armed, fired, ended), created_at and checked_at
        Datetime(us, UTC), note: why an armed alert could not be decided at its last check, empty where it could.
        """
        rows = (await self._store.read(ALL)).to_dicts()
        return pl.DataFrame(
            [row | {"condition": _words(row["condition"]), "note": _note(row)} for row in rows], schema=LISTED
        )

    async def remove(self, alert_id: str) -> None:
        """Take an alert out of the list; what it did stays in `history`. UsageError for an id that is not in the list."""
        await self._store.write(lambda connection: _remove(connection, alert_id))

    async def history(self) -> pl.DataFrame:
        """What the alerts did, oldest first: a row for each that fired or ended.

        Columns: alert_id, label, condition (words), time Datetime(us, UTC), what (fired or ended), ticker, yes_bid, yes_ask (Float64
        dollars), message.
        """
        rows = (await self._store.read(EVENTS)).to_dicts()
        return frames.floats(
            pl.DataFrame([row | {"condition": _words(row["condition"])} for row in rows], schema=HISTORY)
        )

    async def _markets(self, tickers: Sequence[str]) -> dict[str, Market]:
        """The markets by ticker as they stand now; what the exchange does not list is absent."""
        found: dict[str, Market] = {}
        for start in range(0, len(tickers), BATCH):
            asked = tickers[start : start + BATCH]
            pages = self._kalshi.markets.list(tickers=asked, combos=True, limit=len(asked))
            found |= {market.ticker: market async for market in pages}
            for row in pages.refused:
                log.warning("a market was left out, since it could not be read (%s): %.200s", row.reason, row.raw)
        return found

    def __repr__(self) -> str:
        return f"<{type(self).__name__} in {self._store.path}>"


class Alerts(Facade):
    """The blocking face of `AsyncAlerts`."""

    _twin: AsyncAlerts

    add = blocking(AsyncAlerts.add)
    check = blocking(AsyncAlerts.check)
    list = blocking(AsyncAlerts.list)
    remove = blocking(AsyncAlerts.remove)
    history = blocking(AsyncAlerts.history)

    def __repr__(self) -> str:
        return repr(self._twin).replace("AsyncAlerts", "Alerts")


def _known(text: str) -> Condition | None:
    """A condition from the store; one that a later version wrote is left alone, so that it cannot stop the others."""
    try:
        return from_text(text)
    except UsageError as error:
        log.warning("an alert is skipped: %s", error)
        return None


def _words(text: str) -> str:
    return str(_known(text) or text)


def _note(row: Mapping[str, Any]) -> str:
    """What keeps an armed alert from being decided, in words."""
    if row["state"] != ARMED:
        return ""
    if _known(row["condition"]) is None:
        return "this version cannot read the condition"
    seen = json.loads(row["last_look"] or "{}")
    return "; ".join(f"{ticker} {why}" for ticker, look in seen.items() if (why := _undecided(look)))


def _undecided(look: Mapping[str, Any] | None) -> str:
    if look is None:
        return "is not listed by the exchange"
    return "" if look["priced"] else "is not quoted on both sides"


def _judge(alert_id: str, condition: Condition, markets: Mapping[str, Market], now: datetime) -> Looked:
    """What the markets as they stand mean for one alert."""
    mine = [markets.get(ticker) for ticker in condition.tickers]
    last_look = json.dumps({ticker: _look(markets.get(ticker)) for ticker in condition.tickers})
    if mine and all(market is not None and market.status in OVER for market in mine):
        state = ENDED
    else:
        state = FIRED if condition.holds(markets) else ARMED
    event = None if state == ARMED else _event(alert_id, state, condition, mine, now)
    return Looked(alert_id, state, last_look, event)


def _look(market: Market | None) -> dict[str, Any] | None:
    if market is None:
        return None
    sides = {"yes_bid": market.yes_bid, "yes_ask": market.yes_ask}
    return {name: side if side is None else str(side) for name, side in sides.items()} | {
        "status": market.status,
        "priced": market.is_priced,
    }


def _event(
    alert_id: str, what: str, condition: Condition, markets: Sequence[Market | None], now: datetime
) -> dict[str, Any]:
    only = markets[0] if len(markets) == 1 else None
    said = f"{condition}: fired" if what == FIRED else f"{condition}: ended, since the market is over"
    if only is not None:
        said += f" at bid {only.yes_bid}, ask {only.yes_ask}" if what == FIRED else f" ({only.status})"
    quote = {name: getattr(only, name, None) for name in ("ticker", "yes_bid", "yes_ask")}
    return {"alert_id": alert_id, "time": now, "what": what, "message": said, **quote}


def _arm(connection: Connection, condition: Condition, label: str, now: datetime) -> str:
    same = "SELECT alert_id FROM alerts WHERE state = 'armed' AND condition = $1"
    for row in writes.rows(connection, same, [condition.text]):
        return str(row["alert_id"])
    number = writes.rows(connection, "SELECT count(*) AS n FROM alerts")[0]["n"] + 1
    values = (f"a{number}", condition.kind, condition.tickers, condition.text, label, ARMED, now)
    writes.insert(connection, "alerts", pl.DataFrame([dict(zip(ALERT, values, strict=True))], schema=ALERT))
    return values[0]


def _keep(connection: Connection, looks: Sequence[Looked], now: datetime) -> list[tuple[str, str]]:
    """Write what came of a check, for the alerts that are armed still: another process may have been first. What happened, by id."""
    armed = {row["alert_id"] for row in writes.rows(connection, "SELECT alert_id FROM alerts WHERE state = 'armed'")}
    mine = [look for look in looks if look.alert_id in armed]
    rows = [
        {"alert_id": look.alert_id, "state": look.state, "checked_at": now, "last_look": look.last_look}
        for look in mine
    ]
    if rows:
        writes.upsert(connection, "alerts", ["alert_id"], pl.DataFrame(rows, schema=LOOK))
    events = [look.event for look in mine if look.event is not None]
    writes.insert(connection, "alert_events", pl.DataFrame(events, schema=EVENT))
    return [(look.alert_id, look.state) for look in mine if look.event is not None]


def _remove(connection: Connection, alert_id: str) -> None:
    listed = [row["alert_id"] for row in writes.rows(connection, ALL)]
    if alert_id not in listed:
        raise unknown("alert", str(alert_id), listed)
    connection.execute("UPDATE alerts SET state = $2 WHERE alert_id = $1", [alert_id, REMOVED])
