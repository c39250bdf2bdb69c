"""Which markets and events a listing shows: the filters, the rules on combining them, and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kalshi_lab.sim.catalog import COLLECTION, NUMBER
from kalshi_lab.sim.layout import COMBINED
from kalshi_lab.sim.queries import Query, bad
from kalshi_lab.sim.wire import SECOND
from kalshi_lab.sim.world import ACTIVE, CLOSED, DETERMINED, FINALIZED, INACTIVE, INITIALIZED, World

if TYPE_CHECKING:
    from kalshi_lab.sim.draws import Bools, Ints

# the words that a filter takes are not the words that a market shows
WORDS = {
    "unopened": (INITIALIZED,),
    "open": (ACTIVE,),
    "paused": (INACTIVE,),
    "closed": (CLOSED, DETERMINED),
    "settled": (FINALIZED,),
}
_WITH = {"created": {"", "unopened", "open"}, "close": {"", "closed"}, "settled": {"", "settled"}, "updated": {""}}


class Listing:
    """Selects rows of a world for the listing endpoints."""

    def __init__(self, world: World) -> None:
        self.world, self.events, self.rows = world, world.events, world.markets

    def markets(self, query: Query, now: int) -> Ints:
        """The live markets that the filters of GET /markets leave, in listing order, as positions in `world.order`."""
        status, group = query.word("status", WORDS), self._time_group(query)
        combos = query.word("mve_filter", ("only", "exclude"))
        self._check(query, status, group, combos)
        state = self.world.event_status(now)
        keep = (state >= 0) & ~self.world.archived(now)
        if status:
            keep &= np.isin(state, WORDS[status])
        keep &= self._combos(combos) & self._timed(query, group, now)
        return self._positions(query, keep)

    def archive(self, query: Query, now: int) -> Ints:
        """The markets that the filters of GET /historical/markets leave."""
        given = [name for name in ("tickers", "event_ticker", "series_ticker") if query.text(name)]
        if len(given) > 1:
            raise bad(f"parameters {' and '.join(given)} exclude each other")
        keep = self.world.archived(now) & self._combos(query.word("mve_filter", ("exclude",)))
        return self._positions(query, keep)

    def _positions(self, query: Query, keep: Bools) -> Ints:
        keep &= self._family(query)
        chosen = keep[self.rows.event]
        if tickers := query.several("tickers"):
            named = [row for row in map(self.world.names.find_market, tickers) if row is not None]
            wanted = np.zeros(len(self.rows), dtype=np.bool_)
            wanted[named] = True
            chosen &= wanted
        return np.flatnonzero(chosen[self.world.order])

    def _family(self, query: Query) -> Bools:
        keep = np.ones(len(self.events), dtype=np.bool_)
        if series := query.text("series_ticker"):
            keep &= np.equal(self.events.series, NUMBER.get(series, -1))
        if event := query.text("event_ticker"):
            row = self.world.names.find_event(event)
            keep &= np.equal(np.arange(len(self.events)), -1 if row is None else row)
        return keep

    def _combos(self, wanted: str) -> Bools:
        combo = np.equal(self.events.shape, COMBINED)
        return {"only": combo, "exclude": ~combo}.get(wanted, np.ones_like(combo))

    @staticmethod
    def _time_group(query: Query) -> str:
        groups = [name for name in _WITH if query.text(f"min_{name}_ts") or query.text(f"max_{name}_ts")]
        if len(groups) > 1:
            raise bad("timestamp filters exclude each other")
        return groups[0] if groups else ""

    @staticmethod
    def _check(query: Query, status: str, group: str, combos: str) -> None:
        if not group:
            return
        if status not in _WITH[group]:
            raise bad(f"{group} timestamp filters cannot be combined with status {status}")
        if group == "updated":
            others = query.text("tickers") or query.text("event_ticker") or combos == "only"
            if others or (query.text("series_ticker") and combos != "exclude"):
                raise bad("updated timestamp filters can only be combined with mve_filter=exclude")

    def _timed(self, query: Query, group: str, now: int) -> Bools:
        keep = np.ones(len(self.events), dtype=np.bool_)
        if not group:
            return keep
        low, high = query.number(f"min_{group}_ts"), query.number(f"max_{group}_ts")
        times = self._times(group, now)
        if low is not None:
            keep &= times >= low * SECOND
        if high is not None:
            keep &= times <= high * SECOND
        return keep & (self.events.settled <= now) if group == "settled" else keep

    def _times(self, group: str, now: int) -> Ints:
        if group == "close":
            return self.world.close_shown(np.arange(len(self.events)), now)
        if group == "updated":
            return self.world.updated(now)
        return self.events.created if group == "created" else self.events.settled

    def series_events(self, query: Query, now: int) -> Ints:
        """The events that the filters of GET /events leave, as positions in `world.event_order`; combos are never among them."""
        state = self.world.event_status(now)
        keep = (state >= 0) & (self.events.shape != COMBINED) & self._family(query)
        if status := query.word("status", set(WORDS) - {"paused"}):
            keep &= np.isin(state, WORDS[status])
        for group in ("close", "updated"):
            low = query.number(f"min_{group}_ts")
            keep &= True if low is None else self._times(group, now) >= low * SECOND
        if tickers := query.several("tickers"):
            named = [row for row in map(self.world.names.find_event, tickers) if row is not None]
            keep &= np.isin(np.arange(len(keep)), named)
        return np.flatnonzero(keep[self.world.event_order])

    def combo_events(self, query: Query, now: int) -> Ints:
        """The events that the filters of GET /events/multivariate leave, as positions in `world.event_order`."""
        if query.text("series_ticker") and query.text("collection_ticker"):
            raise bad("series_ticker and collection_ticker exclude each other")
        keep = (self.world.event_status(now) >= 0) & (self.events.shape == COMBINED) & self._family(query)
        if query.text("collection_ticker") not in {"", COLLECTION}:
            keep &= False
        return np.flatnonzero(keep[self.world.event_order])

    def children(self, event: int, now: int) -> Ints:
        """The rows of an event's markets that the live endpoints serve."""
        if self.world.archived(now)[event] or self.world.event_status(now)[event] < 0:
            return np.empty(0, dtype=np.int64)
        first = int(self.events.first[event])
        return np.arange(first, first + int(self.events.count[event]))


def page(query: Query, path: str, positions: Ints, limit: int, *, newest_last: bool = False) -> tuple[Ints, str]:
    """The next `limit` of ascending positions after the request's cursor (before it where the newest is last), and the next cursor."""
    after = query.position(path)
    if newest_last:
        end = len(positions) if after is None else int(np.searchsorted(positions, after))
        chosen = positions[max(0, end - limit) : end][::-1]
        return chosen, query.cursor(path, int(chosen[-1])) if end > limit else ""
    start = 0 if after is None else int(np.searchsorted(positions, after, side="right"))
    chosen = positions[start : start + limit]
    return chosen, query.cursor(path, int(chosen[-1])) if start + limit < len(positions) else ""
