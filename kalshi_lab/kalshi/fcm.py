"""Family fcm: what clearing members (futures commission merchants) see and set for the traders below them."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from kalshi_lab.errors import UsageError, one_of
from kalshi_lab.kalshi import params
from kalshi_lab.kalshi.family import Family, envelope
from kalshi_lab.kalshi.operations import call
from kalshi_lab.kalshi.orders import STATUS
from kalshi_lab.kalshi.pages import AsyncPages, bad_payload, paged
from kalshi_lab.kalshi.portfolio import NONZERO, PAGE, SETTLED, position_filters
from kalshi_lab.models.account import DailyCap, FcmFill, Subtrader
from kalshi_lab.models.order import Order
from kalshi_lab.models.portfolio import MarketPosition
from kalshi_lab.portal import Facade, blocking

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from kalshi_lab.clock import When
    from kalshi_lab.door import Reply

MOST_IDS = 100


class AsyncFcm(Family):
    """Clearing members only; all of it needs a key."""

    def fills(
        self, *, since: When | None = None, until: When | None = None, limit: int | None = None
    ) -> AsyncPages[FcmFill]:
        """Executions of all subtraders."""
        made = call("get_fcm_fills", params.window(since, until, now=self._clock.now()))
        return self._pages(FcmFill, "fills", made, ("fill_id",), page=PAGE, size_name="", limit=limit)

    def orders(
        self,
        subtrader: str | None = None,
        *,
        ticker: str | None = None,
        event: str | None = None,
        status: STATUS | None = None,
        client_order_ids: Iterable[str] | None = None,
        since: When | None = None,
        until: When | None = None,
        limit: int | None = None,
    ) -> AsyncPages[Order]:
        """Orders of subtraders; at most 100 client ids."""
        ids = params.several(client_order_ids, "client_order_ids", most=MOST_IDS)
        asked = params.given(
            subtrader_id=subtrader,
            ticker=params.filtered(ticker),
            event_ticker=params.filtered(event, "event"),
            status=None if status is None else one_of("status", status, get_args(STATUS)),
            client_order_ids=None if ids is None else ",".join(ids),
        )
        made = call("get_fcm_orders", asked + params.window(since, until, now=self._clock.now()))
        return self._pages(Order, "orders", made, ("order_id",), page=PAGE, limit=limit)

    def positions(
        self,
        subtrader: str | None = None,
        *,
        ticker: str | None = None,
        event: str | None = None,
        settled: SETTLED = "unsettled",
        nonzero: NONZERO | Iterable[NONZERO] | None = None,
        limit: int | None = None,
    ) -> AsyncPages[MarketPosition]:
        """Positions of subtraders by market."""
        asked = position_filters(ticker=ticker, event=event, settled=settled, nonzero=nonzero, subtrader_id=subtrader)
        made = call("get_fcm_positions", asked)
        return self._pages(MarketPosition, "market_positions", made, ("ticker",), page=PAGE, limit=limit)

    async def transfer_position(
        self, ticker: str, contracts: int, price: Decimal | str | int, *, source: str, destination: str
    ) -> str:
        """Move whole contracts between subtraders, YES where positive, NO where negative, at a YES price in whole cents (as dollars).

        Gives the transfer's id. Never sent twice by itself.
        """
        if isinstance(contracts, bool) or not isinstance(contracts, int) or contracts == 0:
            raise UsageError(
                f"contracts {contracts!r} is no number of whole contracts", hint="Positive for YES, negative for NO"
            )
        paid = params.exact(price, "price", decimals=2, low=params.NOTHING)
        if paid > 1:
            raise UsageError(f"price {paid} is above 1 dollar")
        sent = params.body(
            source_subtrader_id=source,
            target_subtrader_id=destination,
            market_ticker=params.ticker(ticker),
            position_centicount=contracts * 100,
            price_centicents=int(paid.scaleb(4)),
        )
        return await self._id(call("create_fcm_position_transfer", body=sent), "position_transfer_id")

    async def subtraders(self) -> tuple[Subtrader, ...]:
        """All subtraders."""
        return await self._rows(Subtrader, call("list_fcm_subtraders"), "subtraders")

    async def create_subtrader(self, suffix: str) -> str:
        """Open a subtrader; gives its id."""
        return await self._id(call("create_fcm_subtrader", body=params.body(subtrader_suffix=suffix)), "subtrader_id")

    async def blocked_categories(self, subtrader: str) -> list[str]:
        """Categories that a subtrader may not trade."""
        return _words(
            await self._send(call("get_fcm_subtrader_blocked_categories", params.given(subtrader_id=subtrader)))
        )

    async def update_blocked_categories(self, subtrader: str, category: str, *, blocked: bool) -> list[str]:
        """Block or free a category for a subtrader; gives those that are blocked now."""
        sent = params.body(subtrader_id=subtrader, category=category, blocked=blocked)
        return _words(await self._send(call("update_fcm_subtrader_blocked_categories", body=sent)))

    async def daily_cap(self, subtrader: str | None = None) -> DailyCap:
        """What a subtrader may spend in a day, and what is used of it."""
        return await self._object(
            DailyCap, call("get_fcm_event_contract_daily_cap", params.given(subtrader_id=subtrader))
        )

    async def update_daily_cap(self, subtrader: str, limit: Decimal | str | int) -> None:
        """Cap what a subtrader may spend in a day, dollars."""
        amount = params.exact(limit, "limit", decimals=4, low=params.NOTHING)
        sent = params.body(subtrader_id=subtrader, limit=amount)
        await self._send(call("update_fcm_event_contract_daily_cap", body=sent))

    async def delete_daily_cap(self, subtrader: str) -> None:
        """Lift the cap."""
        await self._send(call("delete_fcm_event_contract_daily_cap", params.given(subtrader_id=subtrader)))


def _words(reply: Reply) -> list[str]:
    found = envelope(reply, "categories")["categories"] or []
    if not isinstance(found, list):
        raise bad_payload(reply, "the categories are no list")
    return [str(word) for word in found]


class Fcm(Facade):
    """The blocking face of `AsyncFcm`."""

    fills = paged(AsyncFcm.fills)
    orders = paged(AsyncFcm.orders)
    positions = paged(AsyncFcm.positions)
    transfer_position = blocking(AsyncFcm.transfer_position)
    subtraders = blocking(AsyncFcm.subtraders)
    create_subtrader = blocking(AsyncFcm.create_subtrader)
    blocked_categories = blocking(AsyncFcm.blocked_categories)
    update_blocked_categories = blocking(AsyncFcm.update_blocked_categories)
    daily_cap = blocking(AsyncFcm.daily_cap)
    update_daily_cap = blocking(AsyncFcm.update_daily_cap)
    delete_daily_cap = blocking(AsyncFcm.delete_daily_cap)
