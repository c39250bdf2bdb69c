"""Scores of probability forecasts of yes-or-no outcomes, from exact sums.

Sums are fractions until the last division, so a score has the same digits whatever the order of the rows and whichever
engine added them up. Below, f is a forecast (a price in dollars), o its outcome (1 or 0), w its weight, and W the sum
of the weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Number = int | float | Decimal | Fraction


class Interval(NamedTuple):
    """A confidence interval for a share, inside [0, 1]."""

    low: float
    high: float


class Decomposition(NamedTuple):
    """The parts of a Brier score: reliability - resolution + uncertainty + within_bin."""

    reliability: float
    resolution: float
    uncertainty: float
    within_bin: float


@dataclass(frozen=True, slots=True)
class Sums:
    """Exact weighted sums over forecasts: rows, w, w*f, w*o, w*f*f and w*f*o."""

    n: int = 0
    weight: Fraction = Fraction(0)
    price: Fraction = Fraction(0)
    won: Fraction = Fraction(0)
    price_price: Fraction = Fraction(0)
    price_won: Fraction = Fraction(0)

    @classmethod
    def of(cls, prices: Iterable[Number], outcomes: Iterable[bool], weights: Iterable[Number] | None = None) -> Sums:
        """The sums over forecasts given one by one; without weights each counts once."""
        pairs = list(zip(prices, outcomes, strict=True))
        each = [1] * len(pairs) if weights is None else list(weights)
        return total(cls.one(price, won, weight) for (price, won), weight in zip(pairs, each, strict=True))

    @classmethod
    def one(cls, price: Number, won: bool, weight: Number = 1) -> Sums:
        """The sums over a single forecast."""
        f, w = Fraction(price), Fraction(weight)
        o = int(won)
        return cls(1, w, w * f, w * o, w * f * f, w * f * o)

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.n + other.n,
            self.weight + other.weight,
            self.price + other.price,
            self.won + other.won,
            self.price_price + other.price_price,
            self.price_won + other.price_won,
        )


def total(parts: Iterable[Sums]) -> Sums:
    """The sums over all parts together."""
    return sum(parts, Sums())


def win_rate(sums: Sums) -> float | None:
    """The weighted share of forecasts whose event happened, sum(w*o) / W; None without forecasts."""
    return float(sums.won / sums.weight) if sums.weight else None


def brier(sums: Sums) -> float | None:
    """The Brier score, sum(w * (f - o)**2) / W: 0 is perfect, 1 is worst; None without forecasts.

    Source: G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review
    78 (1950).
    """
    return float(_brier(sums)) if sums.weight else None


def _brier(sums: Sums) -> Fraction:
    return (sums.price_price - 2 * sums.price_won + sums.won) / sums.weight


def skill(sums: Sums) -> float | None:
    """The Brier skill score, 1 - brier / (r * (1 - r)) with r the win rate of the same forecasts.

    It compares with always forecasting the base rate: 1 is perfect, 0 is no better, below 0 is worse. None without
    forecasts and where r is 0 or 1, since the base rate is then perfect by itself. Source: D. S. Wilks, "Statistical
    Methods in the Atmospheric Sciences", section on the Brier score.
    """
    if not sums.weight or sums.won in (0, sums.weight):
        return None
    rate = sums.won / sums.weight
    return float(1 - _brier(sums) / (rate * (1 - rate)))


def decomposition(bins: Iterable[Sums]) -> Decomposition | None:
    """The Brier score in parts, from the sums of each bin k; None without forecasts.

    With F_k and R_k the mean forecast and the win rate of bin k, W_k its weight, and r the win rate of all: reliability
    = sum_k W_k (F_k - R_k)**2 / W, resolution = sum_k W_k (R_k - r)**2 / W, uncertainty = r (1 - r), and within_bin =
    sum_k sum_(i in k) w_i ((f_i - F_k)**2 - 2 (f_i - F_k)(o_i - R_k)) / W, the variance of the forecasts inside the
    bins less twice their covariance with the outcomes. Then brier = reliability - resolution + uncertainty +
    within_bin. Sources: A. H. Murphy, "A new vector partition of the probability score", Journal of Applied Meteorology
    12 (1973); D. B. Stephenson, C. A. S. Coelho, I. T. Jolliffe, "Two extra components in the Brier score
    decomposition", Weather and Forecasting 23 (2008), whose two components are the two halves of within_bin.
    """
    parts = [part for part in bins if part.weight]
    if not parts:
        return None
    whole = total(parts)
    rate = whole.won / whole.weight
    reliability = sum((_miss(part) ** 2 * part.weight for part in parts), Fraction(0)) / whole.weight
    resolution = sum(((part.won / part.weight - rate) ** 2 * part.weight for part in parts), Fraction(0)) / whole.weight
    within = sum((_within(part) for part in parts), Fraction(0)) / whole.weight
    return Decomposition(float(reliability), float(resolution), float(rate * (1 - rate)), float(within))


def _miss(part: Sums) -> Fraction:
    return (part.price - part.won) / part.weight


def _within(part: Sums) -> Fraction:
    variance = part.price_price - part.price**2 / part.weight
    covariance = part.price_won - part.price * part.won / part.weight
    return variance - 2 * covariance


def ece(bins: Iterable[Sums]) -> float | None:
    """The expected calibration error, sum_k W_k |F_k - R_k| / W over the bins; None without forecasts.

    It depends on the bins and is biased upward in small samples. Source: M. P. Naeini, G. F. Cooper, M. Hauskrecht,
    "Obtaining well calibrated probabilities using Bayesian binning", AAAI (2015).
    """
    parts = [part for part in bins if part.weight]
    if not parts:
        return None
    return float(sum((abs(part.price - part.won) for part in parts), Fraction(0)) / total(parts).weight)


def log_score(levels: Iterable[tuple[Number, bool, Number]]) -> float | None:
    """The mean negative log likelihood in nats from (forecast, happened, weight); None without forecasts.

    -sum(w * (o ln f + (1 - o) ln(1 - f))) / W. 0 is perfect. A forecast of exactly 0 or 1 that comes true adds 0; one
    that is refuted makes the score infinite, as it should: it called impossible what happened. Source: I. J. Good,
    "Rational decisions", Journal of the Royal Statistical Society B 14 (1952).
    """
    terms, weights = [], []
    for price, won, weight in levels:
        likelihood = float(price if won else 1 - Fraction(price))
        weights.append(float(weight))
        terms.append(-math.log(likelihood) * weights[-1] if likelihood > 0 else math.inf)
    whole = math.fsum(weights)
    return math.fsum(terms) / whole + 0.0 if whole else None


def wilson(share: float, n: float, confidence: float = 0.95) -> Interval | None:
    """The score interval of a share seen in `n` independent draws; None without draws.

    (p + z**2/(2n) -+ z * sqrt(p(1-p)/n + z**2/(4n**2))) / (1 + z**2/n). Source: E. B. Wilson, "Probable inference, the
    law of succession, and statistical inference", Journal of the American Statistical Association 22 (1927).
    """
    if n <= 0:
        return None
    return scored(share, n, _quantile(confidence))


def clustered(clusters: Sequence[tuple[float, float]], confidence: float = 0.95) -> Interval | None:
    """The interval of a weighted share whose rows are alike inside clusters, from each cluster's sums (w, w*o).

    The share is a ratio of sums, R = sum(w*o) / W. With e_g = sum(w*o)_g - R * sum(w)_g for cluster g and G clusters,
    its linearised variance is V = G/(G-1) * sum_g e_g**2 / W**2, that of R (1 - R) / V independent draws; the interval
    is Wilson's for so many, since R -+ t * sqrt(V) holds a share near 0 or 1 too seldom. Its quantile is Student's t
    with W**2 / sum_g W_g**2 - 1 degrees of freedom. One cluster cannot tell how clusters differ: None. Where every
    outcome is the same the variance is 0 and says nothing; each cluster then counts as one draw. Source: K.-Y. Liang,
    S. L. Zeger, "Longitudinal data analysis using generalized linear models", Biometrika 73 (1986); C. Franco, R. J. A.
    Little, T. A. Louis, E. V. Slud, "Comparative study of confidence intervals for proportions in complex sample
    surveys", Journal of Survey Statistics and Methodology 7 (2019).
    """
    count = len(clusters)
    whole = math.fsum(weight for weight, _ in clusters)
    if count < 2 or whole <= 0:  # noqa: PLR2004 - a variance needs two
        return None
    share = math.fsum(won for _, won in clusters) / whole
    if all(won == 0 for _, won in clusters) or all(won == weight for weight, won in clusters):
        return wilson(round(share), count, confidence)
    spread = math.fsum((won - share * weight) ** 2 for weight, won in clusters)
    if spread <= 1e-18 * whole * whole:  # every cluster has the same share
        return Interval(share, share)
    effective = whole * whole / math.fsum(weight * weight for weight, _ in clusters)
    draws = share * (1 - share) * whole * whole / (count / (count - 1) * spread)
    return scored(share, draws, student(confidence, effective - 1))


def student(confidence: float, freedom: float) -> float:
    """The quantile t of Student's distribution with P(|T| < t) = confidence; the freedom may be a fraction of 1 or more.

    G. W. Hill, "Algorithm 396: Student's t-quantiles", Communications of the ACM 13 (1970); exact for 1 and 2.
    """
    both, n = 1 - confidence, max(freedom, 1.0)
    if n == 1:
        return 1 / math.tan(both * math.pi / 2)
    if n == 2:  # noqa: PLR2004 - its own closed form
        return math.sqrt(2 / (both * (2 - both)) - 2)
    a = 1 / (n - 0.5)
    b = 48 / (a * a)
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * math.sqrt(a * math.pi / 2) * n
    y = (d * both) ** (2 / n)
    if y <= 0.05 + a:
        y = ((1 / (((n + 6) / (n * y) - 0.089 * d - 0.822) * (n + 2) * 3) + 0.5 / (n + 4)) * y - 1) * (n + 1) / (
            n + 2
        ) + 1 / y
        return math.sqrt(n * y)
    x = -NormalDist().inv_cdf(both / 2)
    y = x * x
    c += 0.3 * (n - 4.5) * (x + 0.6) if n < 5 else 0  # noqa: PLR2004 - Hill's correction
    c = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + c
    y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x
    return math.sqrt(n * math.expm1(a * y * y))


def _quantile(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)


def scored(share: float, n: float, z: float) -> Interval:
    """Wilson's interval with a quantile of one's own."""
    middle, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = ((middle + side * half) / (1 + z * z / n) for side in (-1, 1))
    return Interval(max(0.0, low), min(1.0, high))
