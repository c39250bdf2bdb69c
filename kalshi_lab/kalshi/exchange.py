"""Family exchange: status, schedule, changes of fees."""

from __future__ import annotations

from dataclasses import replace

from kalshi_lab.kalshi import params
from kalshi_lab.kalshi.family import Family
from kalshi_lab.kalshi.operations import call
from kalshi_lab.kalshi.pages import AsyncPages, paged
from kalshi_lab.models import ExchangeStatus, Schedule, SeriesFeeChange, UserDataTime
from kalshi_lab.portal import Facade, blocking


class AsyncExchange(Family):
    """Whether the exchange trades, and when, and what it takes for it."""

    async def status(self) -> ExchangeStatus:
        """Whether the exchange is up and trading, as a whole and by shard; also where it answers 500, 503 or 504 with its status."""
        return await self._object(ExchangeStatus, replace(call("get_exchange_status"), despite="exchange_active"))

    async def schedule(self) -> Schedule:
        """Regular sessions (HH:MM, Eastern time) and planned pauses."""
        return await self._object(Schedule, call("get_exchange_schedule"), "schedule")

    def series_fee_changes(self, series: str | None = None, *, historical: bool = False) -> AsyncPages[SeriesFeeChange]:
        """Planned changes of fees, of one series or of all, as one page; `historical` adds those that took effect."""
        asked = params.given(
            series_ticker=params.filtered(series, "series"),
            show_historical=historical or None,
        )
        return self._pages(SeriesFeeChange, "series_fee_change_arr", call("get_series_fee_changes", asked), ("id",))

    async def user_data_time(self) -> UserDataTime:
        """Up to when orders, fills, positions and balances are complete in the exchange's answers."""
        return await self._object(UserDataTime, call("get_user_data_timestamp"))


class Exchange(Facade):
    """The blocking face of `AsyncExchange`."""

    status = blocking(AsyncExchange.status)
    schedule = blocking(AsyncExchange.schedule)
    series_fee_changes = paged(AsyncExchange.series_fee_changes)
    user_data_time = blocking(AsyncExchange.user_data_time)
