"""What happens to events and their markets on the world's own calendar, as messages of the lifecycle channels."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from kalshi_lab.sim.feed import messages
from kalshi_lab.sim.layout import COMBINED
from kalshi_lab.sim.static import overrides
from kalshi_lab.sim.wire import DOLLAR, SECOND, price
from kalshi_lab.sim.world import microseconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kalshi_lab.sim.draws import Ints
    from kalshi_lab.sim.render import Json, Renderer

CREATED, OVERRIDE, PAUSED, RESUMED, CLOSED, DETERMINED, SETTLED = range(7)
PLAIN, COMBOS = "market_lifecycle_v2", "multivariate_market_lifecycle"
Message = tuple[str, str, dict[str, Any], str]
"""Channel, type, body and, where there is one, the market's ticker."""


class Calendar:
    """Every change of state of a world's events, by time."""

    def __init__(self, renderer: Renderer) -> None:
        self.renderer, self.world = renderer, renderer.world
        self._fees = [(int(self._at(change)), change) for change in overrides(self.world)]
        self._known: tuple[int, tuple[Ints, Ints, Ints]] = -1, (np.empty(0, dtype=np.int64),) * 3

    @staticmethod
    def _at(change: Json) -> int:
        return microseconds(datetime.fromisoformat(change["scheduled_ts"]))

    def _dates(self) -> tuple[Ints, Ints, Ints]:
        """Times, what happens, and to which event (or place in the list of fee changes), by time."""
        if self._known[0] != len(self.world.events):
            self._known = len(self.world.events), self._sorted()
        return self._known[1]

    def _sorted(self) -> tuple[Ints, Ints, Ints]:
        events = self.world.events
        rows = np.arange(len(events))
        paused, moved = rows[events.pause_start > 0], rows[events.shown_close != events.close]
        parts = [
            (CREATED, events.created, rows), (PAUSED, events.pause_start[paused], paused), (RESUMED, events.pause_end[paused], paused),
            (CLOSED, events.close[moved], moved), (DETERMINED, events.determined, rows), (SETTLED, events.settled, rows),
            (OVERRIDE, np.array([at for at, _ in self._fees], dtype=np.int64), np.arange(len(self._fees))),
        ]  # fmt: skip
        times, which = (np.concatenate([part[place] for part in parts]) for place in (1, 2))
        kinds = np.concatenate([np.full(len(part[1]), part[0]) for part in parts])
        order = np.lexsort((which, kinds, times))
        return times[order], kinds[order], which[order]

    def catch_up(self) -> None:
        """Take note of the events that clients made so far, without a word."""
        self._dates()

    def between(self, before: int, now: int) -> Iterator[Message]:
        """The messages of what happened after `before` and up to `now`, in order."""
        known = self._known[0]
        times, kinds, which = self._dates()
        for event in range(known, len(self.world.events)) if known >= 0 else ():
            # a client made it, at a time that may be told already
            if self.world.events.created[event] <= before:
                yield from self._messages(now, CREATED, event)
        first, last = np.searchsorted(times, (before, now), side="right").tolist()
        for place in range(first, last):
            yield from self._messages(int(times[place]), int(kinds[place]), int(which[place]))

    def _messages(self, at: int, kind: int, which: int) -> Iterator[Message]:
        if kind == OVERRIDE:
            change = self._fees[which][1]
            names = ("event_ticker", "fee_type_override", "fee_multiplier_override")
            yield PLAIN, "event_fee_update", {name: change[name] for name in names}, ""
            return
        combo = int(self.world.events.shape[which]) == COMBINED
        channel = COMBOS if combo else PLAIN
        if kind == CREATED:
            yield channel, "event_lifecycle", messages.event_created(self.renderer.event(which, at)), ""
        first = int(self.world.events.first[which])
        for row in range(first, first + int(self.world.events.count[which])):
            made = self._market(row, kind, at)
            yield channel, channel, made, made["market_ticker"]

    def _market(self, row: int, kind: int, at: int) -> dict[str, Any]:
        if kind == CREATED:
            return messages.created(self.renderer.markets(np.array([row]), at)[0])
        named = {"market_ticker": self.world.names.market(row)}
        if kind in {PAUSED, RESUMED}:
            word = "deactivated" if kind == PAUSED else "activated"
            return {"event_type": word, **named, "is_deactivated": kind == PAUSED}
        if kind == CLOSED:
            return {"event_type": "close_date_updated", **named, "close_ts": at // SECOND}
        if kind == SETTLED:
            return {"event_type": "settled", **named, "settled_ts": at // SECOND}
        value = int(self.world.payouts[row])
        result = {0: "no", DOLLAR: "yes"}.get(value, "scalar")
        paid = {"result": result, "determination_ts": at // SECOND, "settlement_value": price(value)}
        return {"event_type": "determined", **named, **paid}
