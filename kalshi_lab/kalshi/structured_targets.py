"""Family structured_targets: the teams, persons and things that strikes name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalshi_lab.kalshi import params
from kalshi_lab.kalshi.family import Family
from kalshi_lab.kalshi.operations import call
from kalshi_lab.kalshi.pages import AsyncPages, paged
from kalshi_lab.models import StructuredTarget
from kalshi_lab.portal import Facade, blocking

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = 2000


class AsyncStructuredTargets(Family):
    """The values of structured strikes are ids of these."""

    def list(
        self,
        *,
        ids: str | Iterable[str] | None = None,
        type: str | None = None,  # noqa: A002 - the exchange's word, as on the record
        competition: str | None = None,
        limit: int | None = None,
        max_pages: int | None = None,
    ) -> AsyncPages[StructuredTarget]:
        """Structured targets, up to 2,000 by their ids; type: soccer_team, ufc_competitor and others."""
        wanted = params.several(ids, "ids", most=PAGE) or []
        asked = tuple(("ids", one) for one in wanted) + params.given(type=type, competition=competition)
        made = call("get_structured_targets", asked)
        return self._pages(
            StructuredTarget,
            "structured_targets",
            made,
            ("id",),
            page=PAGE,
            size_name="page_size",
            limit=limit,
            max_pages=max_pages,
        )

    async def one(self, target: str) -> StructuredTarget:
        """One structured target by its id; NotFound where there is none."""
        made = call("get_structured_target", structured_target_id=target)
        return await self._object(StructuredTarget, made, "structured_target")


class StructuredTargets(Facade):
    """The blocking face of `AsyncStructuredTargets`."""

    list = paged(AsyncStructuredTargets.list)
    one = blocking(AsyncStructuredTargets.one)
