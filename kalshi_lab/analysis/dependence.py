"""How far two series of changes move together: coefficients, their standard errors under autocorrelation, and tests of many at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from kalshi_lab.analysis.science import science
from kalshi_lab.errors import one_of

if TYPE_CHECKING:
    from collections.abc import Sequence

METHODS = ("pearson", "spearman")
CORRECTIONS = ("benjamini-hochberg", "holm", "none")
FEWEST = 4


class Estimate(NamedTuple):
    """A coefficient, the effective number of observations behind it, its two-sided p-value against 0, and its interval."""

    r: float
    effective: float
    p: float
    low: float
    high: float


def correlated(x: Any, y: Any, *, method: str = "pearson", confidence: float = 0.95) -> Estimate | None:
    """The correlation of two arrays of equal length without NaN; None for a constant one, or fewer than 4 observations.

    The effective n is n / V with V the long-run variance of the coefficient's influence function, x y - r (x^2 + y^2) / 2 for
    standardised x and y, over (1 - r^2)^2, with Bartlett's weights up to the lag floor(4 (n / 100)^(2/9)) (W. Newey and K. West, "A Simple,
    Positive Semi-Definite, Heteroskedasticity and Autocorrelation Consistent Covariance Matrix", 1987) and never below 1: noise that hangs
    together or comes in bursts counts for less, and nothing for more. The interval is Fisher's, tanh(artanh r +- t / sqrt(n - 3)), with
    Student's t; Spearman's variance carries 1 + r^2 / 2 (D. Bonett and T. Wright, "Sample Size Requirements", 2000).
    """
    np = science("numpy")
    n = len(x)
    if n < FEWEST:
        return None
    if method == "spearman":
        rank = science("scipy.stats").rankdata
        x, y = rank(x), rank(y)
    x, y = x - x.mean(), y - y.mean()
    # changes of prices that differ only by rounding of floats are no changes
    if np.abs(x).max() < 1e-12 or np.abs(y).max() < 1e-12:  # noqa: PLR2004 - far below a millionth of a dollar
        return None
    x, y = x / math.sqrt(x @ x / n), y / math.sqrt(y @ y / n)
    r = float(np.clip(x @ y / n, -1, 1))
    effective = n / _inflation(x, y, r)
    return judged(r, effective, 1 + r * r / 2 if method == "spearman" else 1.0, confidence)


def judged(r: float, effective: float, factor: float = 1.0, confidence: float = 0.95) -> Estimate:
    """The p-value and interval of a coefficient."""
    student = science("scipy.stats").t
    freedom = max(effective - 3, 1.0)
    if abs(r) > 1 - 1e-12:
        return Estimate(r, effective, 0.0, r, r)
    wide, middle = 1 / math.sqrt(freedom), math.atanh(r)
    reach = float(student.ppf(0.5 + confidence / 2, freedom)) * wide * math.sqrt(factor)
    p = 2 * float(student.sf(abs(middle) / wide, freedom))
    return Estimate(r, effective, p, math.tanh(middle - reach), math.tanh(middle + reach))


def _inflation(x: Any, y: Any, r: float) -> float:
    """By how much the coefficient varies more than with independent normal pairs, at least 1."""
    n, left = len(x), (1 - r * r) ** 2
    if left < 1e-12:  # noqa: PLR2004 - one series twice
        return 1.0
    influence = x * y - r * (x * x + y * y) / 2
    variance = float(influence @ influence) / n
    lags = min(int(4 * (n / 100) ** (2 / 9)), n - 1)
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * float(influence[lag:] @ influence[:-lag]) / n
    return max(variance / left, 1.0)


def corrected(p_values: Sequence[float], correction: str) -> list[float]:
    """The p-values adjusted for being many, in their order.

    "benjamini-hochberg" (Y. Benjamini and Y. Hochberg, "Controlling the False Discovery Rate", 1995) bounds the expected share of false
    ones among the flagged; "holm" (S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979) the chance of any false one.
    """
    many = len(p_values)
    if one_of("correction", correction, CORRECTIONS, also={"bh": "benjamini-hochberg"}) == "none":
        return list(p_values)
    order = sorted(range(many), key=lambda place: p_values[place])
    found, running = [0.0] * many, 0.0
    if correction == "holm":
        for rank, place in enumerate(order):
            running = max(running, min(1.0, (many - rank) * p_values[place]))
            found[place] = running
        return found
    running = 1.0
    for rank, place in reversed(list(enumerate(order, 1))):
        running = min(running, p_values[place] * many / rank)
        found[place] = running
    return found
