"""Recorded results of fifteen-minute markets: what can be said of them without a price."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

import kalshi_lab as kl

pytestmark = pytest.mark.recordings
YES, ALL = 1248, 2489


@pytest.fixture(scope="module")
def results() -> pl.DataFrame:
    folder = os.environ.get("KALSHI_LAB_RECORDINGS")
    if not folder:
        pytest.skip("KALSHI_LAB_RECORDINGS is not set")
    rows = pl.read_parquet(Path(folder) / "bulk" / "btc15m_results.parquet")
    return rows.with_columns(pl.col("close_time").str.to_datetime(time_unit="us", time_zone="UTC"))


def test_their_description_holds(results: pl.DataFrame) -> None:
    """2,489 markets, 1,248 at yes, from 14 March to 10 May 2026, each once, each ending on a quarter of an hour."""
    assert (results.height, (results["result"] == "yes").sum()) == (ALL, YES)
    assert results["ticker"].n_unique() == ALL
    assert set(results["result"].unique()) == {"yes", "no"}
    assert (str(results["close_time"].min().date()), str(results["close_time"].max().date())) == (
        "2026-03-14",
        "2026-05-10",
    )
    assert (results["close_time"].dt.minute() % 15 == 0).all()
    assert (results["close_time"].dt.second() == 0).all()


def test_the_ticker_says_when_it_closes_in_the_exchange_s_own_zone(results: pl.DataFrame) -> None:
    """Lesson 41: the digits of a ticker are New York's time, summer time included."""
    said = results["ticker"].str.extract(r"^KXBTC15M-(\d{2}[A-Z]{3}\d{6})-\d{2}$").str.to_titlecase()
    local = said.str.to_datetime("%y%b%d%H%M").dt.replace_time_zone("America/New_York")
    assert (local.dt.convert_time_zone("UTC") == results["close_time"]).all()


def test_up_and_down_are_a_coin(results: pl.DataFrame) -> None:
    """CAL-1: at even odds they are calibrated, the base rate's interval holds one half, and no forecast of it has skill."""
    made = kl.calibration(
        results.with_columns(price=pl.lit(0.5), outcome=pl.col("result") == "yes"), cluster="ticker", bins=2
    )
    row = made.bins.row(0, named=True)
    assert (made.n, round(made.base_rate, 4), made.brier) == (ALL, 0.5014, 0.25)
    assert row["low"] < 0.5 < row["high"]
    assert row["high"] - row["low"] == pytest.approx(2 * 1.96 * 0.5 / ALL**0.5, rel=0.01)
    assert made.skill == pytest.approx(0, abs=1e-4)
