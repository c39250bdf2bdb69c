"""The monitor: keeps alerts in the store, looks at what they need when it is told to or all the time, and lets each fire once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab import frames
from kalshi_lab.alerts import kept
from kalshi_lab.alerts.conditions import Condition, amount
from kalshi_lab.alerts.deliveries import Deliveries
from kalshi_lab.alerts.engine import FIRED, NO_TICKER, Engine
from kalshi_lab.alerts.facts import Facts
from kalshi_lab.alerts.looks import look_around
from kalshi_lab.alerts.past import fired_before
from kalshi_lab.alerts.watch import AsyncWatch, Watch
from kalshi_lab.clock import moment, span
from kalshi_lab.errors import UsageError
from kalshi_lab.portal import Facade, blocking

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from decimal import Decimal

    from kalshi_lab.alerts.conditions import Price
    from kalshi_lab.alerts.facts import Lent
    from kalshi_lab.alerts.sinks import Sink
    from kalshi_lab.clock import Clock, When
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.store import Store

FROM_NOW = frozenset({"listed", "evidence"})  # facts of which only what comes after is news
TICKERS = pl.List(pl.String)
HISTORY: dict[str, Any] = {
    "alert_id": pl.String, "label": pl.String, "condition": pl.String, "time": frames.TIME, "what": pl.String, "ticker": pl.String,
    "yes_bid": frames.PRICE, "yes_ask": frames.PRICE, "message": pl.String,
}  # fmt: skip
LISTED: dict[str, Any] = {
    "alert_id": pl.String, "label": pl.String, "condition": pl.String, "tickers": TICKERS, "state": pl.String,
    "created_at": frames.TIME, "checked_at": frames.TIME, "note": pl.String, "fired": pl.Int64, "expires_at": frames.TIME,
}  # fmt: skip
COUNTS = "SELECT alert_id, count(*) FILTER (WHERE what = 'fired') AS fired FROM alert_events GROUP BY ALL"
DELIVERIES = "SELECT * FROM alert_deliveries ORDER BY time, event_id, sink"


class AsyncAlerts:
    """Alerts of one store: `add` a condition, then `check` now and then, or `start` a watch; each fires once, in whichever process.

    They live in the store, so they survive a restart. An alert is armed, then fired (or armed again, if it repeats), or ended where
    its market closed or its time was over first.
    """

    def __init__(self, kalshi: AsyncKalshi, store: Store, clock: Clock, *, lent: dict[str, Lent] | None = None) -> None:
        self._kalshi, self._store, self._clock = kalshi, store, clock
        self._facts = Facts(kalshi, store, lent or {})
        self._deliveries = Deliveries(store, clock)
        self._watch: AsyncWatch | None = None

    async def add(
        self,
        condition: Condition,
        *,
        label: str = "",
        to: str | Iterable[str] = (),
        repeat: bool = False,
        cooldown: timedelta | str = timedelta(),
        hysteresis: Price = 0,
        expires: When | None = None,
    ) -> str:
        """Arm an alert and return its id; a condition that is armed already keeps its id, and must not be wanted with other options.

        to: names of sinks, empty for all that `send_to` was given. repeat: armed again once the condition has ceased to hold, with a
        hysteresis by so many dollars, and firing again no sooner than cooldown ("15m") after the last time. expires: when it ends by
        itself, as a time or a span from now ("7d"). Raises UsageError for what cannot be.
        """
        if not isinstance(condition, Condition):
            raise UsageError(
                f"{str(condition)[:80]!r} is no condition",
                hint='Give one like kl.above("KXHIGHNY-26NOV22-B50.5", 0.62)',
            )
        now = self._clock.now()
        until = None if expires is None else _later(expires, now)
        names = (to,) if isinstance(to, str) else tuple(to)
        again: dict[str, Any] = {
            "repeat": repeat,
            "cooldown": span(cooldown, what="cooldown"),
            "hysteresis": _margin(hysteresis),
        }
        alert_id = await self._store.write(
            lambda connection: kept.arm(connection, condition, label, now, expires_at=until, to=names, **again)
        )
        await self._begin(alert_id, condition)
        return alert_id

    async def _begin(self, alert_id: str, condition: Condition) -> None:
        """What is news is news from now on: what there is already is remembered before the first check."""
        engine, now = Engine(), self._clock.now()
        alerts, states = (
            await self._store.look(kept.read) if any(fact[0] in FROM_NOW for fact in condition.facts) else ([], {})
        )
        mine = [one for one in alerts if one.alert_id == alert_id and (alert_id, NO_TICKER) not in states]
        if mine:
            engine.load(mine, {})
            engine.facts = await self._facts.known({fact for fact in condition.facts if fact[0] in FROM_NOW}, now)
            engine.look(now)
            changes = [one for one in engine.changes() if not one.events]
            await self._store.write(lambda connection: kept.keep(connection, changes, now))

    async def check(self) -> pl.DataFrame:
        """Look at what the armed alerts need and return those that fired now; each fires once.

        One request for up to 100 markets, one listing for each pattern's series, and what else conditions ask. Columns: alert_id, label,
        condition (words), time Datetime(us, UTC), what ("fired"), ticker, yes_bid, yes_ask (Float64 dollars), message. Only a real
        two-sided quote counts. An alert whose market is closed becomes "ended", told in `history`; one whose market is missing stays
        armed, told in `list`. What fired is told to the sinks in the background.
        """
        engine = Engine()
        engine.load(*await self._store.look(kept.read))
        if not engine.alerts:
            return frames.floats(pl.DataFrame(schema=HISTORY))
        now = await look_around(engine, self._kalshi, self._facts, self._clock)
        changes, sinks, looks = engine.changes(), self._deliveries.names, kept.looks(engine)
        alarms, _ = await self._store.write(lambda connection: kept.keep(connection, changes, now, sinks, looks))
        self._deliveries.notify(alarms)
        return await self._history({alarm.event_id for alarm in alarms if alarm.what == FIRED})

    async def list(self) -> pl.DataFrame:
        """The alerts that were not removed, oldest first.

        Columns: alert_id, label, condition (words), tickers List(String), state (armed, fired, ended), created_at and checked_at
        Datetime(us, UTC), note: why an armed alert could not be decided at its last check, empty where it could; fired Int64 (how
        often), expires_at Datetime(us, UTC).
        """
        rows = (await self._store.read(kept.ALL)).to_dicts()
        fired = dict((await self._store.read(COUNTS)).rows())
        shown = [
            {name: row.get(name) for name in LISTED}
            | {
                "condition": kept.words(row["condition"]),
                "note": kept.note(row),
                "fired": fired.get(row["alert_id"], 0),
            }
            for row in rows
        ]
        return pl.DataFrame(shown, schema=LISTED)

    async def remove(self, alert_id: str) -> None:
        """Take an alert out of the list; what it did stays in `history`. UsageError for an id that is not in the list."""
        await self._store.write(lambda connection: kept.remove(connection, alert_id))

    async def history(self) -> pl.DataFrame:
        """What the alerts did, oldest first: a row for each time that one fired or ended.

        Columns: alert_id, label, condition (words), time Datetime(us, UTC), what (fired or ended), ticker, yes_bid, yes_ask (Float64
        dollars), message.
        """
        return await self._history(None)

    async def _history(self, events: set[str] | None) -> pl.DataFrame:
        rows = (await self._store.read(kept.EVENTS)).to_dicts()
        shown = [
            {name: row[name] for name in HISTORY} | {"condition": kept.words(row["condition"])}
            for row in rows
            if events is None or row["event_id"] in events
        ]
        return frames.floats(pl.DataFrame(shown, schema=HISTORY))

    async def start(self, *, every: timedelta | str = "1m", stream: bool = True) -> AsyncWatch:
        """Watch in the background: live books where there is a key for them, and a look at everything else every so often.

        Returns the watch, or the one that runs; it goes on after errors, which `status` tells, until `stop` or the end of the session.
        stream=False only looks every so often.
        """
        if self._watch is None or self._watch.over:
            self._watch = AsyncWatch(
                self._kalshi, self._store, self._clock, self._facts, self._deliveries, every=span(every, what="every"), stream=stream
            )  # fmt: skip
            await self._watch.start()
        return self._watch

    @property
    def watch(self) -> AsyncWatch | None:
        """The watch that was started last, None before."""
        return self._watch

    @property
    def sinks(self) -> tuple[str, ...]:
        """What the sinks of this session are called."""
        return self._deliveries.names

    async def stop(self) -> None:
        """End the watch, and wait a little for what is being told; what is not told by then is told after the next start."""
        if self._watch is not None:
            await self._watch.stop()
        await self._deliveries.close()

    async def send_to(self, *sinks: Sink) -> None:
        """Where events are told, from now on: `kl.ToNotebook()`, `kl.ToFile(path)`, `kl.ToWebhook(url, ...)`, `kl.ToApprise(url)`.

        They hold for this session, since their addresses may be secrets, which the store never has. What a sink of the same name was
        not told before, as after a crash, it is told now. Raises UsageError for what is no sink, or two of one name.
        """
        await self._deliveries.use(sinks)

    async def deliveries(self) -> pl.DataFrame:
        """What was told where.

        Columns: event_id, alert_id, sink, state (pending, sent, failed), attempts Int64, time Datetime(us, UTC) of the last change, error.
        """
        return await self._store.read(DELIVERIES)

    async def backtest(
        self,
        condition: Condition,
        *,
        since: When | None = None,
        until: When | None = None,
        repeat: bool = True,
        cooldown: timedelta | str = timedelta(),
        hysteresis: Price = 0,
    ) -> pl.DataFrame:
        """How often, and when, an alert would have fired by the quotes that the store has.

        Columns: time Datetime(us, UTC), ticker, yes_bid, yes_ask (Float64 dollars), message. Between two looks nothing is known, so it
        fires no more often than quotes were kept. Raises UsageError for conditions on more than quotes and volume.
        """
        return await fired_before(
            self._store, condition, _bounds(since, until, self._clock.now()), repeat=repeat,
            cooldown=span(cooldown, what="cooldown"), hysteresis=_margin(hysteresis),
        )  # fmt: skip

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
    stop = blocking(AsyncAlerts.stop)
    send_to = blocking(AsyncAlerts.send_to)
    deliveries = blocking(AsyncAlerts.deliveries)
    backtest = blocking(AsyncAlerts.backtest)

    def start(self, *, every: timedelta | str = "1m", stream: bool = True) -> Watch:
        """Watch in the background: live books where there is a key for them, and a look at everything else every so often.

        See `AsyncAlerts.start`.
        """
        return Watch(self._call(self._twin.start(every=every, stream=stream)))

    def __repr__(self) -> str:
        return repr(self._twin).replace("AsyncAlerts", "Alerts")


def _margin(hysteresis: Price) -> Decimal:
    found = amount(hysteresis, "hysteresis")
    if not 0 <= found < 1:
        raise UsageError(f"hysteresis {hysteresis} is not between 0 and 1 dollars")
    return found


def _later(expires: When, now: datetime) -> datetime:
    """A span counts from now on, towards the future."""
    until = now + span(expires, what="expires") if isinstance(expires, str) and expires[-1:] in "smhdw" else None
    until = now + expires if isinstance(expires, timedelta) else until
    found = moment(expires, now=now, what="expires") if until is None else until
    if found <= now:
        raise UsageError(
            f"expires {expires} is over already", hint='Give a later time, or a span from now: expires="7d"'
        )
    return found


def _bounds(since: When | None, until: When | None, now: datetime) -> tuple[datetime | None, datetime | None]:
    found = [
        None if one is None else moment(one, now=now, what=what) for one, what in ((since, "since"), (until, "until"))
    ]
    if found[0] is not None and found[1] is not None and found[0] >= found[1]:
        raise UsageError("since is not before until")
    return found[0], found[1]
