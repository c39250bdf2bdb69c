"""What the lab lends its alerts: answers that stand on other verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decimal import Decimal

    from kalshi_lab.alerts.facts import Lent
    from kalshi_lab.lab.session import AsyncLab


def lent(lab: AsyncLab) -> dict[str, Lent]:
    """How to learn whether an event holds an arbitrage, and how much speaks against a thesis."""

    async def arbitrage(event: str) -> Decimal:
        return (await lab.arbitrage(event)).profit

    async def evidence(name: str) -> int:
        thesis: Any = await lab.thesis(name)
        return sum(one.towards(thesis.markets) == "con" for one in thesis.evidence)

    return {"arbitrage": arbitrage, "evidence": evidence}
