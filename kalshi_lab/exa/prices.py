"""What Exa charges, and so what a call may cost at worst. Source: its pricing page, as read in November 2026.

What that page does not say clearly is taken at the higher of the figures that were seen.
"""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

AS_OF: Final = "2026-11-10"
PRICES: Final[Mapping[str, Decimal]] = MappingProxyType(
    {
        name: Decimal(dollars)
        for name, dollars in {
            "search lite": "0.004", "search auto": "0.007", "search fast": "0.007", "search instant": "0.007", "search neural": "0.007",
            "search deep-lite": "0.012", "search deep": "0.012", "search deep-reasoning": "0.015", "result above ten": "0.001",
            "summary": "0.001", "content": "0.001", "answer": "0.005", "run minimal": "0.012", "run low": "0.025", "run medium": "0.10",
            "run high": "0.50", "run xhigh": "1.00", "monitor run": "0.015",
        }.items()
    }
)  # fmt: skip
INCLUDED: Final = 10  # results whose text and highlights the price of a search includes
_CONTENTS: Final = ("text", "highlights", "summary")


def search(prices: Mapping[str, Decimal], body: Mapping[str, Any]) -> Decimal:
    """Dollars of a search: by its type, for each result above ten, and for each summary."""
    number = int(body.get("numResults", INCLUDED))
    summaries = number if body.get("contents", {}).get("summary") is not None else 0
    extra = prices["result above ten"] * max(0, number - INCLUDED)
    return prices[f"search {body.get('type', 'auto')}"] + extra + prices["summary"] * summaries


def contents(prices: Mapping[str, Decimal], body: Mapping[str, Any]) -> Decimal:
    """Dollars of reading pages: for each page, its subpages too, and each kind of content."""
    kinds = sum(
        body.get(name) not in {None, False} if not isinstance(body.get(name), dict) else True for name in _CONTENTS
    )
    pages = len(body.get("urls") or body.get("ids") or ()) * (1 + int(body.get("subpages", 0)))
    return prices["content"] * pages * max(kinds, 1)


def answer(prices: Mapping[str, Decimal], _body: Mapping[str, Any]) -> Decimal:
    """Dollars of an answer."""
    return prices["answer"]


def run(prices: Mapping[str, Decimal], body: Mapping[str, Any]) -> Decimal:
    """Dollars of an agent run: the price of its effort, or the cap that a metered one was given."""
    budget = body.get("budget") or {}
    if "maxCostDollars" in budget:
        return Decimal(str(budget["maxCostDollars"]))
    return prices[f"run {body['effort']}"]


def merged(own: Mapping[str, Decimal] | None) -> Mapping[str, Decimal]:
    """The price table with the caller's own figures in it. Raises UsageError for a name that is in no table."""
    if own and (odd := sorted(set(own) - set(PRICES))):
        raise UsageError(f"no price is called {odd[0]!r}", hint=f"Known: {', '.join(sorted(PRICES))}")
    return {**PRICES, **{name: Decimal(str(dollars)) for name, dollars in (own or {}).items()}}
