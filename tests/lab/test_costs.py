"""The lab's answers on liquidity, costs and co-movement are those of the functions over the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

import kalshi_lab as kl
from kalshi_lab.errors import OrderRejected, UsageError
from kalshi_lab.models.quote import priced
from kalshi_lab.sim import start

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kl.Lab]:
    """A world in which the cities' temperatures move together, with two cities' history of some days in the store."""
    with (
        start(markets=300, clock="frozen", correlation=0.9, history_days=4) as exchange,
        kl.Lab("sim", base_url=exchange.url, home=tmp_path_factory.mktemp("costs")) as made,
    ):
        made.snapshot(series="KXHIGHNY", progress=False)
        for series in ("KXHIGHNY", "KXHIGHCHI"):
            made.sync("markets", series=series, status="settled", progress=False)
            made.sync("candlesticks", series=series, status="settled", progress=False)
        made.sync("trades", since="2d", progress=False)
        yield made


def test_liquidity_and_slippage_are_those_of_the_live_book(lab: kl.Lab) -> None:
    """LIQ-1 to LIQ-4: the whole book, the market's own volume, the series' own fees."""
    markets = lab.markets(series="KXHIGHNY")
    ticker = markets.sort((pl.col("yes_bid") - 0.5).abs(), "ticker")["ticker"][0]
    book, market, series = lab.orderbook(ticker), lab.market(ticker), lab.one_series("KXHIGHNY")
    found = lab.liquidity(ticker)
    assert found.frame().equals(
        kl.liquidity(book, volume_24h=market.volume_24h, open_interest=market.open_interest).frame()
    )
    cost = lab.slippage(ticker, 20)
    assert cost.frame().equals(kl.slippage(book, 20, fees=series).frame())
    assert lab.safe_size(ticker).filled == kl.safe_size(book, fees=series).filled
    with pytest.raises(OrderRejected):
        lab.slippage(ticker, 10_000_000, limit="0.01")
    scale = lab.liquidity_scale()
    assert scale.n == lab.table("markets").filter((pl.col("status") == "active") & priced()).height > 5
    assert "percentiles" in lab.liquidity(ticker, scale=scale).basis.weighting


def test_hours_and_impact_are_those_of_the_stored_rows(lab: kl.Lab) -> None:
    """LIQ-5: the store's own spreads, volumes and trades."""
    bars = lab.table("candlesticks")
    assert lab.timing().frame().equals(kl.timing(bars).frame())
    one = kl.timing(bars.filter(pl.col("ticker").str.starts_with("KXHIGHCHI-")), clock="UTC")
    assert lab.timing(series="KXHIGHCHI", clock="UTC").frame().equals(one.frame())
    trades = lab.table("trades")
    tickers = trades["ticker"].value_counts(sort=True)["ticker"].head(20).to_list()
    assert lab.impact(tickers).frame().equals(kl.impact(trades.filter(pl.col("ticker").is_in(tickers))).frame())


def test_planted_co_movement_is_seen_in_market_prices(lab: kl.Lab) -> None:
    """COR-1: two cities whose hidden values move together; each hour's close counts in its own hour."""
    days = lab.table("results").filter(pl.col("ticker").str.starts_with("KXHIGHNY-"))["event_ticker"].unique().sort()
    day = days[-1].partition("-")[2]
    tickers = lab.table("candlesticks")["ticker"].unique().sort().to_list()
    both = [ticker for ticker in tickers if day in ticker]
    found = lab.correlation(both, min_n=20)
    assert found.basis.n == 66
    assert found.flagged.height > 0
    assert lab.correlation(series="KXHIGHNY", every="2h", min_n=8).names == tuple(
        sorted(t for t in tickers if t.startswith("KXHIGHNY-"))
    )
    assert set(lab.lead_lag(both, lags=2, min_n=20).curves["lag"]) == {-2, -1, 0, 1, 2}
    for wrong in ({}, {"tickers": both, "series": "KXHIGHNY"}, {"series": "KXHIGHNY", "every": "90s"}):
        with pytest.raises(UsageError):
            lab.correlation(**wrong)


def test_a_timeline_has_the_settlement_and_the_thesis(lab: kl.Lab) -> None:
    """VIS-1: what the store knows of one market."""
    ticker = lab.table("results").filter(pl.col("result") == "yes").sort("close_time")["ticker"][-1]
    found = lab.timeline(ticker)
    assert [kind for _, kind, _ in found.marks] == ["settlement"]
    assert found.frame().height == lab.table("candlesticks").filter(pl.col("ticker") == ticker).height
    open_now = lab.table("quotes")["ticker"][0]
    lab.thesis("warm", tickers=open_now, probability=0.6, because="a front is coming")
    assert ("thesis", "warm") in [mark[1:] for mark in lab.timeline(open_now).marks]
    assert lab.timeline("KXNONE").frame().is_empty()
