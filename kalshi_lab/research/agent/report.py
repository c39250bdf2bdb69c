"""What the agent did and found: steps, factors, a probability with its reasons, and what could not be done."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from kalshi_lab import frames, markup

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from decimal import Decimal

MONEY: Final = pl.Float64
STEPS: Final[dict[str, Any]] = {
    "step": pl.String, "query": pl.String, "level": pl.Int64, "worst": MONEY, "cost": MONEY, "status": pl.String, "found": pl.Int64,
    "problem": pl.String,
}  # fmt: skip
FACTORS: Final[dict[str, Any]] = {
    "url": pl.String, "title": pl.String, "published": frames.TIME, "quote": pl.String, "lean": pl.Float64, "verified": pl.Boolean,
    "why_not": pl.String, "sha256": pl.String,
}  # fmt: skip
SOURCE: Final = "exa"
NOTHING: Final = "nothing was found that speaks for it"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan: what it may cost at worst, what it cost, and how it ended (planned, done, failed, skipped)."""

    step: str
    query: str
    level: int
    worst: Decimal
    cost: Decimal | None = None
    status: str = "planned"
    found: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Factor:
    """A passage of a page: how it leans towards YES (-1 to 1, None: it does not say), and whether it really is in the page.

    `verified` is None where the page could not be read; `why_not` says why it is not believed; `sha256` is that of the page's text.
    """

    url: str
    title: str
    published: datetime | None
    quote: str
    lean: float | None = None
    verified: bool | None = None
    why_not: str = ""
    sha256: str = ""

    @property
    def believed(self) -> bool:
        """Whether it counts."""
        return self.verified is True and not self.why_not


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """What the agent says of a market, and what it rests on.

    probability of YES (None where nothing can be said), confidence (low, medium, high), reasoning and method (whose it is); bull and bear
    are what speaks for YES and for NO, word for word, each said to be empty where it is. `problems` are what the verifier found wrong with
    the last draft, empty for one that passed; `escalations` what was done about it. `gaps` says what could not be done: `partial` then.
    `yes_bid` and `yes_ask` are of the moment, None where a side was missing. `cost` is in dollars.
    """

    id: str
    ticker: str
    question: str
    time: datetime
    mode: str
    yes_bid: Decimal | None
    yes_ask: Decimal | None
    probability: Decimal | None
    confidence: str
    reasoning: str
    method: str
    steps: tuple[Step, ...]
    factors: tuple[Factor, ...]
    problems: tuple[str, ...] = ()
    escalations: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    cost: Decimal | None = None
    event_ticker: str | None = None

    @property
    def partial(self) -> bool:
        """Whether something could not be done."""
        return bool(self.gaps)

    @property
    def verified(self) -> bool:
        """Whether the verifier found nothing wrong with the probability."""
        return self.probability is not None and not self.problems

    @property
    def bull(self) -> tuple[Factor, ...]:
        """What speaks for YES and is believed, the strongest first."""
        return _sided(self.factors, 1)

    @property
    def bear(self) -> tuple[Factor, ...]:
        """What speaks for NO and is believed, the strongest first."""
        return _sided(self.factors, -1)

    def evidence(self) -> list[dict[str, Any]]:
        """What is believed, as `lab.thesis(..., evidence=...)` takes it.

        Each has url, title, passage, published, stance ("yes", "no", "neutral": towards YES of `ticker`, None where it does not say),
        ticker, page_sha256 (of the text of the page in which the passage was found) and source "exa".
        """
        stances = {1: "yes", -1: "no", 0: "neutral", None: None}
        return [
            {"url": one.url, "title": one.title or None, "passage": one.quote, "published": one.published, "ticker": self.ticker,
             "stance": stances[None if one.lean is None else (one.lean > 0) - (one.lean < 0)], "page_sha256": one.sha256 or None,
             "source": SOURCE}
            for one in self.factors
            if one.believed
        ]  # fmt: skip

    def frame(self) -> pl.DataFrame:
        """The factors: url, title, published (UTC), quote, lean, verified, why_not, sha256."""
        return pl.DataFrame([asdict(one) for one in self.factors], schema=FACTORS)

    def plan(self) -> pl.DataFrame:
        """The steps: step, query, level (of escalation), worst and cost (dollars), status, found, problem."""
        rows = [
            {**asdict(one), "worst": float(one.worst), "cost": None if one.cost is None else float(one.cost)}
            for one in self.steps
        ]
        return pl.DataFrame(rows, schema=STEPS)

    def __repr__(self) -> str:
        said = "no probability" if self.probability is None else f"{self.probability:f} ({self.confidence} confidence)"
        checked = "verified" if self.verified else "NOT verified: " + "; ".join(self.problems or ("nothing to verify",))
        gaps = f"; partial: {'; '.join(self.gaps)}" if self.gaps else ""
        return f"<Report on {self.ticker}: {said} by {self.method}, {checked}; {_dollars(self.cost)}{gaps}>"

    def _repr_html_(self) -> str:
        facts = {
            "probability of YES": "none" if self.probability is None else f"{self.probability:f}, {self.confidence} confidence",
            "by": self.method, "bid / ask then": f"{self.yes_bid} / {self.yes_ask}", "reasoning": self.reasoning,
            "cost": _dollars(self.cost),
        }  # fmt: skip
        warnings = [markup.warning(f"Not verified: {one}") for one in self.problems]
        warnings += [markup.warning(f"Partial: {one}") for one in self.gaps]
        sides = [_side("For YES", self.bull), _side("For NO", self.bear)]
        done = [markup.tag("div", f"Escalated: {one}") for one in self.escalations]
        plan = self.plan().select("step", "worst", "cost", "status", "found")
        return markup.card(self.question, facts, *warnings, *sides, *done, markup.table(plan.columns, plan.rows()))


def _sided(factors: Iterable[Factor], sign: int) -> tuple[Factor, ...]:
    found = [one for one in factors if one.believed and one.lean is not None and one.lean * sign > 0]
    return tuple(sorted(found, key=lambda one: (-abs(one.lean or 0), one.url)))


def _side(title: str, factors: tuple[Factor, ...]) -> markup.Html:
    rows = [(markup.link(one.title or one.url, one.url), one.quote) for one in factors[:5]]
    return markup.tag("div", markup.tag("div", title), markup.table((), rows or [(NOTHING,)]))


def _dollars(cost: Decimal | None) -> str:
    return "cost unknown" if cost is None else f"{cost:f} dollars"
