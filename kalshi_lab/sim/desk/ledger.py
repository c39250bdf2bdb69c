"""Who owns what: cash by subaccount and shard, positions, fees. Money is whole 1/1,000,000 dollars, counts whole 1/100 contracts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kalshi_lab.sim.wire import DOLLAR

CENT = 10_000
SHARDS = 4
Place = tuple[int, int]
"""A subaccount and a shard."""


@dataclass(slots=True)
class Position:
    """What one subaccount holds of one market: `held` is positive for YES and negative for NO, `cost` what was paid for it."""

    row: int
    held: int = 0
    cost: int = 0
    realized: int = 0
    fees: int = 0
    held_fees: int = 0
    traded: int = 0
    volume: int = 0
    updated: int = 0
    settled: int | None = None

    def closing(self, count: int, *, buys: bool) -> int:
        """How much of a trade would close what is held."""
        opposite = -self.held if buys else self.held
        return max(0, min(count, opposite))

    def trade(self, price: int, count: int, *, buys: bool) -> int:
        """Book a trade; the change of cash before fees. A YES and a NO contract together are a dollar, at once."""
        unit = price if buys else DOLLAR - price
        closing = self.closing(count, buys=buys)
        opening, back = count - closing, (DOLLAR - unit) * closing
        removed = self._share(self.cost, closing)
        self.held_fees -= self._share(self.held_fees, closing)
        self.realized += back - removed
        self.cost += unit * opening - removed
        self.held += count if buys else -count
        self.traded += unit * count
        self.volume += count
        return back - unit * opening

    def _share(self, total: int, closing: int) -> int:
        if not closing:
            return 0
        return total if closing == abs(self.held) else total * closing // abs(self.held)

    def worth(self, value: int) -> int:
        """What is held at a price of YES, in 1/1,000,000 dollars."""
        return self.held * value if self.held > 0 else -self.held * (DOLLAR - value)

    def settle(self, value: int, unit: int = CENT) -> int:
        """Close at what a YES contract pays, in 1/10,000 dollars; gives the payout, cut to whole units."""
        payout = self.worth(value) // unit * unit
        self.realized += payout - self.cost
        self.held = self.cost = self.held_fees = 0
        return payout


@dataclass(frozen=True, slots=True)
class Record:
    """Something that happened to an account and is listed later: a fill, a settlement, a transfer; `body` is its JSON."""

    at: int
    body: dict[str, Any]
    row: int = -1
    subaccount: int = 0
    shard: int = 0
    order: str = ""


@dataclass(slots=True, eq=False)
class Account:
    """One member. `funds` holds all cash, `locked` what resting orders may need, by market; `pooled` shards lend to one another."""

    id: str
    tier: str = "basic"
    direct: bool = False
    pooled: bool = True
    opened: int = 0
    funds: dict[Place, int] = field(default_factory=dict)
    locked: dict[Place, dict[int, int]] = field(default_factory=dict)
    positions: dict[tuple[int, int], Position] = field(default_factory=dict)
    subaccounts: set[int] = field(default_factory=lambda: {0})
    netting: dict[int, bool] = field(default_factory=dict)
    client_ids: dict[str, str] = field(default_factory=dict)
    allocation: list[dict[str, int]] = field(default_factory=list)
    reservation: str = "sum"
    records: dict[str, list[Record]] = field(default_factory=dict)

    @property
    def unit(self) -> int:
        """The precision of the balance."""
        return 100 if self.direct else CENT

    def available(self, subaccount: int, shard: int) -> int:
        """Cash that no resting order needs."""
        place = subaccount, shard
        return self.funds.get(place, 0) - sum(self.locked.get(place, {}).values())

    def add(self, subaccount: int, shard: int, amount: int) -> None:
        """Change the cash of a place."""
        self.funds[subaccount, shard] = self.funds.get((subaccount, shard), 0) + amount

    def within_reach(self, subaccount: int, shard: int, needed: int) -> bool:
        """Whether the shard has so much; a pooled account brings the missing part from its other shards first."""
        for other in range(SHARDS):
            short = needed - self.available(subaccount, shard)
            if short <= 0 or not self.pooled:
                break
            if other != shard and (moved := min(-(-short // CENT) * CENT, self.available(subaccount, other))) > 0:
                self.add(subaccount, other, -moved)
                self.add(subaccount, shard, moved)
        return needed <= self.available(subaccount, shard)

    def rebalance(self) -> None:
        """Spread the primary subaccount's free cash over the shards as the target allocation says; cents stay on the first."""
        free = {shard: max(0, self.available(0, shard)) for shard in range(SHARDS)}
        shares = {
            one["exchange_index"]: sum(free.values()) // CENT * one["percent"] // 100 * CENT for one in self.allocation
        }
        if not shares:
            return
        shares[min(shares)] += sum(free.values()) - sum(shares.values())
        for shard, held in free.items():
            self.add(0, shard, shares.get(shard, 0) - held)

    def position(self, subaccount: int, row: int) -> Position:
        """The position in a market, empty at first."""
        return self.positions.setdefault((subaccount, row), Position(row))

    def kept(self, name: str) -> list[Record]:
        """A list of the account's own records, oldest first."""
        return self.records.setdefault(name, [])
