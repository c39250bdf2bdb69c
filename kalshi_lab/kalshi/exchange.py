"""Family exchange: status and schedule."""

from __future__ import annotations

from kalshi_lab.kalshi.family import Family
from kalshi_lab.kalshi.operations import call
from kalshi_lab.models import ExchangeStatus, Schedule
from kalshi_lab.portal import Facade, blocking


class AsyncExchange(Family):
    """Whether the exchange trades, and when."""

    async def status(self) -> ExchangeStatus:
        """Whether the exchange is up and trading, as a whole and by shard."""
        return await self._object(ExchangeStatus, call("get_exchange_status"))

    async def schedule(self) -> Schedule:
        """Regular sessions (HH:MM, Eastern time) and planned pauses."""
        return await self._object(Schedule, call("get_exchange_schedule"), "schedule")


class Exchange(Facade):
    """The blocking face of `AsyncExchange`."""

    status = blocking(AsyncExchange.status)
    schedule = blocking(AsyncExchange.schedule)
