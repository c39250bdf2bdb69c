"""What a condition is judged by: quotes, wider facts, the time, and what the condition itself remembered."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from kalshi_lab.models.quote import is_priced, mid

if TYPE_CHECKING:
    from collections.abc import Mapping

Fact = tuple[str, ...]  # what is asked, and of what: ("evidence", "fed-cuts")
Past = dict[str, Any] | None  # JSON values
OVER = frozenset({"closed", "determined", "disputed", "amended", "finalized"})
UNKNOWN_TIME = datetime.min.replace(tzinfo=UTC)


class Quoted(Protocol):
    """What is known of a market: a `Market`, or a quote from a live book."""

    @property
    def ticker(self) -> str:
        """The market."""

    @property
    def yes_bid(self) -> Decimal | None:
        """Best YES bid, dollars."""

    @property
    def yes_ask(self) -> Decimal | None:
        """Best YES ask, dollars."""

    @property
    def mid(self) -> Decimal | None:
        """The middle of a real quote."""

    @property
    def is_priced(self) -> bool:
        """Whether the quote is real."""

    @property
    def status(self) -> str | None:
        """The exchange's word."""

    @property
    def volume(self) -> Decimal | None:
        """Contracts traded over its life."""

    @property
    def result(self) -> str | None:
        """Empty before the outcome is known."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A market's best prices in dollars of YES, and the rest of it that conditions are about; None is unknown."""

    ticker: str
    yes_bid: Decimal | None = None
    yes_ask: Decimal | None = None
    status: str | None = None
    volume: Decimal | None = None
    result: str | None = None

    @property
    def mid(self) -> Decimal | None:
        """The middle of a real quote; None where there is none."""
        return mid(self.yes_bid, self.yes_ask)

    @property
    def is_priced(self) -> bool:
        """Whether the quote is real."""
        return is_priced(self.yes_bid, self.yes_ask)


@dataclass(frozen=True, slots=True)
class Seen:
    """A moment: markets by ticker, facts by what was asked, the time; `margin` (dollars) eases thresholds of what waits to be rearmed."""

    markets: Mapping[str, Quoted]
    now: datetime = UNKNOWN_TIME
    facts: Mapping[Fact, Any] = field(default_factory=dict)
    margin: Decimal = Decimal(0)


class Edges(NamedTuple):
    """Values of the mid, or of the spread, at which the answer of a condition changes."""

    axis: Literal["mid", "spread"]
    values: tuple[Decimal, ...]


class Judged(NamedTuple):
    """Whether a condition holds (None: cannot be told), what it remembers from now on, and what there is to say of it."""

    holds: bool | None
    past: Past = None
    said: str = ""
