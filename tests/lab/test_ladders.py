"""Arbitrage and ladders through a lab: found live, executed with the library's own orders, settled, and kept over time."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl
import pytest

import kalshi_lab as kl
from kalshi_lab.sim import start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kalshi_lab.sim import Exchange

SERIES = (
    "KXCPI",
    "KXBTCD",
    "KXHIGHNY",
    "KXHIGHCHI",
    "KXHIGHMIA",
    "KXHIGHAUS",
    "KXNBATOTAL",
    "KXNFLTOTAL",
    "KXNHLTOTAL",
    "KXNBAGAME",
    "KXNFLGAME",
    "KXNHLGAME",
)
MONTH = 30 * 86_400  # by when every event that was open is settled


@pytest.fixture(scope="module")
def contradicting() -> Iterator[Exchange]:
    """An exchange with five planted arbitrages, whose other makers quote around the truth."""
    with start(markets=300, clock="frozen", history_days=5, longshot_bias=0, maker_noise=0, arbitrages=5) as running:
        yield running


@pytest.mark.long
def test_every_arbitrage_found_is_executed_and_settles_at_no_loss(contradicting: Exchange, tmp_path: Path) -> None:
    """SCN-10: the planted ones are found with their profit, filled whole, charged the fees foreseen, and lose in no state."""
    with kl.Lab("sim", base_url=contradicting.url, home=tmp_path, writable=True) as lab:
        found = lab.arbitrage(series=SERIES)
        planted = {one["event_ticker"]: Decimal(one["profit"]) for one in contradicting.planted()}
        assert {one.events[0]: one.profit for one in found.portfolios} == planted
        assert len(planted) == 5
        before = lab.kalshi.portfolio.balance().balance
        for portfolio in found.portfolios:
            results = [lab.kalshi.orders.create(order) for order in portfolio.orders()]
            assert [one.fill_count for one in results] == [leg.contracts for leg in portfolio.legs]
            charged = sum(
                sum(lab.kalshi.portfolio.fills(order_id=one.order_id).frame(exact=True)["fee_cost"]) for one in results
            )
            assert charged == portfolio.fees
            paid = sum((leg.cost for leg in portfolio.legs), Decimal(0)) + charged
            assert min(one.payout for one in portfolio.outcomes) - paid == portfolio.profit > 0
        after = lab.kalshi.portfolio.balance().balance
        assert before - after == sum(one.capital for one in found.portfolios)
        assert not lab.arbitrage(series=SERIES).portfolios, "what was offered is taken"
        contradicting.advance(MONTH)
        settled = lab.kalshi.portfolio.balance().balance
        best = sum(max(one.profit for one in portfolio.outcomes) for portfolio in found.portfolios)
        assert found.profit <= settled - before <= best


def test_an_exchange_without_planted_ones_has_none(exchange: Exchange, tmp_path: Path) -> None:
    with kl.Lab("sim", base_url=exchange.url, home=tmp_path) as lab:
        assert exchange.planted() == []
        result = lab.arbitrage(series=("KXBTCD", "KXCPI", "KXNBATOTAL"))
        assert result.portfolios == ()
        assert result.basis.n > 10


def test_a_combo_is_weighed_with_the_events_of_its_legs(lab: kl.Lab) -> None:
    """Parent and child events: the legs' own events are read with the combo's."""
    combo = next(iter(lab.kalshi.events.multivariate(markets=True, limit=1)))
    result = lab.arbitrage(combo.event_ticker)
    legs = {leg.event_ticker for leg in combo.markets[0].mve_selected_legs or ()}
    assert result.basis.n == 1 + sum(len(lab.event(str(leg)).markets) for leg in legs)


@pytest.mark.parametrize("asked", [{}, {"event": "KXCPI-26DEC", "series": "KXCPI"}])
def test_which_events_has_to_be_said(lab: kl.Lab, asked: dict[str, str]) -> None:
    with pytest.raises(kl.UsageError, match="say which events"):
        lab.arbitrage(**asked)  # type: ignore[arg-type] # on purpose


def test_the_world_of_a_lab_s_own_exchange_is_said(exchange: Exchange, tmp_path: Path) -> None:
    """`world=` is handed to the exchange that the lab starts; elsewhere, and with another word, it is refused."""
    with kl.Lab("sim", home=tmp_path, world={"markets": 300, "history_days": 0, "arbitrages": 1}) as lab:
        assert lab.simulated is not None
        assert len(lab.simulated.planted()) == 1
    with pytest.raises(kl.UsageError, match="Did you mean 'arbitrages'"):
        kl.Lab("sim", home=tmp_path, world={"arbitrage": 1, "seed": 7})
    with pytest.raises(kl.UsageError, match="that the lab starts"):
        kl.Lab("sim", base_url=exchange.url, home=tmp_path, world={"arbitrages": 1})


def test_an_event_is_shown_whole(lab: kl.Lab) -> None:
    """One call: the event with all its markets, as one frame in the order of the strikes, and as one picture."""
    event = lab.event(lab.events(series="KXCPI")["event_ticker"][0])
    frame = event.frame()
    assert frame.height == len(event.markets)
    assert frame["floor_strike"].is_sorted()
    assert frame.schema["yes_bid"] == pl.Float64
    assert event.frame(exact=True)["yes_bid"].to_list() == [
        market.yes_bid for market in sorted(event.markets, key=lambda m: m.floor_strike or 0)
    ]
    assert event.plot().png().startswith(b"\x89PNG")


@pytest.mark.long
def test_a_ladder_is_read_live_and_over_time(lab: kl.Lab) -> None:
    """Now from the exchange; with `since` from what the store kept, every hour's last quotes, which end where now begins."""
    ticker = lab.events(series="KXCPI")["event_ticker"][0]
    now = lab.ladder(ticker)
    assert now.summary.height == 1
    assert now.summary["event_ticker"][0] == ticker
    assert now.frame()["probability"].sum() == pytest.approx(1)
    with pytest.raises(kl.UsageError, match="the store knows no event"):
        lab.ladder(ticker, since="30d")
    lab.sync("markets", series="KXCPI", status="open")
    lab.sync("candlesticks", series="KXCPI", status="open")
    lab.snapshot()
    history = lab.ladder(ticker, since="5d", every="1h")
    times = history.summary["time"]
    assert times.len() > 24
    assert times.is_sorted()
    assert times.n_unique() == times.len()
    assert history.mean == pytest.approx(now.mean)
    assert lab.ladder(ticker, since="5d", every="1d").summary.height <= 6
    assert lab.ladder(ticker, since="5d", until="2d").summary["time"].max() < times.max()
    assert history.plot().png().startswith(b"\x89PNG")
