"""Family events: the questions, how they are shown, what they cost and what they forecast."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from kalshi_lab import frames
from kalshi_lab.errors import StalledPagination, UsageError
from kalshi_lab.kalshi import candles, params
from kalshi_lab.kalshi.family import Family, envelope, read
from kalshi_lab.kalshi.operations import call
from kalshi_lab.kalshi.pages import AsyncPages, paged, unread
from kalshi_lab.models import Event, EventFeeChange, EventMetadata, ForecastPoint, Milestone
from kalshi_lab.portal import Facade, blocking

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

    from kalshi_lab.clock import When
    from kalshi_lab.door import Reply

log = logging.getLogger(__name__)
PAGE = 200
FEE_PAGE = 1000
PERCENTILES = 10  # in one request, at most
FINEST = 9999  # hundredths of a percentile


class AsyncEvents(Family):
    """Events; combos are listed apart, by `multivariate`."""

    def list(
        self,
        *,
        status: str | None = None,
        series: str | None = None,
        tickers: str | Iterable[str] | None = None,
        markets: bool = False,
        milestones: bool = False,
        closes_after: When | None = None,
        updated_since: When | None = None,
        limit: int | None = None,
        max_pages: int | None = None,
    ) -> AsyncPages[Event]:
        """Events, newest pages first as the exchange sends them; `markets=True` nests each event's markets in it.

        status: unopened, open, closed or settled; an event matches when any of its markets does. With `milestones=True` the milestones
        that the events are about come along, in `pages.beside["milestones"]` once the pages are read. Combos are not among them.
        """
        asked = params.given(
            status=params.status(status, params.EVENT_STATUSES),
            series_ticker=params.filtered(series, "series"),
            tickers=params.listed(tickers),
            with_nested_markets=markets or None,
            with_milestones=milestones or None,
        )
        now = self._clock.now()
        asked += params.window(closes_after, None, now=now, names=("min_close_ts", ""))
        asked += params.window(updated_since, None, now=now, names=("min_updated_ts", ""))
        made = call("get_events", asked)
        beside = (("milestones", Milestone),) if milestones else ()
        return self._pages(
            Event, "events", made, ("event_ticker",), page=PAGE, limit=limit, max_pages=max_pages, beside=beside
        )

    def multivariate(
        self,
        *,
        series: str | None = None,
        collection: str | None = None,
        markets: bool = False,
        limit: int | None = None,
        max_pages: int | None = None,
    ) -> AsyncPages[Event]:
        """Events of combos, of a series or of a collection; `list` has all others."""
        asked = params.given(
            series_ticker=params.filtered(series, "series"),
            collection_ticker=params.filtered(collection, "collection"),
            with_nested_markets=markets or None,
        )
        made = call("get_multivariate_events", asked)
        return self._pages(Event, "events", made, ("event_ticker",), page=PAGE, limit=limit, max_pages=max_pages)

    async def one(self, ticker: str, *, markets: bool = True) -> Event:
        """One event with its markets; NotFound where there is none.

        `markets=False` does not ask for them inside the event; where the exchange still sends them beside it, they are kept.
        """
        asked = params.given(with_nested_markets=markets or None)
        reply = await self._send(call("get_event", asked, event_ticker=params.ticker(ticker, "event")))
        found = envelope(reply, "event")
        row = found["event"]
        if isinstance(row, dict) and not row.get("markets"):
            row = {**row, "markets": found.get("markets") or []}
        return read(Event, reply, row)

    async def metadata(self, ticker: str) -> EventMetadata:
        """Pictures, colours and official sources of an event."""
        made = call("get_event_metadata", event_ticker=params.ticker(ticker, "event"))
        return await self._object(EventMetadata, made)

    def fee_changes(
        self, event: str | None = None, *, limit: int | None = None, max_pages: int | None = None
    ) -> AsyncPages[EventFeeChange]:
        """Changes of fees of single events, of one event or of all."""
        asked = params.given(event_ticker=params.filtered(event, "event"))
        made = call("get_event_fee_changes", asked)
        return self._pages(
            EventFeeChange, "event_fee_changes", made, ("id",), page=FEE_PAGE, limit=limit, max_pages=max_pages
        )

    async def candlesticks(
        self,
        ticker: str,
        interval: str | int = "1h",
        *,
        since: When = "7d",
        until: When | None = None,
        series: str | None = None,
        exact: bool = False,
    ) -> pl.DataFrame:
        """Candlesticks of all markets of an event as one frame by market and time, with the columns of `markets.candlesticks`.

        Where an answer stops short of the end, the rest is asked for. Without `series` the event is looked up first.
        """
        minutes, name = params.interval(interval), params.ticker(ticker, "event")
        asked = dict(params.candle_window(since, until, minutes, now=self._clock.now()))
        owner = await self._series(name, series)
        parts, end = [], int(asked["end_ts"])
        while True:
            made = call("get_market_candlesticks_by_event", tuple(asked.items()), series_ticker=owner, ticker=name)
            reply = await self._send(made)
            part, reached = candles.of_event(reply, minutes)
            parts.append(part)
            if reached >= end:
                return candles.frame(parts, exact=exact)
            if reached <= int(asked["start_ts"]):
                raise StalledPagination(
                    f"the candlesticks of {name} do not get beyond their start",
                    hint="Ask for a shorter window",
                    request_id=reply.request_id,
                    method="GET",
                    path=reply.call.path,
                    status=reply.status,
                )
            asked["start_ts"] = str(reached)

    async def forecast_percentiles(
        self,
        ticker: str,
        percentiles: Iterable[int],
        interval: str | int = "1h",
        *,
        since: When = "7d",
        until: When | None = None,
        series: str | None = None,
    ) -> pl.DataFrame:
        """What the markets of an event together forecast, period by period, as a frame with the fields of `ForecastPoint`.

        percentiles: up to 10, in hundredths: 5000 is the median. interval: "5s", "1m", "1h" or "1d". Needs a key. Without `series`
        the event is looked up first.
        """
        name, wanted = params.ticker(ticker, "event"), _percentiles(percentiles)
        minutes = 0 if interval in {"5s", 0} else params.interval(interval)
        window = params.candle_window(since, until, minutes, now=self._clock.now())
        asked = tuple(("percentiles", str(one)) for one in wanted) + window
        owner = await self._series(name, series)
        made = call("get_event_forecast_percentiles_history", asked, series_ticker=owner, ticker=name)
        return _forecasts(await self._send(made))

    async def _series(self, event: str, series: str | None) -> str:
        """The series of an event: as given, or looked up."""
        if series is not None:
            return params.ticker(series, "series")
        return (await self.one(event, markets=False)).series_ticker or ""


def _percentiles(given: Iterable[int]) -> list[int]:
    found = list(given)
    fine = all(isinstance(one, int) and not isinstance(one, bool) and 0 <= one <= FINEST for one in found)
    if not fine or not 0 < len(found) <= PERCENTILES:
        raise UsageError(
            f"percentiles {found!r:.80} cannot be asked for",
            hint=f"Give 1 to {PERCENTILES} whole numbers from 0 to {FINEST}: 5000 is the median",
        )
    return found


def _forecasts(reply: Reply) -> pl.DataFrame:
    """One row for each percentile of each period; rows that cannot be read are logged."""
    try:
        points = [msgspec.json.decode(raw) for raw in frames.raw_rows(reply.body, "forecast_history")]
        values = [(point, point.pop("percentile_points", None) or []) for point in points]
        flat = [{**point, **one} for point, found in values for one in found]
        batch = frames.rows_to_batch(ForecastPoint, [msgspec.Raw(msgspec.json.encode(row)) for row in flat])
    except (ValueError, RecursionError, AttributeError, TypeError) as error:
        raise unread(reply, error) from None
    if batch.refused:
        log.warning("%d forecasts could not be read: %s", len(batch.refused), batch.refused[0].reason)
    return batch.frame.sort("end_time", "percentile")


class Events(Facade):
    """The blocking face of `AsyncEvents`."""

    list = paged(AsyncEvents.list)
    multivariate = paged(AsyncEvents.multivariate)
    one = blocking(AsyncEvents.one)
    metadata = blocking(AsyncEvents.metadata)
    fee_changes = paged(AsyncEvents.fee_changes)
    candlesticks = blocking(AsyncEvents.candlesticks)
    forecast_percentiles = blocking(AsyncEvents.forecast_percentiles)
