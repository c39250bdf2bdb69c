"""Series and trades with planted numbers, a pure function of the seed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import polars as pl
from scipy.stats import binomtest

from kalshi_lab.store.arrow import Arrow
from kalshi_lab.store.connection import fetch

START = datetime(2026, 1, 5, tzinfo=UTC)
HOURS = 169  # a week of hourly changes


class OneConnection:
    """DuckDB in memory, opened once for hundreds of small questions."""

    def __init__(self) -> None:
        self._connection = duckdb.connect(":memory:", config={"threads": 1})

    def run(self, sql: str, **frames: pl.DataFrame) -> pl.DataFrame:
        for name, one in frames.items():
            self._connection.register(name, Arrow(one))
        return fetch(self._connection, sql)


def frame(values: np.ndarray) -> pl.DataFrame:
    """Series as a long frame, an hour a column."""
    series, hours = values.shape
    return pl.DataFrame(
        {
            "ticker": np.repeat([f"S{place:02d}" for place in range(series)], hours).tolist(),
            "time": [START + timedelta(hours=hour) for hour in range(hours)] * series,
            "mid": values.ravel().tolist(),
        }
    )


def walks(seed: int, series: int = 2) -> np.ndarray:
    """Independent random walks."""
    return np.cumsum(np.random.default_rng(seed).normal(size=(series, HOURS)), axis=1)


def ticked(seed: int, series: int = 2, scale: float = 0.03) -> np.ndarray:
    """Independent walks that stay in [0, 1] and are quoted in whole cents."""
    steps = np.random.default_rng(seed).normal(size=(series, HOURS)) * scale
    at, kept = np.full(series, 0.5), []
    for step in steps.T:
        at = np.clip(at + step, 0.0, 1.0)
        kept.append(at)
    return np.round(np.array(kept).T, 2)


def trades(seed: int, coefficient: float, *, half: float = 0.01, orders: int = 600) -> pl.DataFrame:
    """Trades whose price moves for good by coefficient x sqrt(contracts) in the taker's direction."""
    draw = np.random.default_rng(seed)
    sign = np.where(draw.random(orders) < 0.5, 1, -1)
    size = np.ceil(np.exp(2 + draw.normal(size=orders)) * 100) / 100
    value = 0.5 + np.cumsum(coefficient * sign * np.sqrt(size) + draw.normal(size=orders) * 0.003)
    return pl.DataFrame(
        {
            "ticker": ["A"] * orders, "created_time": [START + timedelta(seconds=place) for place in range(orders)],
            "yes_price": np.clip(np.round(value + half * sign, 4), 0, 1).tolist(), "count": size.tolist(),
            "taker_outcome_side": np.where(sign > 0, "yes", "no").tolist(),
        }
    )  # fmt: skip


def not_rejected(hits: int, trials: int, share: float) -> bool:
    """Whether a two-sided binomial test at 0.001 bears with so many hits."""
    return bool(binomtest(hits, trials, share).pvalue >= 0.001)


def no_more_than(hits: int, trials: int, share: float) -> bool:
    """Whether a one-sided binomial test at 0.001 bears with so many hits."""
    return bool(binomtest(hits, trials, share, alternative="greater").pvalue >= 0.001)
