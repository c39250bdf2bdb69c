"""Family orders: your orders, and the writes that make, change and cancel them.

A write needs a client that was opened for writing (`kl.Kalshi(writable=True, ...)`). Every order gets a client id, so that one whose
answer was lost can be sent again without being placed twice, and be looked up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args
from uuid import uuid4

from kalshi_lab import objects
from kalshi_lab.errors import Conflict, OrderUnknown, RequestError, UsageError, one_of
from kalshi_lab.kalshi import params
from kalshi_lab.kalshi.family import Family, envelope, listed
from kalshi_lab.kalshi.operations import call
from kalshi_lab.kalshi.pages import AsyncPages, paged
from kalshi_lab.models.fields import columns
from kalshi_lab.models.order import Order, OrderResult, QueuePosition
from kalshi_lab.portal import Facade, blocking

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from kalshi_lab.clock import When
    from kalshi_lab.door import Reply

PAGE = 1000
MOST_EVENTS = 10
SIDE = Literal["bid", "ask"]
IN_FORCE = Literal["good_till_canceled", "immediate_or_cancel", "fill_or_kill"]
SELF_TRADE = Literal["taker_at_cross", "maker"]
STATUS = Literal["resting", "canceled", "executed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """An order to be placed on the YES book: "bid" buys YES, "ask" sells YES, which is buying NO at 1 - price.

    count: contracts, from 0.01 in hundredths; price: dollars of YES as text or Decimal, on the market's grid. There is no market
    order: take a price through the book with time_in_force="immediate_or_cancel". expiration_time goes with good_till_canceled only,
    reduce_only with immediate_or_cancel only. client_order_id is made where none is given. Raises UsageError for what cannot be sent.
    """

    ticker: str
    side: SIDE
    count: Decimal | str | int
    price: Decimal | str
    time_in_force: IN_FORCE = "good_till_canceled"
    post_only: bool | None = None
    reduce_only: bool | None = None
    expiration_time: When | None = None
    self_trade_prevention_type: SELF_TRADE = "taker_at_cross"
    cancel_order_on_pause: bool | None = None
    order_group_id: str | None = None
    client_order_id: str | None = None
    subaccount: int | None = None
    shard: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "client_order_id", self.client_order_id or str(uuid4()))
        if self.expiration_time is not None and self.time_in_force != "good_till_canceled":
            raise UsageError("expiration_time goes with good_till_canceled only")
        if self.reduce_only and self.time_in_force != "immediate_or_cancel":
            raise UsageError("reduce_only goes with immediate_or_cancel only")
        if self.post_only and self.time_in_force != "good_till_canceled":
            raise UsageError("post_only goes with good_till_canceled only")
        self.fields()

    def fields(self) -> dict[str, Any]:
        """What is sent, checked."""
        return {
            "ticker": params.ticker(self.ticker),
            "side": one_of("side", self.side, get_args(SIDE)),
            "count": params.count(self.count),
            "price": params.price(self.price),
            "time_in_force": one_of("time_in_force", self.time_in_force, get_args(IN_FORCE)),
            "self_trade_prevention_type": one_of(
                "self_trade_prevention_type", self.self_trade_prevention_type, get_args(SELF_TRADE)
            ),
            "client_order_id": self.client_order_id,
            "post_only": self.post_only,
            "reduce_only": self.reduce_only,
            "expiration_time": self.expiration_time,
            "cancel_order_on_pause": self.cancel_order_on_pause,
            "order_group_id": self.order_group_id,
            "subaccount": params.subaccount(self.subaccount),
            "exchange_index": params.shard(self.shard),
        }


class AsyncOrders(Family):
    """Orders; all of it needs a key."""

    def list(
        self,
        *,
        ticker: str | None = None,
        events: str | Iterable[str] | None = None,
        status: STATUS | None = None,
        since: When | None = None,
        until: When | None = None,
        subaccount: int | None = None,
        shard: int | None = None,
        limit: int | None = None,
        max_pages: int | None = None,
    ) -> AsyncPages[Order]:
        """Your orders; finished ones from before the cutoff are in `historical.orders`. At most 10 events."""
        asked = params.given(
            ticker=params.filtered(ticker),
            event_ticker=params.listed(events, most=MOST_EVENTS),
            status=None
            if status is None
            else one_of("status", status, get_args(STATUS), also={"cancelled": "canceled"}),
            subaccount=params.subaccount(subaccount),
            exchange_index=params.shard(shard),
        )
        made = call("get_orders", asked + params.window(since, until, now=self._clock.now()))
        return self._pages(Order, "orders", made, ("order_id",), page=PAGE, limit=limit, max_pages=max_pages)

    async def one(self, order_id: str) -> Order:
        """One order; NotFound where there is none."""
        return await self._object(Order, call("get_order", order_id=order_id), "order")

    async def queue_position(self, order_id: str) -> QueuePosition:
        """How many contracts stand before an order."""
        return await self._object(QueuePosition, call("get_order_queue_position", order_id=order_id), order_id=order_id)

    async def queue_positions(
        self,
        tickers: str | Iterable[str] | None = None,
        *,
        event: str | None = None,
        subaccount: int | None = None,
    ) -> tuple[QueuePosition, ...]:
        """How many contracts stand before each resting order of these markets or of an event."""
        asked = params.given(
            market_tickers=params.listed(tickers),
            event_ticker=params.filtered(event, "event"),
            subaccount=params.subaccount(subaccount),
        )
        return await self._rows(QueuePosition, call("get_order_queue_positions", asked), "queue_positions")

    async def create(self, order: NewOrder, *, again: bool = True) -> OrderResult:
        """Place an order.

        Sent again with the same client id where an answer was lost, unless `again` is False; where that finds it placed, the order is
        looked up. Raises OrderUnknown, with the client id, where nobody can say whether it is live.
        """
        made = call("create_order_v2", body=params.body(**self._fields(order)))
        made = made if again else replace(made, repeat=False)
        try:
            reply = await self._send(made)
        except RequestError as error:
            if not error.may_have_happened:
                raise
            if not isinstance(error, Conflict):
                raise _unknown(order, error) from error
            return await self._found(order, error)
        return result(reply, client_order_id=order.client_order_id)

    def _fields(self, order: NewOrder) -> dict[str, Any]:
        expires = order.expiration_time
        return {**order.fields(), "expiration_time": params.future(expires, "expiration_time", now=self._clock.now())}

    async def _found(self, order: NewOrder, error: Conflict) -> OrderResult:
        """The order that an earlier attempt placed, under the same client id."""
        async for placed in self.list(ticker=order.ticker, since="1h"):
            if placed.client_order_id == order.client_order_id:
                return OrderResult(
                    order_id=placed.order_id,
                    client_order_id=placed.client_order_id,
                    fill_count=placed.fill_count,
                    remaining_count=placed.remaining_count,
                )
        raise _unknown(order, error)

    async def create_batch(self, orders: Sequence[NewOrder], *, again: bool = True) -> tuple[OrderResult, ...]:
        """Place several orders; one result for each, in their order, with an `error` where one failed. `again` as in `create`."""
        if not orders:
            raise UsageError("no order was given")
        sent = params.body(orders=[self._fields(order) for order in orders])
        made = call("batch_create_orders_v2", body=sent, items=len(orders))
        return await self._results(made if again else replace(made, repeat=False))

    async def cancel(
        self, order_id: str, *, ticker: str | None = None, subaccount: int | None = None, shard: int | None = None
    ) -> OrderResult:
        """Cancel an order; NotFound where it is gone already. `ticker` lets the exchange find its shard."""
        asked = params.given(
            subaccount=params.subaccount(subaccount),
            exchange_index=params.shard(shard),
            market_ticker=params.filtered(ticker),
        )
        return result(await self._send(call("cancel_order_v2", asked, order_id=order_id)), order_id=order_id)

    async def cancel_batch(
        self, order_ids: Sequence[str], *, ticker: str | None = None, subaccount: int | None = None
    ) -> tuple[OrderResult, ...]:
        """Cancel several orders; one result for each, in their order, with an `error` where one failed."""
        if not order_ids or isinstance(order_ids, str):
            raise UsageError("give a list of order ids")
        shared = {"subaccount": params.subaccount(subaccount), "market_ticker": params.filtered(ticker)}
        rows = [{"order_id": one, **shared} for one in order_ids]
        return await self._results(call("batch_cancel_orders_v2", body=params.body(orders=rows), items=len(order_ids)))

    async def _results(self, asked: Any) -> tuple[OrderResult, ...]:
        reply = await self._send(asked)
        return tuple(lenient(row) for row in listed(reply, "orders"))

    async def cancel_all(self, *, subaccount: int | None = None) -> None:
        """Cancel all resting orders; the exchange may also catch those placed within the next minute."""
        await self._send(call("cancel_all_orders", params.given(subaccount=params.subaccount(subaccount))))

    async def amend(
        self,
        order_id: str,
        *,
        ticker: str,
        side: SIDE,
        price: Decimal | str,
        count: Decimal | str | int,
        client_order_id: str | None = None,
        updated_client_order_id: str | None = None,
        expiration_time: When | Literal[0] | None = None,
        subaccount: int | None = None,
        shard: int | None = None,
    ) -> OrderResult:
        """Change price and size of an order. `count` is what is filled plus what is to rest.

        A smaller size keeps its place in the queue; another price or a larger size loses it. expiration_time: None keeps it, 0 ends
        it. Not sent twice by itself.
        """
        ends = None if expiration_time == 0 else expiration_time
        expires = params.future(ends, "expiration_time", now=self._clock.now())
        sent = params.body(
            ticker=params.ticker(ticker),
            side=one_of("side", side, get_args(SIDE)),
            price=params.price(price),
            count=params.count(count),
            client_order_id=client_order_id,
            updated_client_order_id=updated_client_order_id,
            expiration_time=0 if expiration_time == 0 else expires,
            exchange_index=params.shard(shard),
        )
        asked = params.given(subaccount=params.subaccount(subaccount))
        made = call("amend_order_v2", asked, body=sent, order_id=order_id)
        return result(await self._send(made), order_id=order_id)

    async def decrease(
        self,
        order_id: str,
        *,
        reduce_by: Decimal | str | int | None = None,
        reduce_to: Decimal | str | int | None = None,
        ticker: str | None = None,
        subaccount: int | None = None,
        shard: int | None = None,
    ) -> OrderResult:
        """Make an order smaller, by so many contracts or to so many; it keeps its place in the queue."""
        if (reduce_by is None) == (reduce_to is None):
            raise UsageError("give either reduce_by or reduce_to")
        sent = params.body(
            reduce_by=None if reduce_by is None else params.count(reduce_by, "reduce_by"),
            reduce_to=None
            if reduce_to is None
            else params.exact(reduce_to, "reduce_to", decimals=2, low=params.NOTHING),
            exchange_index=params.shard(shard),
            market_ticker=params.filtered(ticker),
        )
        asked = params.given(subaccount=params.subaccount(subaccount))
        made = call("decrease_order_v2", asked, body=sent, order_id=order_id)
        return result(await self._send(made), order_id=order_id)


def result(reply: Reply, **known: str | None) -> OrderResult:
    """What a write answered; `known` fills in what it left out, since the id of a live order is what counts.

    The write is done, so an answer in another form than expected is no failure: flat or under `order`, with fields that cannot be
    read kept in `model_extra`.
    """
    row = envelope(reply)
    inner = row.pop("order", None)
    return lenient({**known, **(inner if isinstance(inner, dict) else {}), **row})


def lenient(row: Any) -> OrderResult:
    """One result, whatever of it can be read."""
    fields = dict(row) if isinstance(row, dict) else {"answer": row}
    try:
        made: OrderResult = objects.one(OrderResult, fields)
    except ValueError:
        names = {column.wires[0] for column in columns(OrderResult)} - {"order_id", "client_order_id"}
        made = objects.one(OrderResult, {f"raw_{name}" if name in names else name: fields[name] for name in fields})
    return made


def _unknown(order: NewOrder, error: RequestError) -> OrderUnknown:
    unknown = OrderUnknown(
        f"nobody can say whether the order is live: {error.message} [request {error.request_id}]",
        hint=f"Look for client_order_id {order.client_order_id} in orders.list(ticker={order.ticker!r}) before placing it again",
    )
    unknown.client_order_id, unknown.request_id = order.client_order_id or "", error.request_id
    return unknown


class Orders(Facade):
    """The blocking face of `AsyncOrders`."""

    list = paged(AsyncOrders.list)
    one = blocking(AsyncOrders.one)
    queue_position = blocking(AsyncOrders.queue_position)
    queue_positions = blocking(AsyncOrders.queue_positions)
    create = blocking(AsyncOrders.create)
    create_batch = blocking(AsyncOrders.create_batch)
    cancel = blocking(AsyncOrders.cancel)
    cancel_batch = blocking(AsyncOrders.cancel_batch)
    cancel_all = blocking(AsyncOrders.cancel_all)
    amend = blocking(AsyncOrders.amend)
    decrease = blocking(AsyncOrders.decrease)
