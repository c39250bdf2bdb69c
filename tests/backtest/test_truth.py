"""Backtests against known truth: an edge that was planted is found with its size, and none where there is none."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest

import kalshi_lab as kl
from kalshi_lab.sim.world import World, microseconds
from tests.worlds import quoted

SEEDS = range(400)
HOUR = timedelta(hours=1)
START = World(0, open_markets=100, history_days=0).start
EVENTS, EACH = 60, 3


def drawn(seed: int, edge: float) -> kl.Backtest:
    """Sixty events of three markets; YES happens by `edge` dollars more often than it costs with its fee. Everything is bought once."""
    random = np.random.default_rng(seed)
    asks = np.round(random.uniform(0.1, 0.9, EVENTS * EACH), 2)
    fees = np.array([float(kl.fee(f"{ask:.2f}", 10, ("quadratic", 1), at=START)) / 10 for ask in asks])
    chance = np.clip(asks + fees + edge, 0, 1)
    moods = np.repeat(random.uniform(size=EVENTS), EACH)  # the markets of an event share most of their fate
    wins = np.where(random.uniform(size=asks.size) < 0.7, moods, random.uniform(size=asks.size)) < chance
    tickers = [f"E{n // EACH}-{n % EACH}" for n in range(asks.size)]
    quotes = pl.DataFrame(
        {"ticker": tickers, "event_ticker": [t.split("-")[0] for t in tickers], "yes_bid": asks - 0.02, "yes_ask": asks}
    ).with_columns(time=pl.lit(START))
    results = pl.DataFrame({"ticker": tickers, "result": np.where(wins, "yes", "no")}).with_columns(
        time=pl.lit(START + HOUR)
    )
    return kl.backtest(lambda view: [view.buy(t, 10) for t in view.quotes["ticker"]], quotes, results, times=[START])


def check(edge: float, seeds: range) -> tuple[int, int, float]:
    """In how many seeds the interval a contract holds the edge, in how many a profit is claimed, and how wide it is."""
    covered, claimed, widths = 0, 0, []
    for seed in seeds:
        row = drawn(seed, edge).table.filter(measure="a contract").row(0, named=True)
        covered += row["net_low"] <= edge <= row["net_high"]
        claimed += row["net_low"] > 0
        widths.append(row["net_high"] - row["net_low"])
    return covered, claimed, float(np.mean(widths))


@pytest.mark.parametrize("edge", [0.0, 0.05])
def test_a_few_seeds(edge: float) -> None:
    covered, claimed, _ = check(edge, range(12))
    assert covered >= 9
    assert claimed <= (2 if edge == 0 else 12)


@pytest.mark.truth
@pytest.mark.parametrize("edge", [0.0, 0.05])
def test_the_interval_holds_the_planted_edge_as_often_as_it_says(edge: float) -> None:
    """TH-7: over the seeds 0 to 399; no profit is claimed more often than chance allows where there is none."""
    covered, claimed, width = check(edge, SEEDS)
    print(f"edge {edge}: covered {covered}, claimed {claimed} of {len(SEEDS)}, mean width {width:.3f} dollars")
    assert binomtest(covered, len(SEEDS), 0.95).pvalue > 0.001
    if edge == 0:
        assert binomtest(claimed, len(SEEDS), 0.025).pvalue > 0.001


def lived(seed: int, *, informed: bool) -> tuple[kl.Backtest, float, float]:
    """A whole world of the sim at its start: by one who knows the truth, or at random; what the truth promised, and its deviation."""
    world = World(seed, open_markets=400, history_days=0, longshot_bias=0.3)
    now = microseconds(world.start)
    events, books = quoted(world)
    rows, truth, event_of = [], {}, {}
    for event in events:
        for market in event.markets or ():
            book = books[market.ticker]
            if not book.yes_bids or not book.no_bids:
                continue
            (bid, bids), (no, asks) = book.yes_bids[0], book.no_bids[0]
            rows.append(
                (market.ticker, event.event_ticker, world.start, float(bid), float(1 - no), float(bids), float(asks))
            )
            truth[market.ticker], event_of[market.ticker] = world.truth_at(market.ticker, now), event.event_ticker
    names = ["ticker", "event_ticker", "time", "yes_bid", "yes_ask", "yes_bid_size", "yes_ask_size"]
    quotes = pl.DataFrame(rows, schema=names, orient="row").with_columns(pl.col("time").cast(pl.Datetime("us", "UTC")))
    paid = {ticker: world.outcome(ticker) for ticker in truth}
    results = pl.DataFrame({"ticker": list(paid), "value": list(paid.values())}).with_columns(
        time=pl.lit(world.start + 1000 * HOUR), result=pl.lit("scalar")
    )
    random = np.random.default_rng(seed)

    def strategy(view: kl.View) -> list[Any]:
        made = []
        for row in view.quotes.sort("ticker").iter_rows(named=True):
            chance, ask, bid = truth[row["ticker"]], row["yes_ask"], row["yes_bid"]
            if informed and max(chance - ask, bid - chance) < 0.03:
                continue
            side = (
                ("yes" if chance - ask > bid - chance else "no") if informed else ("yes", "no")[int(random.integers(2))]
            )
            made.append(view.buy(row["ticker"], 5, side=side))
        return made

    result = kl.backtest(strategy, quotes, results, times=[world.start], max_position=5)
    promised, variance = promise(result, truth)
    return result, promised, variance**0.5


def promise(result: kl.Backtest, truth: dict[str, float]) -> tuple[float, float]:
    """What the trades were worth by the truth, and the variance of what they bring, taken event by event as if all were one."""
    worth, spread = 0.0, {}
    for row in result.trades.iter_rows(named=True):
        chance = truth[row["ticker"]] if row["side"] == "yes" else 1 - truth[row["ticker"]]
        worth += row["count"] * (chance - row["price"]) - row["fee"]
        spread[row["event_ticker"]] = (
            spread.get(row["event_ticker"], 0.0) + row["count"] * (chance * (1 - chance)) ** 0.5
        )
    return worth, sum(each**2 for each in spread.values())


@pytest.mark.long
@pytest.mark.parametrize("informed", [True, False])
def test_whole_worlds_pay_what_the_truth_promised(informed: bool) -> None:
    """TH-7: who knows the truth gains what it is worth, and who does not pays the spread and the fees."""
    scores, gained, promised = [], 0.0, 0.0
    for seed in range(4):
        result, worth, deviation = lived(seed, informed=informed)
        scores.append((result.profit - worth) / deviation)
        gained, promised = gained + result.profit, promised + worth
        assert result.basis.n > 20
    assert (promised > 0) == informed
    assert abs(np.sum(scores)) / len(scores) ** 0.5 < 4
    if informed:
        assert gained > 0


@pytest.mark.truth
def test_forty_worlds_with_and_without_an_edge() -> None:
    """TH-7: by the sim's hidden odds, over the seeds 0 to 39."""
    for informed in (True, False):
        made = [lived(seed, informed=informed) for seed in range(40)]
        scores = [(result.profit - worth) / deviation for result, worth, deviation in made]
        claimed = sum(result.table["net_low"][0] > 0 for result, _, _ in made)
        total = float(np.sum(scores) / len(scores) ** 0.5)
        print(
            f"informed {informed}: {total:+.2f} sd off the truth, a profit claimed in {claimed} of {len(made)} worlds"
        )
        assert abs(total) < 3.3
        if not informed:
            assert binomtest(claimed, len(made), 0.025).pvalue > 0.001
        else:
            assert binomtest(claimed, len(made), 0.025).pvalue < 0.001


def test_an_exact_case_by_hand() -> None:
    """Lesson 22: sub-cent fees are kept."""
    quotes = pl.DataFrame({"ticker": ["A"], "time": [START], "yes_bid": [0.05], "yes_ask": [0.055]})
    results = pl.DataFrame({"ticker": ["A"], "time": [START + HOUR], "result": ["no"]})
    made = kl.backtest(lambda view: [view.buy("A", 1)], quotes, results, times=[START])
    assert made.markets["net"][0] == pytest.approx(
        -float(Decimal("0.055") + kl.fee("0.055", 1, ("quadratic", 1), at=START))
    )
