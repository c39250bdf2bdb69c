"""Ladders to distributions: hand-worked, against isotonic regression, against simulated truth, and on recorded macro ladders."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

import kalshi_lab as kl
from kalshi_lab.analysis.ladder_history import filled, of_event
from kalshi_lab.sim.layout import ABOVE, LADDER
from kalshi_lab.sim.world import World, microseconds
from tests.worlds import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TYPES = {"strike_type": pl.String, "floor_strike": pl.Float64, "cap_strike": pl.Float64}
SEEDS = range(400)


def thresholds(prices: Iterable[float], start: float = 1.0, **columns: Any) -> pl.DataFrame:
    """Markets that pay above 1, 2, 3, ... with these prices."""
    rows = [("greater", start + place, None, price) for place, price in enumerate(prices)]
    frame = pl.DataFrame(rows, schema={**TYPES, "price": pl.Float64}, orient="row")
    return frame.with_columns(**{name: pl.Series(values) for name, values in columns.items()})


def brackets(prices: Iterable[float | None]) -> pl.DataFrame:
    """Markets that pay below 51, from 51 to 52, from 53 to 54, and above 54."""
    spans = [("less", None, 51.0), ("between", 51.0, 52.0), ("between", 53.0, 54.0), ("greater", 54.0, None)]
    rows = [(*span, price) for span, price in zip(spans, prices, strict=True)]
    return pl.DataFrame(rows, schema={**TYPES, "price": pl.Float64}, orient="row")


def masses(result: kl.Ladder) -> list[float]:
    return [round(mass, 6) for mass in result.frame()["probability"].to_list()]


def test_a_consistent_ladder_is_left_as_it_is() -> None:
    """Thresholds at 90, 60 and 20 cents: the pieces are the differences, and nothing moves."""
    result = kl.ladder(thresholds([0.9, 0.6, 0.2]), price="price")
    assert masses(result) == [0.1, 0.3, 0.4, 0.2]
    assert result.frame()["label"].to_list() == ["v <= 1", "1 < v <= 2", "2 < v <= 3", "v > 3"]
    last = result.latest
    assert (last["moved"], last["below"], last["above"]) == (0, pytest.approx(0.1), pytest.approx(0.2))
    assert last["repaired"] < 1e-9


def test_mean_and_quantiles_are_those_worked_by_hand() -> None:
    """Mass even inside pieces, tails one step long: mean 0.1 x 0.5 + 0.3 x 1.5 + 0.4 x 2.5 + 0.2 x 3.5, median 2 + 0.1 / 0.4."""
    last = kl.ladder(thresholds([0.9, 0.6, 0.2]), price="price").latest
    assert last["mean"] == pytest.approx(2.2)
    assert (last["mean_low"], last["mean_high"]) == (pytest.approx(1.7), pytest.approx(2.7))
    assert last["q50"] == pytest.approx(2.25)
    assert last["q5"] == pytest.approx(0.5)
    assert last["q95"] == pytest.approx(3.75)


def test_open_tails_are_said_and_never_invented() -> None:
    """Without an assumption a mean that hangs on a tail does not exist, nor a quantile in it; with one the repr says which."""
    frame = thresholds([0.9, 0.6, 0.2])
    open_ = kl.ladder(frame, price="price", tails=None)
    assert (open_.mean, open_.latest["q5"], open_.latest["q95"]) == (None, None, None)
    assert open_.latest["q50"] == pytest.approx(2.25)
    assert "about which nothing is assumed" in repr(open_)
    assert "taken to end one step further out" in repr(kl.ladder(frame, price="price"))
    given_ = kl.ladder(frame, price="price", tails=(0.5, 5.0))
    assert given_.mean == pytest.approx(0.1 * 0.75 + 0.3 * 1.5 + 0.4 * 2.5 + 0.2 * 4)
    assert "taken to end at 0.5 and 5" in repr(given_)
    sure = kl.ladder(thresholds([1.0, 0.6, 0.0]), price="price", tails=None)
    assert sure.mean == pytest.approx(0.4 * 1.5 + 0.6 * 2.5), "there is nothing in the tails"
    with pytest.raises(kl.UsageError, match="inside the strikes"):
        kl.ladder(frame, price="price", tails=(1.5, 5.0))


def test_thresholds_out_of_order_are_pooled_and_the_repair_is_said() -> None:
    """60 and 64 cents at rising strikes become 62 each; with weights 3 and 1 they become 61."""
    frame = thresholds([0.9, 0.6, 0.64, 0.2])
    result = kl.ladder(frame, price="price")
    assert masses(result) == [0.1, 0.28, 0.0, 0.42, 0.2]
    assert (result.latest["moved"], round(result.latest["repaired"], 6)) == (2, 0.02)
    assert round(result.latest["repaired_total"], 6) == 0.04
    assert "prices moved by at most 0.02 dollars to fit" in repr(result)
    heavy = kl.ladder(frame.with_columns(w=pl.Series([1.0, 3.0, 1.0, 1.0])), price="price", weight="w")
    assert masses(heavy) == [0.1, 0.29, 0.0, 0.41, 0.2]
    assert "weighting by w" in repr(heavy)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.1, 10)), min_size=2, max_size=12))
def test_the_repair_of_thresholds_is_isotonic_regression(rungs: list[tuple[float, float]]) -> None:
    """The fit of a threshold ladder is the isotonic regression of its prices, by scipy's own."""
    prices, weights = (np.array(side) for side in zip(*rungs, strict=True))
    frame = thresholds(prices.tolist()).with_columns(w=pl.Series(weights.tolist()))
    result = kl.ladder(frame, price="price", weight="w")
    fitted = 1 - np.cumsum(result.frame()["probability"].to_numpy())[:-1]
    best = np.clip(isotonic_regression(prices, weights=weights, increasing=False).x, 0, 1)
    kept = dict(zip([low for low in result.frame()["low"].to_list() if low is not None], fitted, strict=True))
    assert [kept[float(place + 1)] for place in range(len(prices))] == pytest.approx(best.tolist(), abs=1e-6)


def test_thresholds_from_below_and_above_are_one_ladder() -> None:
    """Below 1 at 10 cents, above 1 at 86 and above 2 at 40: the first two disagree by 4 cents and meet half way."""
    rows = [("less_or_equal", None, 1.0, 0.1), ("greater", 1.0, None, 0.86), ("greater", 2.0, None, 0.4)]
    frame = pl.DataFrame(rows, schema={**TYPES, "price": pl.Float64}, orient="row")
    assert masses(kl.ladder(frame, price="price")) == [0.12, 0.48, 0.4]


def test_brackets_become_probabilities_that_add_up_to_one() -> None:
    """Four brackets two cents too dear each lose two cents; in whole degrees they leave no gap."""
    result = kl.ladder(brackets([0.12, 0.42, 0.32, 0.22]), price="price")
    assert masses(result) == [0.1, 0.4, 0.3, 0.2]
    assert result.frame()["label"].to_list() == ["v < 51", "51 <= v <= 52", "53 <= v <= 54", "v > 54"]
    assert result.mean == pytest.approx(0.1 * 49.5 + 0.4 * 51.5 + 0.3 * 53.5 + 0.2 * 55.5)
    assert result.latest["shared"] == 0


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1), min_size=4, max_size=4).filter(lambda prices: sum(prices) > 0.01))
def test_the_repair_of_brackets_is_the_projection_on_the_simplex(prices: list[float]) -> None:
    """Each price less one common amount, and nothing below zero."""
    fitted = kl.ladder(brackets(prices), price="price").frame()["probability"].to_list()
    lifted = [price - mass for price, mass in zip(prices, fitted, strict=True) if mass > 1e-7]
    assert sum(fitted) == pytest.approx(1)
    assert lifted == pytest.approx([lifted[0]] * len(lifted), abs=1e-6)
    assert all(price <= lifted[0] + 1e-6 for price, mass in zip(prices, fitted, strict=True) if mass <= 1e-7)


def test_what_no_market_prices_keeps_what_is_left() -> None:
    """A bracket without a price has the rest; where several have none they share it, and that is said."""
    missing = kl.ladder(brackets([0.1, None, 0.3, 0.2]), price="price")
    assert masses(missing) == [0.1, 0.4, 0.3, 0.2]
    assert missing.latest["shared"] == 0
    assert missing.basis.excluded["without a real quote"] == 1
    several = kl.ladder(brackets([None, 0.4, 0.3, None]), price="price")
    assert masses(several) == [0.15, 0.4, 0.3, 0.15]
    assert several.latest["shared"] == pytest.approx(0.3)
    assert "0.300 lies in pieces that no quote tells apart, in equal parts" in repr(several)
    gaps = kl.ladder(brackets([0.1, 0.4, 0.2, 0.1]), price="price", unit=None)
    assert gaps.frame().filter(pl.col("label") == "52 < v < 53")["probability"].item() == pytest.approx(0.2)


def test_an_ask_without_a_bid_caps_what_its_piece_can_have() -> None:
    """Nobody bids above 54 and somebody offers it at 2 cents: the rest lies below 51."""
    quotes = {"yes_bid": [0.0, 0.39, 0.29, 0.0], "yes_ask": [1.0, 0.41, 0.31, 0.02]}
    frame = brackets([0.0] * 4).with_columns(**{name: pl.Series(values) for name, values in quotes.items()})
    assert masses(kl.ladder(frame)) == [0.28, 0.4, 0.3, 0.02]


def test_thresholds_and_brackets_are_read_together() -> None:
    """P(v > 1) = 0.8, P(v > 3) = 0.3 and P(2 <= v <= 3) = 0.1: the rest lies between 1 and 2."""
    frame = pl.concat([thresholds([0.8]), thresholds([0.3], start=3.0), brackets([None, None, None, None]).head(0)])
    span = pl.DataFrame([("between", 2.0, 3.0, 0.1)], schema={**TYPES, "price": pl.Float64}, orient="row")
    result = kl.ladder(pl.concat([frame, span]), price="price")
    assert masses(result) == [0.2, 0.4, 0.1, 0.3]


QUOTED = thresholds([0.0, 0.0, 0.0]).with_columns(
    yes_bid=pl.Series([0.88, 0.58, 0.18]), yes_ask=pl.Series([0.92, 0.62, 0.22])
)


def test_bids_and_asks_bound_every_piece_and_the_mean() -> None:
    """Between 1 and 2 lie at least 0.88 - 0.62 and at most 0.92 - 0.58."""
    result = kl.ladder(QUOTED, price="bounds")
    second = result.frame().row(1, named=True)
    assert (second["probability_low"], second["probability_high"]) == (pytest.approx(0.26), pytest.approx(0.34))
    assert result.latest["mean_low"] == pytest.approx(0 + 0.88 + 0.58 + 0.18)
    assert result.latest["mean_high"] == pytest.approx(1 + 0.92 + 0.62 + 0.22)
    assert "interval what bids and asks allow" in repr(result)


def test_bids_and_asks_that_contradict_one_another_bound_nothing() -> None:
    crossed = QUOTED.with_columns(yes_bid=pl.Series([0.30, 0.58, 0.18]), yes_ask=pl.Series([0.40, 0.62, 0.22]))
    result = kl.ladder(crossed, price="bounds")
    assert result.frame()["probability_low"].null_count() == 4
    assert result.basis.excluded["ladders whose bids and asks contradict one another"] == 1


def test_wide_quotes_count_less() -> None:
    """One over the squared spread: the tight quote of two that disagree barely moves."""
    frame = thresholds([0, 0]).with_columns(yes_bid=pl.Series([0.49, 0.40]), yes_ask=pl.Series([0.51, 0.80]))
    result = kl.ladder(frame)
    assert 1 - masses(result)[0] == pytest.approx(0.5, abs=1e-3)
    assert "one over the squared spread" in repr(result)


def test_every_time_and_event_has_its_own_ladder() -> None:
    late = NOON + timedelta(hours=1)
    frame = pl.concat(
        [thresholds([0.9, 0.6]).with_columns(time=pl.lit(NOON)), thresholds([0.8, 0.5]).with_columns(time=pl.lit(late))]
    )
    result = kl.ladder(frame.with_columns(event_ticker=pl.lit("E")), price="price")
    assert result.summary.select("event_ticker", "time", pl.col("below").round(6)).rows() == [
        ("E", NOON, 0.1),
        ("E", late, 0.2),
    ]
    assert "2 times, the last" in repr(result)


def test_quotes_are_carried_forward_until_a_market_leaves() -> None:
    """The last quote by then counts; null before the first, and after a market left."""
    times = [NOON + timedelta(hours=hour) for hour in range(4)]
    rows = [("A", times[0], 0.1), ("A", times[3], 0.4), ("B", times[1], 0.2), ("B", times[2], None), ("C", None, None)]
    frame = pl.DataFrame(rows, schema=["ticker", "time", "yes_bid"], orient="row").with_columns(
        yes_ask=pl.col("yes_bid") + 0.1
    )
    made = filled(frame, since=None, until=None).sort("ticker", "time")
    assert made["yes_bid"].to_list() == [0.1, 0.1, 0.1, 0.4, None, 0.2, None, None, None, None, None, None]
    assert filled(frame, since=times[1], until=times[3])["time"].unique().sort().to_list() == times[1:3]


@pytest.mark.parametrize(
    ("frame", "options", "said"),
    [
        (thresholds([0.5]).drop("floor_strike"), {"price": "price"}, "the frame of 1 rows lacks floor_strike"),
        (thresholds([0.5]), {}, "lacks yes_bid, yes_ask"),
        (thresholds([0.5, 1.2]), {"price": "price"}, "1 of 2 rows hold no price in"),
        (thresholds([0.5, float("nan")]), {"price": "price"}, "1 of 2 rows hold no price in"),
        (thresholds([0.5], w=[0.0]), {"price": "price", "weight": "w"}, "hold no weight above 0"),
        (thresholds([0.5, 0.6], custom_strike=["a", "b"]), {"price": "price"}, "2 different subjects"),
        (thresholds([0.5]), {"price": "price", "quantiles": (50,)}, "not all above 0 and below 1"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_column_and_rows(frame: pl.DataFrame, options: dict[str, Any], said: str) -> None:
    with pytest.raises(kl.UsageError, match=said):
        kl.ladder(frame, **options)


def test_markets_that_say_nothing_are_counted_and_nothing_is_a_result() -> None:
    odd = pl.DataFrame([("custom", None, None, 0.4)], schema={**TYPES, "price": pl.Float64}, orient="row")
    result = kl.ladder(pl.concat([thresholds([0.5]), odd]), price="price")
    assert result.basis.excluded["without strikes"] == 1
    assert kl.ladder(odd, price="price").conclusion == "no ladder"


def truly(world: World, event: int) -> tuple[list[float], list[float]]:
    """The true probability of YES of an event's markets, now."""
    first = int(world.events.first[event])
    rows = np.arange(first, first + int(world.events.count[event]))
    step = world.paths.step(world.markets.event[rows], microseconds(world.start))
    return world.paths.probability(rows, step).tolist(), world.markets.low[rows].tolist()


def outside(seeds: Iterable[int], kind: int) -> list[tuple[int, str]]:
    """Pieces whose true probability lies outside what bids and asks allow, in worlds whose makers quote around the truth."""
    wrong = []
    for seed in seeds:
        world = World(seed, open_markets=150, history_days=0, longshot_bias=0, maker_noise=0)
        events, books = quoted(world)
        names = [world.names.event_ticker(row) for row in np.flatnonzero(world.events.shape == kind).tolist()]
        event = next(one for one in events if one.event_ticker in names)
        marked = event.model_copy(
            update={
                "markets": tuple(
                    m.model_copy(update={"yes_bid": books[m.ticker].yes_bid, "yes_ask": books[m.ticker].yes_ask})
                    for m in event.markets
                )
            }
        )
        result = of_event(marked, price="bounds")
        row = world.names.find_event(event.event_ticker)
        assert row is not None
        truth = {m.ticker: chance for m, chance in zip(event.markets, truly(world, row)[0], strict=True)}
        wrong += [(seed, said) for said in _off(marked, truth, result)]
    return wrong


def _off(event: kl.Event, truth: dict[str, float], result: kl.Ladder) -> list[str]:
    real = [market for market in event.markets if market.is_priced]
    if not real:
        return []
    if real[0].strike_type == "greater":
        above = [truth[market.ticker] for market in real]
        true = [1 - above[0], *(high - low for high, low in pairwise(above)), above[-1]]
    else:
        true = [truth[market.ticker] for market in real] if len(real) == len(event.markets) else []
    limits = result.frame().select("label", "probability_low", "probability_high").rows()
    return [
        label
        for (label, low, high), chance in zip(limits, true, strict=False)
        if not low - 1e-9 <= chance <= high + 1e-9
    ]


@pytest.mark.parametrize("kind", [ABOVE, LADDER])
def test_the_truth_lies_in_what_bids_and_asks_allow(kind: int) -> None:
    """Known truth, a few seeds: where makers quote around the true chances, every true mass is inside its bounds."""
    assert outside(SEEDS[:4], kind) == []


@pytest.mark.truth
@pytest.mark.parametrize("kind", [ABOVE, LADDER])
def test_the_truth_lies_in_the_bounds_over_all_seeds(kind: int) -> None:
    """Known truth over seeds 0 to 399: a sure statement, so not one miss is allowed."""
    assert outside(SEEDS, kind) == []


# ---------------------------------------------------------------------- recorded macro ladders


@pytest.fixture(scope="module")
def macro(recordings: Path) -> pl.DataFrame:
    return pl.read_parquet(recordings / "bulk" / "macro_ladders.parquet")


@pytest.mark.recordings
def test_the_recorded_macro_ladders_are_as_described(macro: pl.DataFrame) -> None:
    """Every figure of their description: rows, events, days, the worst difference, what is null, and two styles of time."""
    assert (macro.height, macro["event_ticker"].n_unique()) == (22_745, 17)
    assert (macro["ts"].min()[:10], macro["ts"].max()[:10]) == ("2026-03-11", "2026-05-25")
    assert set(macro["topic"].unique()) == {"CPI", "Core_CPI_MoM", "Payrolls", "GDP", "FF_Rate", "Recession"}
    low = macro.filter(pl.col("implied_probability") < 0)
    assert low["implied_probability"].min() == -0.98
    assert set(low["strike_structure"]) == {"cumulative"}
    assert macro["yes_price"].null_count() / macro.height > 0.98
    assert set(macro["ts"].str.replace(r"^.*?(Z|\+00:00)$", "${1}")) == {"Z", "+00:00"}


@pytest.mark.recordings
def test_the_recorded_macro_ladders_are_repaired(macro: pl.DataFrame) -> None:
    """Their 1,693 negative masses become none: each ladder is the isotonic regression of the prices behind the differences."""
    rungs = _prices(macro)
    quoted_ = rungs.filter(pl.col("yes_price").is_not_null())
    assert quoted_.height == 192
    assert (quoted_["yes_price"] - quoted_["price"]).abs().max() < 1e-9, (
        "the differences add up to the prices, where those were kept"
    )
    assert macro.filter(pl.col("implied_probability") < 0).height == 1_693
    whole = rungs.filter(pl.col("price").is_between(0, 1).all().over("event_ticker", "time"))
    result = kl.ladder(whole, price="price", weight=None)
    assert result.summary.height == whole.select("event_ticker", "time").n_unique() == 1_074
    assert result.frame()["probability"].min() >= 0
    sums = result.frame().group_by("event_ticker", "time").agg(pl.col("probability").sum())
    assert sums["probability"].to_list() == pytest.approx([1.0] * sums.height)
    keys = ("event_ticker", "time")
    repaired = result.summary.filter(pl.col("moved") > 0).height
    broken = whole.sort(*keys, "strike").group_by(keys).agg((pl.col("price").diff() > MOVED).any().alias("broken"))
    assert repaired == broken["broken"].sum()
    for key, part in whole.sort(*keys, "strike").partition_by(keys, as_dict=True).items():
        best = isotonic_regression(part["price"].to_numpy(), increasing=False).x
        worst = float(np.abs(best - part["price"].to_numpy()).max())
        row = result.summary.filter((pl.col("event_ticker") == key[0]) & (pl.col("time") == key[1]))
        assert row["repaired"].item() == pytest.approx(worst, abs=1e-6)


MOVED = 1e-9


def _prices(macro: pl.DataFrame) -> pl.DataFrame:
    """The price of each threshold, the sum of the differences from it on, of rows that are there twice taken once."""
    time = pl.col("ts").str.to_datetime("%+", time_zone="UTC", time_unit="us")
    rows = macro.filter(pl.col("strike_structure") == "cumulative").with_columns(time=time)
    once = rows.unique(["event_ticker", "time", "strike"], keep="first").sort("event_ticker", "time", "strike")
    price = pl.col("implied_probability").reverse().cum_sum().reverse().over("event_ticker", "time").round(6)
    return once.with_columns(
        price=price, strike_type=pl.lit("greater"), floor_strike="strike", cap_strike=pl.lit(None, pl.Float64)
    )
