"""What fills cost, in whole 1/1,000,000 dollars: the library's fee rules in the units of the desk."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from kalshi_lab.fees import FeeSchedule, OrderFees
from kalshi_lab.sim.wire import count, price

if TYPE_CHECKING:
    from decimal import Decimal

Terms = tuple[str, float]
"""Fee type and multiplier."""


def accumulator(terms: Terms, *, buys: bool, direct: bool) -> OrderFees:
    """The fees of one order, whose fills share what rounding took."""
    return OrderFees(_schedule(terms), action="buy" if buys else "sell", member="direct" if direct else "non-direct")


def charged(fees: OrderFees, paid: int, size: int, *, taker: bool) -> int:
    """The fee of an order's next fill; `paid` is the price of YES."""
    return _micros(fees.add(price(paid), count(size), role="taker" if taker else "maker").net)


@lru_cache(maxsize=65_536)
def expected(terms: Terms, paid: int, size: int, *, taker: bool) -> int:
    """The fee of a fill before it is rounded to the balance."""
    return _micros(OrderFees(_schedule(terms)).add(price(paid), count(size), role="taker" if taker else "maker").trade)


@lru_cache(maxsize=64)
def _schedule(terms: Terms) -> FeeSchedule:
    return FeeSchedule.of(terms)


def _micros(dollars: Decimal) -> int:
    return int(dollars.scaleb(6))
