"""Frames that users give: what is none is refused in words, and one of pandas is as good as one of Polars."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import kalshi_lab as kl
from kalshi_lab.analysis.given import framed, given
from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TAKE_FRAMES: dict[str, Callable[[Any], object]] = {
    "backtest": lambda it: kl.backtest(lambda _: [], it, it),
    "bars": lambda it: kl.bars(it, every="1h"),
    "calibration": kl.calibration,
    "compare": lambda it: kl.compare(it, "a", "b"),
    "correlation": kl.correlation,
    "edge": lambda it: kl.edge(it, fees=("quadratic", 1)),
    "impact": kl.impact,
    "kelly": lambda it: kl.kelly(it, bankroll=100),
    "ladder": kl.ladder,
    "lead_lag": kl.lead_lag,
    "ledger": kl.ledger,
    "longshots": kl.longshots,
    "metrics": lambda it: kl.metrics(it, start=NOON, end=NOON, ticker="A"),
    "movers": lambda it: kl.movers(it, it, over="an hour"),
    "recalibrate": kl.recalibrate,
    "returns": kl.returns,
    "scan": lambda it: kl.scan(it, "close_race", now=NOON),
    "size_effects": kl.size_effects,
    "spreads": lambda it: kl.spreads(it, it),
    "timeline": lambda it: kl.timeline(it, ticker="A"),
    "timing": kl.timing,
    "volume_profile": kl.volume_profile,
}
TAKE_OTHERS: dict[str, Callable[[Any], object]] = {
    "arbitrage": lambda it: kl.arbitrage({}, it, fees=("quadratic", 1)),
    "frame": lambda it: kl.frame([it]),
    "liquidity": kl.liquidity,
    "safe_size": kl.safe_size,
    "slippage": lambda it: kl.slippage(it, 5),
}


@pytest.mark.parametrize("called", [*TAKE_FRAMES, *TAKE_OTHERS])
@pytest.mark.parametrize(
    "wrong",
    [3, "a path.csv", None, pl.DataFrame({"other": [1]}), object()],
    ids=["number", "text", "none", "other columns", "object"],
)
def test_what_is_no_frame_is_refused_in_words(called: str, wrong: Any) -> None:
    """Never an error of Polars or Python: each says in our words what was wrong."""
    with pytest.raises(UsageError):
        (TAKE_FRAMES | TAKE_OTHERS)[called](wrong)


def test_every_public_function_that_takes_a_frame_is_tried() -> None:
    """The list above is whole."""
    functions = {one: getattr(kl, one) for one in kl.__all__ if inspect.isfunction(getattr(kl, one))}
    takes = {
        called
        for called, function in functions.items()
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty and "DataFrame" in str(parameter.annotation)
    }
    assert len(takes) > 10
    assert takes <= set(TAKE_FRAMES)


def test_what_is_no_list_of_objects_is_no_frame() -> None:
    with pytest.raises(UsageError, match="NoneType is no list of objects"):
        kl.frame(None)  # type: ignore[arg-type]


def test_a_dictionary_and_a_lazy_frame_are_frames() -> None:
    made = {"ticker": ["A"], "price": [0.5]}
    for one in (made, pl.DataFrame(made), pl.LazyFrame(made)):
        assert_frame_equal(given(one, "ticker"), pl.DataFrame(made))


def test_a_missing_column_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown column 'prices'.*'price'"):
        given(pl.DataFrame({"price": [1]}), "prices")


def test_pandas_keeps_its_gaps_and_its_times() -> None:
    """NaN, NA, NaT and None are null, zones stay, and a column of mixed types matters only where it is asked for."""
    pandas = pytest.importorskip("pandas")
    rows = {"n": [1.5, None], "when": [NOON, None], "word": ["a", None], "mixed": [1, "b"]}
    frame = pandas.DataFrame(rows)
    frame["whole"] = pandas.array([1, None], dtype="Int64")
    made = given(frame, "n", "when", "word", "whole")
    assert made["n"].to_list() == [1.5, None]
    assert made["when"].to_list() == [NOON, None]
    assert (made["word"].to_list(), made["whole"].to_list()) == (["a", None], [1, None])
    with pytest.raises(UsageError, match="'mixed' holds values of several types"):
        framed(frame, {"role": "mixed", "none": None})
