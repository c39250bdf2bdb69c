"""The alert board: what waits, what fired and where it was told, and a form for more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from kalshi_lab import alerts
from kalshi_lab.errors import UsageError
from kalshi_lab.notebook.house import Panel, button, choice, line, row
from kalshi_lab.notebook.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kalshi_lab.alerts import Condition

EVERY: Final = 2.0  # seconds between two looks at the store while somebody looks at the board
# for each kind: what it is about, what its number is, what its time is; empty where it has none
FORMS: Final[dict[str, tuple[str, str, str]]] = {
    "above": ("market or pattern", "dollars", ""),
    "below": ("market or pattern", "dollars", ""),
    "crosses": ("market or pattern", "dollars", ""),
    "moves": ("market or pattern", "dollars", "within"),
    "spread_above": ("market or pattern", "dollars", ""),
    "volume_above": ("market or pattern", "contracts", ""),
    "volume_rate_above": ("market or pattern", "contracts", "per"),
    "settles": ("market or pattern", "", ""),
    "market_listed": ("series", "", ""),
    "arbitrage_appears": ("event", "", ""),
    "evidence_against": ("thesis", "", ""),
    "data_stale": ("dataset", "", "after"),
}
WAITING: Final = (
    Column("alert_id", "id", width="4em"),
    Column("state", "state", width="5em"),
    Column("condition", "waits for", width="minmax(14em, 2fr)"),
    Column("label", "label", width="minmax(8em, 1fr)"),
    Column("fired", "fired", "number", "4em"),
    Column("note", "what is wrong", width="minmax(8em, 1fr)"),
)
FIRED: Final = (
    Column("time", "time (UTC)", width="11em"),
    Column("label", "label", width="minmax(8em, 1fr)"),
    Column("message", "what happened", width="minmax(16em, 3fr)"),
)
TOLD: Final = (
    Column("time", "time (UTC)", width="11em"),
    Column("event_id", "event", width="8em"),
    Column("sink", "told to", width="minmax(8em, 1fr)"),
    Column("state", "state", width="5em"),
    Column("attempts", "attempts", "number", "5em"),
    Column("error", "error", width="minmax(8em, 2fr)"),
)


class AlertBoard(Panel):
    """Alerts in three tables and a form; `picked` is the id of the alert that was chosen in the first one."""

    def __init__(self, lab: Any) -> None:
        super().__init__(lab, "Alerts")
        self.picked = ""
        self.kind = choice("Kind", list(FORMS))
        self.about, self.number, self.time = line("About"), line("Number", width="13em"), line("Time", width="13em")
        self.name = line("Label", hint="for yourself", width="20em")
        self.again = choice("Fires", ["once", "again and again"])
        empty = pl.DataFrame()
        self.waiting = Table(empty, columns=WAITING, on_pick=self._pick, label="Alerts", height=200, alive=True)
        self.fired = Table(empty, columns=FIRED, sort="-time", label="What fired", height=160)
        self.told = Table(empty, columns=TOLD, sort="-time", label="Deliveries", height=120)
        self.kind.observe(lambda _: self._fit(), "value")
        self._fit()
        form = row(
            self.kind,
            self.about,
            self.number,
            self.time,
            self.name,
            self.again,
            button("Add", self._add, style="primary"),
        )
        acts = row(
            button("Remove", self._remove, hint="Remove the chosen alert"),
            button("Check now", lambda: self.begin(self.check()), hint="Look at everything once"),
            button("Start watching", lambda: self.begin(self.watch()), hint="Go on in the background"),
            button("Stop watching", lambda: self.begin(self.rest())),
        )
        self.compose(form, acts, self.waiting, self.fired, self.told)
        self.every(EVERY, self.load)

    @property
    def tables(self) -> Sequence[Table]:
        """What waits, what fired, what was told."""
        return (self.waiting, self.fired, self.told)

    async def load(self) -> None:
        """Everything as the store has it."""
        kept = self.lab.alerts
        listed, happened, told = await kept.list(), await kept.history(), await kept.deliveries()
        _replace(self.waiting, listed.select(one.name for one in WAITING))
        _replace(self.fired, happened.select(one.name for one in FIRED))
        _replace(self.told, told.select(one.name for one in TOLD))
        self.waiting.foot = self._how()

    async def add(self, condition: Condition) -> None:
        """One more alert; the form is emptied only once it is kept."""
        alert_id = await self.lab.alerts.add(
            condition, label=self.name.value.strip(), repeat=self.again.value != "once"
        )
        self.about.value = self.number.value = self.time.value = self.name.value = ""
        await self.load()
        self.say(f"{alert_id} waits for: {condition}")

    async def remove(self) -> None:
        """Take the chosen one away."""
        if not self.picked:
            raise UsageError("no alert is chosen", hint="Choose one in the table, by a click or with Enter")
        removed, self.picked = self.picked, ""
        await self.lab.alerts.remove(removed)
        await self.load()
        self.say(f"{removed} is removed; what it did stays below")

    async def check(self) -> None:
        """Look at everything once."""
        found = await self.lab.alerts.check()
        await self.load()
        self.say(f"{found.height} fired" if found.height else "nothing fired")

    async def watch(self) -> None:
        """Go on in the background."""
        await self.lab.alerts.start()
        await self.load()
        self.say("it is watched in the background, until you stop it or the lab is closed")

    async def rest(self) -> None:
        """End the watch."""
        await self.lab.alerts.stop()
        await self.load()
        self.say("nothing is watched any more")

    def condition(self) -> Condition:
        """What the form says. Raises UsageError, which names the field, for what cannot be."""
        kind = self.kind.value
        about, number, time = FORMS[kind]
        given = [self._filled(self.about, about)]
        given += [self._filled(self.number, number)] if number else []
        words = {time: self._filled(self.time, time)} if time else {}
        made: Callable[..., Condition] = getattr(alerts, kind)
        return made(*given, **words)

    def _add(self) -> None:
        try:
            condition = self.condition()
        except UsageError as error:
            self.fail(error)
        else:
            self.begin(self.add(condition))

    def _remove(self) -> None:
        self.begin(self.remove())

    def _pick(self, picked: dict[str, Any]) -> None:
        self.picked = str(picked["alert_id"])
        self.say(f"{self.picked}: {picked['condition']}")

    def _fit(self) -> None:
        """Show the fields that the kind has, with what belongs there."""
        about, number, time = FORMS[self.kind.value]
        self.about.placeholder = about
        for box, word in ((self.number, number), (self.time, time)):
            box.placeholder = {"": "", "dollars": "dollars, like 0.62"}.get(word, "like 1h" if word == time else word)
            box.layout.display = None if word else "none"

    def _how(self) -> str:
        watch = self.lab.alerts.watch
        return "not watched" if watch is None or watch.over else repr(watch.status).strip("<>")

    @staticmethod
    def _filled(box: Any, what: str) -> str:
        if not box.value.strip():
            raise UsageError(f"{box.description}: give the {what}")
        return str(box.value).strip()


def _replace(table: Table, rows: pl.DataFrame) -> None:
    """Send only what changed, so that a page in use stays still."""
    if not rows.equals(table.rows):
        table.rows = rows
