"""Exact prices, money and contract counts: the one place where their texts become numbers.

The exchange writes dollars as text with up to 6 decimals ("0.4200") and contracts with up to 2 ("13.00"); balances,
settlement revenue and deposits are still integer cents. Binary floats appear only where an analysis asks for them.
"""

from __future__ import annotations

import re
from decimal import Decimal

PRICE_SCALE = 6
COUNT_SCALE = 2
MICRO, CENTI = 10**6, 10**2  # a dollar in the smallest parts of a price, a contract in those of a count
DOLLARS_PATTERN = r"^-?[0-9]{1,12}(\.[0-9]{1,6})?$"
COUNTS_PATTERN = r"^-?[0-9]{1,16}(\.[0-9]{1,2})?$"
PRICE_PATTERN = r"^-?[0-9]{1,3}(\.[0-9]{1,6})?$"
_DOLLARS, _COUNTS, _PRICE = re.compile(DOLLARS_PATTERN), re.compile(COUNTS_PATTERN), re.compile(PRICE_PATTERN)


def dollars(value: str | int | Decimal) -> Decimal:
    """Dollars as an exact decimal, from text like "0.4200"; at most 6 decimals.

    Raises ValueError for anything else: a float, an exponent, a seventh decimal.
    """
    return _exact(value, _DOLLARS, "dollars", PRICE_SCALE)


def price(value: object) -> Decimal:
    """A price in dollars as an exact decimal, from text like "0.4200"; at most 6 decimals, below 1000.

    Raises ValueError for anything else, a whole number too: it could be cents.
    """
    if isinstance(value, int):
        raise ValueError("a price comes as text of dollars, not as a whole number, which could be cents")
    return _exact(value, _PRICE, "a price in dollars", PRICE_SCALE)


def contracts(value: str | int | Decimal) -> Decimal:
    """A count of contracts as an exact decimal, from text like "13.00"; at most 2 decimals."""
    return _exact(value, _COUNTS, "contracts", COUNT_SCALE)


def plain(value: Decimal) -> str:
    """An amount with the digits that it needs, two decimals at least, thousands apart: 1,234.50 for Decimal("1234.500000")."""
    whole, _, part = f"{value:,f}".partition(".")
    return f"{whole}.{part.rstrip('0'):0<2}"


def units(value: int | None, decimals: int) -> Decimal | None:
    """The exact amount that whole units of so many decimals are: 2 for cents, 4 for 1/10,000 dollar. Unknown stays unknown."""
    return None if value is None else Decimal(value).scaleb(-decimals)


def _exact(value: object, pattern: re.Pattern[str], unit: str, scale: int) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError(f"{unit} come as text or exact decimals, not {type(value).__name__}")
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    if not pattern.fullmatch(text):
        raise ValueError(f"not {unit} with at most {scale} decimals: {text[:40]!r}")
    return Decimal(text)
