"""What the simulated Exa charges, what credit is left, and how many requests a second it takes."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from kalshi_lab.sim.virtual import COST, Bucket

if TYPE_CHECKING:
    from collections.abc import Callable

SEARCH = {"lite": "0.004", "deep": "0.012", "deep-lite": "0.012", "deep-reasoning": "0.015"}
RUN = {"minimal": "0.012", "low": "0.025", "medium": "0.10", "high": "0.50", "xhigh": "1.00"}
METERED = {
    "auto": ("0.35", 5),
    "ultra": ("2.60", 20),
    "max": ("2.60", 20),
}  # what a run uses up, and the cap where none is given
MONITOR_RUN = Decimal("0.015")
WEBSET_SEARCH = Decimal("0.105")  # a compute unit and the search in it
RATES = {"search": 10.0, "deep": 5.0, "answer": 10.0, "contents": 100.0, "runs": 5.0}


class Bill:
    """The account of everybody who asks: every charge, and the credit that is left (None: without end)."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.calls: list[dict[str, Any]] = []
        self.credit: Decimal | None = None
        self._buckets = {name: Bucket(rate * COST, monotonic, capacity=rate * COST) for name, rate in RATES.items()}

    @property
    def total(self) -> Decimal:
        """Dollars charged so far."""
        return sum((Decimal(call["dollars"]) for call in self.calls), Decimal(0))

    @property
    def is_spent(self) -> bool:
        """Whether the credit is used up."""
        return self.credit is not None and self.total >= self.credit

    def charge(self, operation: str, dollars: Decimal, **told: Any) -> float:
        """Enter a charge; the dollars as an answer tells them."""
        self.calls.append({"operation": operation, "dollars": f"{dollars:f}", **told})
        return float(dollars)

    def admits(self, surface: str) -> bool:
        """Whether a request comes within the rate of its surface."""
        return self._buckets[surface].take()


def search(body: dict[str, Any]) -> Decimal:
    """Dollars of a search."""
    number = int(body.get("numResults") or 10)
    base = Decimal(SEARCH.get(body.get("type") or "auto", "0.007"))
    summaries = number if wanted(body.get("contents") or {}, "summary") else 0
    extra: int = max(0, number - 10) + summaries
    return base + Decimal("0.001") * extra


def wanted(options: dict[str, Any], kind: str) -> bool:
    """Whether a kind of content is asked for; an empty object asks for it."""
    return options.get(kind) not in {None, False} if not isinstance(options.get(kind), dict) else True


def contents(body: dict[str, Any], pages: int) -> Decimal:
    """Dollars of pages that were read."""
    kinds: int = sum(wanted(body, name) for name in ("text", "highlights", "summary"))
    return Decimal("0.001") * pages * max(kinds, 1)


def run(body: dict[str, Any]) -> tuple[Decimal, bool]:
    """Dollars of an agent run, and whether its budget ended it."""
    effort = body.get("effort") or "auto"
    if effort in RUN:
        return Decimal(RUN[effort]), False
    uses, cap = METERED[effort]
    most = Decimal(str((body.get("budget") or {}).get("maxCostDollars") or cap))
    return min(Decimal(uses), most), most < Decimal(uses)
