"""Family order_groups: orders that are canceled together once too many of their contracts fill within 15 seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalshi_lab.kalshi import params
from kalshi_lab.kalshi.family import Family
from kalshi_lab.kalshi.operations import call
from kalshi_lab.models.order import OrderGroup
from kalshi_lab.portal import Facade, blocking

if TYPE_CHECKING:
    from decimal import Decimal


class AsyncOrderGroups(Family):
    """Order groups; all of it needs a key."""

    async def list(self, *, subaccount: int | None = None) -> tuple[OrderGroup, ...]:
        """Your groups."""
        asked = params.given(subaccount=params.subaccount(subaccount))
        return await self._rows(OrderGroup, call("get_order_groups", asked), "order_groups")

    async def one(self, order_group_id: str, *, subaccount: int | None = None) -> OrderGroup:
        """One group with the ids of its orders."""
        asked = params.given(subaccount=params.subaccount(subaccount))
        made = call("get_order_group", asked, order_group_id=order_group_id)
        return await self._object(OrderGroup, made, order_group_id=order_group_id)

    async def create(
        self, contracts_limit: Decimal | str | int, *, subaccount: int | None = None, shard: int | None = None
    ) -> OrderGroup:
        """Open a group that cancels its orders when more than `contracts_limit` contracts fill within a rolling 15 s.

        Not sent twice by itself: a group whose answer was lost shows up in `list`.
        """
        sent = params.body(
            contracts_limit_fp=params.count(contracts_limit, "contracts_limit"),
            subaccount=params.subaccount(subaccount),
            exchange_index=params.shard(shard),
        )
        return await self._object(OrderGroup, call("create_order_group", body=sent))

    async def delete(self, order_group_id: str, *, subaccount: int | None = None, shard: int | None = None) -> None:
        """Cancel a group's orders and remove it."""
        asked = _where(subaccount, shard)
        await self._send(call("delete_order_group", asked, order_group_id=order_group_id))

    async def reset(self, order_group_id: str, *, subaccount: int | None = None, shard: int | None = None) -> None:
        """Count from zero again, so that orders are accepted after a trigger."""
        asked = _where(subaccount, shard)
        await self._send(call("reset_order_group", asked, body=b"{}", order_group_id=order_group_id))

    async def trigger(self, order_group_id: str, *, subaccount: int | None = None, shard: int | None = None) -> None:
        """Cancel a group's orders now and refuse new ones until it is reset."""
        asked = _where(subaccount, shard)
        await self._send(call("trigger_order_group", asked, body=b"{}", order_group_id=order_group_id))

    async def update_limit(
        self,
        order_group_id: str,
        contracts_limit: Decimal | str | int,
        *,
        subaccount: int | None = None,
        shard: int | None = None,
    ) -> None:
        """Change a group's limit."""
        sent = params.body(contracts_limit_fp=params.count(contracts_limit, "contracts_limit"))
        asked = _where(subaccount, shard)
        await self._send(call("update_order_group_limit", asked, body=sent, order_group_id=order_group_id))


def _where(subaccount: int | None, shard: int | None) -> params.Params:
    return params.given(subaccount=params.subaccount(subaccount), exchange_index=params.shard(shard))


class OrderGroups(Facade):
    """The blocking face of `AsyncOrderGroups`."""

    list = blocking(AsyncOrderGroups.list)
    one = blocking(AsyncOrderGroups.one)
    create = blocking(AsyncOrderGroups.create)
    delete = blocking(AsyncOrderGroups.delete)
    reset = blocking(AsyncOrderGroups.reset)
    trigger = blocking(AsyncOrderGroups.trigger)
    update_limit = blocking(AsyncOrderGroups.update_limit)
