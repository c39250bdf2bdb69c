"""What counts as a forecast: every kind of column that means one, and refusals by name for what does not."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from kalshi_lab.analysis.calibration import calibration
from kalshi_lab.analysis.forecasts import prepared
from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from kalshi_lab.analysis.result import Calibration


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


def test_prices_as_floats_decimals_and_text_give_the_same_digits() -> None:
    """The kind of the column is no part of the answer."""
    texts = ["0.0500", "0.333333", "0.1", "0.999999", "1", None]
    outcome = [True, False, False, True, True, True]
    frames = [
        pl.DataFrame({"price": texts, "outcome": outcome}),
        pl.DataFrame({"price": [None if text is None else float(text) for text in texts], "outcome": outcome}),
        pl.DataFrame({"price": [None if text is None else Decimal(text) for text in texts], "outcome": outcome}),
        pl.DataFrame({"price": texts, "outcome": outcome}).cast({"price": pl.Decimal(38, 9)}),
    ]
    results = [calibration(frame) for frame in frames]
    for result in results:
        same(results[0], result)
    assert results[0].excluded == {"no price": 1}


def test_floats_are_rounded_half_to_even_at_the_sixth_decimal() -> None:
    """As the docstring says."""
    ready = prepared(
        pl.DataFrame({"price": [0.0000005, 0.0000015, 0.12345678, 1.0000000000000002], "outcome": [1, 0, 1, 0]}),
        price="price",
        outcome="outcome",
    )
    assert [str(price) for price in ready["price"]] == ["0.000000", "0.000002", "0.123457", "1.000000"]


@pytest.mark.parametrize(
    "outcome",
    [[True, False, None], [1, 0, None], [1.0, 0.0, None], ["yes", "no", None], [Decimal(1), Decimal("0.0"), None]],
)
def test_outcomes_of_every_kind_mean_the_same(outcome: list[Any]) -> None:
    """Flags, numbers and the exchange's words; null is no outcome and is counted as such."""
    result = calibration(pl.DataFrame({"price": [0.5, 0.25, 0.75], "outcome": outcome}))
    assert (result.n, result.base_rate, result.excluded) == (2, 0.5, {"no outcome": 1})
    assert result.brier == pytest.approx((0.25 + 0.0625) / 2)


GOOD = {"price": [0.2, 0.4], "outcome": [True, False], "w": [1.0, 2.0], "g": [0.5, 0.5], "n": ["a", "b"]}


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({}, {"price": "pric"}, "unknown column 'pric'.*Did you mean 'price'"),
        ({}, {"cluster": "event"}, "unknown column 'event'"),
        ({"price": [0.2, 1.2]}, {}, "column 'price': 1 row holds no price in .0, 1., the first of them 1.2"),
        ({"price": [-0.01, 1.2]}, {}, "column 'price': 2 rows hold"),
        ({"price": [42, 1]}, {}, "column 'price': 1 row holds.*divide cents by 100"),
        ({"price": [math.nan, 0.5]}, {}, "column 'price': 1 row"),
        ({"price": [math.inf, 0.5]}, {}, "column 'price': 1 row"),
        ({"price": ["0.1234567", "0.5"]}, {}, "column 'price': 1 row.*0.1234567"),
        ({"price": ["", "5e-1"]}, {}, "column 'price': 2 rows"),
        ({"price": [Decimal("0.1234567"), Decimal(0)]}, {}, "column 'price': 1 row"),
        ({"price": [True, False]}, {}, "column 'price': 2 rows"),
        ({"outcome": ["yes", "scalar"]}, {}, "column 'outcome': 1 row holds no outcome, the first of them 'scalar'"),
        ({"outcome": ["Yes", ""]}, {}, "column 'outcome': 2 rows"),
        ({"outcome": [1, 2]}, {}, "column 'outcome': 1 row"),
        ({"outcome": [math.nan, 1.0]}, {}, "column 'outcome': 1 row"),
        ({"outcome": [date(2026, 1, 1), None]}, {}, "column 'outcome': 1 row"),
        ({"w": [-1.0, 1.0]}, {"weight": "w"}, "column 'w': 1 row holds no weight"),
        ({"w": [math.inf, math.nan]}, {"weight": "w"}, "column 'w': 2 rows"),
        ({}, {"by": "g"}, "column 'g' of type Float64 is nothing to group by"),
        ({}, {"by": "n"}, "by='n' is a column of the result"),
        ({}, {"by": ["w", "w"]}, "by='w' is given twice"),
        ({}, {"bins": 0}, "bins=0"),
        ({}, {"bins": True}, "bins=True"),
        ({}, {"bins": [0, 0.5]}, "do not run from 0 to 1"),
        ({}, {"bins": [0, 0.5, 0.5, 1]}, "do not run from 0 to 1"),
        ({}, {"bins": [0, "x", 1]}, "are no edges"),
        ({}, {"bins": 2.5}, "are no edges"),
        ({}, {"confidence": 95}, "confidence 95"),
    ],
)
def test_bad_input_is_refused_by_name(change: dict[str, Any], options: dict[str, Any], words: str) -> None:
    """What was wrong, in which column, in how many rows, and what would be right."""
    with pytest.raises(UsageError, match=words):
        calibration(pl.DataFrame(GOOD | change), **options)


def test_pandas_frames_are_taken_with_their_gaps() -> None:
    """NaN, NA and None of pandas are null, and pyarrow is not asked for."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"price": [0.2, None, 0.7, 0.9], "outcome": ["yes", "no", None, "no"], "event": ["a", "b", "c", None]}
    )
    frame["w"] = pandas.array([1, 2, 3, None], dtype="Int64")
    result = calibration(frame, weight="w")
    assert (result.n, result.excluded) == (1, {"no outcome": 1, "no price": 1, "no weight": 1})
    assert calibration(frame, cluster="event").clusters == 1
    with pytest.raises(UsageError, match="unknown column 'prices'"):
        calibration(frame, price="prices")


def test_small_integers_single_floats_and_columns_of_nothing_are_taken() -> None:
    """Any width of number reads the same, and a column of nulls only is one group."""
    types = {"price": pl.UInt8, "outcome": pl.UInt8, "w": pl.Int8, "nothing": pl.Null, "day": pl.Int16}
    frame = pl.DataFrame(
        {"price": [0, 1], "outcome": [0, 1], "w": [100, 3], "nothing": [None] * 2, "day": [1, 2]}, schema=types
    )
    result = calibration(frame, weight="w", by=["nothing", "day"])
    assert result.frame().select("nothing", "day", "weight").rows() == [(None, 1, 100.0), (None, 2, 3.0)]
    single = pl.DataFrame({"price": [cent / 100 for cent in range(101)]}, schema={"price": pl.Float32})
    assert calibration(single.with_columns(outcome=True), bins=100).frame()["n"].to_list() == [1] * 99 + [2]


def test_lazy_frames_and_plain_columns_are_taken() -> None:
    """Whatever Polars makes a frame of."""
    same(calibration(SMALL.lazy()), calibration(SMALL))
    same(calibration(SMALL.to_dict(as_series=False)), calibration(SMALL))
