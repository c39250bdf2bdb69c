"""The verbs over a simulated exchange and a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import kalshi_lab as kl
from kalshi_lab.sim import Exchange, process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def moving() -> Iterator[Exchange]:
    with process.start(markets=300, clock="frozen") as running:
        yield running


@pytest.fixture(scope="module")
def lab(moving: Exchange, tmp_path_factory: pytest.TempPathFactory) -> Iterator[kl.Lab]:
    with kl.Lab("sim", base_url=moving.url, home=tmp_path_factory.mktemp("scans")) as made:
        yield made


@pytest.mark.parametrize("kind", ["close_race", "high_volume", "wide_spread", "expiring", "new"])
def test_a_scan_is_that_of_the_listing(lab: kl.Lab, kind: Any) -> None:
    """SCN-2 to SCN-8: what the verb finds with the exchange's own filters is what the function finds in the whole listing."""
    categories = dict(lab.series().select("ticker", "category").iter_rows())
    whole = lab.markets().with_columns(
        category=pl.col("ticker")
        .str.split("-")
        .list.first()
        .replace_strict(categories, default=None, return_dtype=pl.String)
    )
    alone = kl.scan(whole, kind, now=lab._twin.clock.now(), top=None)
    found = lab.scan(kind, top=None)
    assert found.frame().equals(alone.frame(), null_equal=True)
    assert found.frame().height > 0
    assert found.trading is True


def test_new_markets_are_asked_for_by_their_creation(lab: kl.Lab, moving: Exchange) -> None:
    """SCN-8: the exchange leaves the others out; one listing, however many events there are."""
    moving.reset_log()
    lab.scan("new", within="6h")
    asked = [one["query"] for one in moving.requests() if one["path"].endswith("/markets")]
    assert asked
    assert all("min_created_ts=" in one and "mve_filter=exclude" in one for one in asked)


def test_a_price_that_contradicts_your_research_says_so(lab: kl.Lab) -> None:
    """Lesson 39: beside a market of one of your theses stands your probability, and whether the price is far from it."""
    tickers = lab.scan("close_race", top=2).frame()["ticker"].to_list()
    lab.thesis("far", tickers=tickers[0], probability=0.95, because="the rules say so")
    lab.thesis("near", tickers=tickers[1], probability=0.5, because="a coin")
    table = lab.scan("close_race", top=3).frame()
    assert table.select("yours", "apart").rows() == [(0.95, True), (0.5, False), (None, None)]


def test_movers_take_two_questions(moving: Exchange, tmp_path: Path) -> None:
    """SCN-9: from the kept quotes, whatever their number, and against the prices of this moment; created and open times are shown."""
    with kl.Lab("sim", base_url=moving.url, home=tmp_path) as own:
        with pytest.raises(kl.UsageError, match="no look at"):
            own.movers("24h")
        own.snapshot()
        moving.advance(3 * 3600)
        own.snapshot()
        made = own.movers("2h", top=None)
        assert own.movers("30d", top=None).frame().equals(made.frame()), "the first look, where none is that old"
        moving.advance(60)
        live = own.movers("2h", live=True, top=None)
    assert made.frame().height > 10
    assert made.frame()["open_time"].null_count() == 0
    assert "(live)" in live.basis.horizon
    row = made.frame().row(0, named=True)
    figures = lab_metrics(moving, tmp_path, row["ticker"])
    assert (figures["mid"], figures["change"]) == (pytest.approx(row["mid"]), pytest.approx(row["change"]))


def lab_metrics(moving: Exchange, home: Path, ticker: str) -> dict[str, float]:
    """MET-1: the store's figures of one market; a market that the store does not know is refused."""
    with kl.Lab("sim", base_url=moving.url, home=home) as lab:
        with pytest.raises(kl.UsageError, match="knows no quote"):
            lab.metrics("KXNONE-1")
        return lab.metrics(ticker).frame().row(0, named=True)


def test_candlesticks_leave_the_volume_as_it_is(moving: Exchange, tmp_path: Path) -> None:
    """MET-1: a candlestick's volume is that of its interval; the market's own is what two looks say, with or without them."""
    with kl.Lab("sim", base_url=moving.url, home=tmp_path) as own:
        with pytest.raises(kl.UsageError, match="knows no quote"):
            own.metrics("KXNONE-1")
        own.snapshot()
        moving.advance(3 * 3600)
        own.snapshot()
        ticker = own.scan("high_volume", top=1).frame()["ticker"].item()
        looks = own.table("quotes").filter(ticker=ticker).sort("time")["volume"]
        before = own.metrics(ticker).frame()["volume"].item()
        own.sync("candlesticks", tickers=ticker, interval="1h")
        after = own.metrics(ticker).frame()
    assert before > 0
    assert before == pytest.approx(looks[-1] - looks[0])
    assert after["volume"].item() == pytest.approx(before)


def test_a_liquid_scan_reads_live_books(lab: kl.Lab) -> None:
    """SCN-6: one request for a hundred books, and the depth that each shows."""
    made = lab.scan("expiring", within="90d", profile="liquid", min_volume=0, max_spread=1, top=None)
    assert made.frame()["depth"].null_count() == 0
    assert (made.frame()["depth"] >= 60).all()
    assert made.frame().height > 0
    row = made.frame().row(0, named=True)
    book = lab.orderbook(row["ticker"])
    sizes = [kl.safe_size(book, side=side, average=None, marginal="0.02").contracts for side in ("yes", "no")]
    assert row["depth"] == float(min(sizes))
    assert lab.scan("close_race", min_depth=10**9).frame().is_empty()


def test_a_market_says_why_it_cannot_be_traded(lab: kl.Lab) -> None:
    """SCN-1: by the market and by the exchange."""
    ticker = lab.markets()["ticker"][0]
    assert lab.why_not_tradeable(ticker) == ""
    settled = lab.markets(status="settled", limit=1)["ticker"][0]
    assert lab.why_not_tradeable(settled).startswith(f"{settled} is ")
