"""Several series on one regular grid of time: at most one value in a cell, and the changes between neighbouring cells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.analysis.engine import default_engine
from kalshi_lab.analysis.given import given
from kalshi_lab.analysis.science import science
from kalshi_lab.clock import span
from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from kalshi_lab.analysis.engine import Engine

# Reads `observations`: name, cell and since BIGINT, value DECIMAL(18,6). The last value of each cell stands for it; of two at one
# moment the greater one, so that the order of rows never matters.
REDUCTION = """
SELECT name, cell, value, n FROM (
    SELECT name, cell, value, COUNT(*) OVER (PARTITION BY name, cell) AS n,
           ROW_NUMBER() OVER (PARTITION BY name, cell ORDER BY since DESC, value DESC) AS place
    FROM observations
) AS ranked WHERE place = 1
"""
VALUE = pl.Decimal(18, 6)


@dataclass(frozen=True, slots=True)
class Grid:
    """Values by series and cell, NaN where a series has none; `merged` counts observations that shared a cell with a later one."""

    names: tuple[str, ...]
    values: Any
    every: timedelta
    merged: int
    empty: int

    def changes(self) -> Any:
        """The change from one cell to the next, NaN unless both have a value: an array of series x cells."""
        return self.values[:, 1:] - self.values[:, :-1]


def gridded(
    frame: pl.DataFrame, *, name: str, time: str, value: str, every: timedelta | str, engine: Engine | None = None
) -> Grid:
    """The series of a long frame on a regular grid of UTC time whose cells are `every` long.

    UsageError for a missing column, a time that is not Datetime, a value that is not a finite number, a null name or time (with their
    number). Null values are left out and counted in `empty`. Floats are rounded to 6 decimals.
    """
    step = int(span(every, what="every").total_seconds() * 1_000_000)
    if step <= 0:
        raise UsageError(f"every={every!r} is no step", hint='Write it like "1h"')
    frame = given(frame, name, time, value)
    rows = _checked(frame, name, time, value)
    known = rows.drop_nulls("value")
    observed = known.select(
        "name", (pl.col("since") // step).alias("cell"), "since", pl.col("value").round(6).cast(VALUE)
    )
    last = (engine or default_engine()).run(REDUCTION, observations=observed).sort("name", "cell")
    names = tuple(rows["name"].unique().sort().to_list())
    return _spread(last, names, timedelta(microseconds=step), rows.height - known.height)


def _checked(frame: pl.DataFrame, name: str, time: str, value: str) -> pl.DataFrame:
    if not isinstance(frame.schema[time], pl.Datetime):
        raise UsageError(f"column {time!r} of type {frame.schema[time]} is no time", hint="Use Datetime, in UTC")
    if not frame.schema[value].is_numeric() and frame.schema[value] != pl.Null:
        raise UsageError(f"column {value!r} of type {frame.schema[value]} holds no numbers")
    for column in (name, time):
        if nulls := frame[column].null_count():
            raise UsageError(f"column {column!r}: {nulls:,} row{'s hold' if nulls > 1 else ' holds'} null")
    rows = frame.select(
        pl.col(name).cast(pl.String).alias("name"),
        pl.col(time).dt.epoch("us").alias("since"),
        pl.col(value).cast(pl.Float64).alias("value"),
    )
    wrong = rows.filter(pl.col("value").is_not_null() & ~pl.col("value").is_finite()).height
    if wrong:
        raise UsageError(f"column {value!r}: {wrong:,} row{'s hold' if wrong > 1 else ' holds'} no finite number")
    return rows


def _spread(last: pl.DataFrame, names: tuple[str, ...], every: timedelta, empty: int) -> Grid:
    np = science("numpy")
    if last.is_empty():
        return Grid(names, np.full((len(names), 1), np.nan), every, 0, empty)
    first = int(last["cell"].min())  # type: ignore[arg-type]  # whole numbers
    width = int(last["cell"].max()) - first + 1  # type: ignore[arg-type]  # as above
    if len(names) * width > 50_000_000:  # noqa: PLR2004 - 400 MB of floats
        raise UsageError(f"{len(names):,} series x {width:,} steps are too many", hint="Take a longer step, or fewer")
    values = np.full((len(names), width), np.nan)
    row = last["name"].replace_strict({each: place for place, each in enumerate(names)}, return_dtype=pl.Int64)
    values[row.to_list(), (last["cell"] - first).to_list()] = last["value"].cast(pl.Float64).to_list()
    return Grid(names, values, every, int(last["n"].sum()) - last.height, empty)
