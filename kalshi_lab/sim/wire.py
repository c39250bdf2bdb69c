"""How the exchange writes things: prices, counts, times, identifiers, and JSON with its keys in alphabetical order.

Inside the sim prices are whole 1/10,000 dollars, counts whole 1/100 contracts, and times whole microseconds since 1970.
"""

from __future__ import annotations

import time
from datetime import date
from functools import lru_cache
from typing import Any

import msgspec

DOLLAR = 10_000
SECOND = 1_000_000
DAY = 86_400
_PRICES = tuple(f"{price / DOLLAR:.4f}" for price in range(DOLLAR + 1))
_encoder = msgspec.json.Encoder(order="sorted")


def price(value: int) -> str:
    """Dollars with four decimals."""
    return _PRICES[value]


def count(value: int) -> str:
    """Contracts with two decimals."""
    return f"{value // 100}.{value % 100:02d}"


def moment(microseconds: int) -> str:
    """RFC 3339 in UTC, its fraction as short as it goes."""
    seconds, fraction = divmod(int(microseconds), SECOND)
    tail = f".{fraction:06d}".rstrip("0") if fraction else ""
    return f"{_to_second(seconds)}{tail}Z"


@lru_cache(maxsize=65_536)
def _to_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def uuid(high: int, low: int) -> str:
    """128 bits written as an identifier of five groups."""
    text = f"{high:016x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def encoded(value: Any) -> bytes:
    """JSON bytes."""
    return _encoder.encode(value)


def eastern_offset(seconds: int) -> int:
    """Seconds that New York is ahead of UTC (negative), by the daylight saving rule in force since 2007."""
    year = time.gmtime(seconds).tm_year
    spring = _sunday(year, 3, 2) + 7 * 3600
    autumn = _sunday(year, 11, 1) + 6 * 3600
    return -4 * 3600 if spring <= seconds < autumn else -5 * 3600


@lru_cache(maxsize=256)
def _sunday(year: int, month: int, nth: int) -> int:
    first = (date(year, month, 1) - date(1970, 1, 1)).days * DAY
    weekday = (first // DAY + 3) % 7
    return first + ((6 - weekday) % 7 + 7 * (nth - 1)) * DAY
