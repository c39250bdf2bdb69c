"""Sums of floats whose last digit is the same each time, however many threads added them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from kalshi_lab.analysis import ratio

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS, TIMES = 1_500_000, 4  # Polars shares out no fewer than about a million
ASKED: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "sums": lambda rows: ratio.sums(rows, ["band"], "weight", "w", paid=(pl.col("weight") * pl.col("price")).sum()),
    "means": lambda rows: ratio.means(rows, ["band"], ["gap", "price"], 0.95),
    "slope": lambda rows: pl.DataFrame([ratio.slope(rows, 0.95)], schema=["a", "b", "low", "high"], orient="row"),
}


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    """Few keys and clusters of many rows each, which is where threads share a sum."""
    chance = np.random.default_rng(7)
    names = ("price", "gap", "w", "wx", "wxx", "wy", "wxy", "v", "vx")
    made = pl.DataFrame(
        {name: chance.uniform(0.01, 0.99, ROWS) for name in names} | {"weight": chance.uniform(1, 9, ROWS)}
    )
    whole = {name: chance.integers(0, top, ROWS) for name, top in (("band", 4), ("cluster", 12))}
    return made.with_columns(
        **{name: pl.Series(each) for name, each in whole.items()}, n=pl.lit(1, pl.Int64), wxx=pl.col("wxx") + 1
    )  # fmt: skip


@pytest.mark.parametrize("name", ASKED)
def test_the_same_rows_give_the_same_digits(rows: pl.DataFrame, name: str) -> None:
    """DB-9: engines can be held to the last digit because the finish has one."""
    first = ASKED[name](rows)
    assert first.height
    for _ in range(TIMES):
        assert ASKED[name](rows).equals(first)


def test_sums_are_those_of_the_rows(rows: pl.DataFrame) -> None:
    """Keys in the order in which they come, every column and what is named, nothing else."""
    made = ratio.sums(rows.head(1000), ["band", "cluster"], "n", "weight", most=pl.col("weight").max())
    assert made.columns == ["band", "cluster", "n", "weight", "most"]
    assert made["n"].sum() == 1000
    assert made["weight"].sum() == pytest.approx(rows["weight"].head(1000).sum())
    assert made.row(0)[:2] == (rows["band"][0], rows["cluster"][0])
