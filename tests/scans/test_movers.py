"""Who moved, and a market's figures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

import kalshi_lab as kl

START = datetime(2026, 11, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)


def quotes(**pairs: tuple[float | None, float | None]) -> pl.DataFrame:
    rows = [(ticker, bid, ask, 100.0 * (place + 1)) for place, (ticker, (bid, ask)) in enumerate(pairs.items())]
    return pl.DataFrame(
        rows,
        schema={"ticker": pl.String, "yes_bid": pl.Float64, "yes_ask": pl.Float64, "volume": pl.Float64},
        orient="row",
    )


def test_only_real_quotes_move() -> None:
    """SCN-9, SCN-11: a placeholder at either end is no price; what is left out is counted; the largest move first."""
    then = quotes(A=(0.40, 0.42), B=(0.10, 0.12), C=(0.0, 1.0), D=(0.5, 0.52), E=(0.3, 0.32))
    now = quotes(A=(0.50, 0.52), B=(0.09, 0.11), C=(0.6, 0.62), D=(0.0, 0.99), F=(0.2, 0.22), E=(0.1, 0.12))
    made = kl.movers(then, now, over="a day")
    table = made.frame().select("ticker", "mid_then", "mid", "change", "volume")
    assert table.rows() == [("E", 0.31, 0.11, -0.2, 100.0), ("A", 0.41, 0.51, 0.1, 0.0)]
    assert made.basis.excluded == {
        "without a quote then": 1, "without a real quote then": 1, "without a real quote now": 1, "moved by 1c or less": 1
    }  # fmt: skip
    assert made.basis.horizon == "a day"
    assert "1 up, 1 down; most E: 31c to 11c" in repr(made)


def test_a_cent_is_not_more_than_a_cent() -> None:
    """SCN-9: floats do not decide: of all prices, a move of exactly the bound is none, and a tenth of a cent more is one."""
    cents = range(2, 96)
    then = quotes(**{f"T{c}": (c / 100, (c + 1) / 100) for c in cents})
    assert kl.movers(then, quotes(**{f"T{c}": ((c + 1) / 100, (c + 2) / 100) for c in cents})).frame().is_empty()
    further = quotes(**{f"T{c}": ((c + 1) / 100 + 0.001, (c + 2) / 100 + 0.001) for c in cents})
    assert kl.movers(then, further, top=None).frame().height == len(cents)


def test_looks_that_make_no_sense_are_refused() -> None:
    """SCN-9: cents for dollars, and two rows of one market; what is no number is no quote."""
    plain = quotes(A=(0.2, 0.22))
    with pytest.raises(kl.UsageError, match="'yes_bid': 1 rows hold no price"):
        kl.movers(plain, quotes(A=(20.0, 22.0)))
    with pytest.raises(kl.UsageError, match="repeat a market"):
        kl.movers(pl.concat([plain, plain]), plain)
    assert kl.movers(plain, quotes(A=(float("nan"), 0.5))).basis.excluded["without a real quote now"] == 1


def path(*rows: tuple[float, float | None, float | None, float]) -> pl.DataFrame:
    made = [(START + hour * HOUR, bid, ask, volume) for hour, bid, ask, volume in rows]
    schema: dict[str, Any] = {
        "time": pl.Datetime("us", "UTC"),
        "yes_bid": pl.Float64,
        "yes_ask": pl.Float64,
        "volume": pl.Float64,
    }
    return pl.DataFrame(made, schema=schema, orient="row")


def test_a_quote_counts_as_long_as_it_stood() -> None:
    """MET-1: by hand: 1 hour at 2 cents, 3 hours at 6, 2 hours of nothing, 2 hours at 4; what stood before the window counts."""
    made = kl.metrics(path((-5, 0.10, 0.12, 10), (3, 0.11, 0.17, 20), (6, 0.0, 1.0, 20), (8, 0.2, 0.24, 70), (10, 0.3, 0.32, 75)), "A",
                      start=START + 2 * HOUR, end=START + 10 * HOUR)  # fmt: skip
    row = made.frame().row(0, named=True)
    assert row["mean_spread"] == pytest.approx((1 * 0.02 + 3 * 0.06 + 2 * 0.04) / 6)
    assert (row["median_spread"], row["max_spread"]) == (pytest.approx(0.04), pytest.approx(0.06))
    assert (row["low"], row["high"], row["change"]) == (pytest.approx(0.11), pytest.approx(0.31), pytest.approx(0.2))
    assert row["volatility"] == pytest.approx(((0.03**2 + 0.08**2 + 0.09**2) / 6) ** 0.5)
    assert (row["volume"], row["quoted"], row["quotes"]) == (65.0, 0.75, 4)
    assert (row["bid"], row["ask"]) == (0.3, 0.32)
    assert made.basis.excluded == {"that were no real quote": 1}


def test_what_is_not_known_is_null() -> None:
    """Lesson 26: without a real quote there is no spread, no mid and no volatility, not a zero."""
    row = kl.metrics(path((1, 0.0, 1.0, 5)), "A", start=START, end=START + 2 * HOUR).frame().row(0, named=True)
    assert {name for name, value in row.items() if value is not None} == {"ticker", "quotes", "quoted"}
    with pytest.raises(kl.UsageError, match="is empty"):
        kl.metrics(path((1, 0.1, 0.2, 5)), "A", start=START, end=START)
    with pytest.raises(kl.UsageError, match="unknown column 'time'"):
        kl.metrics(path().drop("time"), "A", start=START, end=START + HOUR)
