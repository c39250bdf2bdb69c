"""Conditions: what an alert waits for, as values that are kept as JSON text and combined with &, | and ~."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, ClassVar, Self

from kalshi_lab.alerts.seen import OVER, Edges, Fact, Judged, Past, Quoted, Seen
from kalshi_lab.errors import UsageError, unknown
from kalshi_lab.kalshi import params

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kalshi_lab.alerts.compound import AllOf, AnyOf, Not

Price = float | str | Decimal
PRECISION = Decimal("0.000001")
HUNDRED = Decimal(100)


class Condition(ABC):
    """Something that holds or not, given what is seen; `text` keeps it and `from_text` brings it back.

    `a & b`, `a | b` and `~a` are conditions too; what cannot be told stays so: unknown & False is False, unknown & True is unknown.
    `kind` is the word that says how to read the text; `lasting` conditions are not over when their markets are.
    """

    __slots__ = ()
    kind: ClassVar[str]
    lasting: ClassVar[bool] = False

    @property
    @abstractmethod
    def tickers(self) -> tuple[str, ...]:
        """The markets that must be known to decide it; patterns are not among them."""

    @abstractmethod
    def judge(self, seen: Seen, past: Past = None) -> Judged:
        """Whether it holds at a moment, given what it remembered of the moments before."""

    @abstractmethod
    def parts(self) -> dict[str, Any]:
        """What it is made of, as JSON values; `kind` says how to read them."""

    def holds(self, markets: Mapping[str, Quoted]) -> bool | None:
        """Whether it holds by quotes alone; None where that cannot be told, since a market is missing or has no real quote."""
        return self.judge(Seen(markets)).holds

    @property
    def pattern(self) -> str | None:
        """The pattern of the markets that it is about, each by itself; None where it names them."""
        return None

    @property
    def facts(self) -> frozenset[Fact]:
        """What must be known besides quotes."""
        return frozenset()

    @property
    def by_volume(self) -> bool:
        """Whether the volume decides it."""
        return False

    def bound(self, ticker: str) -> Condition:  # noqa: ARG002 - those with a pattern need it
        """The condition about one of the markets of its pattern."""
        return self

    def edges(self, margin: Decimal) -> Edges | None:  # noqa: ARG002 - those that have some need it
        """Where its answer can change, eased by a margin or not: between two of them it stays as it is.

        None where more than one quote decides it: a crossing holds for one look only, whatever the next one shows.
        """
        return None

    @property
    def text(self) -> str:
        """The condition as JSON text, the same for the same condition."""
        return json.dumps({"kind": self.kind, **self.parts()}, sort_keys=True)

    def __and__(self, other: Condition) -> AllOf:
        from kalshi_lab.alerts.compound import AllOf

        return AllOf((self, other))

    def __or__(self, other: Condition) -> AnyOf:
        from kalshi_lab.alerts.compound import AnyOf

        return AnyOf((self, other))

    def __invert__(self) -> Not:
        from kalshi_lab.alerts.compound import Not

        return Not(self)


@dataclass(frozen=True, slots=True)
class OfMarket(Condition):
    """A condition about one market, or about each market of a pattern."""

    ticker: str

    @property
    def tickers(self) -> tuple[str, ...]:
        """The one market."""
        return () if "*" in self.ticker else (self.ticker,)

    @property
    def pattern(self) -> str | None:
        """The pattern, if it is one."""
        return self.ticker if "*" in self.ticker else None

    def bound(self, ticker: str) -> Self:
        """The same about one market of the pattern."""
        return replace(self, ticker=ticker) if self.pattern else self

    def judge(self, seen: Seen, past: Past = None) -> Judged:
        """By the market, where it is known."""
        market = seen.markets.get(self.ticker)
        return Judged(None, past) if market is None else self.of(market, seen, past)

    @abstractmethod
    def of(self, market: Quoted, seen: Seen, past: Past) -> Judged:
        """Whether it holds of a market that is known."""


@dataclass(frozen=True, slots=True)
class PriceLevel(OfMarket):
    """The mid price of a real YES quote is strictly above, or strictly below, a threshold in dollars."""

    threshold: Decimal

    def of(self, market: Quoted, seen: Seen, past: Past) -> Judged:
        """Whether the mid is beyond the threshold; unknown without a real two-sided quote."""
        mid = market.mid
        if mid is None:
            return Judged(None, past)
        return Judged(self.beyond(mid, seen.margin), past)

    @abstractmethod
    def beyond(self, mid: Decimal, margin: Decimal) -> bool:
        """Whether a mid is beyond the threshold, or nearly so."""

    def parts(self) -> dict[str, Any]:
        """Ticker and threshold."""
        return {"ticker": self.ticker, "threshold": f"{self.threshold:f}"}

    def __str__(self) -> str:
        return f"{self.ticker} {self.kind} {self.threshold:f}"


class Above(PriceLevel):
    """The mid is strictly above the threshold."""

    __slots__ = ()
    kind = "above"

    def edges(self, margin: Decimal) -> Edges:
        """The threshold."""
        return Edges("mid", (self.threshold, self.threshold - margin))

    def beyond(self, mid: Decimal, margin: Decimal) -> bool:
        """Above, by less if there is a margin."""
        return mid > self.threshold - margin


class Below(PriceLevel):
    """The mid is strictly below the threshold."""

    __slots__ = ()
    kind = "below"

    def edges(self, margin: Decimal) -> Edges:
        """The threshold."""
        return Edges("mid", (self.threshold, self.threshold + margin))

    def beyond(self, mid: Decimal, margin: Decimal) -> bool:
        """Below, by less if there is a margin."""
        return mid < self.threshold + margin


@dataclass(frozen=True, slots=True)
class Settles(OfMarket):
    """A market has its result."""

    kind: ClassVar[str] = "settles"
    lasting: ClassVar[bool] = True

    def of(self, market: Quoted, seen: Seen, past: Past) -> Judged:  # noqa: ARG002 - the same for all
        """Whether there is a result; the exchange leaves it empty before."""
        if not market.result:
            return Judged(False if market.status else None, past)
        return Judged(market.status in OVER, past, f"the result is {market.result}")

    def parts(self) -> dict[str, Any]:
        """The ticker."""
        return {"ticker": self.ticker}

    def __str__(self) -> str:
        return f"{self.ticker} settles"


def above(ticker: str, price: Price) -> Condition:
    """The YES mid of a market is strictly above a price in dollars, inside (0, 1); it holds on a real two-sided quote only.

    ticker: a market, or a pattern like "KXHIGHNY-*" (a series) or "KXHIGHNY-26NOV22-*" (an event): each market is watched by itself.
    Raises UsageError for a malformed ticker or a price outside (0, 1).
    """
    return Above(target(ticker), level(price))


def below(ticker: str, price: Price) -> Condition:
    """The YES mid of a market is strictly below a price in dollars, inside (0, 1); it holds on a real two-sided quote only.

    ticker: a market or a pattern, as in `above`. Raises UsageError for a malformed ticker or a price outside (0, 1).
    """
    return Below(target(ticker), level(price))


def settles(ticker: str) -> Condition:
    """A market has its result; ticker: a market or a pattern, as in `above`.

    Raises UsageError for a malformed ticker.
    """
    return Settles(target(ticker))


def from_text(text: str) -> Condition:
    """The condition that `text` was made from; UsageError where this version does not know its kind."""
    try:
        row = json.loads(text)
    except (ValueError, TypeError):
        row = None
    return from_row(row, text)


def from_row(row: Any, text: str = "") -> Condition:
    """The condition of a row of JSON values."""
    from kalshi_lab.alerts import kinds

    try:
        kind, given = str(row["kind"]), {name: value for name, value in row.items() if name != "kind"}
    except (TypeError, KeyError, AttributeError):
        raise UsageError(f"this is no condition: {(text or str(row))[:80]!r}") from None
    made: Callable[..., Condition] | None = kinds.KINDS.get(kind)
    if made is None:
        raise unknown("kind of condition", kind, kinds.KINDS)
    try:
        return made(**given)
    except TypeError:
        raise UsageError(f"this is no condition of the kind {kind}: {(text or str(row))[:80]!r}") from None


def target(value: str) -> str:
    """A ticker, or a pattern whose first part is a whole series: only that series is asked for its markets."""
    if isinstance(value, str) and "*" in value:
        series, dash, _ = value.partition("-")
        if "*" in series or not dash:
            raise UsageError(
                f"ticker {value[:80]!r} names no series", hint='Give one market, or a pattern like "KXHIGHNY-*"'
            )
        params.ticker(value.replace("*", "X"))
        return value
    return params.ticker(value)


def matches(ticker: str, pattern: str) -> bool:
    """Whether a market is one of a pattern's; stars stand for anything, all else for itself."""
    return fnmatchcase(ticker, pattern)


def level(price: Price) -> Decimal:
    """A price strictly between 0 and 1, in its shortest form, so that the same condition has the same text."""
    number = amount(price)
    if not 0 < number < 1:
        near = (
            f"Did you mean {(number / HUNDRED).normalize():f}?" if 1 <= number < HUNDRED else "Give dollars like 0.62"
        )
        raise UsageError(f"price {price} is not between 0 and 1 dollars", hint=near)
    return min(max(number.quantize(PRECISION), PRECISION), 1 - PRECISION).normalize()


def amount(given: Price, what: str = "price", *, most: Decimal | None = None) -> Decimal:
    """A finite number; above 0 and at most `most`, where that is given."""
    try:
        number = Decimal("NaN") if isinstance(given, bool) else Decimal(str(given))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise UsageError(f"{what} {str(given)[:40]!r} is no number", hint="Give dollars between 0 and 1, like 0.62")
    if most is not None and not 0 < number <= most:
        raise UsageError(f"{what} {given} is not above 0 and at most {most}")
    return number if most is None else number.normalize()
