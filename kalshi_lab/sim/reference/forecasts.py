"""What the world itself expects of an event's figure, as percentiles over time."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from kalshi_lab.sim.candles import period_ends
from kalshi_lab.sim.catalog import BITCOIN, INFLATION
from kalshi_lab.sim.layout import ABOVE, LADDER
from kalshi_lab.sim.paths import STEPS
from kalshi_lab.sim.queries import bad, missing
from kalshi_lab.sim.wire import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalshi_lab.sim.catalog import Spec
    from kalshi_lab.sim.queries import Query
    from kalshi_lab.sim.render import Json
    from kalshi_lab.sim.world import World

MOST = 5_000
_WHOLE = 10_000


class Forecasts:
    """Answers from the hidden values: given a moment, what decides the event is normally distributed around its path."""

    def __init__(self, world: World, now: Callable[[], int]) -> None:
        self.world, self.now = world, now

    def history(self, query: Query, series_ticker: str, ticker: str) -> Json:
        """GET /series/{series_ticker}/events/{ticker}/forecast_percentile_history; nothing for questions without a figure."""
        event = self.world.names.find_event(ticker)
        if event is None or self.world.event_status(self.now())[event] < 0:
            raise missing()
        spec = self.world.names.spec(event)
        if spec.ticker != series_ticker:
            raise missing()
        asked, minutes = _percentiles(query), query.needed("period_interval")
        ends = self._ends(query, event, minutes)
        if self.world.names.shape(event) not in {LADDER, ABOVE}:
            ends = []
        steps = self.world.paths.step(np.full(len(ends), event), np.array(ends, dtype=np.int64) * SECOND)
        centers = self.world.paths.latent(np.full(len(ends), event), steps).tolist()
        width = float(self.world.events.width[event])
        spreads = [width * math.sqrt(1.0 - step / STEPS) for step in steps.tolist()]
        return {
            "forecast_history": [
                {
                    "event_ticker": ticker,
                    "end_period_ts": end,
                    "period_interval": minutes,
                    "percentile_points": [_point(one, center, spread, spec) for one in asked],
                }
                for end, center, spread in zip(ends, centers, spreads, strict=True)
            ]
        }

    def _ends(self, query: Query, event: int, minutes: int) -> list[int]:
        first, last = query.needed("start_ts"), query.needed("end_ts")
        if minutes not in {0, 1, 60, 1440}:
            raise bad("parameter period_interval must be 0, 1, 60 or 1440")
        if last < first:
            raise bad("end_ts is before start_ts")
        if (last - first) // (minutes * 60 or 5) + 1 > MOST:
            raise bad(f"too many periods requested, at most {MOST}")
        first = max(first, int(self.world.events.open[event]) // SECOND + 1)
        last = min(last, self.now() // SECOND, int(self.world.events.close[event]) // SECOND)
        return period_ends(first, last, minutes) if minutes else list(range(-(-first // 5) * 5, last + 1, 5))


def _percentiles(query: Query) -> list[int]:
    """Hundredths of a percent. Raises Refused."""
    try:
        asked = [int(text) for text in query.repeated("percentiles", 10)]
    except ValueError:
        raise bad("invalid parameter percentiles") from None
    if not all(0 <= one < _WHOLE for one in asked):
        raise bad(f"parameter percentiles must be between 0 and {_WHOLE - 1}")
    return asked


def _point(percentile: int, center: float, spread: float, spec: Spec) -> Json:
    # the lowest percentile of a normal distribution has no value, so it is read a half step inside
    share = max(percentile, 0.5) / _WHOLE
    raw = NormalDist(center, spread).inv_cdf(share) if spread > 0 else center
    value = round(raw, spec.decimals)
    return {
        "percentile": percentile,
        "raw_numerical_forecast": raw,
        "numerical_forecast": value,
        "formatted_forecast": _formatted(value, spec),
    }


def _formatted(value: float, spec: Spec) -> str:
    if spec is BITCOIN:
        return f"${value:,.2f}"
    if spec is INFLATION:
        return f"{value:.1f}%"
    return f"{value:.1f} points" if spec.league else f"{value:.0f}°"
