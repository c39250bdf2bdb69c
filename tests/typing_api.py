"""What type checkers infer of the public names: checked by mypy and pyright in strict mode, and never run.

A `type: ignore` here stands where a mistake must be seen: it is an error itself when the mistake passes unseen.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import assert_type

import polars as pl

import kalshi_lab as kl
from kalshi_lab import models


def a_blocking_lab() -> None:
    """Calls of a lab give their results."""
    lab = kl.Lab("sim", home=None)
    assert_type(lab.markets(series="KXHIGHNY", limit=5), pl.DataFrame)
    assert_type(lab.market("KXA-1"), kl.Market)
    assert_type(lab.orderbook("KXA-1", depth=3), kl.Orderbook)
    assert_type(lab.event("KXA"), kl.Event)
    assert_type(lab.trades("KXA-1", exact=True), pl.DataFrame)
    assert_type(lab.candlesticks("KXA-1", "1h", since="7d"), pl.DataFrame)
    assert_type(lab.snapshot(progress=False), kl.Snapshot)
    assert_type(lab.sync("trades", tickers=["KXA-1"]), kl.SyncResult)
    assert_type(lab.sql("SELECT 1"), pl.DataFrame)
    assert_type(lab.stats("host"), pl.DataFrame)
    assert_type(lab.stats(request="3f2a"), pl.DataFrame)
    assert_type(kl.explain(kl.LabError("x")).next, tuple[str, ...])
    assert_type(lab.calibration(), kl.Calibration)
    assert_type(lab.thesis("warm"), kl.Thesis)
    assert_type(lab.record(series="KXHIGHNY", channels=["trade"]), kl.Recording)
    assert_type(lab.book("KXA-1", "1h"), kl.OrderBook)
    assert_type(lab.replay("KXA-1", "1h"), kl.Replay)
    for time, book in lab.replay("KXA-1"):
        assert_type(time, datetime)
        assert_type(book, kl.OrderBook)
    assert_type(lab.close(), None)


async def an_awaited_lab() -> None:
    """The same words, awaited, give the same results."""
    async with kl.AsyncLab("sim") as lab:
        assert_type(lab, kl.AsyncLab)
        assert_type(await lab.markets(series="KXHIGHNY", limit=5), pl.DataFrame)
        assert_type(await lab.market("KXA-1"), kl.Market)
        assert_type(await lab.orderbook("KXA-1", depth=3), kl.Orderbook)
        assert_type(await lab.sync("trades", tickers=["KXA-1"]), kl.SyncResult)
        assert_type(await lab.thesis("warm"), kl.Thesis)
        assert_type(await lab.book("KXA-1"), kl.OrderBook)
        assert_type(lab.replay("KXA-1"), kl.AsyncReplay)
        async with lab.record(tickers="KXA-1") as recording:
            assert_type(recording, kl.AsyncRecording)


def a_blocking_client() -> None:
    """Listings are pages of their records, and single things are records."""
    with kl.Kalshi(environment="prod") as client:
        assert_type(client, kl.Kalshi)
        assert_type(client.markets.list(status="open"), kl.Pages[kl.Market])
        assert_type(client.markets.list().frame(exact=True), pl.DataFrame)
        for market in client.markets.list():
            assert_type(market, kl.Market)
        for event in client.events.list(markets=True):
            assert_type(event, kl.Event)
        assert_type(list(client.historical.trades("KXA-1")), list[kl.Trade])
        assert_type(client.markets.one("KXA-1"), kl.Market)
        assert_type(client.series.one("KXA"), kl.Series)
        assert_type(client.exchange.status(), kl.ExchangeStatus)
        assert_type(client.historical.cutoff(), kl.Cutoff)
        assert_type(client.markets.orderbooks(["KXA-1"]), tuple[kl.Orderbook, ...])


async def an_awaited_client() -> None:
    """Pages are walked with `async for`."""
    async with kl.AsyncKalshi(environment="prod") as client:
        assert_type(client.markets.list(), kl.AsyncPages[kl.Market])
        async for market in client.markets.list():
            assert_type(market, kl.Market)
        assert_type(await client.markets.list().frame(), pl.DataFrame)
        assert_type(await client.markets.one("KXA-1"), kl.Market)


def the_public_families(client: kl.Kalshi) -> None:
    """Every family gives its own records, and its words are literals."""
    assert_type(client.events.metadata("KXA"), models.EventMetadata)
    assert_type(client.events.fee_changes("KXA"), kl.Pages[models.EventFeeChange])
    assert_type(client.events.candlesticks("KXA", series="KXA"), pl.DataFrame)
    assert_type(client.events.forecast_percentiles("KXA", [5000]), pl.DataFrame)
    assert_type(client.markets.batch_candlesticks(["KXA-1"], "1d"), pl.DataFrame)
    assert_type(client.exchange.series_fee_changes(), kl.Pages[models.SeriesFeeChange])
    assert_type(client.exchange.user_data_time().as_of_time, datetime | None)
    assert_type(client.milestones.list(event="KXA"), kl.Pages[models.Milestone])
    assert_type(client.structured_targets.one("t"), models.StructuredTarget)
    assert_type(client.multivariate.list(status="open"), kl.Pages[models.Collection])
    assert_type(client.multivariate.create_market("KXA", [("KXB-1", "KXB-1-A", "yes")]), models.ComboMarket)
    assert_type(client.search.tags_by_category(), dict[str, tuple[str, ...]])
    assert_type(client.search.filters_by_sport(), models.SportFilters)
    assert_type(client.live_data.batch(["m"]), tuple[models.LiveData, ...])
    assert_type(client.live_data.weather("nyc").timeseries, tuple[models.WeatherPoint, ...])
    for program in client.incentive_programs.list(status="active"):
        assert_type(program.period_reward_dollars, Decimal | None)
    client.incentive_programs.list(status="activ")  # type: ignore[arg-type]
    client.multivariate.list(status="settled")  # type: ignore[arg-type]
    client.milestones.one()  # type: ignore[call-arg]


def settings_have_defaults() -> None:
    """Any setting may be left out."""
    assert_type(kl.Settings(), kl.Settings)
    assert_type(kl.Settings(environment="demo", attempts=2).url, str)
    kl.Settings(attempts="two")  # type: ignore[arg-type]
    kl.Settings(attemps=2)  # type: ignore[call-arg]


def mistakes_are_seen(lab: kl.Lab, client: kl.Kalshi, book: kl.Orderbook) -> None:
    """A wrong name, a wrong type, a missing argument and a change of what cannot be changed."""
    lab.markets(serie="KXHIGHNY")  # type: ignore[call-arg]
    lab.market()  # type: ignore[call-arg]
    lab.orderbook("KXA-1", depth="3")  # type: ignore[arg-type]
    lab.sync("quotes")  # type: ignore[arg-type]
    kl.Lab("production")  # type: ignore[arg-type]
    client.markets.one(5)  # type: ignore[arg-type]
    client.markets.list(state="open")  # type: ignore[call-arg]
    client.markets.lst()  # type: ignore[attr-defined]
    book.ticker = "KXA-2"  # type: ignore[misc]


def what_objects_hold(market: kl.Market, book: kl.Orderbook) -> None:
    """Prices are exact or unknown, and both must be thought of."""
    assert_type(market.yes_bid, Decimal | None)
    assert_type(market.mid, Decimal | None)
    assert_type(market.close_time, datetime | None)
    assert_type(book.asks, tuple[tuple[Decimal, Decimal], ...])
    assert_type(book.frame(), pl.DataFrame)
    assert_type(kl.frame([market]), pl.DataFrame)
