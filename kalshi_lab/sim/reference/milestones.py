"""Milestones: games and releases of figures, with the events that hang on them."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from kalshi_lab.sim.catalog import INFLATION, NUMBER, SERIES
from kalshi_lab.sim.layout import GAME
from kalshi_lab.sim.listing import page
from kalshi_lab.sim.queries import bad, missing
from kalshi_lab.sim.reference.games import LENGTH, Games
from kalshi_lab.sim.reference.identity import MILESTONE, SOURCE, identifier, identifiers
from kalshi_lab.sim.wire import SECOND, moment
from kalshi_lab.sim.world import microseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kalshi_lab.sim.catalog import Spec
    from kalshi_lab.sim.draws import Bools, Ints
    from kalshi_lab.sim.queries import Query
    from kalshi_lab.sim.render import Json
    from kalshi_lab.sim.world import World

PATH = "/milestones"
_DELAY = 300 * SECOND  # markets on a figure close so long before it is out


class Milestones:
    """The milestones of a world; each has the row of its first event."""

    def __init__(self, world: World, now: Callable[[], int]) -> None:
        self.world, self.now, self.games = world, now, Games(world)

    @cached_property
    def _rows(self) -> Ints:
        """The first events of all milestones, those created last first."""
        events = self.world.events
        kept = (events.shape == GAME) | (events.series == NUMBER[INFLATION.ticker])
        rows: Ints = self.world.event_order[kept[self.world.event_order]]
        return rows

    @cached_property
    def _found(self) -> dict[str, int]:
        named = identifiers(self.world.seed, MILESTONE, self._rows)
        return dict(zip(named, self._rows.tolist(), strict=True))

    def find(self, milestone: str) -> int:
        """The row of a milestone's first event. Raises Refused."""
        row = self._found.get(milestone)
        if row is None or self.world.event_status(self.now())[row] < 0:
            raise missing()
        return row

    def of(self, event: int) -> int | None:
        """The first event of the milestone that an event hangs on."""
        spec = self.world.names.spec(event)
        if spec is INFLATION or spec.shape == "game":
            return event
        series, _, rest = self.world.names.event_ticker(event).partition("-")
        return self.world.names.find_event(f"{series.removesuffix('TOTAL')}GAME-{rest}") if spec.league else None

    def listed(self, query: Query) -> Json:
        """GET /milestones."""
        now, limit = self.now(), query.needed("limit", low=1, high=500)
        rows = self._rows
        keep = (self.world.event_status(now)[rows] >= 0) & self._named(query, rows) & self._timed(query, rows, now)
        chosen, cursor = page(query, PATH, np.flatnonzero(keep), limit)
        return {"milestones": [self.written(row, now) for row in rows[chosen].tolist()], "cursor": cursor}

    def one(self, _query: Query, milestone_id: str) -> Json:
        """GET /milestones/{milestone_id}."""
        return {"milestone": self.written(self.find(milestone_id), self.now())}

    def around(self, events: Iterable[int], now: int) -> list[Json]:
        """The milestones that events hang on, each once."""
        return [self.written(row, now) for row in dict.fromkeys(map(self.of, events)) if row is not None]

    def _named(self, query: Query, rows: Ints) -> Bools:
        words = {name: query.text(name) for name in ("category", "competition", "type")}
        fitting = [
            number
            for number, spec in enumerate(SERIES)
            if words["category"] in {"", spec.category}
            and words["type"] in {"", kind(spec)}
            and words["competition"] in {"", spec.league.title(), league(spec)}
        ]
        keep = np.isin(self.world.events.series[rows], fitting)
        if source := query.text("source_id"):
            keep &= np.array([one == source for one in identifiers(self.world.seed, SOURCE, rows)], dtype=np.bool_)
        if ticker := query.text("related_event_ticker"):
            event = self.world.names.find_event(ticker)
            first = None if event is None else self.of(event)
            keep &= rows == (-1 if first is None else first)
        return keep

    def _timed(self, query: Query, rows: Ints, now: int) -> Bools:
        since = (query.number("min_updated_ts", 0) or 0) * SECOND
        keep: Bools = self.world.updated(now)[rows] >= since
        if query.text("minimum_start_date"):
            keep &= self._starts(rows) >= instant(query, "minimum_start_date")
        return keep

    def _starts(self, rows: Ints) -> Ints:
        horizon = self.world.events.horizon[rows]
        return np.where(self.world.events.shape[rows] == GAME, horizon - LENGTH, horizon + _DELAY)

    def start(self, row: int) -> int:
        """When it begins, in microseconds."""
        return int(self._starts(np.array([row]))[0])

    def written(self, row: int, now: int) -> Json:
        """A Milestone."""
        names, spec = self.world.names, self.world.names.spec(row)
        game = spec.shape == "game"
        status, end = (self.games.status(row, now), self.games.span(row)[1]) if game else ("", 0)
        other = self.games.total(row) if game else None
        source, first = identifier(self.world.seed, SOURCE, row), names.event_ticker(row)
        return {
            "id": identifier(self.world.seed, MILESTONE, row),
            "category": spec.category,
            "type": kind(spec),
            "start_date": moment(self.start(row)),
            "end_date": moment(end) if status == "closed" else None,
            "primary_event_tickers": [first],
            "related_event_tickers": [first, *([] if other is None else [names.event_ticker(other)])],
            "title": names.event(row).title,
            "notification_message": f"{names.event(row).title} is about to begin." if game else "The figure is out.",
            "source_id": source,
            "source_ids": {"simulation": source},
            "details": self._details(row, spec, status),
            "last_updated_ts": moment(int(self.world.updated(now)[row])),
        }

    def _details(self, row: int, spec: Spec, status: str) -> Json:
        if spec.shape != "game":
            return {"indicator": spec.subject, "period": "month", "source": spec.source[0]}
        series = int(self.world.events.series[row])
        away, home = (self.world.names.team(series, code) for code, _ in self.world.names.teams(row))
        return {"away_team_id": away, "home_team_id": home, "league": league(spec), "status": status}


def kind(spec: Spec) -> str:
    """The type of a series' milestones, empty where it has none."""
    return f"{spec.league}_game" if spec.league else "economic_release" if spec is INFLATION else ""


def league(spec: Spec) -> str:
    """The letters of a series' league."""
    return spec.ticker[2:].removesuffix("GAME").removesuffix("TOTAL") if spec.league else ""


def instant(query: Query, name: str) -> int:
    """A time in RFC 3339, in microseconds. Raises Refused."""
    try:
        return microseconds(datetime.fromisoformat(query.text(name)))
    except ValueError:
        raise bad(f"invalid parameter {name}") from None
