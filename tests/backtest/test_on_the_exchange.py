"""A lab that records a simulated exchange, and backtests over what it kept: books, trades, terms and fees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import kalshi_lab as kl
from kalshi_lab.lab import backtest as store_backtest
from kalshi_lab.sim import process
from tests.recorder.conftest import wait

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long
START = datetime(2026, 11, 2, 15, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SERIES = "KXHIGHNY"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kl.Lab]:
    """Four minutes of the books of a series are recorded; its markets, fees and trades are kept."""
    home: Path = tmp_path_factory.mktemp("home")
    with (
        process.start(markets=100, clock="frozen", start=START, history_days=1) as exchange,
        kl.Lab("sim", base_url=exchange.url, home=home) as lab,
    ):
        lab.sync("series", progress=False)
        lab.sync("events", series=SERIES, status="open", progress=False)
        lab.sync("markets", series=SERIES, status="open", progress=False)
        with lab.record(series=SERIES, channels="orderbook_delta") as recording:
            for _ in range(4):
                before = sum(recording.stats.frames.values())
                exchange.stir(400)
                wait(lambda: sum(recording.stats.frames.values()) > before + 20)  # noqa: B023
                exchange.stir(0)
                exchange.advance(60)
        exchange.advance(6 * 3600)
        lab.sync("trades", series=SERIES, progress=False)
        yield lab


def test_orders_walk_the_books_that_were_recorded(lab: kl.Lab) -> None:
    """TH-7: each order costs what `kl.slippage` says of `lab.book` at the moment it arrived, a quarter of a minute after the decision."""
    asked: list[tuple[str, datetime]] = []

    def sweeps(view: kl.View) -> list[Any]:
        fresh = [ticker for ticker in sorted(view.books) if ticker not in dict(asked)][:1]
        asked.extend((ticker, view.time) for ticker in fresh)
        return [view.buy(ticker, 300) for ticker in fresh]

    made = lab.backtest(
        sweeps, since=START + MINUTE, until=START + 4 * MINUTE, every="1m", latency="15s", series=SERIES
    )
    assert len(asked) == 3
    assert set(made.trades["filled_by"]) == {"book"}
    assert "100% by book" in made.basis.horizon
    fees = lab.sql("SELECT fee_type, fee_multiplier FROM series WHERE ticker = 'KXHIGHNY'").row(0)
    for ticker, time in asked:
        cost = kl.slippage(lab.book(ticker, time + MINUTE / 4), 300, fees=fees, at=time + MINUTE / 4)
        mine = made.trades.filter(ticker=ticker)
        assert -mine["cash"].sum() == pytest.approx(float(cost.total or 0), abs=1e-9)
        assert mine["count"].sum() == cost.filled
    assert (made.trades.group_by("ticker").len()["len"] > 1).any()


def test_what_waits_is_filled_by_the_trades_that_are_kept(lab: kl.Lab) -> None:
    """TH-7: a bid at the best price of every market; each fill has its trade, at the limit or through it, later than the order."""

    def joins(view: kl.View) -> list[Any]:
        return [view.buy(t, 20, limit=book.yes_bid, rests=True) for t, book in view.books.items() if book.yes_bid]

    made = lab.backtest(joins, since=START + MINUTE, until=START + 360 * MINUTE, every="6h", series=SERIES)
    assert made.rested["queue"].null_count() == 0
    filled = made.trades.filter(filled_by="tape")
    assert filled.height >= 1
    kept = lab.sql("SELECT ticker, created_time AS time, yes_price::DOUBLE AS at, count::DOUBLE AS printed FROM trades")
    both = filled.join(
        kept.group_by("ticker", "time").agg(pl.col("at").min(), pl.col("printed").sum()), on=["ticker", "time"]
    )
    assert both.height == filled.height
    assert both.select(((pl.col("at") <= pl.col("price")) & (pl.col("count") <= pl.col("printed"))).all()).item()


def test_without_kept_trades_the_result_says_that_nothing_could_fill(
    lab: kl.Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_backtest, "TRADES", store_backtest.TRADES + " AND false")
    made = lab.backtest(
        lambda view: [view.buy(t, 1, limit=0.5, rests=True) for t in view.books][:3],
        since=START + MINUTE, until=START + 360 * MINUTE, every="6h", series=SERIES,
    )  # fmt: skip
    resting = made.rested.height
    assert made.basis.excluded.get("resting orders in markets without trades (never filled)", 0) == resting
    assert made.trades.filter(filled_by="tape").is_empty()
