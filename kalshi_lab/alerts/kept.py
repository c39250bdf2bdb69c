"""Alerts in the store: how they are armed, read, and kept with what happened, each event once, in whichever process."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab import frames
from kalshi_lab.alerts.alarm import Alarm
from kalshi_lab.alerts.conditions import Condition, from_text
from kalshi_lab.alerts.engine import (
    ARMED,
    FIRED,
    NO_TICKER,
    REMOVED,
    Alert,
    Change,
    Engine,
    Happening,
    Key,
    State,
)
from kalshi_lab.errors import UsageError, unknown
from kalshi_lab.store import writes
from kalshi_lab.store.arrow import Arrow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from kalshi_lab.alerts.seen import Quoted
    from kalshi_lab.store.connection import Connection

PROBLEM = ""  # no market has this name
log = logging.getLogger(__name__)
TEXTS = pl.List(pl.String)
ALERT: dict[str, Any] = {
    "alert_id": pl.String, "kind": pl.String, "tickers": TEXTS, "condition": pl.String, "label": pl.String, "state": pl.String,
    "created_at": frames.TIME, "repeat": pl.Boolean, "cooldown": pl.Int64, "hysteresis": frames.PRICE, "expires_at": frames.TIME,
    "sinks": TEXTS,
}  # fmt: skip
LOOK: dict[str, Any] = {"alert_id": pl.String, "state": pl.String, "checked_at": frames.TIME, "last_look": pl.String}
EVENT: dict[str, Any] = {
    "alert_id": pl.String, "time": frames.TIME, "what": pl.String, "ticker": pl.String, "yes_bid": frames.PRICE,
    "yes_ask": frames.PRICE, "message": pl.String, "event_id": pl.String,
}  # fmt: skip
STATE: dict[str, Any] = {
    "alert_id": pl.String, "ticker": pl.String, "state": pl.String, "fired": pl.Int64, "fired_at": frames.TIME, "past": pl.String,
    "seen_at": frames.TIME,
}  # fmt: skip
DELIVERY: dict[str, Any] = {
    "event_id": pl.String, "alert_id": pl.String, "sink": pl.String, "state": pl.String, "attempts": pl.Int64, "time": frames.TIME,
    "error": pl.String,
}  # fmt: skip
ALL = "SELECT * FROM alerts WHERE state <> 'removed' ORDER BY created_at, length(alert_id), alert_id"
LIVE = "SELECT * FROM alerts WHERE state = 'armed' ORDER BY created_at, length(alert_id), alert_id"
STATES = "SELECT states.* FROM alert_states AS states JOIN alerts USING (alert_id) WHERE alerts.state = 'armed'"
SAME = "SELECT * FROM alerts WHERE state = 'armed' AND condition = $1"
STANDING = """
SELECT alert_id, ticker, states.state, fired FROM alerts LEFT JOIN alert_states AS states USING (alert_id)
WHERE alerts.state = 'armed' AND list_contains($1::VARCHAR[], alert_id)
"""
EVENTS = """
SELECT events.*, alerts.label, alerts.condition FROM alert_events AS events JOIN alerts USING (alert_id)
ORDER BY events.time, length(alert_id), alert_id, length(event_id), event_id
"""
MOVED = """
MERGE INTO alert_states AS old USING changed AS new ON old.alert_id = new.alert_id AND old.ticker = new.ticker
WHEN MATCHED THEN UPDATE WHEN NOT MATCHED THEN INSERT BY NAME
"""


def read(connection: Connection) -> tuple[list[Alert], dict[Key, State]]:
    """The armed alerts that this version can read, and how far each is with each of its markets."""
    rows = writes.rows(connection, LIVE)
    alerts = [_alert(row, condition) for row in rows if (condition := known(row["condition"])) is not None]
    return alerts, {(row["alert_id"], row["ticker"]): _state(row) for row in writes.rows(connection, STATES)}


def arm(
    connection: Connection,
    condition: Condition,
    label: str,
    now: datetime,
    *,
    repeat: bool = False,
    cooldown: timedelta = timedelta(),
    hysteresis: Decimal = Decimal(0),
    expires_at: datetime | None = None,
    to: Sequence[str] = (),
) -> str:
    """Arm an alert; one that is armed with the same condition keeps its id, and must not be wanted with other options."""
    wanted = (repeat, round(cooldown.total_seconds()), hysteresis, expires_at, list(to))
    for row in writes.rows(connection, SAME, [condition.text]):
        return _the_same(row, wanted)
    number = writes.rows(connection, "SELECT count(*) AS n FROM alerts")[0]["n"] + 1
    watched = [*condition.tickers, *([condition.pattern] if condition.pattern else [])]
    values = (
        f"a{number}", condition.kind, watched, condition.text, label, ARMED, now, *wanted,
    )  # fmt: skip
    writes.insert(connection, "alerts", pl.DataFrame([dict(zip(ALERT, values, strict=True))], schema=ALERT))
    return f"a{number}"


def _the_same(row: Mapping[str, Any], wanted: tuple[Any, ...]) -> str:
    """The id of an alert that is armed already, if everything about it is as wanted."""
    alert_id = str(row["alert_id"])
    stands = (
        bool(row["repeat"]),
        row["cooldown"] or 0,
        row["hysteresis"] or 0,
        row["expires_at"],
        list(row["sinks"] or ()),
    )
    if any(wanted) and stands != wanted:
        said = f"{alert_id} waits for the same already, with other options"
        raise UsageError(said, hint=f"lab.alerts.remove({alert_id!r}) first, or leave the options away")
    return alert_id


def remove(connection: Connection, alert_id: str) -> None:
    """Take an alert out of the list; UsageError for one that is not in it."""
    listed = [row["alert_id"] for row in writes.rows(connection, ALL)]
    if alert_id not in listed:
        raise unknown("alert", str(alert_id), listed)
    connection.execute("UPDATE alerts SET state = $2 WHERE alert_id = $1", [alert_id, REMOVED])


def keep(
    connection: Connection,
    changes: Iterable[Change],
    now: datetime,
    sinks: Sequence[str] = (),
    looks: Mapping[str, str] | None = None,
) -> tuple[list[Alarm], bool]:
    """Write what came of alerts that are armed still and stand where they stood: another process may have been first.

    What happened, and whether everything was written.

    `looks`: what was seen of the markets of each alert that was looked at, as JSON. `sinks`: where every event is told that names none.
    """
    wanted = list(changes)
    ids = sorted({one.alert.alert_id for one in wanted} | set(looks or ()))
    stand = {
        (name, ticker): (state, fired) for name, ticker, state, fired in connection.execute(STANDING, [ids]).fetchall()
    }
    armed = {name for name, _ in stand}
    mine = [one for one in wanted if one.alert.alert_id in armed and _unchanged(one, stand)]
    _states(connection, mine, now)
    _looked(connection, mine, armed, now, looks or {})
    happened = [(one.alert, event) for one in mine for event in one.events]
    rows = [{name: getattr(event, name) for name in EVENT} for _, event in happened]
    writes.insert(connection, "alert_events", pl.DataFrame(rows, schema=EVENT))
    alarms = [_alarm(alert, event) for alert, event in happened]
    told = [(alert, alarm) for (alert, _), alarm in zip(happened, alarms, strict=True)]
    pending = [
        dict(zip(DELIVERY, (alarm.event_id, alarm.alert_id, sink, "pending", 0, now, None), strict=True))
        for alert, alarm in told
        for sink in (alert.to or sinks)
    ]
    writes.insert(connection, "alert_deliveries", pl.DataFrame(pending, schema=DELIVERY))
    return alarms, len(mine) == len(wanted)


def known(text: str) -> Condition | None:
    """A condition from the store; one that a later version wrote is left alone, so that it cannot stop the others."""
    try:
        return from_text(text)
    except UsageError as error:
        log.warning("an alert is skipped: %s", error)
        return None


def words(text: str) -> str:
    """A condition in words, or as it is where this version cannot read it."""
    return str(known(text) or text)


def looks(engine: Engine) -> dict[str, str]:
    """What is seen of the markets of each alert, and what is wrong with it, as JSON."""
    found: dict[str, str] = {}
    for name, alert in engine.alerts.items():
        seen: dict[str, Any] = {ticker: _seen(engine.quotes.get(ticker)) for ticker in alert.condition.tickers}
        if name in engine.problems:
            seen[PROBLEM] = {"problem": f"{type(engine.problems[name]).__name__}: {engine.problems[name]}"[:200]}
        found[name] = json.dumps(seen)
    return found


def note(row: Mapping[str, Any]) -> str:
    """What keeps an armed alert from being decided, in words."""
    if row["state"] != ARMED:
        return ""
    if known(row["condition"]) is None:
        return "this version cannot read the condition"
    seen = json.loads(row["last_look"] or "{}")
    return "; ".join(f"{ticker} {why}".strip() for ticker, one in seen.items() if (why := _undecided(one)))


def _alert(row: Mapping[str, Any], condition: Condition) -> Alert:
    return Alert(
        row["alert_id"], condition, row["label"], bool(row["repeat"]), timedelta(seconds=row["cooldown"] or 0),
        row["hysteresis"] or Decimal(0), row["expires_at"], tuple(row["sinks"] or ()),
    )  # fmt: skip


def _state(row: Mapping[str, Any]) -> State:
    past = row["past"]
    return State(row["state"], row["fired"], row["fired_at"], None if past is None else json.loads(past))


def _unchanged(change: Change, stand: Mapping[Key, tuple[str, int]]) -> bool:
    """Whether nobody else moved it on since it was read; what its condition remembers may differ."""
    now = stand.get((change.alert.alert_id, change.ticker)) or (ARMED, 0)
    return now == (change.before.state, change.before.fired)


def _states(connection: Connection, changes: Sequence[Change], now: datetime) -> None:
    rows = [
        {
            "alert_id": one.alert.alert_id, "ticker": one.ticker, "state": one.after.state, "fired": one.after.fired,
            "fired_at": one.after.fired_at, "past": _json(one.after), "seen_at": now,
        }
        for one in changes
    ]  # fmt: skip
    if rows:
        connection.register("changed", Arrow(pl.DataFrame(rows, schema=STATE)))
        connection.execute(MOVED)
        connection.unregister("changed")


def _looked(
    connection: Connection, changes: Sequence[Change], armed: set[str], now: datetime, looks: Mapping[str, str]
) -> None:
    """The state of each alert as a whole: of one with a pattern it is that of the pattern, not of a market."""
    states = {one.alert.alert_id: one.after.state for one in changes if one.ticker == NO_TICKER and one.after.over}
    rows = [
        {
            "alert_id": name,
            "state": states.get(name, ARMED),
            "checked_at": now,
            "last_look": looks.get(name),
        }
        for name in sorted((looks.keys() & armed) | states.keys())
    ]
    writes.upsert(connection, "alerts", ["alert_id"], pl.DataFrame(rows, schema=LOOK))


def _json(state: State) -> str | None:
    return None if state.past is None else json.dumps(state.past)


def _alarm(alert: Alert, event: Happening) -> Alarm:
    return Alarm(
        event.event_id, alert.alert_id, alert.label, str(alert.condition), event.time, event.what, event.ticker, event.yes_bid,
        event.yes_ask, event.message,
    )  # fmt: skip


def _seen(market: Quoted | None) -> dict[str, Any] | None:
    if market is None:
        return None
    sides = {"yes_bid": market.yes_bid, "yes_ask": market.yes_ask}
    return {name: side if side is None else str(side) for name, side in sides.items()} | {
        "status": market.status,
        "priced": market.is_priced,
    }


def _undecided(seen: Mapping[str, Any] | None) -> str:
    if seen is None:
        return "is not listed by the exchange"
    if "problem" in seen:
        return str(seen["problem"])
    return "" if seen["priced"] else "is not quoted on both sides"


__all__ = ["ALL", "EVENTS", "FIRED", "arm", "keep", "known", "looks", "note", "read", "remove", "words"]
