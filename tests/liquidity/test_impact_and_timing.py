"""Impact fitted from trades, and hours of the day: planted numbers are found, and where there is nothing they say so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

import kalshi_lab as kl
from kalshi_lab.errors import UsageError
from tests.liquidity.draws import START, OneConnection, no_more_than, not_rejected, trades

seeds = pytest.mark.parametrize(
    "seeds", [range(12), pytest.param(range(400), marks=pytest.mark.truth)], ids=["few", "all"]
)
PLANTED, ENGINE = 0.0005, OneConnection()


@seeds
def test_a_planted_impact_is_covered(seeds: range) -> None:
    """LIQ-5: coverage of the coefficient and the half spread, and the mean width of their intervals."""
    found = [kl.impact(trades(seed, PLANTED), engine=ENGINE) for seed in seeds]
    for what, truth in (("coefficient", PLANTED), ("half_spread", 0.01)):
        between = [getattr(one, f"{what}_interval") for one in found]
        hits, width = (
            sum(low <= truth <= high for low, high in between),
            sum(high - low for low, high in between) / len(between),
        )
        print(what, hits, "of", len(between), "mean width", f"{width:.2g}")
        assert not_rejected(hits, len(between), 0.95)


@seeds
def test_no_impact_is_made_up(seeds: range) -> None:
    """LIQ-5: without impact the data support none, but for the 2.5% of intervals that lie above zero."""
    supported = sum(kl.impact(trades(seed, 0.0), engine=ENGINE).supported for seed in seeds)
    print("made up", supported, "of", len(seeds))
    assert no_more_than(supported, len(seeds), 0.025)


def test_an_unsupported_law_predicts_nothing() -> None:
    """LIQ-5: the predecessor's constant was never checked; unknown is None."""
    made = kl.impact(trades(1, 0.0))
    assert made.expected(100) is None
    assert made.power is None
    assert "do not support" in made.conclusion
    law = kl.impact(trades(1, PLANTED))
    assert law.expected(100) == pytest.approx(law.half_spread + 10 * law.coefficient)
    assert law.power[0] <= 0.5 <= law.power[1]
    few = kl.impact(trades(1, PLANTED, orders=20))
    assert (few.coefficient, few.expected(1), few.supported) == (None, None, False)
    assert "too few" in repr(few)


def test_trades_of_one_order_are_one_and_the_rest_is_counted() -> None:
    """LIQ-5: makers met at one instant are one order; block trades and unknown takers are left out."""
    rows = trades(2, PLANTED).with_columns(is_block_trade=False)
    split = pl.concat([rows.with_columns(pl.col("count") / 2), rows.with_columns(pl.col("count") / 2)])
    odd = rows.head(3).with_columns(created_time=pl.col("created_time") + timedelta(milliseconds=1))
    mixed = pl.concat(
        [split, odd.with_columns(is_block_trade=True), odd.with_columns(taker_outcome_side=pl.lit(None, pl.String))]
    )
    found = kl.impact(mixed)
    assert found.basis.n == rows.height - 1
    assert found.basis.excluded["block trades"] == found.basis.excluded["trades without a side"] == 3
    assert found.coefficient == pytest.approx(kl.impact(rows).coefficient, rel=0.01)


@pytest.mark.parametrize(
    ("column", "said"), [(pl.lit(1.2).alias("yes_price"), "yes_price"), (pl.lit(None, pl.Float64).alias("yes_price"), "yes_price"),
                         (pl.lit("maybe").alias("taker_outcome_side"), "taker_outcome_side"), (pl.lit(-1.0).alias("count"), "count")]
)  # fmt: skip
def test_bad_trades_are_refused(column: pl.Expr, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        kl.impact(trades(1, 0.0).with_columns(column))
    with pytest.raises(UsageError, match="yes_price"):
        kl.impact(trades(1, 0.0).drop("yes_price"))


def bars(days: int, *, wide: dict[int, float] | None = None, first: datetime = START, seed: int = 0) -> pl.DataFrame:
    """Hourly candlesticks of two markets; `wide` adds to the spread of hours in UTC."""
    draw, rows = np.random.default_rng(seed), []
    for hour in range(days * 24):
        for ticker in ("A", "B"):
            begins = first + timedelta(hours=hour)
            spread = 0.02 + (wide or {}).get(begins.hour, 0.0) + 0.01 * draw.random()
            rows.append((ticker, begins + timedelta(hours=1), 0.4, round(0.4 + spread, 4), 10.0 * (begins.hour + 1)))
    return pl.DataFrame(rows, schema=["ticker", "end_time", "yes_bid_close", "yes_ask_close", "volume"], orient="row")


def test_a_wide_hour_is_found_in_the_clock_that_was_named() -> None:
    """LIQ-5: hours come from data, in a named clock that follows summer time, never from constants."""
    found = kl.timing(bars(30, wide={15: 0.05}), clock="America/New_York")
    told = found.frame().filter((pl.col("p_adjusted") <= 0.05) & (pl.col("against_day") > 0))
    assert told["hour"].to_list() == [10]
    assert "America/New_York" in repr(found)
    summer = kl.timing(bars(30, wide={15: 0.05}, first=datetime(2026, 7, 1, tzinfo=UTC)))
    assert summer.frame().sort("spread", descending=True)["hour"][0] == 11
    utc = kl.timing(bars(30, wide={15: 0.05}), clock="UTC").frame().row(15, named=True)
    assert utc["low"] < 0.075 < utc["high"]
    assert utc["volume"] == 320


@pytest.mark.long
def test_no_hour_is_told_apart_more_often_than_alpha() -> None:
    """LIQ-5: equal hours stay equal, all 24 at once."""
    off = sum((kl.timing(bars(12, seed=seed), clock="UTC").frame()["p_adjusted"] <= 0.05).any() for seed in range(40))
    assert no_more_than(off, 40, 0.05)


def test_hours_without_real_quotes_are_unknown() -> None:
    """Lesson 26: an empty side is no spread of 99 cents."""
    empty = bars(8).with_columns(yes_bid_close=0.0, yes_ask_close=1.0)
    found = kl.timing(empty)
    assert found.frame()["spread"].null_count() == 24
    assert found.basis.excluded["market-hours without a real quote"] == 8 * 48
    assert found.conclusion == "no hour with a real quote"
    assert kl.timing(empty.clear()).frame().is_empty()
    with pytest.raises(UsageError, match="unknown clock"):
        kl.timing(empty, clock="New York")
    with pytest.raises(UsageError, match="yes_bid_close"):
        kl.timing(empty.drop("yes_bid_close"))
