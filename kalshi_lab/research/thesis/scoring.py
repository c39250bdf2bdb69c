"""How a probability of YES is judged: against the price at which one could have traded, and against the outcome.

All of it is exact: probabilities and prices are decimals, and become floats in frames only.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, NamedTuple

from kalshi_lab import markup
from kalshi_lab.errors import UsageError
from kalshi_lab.models import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalshi_lab.research.thesis.record import ThesisMarket

Probability = float | str | Decimal
PRECISION = Decimal("0.000001")
ZERO, ONE, HUNDRED = Decimal(0), Decimal(1), Decimal(100)


def probability(value: Probability) -> Decimal:
    """A probability in [0, 1], rounded to 6 decimals; UsageError for anything else, with a hint where percent were meant."""
    number = _number(value)
    if number is None:
        raise UsageError(f"probability {str(value)[:40]!r} is no number", hint="Give one from 0 to 1, like 0.62")
    if not ZERO <= number <= ONE:
        near = f"Did you mean {plain(number / HUNDRED)}?" if ONE < number <= HUNDRED else "Give one like 0.62"
        raise UsageError(f"probability {value} is not between 0 and 1", hint=near)
    return number.quantize(PRECISION)


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


def skill(own: Decimal | None, reference: Decimal | None) -> Decimal | None:
    """The skill of a Brier score over another, 1 - own / reference; None where either is unknown or the reference is 0."""
    return None if own is None or not reference else 1 - own / reference


@dataclass(frozen=True, slots=True, repr=False)
class Score:
    """How a thesis did: mean Brier scores over its markets; None where there is nothing to score.

    `brier` is yours over `n` settled markets. `market_brier` is that of the mid prices of the moment the thesis was written, over
    the `n_compared` of them that had a real quote then; `skill` compares you with it on these alone. `unscored` and `uncompared`
    give the reason for each market that is left out.
    """

    n: int
    brier: float | None
    n_compared: int
    market_brier: float | None
    skill: float | None
    unscored: dict[str, str]
    uncompared: dict[str, str]

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

    def _repr_html_(self) -> str:
        reasons = {"not scored": self.unscored, "not compared": self.uncompared}
        said = {
            name: "; ".join(f"{ticker}: {why}" for ticker, why in each.items())
            for name, each in reasons.items()
            if each
        }
        return markup.card("Score", {"score": self.words(), "skill over the market": self.skill, **said})


def score(markets: Sequence[ThesisMarket]) -> Score:
    """The mean Brier scores of the markets that are settled."""
    scored = [market for market in markets if market.brier is not None]
    compared = [market for market in scored if market.market_brier is not None]
    own, reference = _mean([market.brier for market in compared]), _mean([market.market_brier for market in compared])
    mine = _mean([market.brier for market in scored])
    return Score(
        n=len(scored),
        brier=_float(mine),
        n_compared=len(compared),
        market_brier=_float(reference),
        skill=_float(skill(own, reference)),
        unscored={market.ticker: _why_unscored(market) for market in markets if market.brier is None},
        uncompared={
            market.ticker: "no real quote when it was written" for market in scored if market.market_brier is None
        },
    )


def _why_unscored(market: ThesisMarket) -> str:
    if market.result is None:
        return "not settled"
    return "scalar without a settlement value" if market.result == "scalar" else "void: neither side won"


def _mean(values: Sequence[Decimal | None]) -> Decimal | None:
    known = [value for value in values if value is not None]
    return sum(known, ZERO) / len(known) if known else None


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
