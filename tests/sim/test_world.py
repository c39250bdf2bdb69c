"""The made-up world agrees with itself: trades, totals, candles, outcomes and the truth behind them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest

from kalshi_lab.errors import UsageError
from kalshi_lab.sim.candles import period_ends, period_start
from kalshi_lab.sim.draws import below, normal, uniform
from kalshi_lab.sim.layout import GAME, LADDER
from kalshi_lab.sim.paths import STEPS
from kalshi_lab.sim.quotes import Biases, Quotes
from kalshi_lab.sim.wire import DAY, DOLLAR, SECOND, eastern_offset, moment
from kalshi_lab.sim.world import ACTIVE, FINALIZED, World, microseconds


@pytest.fixture(scope="module")
def now(world: World) -> int:
    return microseconds(world.start)


@pytest.mark.parametrize("size", [100, 237, 5000])
def test_exactly_so_many_markets_are_open(size: int) -> None:
    """The number of open markets at the start is the one asked for."""
    made = World(open_markets=size)
    status = made.event_status(microseconds(made.start))[made.markets.event]
    assert int((status == ACTIVE).sum()) == size


@pytest.mark.parametrize("start", [datetime(2026, 3, 1, tzinfo=UTC), datetime(2027, 7, 4, 22, 30, tzinfo=UTC)])
def test_any_start_time_will_do(start: datetime) -> None:
    """Another start time gives a world of the same size around it."""
    made = World(open_markets=150, start=start)
    assert int((made.event_status(microseconds(start))[made.markets.event] == ACTIVE).sum()) == 150


def test_tickers_are_unique_and_found_again(world: World) -> None:
    """Each ticker names one market, and leads back to it."""
    tickers = world.tickers()
    assert len(set(tickers)) == len(tickers)
    assert [world.names.find_market(ticker) for ticker in tickers] == list(range(len(tickers)))
    assert world.names.find_market("KXHIGHNY") is None


def test_totals_are_sums_of_trades(world: World, now: int) -> None:
    """Volume, last price and open interest of every market follow from its trades; nothing trades outside its life or off its grid."""
    rows = np.arange(len(world.markets))
    totals = world.tape.totals(rows, now)
    for row in range(0, len(rows), 7):
        trades = world.tape.of(row, now)
        assert int(trades.count.sum()) == totals.volume[row]
        assert (int(trades.price[-1]) if len(trades) else 0) == totals.last[row]
        assert 0 <= totals.interest[row] <= totals.volume[row]
    everything = world.tape.everything
    event = world.markets.event[everything.market]
    assert (np.diff(everything.time) >= 0).all()
    assert ((everything.time > world.events.open[event]) & (everything.time < world.events.close[event])).all()
    assert ((everything.price > 0) & (everything.price < DOLLAR) & (everything.count > 0)).all()
    whole = np.isin([world.names.spec(row).grid for row in event.tolist()], ["linear_cent"])
    assert (everything.price[whole] % 100 == 0).all()
    assert (everything.price[~whole] % 10 == 0).all()
    assert (everything.price[~whole] % 100 != 0).any()
    assert (everything.count % 100 != 0).any()


def test_books_and_quotes_agree(world: World, now: int) -> None:
    """A book is bids on both sides, ascending, never crossed, its best levels those that the market shows."""
    status = world.event_status(now)[world.markets.event]
    rows = np.flatnonzero(status == ACTIVE)[::5]
    steps = world.paths.step(world.markets.event[rows], now)
    bid, ask = world.quotes.best(rows, steps)
    sizes = world.quotes.sizes(rows, now, 1, 0)
    assert (bid < ask).all()
    for place, row in enumerate(rows.tolist()):
        yes, no = world.quotes.book(row, int(steps[place]), now)
        for side in (yes, no):
            prices = [level for level, _ in side]
            assert prices == sorted(set(prices))
            assert all(0 < level < DOLLAR and size > 0 for level, size in side)
        assert (yes[-1] if yes else (0, 0)) == ((bid[place], sizes[place]) if bid[place] else (0, 0))
        assert (DOLLAR - no[-1][0] if no else DOLLAR) == ask[place]


def test_exclusive_events_have_one_winner(world: World) -> None:
    """Exactly one bracket of a ladder and one team of a game wins; nested thresholds win from the bottom up."""
    for event in range(len(world.events)):
        first, count = int(world.events.first[event]), int(world.events.count[event])
        paid = world.payouts[first : first + count]
        if world.exclusive(event):
            assert paid.sum() == DOLLAR
            assert world.events.void[event] or sorted(paid)[-2] == 0
        else:
            assert (np.diff(paid) <= 0).all()
    assert {int(shape) for shape in world.events.shape} >= {LADDER, GAME}


def test_chances_of_a_ladder_sum_to_one(world: World) -> None:
    """The true probabilities of an exclusive event's markets sum to 1 at any step."""
    event = next(row for row in range(len(world.events)) if world.exclusive(row) and world.events.count[row] > 2)
    rows = world.events.first[event] + np.arange(world.events.count[event])
    for step in (0, 1, 700, STEPS - 1, STEPS):
        assert world.paths.probability(rows, np.full(len(rows), step)).sum() == pytest.approx(1.0, abs=1e-9)


def test_truth_is_calibrated() -> None:
    """Of markets whose true probability is p at half-time, a share of p wins: within 4 standard errors in each tenth, one seed."""
    made = World(seed=3, open_markets=3000, history_days=200)
    rows = np.flatnonzero(
        np.isin(made.events.shape[made.markets.event], [LADDER, GAME]) & ~made.events.void[made.markets.event]
    )
    rows = rows[
        made.markets.place[rows]
        == uniform(3, 99, made.markets.event[rows]) * made.events.count[made.markets.event[rows]] // 1
    ]
    chance = made.paths.probability(rows, np.full(len(rows), STEPS // 2))
    won = made.payouts[rows] / DOLLAR
    assert len(rows) > 900
    for tenth in range(10):
        inside = (chance >= tenth / 10) & (chance < (tenth + 1) / 10)
        error = np.sqrt((chance[inside] * (1 - chance[inside])).sum())
        assert abs(won[inside].sum() - chance[inside].sum()) < 4 * error + 1e-9


def test_truth_is_a_martingale_and_ends_in_the_outcome(world: World) -> None:
    """Probabilities drift nowhere on average, and become the payout at the close."""
    rows = np.arange(0, len(world.markets), 3)
    steps = [np.full(len(rows), step) for step in (100, 600)]
    early, late = (world.paths.probability(rows, step) for step in steps)
    assert abs((late - early).mean()) < 4 * (late - early).std() / np.sqrt(len(rows) / 6)
    ticker = world.tickers()[10]
    end = datetime.fromtimestamp(int(world.events.close[world.markets.event[10]]) / SECOND, UTC)
    assert world.truth(ticker, end) == world.outcome(ticker)
    assert 0 < world.truth(ticker, end - timedelta(hours=20)) < 1


def test_bias_is_planted(world: World) -> None:
    """Without bias and noise, makers believe the truth; with the bias, cheap contracts are dearer than they should be."""
    rows = np.arange(len(world.markets))
    steps = np.full(len(rows), STEPS // 2)
    chance = world.paths.probability(rows, steps)
    honest = Quotes(world.paths, Biases(longshot_bias=0.0, maker_noise=0.0)).believed(rows, steps, chance)
    assert honest == pytest.approx(np.clip(chance, 1e-4, 1 - 1e-4), abs=1e-9)
    shaded = Quotes(world.paths, Biases(longshot_bias=0.2, maker_noise=0.0)).believed(rows, steps, chance)
    cheap = (chance > 0.01) & (chance < 0.2)
    assert (shaded[cheap] > chance[cheap]).all()


@pytest.mark.parametrize("minutes", [1, 60, 1440])
def test_candles_agree_with_trades(world: World, now: int, minutes: int) -> None:
    """Candles partition a market's trades, and their prices are those trades'."""
    status = world.event_status(now)[world.markets.event]
    busy = [row for row in np.flatnonzero(status == FINALIZED).tolist() if len(world.tape.of(row, now)) > 25]
    for row in busy[::60]:
        trades = world.tape.of(row, now)
        candles = world.candles.between(row, 0, 2**33, minutes, now)
        assert sum(candle.volume for candle in candles) == trades.count.sum()
        assert [candle.end for candle in candles] == sorted({candle.end for candle in candles})
        previous = None
        for candle in candles:
            low, high = period_start(candle.end, minutes) * SECOND, candle.end * SECOND
            inside = (trades.time > low) & (trades.time <= high)
            prices = trades.price[inside].tolist()
            assert candle.volume == trades.count[inside].sum()
            assert candle.previous == previous
            if prices:
                assert candle.price is not None
                assert candle.mean is not None
                assert (candle.price.open, candle.price.close) == (prices[0], prices[-1])
                assert (candle.price.low, candle.price.high) == (min(prices), max(prices))
                exact = Fraction(
                    int((trades.price[inside] * trades.count[inside]).sum()), int(trades.count[inside].sum())
                )
                assert abs(candle.mean - exact) <= Fraction(1, 2)
                previous = prices[-1]
            assert (candle.price is None) == (not prices)
            assert (
                candle.bid.low
                <= min(candle.bid.open, candle.bid.close)
                <= max(candle.bid.open, candle.bid.close)
                <= candle.bid.high
            )
        assert (candles[0].bid.open, candles[0].ask.open) == (0, DOLLAR)
        assert candles[-1].interest == world.tape.totals(np.array([row]), now).interest[0]


def test_candle_quotes_are_the_quote_path(world: World, now: int) -> None:
    """The close of a candle is the quote that stood at its end."""
    row = world.names.find_market("KXHIGHNY-26NOV19-B50.5") or world.names.find_market("KXHIGHNY-26NOV20-B51.5")
    assert row is not None
    one, event = np.array([row]), world.markets.event[[row]]
    for candle in world.candles.between(row, 0, 2**33, 60, now):
        if candle.end * SECOND < world.events.close[event[0]]:
            bid, ask = world.quotes.best(one, world.paths.step(event, candle.end * SECOND))
            assert (candle.bid.close, candle.ask.close) == (bid[0], ask[0])


def test_days_end_at_midnight_in_new_york() -> None:
    """Daily periods end at 05:00 UTC in winter and 04:00 UTC in summer; both changes of 2026 fall on the right days."""
    assert moment(period_ends(1_795_186_800, 1_795_186_800 + DAY, 1440)[0] * SECOND) == "2026-11-21T05:00:00Z"
    for day, hours in (
        ("2026-03-08T06:59:59", -5),
        ("2026-03-08T07:00:00", -4),
        ("2026-11-01T05:59:59", -4),
        ("2026-11-01T06:00:00", -5),
    ):
        assert eastern_offset(int(datetime.fromisoformat(day + "+00:00").timestamp())) == hours * 3600
    end = int(datetime(2026, 11, 2, 5, tzinfo=UTC).timestamp())
    assert end - period_start(end, 1440) == 25 * 3600


def test_draws_are_what_they_claim() -> None:
    """The hash gives uniform and normal numbers, and the distribution function is right to eight digits."""
    flat, bell = uniform(1, 2, np.arange(100_000)), normal(1, 3, np.arange(100_000))
    assert abs(flat.mean() - 0.5) < 0.004
    assert abs(flat.var() - 1 / 12) < 0.001
    assert (abs(bell.mean()) < 0.013, abs(bell.std() - 1) < 0.01) == (True, True)
    assert below(np.array([-1.96, 0.0, 1.0])) == pytest.approx([0.0249978951, 0.5, 0.8413447461], abs=1e-8)


def test_same_seed_same_world() -> None:
    """Two worlds of one seed are equal, of another seed are not."""
    first, again, other = (World(seed=seed, open_markets=100) for seed in (5, 5, 6))
    assert (first.payouts == again.payouts).all()
    assert (first.tape.everything.price == again.tape.everything.price).all()
    assert len(other.tape.everything) != len(first.tape.everything)


def test_bad_parameters_are_refused(world: World) -> None:
    """A world that is too small, a time without a zone and an unknown ticker are refused in words."""
    with pytest.raises(UsageError, match="open_markets is 5"):
        World(open_markets=5)
    with pytest.raises(UsageError, match="no time zone"):
        World(start=datetime(2026, 1, 1))  # noqa: DTZ001 - the fault under test
    with pytest.raises(UsageError, match=r"unknown ticker 'KXHIGHNY-26NOV20-B52\.5'"):
        world.truth("KXHIGHNY-26NOV20-B52.5", world.start)
