"""The endpoints of orders and of order groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalshi_lab.sim.desk import shapes
from kalshi_lab.sim.desk.calls import Body, Call, Reply, Signed, invalid
from kalshi_lab.sim.desk.listing import listed, since
from kalshi_lab.sim.desk.order import Order, Wish
from kalshi_lab.sim.desk.venue import Venue, trading
from kalshi_lab.sim.queries import Query, Refused, bad, missing
from kalshi_lab.sim.wire import SECOND, count, price

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.routing import Route

    from kalshi_lab.sim.desk.matching import Prevention
    from kalshi_lab.sim.desk.shapes import Json

_LAST = 10**11
_TIMES = ("fill_or_kill", "good_till_canceled", "immediate_or_cancel")


class Orders:
    """Answers about the orders of a venue."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    def routes(self) -> list[Route]:
        """The endpoints; of two that fit a path the first one answers."""
        new, old = "/portfolio/events/orders", "/portfolio/orders"
        listed: list[tuple[str, str, Callable[..., Any], str]] = [
            ("DELETE", new, self.cancel_all, "write::trade"),
            ("POST", new, self.create, "write::trade"),
            ("DELETE", f"{new}/batched", self.cancel_batch, "write::trade"),
            ("POST", f"{new}/batched", self.create_batch, "write::trade"),
            ("DELETE", f"{new}/{{order_id}}", self.cancel, "write::trade"),
            ("POST", f"{new}/{{order_id}}/amend", self.amend, "write::trade"),
            ("POST", f"{new}/{{order_id}}/decrease", self.decrease, "write::trade"),
            ("GET", old, self.all, "read"),
            ("GET", f"{old}/queue_positions", self.queue_positions, "read"),
            ("GET", f"{old}/{{order_id}}", self.one, "read"),
            ("GET", f"{old}/{{order_id}}/queue_position", self.queue_position, "read"),
            ("GET", "/historical/orders", self.archive, "read"),
        ]
        retired = (
            ("POST", old), ("POST", f"{old}/batched"), ("DELETE", f"{old}/batched"), ("DELETE", f"{old}/{{order_id}}"),
            ("POST", f"{old}/{{order_id}}/amend"), ("POST", f"{old}/{{order_id}}/decrease"),
        )  # fmt: skip
        return [
            *(Signed(*route) for route in listed),
            *(Signed(method, path, _retired, "write::trade") for method, path in retired),
        ]

    # ------------------------------------------------------------------ writes

    def create(self, call: Call) -> Reply:
        """POST /portfolio/events/orders."""
        return Reply(201, self._created(call, call.body))

    def _created(self, call: Call, body: Body) -> Json:
        order = self.venue.place(call.account, self._wish(call, body), call.now)
        made = {"order_id": order.id, "fill_count": count(order.filled), "remaining_count": count(order.left)}
        return {**made, **_client(order), **_averages(order), "ts_ms": call.now // shapes.MILLISECOND}

    def _wish(self, call: Call, body: Body) -> Wish:
        market = self.venue.find(body.text("ticker", needed=True))
        _routed(body, market.shard)
        time_in_force = body.word("time_in_force", _TIMES)
        expires = body.number("expiration_time", 1, _LAST)
        post_only, reduce_only = body.flag("post_only"), body.flag("reduce_only")
        resting = time_in_force == "good_till_canceled"
        if (expires is not None or post_only) and not resting:
            raise _wrong("expiration_time and post_only need good_till_canceled")
        if reduce_only and time_in_force != "immediate_or_cancel":
            raise _wrong("reduce_only needs immediate_or_cancel")
        return Wish(
            row=market.row, buys=body.word("side", ("bid", "ask")) == "bid", price=_price(body), count=body.count("count"),
            time_in_force=time_in_force, prevention=_prevention(body),
            client_id=body.text("client_order_id"), expires=None if expires is None else expires * SECOND, post_only=post_only,
            reduce_only=reduce_only, cancel_on_pause=body.flag("cancel_order_on_pause"), group=body.text("order_group_id"),
            subaccount=call.caller.allowed(body.number("subaccount", 0, 63), 0) or 0,
        )  # fmt: skip

    def create_batch(self, call: Call) -> Reply:
        """POST /portfolio/events/orders/batched: one entry for each order, with an error where it failed."""
        made = []
        for wanted in call.body.several("orders", 10_000):
            try:
                made.append(self._created(call, Body(wanted)))
            except Refused as refusal:
                client = wanted.get("client_order_id") if isinstance(wanted, dict) else None
                made.append({"client_order_id": client, "error": refusal.body["error"]})
        return Reply(201, {"orders": made})

    def cancel(self, call: Call, order_id: str) -> Json:
        """DELETE /portfolio/events/orders/{order_id}."""
        return self._cancelled(call, order_id, call.subaccount())

    def _cancelled(self, call: Call, order_id: str, subaccount: int | None) -> Json:
        order = self._open(call, order_id, subaccount)
        reduced = self.venue.cancel(order, "", call.now)
        return {
            "order_id": order.id,
            **_client(order),
            "reduced_by": count(reduced),
            "ts_ms": call.now // shapes.MILLISECOND,
        }

    def cancel_batch(self, call: Call) -> Json:
        """DELETE /portfolio/events/orders/batched: one entry for each order, with an error where it failed."""
        made = []
        for wanted in call.body.several("orders", 10_000):
            body = Body(wanted)
            order_id = body.text("order_id", needed=True)
            try:
                subaccount = call.caller.allowed(body.number("subaccount", 0, 63))
                made.append(self._cancelled(call, order_id, subaccount))
            except Refused as refusal:
                made.append({"order_id": order_id, "reduced_by": "0.00", "error": refusal.body["error"]})
        return {"orders": made}

    def cancel_all(self, call: Call) -> Reply:
        """DELETE /portfolio/events/orders: every resting order, of one subaccount or of all; for direct members."""
        if not call.account.direct:
            raise Refused(403, "forbidden", "forbidden", "only direct members cancel all orders at once")
        subaccount = call.subaccount()
        for order in self.venue.resting(call.account):
            if subaccount in {None, order.subaccount}:
                self.venue.cancel(order, "", call.now)
        return Reply(204)

    def amend(self, call: Call, order_id: str) -> Json:
        """POST /portfolio/events/orders/{order_id}/amend: the full price and count, `count` with what is filled already."""
        order, body = self._open(call, order_id, call.subaccount()), call.body
        trading(self.venue.market(order.row), call.now)
        if body.text("ticker", needed=True) != order.ticker:
            raise Refused(400, "order_ticker_mismatch", "order ticker mismatch")
        if (body.word("side", ("bid", "ask")) == "bid") != order.buys:
            raise Refused(400, "order_side_mismatch", "order side mismatch")
        if body.text("client_order_id") not in {"", order.client_id}:
            raise Refused(400, "order_id_and_client_order_id_mismatch", "order id and client order id mismatch")
        _routed(body, order.shard)
        expires = _expiry(order, body.number("expiration_time", 0, _LAST), call.now)
        filled, fees, paid = order.filled, order.taker_fees, order.taker_cost
        client_id = body.text("updated_client_order_id")
        if client_id not in {"", order.client_id} and client_id in call.account.client_ids:
            raise Refused(409, "order_already_exists", "order already exists")
        self.venue.amend(order, _price(body), body.count("count"), expires, now=call.now)
        if client_id:
            call.account.client_ids[client_id], order.client_id = order.id, client_id
        made = {"order_id": order.id, "remaining_count": count(order.left), "fill_count": count(order.filled)}
        return {
            **made,
            **_client(order),
            **_averages(order, filled, fees, paid),
            "ts_ms": call.now // shapes.MILLISECOND,
        }

    def decrease(self, call: Call, order_id: str) -> Json:
        """POST /portfolio/events/orders/{order_id}/decrease: by so many contracts, or to so many."""
        order, body = self._open(call, order_id, call.subaccount()), call.body
        down, to = body.scaled("reduce_by", 2), body.scaled("reduce_to", 2)
        if (down is None) == (to is None):
            raise invalid("give exactly one of reduce_by and reduce_to")
        left = order.left - down if down is not None else to or 0
        if left >= order.left:
            raise Refused(400, "invalid_order_size", "invalid order size", "the order must become smaller")
        if left <= 0:
            self.venue.cancel(order, "Decrease", call.now)
        else:
            self.venue.reduce(order, left, call.now)
        made = {"order_id": order.id, **_client(order), "remaining_count": count(order.left)}
        return {**made, "ts_ms": call.now // shapes.MILLISECOND}

    def _open(self, call: Call, order_id: str, subaccount: int | None) -> Order:
        """A resting order of the caller's in a market that is not over."""
        order = self._own(call, order_id, subaccount)
        if not self.venue.market(order.row).reachable(call.now):
            raise Refused(400, "MARKET_INACTIVE", "market inactive")
        if order.status != "resting":
            raise missing()
        return order

    def _own(self, call: Call, order_id: str, subaccount: int | None = None) -> Order:
        order = self.venue.orders.get(order_id)
        locked = call.caller.subaccount if subaccount is None else subaccount
        if order is None or order.owner != call.account.id or locked not in {None, order.subaccount}:
            raise missing()
        return order

    # ------------------------------------------------------------------ reads

    def all(self, call: Call) -> Json:
        """GET /portfolio/orders."""
        events = set(call.several("event_ticker", 10))
        status, shard = call.word("status", ("resting", "canceled", "executed")), call.number("exchange_index")
        found = [
            order
            for order in self._filtered(call)
            if status in {"", order.status}
            and shard in {None, order.shard}
            and (not events or self.venue.market(order.row).event_ticker in events)
            and (order.status == "resting" or order.updated >= self._cutoff(call))
        ]
        chosen, cursor = listed(call, "/portfolio/orders", found, 1000)
        return {"orders": [shapes.order(order) for order in chosen], "cursor": cursor}

    def archive(self, call: Call) -> Json:
        """GET /historical/orders."""
        gone = [order for order in self._filtered(call) if order.status != "resting"]
        found = [order for order in gone if order.updated < self._cutoff(call)]
        chosen, cursor = listed(call, "/historical/orders", found, 1000)
        return {"orders": [shapes.order(order) for order in chosen], "cursor": cursor}

    def _cutoff(self, call: Call) -> int:
        return self.venue.world.cutoffs(call.now)["orders_updated_ts"]

    def _filtered(self, call: Call) -> list[Order]:
        ticker, subaccount = call.text("ticker"), call.subaccount()
        low, high = since(call)
        return [
            order
            for order in self.venue.orders.values()
            if order.owner == call.account.id
            and ticker in {"", order.ticker}
            and subaccount in {None, order.subaccount}
            and low <= order.created <= high
        ]

    def one(self, call: Call, order_id: str) -> Json:
        """GET /portfolio/orders/{order_id}."""
        return {"order": shapes.order(self._own(call, order_id))}

    def queue_position(self, call: Call, order_id: str) -> Json:
        """GET /portfolio/orders/{order_id}/queue_position."""
        order = self._own(call, order_id)
        if order.status != "resting":
            raise missing()
        return {"queue_position_fp": self._queue(order, call.now)}

    def _queue(self, order: Order, now: int) -> str:
        market = self.venue.market(order.row)
        return count(market.book.queue(order, market.quotes(now)))

    def queue_positions(self, call: Call) -> Json:
        """GET /portfolio/orders/queue_positions."""
        tickers, event, subaccount = set(call.several("market_tickers")), call.text("event_ticker"), call.subaccount()
        if not tickers and not event:
            raise bad("market_tickers or event_ticker is required")
        found = [
            order
            for order in self.venue.resting(call.account)
            if (order.ticker in tickers or self.venue.market(order.row).event_ticker == event)
            and subaccount in {None, order.subaccount}
        ]
        return {
            "queue_positions": [
                {"order_id": order.id, "market_ticker": order.ticker, "queue_position_fp": self._queue(order, call.now)}
                for order in found
            ]
        }


def _retired(_call: Query, **_params: str) -> Json:
    raise Refused(410, "deprecated_v1_order_endpoint", "this endpoint is retired, use /portfolio/events/orders")


def _prevention(body: Body) -> Prevention:
    word = body.word("self_trade_prevention_type", ("taker_at_cross", "maker"))
    return "maker" if word == "maker" else "taker_at_cross"


def _price(body: Body) -> int:
    """A price in 1/10,000 dollars, from text with two to four decimals."""
    return body.scaled("price", 4, needed=True) or 0


def _routed(body: Body, shard: int) -> None:
    wanted = body.number("exchange_index", -1, 100)
    if wanted not in {None, -1, shard}:
        raise _wrong(f"the market is on exchange_index {shard}")


def _wrong(details: str) -> Refused:
    return Refused(400, "invalid_order", "invalid order", details)


def _client(order: Order) -> Json:
    return {"client_order_id": order.client_id} if order.client_id else {}


def _averages(order: Order, filled: int = 0, fees: int = 0, paid: int = 0) -> Json:
    """Mean YES price and mean fee of the contracts that one request took."""
    took = order.filled - filled
    if not took:
        return {}
    cost = (order.taker_cost - paid + took // 2) // took
    return {
        "average_fill_price": price(cost if order.buys else 10_000 - cost),
        "average_fee_paid": shapes.balance((order.taker_fees - fees) * 100 // took),
    }


def _expiry(order: Order, wanted: int | None, now: int) -> int | None:
    if wanted is None:
        return order.expires
    if wanted and wanted * SECOND <= now:
        raise _wrong("expiration_time is in the past")
    return wanted * SECOND or None
