"""Family multivariate: the collections from which combo markets are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from kalshi_lab.errors import UsageError, one_of
from kalshi_lab.kalshi import params
from kalshi_lab.kalshi.family import Family
from kalshi_lab.kalshi.operations import call
from kalshi_lab.kalshi.pages import AsyncPages, paged
from kalshi_lab.models import Collection, ComboMarket, Leg
from kalshi_lab.portal import Facade, blocking

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = 200
STATUS = Literal["unopened", "open", "closed"]
SIDE = Literal["yes", "no"]


class AsyncMultivariate(Family):
    """Collections of events; the combos themselves are markets, and their events in `events.multivariate`."""

    def list(
        self,
        *,
        status: STATUS | None = None,
        event: str | None = None,
        series: str | None = None,
        limit: int | None = None,
        max_pages: int | None = None,
    ) -> AsyncPages[Collection]:
        """Collections; with `event` those to which an event supplies legs."""
        asked = params.given(
            status=None if status is None else one_of("status", status, get_args(STATUS)),
            associated_event_ticker=params.filtered(event, "event"),
            series_ticker=params.filtered(series, "series"),
        )
        return self._pages(
            Collection,
            "multivariate_contracts",
            call("get_multivariate_event_collections", asked),
            ("collection_ticker",),
            page=PAGE,
            limit=limit,
            max_pages=max_pages,
        )

    async def one(self, collection: str) -> Collection:
        """One collection; NotFound where there is none."""
        name = params.ticker(collection, "collection")
        made = call("get_multivariate_event_collection", collection_ticker=name)
        return await self._object(Collection, made, "multivariate_contract")

    async def create_market(
        self, collection: str, legs: Iterable[Leg | tuple[str, str, SIDE]], *, with_market: bool = False
    ) -> ComboMarket:
        """Make the combo market of these legs, which trading needs once; the same legs again give the same market.

        legs: as another combo has them (`market.mve_selected_legs`), or (event, market, "yes" or "no"). `with_market` brings the
        market itself along. A write: TradingOff on a client that was not opened for writing. 5,000 a week.
        """
        name = params.ticker(collection, "collection")
        selected = [_leg(one) for one in legs]
        if not selected:
            raise UsageError("a combo needs legs", hint='Give (event, market, "yes" or "no") for each')
        sent = params.body(selected_markets=selected, with_market_payload=with_market or None)
        made = call("create_market_in_multivariate_event_collection", body=sent, collection_ticker=name)
        return await self._object(ComboMarket, made)


def _leg(given: Leg | tuple[str, str, SIDE]) -> dict[str, str]:
    found = (given.event_ticker, given.market_ticker, given.side) if isinstance(given, Leg) else tuple(given)
    if len(found) != len(("event", "market", "side")):
        raise UsageError(f"a leg of {len(found)} parts", hint='Give (event, market, "yes" or "no")')
    event, market, side = found
    return {
        "event_ticker": params.ticker(event or "", "event"),
        "market_ticker": params.ticker(market or "", "market"),
        "side": one_of("side", side, get_args(SIDE)),
    }


class Multivariate(Facade):
    """The blocking face of `AsyncMultivariate`."""

    list = paged(AsyncMultivariate.list)
    one = blocking(AsyncMultivariate.one)
    create_market = blocking(AsyncMultivariate.create_market)
