"""Family milestone: games, elections and releases that events are about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalshi_lab.clock import moment
from kalshi_lab.kalshi import params
from kalshi_lab.kalshi.family import Family
from kalshi_lab.kalshi.operations import call
from kalshi_lab.kalshi.pages import AsyncPages, paged
from kalshi_lab.models import Milestone
from kalshi_lab.portal import Facade, blocking

if TYPE_CHECKING:
    from kalshi_lab.clock import When

PAGE = 500


class AsyncMilestones(Family):
    """What happens in the world and when."""

    def list(
        self,
        *,
        starts_after: When | None = None,
        category: str | None = None,
        competition: str | None = None,
        source_id: str | None = None,
        type: str | None = None,  # noqa: A002 - the exchange's word, as on the record
        event: str | None = None,
        updated_since: When | None = None,
        limit: int | None = None,
        max_pages: int | None = None,
    ) -> AsyncPages[Milestone]:
        """Milestones; with `event` those that an event is linked to.

        category: Sports, Elections and others; type: football_game and others; source_id: the id at the provider of the data.
        """
        now = self._clock.now()
        start = None if starts_after is None else moment(starts_after, now=now, what="starts_after")
        asked = params.given(
            minimum_start_date=None if start is None else f"{start:%Y-%m-%dT%H:%M:%SZ}",
            category=category,
            competition=competition,
            source_id=source_id,
            type=type,
            related_event_ticker=params.filtered(event, "event"),
        )
        asked += params.window(updated_since, None, now=now, names=("min_updated_ts", ""))
        made = call("get_milestones", asked)
        return self._pages(Milestone, "milestones", made, ("id",), page=PAGE, limit=limit, max_pages=max_pages)

    async def one(self, milestone: str) -> Milestone:
        """One milestone by its id; NotFound where there is none."""
        return await self._object(Milestone, call("get_milestone", milestone_id=milestone), "milestone")


class Milestones(Facade):
    """The blocking face of `AsyncMilestones`."""

    list = paged(AsyncMilestones.list)
    one = blocking(AsyncMilestones.one)
