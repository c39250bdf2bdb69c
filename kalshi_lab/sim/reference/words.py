"""The words that narrow a search: tags of categories, and what there is of each sport."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalshi_lab.sim.catalog import SERIES

if TYPE_CHECKING:
    from kalshi_lab.sim.queries import Query
    from kalshi_lab.sim.render import Json

_SCOPES = {"game": "Game", "above": "Total"}
"""The scope of each kind of series about games, as in the metadata of their events."""


def tags_by_categories(_query: Query) -> Json:
    """GET /search/tags_by_categories; null for a category without tags."""
    found: dict[str, list[str]] = {}
    for spec in SERIES:
        tags = found.setdefault(spec.category, [])
        tags += [tag for tag in spec.tags or () if tag not in tags]
    return {"tags_by_categories": {category: tags or None for category, tags in found.items()}}


def filters_by_sport(_query: Query) -> Json:
    """GET /search/filters_by_sport: each sport has one competition of its own name."""
    found: dict[str, list[str]] = {}
    for spec in SERIES:
        if spec.league:
            found.setdefault(spec.league.title(), []).append(_SCOPES[spec.shape])
    every = list(dict.fromkeys(scope for scopes in found.values() for scope in scopes))
    sports = {sport: {"scopes": scopes, "competitions": {sport: {"scopes": scopes}}} for sport, scopes in found.items()}
    return {
        "filters_by_sports": {"All sports": {"scopes": every, "competitions": {}}, **sports},
        "sport_ordering": ["All sports", *sports],
    }
