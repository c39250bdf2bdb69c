"""Series: templates of events that recur."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalshi_lab.kalshi import params
from kalshi_lab.kalshi.family import Family
from kalshi_lab.kalshi.operations import call
from kalshi_lab.kalshi.pages import AsyncPages, paged
from kalshi_lab.models import Series
from kalshi_lab.portal import Facade, blocking

if TYPE_CHECKING:
    from kalshi_lab.clock import When


class AsyncSeriesFamily(Family):
    """Series: templates of events that recur."""

    def list(
        self,
        *,
        category: str | None = None,
        tags: str | None = None,
        product_metadata: bool = False,
        volume: bool = False,
        updated_since: When | None = None,
    ) -> AsyncPages[Series]:
        """All series, as one page; `volume=True` adds the contracts traded, `product_metadata=True` the exchange's own notes.

        category and tags: words that `search.tags_by_category` gives.
        """
        asked = params.given(
            category=category,
            tags=tags,
            include_product_metadata=product_metadata or None,
            include_volume=volume or None,
        )
        asked += params.window(updated_since, None, now=self._clock.now(), names=("min_updated_ts", ""))
        return self._pages(Series, "series", call("get_series_list", asked), ("ticker",))

    async def one(self, ticker: str, *, volume: bool = False) -> Series:
        """One series, with its fees; NotFound where there is none."""
        asked = params.given(include_volume=volume or None)
        return await self._object(
            Series, call("get_series", asked, series_ticker=params.ticker(ticker, "series")), "series"
        )


class SeriesFamily(Facade):
    """The blocking face of `AsyncSeriesFamily`."""

    list = paged(AsyncSeriesFamily.list)
    one = blocking(AsyncSeriesFamily.one)
