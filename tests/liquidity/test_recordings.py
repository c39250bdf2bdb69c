"""Recorded markets: the figures that were noted down about them, by the library's own functions."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl
import pytest

import kalshi_lab as kl
from kalshi_lab.models.quote import priced

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.recordings
EVENT = pl.col("ticker").str.extract(r"^(.*)-[^-]+$")


@pytest.fixture(scope="module")
def bulk(recordings: Path) -> Path:
    return recordings / "bulk"


@pytest.fixture(scope="module")
def tops(bulk: Path) -> pl.DataFrame:
    """Top of book in dollars and UTC: the recorder's clock showed Pacific time, and 0 is no bid."""
    cents = pl.read_parquet(bulk / "kxhighny_top_of_book.parquet")
    return cents.select(
        pl.col("market_ticker").cast(pl.String).alias("ticker"),
        pl.col("ts_local").dt.replace_time_zone("America/Los_Angeles").dt.convert_time_zone("UTC").alias("time"),
        (pl.col("best_yes_bid").cast(pl.Decimal(9, 2)) / 100).cast(pl.Decimal(9, 6)).alias("yes_bid"),
        (1 - pl.col("best_no_bid").cast(pl.Decimal(9, 2)) / 100).cast(pl.Decimal(9, 6)).alias("yes_ask"),
    )


def test_opening_spreads_near_a_dollar_are_common_and_mostly_no_quotes(bulk: Path) -> None:
    """LIQ-2, lesson 26: 451 sampled markets, spreads of 0.95 to 0.99 in 123; where a side is empty there is no spread to score."""
    census = pl.read_parquet(bulk / "census_liquidity_sample.parquet")
    half = pl.col("open_spread") / 2
    markets = census.with_columns(
        yes_bid=(pl.col("open_mid") - half).round(6), yes_ask=(pl.col("open_mid") + half).round(6)
    )
    assert census.height == 451
    assert markets.filter(pl.col("open_spread").is_between(0.95, 0.99)).height == 123
    sized = markets.with_columns(
        yes_bid_size=1.0, yes_ask_size=1.0, open_interest=None, volume_24h=pl.col("first_day_volume")
    )
    scale = kl.Scale.of(sized)
    real = markets.filter(priced())
    assert scale.n == real.height < 300
    wide = real.filter(pl.col("open_spread") >= 0.95).height
    assert wide < 60
    least = scale.score("spread", real["open_spread"].max())
    assert least == pytest.approx(50 * (real["open_spread"] == real["open_spread"].max()).mean(), abs=1)
    median = scale.score("volume_24h", 0)
    assert median == pytest.approx(50 * (census["first_day_volume"] == 0).mean(), abs=0.01)


def test_the_winner_of_each_event_can_be_sold_at_99_cents_at_the_end(bulk: Path, tops: pl.DataFrame) -> None:
    """LIQ-3: 718,044 rows, 17 events, 102 markets; what is bid at the end agrees with the outcomes of another source."""
    outcomes = dict(pl.read_parquet(bulk / "kxhighny_top_of_book_outcomes.parquet").rows())
    assert tops.height == 718_044
    assert len(outcomes) == 102
    assert tops.select(EVENT.n_unique()).item() == 17
    assert (tops["time"].min().date(), tops["time"].max().date()) == (date(2025, 12, 4), date(2025, 12, 24))
    last = tops.sort("time").group_by("ticker").last()
    one, sold = Decimal("1.00"), {}
    for ticker, _, bid, ask in last.iter_rows():
        book = kl.Orderbook(ticker, ((bid, one),) if bid else (), ((1 - ask, one),) if ask < 1 else ())
        sold[ticker] = kl.slippage(book, 1, action="sell").best
        assert (kl.liquidity(book).score is None) == (not book.yes_bids or not book.no_bids)
    assert {ticker for ticker, best in sold.items() if best == Decimal("0.99")} == {
        t for t, won in outcomes.items() if won
    }
    assert sum(outcomes.values()) == 17


def test_brackets_of_one_event_move_against_each_other(tops: pl.DataFrame) -> None:
    """COR-1: what one bracket gains its neighbours lose; hundreds of changes in a minute are one observation."""
    event = tops.filter(EVENT == "KXHIGHNY-25DEC05")
    quoted = event.with_columns(mid=pl.when(priced()).then((pl.col("yes_bid") + pl.col("yes_ask")) / 2))
    found = kl.correlation(quoted, every="10m")
    assert found.basis.excluded["rows before the last of their step"] > 10_000
    assert found.flagged.height >= 1
    assert found.flagged["pearson"][0] < 0
    history = kl.timeline(event.filter(pl.col("ticker") == "KXHIGHNY-25DEC05-B32.5"), ticker="KXHIGHNY-25DEC05-B32.5")
    assert history.frame()["time"].is_sorted()
    assert history.plot().png()[:4] == b"\x89PNG"


def test_hours_of_recorded_candlesticks(bulk: Path) -> None:
    """LIQ-5: 15,512 hourly bars of 408 markets; all are counted, those without both sides apart."""
    bars = pl.read_parquet(bulk / "kxhighny_candles_1h.parquet").with_columns(
        pl.col("end_time").dt.replace_time_zone("UTC")
    )
    found = kl.timing(bars)
    assert bars["ticker"].n_unique() == 408
    assert found.basis.n + sum(found.basis.excluded.values()) == bars.height == 15_512
    night, day = (
        found.frame().filter(pl.col("hour").is_in(hours))["spread"].mean() for hours in ((3, 4, 5), (12, 13, 14))
    )
    assert day < night


def test_a_games_price_moves_with_the_games_own_odds(bulk: Path) -> None:
    """COR-1: 10,355 minutes of 66 games; prices and the win expectancy of the score move together, and prices not later."""
    minutes = pl.read_parquet(bulk / "kxmlbgame_minutes.parquet")
    assert (minutes.height, minutes["game_pk"].n_unique()) == (10_355, 66)
    game = minutes.filter(pl.col("game_pk") == minutes["game_pk"].mode().sort()[0])
    long = pl.concat(
        game.select(pl.lit(name).alias("ticker"), pl.col("period_end_time").alias("time"), pl.col(name).alias("mid"))
        for name in ("kalshi_price", "home_win_exp")
    )
    found = kl.lead_lag(long, every="1m", lags=5)
    assert found.frame()["flagged"].to_list() == [True]
    assert found.frame()["r"][0] > 0.2
    print(repr(found))
