"""What is known of the exchange and of the account when an order is judged, asked for at the time, with reasons for what is not known."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from kalshi_lab.errors import LabError, NotFound, TradingOff
from kalshi_lab.fees import FeeSchedule
from kalshi_lab.kalshi.events import AsyncEvents
from kalshi_lab.kalshi.exchange import AsyncExchange
from kalshi_lab.kalshi.historical import AsyncHistorical
from kalshi_lab.kalshi.markets import AsyncMarkets
from kalshi_lab.kalshi.order_groups import AsyncOrderGroups
from kalshi_lab.kalshi.orders import AsyncOrders
from kalshi_lab.kalshi.portfolio import AsyncPortfolio
from kalshi_lab.kalshi.series import AsyncSeriesFamily
from kalshi_lab.trading.situation import ZERO, Situation

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from datetime import datetime
    from decimal import Decimal

    from kalshi_lab.clock import Clock
    from kalshi_lab.door import Call, Door, Reply
    from kalshi_lab.models import Market
    from kalshi_lab.models.order import Order
    from kalshi_lab.trading.situation import Proposal

log = logging.getLogger(__name__)


class ReadingDoor:
    """A door through which nothing but a GET can pass, whatever the door behind it may do."""

    writable = False

    def __init__(self, door: Door) -> None:
        self._pass = door.send
        self.host = door.host

    async def send(self, call: Call) -> Reply:
        """The reply to a read. Raises TradingOff, with nothing sent, for a write."""
        if call.method != "GET":
            raise TradingOff(f"{call.operation} writes, and this only looks")
        return await self._pass(call)


class WritingDoor:
    """The lab's own door, opened for the writes of one live executor."""

    writable = True

    def __init__(self, door: Door) -> None:
        self.send = door.send
        self.host = door.host


@dataclass(frozen=True, slots=True)
class Writes:
    """What can send orders; a dry executor has none."""

    orders: AsyncOrders
    groups: AsyncOrderGroups

    @classmethod
    def through(cls, door: Door, clock: Clock) -> Writes:
        """Those of the exchange."""
        opened = cast("Door", WritingDoor(door))
        return cls(AsyncOrders(opened, clock), AsyncOrderGroups(opened, clock))


@dataclass(frozen=True, slots=True)
class Own:
    """The account at a moment: positions by ticker, resting orders, dollars that it is worth, and money moved in since a day began.

    `as_of` is up to when the exchange knew all of it.
    """

    positions: dict[str, Decimal] | None
    resting: tuple[Order, ...] | None
    worth: Decimal | None
    as_of: datetime | None


class Looks:
    """Asks the exchange; holds nothing that could write."""

    def __init__(self, door: Door, clock: Clock) -> None:
        reading = cast("Door", ReadingDoor(door))
        self.clock = clock
        self.markets, self.exchange = AsyncMarkets(reading, clock), AsyncExchange(reading, clock)
        self.events, self.series = AsyncEvents(reading, clock), AsyncSeriesFamily(reading, clock)
        self.portfolio, self.historical = AsyncPortfolio(reading, clock), AsyncHistorical(reading, clock)
        self.orders = AsyncOrders(reading, clock)

    async def situation(self, proposal: Proposal, own: Own, missing: dict[str, str]) -> Situation:
        """What is known of a market and of what the account has in it; `missing` takes in what is not."""
        market, book, status = await asyncio.gather(
            known("market", self.markets.one(proposal.ticker), missing),
            known("book", self.markets.orderbook(proposal.ticker), missing),
            known("status", self.exchange.status(), missing),
        )
        fees = None if market is None else await known("fees", self.schedule(market), missing)
        if market is None:
            missing.setdefault("fees", f"the market: {missing.get('market')}")
        made = Situation(proposal, self.clock.now(), market=market, book=book, status=status, fees=fees)
        return replace(self.within(made, own), missing=MappingProxyType(missing))

    @staticmethod
    def within(situation: Situation, own: Own, besides: str = "") -> Situation:
        """The same with the account's position and orders in the market; an order that is replaced (`besides`) does not count."""
        ticker = situation.proposal.ticker
        rests = (
            None
            if own.resting is None
            else [one for one in own.resting if one.ticker == ticker and one.order_id != besides]
        )
        return replace(
            situation,
            position=None if own.positions is None else own.positions.get(ticker, ZERO),
            resting_bids=None if rests is None else _left(rests, "bid"),
            resting_asks=None if rests is None else _left(rests, "ask"),
        )

    async def schedule(self, market: Market) -> FeeSchedule:
        """What a market charges: by its series and its event."""
        event = await self.events.one(str(market.event_ticker), markets=False)
        series = await self.series.one(str(event.series_ticker))
        return FeeSchedule.of(series, event=event, market=market)

    async def own(self, subaccount: int | None, day: datetime, missing: dict[str, str]) -> Own:
        """The account's positions, resting orders and worth; `missing` takes in what could not be had."""
        as_of = await known("as_of", self.as_of(), missing)
        positions, resting, cash, moved = await asyncio.gather(
            known("position", self._positions(subaccount), missing),
            known("resting_bids", self._resting(subaccount), missing),
            known("loss", self.portfolio.balance(subaccount=subaccount), missing),
            known("loss", self._moved(day), missing),
        )
        if resting is None:
            missing["resting_asks"] = missing["resting_bids"]
        worth = None
        if (
            None not in (cash, moved, positions, resting)
            and cash.balance is not None
            and cash.portfolio_value is not None
        ):
            worth = cash.balance + cash.portfolio_value + bound(resting, positions) - moved
        elif "loss" not in missing:
            missing["loss"] = "the balance, the positions or the orders are not known"
        return Own(positions, resting, worth, as_of)

    async def as_of(self) -> datetime | None:
        """Up to when the exchange's answers about the account are complete."""
        return (await self.exchange.user_data_time()).as_of_time

    async def _positions(self, subaccount: int | None) -> dict[str, Decimal]:
        found = self.portfolio.positions(nonzero="position", subaccount=subaccount or 0)
        return {one.ticker: one.position async for one in found if one.position is not None}

    async def _resting(self, subaccount: int | None) -> tuple[Order, ...]:
        return tuple([one async for one in self.orders.list(status="resting", subaccount=subaccount or 0)])

    async def _moved(self, day: datetime) -> Decimal:
        """Dollars that came in since a day began, less those that went out."""
        came = [one async for one in self.portfolio.deposits()]
        went = [one async for one in self.portfolio.withdrawals()]
        return _since(came, day) - _since(went, day)

    async def order(self, order_id: str) -> Order | None:
        """One order; None where the exchange has none of this id."""
        try:
            return await self.orders.one(order_id)
        except NotFound:
            return None

    async def placed(self, client_order_id: str, ticker: str, since: datetime) -> Order | None:
        """The order under a client id, among the account's orders of a market, live and archived; None where there is none."""
        for pages in (self.orders.list(ticker=ticker, since=since), self.historical.orders(ticker=ticker, since=since)):
            async for one in pages:
                if one.client_order_id == client_order_id:
                    return one
        return None


async def known(name: str, asked: Awaitable[Any], missing: dict[str, str]) -> Any:
    """What was asked for; None, with the reason noted, where it could not be had."""
    try:
        return await asked
    except LabError as error:
        missing[name] = str(error)
    except Exception as error:  # whatever a look fails with, the order is refused and audited
        log.exception("%s could not be asked for", name)
        missing[name] = f"{type(error).__name__}: {error}"[:300]
    return None


def bound(resting: tuple[Order, ...], positions: dict[str, Decimal]) -> Decimal:
    """Dollars that resting orders hold back: those of contracts that would open, at the price of the side that they buy."""
    left, total = dict(positions), ZERO
    for one in sorted(resting, key=lambda order: order.order_id):
        count, price = one.remaining_count or ZERO, one.yes_price if one.book_side == "bid" else one.no_price
        ticker = str(one.ticker)
        held = left.get(ticker, ZERO)
        closes = min(count, max(-held if one.book_side == "bid" else held, ZERO))
        left[ticker] = held + (closes if one.book_side == "bid" else -closes)
        total += (count - closes) * (price or ZERO)
    return total


def _left(orders: list[Order], side: str) -> Decimal:
    return sum((one.remaining_count or ZERO for one in orders if one.book_side == side), ZERO)


def _since(movements: list[Any], day: datetime) -> Decimal:
    """Dollars of the movements that were applied since a day began."""
    counted = [
        one for one in movements if one.status == "applied" and (one.finalized_ts or one.created_ts or day) >= day
    ]
    return sum((one.amount or ZERO for one in counted), ZERO)
