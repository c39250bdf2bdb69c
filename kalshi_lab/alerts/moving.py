"""Conditions on how quotes and volume change and compare: crossings, moves, spreads, volumes, an edge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from kalshi_lab.alerts.conditions import OfMarket, Price, amount, level, target
from kalshi_lab.alerts.seen import Edges, Fact, Judged
from kalshi_lab.clock import span, spelled
from kalshi_lab.errors import UsageError, one_of

if TYPE_CHECKING:
    from kalshi_lab.alerts.conditions import Condition
    from kalshi_lab.alerts.seen import Past, Quoted, Seen

DAY = 86_400
MOST = Decimal(10) ** 12  # contracts
SAMPLES = 120  # looks at the volume that are remembered for a rate
DIRECTIONS = ("up", "down", "both")


@dataclass(frozen=True, slots=True)
class Crosses(OfMarket):
    """The mid was on one side of a price at the look before, and is on the other now; it remembers the side between looks."""

    kind: ClassVar[str] = "crosses"
    threshold: Decimal
    direction: str = "both"

    def of(self, market: Quoted, seen: Seen, past: Past) -> Judged:  # noqa: ARG002 - the same for all
        """Strictly beyond, on a real quote; a mid on the price itself is on the side that it came from."""
        mid = market.mid
        if mid is None:
            return Judged(None, past)
        before = past["side"] if past else None
        side = before if mid == self.threshold else "up" if mid > self.threshold else "down"
        crossed = before is not None and side != before and self.direction in {"both", side}
        return Judged(crossed, {"side": side} if side else None, f"{side}wards" if crossed else "")

    def parts(self) -> dict[str, Any]:
        """Ticker, threshold and direction."""
        return {"ticker": self.ticker, "price": f"{self.threshold:f}", "direction": self.direction}

    def __str__(self) -> str:
        return (
            f"{self.ticker} crosses {self.threshold:f}{'' if self.direction == 'both' else f' {self.direction}wards'}"
        )


@dataclass(frozen=True, slots=True)
class Moves(OfMarket):
    """The mid is at least so many dollars away from its highest or lowest value of the time before."""

    kind: ClassVar[str] = "moves"
    by: Decimal
    within: int  # seconds

    def of(self, market: Quoted, seen: Seen, past: Past) -> Judged:
        """By the highest and the lowest mid that were seen within the time."""
        mid, now = market.mid, _micros(seen.now)
        if mid is None:
            return Judged(None, past)
        since = now - self.within * 1_000_000
        high, low = (_window(past, name, since) for name in ("high", "low"))
        up = mid - Decimal(low[0][1]) if low else Decimal(0)
        down = Decimal(high[0][1]) - mid if high else Decimal(0)
        text = f"{mid:f}"
        while high and Decimal(high[-1][1]) <= mid:
            high.pop()
        while low and Decimal(low[-1][1]) >= mid:
            low.pop()
        most, word = max((up, "up"), (down, "down"))
        remembered = {"high": [*high, [now, text]], "low": [*low, [now, text]]}
        return Judged(most >= self.by - seen.margin, remembered, f"{word} by {most:f}" if most else "")

    def parts(self) -> dict[str, Any]:
        """Ticker, dollars and seconds."""
        return {"ticker": self.ticker, "by": f"{self.by:f}", "within": f"{self.within}s"}

    def __str__(self) -> str:
        return f"{self.ticker} moves by {self.by:f} within {spelled(timedelta(seconds=self.within))}"


@dataclass(frozen=True, slots=True)
class SpreadAbove(OfMarket):
    """Ask less bid of a real quote is strictly above so many dollars."""

    kind: ClassVar[str] = "spread_above"
    threshold: Decimal

    def of(self, market: Quoted, seen: Seen, past: Past) -> Judged:
        """Unknown without a real quote: an empty side is no spread of a dollar."""
        if not market.is_priced or market.yes_ask is None or market.yes_bid is None:
            return Judged(None, past)
        return Judged(market.yes_ask - market.yes_bid > self.threshold - seen.margin, past)

    def edges(self, margin: Decimal) -> Edges:
        """The threshold."""
        return Edges("spread", (self.threshold, self.threshold - margin))

    def parts(self) -> dict[str, Any]:
        """Ticker and threshold."""
        return {"ticker": self.ticker, "dollars": f"{self.threshold:f}"}

    def __str__(self) -> str:
        return f"{self.ticker} spread above {self.threshold:f}"


@dataclass(frozen=True, slots=True)
class VolumeAbove(OfMarket):
    """The contracts traded over the market's life are strictly above a number."""

    kind: ClassVar[str] = "volume_above"
    contracts: Decimal

    @property
    def by_volume(self) -> bool:
        """Yes."""
        return True

    def of(self, market: Quoted, seen: Seen, past: Past) -> Judged:  # noqa: ARG002 - the same for all
        """Unknown where the volume is."""
        return Judged(None if market.volume is None else market.volume > self.contracts, past)

    def parts(self) -> dict[str, Any]:
        """Ticker and contracts."""
        return {"ticker": self.ticker, "contracts": f"{self.contracts:f}"}

    def __str__(self) -> str:
        return f"{self.ticker} volume above {self.contracts:,f}"


@dataclass(frozen=True, slots=True)
class VolumeRateAbove(OfMarket):
    """More than so many contracts were traded within a time, by the volumes that were seen in it.

    What was traded before the first look is not counted.
    """

    kind: ClassVar[str] = "volume_rate_above"
    contracts: Decimal
    per: int  # seconds

    @property
    def by_volume(self) -> bool:
        """Yes."""
        return True

    def of(self, market: Quoted, seen: Seen, past: Past) -> Judged:
        """By the oldest volume that was seen within the time."""
        if market.volume is None:
            return Judged(None, past)
        now = _micros(seen.now)
        looks = _window(past, "volume", now - self.per * 1_000_000)
        traded = market.volume - Decimal(looks[0][1]) if looks else Decimal(0)
        if not looks or now - looks[-1][0] >= self.per * 1_000_000 // SAMPLES:
            looks.append([now, f"{market.volume:f}"])
        return Judged(traded > self.contracts, {"volume": looks}, f"{traded:,f} contracts")

    def parts(self) -> dict[str, Any]:
        """Ticker, contracts and seconds."""
        return {"ticker": self.ticker, "contracts": f"{self.contracts:f}", "per": f"{self.per}s"}

    def __str__(self) -> str:
        return f"{self.ticker} volume above {self.contracts:,f} within {spelled(timedelta(seconds=self.per))}"


@dataclass(frozen=True, slots=True)
class EdgeAbove(OfMarket):
    """Buying YES at the ask or NO at the bid is worth so many dollars a contract more than it costs, by a probability, before fees."""

    kind: ClassVar[str] = "edge_above"
    edge: Decimal
    probability: Decimal | None
    thesis: str | None

    @property
    def facts(self) -> frozenset[Fact]:
        """The probabilities of the thesis by market, where it is one's."""
        return frozenset({("probability", self.thesis)} if self.thesis else ())

    def of(self, market: Quoted, seen: Seen, past: Past) -> Judged:
        """The larger of probability - ask and bid - probability against the edge, on a real quote."""
        held = self.probability
        if self.thesis is not None:
            held = seen.facts.get(("probability", self.thesis), {}).get(self.ticker)
        if held is None or not market.is_priced or market.yes_ask is None or market.yes_bid is None:
            return Judged(None, past)
        most, side = max((held - market.yes_ask, "YES"), (market.yes_bid - held, "NO"))
        return Judged(
            most >= self.edge - seen.margin, past, f"{most:f} dollars on {side}, the probability being {held:f}"
        )

    def parts(self) -> dict[str, Any]:
        """Ticker, edge, and whose probability."""
        held = None if self.probability is None else f"{self.probability:f}"
        return {"ticker": self.ticker, "edge": f"{self.edge:f}", "probability": held, "thesis": self.thesis}

    def __str__(self) -> str:
        whose = f"thesis {self.thesis}" if self.thesis else f"probability {self.probability:f}"
        return f"{self.ticker} edge above {self.edge:f} by {whose}"


def crosses(ticker: str, price: Price, *, direction: str = "both") -> Condition:
    """The YES mid goes from one side of a price (dollars) to the other between two looks; direction: up, down or both.

    The side is remembered in the store, so single checks and restarts notice a crossing too. ticker: a market or a pattern, as in `above`.
    Raises UsageError for a malformed ticker, a price outside (0, 1), or an unknown direction.
    """
    return Crosses(target(ticker), level(price), one_of("direction", direction, DIRECTIONS))


def moves(ticker: str, by: Price, *, within: timedelta | str = "1h") -> Condition:
    """The YES mid is at least `by` dollars from its highest or lowest value within a time ("15m", "1h"); ticker: a market or a pattern.

    Raises UsageError for a malformed ticker, a move outside (0, 1), or what is no length of time.
    """
    return Moves(target(ticker), level(by), seconds(within, "within"))


def spread_above(ticker: str, dollars: Price) -> Condition:
    """The spread of a real quote is strictly above so many dollars; ticker: a market or a pattern.

    Raises UsageError for a malformed ticker or a spread outside (0, 1).
    """
    return SpreadAbove(target(ticker), level(dollars))


def volume_above(ticker: str, contracts: Price) -> Condition:
    """More than so many contracts were traded over the market's life; ticker: a market or a pattern.

    Raises UsageError for a malformed ticker or a number that is not above zero.
    """
    return VolumeAbove(target(ticker), amount(contracts, "contracts", most=MOST))


def volume_rate_above(ticker: str, contracts: Price, *, per: timedelta | str = "1h") -> Condition:
    """More than so many contracts were traded within a time, by the looks that were had of it; ticker: a market or a pattern.

    Raises UsageError for a malformed ticker, a number that is not above zero, or what is no length of time.
    """
    return VolumeRateAbove(target(ticker), amount(contracts, "contracts", most=MOST), seconds(per, "per"))


def edge_above(ticker: str, edge: Price, *, probability: Price | None = None, thesis: str | None = None) -> Condition:
    """A trade at the quote is worth at least `edge` dollars a contract by a probability of YES, or by a thesis's, before fees.

    Give either `probability` or the name of a `thesis` of the store, whose newest probability counts. ticker: a market or a pattern.
    Raises UsageError for a malformed ticker, an edge outside (0, 1), or where it is not exactly one of the two.
    """
    if (probability is None) == (thesis is None):
        raise UsageError("an edge is against one probability", hint='Give probability=0.7 or thesis="fed-cuts"')
    held = None if probability is None else level(probability)
    return EdgeAbove(target(ticker), level(edge), held, thesis)


def seconds(value: timedelta | str, what: str) -> int:
    """A time of whole seconds, above 0 and at most 30 days."""
    found = round(span(value, what=what).total_seconds())
    if not 0 < found <= 30 * DAY:
        raise UsageError(f"{what} {value!r} is not between a second and 30 days")
    return found


def _micros(time: datetime) -> int:
    return round(time.timestamp() * 1_000_000)


def _window(past: Past, name: str, since: int) -> list[list[Any]]:
    return [one for one in (past or {}).get(name, ()) if one[0] >= since]
