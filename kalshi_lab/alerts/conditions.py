"""Conditions: what an alert waits for, as values that are kept as JSON text."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

from kalshi_lab.errors import UsageError, unknown
from kalshi_lab.kalshi import params

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kalshi_lab.models import Market

Price = float | str | Decimal
PRECISION = Decimal("0.000001")
HUNDRED = Decimal(100)


class Condition(ABC):
    """Something that holds or not, given the markets that it names; `text` keeps it and `from_text` brings it back.

    `kind` is the word that says how to read the text.
    """

    __slots__ = ()
    kind: str

    @property
    @abstractmethod
    def tickers(self) -> tuple[str, ...]:
        """The markets that must be known to decide it."""

    @abstractmethod
    def holds(self, markets: Mapping[str, Market]) -> bool | None:
        """Whether it holds; None where that cannot be told, since a market is missing or has no real quote."""

    @abstractmethod
    def parts(self) -> dict[str, Any]:
        """What it is made of, as JSON values; `kind` says how to read them."""

    @property
    def text(self) -> str:
        """The condition as JSON text, the same for the same condition."""
        return json.dumps({"kind": self.kind, **self.parts()}, sort_keys=True)


@dataclass(frozen=True, slots=True)
class PriceLevel(Condition):
    """The mid price of a real YES quote is strictly above, or strictly below, a threshold in dollars."""

    kind: Literal["above", "below"]
    ticker: str
    threshold: Decimal

    @property
    def tickers(self) -> tuple[str, ...]:
        """The one market."""
        return (self.ticker,)

    def holds(self, markets: Mapping[str, Market]) -> bool | None:
        """Whether the mid is beyond the threshold; None without a real two-sided quote."""
        market = markets.get(self.ticker)
        mid = None if market is None else market.mid
        if mid is None:
            return None
        return mid > self.threshold if self.kind == "above" else mid < self.threshold

    def parts(self) -> dict[str, Any]:
        """Ticker and threshold."""
        return {"ticker": self.ticker, "threshold": f"{self.threshold:f}"}

    def __str__(self) -> str:
        return f"{self.ticker} {self.kind} {self.threshold:f}"


def above(ticker: str, price: Price) -> Condition:
    """The YES mid of a market is strictly above a price in dollars, inside (0, 1); it holds on a real two-sided quote only."""
    return PriceLevel("above", params.ticker(ticker), _threshold(price))


def below(ticker: str, price: Price) -> Condition:
    """The YES mid of a market is strictly below a price in dollars, inside (0, 1); it holds on a real two-sided quote only."""
    return PriceLevel("below", params.ticker(ticker), _threshold(price))


KINDS = {"above": above, "below": below}


def from_text(text: str) -> Condition:
    """The condition that `text` was made from; UsageError where this version does not know its kind."""
    try:
        row = json.loads(text)
        kind, ticker, threshold = str(row["kind"]), row.get("ticker"), row.get("threshold")
    except (ValueError, TypeError, KeyError, AttributeError):
        raise UsageError(f"this is no condition: {text[:80]!r}") from None
    if kind not in KINDS:
        raise unknown("kind of condition", kind, KINDS)
    return KINDS[kind](ticker, threshold)


def _threshold(price: Price) -> Decimal:
    """A price strictly between 0 and 1, in its shortest form, so that the same condition has the same text."""
    try:
        number = Decimal("NaN") if isinstance(price, bool) else Decimal(str(price))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise UsageError(f"price {str(price)[:40]!r} is no number", hint="Give dollars between 0 and 1, like 0.62")
    if not 0 < number < 1:
        near = (
            f"Did you mean {(number / HUNDRED).normalize():f}?" if 1 <= number < HUNDRED else "Give dollars like 0.62"
        )
        raise UsageError(f"price {price} is not between 0 and 1 dollars", hint=near)
    return min(max(number.quantize(PRECISION), PRECISION), 1 - PRECISION).normalize()
