"""Frames that users give: of Polars, of pandas, or what one can be made of, with the columns that a question needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.errors import UsageError, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def given(frame: Any, *needed: str) -> pl.DataFrame:
    """The frame as one of Polars, missing values null; UsageError for what is no frame or lacks a column."""
    made = frame.collect() if isinstance(frame, pl.LazyFrame) else frame
    if hasattr(made, "isna") and hasattr(made, "columns"):
        made = _from_pandas(made, needed)
    elif not isinstance(made, pl.DataFrame):
        try:
            made = pl.DataFrame(made)
        except (TypeError, ValueError, pl.exceptions.PolarsError):
            said = f"{type(frame).__name__} is no frame"
            raise UsageError(said, hint="Give a frame of Polars or pandas, or a dictionary of columns") from None
    for name in needed:
        if name not in made.columns:
            raise unknown("column", name, made.columns)
    return made


def framed(frame: Any, roles: Mapping[str, str | None]) -> pl.DataFrame:
    """The named columns of a frame under the names of their roles, those with a name; UsageError as `given`."""
    named = {role: name for role, name in roles.items() if name is not None}
    return given(frame, *named.values()).select(pl.col(name).alias(role) for role, name in named.items())


def _from_pandas(frame: Any, needed: Sequence[str]) -> pl.DataFrame:
    """Every kind of missing as null, without the pyarrow that Polars would ask for; columns of mixed types only where nobody needs them."""
    made = {}
    for name in frame.columns:
        values = list(frame[name].astype(object).where(frame[name].notna(), None))
        try:
            made[str(name)] = pl.Series(str(name), values)
        except (TypeError, ValueError, pl.exceptions.PolarsError):
            if str(name) in needed:
                raise UsageError(f"column {name!r} holds values of several types") from None
    return pl.DataFrame(made)
