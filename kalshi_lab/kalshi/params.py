"""What a caller may ask for, checked before a request leaves, and written as the exchange wants it."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import msgspec

from kalshi_lab.clock import When, between, moment, unix
from kalshi_lab.errors import UsageError, one_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Params = tuple[tuple[str, str], ...]
STATUSES = ("unopened", "open", "paused", "closed", "settled")
EVENT_STATUSES = ("unopened", "open", "closed", "settled")
# the words of the answers, with the filter that finds them
ANSWERED = {
    "initialized": "unopened",
    "active": "open",
    "inactive": "paused",
    "determined": "closed",
    "disputed": "closed",
    "amended": "closed",
    "finalized": "settled",
}
INTERVALS = {"1m": 1, "1h": 60, "1d": 1440}
NOTHING = Decimal(0)
DEEPEST = 100  # levels of a book
_TICKER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def ticker(value: str, what: str = "ticker") -> str:
    """A ticker that can stand in a path: letters, digits, dots, dashes; upper case."""
    if not isinstance(value, str) or not _TICKER.fullmatch(value):
        raise UsageError(f"{what} {str(value)[:80]!r} is malformed", hint="Tickers look like KXHIGHNY-26NOV22-B50.5")
    if value != value.upper():
        raise UsageError(f"{what} {value!r} is not in upper case", hint=f"Did you mean {value.upper()!r}?")
    return value


def tickers(values: str | Iterable[str], *, most: int | None = None) -> list[str]:
    """Several tickers, checked; one alone is accepted too."""
    found = [ticker(values)] if isinstance(values, str) else [ticker(value) for value in values]
    if not found or (most is not None and len(found) > most):
        raise UsageError(f"{len(found)} tickers were given", hint=f"Give 1 to {most}" if most else "Give at least one")
    return found


def several(values: str | Iterable[str] | None, what: str, *, most: int) -> list[str] | None:
    """Several ids, 1 to `most` of them; None where none were given."""
    if values is None:
        return None
    found = [values] if isinstance(values, str) else list(values)
    if not 0 < len(found) <= most or not all(isinstance(one, str) and one for one in found):
        raise UsageError(f"{what} are {len(found)}, or hold what is no id", hint=f"Give 1 to {most} texts")
    return found


def filtered(value: str | None, what: str = "ticker") -> str | None:
    """A ticker to filter by; None for no filter, while an empty text is refused, since it would ask for everything."""
    return None if value is None else ticker(value, what)


def listed(values: str | Iterable[str] | None, *, most: int | None = None) -> str | None:
    """Tickers to filter by as one parameter; None for no filter, while an empty list is refused."""
    return None if values is None else ",".join(tickers(values, most=most))


def status(value: str | None, allowed: Sequence[str] = STATUSES) -> str | None:
    """A status filter, from the filter's own words or from the words of the answers."""
    also = {word: filter_ for word, filter_ in ANSWERED.items() if filter_ in allowed}
    return None if value is None else one_of("status", value, allowed, also=also)


def interval(value: str | int) -> int:
    """The minutes of a candlestick: "1m", "1h", "1d" or 1, 60, 1440."""
    if isinstance(value, int) and not isinstance(value, bool) and value in INTERVALS.values():
        return value
    return INTERVALS[one_of("interval", value, INTERVALS, also={"1min": "1m", "60m": "1h", "hour": "1h", "day": "1d"})]


def limit(value: int | None, what: str = "limit") -> int | None:
    """A number of rows, at least 0; None for all of them."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise UsageError(f"{what} {value!r} is no number of rows", hint="Give a whole number from 0, or None for all")
    return value


def depth(value: int) -> str | None:
    """Levels on each side of a book, 1 to 100; 0 for all of them."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= DEEPEST:
        raise UsageError(f"depth {value!r} is out of range", hint="Give 1 to 100 levels, or 0 for all")
    return str(value) if value else None


def window(
    since: When | None, until: When | None, *, now: datetime, names: tuple[str, str] = ("min_ts", "max_ts")
) -> Params:
    """The half-open interval [since, until) as the exchange's Unix seconds; its own upper bound is taken as inclusive."""
    first, last = between(since, until, now=now)
    found = [] if first is None else [(names[0], str(unix(first)))]
    return (*found, *([] if last is None else [(names[1], str(unix(last)))]))


def candle_window(since: When, until: When | None, minutes: int, *, now: datetime) -> Params:
    """The bounds and the interval of a candlestick request; without an end, now."""
    first, last = between(since, now if until is None else until, now=now)
    if first is None or last is None:
        raise UsageError("candlesticks need a start", hint='Give since="7d", say')
    return given(start_ts=unix(first), end_ts=unix(last), period_interval=minutes)


def given(**values: str | bool | int | None) -> Params:
    """The parameters that have a value; flags as true and false."""
    return tuple(
        (name, str(value).lower() if isinstance(value, bool) else str(value))
        for name, value in values.items()
        if value is not None
    )


def combos(wanted: bool | str) -> str | None:
    """The filter for multivariate markets: left out, included (True) or nothing else ("only")."""
    if isinstance(wanted, bool):
        return None if wanted else "exclude"
    return one_of("combos", wanted, ["only"])


def subaccount(value: int | None) -> int | None:
    """A subaccount: 0 is the primary one, 1 to 63 are numbered."""
    return _within("subaccount", value, 0, 63)


def shard(value: int | None) -> int | None:
    """A shard of the exchange (its `exchange_index`), 0 to 100."""
    return _within("shard", value, 0, 100)


def _within(what: str, value: int | None, low: int, high: int) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and low <= value <= high):
        return value
    raise UsageError(f"{what} {value!r} is out of range", hint=f"Give a whole number from {low} to {high}")


def exact(value: Decimal | str | int, what: str, *, decimals: int, low: Decimal | None = None) -> Decimal:
    """An exact amount with at most so many decimals and at least `low`; a binary float is refused."""
    if isinstance(value, bool) or not isinstance(value, Decimal | str | int):
        raise UsageError(f"{what} is a {type(value).__name__}", hint='Give text or a Decimal, which are exact: "0.42"')
    try:
        made = Decimal(value)
        scaled = made.scaleb(decimals)
    except InvalidOperation:
        raise UsageError(f"{what} {str(value)[:40]!r} is no number") from None
    if not made.is_finite() or scaled != scaled.to_integral_value():
        raise UsageError(f"{what} {value} has more than {decimals} decimals")
    if low is not None and made < low:
        raise UsageError(f"{what} {value} is too small", hint=f"Give at least {low}")
    return made


def units(value: Decimal | str | int, decimals: int, what: str) -> int:
    """A positive amount of dollars as whole units of so many decimals: 2 for cents, 4 for 1/10,000 dollar."""
    return int(exact(value, what, decimals=decimals, low=Decimal(1).scaleb(-decimals)).scaleb(decimals))


def price(value: Decimal | str, what: str = "price") -> Decimal:
    """A price that an order can have: dollars above 0 and below 1, at most 4 decimals."""
    made = exact(value, what, decimals=4)
    if not 0 < made < 1:
        raise UsageError(
            f"{what} {made} is no price in dollars", hint='Prices are above 0 and below 1: 42 cents are "0.42"'
        )
    return made


def bid(value: Decimal | str | int, what: str) -> Decimal:
    """A bid of a quote in dollars, at most 4 decimals; 0 for none."""
    return exact(value, what, decimals=4, low=NOTHING)


def count(value: Decimal | str | int, what: str = "count") -> Decimal:
    """A number of contracts: at least 0.01, in hundredths."""
    return exact(value, what, decimals=2, low=Decimal("0.01"))


def future(value: When | None, what: str, *, now: datetime) -> datetime | None:
    """A time that is still to come."""
    made = None if value is None else moment(value, now=now, what=what)
    if made is not None and made <= now:
        raise UsageError(f"{what} {made.isoformat()} is not in the future", hint="Give a later time")
    return made


def body(**values: object) -> bytes:
    """A request's JSON body of the values that are given; decimals become text, times Unix seconds."""
    return msgspec.json.encode({name: _sent(value) for name, value in values.items() if value is not None})


def _sent(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return unix(value)
    if isinstance(value, dict):
        return {name: _sent(item) for name, item in value.items() if item is not None}
    return [_sent(item) for item in value] if isinstance(value, list | tuple) else value
