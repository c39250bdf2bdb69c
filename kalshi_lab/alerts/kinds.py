"""The kinds of conditions by the word in their text, each with the function that makes it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalshi_lab.alerts import compound, conditions, moving, wider

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalshi_lab.alerts.conditions import Condition


def _above(ticker: str, threshold: Any) -> Condition:
    return conditions.above(ticker, threshold)


def _below(ticker: str, threshold: Any) -> Condition:
    return conditions.below(ticker, threshold)


KINDS: dict[str, Callable[..., Condition]] = {
    "above": _above,
    "below": _below,
    "settles": conditions.settles,
    "crosses": moving.crosses,
    "moves": moving.moves,
    "spread_above": moving.spread_above,
    "volume_above": moving.volume_above,
    "volume_rate_above": moving.volume_rate_above,
    "edge_above": moving.edge_above,
    "arbitrage_appears": wider.arbitrage_appears,
    "market_listed": wider.market_listed,
    "sentiment_shifts": wider.sentiment_shifts,
    "evidence_against": wider.evidence_against,
    "data_stale": wider.data_stale,
    "all": compound.all_of,
    "any": compound.any_of,
    "not": compound.not_of,
}
