"""The alert board: what waits, what fired and where it was told, and a form for more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from kalshi_lab.errors import UsageError
from kalshi_lab.notebook.alert_form import AlertForm
from kalshi_lab.notebook.house import Panel, bare, button, row
from kalshi_lab.notebook.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

EVERY: Final = 2.0  # seconds between two looks at the store while somebody looks at the board
WAITING: Final = (
    Column("alert_id", "id", width="4em"),
    Column("state", "state", width="5em"),
    Column("condition", "waits for", width="minmax(14em, 2fr)"),
    Column("label", "label", width="minmax(8em, 1fr)"),
    Column("fired", "fired", "number", "4em"),
    Column("expires_at", "ends (UTC)", width="12em"),
    Column("note", "what is wrong", width="minmax(8em, 1fr)"),
)
FIRED: Final = (
    Column("time", "time (UTC)", width="12em"),
    Column("label", "label", width="minmax(8em, 1fr)"),
    Column("message", "what happened", width="minmax(16em, 3fr)"),
)
TOLD: Final = (
    Column("time", "time (UTC)", width="12em"),
    Column("event_id", "event", width="8em"),
    Column("sink", "told to", width="minmax(8em, 1fr)"),
    Column("state", "state", width="5em"),
    Column("attempts", "attempts", "number", "6.5em"),
    Column("error", "error", width="minmax(8em, 2fr)"),
)


class AlertBoard(Panel):
    """Alerts in three tables and a form; `picked` is the id of the alert that was chosen in the first one."""

    def __init__(self, lab: Any) -> None:
        super().__init__(lab, "Alerts")
        self.picked = ""
        self.form = AlertForm()
        empty = pl.DataFrame()
        self.waiting = Table(
            empty, columns=WAITING, on_pick=self._pick, label="Alerts", caption=True, height=200, alive=True
        )
        self.fired = Table(empty, columns=FIRED, sort="-time", label="What fired", caption=True, height=160)
        self.told = Table(empty, columns=TOLD, sort="-time", label="Deliveries", caption=True, height=120)
        acts = row(
            button("Add", self._add, style="primary", hint="Keep the alert that the form describes"),
            button("Remove", self._remove, hint="Remove the chosen alert"),
            button("Check now", lambda: self.begin(self.check()), hint="Look at everything once"),
            button("Start watching", lambda: self.begin(self.watch()), hint="Go on in the background"),
            button("Stop watching", lambda: self.begin(self.rest())),
        )
        self.compose(self.form, acts, self.waiting, self.fired, self.told)
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
        self.form.offer(kept.sinks)

    async def add(self) -> None:
        """What the form says; it is emptied only once the alert is kept. Raises UsageError, before anything is kept, for what cannot be."""
        condition, kept = self.form.condition(), self.lab.alerts
        alert_id = await kept.add(condition, **self.form.wanted(kept.sinks))
        self.form.clear()
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

    def _add(self) -> None:
        self.begin(self.add())

    def _remove(self) -> None:
        self.begin(self.remove())

    def _pick(self, picked: dict[str, Any]) -> None:
        self.picked = str(picked["alert_id"])
        self.say(f"{self.picked}: {picked['condition']}")

    def _how(self) -> str:
        watch = self.lab.alerts.watch
        return "not watched" if watch is None or watch.over else bare(watch.status)


def _replace(table: Table, rows: pl.DataFrame) -> None:
    """Send only what changed, so that a page in use stays still."""
    if not rows.equals(table.rows):
        table.rows = rows
