"""What calls cost, before and after: the meter that every paid call passes."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from kalshi_lab.errors import BudgetExceeded

if TYPE_CHECKING:
    from collections.abc import Mapping


class Meter(Protocol):
    """Where money is set aside before a call, and settled once the answer says what it cost."""

    async def reserve(self, operation: str, dollars: Decimal) -> str:
        """Set aside what a call may cost at worst; the id to settle it by. Raises BudgetExceeded where that is too much."""

    async def settle(self, reservation: str, dollars: Decimal | None, request_id: str = "") -> None:
        """Enter what the call cost; None where nobody said so: then what was set aside counts."""

    async def release(self, reservation: str) -> None:
        """Give back what was set aside for a call that surely cost nothing."""


class Purse:
    """A meter in memory, for a client without a store: at most `cap` dollars, or any amount where that is None."""

    def __init__(self, cap: Decimal | None = None) -> None:
        self.cap = cap
        self._held: dict[str, Decimal] = {}
        self._numbers = itertools.count(1)

    @property
    def spent(self) -> Decimal:
        """Dollars that were spent, or set aside for calls whose cost nobody told."""
        return sum(self._held.values(), Decimal(0))

    @property
    def calls(self) -> Mapping[str, Decimal]:
        """The same, call by call."""
        return dict(self._held)

    async def reserve(self, operation: str, dollars: Decimal) -> str:
        """Set aside what a call may cost at worst; raises BudgetExceeded where that is more than what is left."""
        if self.cap is not None and dollars > (left := self.cap - self.spent):
            said = f"Exa's {operation} may cost {dollars:f} dollars, and {left:f} are left of {self.cap:f}; nothing was sent"
            error = BudgetExceeded(said, hint="Give a larger budget")
            error.cost, error.left = dollars, left
            raise error
        made = f"{operation} {next(self._numbers)}"
        self._held[made] = dollars
        return made

    async def settle(self, reservation: str, dollars: Decimal | None, request_id: str = "") -> None:  # noqa: ARG002 - a meter's
        """Enter what the call cost; None: what was set aside counts."""
        if dollars is not None:
            self._held[reservation] = dollars

    async def release(self, reservation: str) -> None:
        """Give back what was set aside."""
        self._held.pop(reservation, None)
