"""What became of a write whose answer was lost: found on the exchange, proved absent, or still not known. Nothing is sent again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from kalshi_lab.errors import BadPayload, BrokenResponse, OrderUnknown, RequestError
from kalshi_lab.models.order import OrderResult
from kalshi_lab.trading.looks import known

if TYPE_CHECKING:
    from datetime import datetime

    from kalshi_lab.clock import Clock
    from kalshi_lab.errors import LabError
    from kalshi_lab.models.order import Order
    from kalshi_lab.trading.looks import Looks
    from kalshi_lab.trading.situation import State

PAUSE: Final = 0.25  # seconds between two looks
TRAVELS: Final = timedelta(
    seconds=15
)  # a write that is on no list that is complete up to so long after it was sent never arrived
EARLIER: Final = timedelta(minutes=5)  # how far two clocks may be apart, where orders are searched by time


def unclear(error: LabError) -> bool:
    """Whether a write that ended in this error may have been carried out."""
    if isinstance(error, OrderUnknown | BadPayload | BrokenResponse):
        return True
    return isinstance(error, RequestError) and error.may_have_happened


@dataclass(frozen=True, slots=True)
class Resolver:
    """Looks for what became of writes; waits `patience` seconds at most, taken from `waits`."""

    looks: Looks
    waits: Clock
    patience: float

    async def settled(
        self, row: dict[str, Any], *, travels: timedelta = TRAVELS, patience: float | None = None
    ) -> tuple[State, Order | None]:
        """How a row's write ended: accepted (with the order), failed, or unknown after the patience is over.

        The exchange's lists lag behind its matching engine: only one that is complete beyond the time of sending proves anything.
        """
        end = self.waits.monotonic() + (self.patience if patience is None else patience)
        while True:
            problems: dict[str, str] = {}
            as_of = await known("as_of", self.looks.as_of(), problems)  # before the list, so that the list is no older
            found = await known("order", self._order(row), problems)
            if found is not None and _done(row, found):
                return "accepted", found
            if not problems and as_of is not None and as_of >= row["time"] + travels:
                return "failed", found
            if self.waits.monotonic() >= end:
                return "unknown", found
            await self.waits.sleep(PAUSE)

    async def _order(self, row: dict[str, Any]) -> Order | None:
        if row["verb"] == "create":
            since: datetime = row["time"] - EARLIER
            return await self.looks.placed(row["client_order_id"], row["ticker"], since)
        return await self.looks.order(row["order_id"])


def _done(row: dict[str, Any], order: Order) -> bool:
    """Whether an order looks as the write would have left it."""
    if row["verb"] == "amend":
        fresh: str = row["client_order_id"]
        return order.client_order_id == fresh
    if row["verb"] == "decrease":
        to = msgspec.json.decode(row["body"]).get("reduce_to")
        return order.status != "resting" or (to is not None and (order.remaining_count or Decimal(0)) <= Decimal(to))
    return order.status != "resting" if row["verb"] == "cancel" else True


def answer(order: Order) -> OrderResult:
    """What a write would have answered, from the order that was found."""
    return OrderResult(
        order_id=order.order_id, client_order_id=order.client_order_id, fill_count=order.fill_count, remaining_count=order.remaining_count
    )  # fmt: skip
