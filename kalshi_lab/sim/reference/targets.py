"""Structured targets: the teams that strikes name."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from kalshi_lab.sim.catalog import SERIES, TEAMS
from kalshi_lab.sim.listing import page
from kalshi_lab.sim.queries import bad, missing
from kalshi_lab.sim.reference.identity import TARGET, identifier
from kalshi_lab.sim.reference.milestones import league
from kalshi_lab.sim.wire import DAY, SECOND, moment
from kalshi_lab.sim.world import microseconds

if TYPE_CHECKING:
    from kalshi_lab.sim.catalog import Spec
    from kalshi_lab.sim.queries import Query
    from kalshi_lab.sim.render import Json
    from kalshi_lab.sim.world import World

PATH = "/structured_targets"
MOST = 2_000


class Targets:
    """The teams of a world's leagues."""

    def __init__(self, world: World) -> None:
        self.world = world

    @cached_property
    def _all(self) -> dict[str, Json]:
        """By identifier, in the order of identifiers."""
        games = [(number, spec) for number, spec in enumerate(SERIES) if spec.shape == "game"]
        made = [self._team(number, spec, place) for number, spec in games for place in range(len(TEAMS))]
        return {target["id"]: target for target in sorted(made, key=lambda target: str(target["id"]))}

    def _team(self, series: int, spec: Spec, place: int) -> Json:
        code, city = TEAMS[place]
        number = series * len(TEAMS) + place
        source = identifier(self.world.seed, TARGET, number)
        updated = microseconds(self.world.start) - (30 * DAY + 3_601 * number) * SECOND
        return {
            "id": self.world.names.team(series, code),
            "name": city,
            "type": f"{spec.league}_team",
            "details": {"abbreviation": code, "league": league(spec), "market": city, "team_name": city},
            "source_id": source,
            "source_ids": {"simulation": source},
            "last_updated_ts": moment(updated),
        }

    def listed(self, query: Query) -> Json:
        """GET /structured_targets; its page size is called page_size, and identifiers that nothing has are left out."""
        limit = query.number("page_size", 100, low=1, high=MOST) or 100
        ids, kind, competition = set(query.params.getlist("ids")), query.text("type"), query.text("competition")
        if len(query.params.getlist("ids")) > MOST:
            raise bad(f"parameter ids takes at most {MOST}")
        targets = list(self._all.values())
        kept = [
            place
            for place, target in enumerate(targets)
            if (not ids or target["id"] in ids)
            and kind in {"", target["type"]}
            and competition in {"", target["details"]["league"]}
        ]
        chosen, cursor = page(query, PATH, np.array(kept, dtype=np.int64), limit)
        return {"structured_targets": [targets[place] for place in chosen.tolist()], "cursor": cursor}

    def one(self, _query: Query, structured_target_id: str) -> Json:
        """GET /structured_targets/{structured_target_id}."""
        if structured_target_id not in self._all:
            raise missing()
        return {"structured_target": self._all[structured_target_id]}
