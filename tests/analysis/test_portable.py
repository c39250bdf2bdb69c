"""What the analyses ask of an engine is asked in words that Spark knows too."""

from __future__ import annotations

import importlib
import logging
import pkgutil
import re
from datetime import timedelta
from fractions import Fraction

import pytest

from kalshi_lab import analysis
from kalshi_lab.analysis import ladder_history, longshots, returns, spreads, volume
from kalshi_lab.analysis.calibration import Question
from kalshi_lab.analysis.labelled import BY, PRICES, WEIGHTS, Labelled
from kalshi_lab.analysis.tape import edges

TAPE, SEEN = "SELECT * FROM trades", "SELECT * FROM quotes"


def asked() -> dict[str, str]:
    """Every reduction, filled in as it is run."""
    plain = {
        name: module.REDUCTION
        for _, name, _ in pkgutil.iter_modules(analysis.__path__)
        if hasattr(module := importlib.import_module(f"{analysis.__name__}.{name}"), "REDUCTION")
    }
    halves = (Fraction(0), Fraction(1, 2), Fraction(1))
    filled = {
        "bars": plain["bars"].format(width=3_600_000_000),
        "calibration": Question(("series",), "event_ticker", None, halves, 0.95).sql(TAPE),
        "longshots": longshots.Question("contract", edges(10), 0.95, True).sql(TAPE),
        "returns": returns.Question(extra=("cost", "fee"), sizes=(0, 1, 10)).sql(TAPE),
        "spreads": spreads.Question(timedelta(minutes=5), timedelta(hours=1)).sql(TAPE, SEEN),
        "volume": plain["volume"].format(key=next(iter(volume._KEYS.values()))),
        "ladder_history": ladder_history.QUESTIONS["1h"],
    }
    for price in PRICES:
        for weight in WEIGHTS:
            filled[f"labelled {price} {weight}"] = Labelled.asked(["1h", "1d"], price, weight, "KXHIGHNY").reduced(BY)
    # a parameter's place is the engine's own affair: a value stands there
    return {name: re.sub(r"\$(\d+)", r"'\1'", sql) for name, sql in (plain | filled).items()}


REDUCTIONS = asked()


def test_none_is_forgotten() -> None:
    """A reduction with a gap that this file does not fill would be tried as no engine ever runs it."""
    assert len(REDUCTIONS) >= 20
    for name, sql in REDUCTIONS.items():
        assert not re.search(r"\{\w*\}", sql), name


@pytest.mark.parametrize("name", sorted(REDUCTIONS))
def test_a_reduction_is_spark_too(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Each parses as DuckDB's, comes out as Spark's without a warning, and calls no function that the translator has not heard of."""
    sqlglot = pytest.importorskip("sqlglot")
    with caplog.at_level(logging.WARNING, logger="sqlglot"):
        tree = sqlglot.parse_one(REDUCTIONS[name], read="duckdb")
        made = sqlglot.transpile(
            REDUCTIONS[name], read="duckdb", write="spark", unsupported_level=sqlglot.ErrorLevel.RAISE
        )
    assert len(made) == 1
    assert caplog.messages == []
    assert [each.name for each in tree.find_all(sqlglot.exp.Anonymous)] == []
    assert sqlglot.parse_one(made[0], read="spark") is not None
    assert "::" not in REDUCTIONS[name]


def test_a_word_that_spark_does_not_know_is_found() -> None:
    """The check can fail."""
    sqlglot = pytest.importorskip("sqlglot")
    tree = sqlglot.parse_one("SELECT epoch_us(time) FROM trades", read="duckdb")
    assert [each.name for each in tree.find_all(sqlglot.exp.Anonymous)] == ["epoch_us"]
