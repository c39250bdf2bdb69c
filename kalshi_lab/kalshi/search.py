"""Family search: the words by which series and events are found."""

from __future__ import annotations

from kalshi_lab.kalshi.family import Family, envelope
from kalshi_lab.kalshi.operations import call
from kalshi_lab.kalshi.pages import bad_payload
from kalshi_lab.models import SportFilters
from kalshi_lab.portal import Facade, blocking


class AsyncSearch(Family):
    """Categories and their tags, sports and their competitions: where browsing starts."""

    async def tags_by_category(self) -> dict[str, tuple[str, ...]]:
        """The tags of each category, with which `series.list(category=..., tags=...)` narrows down; none where it has none."""
        reply = await self._send(call("get_tags_for_series_categories"))
        found = envelope(reply, "tags_by_categories")["tags_by_categories"] or {}
        if not isinstance(found, dict) or not all(isinstance(tags, list | None) for tags in found.values()):
            raise bad_payload(reply, "tags that are no lists by category")
        return {category: tuple(tags or ()) for category, tags in found.items()}

    async def filters_by_sport(self) -> SportFilters:
        """What there are markets for, by sport and competition."""
        return await self._object(SportFilters, call("get_filters_for_sports"))


class Search(Facade):
    """The blocking face of `AsyncSearch`."""

    tags_by_category = blocking(AsyncSearch.tags_by_category)
    filters_by_sport = blocking(AsyncSearch.filters_by_sport)
