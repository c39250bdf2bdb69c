"""Forecasts with a planted bias and events whose markets share their fate, drawn without a whole world."""

from __future__ import annotations

import numpy as np
import polars as pl

RHO = 0.5  # how much of a market's chance is its event's


def forecasts(seed: int, *, bias: float, events: int = 100, markets: int = 8, noise: float = 0.0) -> pl.DataFrame:
    """As the sim's makers price: log-odds of the price are the truth's times (1 - bias), so the calibration slope is 1 / (1 - bias).

    One normal draw of the event and one of the market decide together, so that each market still wins with its own true chance.
    `model` and `rival` are two forecasts that err by as much as each other, independently.
    """
    rng = np.random.default_rng(seed)
    size = (events, markets)
    chance = rng.uniform(0.05, 0.95, size)
    shock = np.sqrt(RHO) * rng.normal(size=(events, 1)) + np.sqrt(1 - RHO) * rng.normal(size=size)
    won = shock < _quantile(chance)
    odds = np.log(chance / (1 - chance))

    def priced(log_odds: np.ndarray) -> np.ndarray:
        return np.round(1 / (1 + np.exp(-log_odds)), 6)

    named = {
        "price": priced((1 - bias) * odds), "model": priced(odds + noise * rng.normal(size=size)),
        "rival": priced(odds + noise * rng.normal(size=size)), "chance": priced(odds), "outcome": won,
        "event_ticker": np.broadcast_to(np.arange(events)[:, None], size),
    }  # fmt: skip
    frame = pl.DataFrame({name: value.ravel() for name, value in named.items()})
    return frame.with_columns(pl.format("E{}", "event_ticker").alias("event_ticker"), seed=pl.lit(seed, pl.Int32))


def _quantile(share: np.ndarray) -> np.ndarray:
    from scipy.stats import norm

    return np.asarray(norm.ppf(share))
