"""Conditions on more than quotes: arbitrage, new markets, news, theses, and how old the store's data are."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from kalshi_lab.alerts.conditions import Condition, Price, amount
from kalshi_lab.alerts.moving import seconds
from kalshi_lab.alerts.seen import Fact, Judged
from kalshi_lab.clock import spelled
from kalshi_lab.errors import UsageError
from kalshi_lab.kalshi import params

if TYPE_CHECKING:
    from decimal import Decimal

    from kalshi_lab.alerts.seen import Past, Seen

LONGEST = 200


@dataclass(frozen=True, slots=True)
class OfFact(Condition):
    """A condition about something besides quotes; it is never over, and unknown as long as the fact is."""

    lasting: ClassVar[bool] = True
    subject: str

    @property
    def tickers(self) -> tuple[str, ...]:
        """None: no market's quote decides it."""
        return ()

    @property
    @abstractmethod
    def fact(self) -> Fact:
        """What must be known."""

    @property
    def facts(self) -> frozenset[Fact]:
        """The one fact."""
        return frozenset({self.fact})

    def judge(self, seen: Seen, past: Past = None) -> Judged:
        """By the fact, where it is known."""
        known = seen.facts.get(self.fact)
        return Judged(None, past) if known is None else self.of(known, seen, past)

    @abstractmethod
    def of(self, known: Any, seen: Seen, past: Past) -> Judged:
        """Whether it holds, given the fact."""


@dataclass(frozen=True, slots=True)
class ArbitrageAppears(OfFact):
    """There is a portfolio of an event's markets that cannot lose, by the books as they are."""

    kind: ClassVar[str] = "arbitrage_appears"

    @property
    def fact(self) -> Fact:
        """The best riskless profit of the event, dollars; 0 without one."""
        return ("arbitrage", self.subject)

    def of(self, known: Decimal, seen: Seen, past: Past) -> Judged:  # noqa: ARG002 - the same for all
        """Whether there is a profit."""
        return Judged(known > 0, past, f"a profit of at least {known:f} dollars" if known > 0 else "")

    def parts(self) -> dict[str, Any]:
        """The event."""
        return {"event": self.subject}

    def __str__(self) -> str:
        return f"arbitrage appears in {self.subject}"


@dataclass(frozen=True, slots=True)
class MarketListed(OfFact):
    """A series has a market that it had not at the look before; those of the first look are no news."""

    kind: ClassVar[str] = "market_listed"

    @property
    def fact(self) -> Fact:
        """The open markets of the series."""
        return ("listed", self.subject)

    def of(self, known: frozenset[str], seen: Seen, past: Past) -> Judged:  # noqa: ARG002 - the same for all
        """By the markets that were ever seen, which it remembers."""
        before = frozenset(past["known"]) if past else known
        new = sorted(known - before)
        said = f"{len(new)} new: {', '.join(new[:5])}{' ...' if len(new) > 5 else ''}" if new else ""  # noqa: PLR2004 - enough to see
        return Judged(bool(new), {"known": sorted(known | before)}, said)

    def parts(self) -> dict[str, Any]:
        """The series."""
        return {"series": self.subject}

    def __str__(self) -> str:
        return f"a market is listed in {self.subject}"


@dataclass(frozen=True, slots=True)
class SentimentShifts(OfFact):
    """The news of a topic lean differently in the newest stretch of time than in the one before."""

    kind: ClassVar[str] = "sentiment_shifts"
    by: Decimal
    within: int  # seconds

    @property
    def fact(self) -> Fact:
        """The mean scores (-1 to 1) of the newest stretch and of the one before; null without articles."""
        return ("sentiment", self.subject, str(self.within))

    def of(self, known: tuple[float | None, float | None], seen: Seen, past: Past) -> Judged:  # noqa: ARG002 - the same for all
        """Unknown without judged news in both."""
        now, before = known
        if now is None or before is None:
            return Judged(None, past)
        return Judged(abs(now - before) >= self.by, past, f"from {before:+.2f} to {now:+.2f}")

    def parts(self) -> dict[str, Any]:
        """Topic, shift and seconds."""
        return {"topic": self.subject, "by": f"{self.by:f}", "within": f"{self.within}s"}

    def __str__(self) -> str:
        return f"news of {self.subject} shift by {self.by:f} within {spelled(timedelta(seconds=self.within))}"


@dataclass(frozen=True, slots=True)
class EvidenceAgainst(OfFact):
    """A thesis has more evidence against it than when it was looked at first."""

    kind: ClassVar[str] = "evidence_against"
    at_least: int

    @property
    def fact(self) -> Fact:
        """How many pieces of its evidence speak against its claim."""
        return ("evidence", self.subject)

    def of(self, known: int, seen: Seen, past: Past) -> Judged:  # noqa: ARG002 - the same for all
        """By the number at the last time it held, which it remembers."""
        before = int(past["count"]) if past else known
        new = known - before
        held = new >= self.at_least
        return Judged(held, {"count": known if held else before}, f"{new} new pieces, {known} in all" if held else "")

    def parts(self) -> dict[str, Any]:
        """Thesis and number."""
        return {"thesis": self.subject, "at_least": self.at_least}

    def __str__(self) -> str:
        return f"evidence against {self.subject}, at least {self.at_least}"


@dataclass(frozen=True, slots=True)
class DataStale(OfFact):
    """Nothing was added to a table of the store for longer than a time, as when the collector has stopped."""

    kind: ClassVar[str] = "data_stale"
    after: int  # seconds

    @property
    def fact(self) -> Fact:
        """When something was added last."""
        return ("held", self.subject)

    def of(self, known: Any, seen: Seen, past: Past) -> Judged:
        """By the time of the moment."""
        old = seen.now - known
        return Judged(old > timedelta(seconds=self.after), past, f"the newest is of {known:%Y-%m-%d %H:%M} UTC")

    def parts(self) -> dict[str, Any]:
        """Dataset and seconds."""
        return {"dataset": self.subject, "after": f"{self.after}s"}

    def __str__(self) -> str:
        return f"{self.subject} stale for {spelled(timedelta(seconds=self.after))}"


def arbitrage_appears(event: str) -> Condition:
    """An event's books hold a portfolio that cannot lose, after fees, as `lab.arbitrage(event)` finds it.

    Raises UsageError for a malformed event.
    """
    return ArbitrageAppears(params.ticker(event, "event"))


def market_listed(series: str) -> Condition:
    """A series lists a market that it did not list at the look before.

    Raises UsageError for a malformed series.
    """
    return MarketListed(params.ticker(series, "series"))


def sentiment_shifts(topic: str, by: Price, *, within: timedelta | str = "7d") -> Condition:
    """The mean lean (-1 to 1) of a followed topic's news of the last `within` differs by at least `by` from that of the `within` before.

    topic: a market or an event that `lab.news.track` follows.
    Raises UsageError for a malformed topic, a shift that cannot be, or what is no length of time.
    """
    return SentimentShifts(params.ticker(topic, "topic"), amount(by, "by", most=amount(2)), seconds(within, "within"))


def evidence_against(thesis: str, *, at_least: int = 1) -> Condition:
    """A thesis of the store has at least so many pieces of evidence against it more than at the first look, or than when this held last.

    Raises UsageError for fewer than one piece.
    """
    if not isinstance(at_least, int) or isinstance(at_least, bool) or at_least < 1:
        raise UsageError(f"at_least {at_least!r} is no number of pieces", hint="Give 1 or more")
    return EvidenceAgainst(_name(thesis), at_least)


def data_stale(dataset: str, *, after: timedelta | str = "1h") -> Condition:
    """Nothing was added to quotes, trades, candlesticks, articles or ticks of the store for longer than `after`.

    Raises UsageError for an unknown dataset or what is no length of time.
    """
    from kalshi_lab.alerts.facts import HELD
    from kalshi_lab.errors import one_of

    return DataStale(one_of("dataset", dataset, HELD), seconds(after, "after"))


def _name(thesis: str) -> str:
    if not isinstance(thesis, str) or not 0 < len(thesis.strip()) <= LONGEST:
        raise UsageError(f"{str(thesis)[:80]!r} is no name of a thesis")
    return thesis
