"""The user's frame as exact forecasts: checked columns, decimal prices and weights, outcomes as 1 and 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.analysis.given import framed
from kalshi_lab.errors import UsageError
from kalshi_lab.money import DOLLARS_PATTERN

if TYPE_CHECKING:
    from collections.abc import Sequence

PRICE, WEIGHT = pl.Decimal(9, 6), pl.Decimal(18, 6)
SCALE = 6
HEAVIEST = 999_999_999_999
_WIDE = pl.Decimal(38, SCALE)
_KEYS = (
    pl.Boolean,
    pl.String,
    pl.Categorical,
    pl.Enum,
    pl.Date,
    pl.Datetime,
    pl.Time,
    pl.Duration,
    pl.Decimal,
    pl.Null,
)


def prepared(
    frame: Any,
    *,
    price: str,
    outcome: str,
    by: Sequence[str] = (),
    cluster: str | None = None,
    weight: str | None = None,
) -> pl.DataFrame:
    """The forecasts of a frame under fixed names, nulls kept.

    Columns: `price` Decimal(9,6), `won` Int8 (1, 0 or null), `cluster` String (null where none is asked for), `weight`
    Decimal(18,6) (1 where none is asked for), then `by_0`, `by_1`, ... Raises UsageError for a missing column and for
    values that are no price, no outcome or no weight, with their number.
    """
    named = {"price": price, "outcome": outcome, "cluster": cluster, "weight": weight}
    named |= {f"by_{place}": name for place, name in enumerate(by)}
    chosen = framed(frame, named)
    ready = {
        "price": _prices(chosen["price"], price),
        "won": _outcomes(chosen["outcome"], outcome),
        "cluster": chosen["cluster"].cast(pl.String)
        if cluster
        else pl.repeat(None, len(chosen), dtype=pl.String, eager=True),
        "weight": _weights(chosen["weight"], weight) if weight else pl.repeat(1, len(chosen), dtype=WEIGHT, eager=True),
    }
    keys = {f"by_{place}": _key(chosen[f"by_{place}"], name) for place, name in enumerate(by)}
    return pl.DataFrame(ready | keys)


def _prices(column: pl.Series, name: str) -> pl.Series:
    hint = "A price is dollars from 0 to 1 with at most 6 decimals; divide cents by 100"
    return _decimals(column, PRICE, highest=1, name=name, what="price in [0, 1]", hint=hint)


def _weights(column: pl.Series, name: str) -> pl.Series:
    hint = "A weight is a finite number of 0 or more with at most 6 decimals"
    return _decimals(column, WEIGHT, highest=HEAVIEST, name=name, what="weight", hint=hint)


def _decimals(column: pl.Series, dtype: pl.Decimal, *, highest: int, name: str, what: str, hint: str) -> pl.Series:
    """The column as exact decimals of [0, highest]; floats are rounded to 6 decimals, half to even."""
    kind, value = column.dtype, pl.col("value")
    if kind == pl.String:
        value = pl.when(value.str.contains(DOLLARS_PATTERN)).then(value).cast(_WIDE, strict=False)
    elif kind.is_float():
        value = value.round(SCALE, mode="half_to_even")
    elif kind.is_decimal():
        value = pl.when(value == value.round(SCALE)).then(value)
    elif not kind.is_integer() and kind != pl.Null:
        raise _wrong(column, column.is_not_null(), name, what, hint)
    inside = pl.when(pl.col("value").is_between(0, highest)).then(pl.col("value"))
    exact = column.to_frame("value").select(value).select(inside.cast(dtype)).to_series()
    return _all_read(column, exact, name, what, hint)


def _outcomes(column: pl.Series, name: str) -> pl.Series:
    kind, value = column.dtype, pl.col("value")
    yes, no = (value == "yes", value == "no") if kind == pl.String else (value == 1, value == 0)
    hint = 'An outcome is True or False, 1 or 0, "yes" or "no", or null where there is none'
    if kind == pl.Boolean:
        return column.cast(pl.Int8)
    if kind == pl.Null:
        return column.cast(pl.Int8)
    if not kind.is_numeric() and kind != pl.String:
        raise _wrong(column, column.is_not_null(), name, "outcome", hint)
    won = column.to_frame("value").select(pl.when(yes).then(1).when(no).then(0).cast(pl.Int8)).to_series()
    return _all_read(column, won, name, "outcome", hint)


def _all_read(column: pl.Series, read: pl.Series, name: str, what: str, hint: str) -> pl.Series:
    bad = column.is_not_null() & read.is_null()
    if bad.any():
        raise _wrong(column, bad, name, what, hint)
    return read


def _wrong(column: pl.Series, bad: pl.Series, name: str, what: str, hint: str) -> UsageError:
    count = int(bad.sum())
    rows = "1 row holds" if count == 1 else f"{count:,} rows hold"
    first = f", the first of them {column.filter(bad)[0]!r}" if count else ""
    return UsageError(f"column {name!r}: {rows} no {what}{first}", hint=hint)


def _key(column: pl.Series, name: str) -> pl.Series:
    """A column to group by: exact values only, since a float is no key that every engine groups alike."""
    if not column.dtype.is_integer() and not isinstance(column.dtype, _KEYS):
        hint = "Group by text, whole numbers, decimals, dates, times or flags"
        raise UsageError(f"column {name!r} of type {column.dtype} is nothing to group by", hint=hint)
    return column.cast(pl.String) if isinstance(column.dtype, (pl.Categorical, pl.Enum, pl.Null)) else column
