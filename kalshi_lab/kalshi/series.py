"""Families series and events: the templates, and the questions made from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalshi_lab.kalshi import params
from kalshi_lab.kalshi.family import Family, envelope, read
from kalshi_lab.kalshi.operations import call
from kalshi_lab.kalshi.pages import AsyncPages, paged
from kalshi_lab.models import Event, Series
from kalshi_lab.portal import Facade, blocking

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kalshi_lab.clock import When

EVENT_PAGE = 200


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
        """All series, as one page; `volume=True` adds the contracts traded."""
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


class AsyncEvents(Family):
    """Events; combos are listed apart, by `multivariate`."""

    def list(
        self,
        *,
        status: str | None = None,
        series: str | None = None,
        tickers: str | Iterable[str] | None = None,
        markets: bool = False,
        closes_after: When | None = None,
        updated_since: When | None = None,
        limit: int | None = None,
        max_pages: int | None = None,
    ) -> AsyncPages[Event]:
        """Events, newest pages first as the exchange sends them; `markets=True` nests each event's markets in it.

        status: unopened, open, closed or settled; an event matches when any of its markets does.
        """
        asked = params.given(
            status=params.status(status, params.EVENT_STATUSES),
            series_ticker=params.filtered(series, "series"),
            tickers=params.listed(tickers),
            with_nested_markets=markets or None,
        )
        now = self._clock.now()
        asked += params.window(closes_after, None, now=now, names=("min_close_ts", ""))
        asked += params.window(updated_since, None, now=now, names=("min_updated_ts", ""))
        made = call("get_events", asked)
        return self._pages(Event, "events", made, ("event_ticker",), page=EVENT_PAGE, limit=limit, max_pages=max_pages)

    def multivariate(
        self,
        *,
        series: str | None = None,
        collection: str | None = None,
        markets: bool = False,
        limit: int | None = None,
    ) -> AsyncPages[Event]:
        """Events of combos."""
        asked = params.given(
            series_ticker=params.filtered(series, "series"),
            collection_ticker=params.filtered(collection, "collection"),
            with_nested_markets=markets or None,
        )
        made = call("get_multivariate_events", asked)
        return self._pages(Event, "events", made, ("event_ticker",), page=EVENT_PAGE, limit=limit)

    async def one(self, ticker: str) -> Event:
        """One event with its markets; NotFound where there is none."""
        asked = params.given(with_nested_markets=True)
        reply = await self._send(call("get_event", asked, event_ticker=params.ticker(ticker, "event")))
        found = envelope(reply, "event")
        row = found["event"]
        if isinstance(row, dict) and not row.get("markets"):
            row = {**row, "markets": found.get("markets") or []}
        return read(Event, reply, row)


class Events(Facade):
    """The blocking face of `AsyncEvents`."""

    list = paged(AsyncEvents.list)
    multivariate = paged(AsyncEvents.multivariate)
    one = blocking(AsyncEvents.one)
