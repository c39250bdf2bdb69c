"""What members ask for and what became of it: orders, and groups of them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kalshi_lab.sim.desk.matching import Prevention, Resting
from kalshi_lab.sim.wire import DOLLAR, SECOND

if TYPE_CHECKING:
    from kalshi_lab.fees import OrderFees

WINDOW = 15 * SECOND


@dataclass(frozen=True, slots=True)
class Wish:
    """A new order as it was asked for; times in microseconds."""

    row: int
    buys: bool
    price: int
    count: int
    time_in_force: str
    prevention: Prevention
    client_id: str = ""
    expires: int | None = None
    post_only: bool = False
    reduce_only: bool = False
    cancel_on_pause: bool = False
    subaccount: int = 0
    group: str = ""


@dataclass(slots=True, eq=False)
class Order(Resting):
    """An order and its history; money in 1/1,000,000 dollars."""

    row: int
    ticker: str
    shard: int
    subaccount: int
    client_id: str
    initial: int
    created: int
    prevention: Prevention
    closes: bool
    post_only: bool
    cancel_on_pause: bool
    expires: int | None
    group: str
    fees: OrderFees
    updated: int = 0
    filled: int = 0
    status: str = "resting"
    reason: str = ""
    taker_cost: int = 0
    maker_cost: int = 0
    taker_fees: int = 0
    maker_fees: int = 0

    @property
    def unit(self) -> int:
        """What a contract costs at the limit, in 1/10,000 dollars."""
        return self.price if self.buys else DOLLAR - self.price


@dataclass(slots=True, eq=False)
class Group:
    """Orders that are all cancelled once they trade `limit` contracts within 15 seconds."""

    id: str
    account: str
    subaccount: int
    shard: int
    limit: int
    triggered: bool = False
    _traded: deque[tuple[int, int]] = field(default_factory=deque)

    def trade(self, at: int, count: int) -> bool:
        """Count a trade; whether the limit is reached."""
        self._traded.append((at, count))
        while self._traded[0][0] <= at - WINDOW:
            self._traded.popleft()
        return sum(count for _, count in self._traded) >= self.limit

    def reset(self) -> None:
        """Forget what was traded and take orders again."""
        self.triggered = False
        self._traded.clear()
