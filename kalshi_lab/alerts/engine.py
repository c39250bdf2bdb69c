"""The engine: what alerts make of what is seen, step by step; it does no I/O and knows no clock.

An alert is armed until its condition holds, and fires then. One that repeats waits until the condition has ceased to hold (with the
hysteresis, by so much), is armed again, and fires again no sooner than its cooldown allows. It ends when its time is over, or when
all its markets are. An alert about a pattern does all that for each market by itself.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from kalshi_lab.alerts.concerned import Concerned
from kalshi_lab.alerts.conditions import Condition, matches
from kalshi_lab.alerts.seen import OVER, Past, Quoted, Seen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kalshi_lab.alerts.seen import Fact

log = logging.getLogger(__name__)
ARMED, WAITING, FIRED, ENDED, REMOVED = "armed", "waiting", "fired", "ended", "removed"
NO_TICKER = ""
EXPIRED = "its time is over"
Key = tuple[str, str]  # alert_id, and the market where the alert is about a pattern


@dataclass(frozen=True, slots=True)
class Alert:
    """What was asked for."""

    alert_id: str
    condition: Condition
    label: str = ""
    repeat: bool = False
    cooldown: timedelta = timedelta()
    hysteresis: Decimal = Decimal(0)
    expires_at: datetime | None = None
    to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """How far an alert is with one market: how often it fired, when last, and what its condition remembers."""

    state: str = ARMED
    fired: int = 0
    fired_at: datetime | None = None
    past: Past = None

    @property
    def over(self) -> bool:
        """Whether nothing can come of it any more."""
        return self.state in {FIRED, ENDED}


@dataclass(frozen=True, slots=True)
class Happening:
    """An alert fired, or ended."""

    alert_id: str
    event_id: str
    time: datetime
    what: str
    ticker: str | None
    yes_bid: Decimal | None
    yes_ask: Decimal | None
    message: str


class Subject(NamedTuple):
    """An alert with its condition about one market of its pattern, or, with an empty ticker, as it is."""

    alert: Alert
    condition: Condition
    ticker: str = NO_TICKER


def step(about: Subject, state: State, seen: Seen) -> tuple[State, Happening | None]:
    """The state after a moment, and what happened in it."""
    alert, bound, _ = about
    if state.over:
        return state, None
    if alert.expires_at is not None and seen.now >= alert.expires_at:
        return _ended(about, state, seen, EXPIRED)
    mine = [seen.markets.get(name) for name in bound.tickers]
    if mine and not bound.lasting and all(one is not None and one.status in OVER for one in mine):
        return _ended(about, state, seen, "the market is over")
    waits = state.state == WAITING
    judged = bound.judge(replace(seen, margin=alert.hysteresis) if waits else seen, state.past)
    after = replace(state, past=judged.past)
    if waits:
        return (replace(after, state=ARMED) if judged.holds is False else after), None
    resting = state.fired_at is not None and seen.now < state.fired_at + alert.cooldown
    if not judged.holds or resting:
        return after, None
    fired = replace(after, state=WAITING if alert.repeat else FIRED, fired=state.fired + 1, fired_at=seen.now)
    return fired, _happened(about, fired, seen, judged.said)


def _ended(about: Subject, state: State, seen: Seen, why: str) -> tuple[State, Happening | None]:
    ended = replace(state, state=ENDED)
    if about.ticker and why != EXPIRED:
        return ended, None  # one market of a pattern: the alert goes on
    return ended, _happened(about, ended, seen, f"since {why}")


def _happened(about: Subject, state: State, seen: Seen, said: str) -> Happening:
    alert, bound, ticker = about
    what = ENDED if state.state == ENDED else FIRED
    names = bound.tickers
    only = seen.markets.get(names[0]) if len(names) == 1 else None
    words = f"{bound}: {what}"
    if what == FIRED and only is not None:
        words += f" at bid {_shown(only.yes_bid)}, ask {_shown(only.yes_ask)}"
    if said:
        words += f", {said}" if what == ENDED else f" ({said})"
    if what == ENDED and only is not None and only.status:
        words += f" ({only.status})"
    number = f"{state.fired}" if what == FIRED else ENDED
    return Happening(
        alert.alert_id, ":".join(filter(None, (alert.alert_id, ticker, number))), seen.now, what, names[0] if len(names) == 1 else None,
        None if only is None else only.yes_bid, None if only is None else only.yes_ask, words,
    )  # fmt: skip


def _shown(price: Decimal | None) -> str:
    return "unknown" if price is None else str(price)


@dataclass(slots=True)
class Change:
    """What came of one alert and market since it was kept last: the state that is kept, the one that it has now, what happened."""

    alert: Alert
    ticker: str
    before: State
    after: State
    events: list[Happening] = field(default_factory=list)


class Engine:
    """The alerts that are armed, and what they make of each quote and fact as it is seen."""

    def __init__(self) -> None:
        self.quotes: dict[str, Quoted] = {}
        self.facts: dict[Fact, Any] = {}
        self.problems: dict[str, Exception] = {}
        self.alerts: dict[str, Alert] = {}
        self._states: dict[Key, State] = {}
        self._changes: dict[Key, Change] = {}
        self._about: dict[str, Concerned[Subject]] = {}

    def load(self, alerts: Iterable[Alert], states: Mapping[Key, State]) -> None:
        """Take the alerts and their states as they are kept; what was not handed out is forgotten."""
        self.alerts = {one.alert_id: one for one in alerts}
        self._states, self._changes, self._about, self.problems = dict(states), {}, {}, {}
        self.facts = {fact: known for fact, known in self.facts.items() if fact in self.needed}

    @property
    def tickers(self) -> tuple[str, ...]:
        """The markets that are named."""
        return tuple(sorted({ticker for one in self._live() for ticker in one.condition.tickers}))

    @property
    def patterns(self) -> tuple[str, ...]:
        """The patterns that are."""
        return tuple(sorted({one.condition.pattern for one in self._live() if one.condition.pattern}))

    @property
    def needed(self) -> frozenset[Fact]:
        """The facts that are."""
        return frozenset(fact for one in self._live() for fact in one.condition.facts)

    @property
    def by_volume(self) -> bool:
        """Whether the volume decides one of them."""
        return any(one.condition.by_volume for one in self._live())

    def _live(self) -> list[Alert]:
        return [one for one in self.alerts.values() if not self.state(one.alert_id).over]

    def state(self, alert_id: str, ticker: str = NO_TICKER) -> State:
        """How far an alert is."""
        return self._states.get((alert_id, ticker), State())

    def watched(self) -> frozenset[str]:
        """The markets of patterns that are not over yet, whether or not they are listed still."""
        return frozenset(ticker for (_, ticker), one in self._states.items() if ticker and not one.over)

    def see(self, quote: Quoted, now: datetime) -> None:
        """A quote, as it is now."""
        self.quotes[quote.ticker] = quote
        seen = Seen(self.quotes, now, self.facts)
        for one in self._who(quote.ticker).by(quote):
            self._step(one, seen)

    def look(self, now: datetime) -> None:
        """Everything anew, as after facts were learned, or for what only time decides."""
        seen = Seen(self.quotes, now, self.facts)
        for alert in self.alerts.values():
            expired = alert.expires_at is not None and now >= alert.expires_at
            if expired or alert.condition.pattern is None:
                self._step(Subject(alert, alert.condition), seen)
        for ticker in list(self.quotes):
            for one in self._who(ticker).everyone:
                if one.ticker:
                    self._step(one, seen)

    def changes(self) -> list[Change]:
        """What came of it since the last time, to be kept; those that only remember something new among them."""
        found, self._changes = list(self._changes.values()), {}
        return found

    def give_back(self, changes: Iterable[Change]) -> None:
        """These could not be kept: they are handed out again, before what came since."""
        for one in changes:
            key = (one.alert.alert_id, one.ticker)
            newer = self._changes.get(key)
            self._changes[key] = (
                one if newer is None else replace(newer, before=one.before, events=[*one.events, *newer.events])
            )

    @property
    def happened(self) -> bool:
        """Whether there is a change that must be kept at once: an event, or an alert that is armed again."""
        return any(one.events or one.after.state != one.before.state for one in self._changes.values())

    def _who(self, ticker: str) -> Concerned[Subject]:
        """The alerts that a market is about, with their conditions about it."""
        if ticker in self._about:
            return self._about[ticker]
        found = self._about[ticker] = Concerned()
        for alert in self.alerts.values():
            pattern = alert.condition.pattern
            by_time = alert.cooldown or alert.expires_at is not None
            if pattern is None and ticker in alert.condition.tickers:
                found.add(Subject(alert, alert.condition), None if by_time else alert.condition.edges(alert.hysteresis))
            elif pattern is not None and matches(ticker, pattern):
                bound = alert.condition.bound(ticker)
                found.add(Subject(alert, bound, ticker), None if by_time else bound.edges(alert.hysteresis))
        return found

    def _step(self, about: Subject, seen: Seen) -> None:
        alert, _, ticker = about
        key = (alert.alert_id, ticker)
        known = self._states.get(key)
        before = known or State()
        if before.over or (ticker and self.state(alert.alert_id).over):
            return
        try:
            after, happened = step(about, before, seen)
        except Exception as error:  # one condition's fault must not silence the others
            if str(self.problems.get(alert.alert_id)) != str(error):
                log.exception("alert %s could not be judged", alert.alert_id)
            self.problems[alert.alert_id] = error
            return
        if after == before and happened is None and (known is not None or not ticker):
            return  # a market of a pattern is remembered from its first look on, to be looked for when it leaves the listing
        self._states[key] = after
        change = self._changes.get(key)
        if change is None:
            change = self._changes[key] = Change(alert, ticker, before, after)
        change.after = after
        if happened is not None:
            change.events.append(happened)
