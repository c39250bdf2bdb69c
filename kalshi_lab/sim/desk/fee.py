"""What a fill costs, in whole 1/1,000,000 dollars, as the exchange has charged since 30 August 2026."""

from __future__ import annotations

from fractions import Fraction

from kalshi_lab.sim.wire import DOLLAR

MAKER = {
    "quadratic": Fraction(0),
    "quadratic_with_maker_fees": Fraction(1, 4),
    "quadratic_with_combo_maker_fees": Fraction(1, 2),
}


def model_fee(fee_type: str, multiplier: float, price: int, count: int, *, taker: bool) -> int:
    """0.07 x multiplier x contracts x price x (1 - price), a part of it for makers, rounded up to 6 decimals."""
    share = Fraction(1) if taker else MAKER.get(fee_type, Fraction(0))
    exact = Fraction(7, 1_000_000) * Fraction(str(multiplier)) * share * count * price * (DOLLAR - price)
    return -(-exact.numerator // exact.denominator)


def charged(revenue: int, fee: int, unit: int, carried: int) -> tuple[int, int]:
    """The fee that leaves the balance in whole units, and what rounding has taken of the order's fills so far and not given back.

    `revenue` is the change of cash before fees; the change after them is rounded down. What rounding took adds up over an order, and
    whole units of it go back, though never more than the fill's own fee.
    """
    rounding = (revenue - fee) % unit
    carried += rounding
    rebate = min(carried // unit, (fee + rounding) // unit) * unit if carried > unit else 0
    return fee + rounding - rebate, carried - rebate
