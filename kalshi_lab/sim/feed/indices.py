"""Made-up reference prices: a smooth wave with noise, the same at the same moment for everybody."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from kalshi_lab.sim.draws import normal
from kalshi_lab.sim.wire import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kalshi_lab.sim.draws import Ints

_INDEX = 0x4958
_BACKLOG = 60
MILLISECOND = 1_000
FAST = ("BRTI", "ETHUSD_RTI", "SOLUSD_RTI", "XRPUSD_RTI", "DOGEUSD_RTI")
_LEVELS = {
    "BRTI": 90_000.0,
    "ETHUSD_RTI": 3_100.0,
    "SOLUSD_RTI": 140.0,
    "XRPUSD_RTI": 2.2,
    "DOGEUSD_RTI": 0.16,
    "BCHUSD_RTI": 480.0,
}
_UNDERLYINGS = {"BTC/USD": 90_000.0, "XAU/USD": 4_050.0, "EUR/USD": 1.155, "WTI": 58.0}
INTERVALS = {"cfbenchmarks_value": SECOND, "cfbenchmarks_value_5hz": SECOND // 5, "pyth_value": SECOND}


def known(channel: str) -> list[str]:
    """What a channel has."""
    if channel == "pyth_value":
        return sorted(_UNDERLYINGS)
    return sorted(FAST if channel == "cfbenchmarks_value_5hz" else _LEVELS)


def ticks(channel: str, seed: int, before: int, now: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and message of every value after `before` and up to `now`; after a leap of the clock only those of the last minute."""
    every = INTERVALS[channel]
    first = max(before, now - _BACKLOG * SECOND) // every + 1
    for mark in range(first, now // every + 1):
        for name in known(channel):
            yield name, _message(channel, seed, name, mark * every)


def _message(channel: str, seed: int, name: str, at: int) -> dict[str, Any]:
    stamp = at // MILLISECOND
    if channel == "pyth_value":
        return {"underlying_ticker": name, "value_usd": f"{_value(seed, name, at):.8f}", **_times(stamp)}
    value = f"{_value(seed, name, at):.4f}"
    data = json.dumps({"type": "value", "time": stamp, "id": name, "value": value})
    if channel == "cfbenchmarks_value_5hz":
        return {"index_id": name, "value_usd": value, **_times(stamp), "data": data}
    message = {"index_id": name, "received_at": stamp + 45, "data": data, "avg_60s_data": _average(seed, name, at, 60)}
    into = at // SECOND % 900
    if into > 840:
        message["last_60s_windowed_average_15min"] = _average(seed, name, at, into - 840)
    return message


def _times(stamp: int) -> dict[str, int]:
    return {"source_ts_ms": stamp, "received_at": stamp + 45}


def _average(seed: int, name: str, at: int, seconds: int) -> dict[str, Any]:
    values = _values(seed, name, at - np.arange(seconds) * SECOND)
    return {
        "value": f"{float(values.mean()):.4f}",
        "window_size": seconds,
        "window_start_ts_ms": (at - seconds * SECOND) // MILLISECOND,
        "window_end_ts_exclusive": at // MILLISECOND,
    }


def _value(seed: int, name: str, at: int) -> float:
    return float(_values(seed, name, np.array([at]))[0])


def _values(seed: int, name: str, at: Ints) -> np.ndarray[Any, np.dtype[np.float64]]:
    level = {**_LEVELS, **_UNDERLYINGS}[name]
    salt = sum(name.encode())
    wave = np.sin(2 * math.pi * at / (7_200.0 * SECOND) + salt) + 0.3 * np.sin(2 * math.pi * at / (611.0 * SECOND))
    return np.asarray(level * np.exp(0.01 * wave + 2e-5 * normal(seed, _INDEX, salt, at)))
