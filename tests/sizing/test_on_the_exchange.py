"""Edges and stakes at a simulated exchange whose probabilities are known."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from scipy import stats

import kalshi_lab as kl
from kalshi_lab.lab.sizing import AsyncSizing
from kalshi_lab.sim import Exchange, World, process
from kalshi_lab.sim.world import microseconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PNG = b"\x89PNG"
SEEDS = 400


@pytest.fixture(scope="module")
def running() -> Iterator[Exchange]:
    with process.start(markets=300, clock="frozen") as exchange:
        yield exchange


def test_a_game_is_staked_on_as_one(running: Exchange, tmp_path: Path) -> None:
    """Item 9: by your probabilities or those of your theses, with the fees of each series, exclusive as the exchange says."""
    with kl.Lab("sim", base_url=running.url, home=tmp_path) as lab:
        with pytest.raises(kl.UsageError, match="no probabilities"):
            lab.edge()
        rows = lab.markets().filter(
            pl.col("ticker").str.contains("GAME"), pl.col("yes_bid") > 0.2, pl.col("yes_ask") < 0.7
        )
        ticker, ask = rows.select("ticker", "yes_ask").row(0)
        found = lab.edge({ticker: 0.99}).frame().row(0, named=True)
        multiplier = lab.one_series(ticker.partition("-")[0]).fee_multiplier
        assert found["fee"] == pytest.approx(0.07 * float(multiplier or 0) * ask * (1 - ask))
        assert found["mutually_exclusive"] is True
        assert found["size"] == pytest.approx(rows["yes_ask_size"][0])
        lab.thesis("mine", tickers=ticker, probability=0.99, because="I know")
        assert lab.edge().frame()["ticker"].to_list() == [ticker]
        staked = lab.kelly(50.0)
        assert staked.frame()["dollars"].item() <= 25
        assert staked.plot().png().startswith(PNG)
        with pytest.raises(kl.NotFound, match="KXNONE"):
            lab.edge({"KXNONE-1": 0.5})


def test_an_event_is_judged_by_its_own_ladder(running: Exchange, tmp_path: Path) -> None:
    """EDGE-1: the markets of an event against the distribution that they imply together."""
    with kl.Lab("sim", base_url=running.url, home=tmp_path) as lab:
        rows = lab.markets().filter(pl.col("strike_type").str.starts_with("greater"), pl.col("yes_bid") > 0)
        event = rows.group_by("event_ticker").len().sort("len", "event_ticker")["event_ticker"][-1]
        made = lab.edge(by="ladder", event=event)
        assert made.considered.height > 1
        assert made.plot().png().startswith(PNG)
        with pytest.raises(kl.UsageError, match="go together"):
            lab.edge(by="ladder")


def test_a_waived_fee_is_none(running: Exchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EDGE-1: while a market's fees are waived it costs its price alone, and its fee from then on."""
    quoted = AsyncSizing._quoted

    async def waived(self: AsyncSizing, own: Mapping[str, float]) -> pl.DataFrame:
        until = pl.Series(
            [self.clock.now() + timedelta(hours=hours) for hours in (1, -1)], dtype=pl.Datetime("us", "UTC")
        )
        return (await quoted(self, own)).sort("ticker").with_columns(fee_waiver_expiration_time=until)

    monkeypatch.setattr(AsyncSizing, "_quoted", waived)
    with kl.Lab("sim", base_url=running.url, home=tmp_path) as lab:
        rows = lab.markets(series="KXNBAGAME").filter(pl.col("yes_bid") > 0.1, pl.col("yes_ask") < 0.9)
        tickers = sorted(rows["ticker"].to_list())[:2]
        table = lab.edge(dict.fromkeys(tickers, 0.99)).frame().sort("ticker")
    assert table["fee"][0] == 0
    assert table["fee"][1] > 0


@pytest.mark.parametrize("many", [0, 1, 10_000])
def test_pictures_of_any_size(many: int) -> None:
    """VIS-1: nothing, one, and the first of ten thousand; dollar signs are no formulas."""
    frame = pl.DataFrame({"ticker": [f"$A_{i}^$" for i in range(many)]}, schema={"ticker": pl.String}).with_columns(
        probability=pl.lit(0.7), yes_bid=pl.lit(0.4), yes_ask=pl.lit(0.42)
    )
    found = kl.edge(frame)
    assert found.plot().png().startswith(PNG)
    assert kl.kelly(found.frame().head(12), bankroll=10_000).plot().png().startswith(PNG)


def surprise(seed: int) -> tuple[float, float]:
    """What contracts with an edge by the true probabilities paid beyond their expected value in a world, and its variance."""
    world = World(seed, open_markets=100, history_days=30, longshot_bias=0.3, maker_noise=0.3)
    moment, events = world.start - timedelta(days=12), world.events
    now = microseconds(moment)
    live = (events.open < now) & (now < events.close) & (events.settled < microseconds(world.start))
    markets = events.first[np.flatnonzero(live)]  # one of each event: their outcomes are independent
    bid, ask = (
        side / 10_000 for side in world.quotes.best(markets, world.paths.step(world.markets.event[markets], now))[:2]
    )
    tickers = [world.names.market(row) for row in markets.tolist()]
    truth = [world.truth(ticker, moment) for ticker in tickers]
    frame = pl.DataFrame({"ticker": tickers, "probability": truth, "yes_bid": bid, "yes_ask": ask})
    paid = pl.DataFrame({"ticker": tickers, "paid": [world.outcome(ticker) for ticker in tickers]})
    found = kl.edge(frame).frame().join(paid.filter(pl.col("paid").is_in([0.0, 1.0])), on="ticker")
    pays = pl.when(pl.col("side") == "yes").then("paid").otherwise(1 - pl.col("paid"))
    beyond = found.select(
        beyond=pays - pl.col("cost") - pl.col("ev"), variance=pl.col("probability") * (1 - pl.col("probability"))
    )
    return beyond["beyond"].sum(), beyond["variance"].sum()


def judged(seeds: range) -> tuple[int, float]:
    """How many worlds pay more or less than chance allows at 5%, and how far all of them together are, in standard deviations."""
    found = [surprise(seed) for seed in seeds]
    real = [(beyond, variance) for beyond, variance in found if variance > 0]
    odd = sum(abs(beyond) > 1.96 * variance**0.5 for beyond, variance in real)
    return odd, sum(beyond for beyond, _ in real) / sum(variance for _, variance in real) ** 0.5


def test_expected_value_is_what_is_earned_on_average() -> None:
    """EDGE-1: by the true probabilities, over 25 worlds, what was earned is what was expected."""
    odd, whole = judged(range(25))
    assert abs(whole) < 3.3
    assert odd <= 6


@pytest.mark.truth
@pytest.mark.timeout(600)
def test_expected_value_over_all_seeds() -> None:
    """EDGE-1: over the seeds 0 to 399 no more worlds are odd than 5% allow, and together they earn what was expected."""
    odd, whole = judged(range(SEEDS))
    print(f"{odd} of {SEEDS} worlds beyond 1.96 standard deviations; all together {whole:+.2f}")
    assert stats.binomtest(odd, SEEDS, 0.05).pvalue > 0.001
    assert abs(whole) < 3.3
