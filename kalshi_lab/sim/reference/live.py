"""Live data: how games and releases stand, and what the underlying of an event does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kalshi_lab.sim.catalog import BITCOIN
from kalshi_lab.sim.layout import LADDER
from kalshi_lab.sim.paths import STEPS
from kalshi_lab.sim.queries import Refused, bad, missing
from kalshi_lab.sim.reference.milestones import kind
from kalshi_lab.sim.wire import DAY, SECOND

if TYPE_CHECKING:
    from kalshi_lab.sim.draws import Ints
    from kalshi_lab.sim.queries import Query
    from kalshi_lab.sim.reference.milestones import Milestones
    from kalshi_lab.sim.reference.weather import Weather
    from kalshi_lab.sim.render import Json

RANGES = {"1h": 3_600, "6h": 6 * 3_600, "1d": DAY, "all": 7 * DAY}
_DEFAULT = "1d"
_POINTS = 120


class Live:
    """Answers about what goes on."""

    def __init__(self, milestones: Milestones, weather: Weather) -> None:
        self.milestones, self.weather = milestones, weather
        self.world, self.now = milestones.world, milestones.now

    def milestone(self, query: Query, milestone_id: str) -> Json:
        """GET /live_data/milestone/{milestone_id}; there are no players whose figures could be included."""
        query.flag("include_player_stats")
        return {"live_data": self._standing(milestone_id)}

    def typed(self, query: Query, type: str, milestone_id: str) -> Json:  # noqa: A002 - the name in the path
        """GET /live_data/{type}/milestone/{milestone_id}."""
        found = self.milestone(query, milestone_id)
        if found["live_data"]["type"] != type:
            raise missing()
        return found

    def batch(self, query: Query) -> Json:
        """GET /live_data/batch; identifiers that nothing has are left out."""
        query.flag("include_player_stats")
        found = []
        for milestone in query.repeated("milestone_ids", 100):
            try:
                found.append(self._standing(milestone))
            except Refused:
                continue
        return {"live_datas": found}

    def _standing(self, milestone: str) -> Json:
        row, now = self.milestones.find(milestone), self.now()
        spec = self.world.names.spec(row)
        details = self.milestones.games.details(row, now) if spec.shape == "game" else self._release(row, now)
        return {"type": kind(spec), "milestone_id": milestone, "details": details}

    def _release(self, row: int, now: int) -> Json:
        """The figure, once it is out."""
        at = self.milestones.start(row)
        value = self.world.names.settled_value(row, self.world.final_value(row)) if now >= at else None
        status = "released" if now >= at else "scheduled"
        return {"status": status, "release_ts": at // SECOND, "value": value, "unit": "percent"}

    def game_stats(self, _query: Query, milestone_id: str) -> Json:
        """GET /live_data/milestone/{milestone_id}/game_stats; empty for what is no game."""
        row = self.milestones.find(milestone_id)
        if self.world.names.spec(row).shape != "game":
            return {}
        return {"pbp": {"periods": self.milestones.games.periods(row, self.now())}}

    def event(self, query: Query, event_ticker: str) -> Json:
        """GET /live_data/events/{event_ticker}: the price of Bitcoin, or a city's temperature."""
        row, now = self.world.names.find_event(event_ticker), self.now()
        if row is None or self.world.event_status(now)[row] < 0:
            raise missing()
        wanted = query.text("range") or _DEFAULT
        if wanted not in RANGES:
            raise bad(f"parameter range must be one of {', '.join(RANGES)}")
        spec = self.world.names.spec(row)
        if spec is not BITCOIN and self.world.names.shape(row) != LADDER:
            raise missing()
        last = min(now, int(self.world.events.close[row]))
        first = max(last - RANGES[wanted] * SECOND, int(self.world.events.open[row]))
        times = np.unique(np.linspace(first, max(first, last), _POINTS).astype(np.int64) // SECOND)
        values = self._prices(row, times) if spec is BITCOIN else self.weather.readings(row, times)
        points = [{"ts": at, "value": value} for at, value in zip(times.tolist(), values, strict=True)]
        details = {"points": points if last >= int(self.world.events.open[row]) else [], "unit": _unit(spec is BITCOIN)}
        return {
            "live_data": {
                "type": "price_chart" if spec is BITCOIN else "temperature_chart",
                "details": details,
                "is_historical": now >= int(self.world.events.close[row]),
                "default_range": _DEFAULT,
                "range_options": list(RANGES),
            }
        }

    def _prices(self, row: int, times: Ints) -> list[float]:
        """The hidden price at some Unix seconds; at the end, the one that decides the event."""
        step = np.minimum(self.world.paths.step(np.full(len(times), row), times * SECOND), STEPS)
        return [round(value, 2) for value in self.world.paths.latent(np.full(len(times), row), step).tolist()]


def _unit(price: bool) -> str:
    return "usd" if price else "fahrenheit"
