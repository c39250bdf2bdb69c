"""Returns, spreads, calibration and impact over whole worlds of the simulated exchange, whose hidden values say what they should find."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest

import kalshi_lab as kl
from kalshi_lab.sim import World
from kalshi_lab.sim.layout import COMBINED
from kalshi_lab.sim.paths import STEPS
from kalshi_lab.sim.world import microseconds
from tests.liquidity.draws import OneConnection

SEEDS = 400
SMALL = {"open_markets": 100, "history_days": 30}
ENGINE = OneConnection()
HOUR = 3_600_000_000
TIME = pl.Datetime("us", "UTC")


def settled(world: World, most: int = 40) -> pl.DataFrame:
    """The first trades of each settled market with what it paid, the true chance then, and the quote; combos hang together and are out."""
    tape, now = world.tape.everything, microseconds(world.start)
    event = world.markets.event[tape.market]
    over = (
        (world.events.settled[event] < now)
        & (world.events.shape[event] != COMBINED)
        & (tape.serial < most)
        & ~tape.block
    )
    rows = tape.at(np.flatnonzero(over & np.isin(world.payouts[tape.market], (0, 10_000))))
    event = world.markets.event[rows.market]
    step = world.paths.step(event, rows.time)
    chance = world.paths.probability(rows.market, step)
    bid, ask = world.quotes.best(rows.market, step, chance)
    return pl.DataFrame(
        {
            "ticker": rows.market.astype(str), "event_ticker": event.astype(str), "created_time": pl.Series(rows.time).cast(TIME),
            "yes_price": rows.price / 10_000, "count": rows.count / 100, "taker_outcome_side": np.where(rows.yes, "yes", "no"),
            "result": np.where(world.payouts[rows.market] > 0, "yes", "no"), "chance": chance, "bid": bid / 10_000, "ask": ask / 10_000,
            "later": np.minimum(rows.time + HOUR, world.events.close[event] - 1),
        }
    )  # fmt: skip


def earned(seed: int, *, bias: float) -> Counter[str]:
    """Whether the takers' mean gain and the slope over prices are those that the hidden chances promise, and how wide the intervals are."""
    frame = settled(World(seed, **SMALL, longshot_bias=bias, maker_edge=0.01, maker_noise=0.1))
    made = kl.returns(frame, fees=None, bins=1, engine=ENGINE)
    yes = pl.col("taker_outcome_side") == "yes"
    held = frame.select(
        w="count", c=pl.when(yes).then("yes_price").otherwise(1 - pl.col("yes_price")),
        gain=pl.when(yes).then(1).otherwise(-1) * (pl.col("chance") - pl.col("yes_price")),
    )  # fmt: skip
    w, c, gain = (held[name].to_numpy() for name in ("w", "c", "gain"))
    from_middle = c - np.average(c, weights=w)
    wanted = np.average(gain, weights=w), np.sum(w * from_middle * gain) / np.sum(w * from_middle**2)
    taker = made.overall.filter(pl.col("role") == "taker", pl.col("side").is_null()).row(0, named=True)
    slope = made.slopes.row(0, named=True)
    found: Counter[str] = Counter()
    for name, truth, low, high in (
        ("edge", wanted[0], taker["gross_low"], taker["gross_high"]),
        ("slope", wanted[1], slope["low"], slope["high"]),
    ):
        found[name] += int(low <= truth <= high)
        found[f"{name} width"] += high - low
    found["biased"] += int(slope["low"] > 0)
    return found


def spread(seed: int) -> tuple[float, float, float]:
    """The interval of the realised spread, and what the makers of this world keep by the hidden chances; their errors are large."""
    world = World(seed, **SMALL, longshot_bias=0.0, maker_edge=0.02, maker_noise=0.4)
    frame = settled(world, most=15)
    market, event = frame["ticker"].cast(pl.Int64).to_numpy(), frame["event_ticker"].cast(pl.Int64).to_numpy()
    later = frame["later"].to_numpy()
    bid, ask = world.quotes.best(market, world.paths.step(event, later))
    before = frame.select(
        "ticker", pl.col("created_time").dt.offset_by("-1us").alias("time"), yes_bid="bid", yes_ask="ask"
    )
    after = pl.DataFrame(
        {
            "ticker": frame["ticker"],
            "time": pl.Series(later).cast(TIME),
            "yes_bid": bid / 10_000,
            "yes_ask": ask / 10_000,
        }
    )
    made = kl.spreads(
        frame, pl.concat([before, after.select(before.columns)]), after="1h", oldest="2h", bins=1, engine=ENGINE
    )
    sign = pl.when(pl.col("taker_outcome_side") == "yes").then(2).otherwise(-2)
    real = frame.filter(pl.Series((bid > 0) & (ask < 10_000)), pl.col("bid") > 0, pl.col("ask") < 1)
    wanted = real.select(
        (pl.col("count") * sign * (pl.col("yes_price") - pl.col("chance"))).sum() / pl.col("count").sum()
    ).item()
    row = made.overall.row(0, named=True)
    quoted = real.select((pl.col("count") * (pl.col("ask") - pl.col("bid"))).sum() / pl.col("count").sum()).item()
    assert row["effective"] == pytest.approx(quoted, rel=0.05)
    return row["realised_low"], row["realised_high"], wanted


def kept(seeds: range) -> Counter[str]:
    """In how many worlds the interval holds what makers keep in such worlds, which is the mean over all of them."""
    made = [spread(seed) for seed in seeds]
    truth = sum(wanted for _, _, wanted in made) / len(made)
    return total([Counter(realised=int(low <= truth <= high), width=high - low) for low, high, _ in made])


def calibrated(seed: int, *, bias: float) -> Counter[str]:
    """Whether the calibration slope of mids halfway through each event is 1 / (1 - bias)."""
    world = World(seed, **SMALL, longshot_bias=bias, maker_noise=0.0, maker_edge=0.002)
    rows = np.flatnonzero(world.events.shape[world.markets.event] != COMBINED)
    bid, ask = (side / 10_000 for side in world.quotes.best(rows, np.full(len(rows), STEPS // 2)))
    paid = world.payouts[rows]
    real = (bid > 0) & (ask < 1) & np.isin(paid, (0, 10_000))
    frame = pl.DataFrame(
        {
            "price": (bid + ask)[real] / 2,
            "outcome": paid[real] > 0,
            "event_ticker": world.markets.event[rows][real].astype(str),
        }
    )
    row = kl.calibration(frame, cluster="event_ticker", engine=ENGINE).scores.row(0, named=True)
    truth = 1 / (1 - bias)
    return Counter(
        slope=int(row["slope_low"] <= truth <= row["slope_high"]), width=row["slope_high"] - row["slope_low"],
        biased=int(row["slope_low"] > 1),
    )  # fmt: skip


def moved(seed: int) -> Counter[str]:
    """Whether an impact is seen in a world where takers know nothing that the price does not."""
    frame = settled(World(seed, **SMALL, longshot_bias=0.0, maker_edge=0.01, maker_noise=0.0))
    return Counter(supported=int(kl.impact(frame, block=None, engine=ENGINE).supported))


def total(found: list[Counter[str]]) -> Counter[str]:
    made: Counter[str] = Counter()
    for one in found:
        made.update(one)
    print(
        {name: value if isinstance(value, int) else round(value / len(found), 4) for name, value in made.items()},
        "of",
        len(found),
    )
    return made


@pytest.mark.long
def test_a_few_worlds_are_as_they_were_made() -> None:
    """The short form: each number is held in most of 8 worlds."""
    seeds = range(8)
    for found, name in (
        (total([earned(seed, bias=0.2) for seed in seeds]), "edge"), (kept(seeds), "realised"),
        (total([calibrated(seed, bias=0.2) for seed in seeds]), "slope"),
    ):  # fmt: skip
        assert found[name] >= 6
    assert total([moved(seed) for seed in seeds])["supported"] <= 2


@pytest.mark.truth
@pytest.mark.timeout(300)
@pytest.mark.parametrize("bias", [0.0, 0.2])
def test_returns_over_worlds(bias: float) -> None:
    """What takers earn and how it leans on the price, with the bias and without."""
    found = total([earned(seed, bias=bias) for seed in range(SEEDS)])
    for name in ("edge", "slope"):
        assert binomtest(found[name], SEEDS, 0.95).pvalue > 0.001, name
    if not bias:
        assert binomtest(found["biased"], SEEDS, 0.025, alternative="greater").pvalue > 0.001


@pytest.mark.truth
@pytest.mark.timeout(300)
def test_realised_spreads_over_worlds() -> None:
    """What makers keep."""
    found = kept(range(SEEDS))
    assert binomtest(found["realised"], SEEDS, 0.95).pvalue > 0.001


@pytest.mark.truth
@pytest.mark.timeout(300)
@pytest.mark.parametrize("bias", [0.0, 0.2])
def test_calibration_over_worlds(bias: float) -> None:
    """CAL-1: the slope, with the bias and without."""
    found = total([calibrated(seed, bias=bias) for seed in range(SEEDS)])
    assert binomtest(found["slope"], SEEDS, 0.95).pvalue > 0.001
    if not bias:
        assert binomtest(found["biased"], SEEDS, 0.025, alternative="greater").pvalue > 0.001


@pytest.mark.truth
@pytest.mark.timeout(300)
def test_no_impact_is_made_up_over_worlds() -> None:
    """LIQ-5: none where none is."""
    found = total([moved(seed) for seed in range(SEEDS)])
    assert binomtest(found["supported"], SEEDS, 0.025, alternative="greater").pvalue > 0.001
