"""The planned events and their markets as columns, with everything about them that never changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kalshi_lab.sim.catalog import COMBO, NUMBER, SERIES
from kalshi_lab.sim.draws import Bools, Floats, Ints, uniform, words
from kalshi_lab.sim.plan import Draft, Planner
from kalshi_lab.sim.wire import SECOND

LEGS = 3
_COMBO, _TIMING = 0x434F, 0x544D
_SHAPES = np.array([("ladder", "above", "game", "binary", "combo").index(spec.shape) for spec in SERIES])
LADDER, ABOVE, GAME, BINARY, COMBINED = range(5)


@dataclass(slots=True, eq=False)
class Events:
    """One row an event; times in microseconds. Rows come at the end only; who keeps what follows from them is told by World.grew."""

    series: Ints
    shape: Ints
    open: Ints
    close: Ints
    horizon: Ints
    shown_close: Ints
    created: Ints
    determined: Ints
    settled: Ints
    timer: Ints
    pause_start: Ints
    pause_end: Ints
    day: Ints
    tag: Ints
    void: Bools
    center: Floats
    width: Floats
    strike: Floats
    step: Floats
    first: Ints
    count: Ints

    def __len__(self) -> int:
        return len(self.series)


@dataclass(slots=True, eq=False)
class Markets:
    """One row a market: YES wins when low <= hidden value < high. `legs` and `sides` are filled for combos, else -1."""

    event: Ints
    place: Ints
    low: Floats
    high: Floats
    legs: Ints
    sides: Bools

    def __len__(self) -> int:
        return len(self.event)


def laid_out(planner: Planner) -> tuple[Events, Markets]:
    """The world's events, those of the calendar first and the combos last, and their markets in the same order."""
    seed = planner.seed
    events = _events(seed, planner.drawn())
    markets = _markets(events)
    legs, sides = _combo_legs(planner, events)
    if not len(legs):
        return events, markets
    combos = _combo_events(planner, events, markets, legs)
    return _joined(events, combos), _with_combos(markets, len(events), legs, sides)


def _events(seed: int, drafts: list[Draft]) -> Events:
    columns = dict(zip(Draft._fields, zip(*drafts, strict=True), strict=True))
    whole = {
        name: np.array(columns[name], dtype=np.int64) for name in ("series", "day", "tag", "rungs", "timer", "lag")
    }
    at = {
        name: np.array(columns[name], dtype=np.int64) * SECOND
        for name in ("open", "close", "horizon", "shown_close", "created", "paused")
    }
    real = {name: np.array(columns[name], dtype=np.float64) for name in ("center", "width", "strike", "step")}
    rows = np.arange(len(drafts))
    determined, settled = settlement(seed, rows, at["close"], whole["lag"], whole["timer"])
    return Events(
        series=whole["series"], shape=_SHAPES[whole["series"]], open=at["open"], close=at["close"], horizon=at["horizon"],
        shown_close=at["shown_close"], created=at["created"] + _jitter(seed, 1, rows), determined=determined, settled=settled,
        timer=whole["timer"], pause_start=at["paused"][:, 0], pause_end=at["paused"][:, 1], day=whole["day"], tag=whole["tag"],
        void=np.array(columns["void"], dtype=np.bool_), center=real["center"], width=real["width"], strike=real["strike"],
        step=real["step"], first=np.cumsum(whole["rungs"]) - whole["rungs"], count=whole["rungs"],
    )  # fmt: skip


def _jitter(seed: int, what: int, rows: Ints) -> Ints:
    return (uniform(seed, _TIMING, what, rows) * 30 * SECOND).astype(np.int64)


def settlement(seed: int, rows: Ints, close: Ints, lag: Ints, timer: Ints) -> tuple[Ints, Ints]:
    """When events are determined and settled."""
    determined = close + lag * SECOND + _jitter(seed, 2, rows)
    return determined, determined + timer * SECOND + _jitter(seed, 3, rows) // 8


def _markets(events: Events) -> Markets:
    event = np.repeat(np.arange(len(events)), events.count)
    place = np.arange(len(event)) - events.first[event]
    low, high = _interval(events, event, place)
    return Markets(
        event, place, low, high, np.full((len(event), LEGS), -1), np.ones((len(event), LEGS), dtype=np.bool_)
    )


def floors(events: Events, event: Ints, place: Ints) -> Floats:
    """The lower strike of each market; for the open lower end of a ladder the strike below which it pays."""
    ladder = events.strike[event] + 2.0 * np.maximum(place - 1, 0) - (place == events.count[event] - 1)
    return np.where(events.shape[event] == LADDER, ladder, events.strike[event] + events.step[event] * place)


def _interval(events: Events, event: Ints, place: Ints) -> tuple[Floats, Floats]:
    shape, floor = events.shape[event], floors(events, event, place)
    half = np.array([spec.rounding / 2.0 for spec in SERIES])[events.series[event]]
    last = place == events.count[event] - 1
    ladder_low = np.where(place == 0, -np.inf, np.where(last, floor + 0.5, floor - 0.5))
    ladder_high = np.where(place == 0, floor - 0.5, np.where(last, np.inf, floor + 1.5))
    other_low = np.select([shape == ABOVE, (shape == GAME) & (place == 1)], [floor + half, -np.inf], 0.0)
    other_high = np.where((shape == GAME) & (place == 1), 0.0, np.inf)
    return np.where(shape == LADDER, ladder_low, other_low), np.where(shape == LADDER, ladder_high, other_high)


def _combo_legs(planner: Planner, events: Events) -> tuple[Ints, Bools]:
    """Two or three legs of different games each, from games that are open at the start, and some from games long over."""
    start = planner.start * SECOND
    games = np.flatnonzero((events.shape == GAME) & ~events.void)
    open_now = games[(events.open[games] <= start) & (start < events.close[games])]
    over = games[events.settled[games] < start - 6 * 86_400 * SECOND]
    parts = [
        _chosen(planner.seed, 1, pool, wanted)
        for pool, wanted in ((open_now, planner.combos), (over, planner.settled_combos))
        if len(pool)
    ]
    chosen = np.concatenate(parts) if parts else np.empty((0, LEGS), dtype=np.int64)
    rows = np.arange(len(chosen))[:, None]
    home = uniform(planner.seed, _COMBO, 3, rows, np.arange(LEGS)) < 0.5
    legs = np.where(chosen < 0, -1, events.first[chosen] + home)
    return legs, uniform(planner.seed, _COMBO, 4, rows, np.arange(LEGS)) < 0.7


def _chosen(seed: int, what: int, pool: Ints, wanted: int) -> Ints:
    """Different events for the legs of each combo: a stride through the pool; the third leg is left out of half of them."""
    rows = np.arange(wanted)
    first = (uniform(seed, _COMBO, what, rows, len(pool)) * len(pool)).astype(np.int64)
    gap = max(1, len(pool) // (LEGS + 1))
    legs = np.stack([(first + leg * gap) % len(pool) for leg in range(LEGS)], axis=1)
    chosen = pool[legs]
    chosen[rows % 2 == 0, 2] = -1
    if len(pool) < LEGS:
        chosen[:, len(pool) :] = -1
    return chosen


def _combo_events(planner: Planner, events: Events, markets: Markets, legs: Ints) -> Events:
    rows = len(events) + np.arange(len(legs))
    leg_events = markets.event[legs]
    close = np.where(legs >= 0, events.close[leg_events], 0).max(axis=1)
    latest_open = np.where(legs >= 0, events.open[leg_events], 0).max(axis=1)
    early = np.minimum(close - 3600 * SECOND, planner.start * SECOND)
    opened = (
        (latest_open + uniform(planner.seed, _COMBO, 5, rows) * np.maximum(early - latest_open, 0)).astype(np.int64)
        // SECOND
        * SECOND
    )
    zero, nought = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows))
    timer = zero + COMBO.timer
    determined, settled = settlement(planner.seed, rows, close, zero + COMBO.lag, timer)
    return Events(
        series=zero + NUMBER[COMBO.ticker], shape=zero + COMBINED, open=opened, close=close, horizon=close,
        shown_close=close + 3 * 86_400 * SECOND,
        created=opened - _jitter(planner.seed, 4, rows) // 60, timer=timer, pause_start=zero, pause_end=zero, day=close // SECOND,
        tag=(words(planner.seed, _COMBO, 6, rows) >> np.uint64(16)).astype(np.int64), void=zero.astype(np.bool_),
        center=nought, width=nought, strike=nought, step=nought, first=len(markets) + np.arange(len(rows)), count=zero + 1,
        determined=determined, settled=settled,
    )  # fmt: skip


def _joined(events: Events, combos: Events) -> Events:
    return Events(*(np.concatenate([getattr(events, name), getattr(combos, name)]) for name in Events.__slots__))


def _with_combos(markets: Markets, first_event: int, legs: Ints, sides: Bools) -> Markets:
    many = len(legs)
    return Markets(
        np.concatenate([markets.event, first_event + np.arange(many)]),
        np.concatenate([markets.place, np.zeros(many, dtype=np.int64)]),
        np.concatenate([markets.low, np.zeros(many)]),
        np.concatenate([markets.high, np.full(many, np.inf)]),
        np.concatenate([markets.legs, legs]),
        np.concatenate([markets.sides, sides]),
    )
