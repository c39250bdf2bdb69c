"""Trades whose planted numbers are known, drawn without a whole world."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

START = datetime(2026, 11, 2, tzinfo=UTC)


def trades(
    seed: int, *, bias: float, edge: float, events: int = 50, markets: int = 5, per_market: int = 6
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Trades of events whose markets share their fate, and for each trade the true chance of YES.

    As in the sim: log-odds of the price are the truth's shrunk by `bias`, and the taker pays `edge` dollars above that belief. Whether an
    event's markets win hangs on one draw of the event, so its trades win and lose together.
    """
    rng = np.random.default_rng(seed)
    event = np.repeat(np.arange(events), markets * per_market)
    market = np.repeat(np.arange(events * markets), per_market)
    chance = rng.uniform(0.05, 0.95, events * markets)
    fate = rng.uniform(size=events)
    won = (np.repeat(fate, markets) < chance)[market]
    chance = chance[market]
    believed = 1 / (1 + np.exp(-(1 - bias) * np.log(chance / (1 - chance))))
    yes = rng.uniform(size=len(event)) < 0.6
    price = np.clip(np.round(np.where(yes, believed + edge, believed - edge), 4), 0.001, 0.999)
    size = np.round(np.exp(rng.normal(2.0, 1.0, len(event))) + 0.01, 2)
    at = [START + timedelta(seconds=int(s)) for s in rng.integers(0, 86_400 * 3, len(event))]
    named: dict[str, Any] = {
        "event_ticker": [f"E{number}" for number in event],
        "ticker": [f"E{one}-M{other}" for one, other in zip(event, market, strict=True)],
        "created_time": pl.Series(at, dtype=pl.Datetime("us", "UTC")),
        "yes_price": price,
        "taker_outcome_side": np.where(yes, "yes", "no"),
        "count": size,
        "result": np.where(won, "yes", "no"),
    }
    frame = pl.DataFrame(named)
    return frame, frame.with_columns(chance=pl.Series(chance))


def planted(frame: pl.DataFrame) -> dict[str, float]:
    """What takers earn per contract and how steep the line of gains on prices is, on average over all fates, given these trades."""
    held = frame.with_columns(
        c=pl.when(pl.col("taker_outcome_side") == "yes").then("yes_price").otherwise(1 - pl.col("yes_price")),
        q=pl.when(pl.col("taker_outcome_side") == "yes").then("chance").otherwise(1 - pl.col("chance")),
    )
    c, gain, w = (
        held.select(each).to_series().to_numpy() for each in (pl.col("c"), pl.col("q") - pl.col("c"), pl.col("count"))
    )
    middle = np.average(c, weights=w)
    return {
        "taker": float(np.average(gain, weights=w)),
        "slope": float(np.sum(w * (c - middle) * gain) / np.sum(w * (c - middle) ** 2)),
    }


def planted_from_both_sides(frame: pl.DataFrame) -> float:
    """The same slope where every trade counts once for its buyer of YES and once for its buyer of NO."""
    price, chance = frame["yes_price"].to_numpy(), frame["chance"].to_numpy()
    return float(np.sum((price - 0.5) * (chance - price)) / np.sum((price - 0.5) ** 2))
