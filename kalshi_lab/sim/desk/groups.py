"""The endpoints of order groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalshi_lab.sim.desk.calls import Body, Call, Reply, Signed, invalid
from kalshi_lab.sim.desk.ledger import SHARDS
from kalshi_lab.sim.desk.order import Group
from kalshi_lab.sim.queries import Refused, missing
from kalshi_lab.sim.wire import count

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.routing import Route

    from kalshi_lab.sim.desk.shapes import Json
    from kalshi_lab.sim.desk.venue import Venue

LARGEST, MOST = 100_000_000, 100_000


class Groups:
    """Answers about the order groups of a venue."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    def routes(self) -> list[Route]:
        """The endpoints."""
        one = "/portfolio/order_groups/{order_group_id}"
        listed: list[tuple[str, str, Callable[..., Any], str]] = [
            ("GET", "/portfolio/order_groups", self.all, "read"),
            ("POST", "/portfolio/order_groups/create", self.create, "write::trade"),
            ("DELETE", one, self.delete, "write::trade"),
            ("GET", one, self.one, "read"),
            ("PUT", f"{one}/limit", self.limit, "write::trade"),
            ("PUT", f"{one}/reset", self.reset, "write::trade"),
            ("PUT", f"{one}/trigger", self.trigger, "write::trade"),
        ]
        return [Signed(*route) for route in listed]

    def all(self, call: Call) -> Json:
        """GET /portfolio/order_groups."""
        subaccount = call.subaccount()
        mine = [group for group in self.venue.groups.values() if group.account == call.account.id]
        return {
            "order_groups": [
                {"id": group.id, **_described(group)} for group in mine if subaccount in {None, group.subaccount}
            ]
        }

    def create(self, call: Call) -> Reply:
        """POST /portfolio/order_groups/create."""
        if sum(group.account == call.account.id for group in self.venue.groups.values()) >= MOST:
            raise Refused(400, "invalid_parameters", "invalid parameters", "too many order groups")
        group = Group(
            id=self.venue.ids.new(),
            account=call.account.id,
            subaccount=call.caller.allowed(call.body.number("subaccount", 0, 63), 0) or 0,
            shard=call.body.number("exchange_index", 0, SHARDS - 1) or 0,
            limit=_limit(call.body),
        )
        self.venue.groups[group.id] = group
        self.venue.announce(group, "created", call.now)
        made = {"order_group_id": group.id, "subaccount": group.subaccount, "exchange_index": group.shard}
        return Reply(201, made)

    def one(self, call: Call, order_group_id: str) -> Json:
        """GET /portfolio/order_groups/{order_group_id}."""
        group = self._own(call, order_group_id)
        orders = [order.id for order in self.venue.resting(call.account) if order.group == group.id]
        return {**_described(group), "orders": orders}

    def delete(self, call: Call, order_group_id: str) -> Json:
        """DELETE /portfolio/order_groups/{order_group_id}: its orders are cancelled."""
        group = self._own(call, order_group_id)
        self.venue.drop(group, call.now)
        del self.venue.groups[group.id]
        self.venue.announce(group, "deleted", call.now)
        return {}

    def limit(self, call: Call, order_group_id: str) -> Json:
        """PUT /portfolio/order_groups/{order_group_id}/limit."""
        group = self._own(call, order_group_id)
        group.limit = _limit(call.body)
        self.venue.announce(group, "limit_updated", call.now)
        return {}

    def reset(self, call: Call, order_group_id: str) -> Json:
        """PUT /portfolio/order_groups/{order_group_id}/reset."""
        group = self._own(call, order_group_id)
        group.reset()
        self.venue.announce(group, "reset", call.now)
        return {}

    def trigger(self, call: Call, order_group_id: str) -> Json:
        """PUT /portfolio/order_groups/{order_group_id}/trigger."""
        self.venue.trigger(self._own(call, order_group_id), call.now)
        return {}

    def _own(self, call: Call, group_id: str) -> Group:
        group, subaccount, shard = (
            self.venue.group(call.account, group_id),
            call.subaccount(),
            call.number("exchange_index"),
        )
        if subaccount not in {None, group.subaccount} or shard not in {None, group.shard}:
            raise missing()
        return group


def _described(group: Group) -> Json:
    return {
        "contracts_limit_fp": count(group.limit),
        "is_auto_cancel_enabled": not group.triggered,
        "exchange_index": group.shard,
    }


def _limit(body: Body) -> int:
    """The limit in hundredths of a contract; both fields must agree where both are given."""
    whole, exact = body.number("contracts_limit", 1, LARGEST // 100), body.scaled("contracts_limit_fp", 2)
    if whole is None and exact is None:
        raise invalid("contracts_limit or contracts_limit_fp is required")
    limit = exact if exact is not None else (whole or 0) * 100
    if (whole is not None and whole * 100 != limit) or not 100 <= limit <= LARGEST:
        raise invalid("contracts_limit must be between 1 and 1000000, and equal in both fields")
    return limit
