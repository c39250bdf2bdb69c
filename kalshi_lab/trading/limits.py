"""How much an order may be, cost and move; what is None is not limited."""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation

from kalshi_lab.errors import UsageError

Amount = Decimal | str | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that trading may do: None is no limit, 0 is none at all. Amounts are exact: text, Decimal or whole numbers, no floats.

    contracts: of one order. order_risk: dollars that one order can lose at worst (contracts times the price of the side bought, with the
    fee). day_risk: the same of all accepted orders of a day together. day_loss: dollars by which the account may be worth less than when
    the day was first looked at. day_orders: accepted orders of a day. position: contracts of one market, either side, with what rests.
    deviation: dollars between the price and the middle of the quote of the order's side. slippage: share of the best price by which what
    the order takes at once may be worse on average. spread: dollars between bid and ask. depth: contracts at the best bid and at the best
    ask, each. A day is a day of UTC. confirmation: whether a live order needs a `confirm` that agrees.
    """

    contracts: Amount | None = Decimal(100)
    order_risk: Amount | None = Decimal(200)
    day_risk: Amount | None = Decimal(200)
    day_loss: Amount | None = Decimal(50)
    day_orders: Amount | None = Decimal(25)
    position: Amount | None = Decimal(100)
    deviation: Amount | None = Decimal("0.10")
    slippage: Amount | None = Decimal("0.05")
    spread: Amount | None = Decimal("0.10")
    depth: Amount | None = Decimal(1)
    confirmation: bool = True

    def __post_init__(self) -> None:
        for one in fields(self):
            if one.name != "confirmation":
                object.__setattr__(self, one.name, _exact(one.name, getattr(self, one.name)))

    def of(self, name: str) -> Decimal | None:
        """One limit, exact."""
        found: Decimal | None = getattr(self, name)
        return found


def _exact(name: str, value: object) -> Decimal | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Decimal | str | int):
        raise UsageError(
            f"limit {name} is a {type(value).__name__}", hint='Give text or a Decimal, which are exact: "0.1"'
        )
    try:
        made = Decimal(value)
    except InvalidOperation:
        raise UsageError(f"limit {name}: {str(value)[:40]!r} is no number") from None
    if not made.is_finite() or made < 0:
        raise UsageError(f"limit {name} cannot be {value}", hint="Give 0 or more, or None for no limit")
    return made
