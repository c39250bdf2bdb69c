"""New combos in a world that already exists: rows at the end of its columns, from then on like all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kalshi_lab.sim.catalog import COMBO, NUMBER
from kalshi_lab.sim.draws import words
from kalshi_lab.sim.layout import COMBINED, Events, Markets, settlement
from kalshi_lab.sim.wire import DAY, SECOND

if TYPE_CHECKING:
    from kalshi_lab.sim.world import World

_GROWN = 0x4752


def add_combo(world: World, legs: list[tuple[int, bool]], now: int) -> int:
    """Append a combo of markets, each with the side that must come true; gives the row of its market."""
    event, market = len(world.events), len(world.markets)
    _widen(world.markets, len(legs))
    _append(world.events, _event(world, event, market, [row for row, _ in legs], now))
    width = world.markets.legs.shape[1]
    rows, sides = np.full((1, width), -1), np.ones((1, width), dtype=np.bool_)
    rows[0, : len(legs)], sides[0, : len(legs)] = zip(*legs, strict=True)
    place = {"event": event, "place": 0, "low": 0.0, "high": np.inf, "legs": rows, "sides": sides}
    _append(world.markets, place)
    world.grew()
    return market


def _event(world: World, event: int, market: int, legs: list[int], now: int) -> dict[str, Any]:
    close = int(world.events.close[world.markets.event[legs]].max())
    row, single = np.array([event]), np.array([close])
    timer, lag = np.array([COMBO.timer]), np.array([COMBO.lag])
    determined, settled = settlement(world.seed, row, single, lag, timer)
    return {
        "series": NUMBER[COMBO.ticker], "shape": COMBINED, "open": now, "close": close, "horizon": close,
        "shown_close": close + 3 * DAY * SECOND, "created": now, "determined": determined[0], "settled": settled[0],
        "timer": COMBO.timer, "pause_start": 0, "pause_end": 0, "day": close // SECOND,
        "tag": int(words(world.seed, _GROWN, event)[0] >> np.uint64(16)), "void": False, "center": 0.0, "width": 0.0,
        "strike": 0.0, "step": 0.0, "first": market, "count": 1,
    }  # fmt: skip


def _append(columns: Events | Markets, row: dict[str, Any]) -> None:
    for name, value in row.items():
        column = getattr(columns, name)
        added = np.asarray(value, dtype=column.dtype).reshape(1, *column.shape[1:])
        setattr(columns, name, np.concatenate([column, added]))


def _widen(markets: Markets, many: int) -> None:
    missing = many - markets.legs.shape[1]
    if missing > 0:
        markets.legs = np.pad(markets.legs, ((0, 0), (0, missing)), constant_values=-1)
        markets.sides = np.pad(markets.sides, ((0, 0), (0, missing)), constant_values=True)
