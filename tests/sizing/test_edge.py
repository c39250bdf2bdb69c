"""What is worth more than it costs."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kalshi_lab as kl


def markets(*rows: tuple[float | None, float | None, float | None]) -> pl.DataFrame:
    schema = {"probability": pl.Float64, "yes_bid": pl.Float64, "yes_ask": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(ticker=pl.format("M{}", pl.int_range(pl.len())))


def test_the_executable_side_net_of_fees() -> None:
    """EDGE-1: YES at the ask or NO at 1 - bid, less 0.07 P (1 - P); by hand."""
    row, other = kl.edge(markets((0.60, 0.48, 0.50), (0.30, 0.48, 0.50))).frame().to_dicts()
    assert (row["ticker"], row["side"], row["price"]) == ("M1", "no", 0.52)
    assert row["fee"] == pytest.approx(0.07 * 0.52 * 0.48)
    assert row["ev"] == pytest.approx(0.70 - 0.52 - 0.07 * 0.52 * 0.48)
    assert (other["side"], other["ev"]) == ("yes", pytest.approx(0.60 - 0.50 - 0.07 * 0.25))
    assert (other["market"], other["confidence"]) == (0.49, pytest.approx(0.55))


def test_a_fee_makes_a_marginal_edge_vanish() -> None:
    """EDGE-1: a cent of edge at even odds costs 1.75 cents in fees; where there are none it is an edge."""
    assert kl.edge(markets((0.51, 0.48, 0.50))).frame().is_empty()
    assert kl.edge(markets((0.51, 0.48, 0.50)), fees=("quadratic", 0)).frame().height == 1
    half = kl.edge(markets((0.52, 0.48, 0.50)), fees={"M0": kl.FeeSchedule.of(("quadratic", "0.5"))})
    assert half.frame()["ev"].to_list() == [pytest.approx(0.02 - 0.035 * 0.25)]


@given(st.integers(1, 97), st.integers(1, 50), st.floats(0, 1))
def test_a_quote_is_never_worth_buying_on_both_sides(bid: int, spread: int, chance: float) -> None:
    """EDGE-1: one side at most, and its value is what the exact fee says, to the cent's last fraction."""
    ask = min(bid + spread, 99)
    if ask <= bid:
        return
    found = kl.edge(markets((chance, bid / 100, ask / 100))).frame()
    assert found.height <= 1
    for row in found.iter_rows(named=True):
        many = kl.fee(Decimal(str(row["price"])), 100_000, ("quadratic", 1))
        assert row["fee"] == pytest.approx(float(many) / 100_000, abs=1e-8)
        assert row["ev"] > 0


def test_zero_is_a_probability_and_null_is_none() -> None:
    """Lessons 24 and 26: 0.0 and 1.0 are believed; a market without a probability or a quote is counted, not taken for 0."""
    made = kl.edge(
        markets((0.0, 0.48, 0.50), (1.0, 0.48, 0.50), (None, 0.48, 0.50), (0.9, 0.0, 0.50), (0.9, None, 0.5))
    )
    assert made.frame().select("ticker", "side", "probability").rows() == [("M1", "yes", 1.0), ("M0", "no", 1.0)]
    assert made.basis.excluded == {"without your probability": 1, "without a real quote": 2, "not worth their cost": 0}
    assert "2 without a real quote" in repr(made)


def test_bad_frames_are_refused() -> None:
    with pytest.raises(kl.UsageError, match="unknown column 'probability'"):
        kl.edge(markets().drop("probability"))
    with pytest.raises(kl.UsageError, match="'probability': 1 rows"):
        kl.edge(markets((60.0, 0.48, 0.5)))
    with pytest.raises(kl.UsageError, match="'yes_ask': 1 rows"):
        kl.edge(markets((0.6, 0.48, 50.0)))
    with pytest.raises(kl.UsageError, match="1 markets have no fee schedule, the first M0"):
        kl.edge(markets((0.6, 0.48, 0.5)), fees={})
    with pytest.raises(kl.UsageError, match="'ticker': 1 rows repeat"):
        kl.edge(pl.concat([markets((0.6, 0.48, 0.5))] * 2))
    assert kl.edge(markets((0.6, float("nan"), 0.5))).basis.excluded["without a real quote"] == 1


def test_what_prices_have_meant_is_an_estimate() -> None:
    """EDGE-1: where 20c has paid 30% of the time, YES at 21c is worth it, by a recalibration learned from other events."""
    past = pl.DataFrame(
        {"price": [0.2] * 40 + [0.8] * 40, "outcome": ([1, 1, 1] + [0] * 7) * 4 + ([1] * 8 + [0] * 2) * 4}
    ).with_columns(event_ticker=pl.format("E{}", pl.int_range(pl.len()) // 10))
    quoted = markets((None, 0.19, 0.21), (None, 0.79, 0.81), (None, 0.0, 1.0)).drop("probability")
    made = kl.edge(quoted, by=kl.recalibrate(past, folds=4))
    row = made.frame().row(0, named=True)
    assert (made.frame().height, row["ticker"], row["type"], row["side"]) == (1, "M0", "calibration", "yes")
    assert row["ev"] == pytest.approx(0.30 - 0.21 - 0.07 * 0.21 * 0.79)
    assert dict(made.basis.excluded)["without a price to mend"] == 1
    assert made.considered["ticker"].sort().to_list() == ["M0", "M1"]


def test_a_rung_out_of_line_is_found_by_its_ladder() -> None:
    """EDGE-1: a threshold that costs less than a higher one; each is judged by the rising distribution closest to all."""
    rungs = markets((None, 0.69, 0.71), (None, 0.29, 0.31), (None, 0.49, 0.51), (None, 0.0, 1.0)).with_columns(
        strike_type=pl.lit("greater"), floor_strike=pl.Series([1.0, 2.0, 3.0, None]), cap_strike=pl.lit(None, pl.Float64),
        event_ticker=pl.lit("E"),
    )  # fmt: skip
    made = kl.edge(rungs, by="ladder")
    found = {row["ticker"]: row for row in made.frame().iter_rows(named=True)}
    assert {name: (row["side"], row["type"]) for name, row in found.items()} == {
        "M1": ("yes", "ladder"),
        "M2": ("no", "ladder"),
    }
    assert found["M1"]["probability"] == pytest.approx(0.40)
    assert dict(made.basis.excluded)["that are no rung of a ladder with others"] == 1
    assert kl.edge(rungs.head(1), by="ladder").frame().is_empty()
    with pytest.raises(kl.UsageError, match="by"):
        kl.edge(rungs, by="magic")  # type: ignore[arg-type]
    with pytest.raises(kl.UsageError, match="floor_strike"):
        kl.edge(rungs.drop("floor_strike"), by="ladder")
