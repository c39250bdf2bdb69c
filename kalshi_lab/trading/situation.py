"""What is wanted, what is known of the world at that moment, and what became of it: plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from kalshi_lab import markup
from kalshi_lab.errors import OrderRejected

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from kalshi_lab.fees import FeeSchedule
    from kalshi_lab.models import Market, Orderbook
    from kalshi_lab.models.exchange import ExchangeStatus
    from kalshi_lab.models.order import OrderGroup, OrderResult

Mode = Literal["dry", "live", "paper"]
State = Literal["intended", "accepted", "rejected", "failed", "unknown"]
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is to rest or trade: `count` contracts on the YES book, "bid" buys YES, "ask" buys NO at 1 - price.

    `replaces` are the contracts of the order that it takes the place of and `replaced_price` their YES price (an amendment), `reduces`
    says that the exchange lets it only close what is held, `rests_only` that it never takes from the book.
    """

    ticker: str
    side: str
    count: Decimal
    price: Decimal
    verb: str = "create"
    client_order_id: str = ""
    replaces: Decimal = ZERO
    replaced_price: Decimal = ZERO
    reduces: bool = False
    rests_only: bool = False

    @property
    def buys(self) -> str:
        """The side that it gains: yes or no."""
        return "yes" if self.side == "bid" else "no"

    @property
    def own_price(self) -> Decimal:
        """Dollars that it pays for a contract of the side that it buys, at most."""
        return self.own(self.price)

    def own(self, yes_price: Decimal) -> Decimal:
        """A price of YES as one of the side that it buys."""
        return yes_price if self.side == "bid" else 1 - yes_price

    @property
    def change(self) -> Decimal:
        """Contracts of YES that it adds to the position: negative for NO."""
        return self.count if self.side == "bid" else -self.count

    def __str__(self) -> str:
        return (
            f"{self.verb} {self.ticker}: buy {self.count:f} {self.buys.upper()} at {self.own_price:f} dollars at most"
        )


@dataclass(frozen=True, slots=True)
class Counters:
    """What the attempts of the day come to already: accepted orders, their risk in dollars, and by market what is not seen yet.

    `unseen` are contracts of YES (negative: NO) of orders that were sent or are being sent and stand in no list of the exchange's yet.
    """

    orders: int = 0
    risk: Decimal = ZERO
    bought: Decimal = ZERO
    sold: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Situation:
    """The world as far as it is known when an order is judged; None is what is not known, and `missing` says why.

    `position` are contracts of YES held (negative: NO), `resting_bids` and `resting_asks` contracts of other own orders on each side,
    `loss` dollars that the account lost today (negative: won). `day` holds what the day's attempts come to.
    """

    proposal: Proposal
    now: datetime
    killed: bool | None = None
    market: Market | None = None
    book: Orderbook | None = None
    status: ExchangeStatus | None = None
    fees: FeeSchedule | None = None
    position: Decimal | None = None
    resting_bids: Decimal | None = None
    resting_asks: Decimal | None = None
    loss: Decimal | None = None
    day: Counters | None = None
    missing: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Check:
    """One verdict: the check's name, whether it passed, and why."""

    name: str
    passed: bool
    why: str

    def __repr__(self) -> str:
        return f"<Check {self.name} {'passed' if self.passed else 'FAILED'}: {self.why}>"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one attempt: its id in the audit, the verb, how it stands, its checks, and the exchange's answer if there is one.

    state: accepted (in a dry run: it would have been sent), failed (the exchange refused it, `error` says why). `risk` is what it can
    lose at worst in dollars, `result` what the exchange answered (None in a dry run), `group` the order group that was made.
    """

    id: str
    mode: Mode
    verb: str
    state: State
    checks: tuple[Check, ...] = ()
    proposal: Proposal | None = None
    risk: Decimal | None = None
    client_order_id: str = ""
    order_id: str = ""
    result: OrderResult | None = None
    group: OrderGroup | None = None
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether it was done, or in a dry run would have been sent."""
        return self.state == "accepted"

    def __repr__(self) -> str:
        done = "would be sent" if self.mode == "dry" and self.ok else self.state
        what = str(self.proposal) if self.proposal else f"{self.verb} {self.order_id}".strip()
        return f"<Attempt {self.mode}: {what}: {done}{f', {self.error}' if self.error else ''}>"

    def _repr_html_(self) -> str:
        facts = {
            "mode": self.mode, "what": str(self.proposal) if self.proposal else f"{self.verb} {self.order_id}", "state": self.state,
            "risk, dollars": "unknown" if self.risk is None else f"{self.risk:f}", "order": self.order_id, "error": self.error,
        }  # fmt: skip
        rows = [(one.name, "passed" if one.passed else "failed", one.why) for one in self.checks]
        return markup.card("Attempt", facts, markup.table(("check", "verdict", "why"), rows) if rows else "")


def refused(checks: tuple[Check, ...], what: str) -> OrderRejected:
    """The error for an order that its checks do not let pass."""
    failed = [one for one in checks if not one.passed]
    error = OrderRejected(
        f"{what} was not sent: {'; '.join(f'{one.name}: {one.why}' for one in failed)}",
        hint="Limits(...) says what is allowed",
    )
    error.reasons = tuple(one.name for one in failed)
    return error
