"""The account of a backtest: cash, positions, and every change of them, exact."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

ZERO, ONE = Decimal(0), Decimal(1)


@dataclass(slots=True)
class Held:
    """One market's position: contracts (negative: NO) and what they cost, dollars without fees."""

    count: Decimal = ZERO
    cost: Decimal = ZERO


@dataclass(slots=True)
class Sums:
    """What one market took and gave: contracts opened, dollars staked, got back, paid in fees."""

    opened: Decimal = ZERO
    staked: Decimal = ZERO
    back: Decimal = ZERO
    fees: Decimal = ZERO

    @property
    def gross(self) -> Decimal:
        """Profit before fees, once nothing is held."""
        return self.back - self.staked


@dataclass(slots=True)
class Account:
    """Cash and positions; YES and NO of one market annul each other, a pair pays one dollar at once."""

    cash: Decimal
    held: dict[str, Held] = field(default_factory=dict)
    sums: dict[str, Sums] = field(default_factory=dict)

    @property
    def positions(self) -> dict[str, Decimal]:
        """Contracts by ticker, without those that are closed."""
        return {ticker: one.count for ticker, one in self.held.items() if one.count}

    def count(self, ticker: str) -> Decimal:
        """Contracts of one market."""
        one = self.held.get(ticker)
        return ZERO if one is None else one.count

    def stake(self, ticker: str) -> Decimal:
        """What one market's position cost, dollars without fees."""
        one = self.held.get(ticker)
        return ZERO if one is None else one.cost

    def trade(self, ticker: str, change: Decimal, price: Decimal, fee: Decimal) -> Decimal:
        """Take in a fill of `change` contracts (positive: YES gained) at a YES price; the change of the cash."""
        one, sums = self.held.setdefault(ticker, Held()), self.sums.setdefault(ticker, Sums())
        closing = min(abs(change), abs(one.count)) if one.count * change < 0 else ZERO
        opening = abs(change) - closing
        own = price if change > 0 else ONE - price  # of the side that is gained
        back = closing * (ONE - own)  # the pair pays a dollar, of which the gained side costs its price
        share = one.cost * closing / abs(one.count) if closing else ZERO
        one.cost += opening * own - share
        one.count += change
        sums.opened += opening
        sums.staked += opening * own
        sums.back += back
        sums.fees += fee
        flow = back - opening * own - fee
        self.cash += flow
        return flow

    def settle(self, ticker: str, value: Decimal | None) -> Decimal | None:
        """Close what is held at what YES paid; None: void, and the cost comes back. The payout, None where nothing was held."""
        one = self.held.get(ticker)
        if one is None or not one.count:
            return None
        paid = one.cost if value is None else one.count * value if one.count > 0 else -one.count * (ONE - value)
        self.sums[ticker].back += paid
        self.cash += paid
        one.count = one.cost = ZERO
        return paid
