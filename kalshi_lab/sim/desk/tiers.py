"""Rate limits as the exchange's tiers set them: a read and a write bucket for each account, and what each request costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalshi_lab.sim.static import COSTS
from kalshi_lab.sim.virtual import COST, Bucket

if TYPE_CHECKING:
    from kalshi_lab.sim.desk.keys import Caller

TIERS = {
    "basic": (200, 100), "advanced": (300, 300), "expert": (600, 600), "premier": (1200, 1200), "paragon": (2400, 2400),
    "prime": (4800, 4800), "prestige": (12_000, 9_600),
}  # fmt: skip
# share of the exchange's volume that earns a tier, and that keeps it, in hundredths of a percent times 100
GOALS = {
    "expert": (750, 500), "premier": (1250, 1000), "paragon": (2500, 2000), "prime": (5000, 4000), "prestige": (10_000, 8_000),
}  # fmt: skip
_LISTED: dict[tuple[str, str], float] = {(one["method"], one["path"]): one["cost"] for one in COSTS["endpoint_costs"]}


def capacity(tier: str, kind: str) -> int:
    """How many tokens a bucket holds: three seconds' worth for slow reads and for writes above the lowest tier, else one."""
    rate = TIERS[tier][kind == "write"]
    long = tier != "basic" if kind == "write" else tier in {"basic", "advanced"}
    return rate * (3 if long else 1)


def cost(method: str, path: str, body: Any) -> float:
    """Tokens that a request to a route costs; a batch pays for each of its orders."""
    each = _LISTED.get((method, path), COST)
    orders = body.get("orders") if isinstance(body, dict) and path.endswith("/batched") else None
    return each * max(1, len(orders)) if isinstance(orders, list) else each


class Limits:
    """The buckets of all accounts, and one that callers without a key share."""

    def __init__(self, anonymous: Bucket) -> None:
        self._anonymous = anonymous
        self._buckets: dict[tuple[str, str, str, int], Bucket] = {}

    def take(self, caller: Caller | None, method: str, path: str, body: Any) -> bool:
        """Pay for a request; False when the bucket holds too little."""
        price = cost(method, path, body)
        if caller is None:
            return self._anonymous.take(price)
        account, kind = caller.account, "read" if method in {"GET", "HEAD"} else "write"
        shard = body.get("exchange_index") if kind == "write" and isinstance(body, dict) else 0
        shard = max(0, shard) if isinstance(shard, int) else 0
        place = account.id, account.tier, kind, shard
        if place not in self._buckets:
            self._buckets[place] = Bucket(TIERS[account.tier][kind == "write"], capacity=capacity(account.tier, kind))
        return self._buckets[place].take(price)
