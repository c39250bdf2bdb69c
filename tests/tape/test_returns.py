"""What makers and takers earned is what was planted, and what a plain loop over the trades finds."""

from __future__ import annotations

import os
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import kalshi_lab as kl
from kalshi_lab.analysis import ratio, scores
from tests.tape.draws import planted, planted_from_both_sides, trades

SEEDS = 400
FEE = 0.07


def plain(frame: pl.DataFrame) -> dict[str, float]:
    """The overall figures, trade by trade."""
    sums = dict.fromkeys(("taker", "maker", "taker_net", "maker_net", "taker_return", "maker_return"), 0.0)
    whole = 0.0
    for price, side, count, result in frame.select("yes_price", "taker_outcome_side", "count", "result").iter_rows():
        cost = price if side == "yes" else 1 - price
        won = 1.0 if side == result else 0.0
        fee = FEE * price * (1 - price)
        sums["taker"] += count * (won - cost)
        sums["maker"] += count * (cost - won)
        sums["taker_net"] += count * (won - cost - fee)
        sums["maker_net"] += count * (cost - won)
        sums["taker_return"] += count * (won - cost) / cost
        sums["maker_return"] += count * (cost - won) / (1 - cost)
        whole += count
    return {name: value / whole for name, value in sums.items()}


def overall(result: kl.Returns, role: str, side: str | None = None) -> dict[str, float]:
    found = result.overall.filter(pl.col("role") == role, pl.col("side").eq_missing(pl.lit(side)))
    return found.row(0, named=True)


def test_returns_are_those_of_a_loop_over_the_trades() -> None:
    frame, _ = trades(3, bias=0.1, edge=0.01, events=12)
    result, wanted = kl.returns(frame), plain(frame)
    for role in ("taker", "maker"):
        found = overall(result, role)
        assert found["gross"] == pytest.approx(wanted[role], abs=1e-12)
        assert found["net"] == pytest.approx(wanted[f"{role}_net"], abs=1e-12)
        assert found["return_gross"] == pytest.approx(wanted[f"{role}_return"], abs=1e-12)
    assert result.edge == pytest.approx(wanted["maker"])
    assert overall(result, "taker")["contracts"] == pytest.approx(frame["count"].sum())
    assert result.frame().filter(pl.col("role") == "taker")["n"].sum() == frame.height == result.basis.n


def test_what_takers_lose_makers_earn_in_every_band_of_the_other_side() -> None:
    frame, _ = trades(4, bias=0.1, edge=0.01, events=12)
    result = kl.returns(frame, bins=[0, 0.25, 0.5, 0.75, 1], fees=None)
    takers = result.frame().filter(pl.col("role") == "taker", pl.col("side") == "yes").sort("low_price")
    makers = result.frame().filter(pl.col("role") == "maker", pl.col("side") == "no").sort("low_price", descending=True)
    assert takers["gross"].to_list() == pytest.approx([-each for each in makers["gross"].to_list()])
    assert result.frame()["net"].null_count() == result.frame().height
    assert "fees being unknown" in repr(result)


def test_one_band_holds_all() -> None:
    frame, _ = trades(4, bias=0.1, edge=0.01, events=12)
    takers = kl.returns(frame, bins=1).frame().filter(pl.col("role") == "taker")
    assert takers["n"].sum() == frame.height
    assert takers.select("low_price", "high_price").unique().rows() == [(0.0, 1.0)]


@pytest.mark.parametrize("weight", ["trade", "contract", "dollar"])
def test_the_weights_are_what_they_say(weight: str) -> None:
    frame = pl.DataFrame({
        "event_ticker": ["A", "B"], "yes_price": ["0.20", "0.80"], "taker_outcome_side": ["yes", "yes"], "count": [30, 10],
        "result": ["yes", "no"],
    })  # fmt: skip
    weights = {"trade": (1, 1), "contract": (30, 10), "dollar": (6, 8)}[weight]
    found = overall(kl.returns(frame, weight=weight), "taker")
    assert found["gross"] == pytest.approx((weights[0] * 0.8 - weights[1] * 0.8) / sum(weights))
    assert found["return_gross"] == pytest.approx((weights[0] * 4.0 - weights[1] * 1.0) / sum(weights))
    assert f"each {weight} counts once" in repr(kl.returns(frame, weight=weight))


def test_makers_pay_where_the_series_says_so() -> None:
    frame, _ = trades(5, bias=0.0, edge=0.01, events=6)
    found = kl.returns(frame, fees=("quadratic_with_maker_fees", Decimal("0.5")))
    taker, maker = overall(found, "taker"), overall(found, "maker")
    assert maker["fee"] == pytest.approx(taker["fee"] / 4)
    assert taker["gross"] - taker["net"] == pytest.approx(taker["fee"])


def test_what_does_not_count_is_counted_and_what_is_wrong_is_refused() -> None:
    frame, _ = trades(6, bias=0.0, edge=0.01, events=6)
    odd = frame.with_columns(
        result=pl.when(pl.int_range(pl.len()) < 2).then(None).otherwise("result"),
        taker_outcome_side=pl.when(pl.int_range(pl.len()) == 2).then(None).otherwise("taker_outcome_side"),
        yes_price=pl.when(pl.int_range(pl.len()) == 3).then(1.0).otherwise("yes_price"),
    )
    result = kl.returns(odd)
    assert dict(result.basis.excluded) == {
        "at a price of 0 or 1": 1,
        "without a yes or no result": 2,
        "without the taker's side": 1,
    }
    assert result.basis.n == frame.height - 4
    with pytest.raises(kl.UsageError, match=r"'yes_price': 1 row holds no price in \[0, 1\]"):
        kl.returns(frame.with_columns(yes_price=pl.when(pl.int_range(pl.len()) == 0).then(1.2).otherwise("yes_price")))
    with pytest.raises(kl.UsageError, match=r"'result': \d+ rows hold no outcome, the first of them 'maybe'"):
        kl.returns(frame.with_columns(result=pl.lit("maybe")))
    with pytest.raises(kl.UsageError, match="unknown column 'result'"):
        kl.returns(frame.drop("result"))
    with pytest.raises(kl.UsageError, match="'event_ticker': 1 rows hold nothing"):
        kl.returns(frame.with_columns(event_ticker=pl.when(pl.int_range(pl.len()) > 0).then("event_ticker")))
    with pytest.raises(kl.UsageError, match="weight"):
        kl.returns(frame, weight="euro")  # type: ignore[arg-type]
    with pytest.raises(kl.UsageError, match="bins"):
        kl.returns(frame, bins=[0.5, 0.2])


def test_nothing_and_one_trade_say_so() -> None:
    frame, _ = trades(7, bias=0.0, edge=0.01, events=1, markets=1, per_market=1)
    assert kl.returns(frame.head(0)).conclusion == "no trades"
    one = kl.returns(frame)
    assert one.basis.n == 1
    assert overall(one, "taker")["gross_low"] is None
    for each in (
        kl.returns(frame.head(0)),
        one,
        kl.longshots(frame),
        kl.longshots(frame.head(0)),
        kl.size_effects(frame),
        kl.size_effects(frame.head(0)),
    ):
        assert each.plot().png().startswith(b"\x89PNG")


def test_students_quantiles_are_those_of_the_tables() -> None:
    for freedom, wanted in (
        (1, 12.7062047),
        (2, 4.3026527),
        (3, 3.1824463),
        (5, 2.5705818),
        (10, 2.2281389),
        (30, 2.0422725),
        (1000, 1.9623391),
    ):
        assert scores.student(0.95, freedom) == pytest.approx(wanted, rel=1e-4)


def test_a_band_in_which_all_lost_has_an_interval_all_the_same() -> None:
    frame = pl.DataFrame({
        "event_ticker": [f"E{n}" for n in range(30)], "yes_price": 0.02, "taker_outcome_side": "yes", "count": 1, "result": "no",
    })  # fmt: skip
    found = overall(kl.returns(frame), "taker")
    assert found["gross"] == pytest.approx(-0.02)
    assert found["gross_low"] <= -0.02 < 0.05 < found["gross_high"] < 0.15


def test_trades_by_size_are_those_of_each_size() -> None:
    frame, _ = trades(8, bias=0.1, edge=0.01, events=20)
    result = kl.size_effects(frame, sizes=(0, 5, 20))
    for low, high in ((0, 5), (5, 20), (20, float("inf"))):
        part = frame.filter(pl.col("count") >= low, pl.col("count") < high)
        row = result.frame().filter(pl.col("role") == "taker", pl.col("low_size") == low).row(0, named=True)
        assert (row["n"], row["high_size"]) == (part.height, high)
        assert row["gross"] == pytest.approx(overall(kl.returns(part), "taker")["gross"])
    assert result.frame().filter(pl.col("role") == "maker")["n_share"].sum() == pytest.approx(1)


def test_the_longshot_curve_counts_every_trade_from_both_sides() -> None:
    """CAL-1: by trade, clustered by event."""
    frame, _ = trades(9, bias=0.2, edge=0.0, events=30)
    result = kl.longshots(frame, bins=10)
    both = pl.concat([
        frame.select(cost=pl.col("yes_price"), won=(pl.col("result") == "yes").cast(pl.Float64)),
        frame.select(cost=1 - pl.col("yes_price"), won=(pl.col("result") == "no").cast(pl.Float64)),
    ]).with_columns((pl.col("cost") * 10 + 1e-9).floor().alias("band"))  # fmt: skip
    wanted = both.group_by("band").agg(pl.len().alias("n"), pl.col("won").mean(), pl.col("cost").mean()).sort("band")
    assert result.frame()["n"].to_list() == wanted["n"].to_list()
    assert result.frame()["win_rate"].to_list() == pytest.approx(wanted["won"].to_list())
    assert result.frame()["mean_price"].to_list() == pytest.approx(wanted["cost"].to_list())
    naive = kl.longshots(frame, bins=10, cluster=None).frame()
    assert naive["win_rate"].to_list() == result.frame()["win_rate"].to_list()
    assert (naive["high"] - naive["low"]).median() < (result.frame()["high"] - result.frame()["low"]).median()


def test_a_slope_s_error_is_that_of_lines_with_each_event_left_out() -> None:
    """CR3: exactly the jackknife over events; an event without which there is no line, and events that balance, break nothing."""
    rng = np.random.default_rng(5)
    cluster, x, w = rng.integers(0, 12, 300), rng.uniform(size=300), rng.exponential(size=300)
    y = 0.3 * x - 0.1 + rng.normal(size=12)[cluster]

    def line(kept: np.ndarray) -> float:
        return float(np.polyfit(x[kept], y[kept], 1, w=np.sqrt(w[kept]))[0])

    def rows(load: np.ndarray) -> pl.DataFrame:
        return pl.DataFrame(
            {"cluster": cluster, "w": w, "wx": w * x, "wxx": w * x * x, "wy": w * y, "wxy": w * x * y, "v": w * load, "vx": w * x * load}
        )  # fmt: skip

    whole = line(cluster >= 0)
    left = [line(cluster != each) for each in range(12)]
    error = (11 / 12 * sum((each - whole) ** 2 for each in left)) ** 0.5
    found = ratio.slope(rows(np.zeros(300)), 0.95)
    assert found is not None
    _, b, low, high = found
    middle = np.average(x, weights=w)
    share = np.bincount(cluster, w * (x - middle) ** 2)
    draws = share.sum() ** 2 / (share**2).sum()
    assert b == pytest.approx(whole)
    assert (high - low) / 2 == pytest.approx(scores.student(0.95, draws - 1) * error)
    shared = ratio.slope(rows(np.ones(300)), 0.95)
    assert shared is not None
    assert shared[3] - shared[2] > high - low
    x[cluster > 0] = 0.5
    alone = ratio.slope(rows(np.ones(300)), 0.95)
    assert alone is not None
    assert np.isfinite(alone).all()


def _truth(seeds: range, *, bias: float, edge: float) -> dict[str, list[float]]:
    """Over the seeds: whether each interval held the planted number, and how wide it was."""
    found: dict[str, list[float]] = defaultdict(list)
    for seed in seeds:
        frame, true = trades(seed, bias=bias, edge=edge)
        result, wanted = kl.returns(frame, fees=None, bins=1), planted(true)
        maker = overall(result, "maker")
        found["edge"].append(maker["gross_low"] <= -wanted["taker"] <= maker["gross_high"])
        found["edge_width"].append(maker["gross_high"] - maker["gross_low"])
        _, _, _, low, high = result.slopes.row(0)
        found["slope"].append(low <= wanted["slope"] <= high)
        found["slope_width"].append(high - low)
        found["flagged"].append(low > 0 or high < 0)
        curve, lean = kl.longshots(frame, bins=1).slope, planted_from_both_sides(true)
        assert curve is not None
        found["curve"].append(curve[1] <= lean <= curve[2])
        found["curve_width"].append(curve[2] - curve[1])
        found["curve_flagged"].append(curve[1] > 0 or curve[2] < 0)
    return found


def test_planted_edges_and_biases_are_recovered() -> None:
    found = _truth(range(12), bias=0.2, edge=0.02)
    assert sum(found["edge"]) >= 8
    assert sum(found["slope"]) >= 8
    assert sum(found["curve"]) >= 8


@pytest.mark.truth
def test_intervals_cover_the_planted_edge_and_bias() -> None:
    from scipy.stats import binomtest

    found = _truth(range(SEEDS), bias=0.2, edge=0.02)
    for name in ("edge", "slope", "curve"):
        held = int(sum(found[name]))
        print(f"{name}: {held} of {SEEDS} cover, mean width {sum(found[f'{name}_width']) / SEEDS:.4f}")
        assert binomtest(held, SEEDS, 0.95).pvalue > 0.001


@pytest.mark.truth
def test_no_bias_is_found_where_none_is_planted() -> None:
    from scipy.stats import binomtest

    found = _truth(range(SEEDS), bias=0.0, edge=0.0)
    for name in ("flagged", "curve_flagged"):
        flagged = int(sum(found[name]))
        print(f"{name}: {flagged} of {SEEDS}")
        assert binomtest(flagged, SEEDS, 0.05).pvalue > 0.001


@pytest.mark.truth
def test_naive_intervals_under_cover_where_an_event_has_fifty_markets_and_ours_do_not() -> None:
    from scipy.stats import binomtest

    ours = naive = 0
    for seed in range(SEEDS):
        frame, true = trades(seed, bias=0.0, edge=0.02, events=30, markets=50, per_market=1)
        maker = overall(kl.returns(frame, fees=None, bins=1), "maker")
        wanted = -planted(true)["taker"]
        ours += maker["gross_low"] <= wanted <= maker["gross_high"]
        gain = pl.col("yes_price") - (pl.col("result") == "yes").cast(pl.Float64)
        rows = frame.select("count", gain=pl.when(pl.col("taker_outcome_side") == "yes").then(gain).otherwise(-gain))
        error = (rows["count"] * (rows["gain"] - maker["gross"])).pow(2).sum() ** 0.5 / rows["count"].sum()
        naive += abs(maker["gross"] - wanted) <= 1.96 * error
    print(f"clustered {ours}, naive {naive} of {SEEDS}")
    assert binomtest(ours, SEEDS, 0.95).pvalue > 0.001
    assert binomtest(naive, SEEDS, 0.95, alternative="less").pvalue < 0.001


@pytest.mark.recordings
def test_a_recorded_signal_loses_what_it_lost() -> None:
    """The figures that the recording came with: gross -0.2897, net -0.3005, hits 24.78%; its fees follow the exchange's formula."""
    folder = os.environ.get("KALSHI_LAB_RECORDINGS")
    if not folder:
        pytest.skip("KALSHI_LAB_RECORDINGS is not set")
    rows = pl.read_parquet(Path(folder) / "bulk" / "opening_price_signals.parquet")
    bought = pl.when(pl.col("direction") == 1).then(pl.col("p")).otherwise(1 - pl.col("p"))
    won = pl.when(pl.col("direction") == 1).then(pl.col("y")).otherwise(1 - pl.col("y"))
    cost = (won - bought - pl.col("gross_pnl")).round(6)  # half the opening spread, which the file leaves out
    paid = pl.when(pl.col("direction") == 1).then(pl.col("p") + cost).otherwise(pl.col("p") - cost).clip(0.01, 0.99)
    signals = rows.with_columns(
        side=pl.when(pl.col("direction") == 1).then(pl.lit("yes")).otherwise(pl.lit("no")),
        cost=cost,
        own_fee=FEE * paid * (1 - paid),
    )
    assert signals["cost"].min() >= 0
    assert (signals["own_fee"] - signals["fee"]).abs().max() < 2e-6
    result = kl.returns(
        signals,
        price="p",
        side="side",
        outcome="y",
        count=None,
        cluster="ticker",
        cost="cost",
        fee="own_fee",
        weight="trade",
    )
    taker = overall(result, "taker")
    assert (taker["n"], round(taker["gross"], 4), round(taker["net"], 4)) == (7865, -0.2897, -0.3005)
    assert round(taker["hit_rate"], 4) == 0.2478
    assert taker["net_high"] < 0
