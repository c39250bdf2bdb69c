"""Calibration of frames: exact input, honest counts, and the same digits whatever the road."""

from __future__ import annotations

import math
import os
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from kalshi_lab.analysis.calibration import asked, calibration
from kalshi_lab.analysis.comparison import compare
from kalshi_lab.analysis.recalibration import recalibrate
from kalshi_lab.errors import UsageError
from kalshi_lab.store import memory

if TYPE_CHECKING:
    from kalshi_lab.analysis.result import Calibration

RECORDINGS = os.environ.get("KALSHI_LAB_RECORDINGS")
ROWS = st.lists(
    st.tuples(
        st.integers(0, 10**6).map(lambda p: Decimal(p).scaleb(-6)),
        st.booleans(),
        st.sampled_from("abcde"),
        st.integers(0, 4),
    ),
    max_size=40,
)
FEW = settings(max_examples=30, deadline=None)


class Spy:
    """The real engine, which keeps what it returned and may see more frames."""

    def __init__(self, **more: pl.DataFrame) -> None:
        self.more = more
        self.reduced = pl.DataFrame()

    def run(self, sql: str, **frames: pl.DataFrame) -> pl.DataFrame:
        self.reduced = memory.run(sql, **frames, **self.more)
        return self.reduced


def made(rows: list[tuple[Decimal, bool, str, int]]) -> pl.DataFrame:
    schema = {"price": pl.Decimal(9, 6), "outcome": pl.Boolean, "event": pl.String, "volume": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def same(one: Calibration, other: Calibration) -> None:
    """Equal to the last digit."""
    assert_frame_equal(one.frame(), other.frame(), check_exact=True)
    assert_frame_equal(one.scores, other.scores, check_exact=True)
    assert one.excluded == other.excluded
    assert repr(one) == repr(other)


SMALL = pl.DataFrame(
    {
        "price": [0.05, 0.05, 0.15, 0.95, 1.0, 0.0],
        "outcome": [False, True, False, True, True, False],
        "event": ["a", "b", "a", "b", "c", "c"],
    }
)


def test_the_table_holds_what_can_be_counted_by_hand() -> None:
    """Three of six forecasts in the lowest bin, with their mean, their wins and their gap."""
    result = calibration(SMALL, cluster="event")
    table = result.frame()
    assert table["bin_low"].to_list() == [0.0, 0.1, 0.9]
    assert table["bin_high"].to_list() == [0.1, 0.2, 1.0]
    assert table["n"].to_list() == [3, 1, 2]
    assert table["clusters"].to_list() == [3, 1, 2]
    assert table["weight"].to_list() == [3.0, 1.0, 2.0]
    assert table["mean_price"].to_list() == pytest.approx([0.1 / 3, 0.15, 0.975])
    assert table["win_rate"].to_list() == pytest.approx([1 / 3, 0, 1])
    assert table["gap"].to_list() == pytest.approx([0.3, -0.15, 0.025])
    assert table["low"].is_null().to_list() == table["high"].is_null().to_list() == [False, True, False]
    assert result.brier == pytest.approx((0.05**2 + 0.95**2 + 0.15**2 + 0.05**2) / 6)
    assert (result.n, result.clusters, result.base_rate, result.impossible) == (6, 3, 0.5, 0)
    assert result.log_score == pytest.approx(-(2 * math.log(0.95) + math.log(0.05) + math.log(0.85)) / 6)


def test_every_cent_lies_in_the_bin_that_holds_its_lower_edge() -> None:
    """Floats like 0.29 and 0.7 neither slip below their edge nor above it; 1.00 belongs to the last bin."""
    cents = list(range(101))
    frame = pl.DataFrame({"price": [cent / 100 for cent in cents], "outcome": [False] * 101})
    table = calibration(frame, bins=100).frame()
    assert table["n"].to_list() == [1] * 99 + [2]
    edges = calibration(frame, bins=[0, 0.29, Decimal("0.57"), 0.58, 1]).frame()
    assert edges["n"].to_list() == [29, 28, 1, 43]
    assert calibration(frame, bins=3).frame()["n"].to_list() == [34, 33, 34]


def test_rows_that_cannot_count_are_counted() -> None:
    """Each left-out row has one reason; a zero weight is no weight."""
    frame = pl.DataFrame(
        {
            "price": [None, 0.1, 0.2, 0.3, 0.4, 0.5],
            "outcome": [None, None, True, True, False, True],
            "event": ["a", "a", None, "a", "b", "c"],
            "w": [1.0, 1.0, 1.0, 0.0, None, 2.5],
        }
    )
    result = calibration(frame, cluster="event", weight="w")
    assert result.excluded == {"no cluster": 1, "no outcome": 1, "no price": 1, "no weight": 2}
    assert result.n == 1
    assert "excluded: 1 with no cluster, 1 with no outcome, 1 with no price, 2 with no weight" in repr(result)


OPTIONS: list[dict[str, Any]] = [{}, {"cluster": "event"}, {"weight": "volume"}, {"by": ["event", "day"], "bins": 4}]


@pytest.mark.parametrize("options", OPTIONS)
def test_nothing_in_gives_nothing_out_in_the_same_shape(options: dict[str, Any]) -> None:
    """An empty frame is a result with empty tables of the usual columns and types, and scores of None."""
    full = made([(Decimal("0.2"), True, "a", 1), (Decimal("0.7"), False, "b", 2)]).with_columns(day=date(2026, 1, 1))
    empty, some = calibration(full.clear(), **options), calibration(full, **options)
    assert empty.frame().schema == some.frame().schema
    assert empty.scores.schema == some.scores.schema
    assert empty.frame().is_empty()
    figures = (empty.brier, empty.skill, empty.log_score, empty.ece, empty.base_rate, empty.decomposition)
    assert figures == (None,) * 6
    assert (empty.n, empty.excluded, empty.conclusion) == (0, {}, "no forecasts")
    assert "0 forecasts" in empty._repr_html_()


def test_a_refuted_certainty_is_an_infinite_log_score_that_says_how_many() -> None:
    """Prices of exactly 0 and 1 count as they stand, and only the refuted ones are impossible."""
    result = calibration(pl.DataFrame({"price": [0.0, 1.0, 1.0, 0.5], "outcome": [True, False, True, True]}))
    assert result.log_score == math.inf
    assert result.impossible == 2
    assert "inf (2 impossible outcomes)" in result._repr_html_()


def test_groups_are_what_separate_calibrations_would_be() -> None:
    """A row a group and bin, scores for all and for each, keys of their own types."""
    frame = SMALL.with_columns(
        city=pl.Series(["NY", "NY", None, "LA", "LA", "NY"], dtype=pl.Categorical),
        at=pl.Series([datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)] * 3),
    )
    result = calibration(frame, by=["city", "at"], cluster="event")
    assert result.frame().schema["at"] == frame.schema["at"]
    assert result.frame().columns[:4] == ["city", "at", "bin_low", "bin_high"]
    parts = frame.partition_by("city", "at", as_dict=True)
    assert result.scores.height == len(parts) + 1
    for (city, at), part in parts.items():
        alone = calibration(part, cluster="event")
        chosen = pl.col("city").eq_missing(pl.lit(city)) & (pl.col("at") == at)
        assert_frame_equal(result.frame().filter(chosen).drop("city", "at"), alone.frame(), check_exact=True)
        assert_frame_equal(
            result.scores.filter(chosen & ~pl.col("overall")).drop("city", "at", "overall"),
            alone.scores.drop("overall"),
            check_exact=True,
        )
    whole = calibration(frame, cluster="event")
    assert_frame_equal(result.scores.filter("overall").drop("city", "at"), whole.scores, check_exact=True)
    assert_frame_equal(result.bins, whole.frame(), check_exact=True)


@pytest.mark.long
@FEW
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_digit(rows: list[tuple[Decimal, bool, str, int]], random: Any) -> None:
    """Sums are exact, so nothing depends on who came first."""
    shuffled = list(rows)
    random.shuffle(shuffled)
    options: dict[str, Any] = {"cluster": "event", "weight": "volume", "bins": 4}
    same(calibration(made(rows), **options), calibration(made(shuffled), **options))


@pytest.mark.long
@FEW
@given(ROWS)
def test_a_weight_of_three_is_three_rows(rows: list[tuple[Decimal, bool, str, int]]) -> None:
    """Weights and repeated rows agree in every score and interval; only counts of rows differ."""
    repeated = [(price, won, event, 1) for price, won, event, volume in rows for _ in range(volume)]
    weighted, copied = (
        calibration(made(rows), cluster="event", weight="volume"),
        calibration(made(repeated), cluster="event"),
    )
    assert_frame_equal(weighted.frame().drop("n"), copied.frame().drop("n"), abs_tol=1e-12)
    assert_frame_equal(weighted.scores.drop("n", "impossible"), copied.scores.drop("n", "impossible"), abs_tol=1e-12)


@pytest.mark.long
@FEW
@given(ROWS, st.integers(1, 12))
def test_the_parts_add_up_for_every_group(rows: list[tuple[Decimal, bool, str, int]], bins: int) -> None:
    """reliability - resolution + uncertainty + within_bin is the Brier score, overall and by group."""
    result = calibration(made(rows), by="event", weight="volume", bins=bins)
    parts = pl.col("reliability") - pl.col("resolution") + pl.col("uncertainty") + pl.col("within_bin")
    off = result.scores.select((parts - pl.col("brier")).abs()).to_series().drop_nulls()
    assert all(miss < 1e-14 for miss in off)


def test_the_reduction_is_small_and_exact() -> None:
    """A hundred thousand unclustered trades reduce to a row a price and outcome, of whole numbers and decimals only."""
    spy = Spy()
    places = pl.int_range(100_000, eager=True)
    frame = pl.DataFrame({"price": (places % 99 + 1) / 100, "outcome": places % 7 < 3, "w": (places % 13 + 1) / 4})
    result = calibration(frame, weight="w", engine=spy)
    assert result.n == 100_000
    assert spy.reduced.height == 198
    assert not any(dtype.is_float() for dtype in spy.reduced.dtypes)
    assert result.frame()["weight"].sum() == frame["w"].sum()


def test_a_query_of_the_store_gives_the_answer_of_its_frame() -> None:
    """The question runs the same text over a SELECT."""
    rows = made([(Decimal(p).scaleb(-2), p % 3 == 0, "abc"[p % 3], p) for p in range(1, 100)])
    query = (
        "SELECT price, CASE WHEN outcome THEN 1 ELSE 0 END AS won, event AS cluster, volume AS weight, event AS by_0 "
        "FROM trades"
    )
    question = asked("event", "event", "volume", 10, 0.95)
    over = question.result(Spy(trades=rows).run(question.sql(query)))
    same(over, calibration(rows, by="event", cluster="event", weight="volume"))


def test_a_query_with_impossible_prices_is_refused() -> None:
    """The reduction's rows are checked too, whatever the source."""
    query = "SELECT CAST(1.5 AS DECIMAL(9, 6)) AS price, 1 AS won, NULL AS cluster, 1 AS weight"
    question = asked(None, None, None, 10, 0.95)
    with pytest.raises(UsageError, match="outside"):
        question.result(memory.run(question.sql(query)))


def test_weighted_intervals_count_rows_by_their_effective_number() -> None:
    """One row that weighs as much as all others makes the interval nearly as wide as a handful of rows would."""
    frame = pl.DataFrame({"price": [0.5] * 100, "outcome": [True, False] * 50, "w": [99.0] + [1.0] * 99})
    plain, weighted = calibration(frame).frame(), calibration(frame, weight="w").frame()
    width = [float((table["high"] - table["low"])[0]) for table in (plain, weighted)]
    assert width[1] > 3 * width[0]
    assert "effective number" in calibration(frame, weight="w").interval


def skewed(win_rate: float, price: float, n: int = 1000) -> pl.DataFrame:
    return pl.DataFrame({"price": [price] * n, "outcome": [place < win_rate * n for place in range(n)]})


@pytest.mark.parametrize(
    ("win_rate", "price", "words"),
    [
        (0.01, 0.05, "prices of 0-10c win less often than they cost: long shots overpriced"),
        (0.12, 0.05, "prices of 0-10c win more often than they cost: long shots underpriced"),
        (0.99, 0.95, "prices of 90-100c win more often than they cost: favourites underpriced"),
        (0.80, 0.95, "prices of 90-100c win less often than they cost: favourites overpriced"),
        (0.05, 0.05, "no interval leaves out its mean price (1 of 1 bins have one)"),
        (0.06, 0.05, "no interval leaves out its mean price (1 of 1 bins have one)"),
    ],
)
def test_the_conclusion_speaks_only_where_the_interval_does(win_rate: float, price: float, words: str) -> None:
    """In words, and silent about what chance explains."""
    result = calibration(skewed(win_rate, price))
    assert result.conclusion.startswith(words)
    assert words in repr(result)
    assert "\n" not in repr(result)


def test_neighbouring_bins_are_told_together_and_many_are_cut() -> None:
    """Stretches, not bins; after three of them only their number."""
    joined = calibration(pl.concat([skewed(0.01, 0.05), skewed(0.05, 0.15), skewed(0.6, 0.75)]))
    assert joined.conclusion == (
        "prices of 0-20c win less often than they cost: long shots overpriced; "
        "prices of 70-80c win less often than they cost: favourites overpriced (3 of 3 bins off, 0.2 expected by chance)"
    )
    zigzag = calibration(pl.concat([skewed(0.0 if place % 2 else 1.0, (place + 0.5) / 10) for place in range(10)]))
    assert "; and 7 more (10 of 10 bins off" in zigzag.conclusion


def test_the_card_escapes_names_from_outside() -> None:
    """A column's name and a group's value are text, not markup."""
    frame = SMALL.with_columns(pl.lit("<script>").alias("<b>"))
    card = calibration(frame, by="<b>", cluster="<b>")._repr_html_()
    assert "<script>" not in card
    assert "&lt;script&gt;" in card
    assert "<b>" not in card


@pytest.mark.recordings
@pytest.mark.skipif(not RECORDINGS, reason="KALSHI_LAB_RECORDINGS is not set")
def test_real_weather_markets_overprice_long_shots() -> None:
    """18,621 resolved temperature markets: Brier 0.140 against 0.174, and cheap contracts win less often than they cost."""
    frame = pl.read_parquet(Path(RECORDINGS or "") / "bulk" / "kxhigh_resolved.parquet")
    frame = frame.with_columns(event=pl.col("ticker").str.replace("-[^-]*$", ""))
    result = calibration(frame, price="mid_price_at_T", cluster="event")
    assert (result.n, result.clusters, result.excluded) == (18_621, 4_396, {})
    assert result.brier == pytest.approx(0.140, abs=5e-4)
    assert result.decomposition is not None
    assert result.decomposition.uncertainty == pytest.approx(0.174, abs=5e-4)
    first, second = result.frame().head(2).rows(named=True)
    assert (first["mean_price"], first["win_rate"]) == pytest.approx((0.049, 0.028), abs=5e-4)
    assert (second["mean_price"], second["win_rate"]) == pytest.approx((0.149, 0.123), abs=5e-4)
    assert first["high"] < first["mean_price"]
    assert result.conclusion.startswith("prices of 0-30c win less often than they cost: long shots overpriced")
    assert result.slope is not None
    assert result.slope > 1, "prices are drawn towards even odds"
    base = compare(frame, "mid_price_at_T", outcome="outcome", cluster="event")
    assert base.table["loss_second"][0] == pytest.approx(0.174, abs=5e-4)
    assert (base.difference or 0) < 0
    assert (base.p_value or 1) < 0.001
    mended = recalibrate(frame, price="mid_price_at_T", cluster="event", method="logit")
    assert (mended.against.difference or 0) < 0
    assert (mended.against.p_value or 1) < 0.01
    low = calibration(frame, price="mid_price_at_T", cluster="event").bootstrap(300).filter(pl.col("bin_low") == 0.0)
    assert low["high"][0] < first["mean_price"]
