"""How a probability of YES is judged: against the price at which one could have traded, and against the outcome.

All of it is exact: probabilities and prices are decimals, and become floats in frames only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from kalshi_lab import markup
from kalshi_lab.analysis import ratio
from kalshi_lab.errors import UsageError
from kalshi_lab.models import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kalshi_lab.research.thesis.record import ThesisMarket

Probability = float | str | Decimal
PRECISION = Decimal("0.000001")
ZERO, HALF, ONE, HUNDRED = Decimal(0), Decimal("0.5"), Decimal(1), Decimal(100)


def probability(value: Probability, *, what: str = "probability") -> Decimal:
    """A probability in [0, 1], rounded to 6 decimals; UsageError for anything else, with a hint where percent were meant."""
    number = _number(value)
    if number is None:
        raise UsageError(f"{what} {str(value)[:40]!r} is no number", hint="Give one from 0 to 1, like 0.62")
    if not ZERO <= number <= ONE:
        near = f"Did you mean {plain(number / HUNDRED)}?" if ONE < number <= HUNDRED else "Give one like 0.62"
        raise UsageError(f"{what} {value} is not between 0 and 1", hint=near)
    return number.quantize(PRECISION)


def exact(value: float) -> Decimal:
    """A price or probability of a frame, as exact as it is kept."""
    return Decimal(repr(value)).quantize(PRECISION)


def middle(bid: float | None, ask: float | None) -> Decimal | None:
    """The middle of a quote of a frame; None where it is no real one."""
    return None if bid is None or ask is None else quote.mid(exact(bid), exact(ask))


def _number(value: Probability) -> Decimal | None:
    if isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def plain(value: Decimal) -> str:
    """A decimal without the zeros at its end."""
    return f"{value.normalize():f}"


class Edge(NamedTuple):
    """Which side to buy, "yes" or "no" (empty for neither), and what it is worth more than it costs, in dollars before fees."""

    side: str
    dollars: Decimal


def edge(own: Decimal, bid: Decimal | None, ask: Decimal | None) -> Edge | None:
    """The edge of a probability over what can be bought: YES at the ask, or NO at 1 - bid; None without a real quote.

    p - ask where p is above the ask, bid - p where it is below the bid (a NO contract is worth 1 - p and costs 1 - bid), and 0
    in between, where neither side is worth its price. It does not depend on whether p is above one half.
    """
    if bid is None or ask is None or not quote.is_priced(bid, ask):
        return None
    if own > ask:
        return Edge("yes", own - ask)
    return Edge("no", bid - own) if own < bid else Edge("", ZERO)


def outcome(result: str | None, settlement_value: Decimal | None) -> Decimal | None:
    """What one YES contract paid, in dollars: 1 for yes, 0 for no, else the settlement value; None where it was voided."""
    return {"yes": ONE, "no": ZERO}.get(result or "", settlement_value)


def brier(forecast: Decimal | None, paid: Decimal | None) -> Decimal | None:
    """The Brier score of one forecast, (f - o)**2: 0 is perfect, 1 is worst; None where either is unknown.

    For a scalar market o is its payout, and f is read as the expected payout. Source: G. W. Brier, "Verification of forecasts
    expressed in terms of probability", Monthly Weather Review 78 (1950).
    """
    return None if forecast is None or paid is None else (forecast - paid) ** 2


def log_loss(forecast: Decimal | None, paid: Decimal | None) -> float | None:
    """The logarithmic score of one forecast in nats, -(o ln f + (1 - o) ln(1 - f)): 0 is perfect; None where either is unknown.

    Infinite where the forecast called impossible what happened. Source: I. J. Good, "Rational decisions", Journal of the Royal
    Statistical Society B 14 (1952); for a payout o between 0 and 1 it is the expected score of an event with that probability.
    """
    if forecast is None or paid is None:
        return None
    parts = ((paid, forecast), (1 - paid, 1 - forecast))
    return (
        math.fsum(-float(weight) * math.log(chance) if chance else math.inf for weight, chance in parts if weight) + 0.0
    )


def skill(own: Decimal | None, reference: Decimal | None) -> Decimal | None:
    """The skill of a Brier score over another, 1 - own / reference; None where either is unknown or the reference is 0."""
    return None if own is None or not reference else 1 - own / reference


@dataclass(frozen=True, slots=True, repr=False)
class Score:
    """How a thesis did, over its settled markets; None where there is nothing to score.

    `brier` and `log` are the mean scores of your last word over `n` markets. `market_brier` and `market_log` are those of the mid prices
    of the moment you said it, over the `n_compared` that had a real quote then; `skill` = 1 - yours / the market's Brier score on these
    alone, `skill_low` to `skill_high` its 95% interval, clustered by event, None below two events: `events` says how many there are.
    `held` and `market_held` are the Brier scores of what you and the market said, averaged over the time that the thesis was active
    until the outcome was known, over the `n_held` markets whose price is known for some of it, and over that time only. `unscored`,
    `uncompared` and `unheld` give the reason for each market that is left out.
    """

    n: int
    brier: float | None
    log: float | None
    n_compared: int
    market_brier: float | None
    market_log: float | None
    skill: float | None
    skill_low: float | None
    skill_high: float | None
    events: int
    n_held: int
    held: float | None
    market_held: float | None
    unscored: dict[str, str]
    uncompared: dict[str, str]
    unheld: dict[str, str]

    def __repr__(self) -> str:
        return f"<Score {self.words()}>"

    def words(self) -> str:
        """The score in one line."""
        left = f", {len(self.unscored)} not scored" if self.unscored else ""
        if self.brier is None:
            return f"nothing scored yet{left}"
        market = "the market's unknown" if self.market_brier is None else f"the market's {self.market_brier:.4f}"
        over = f" over {self.n_compared}" if self.n_compared not in {0, self.n} else ""
        return f"Brier {self.brier:.4f} over {self.n}, {market}{over}{left}"

    def facts(self) -> dict[str, str]:
        """The score in words, name by name."""
        made = {"score": self.words()}
        if self.brier is not None:
            made["log score"] = f"{_told(self.log)} nats, the market's {_told(self.market_log)}"
            made["skill over the market"] = self._skill()
        if self.n_held:
            made["while active"] = (
                f"Brier {_told(self.held)}, the market's {_told(self.market_held)}, by time, over {self.n_held}"
            )
        return made

    def _skill(self) -> str:
        if self.skill is None:
            return "unknown"
        clusters = "1 event" if self.events == 1 else f"{self.events} events"
        if self.skill_low is None or self.skill_high is None:
            return f"{self.skill:+.3f} over {clusters}: too few for an interval"
        return f"{self.skill:+.3f}, {self.skill_low:+.3f} to {self.skill_high:+.3f} over {clusters}"

    def _repr_html_(self) -> str:
        reasons = {"not scored": self.unscored, "not compared": self.uncompared, "not compared over time": self.unheld}
        said = {
            name: "; ".join(f"{ticker}: {why}" for ticker, why in each.items())
            for name, each in reasons.items()
            if each
        }
        return markup.card("Score", self.facts() | said)


def _told(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"


def score(markets: Sequence[ThesisMarket], over_time: Mapping[str, Held | str] | None = None) -> Score:
    """The mean scores of the markets that are settled; `over_time` says for each of these what was held, or why that is not known."""
    scored = [market for market in markets if market.brier is not None]
    compared = [market for market in scored if market.market_brier is not None]
    own, reference = _mean([market.brier for market in compared]), _mean([market.market_brier for market in compared])
    pairs = [(one.event, float(one.brier or 0), float(one.market_brier or 0)) for one in compared]
    low, high = skill_interval(pairs)
    known = over_time or {}
    held = [one for one in known.values() if isinstance(one, Held)]
    return Score(
        n=len(scored), brier=_float(_mean([market.brier for market in scored])), log=_average([market.log for market in scored]),
        n_compared=len(compared), market_brier=_float(reference), market_log=_average([market.market_log for market in compared]),
        skill=_float(skill(own, reference)), skill_low=low, skill_high=high, events=len({event for event, _, _ in pairs}),
        n_held=len(held), held=_average([one.own for one in held]), market_held=_average([one.market for one in held]),
        unscored={market.ticker: _why_unscored(market) for market in markets if market.brier is None},
        uncompared={
            market.ticker: "no real quote when it was written" for market in scored if market.market_brier is None
        },
        unheld={ticker: why for ticker, why in known.items() if isinstance(why, str)},
    )  # fmt: skip


class Held(NamedTuple):
    """What was said of one market while the thesis was active: Brier scores averaged over time, and over how many seconds."""

    own: float
    market: float
    seconds: float


def skill_interval(
    rows: Sequence[tuple[str, float, float]], confidence: float = 0.95
) -> tuple[float | None, float | None]:
    """The interval of 1 - sum(own) / sum(market) from (event, own loss, market loss), clustered by event.

    Skill is one less a ratio of sums, so its interval is that of `kalshi_lab.analysis.ratio.means` with the market's loss as the weight.
    None where there are not two events, or the market lost nothing.
    """
    if len({event for event, _, _ in rows}) < 2 or not math.fsum(market for _, _, market in rows) > 0:  # noqa: PLR2004 - a variance needs two
        return None, None
    frame = pl.DataFrame(list(rows), schema=["cluster", "own", "weight"], orient="row").with_columns(n=pl.lit(1))
    frame = frame.filter(pl.col("own").is_finite() & pl.col("weight").is_finite())
    found = ratio.means(frame, (), ("own",), confidence).row(0, named=True)
    ends = (1 - found["own_high"], 1 - found["own_low"])
    return ends if all(math.isfinite(end) for end in ends) else (None, None)


def _why_unscored(market: ThesisMarket) -> str:
    if market.result is None:
        return "not settled"
    return "scalar without a settlement value" if market.result == "scalar" else "void: neither side won"


def _mean(values: Sequence[Decimal | None]) -> Decimal | None:
    known = [value for value in values if value is not None]
    return sum(known, ZERO) / len(known) if known else None


def _average(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
