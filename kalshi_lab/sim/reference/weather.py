"""The weather index: a city's temperature by the minute, whose highest value of a day is the one that decided the day's markets.

Each day falls to a low at five in the morning and rises to its high at four in the afternoon. So from then on the index tells what the
sim's makers, who look only at the hidden value, do not know yet.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from kalshi_lab.sim.catalog import SERIES, WEATHER
from kalshi_lab.sim.draws import normal, uniform
from kalshi_lab.sim.queries import bad
from kalshi_lab.sim.wire import DAY, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalshi_lab.sim.draws import Floats, Ints
    from kalshi_lab.sim.queries import Query
    from kalshi_lab.sim.render import Json
    from kalshi_lab.sim.world import World

# for each city of the catalog, its name here and its stations with their weights in percent and corrections in degrees Celsius
CITIES: dict[str, tuple[tuple[str, int, float], ...]] = {
    "nyc": (("KNYC", 40, 0.0), ("KLGA", 25, -0.3), ("KJFK", 20, 0.5), ("KEWR", 15, -0.2)),
    "chi": (("KMDW", 50, 0.0), ("KORD", 30, 0.3), ("KPWK", 20, 0.4)),
    "mia": (("KMIA", 50, 0.0), ("KTMB", 30, 0.2), ("KOPF", 20, -0.1)),
    "aus": (("KAUS", 45, 0.1), ("KATT", 35, -0.2), ("KEDC", 20, 0.0)),
}
UNITS, VERSION = "fahrenheit", "2"
MINUTE, HOUR = 60, 3_600
LONGEST = 7 * DAY
_LATEST = 10**14  # milliseconds
_WEATHER = 0x5745
_MIDNIGHT, _LOW, _HIGH = 5 * HOUR, 10 * HOUR, 21 * HOUR  # of a local standard day, in seconds after midnight UTC
_SWING, _NOISE = 14.0, 0.25


class Weather:
    """The index of each city that has markets."""

    def __init__(self, world: World, now: Callable[[], int]) -> None:
        self.world, self.now = world, now

    @cached_property
    def _days(self) -> dict[int, tuple[int, Ints]]:
        """For each series the first day (since 1970) and the events of the days from it on."""
        found = {}
        for series, spec in enumerate(SERIES):
            rows = np.flatnonzero(self.world.events.series == series)
            if spec in WEATHER and len(rows):
                rows = rows[np.argsort(self.world.events.day[rows])]
                found[series] = int(self.world.events.day[rows[0]]) // DAY, rows
        return found

    def _highs(self, series: int, day: Ints) -> Floats:
        """The highest value of days, cut to hundredths so that it stays on its side of every strike."""
        first, rows = self._days[series]
        chosen = rows[np.clip(day - first, 0, len(rows) - 1)]
        events, place = np.unique(chosen, return_inverse=True)
        final: Floats = np.floor(np.array([self.world.final_value(row) for row in events.tolist()]) * 100) / 100
        found: Floats = final[place]
        return found

    def _lows(self, series: int, day: Ints) -> Floats:
        swing = _SWING + 2.0 * normal(self.world.seed, _WEATHER, 1, series, day)
        cooler = np.minimum(self._highs(series, day - 1), self._highs(series, day))
        return np.asarray(cooler - np.maximum(swing, 4.0))

    def _at(self, series: int, seconds: Ints) -> Floats:
        """The index at Unix seconds."""
        local = seconds - _MIDNIGHT
        day, clock = local // DAY, local % DAY + _MIDNIGHT
        rising, evening = (clock >= _LOW) & (clock < _HIGH), clock >= _HIGH
        start = np.where(rising, self._lows(series, day), self._highs(series, np.where(evening, day, day - 1)))
        end = np.where(rising, self._highs(series, day), self._lows(series, np.where(evening, day + 1, day)))
        gone = np.where(rising, clock - _LOW, np.where(evening, clock - _HIGH, clock + DAY - _HIGH))
        share = gone / np.where(rising, _HIGH - _LOW, DAY - _HIGH + _LOW)
        smooth = start + (end - start) * (1.0 - np.cos(math.pi * share)) / 2.0
        below = _NOISE * uniform(self.world.seed, _WEATHER, 2, series, seconds // MINUTE) * (clock != _HIGH)
        found: Floats = np.round(np.minimum(smooth, self._highs(series, day)) - below, 2)
        return found

    def readings(self, event: int, seconds: Ints) -> list[float]:
        """The index of an event's city at some Unix seconds, to the minute."""
        values: list[float] = self._at(int(self.world.events.series[event]), seconds // MINUTE * MINUTE).tolist()
        return values

    def _city(self, city: str) -> int:
        place = list(CITIES).index(city) if city in CITIES else -1
        series = SERIES.index(WEATHER[place]) if place >= 0 else -1
        if series not in self._days:
            raise bad(f"unknown city, known are {', '.join(list(CITIES)[: len(self._days)])}")
        return series

    def index(self, query: Query, city: str) -> Json:
        """GET /live_data/weather/{city}: a window, or the last seconds, or the last hour; the minute that runs is incomplete."""
        series, now = self._city(city), self.now() // SECOND
        low, high = (query.number(name, high=_LATEST) for name in ("from", "to"))
        last = query.number("last_sec", low=1, high=LONGEST)
        detailed = query.flag("detailed") or False
        if last is not None and (low is not None or high is not None):
            raise bad("last_sec excludes from and to")
        end = now if high is None else min(now, high // 1_000)
        start = end - (last or HOUR) if low is None else -(-low // 1_000)
        if end - start > LONGEST:
            raise bad(f"a window has at most {LONGEST} seconds")
        start = max(start, self._days[series][0] * DAY + _MIDNIGHT)
        minutes = np.arange(-(-start // MINUTE) * MINUTE, end + 1, MINUTE)
        points = self._points(series, city, minutes, now) if len(minutes) else []
        if detailed:
            for point, gap in zip(points, self._gaps(series, minutes).tolist(), strict=True):
                point["stations"] = self._stations(series, city, point, gap)
        return {"city": city, "config_version": VERSION, "units": UNITS, "timeseries": points}

    def _gaps(self, series: int, minutes: Ints) -> Ints:
        """The station, after the first, that sends nothing in a minute; 0 for none."""
        keys = (self.world.seed, _WEATHER)
        which = 1 + (uniform(*keys, 4, series, minutes) * 2).astype(np.int64)
        return np.where(uniform(*keys, 3, series, minutes) < 0.01, which, 0)

    def _points(self, series: int, city: str, minutes: Ints, now: int) -> list[Json]:
        columns = (minutes.tolist(), self._at(series, minutes).tolist(), self._gaps(series, minutes).tolist())
        many = len(CITIES[city])
        return [
            {"t": at * 1_000, "v": value, "status": "degraded" if gap else "normal", "contributors": many - (gap > 0)}
            if at + MINUTE <= now
            else {"t": at * 1_000, "status": "incomplete", "contributors": 0}
            for at, value, gap in zip(*columns, strict=True)
        ]

    def _stations(self, series: int, city: str, point: Json, gap: int) -> list[Json]:
        """Readings whose weighted mean, corrected, is the index."""
        at, names = point["t"] // 1_000, CITIES[city]
        if "v" not in point:
            return [{"station_id": name, "code": "pending"} for name, _, _ in names]
        there = [place for place in range(len(names)) if place != gap or not gap]
        off = 0.5 * normal(self.world.seed, _WEATHER, 5, series, at, np.arange(len(names)))
        weight = np.array([names[place][1] for place in there], dtype=float)
        mean = float((off[there] * weight).sum() / weight.sum())
        made = []
        for place, (name, _, offset) in enumerate(names):
            if place not in there:
                made.append({"station_id": name, "code": "missing"})
                continue
            raw = round(point["v"] + float(off[place]) - mean - 1.8 * offset, 2)
            times = {"obs_time_ms": point["t"] + 5_000, "received_at_ms": point["t"] + 21_000 + place * 1_000}
            made.append({"station_id": name, "code": "ok", "source": "hf_asos", "temp_f": raw, **times})
        return made

    def calibrations(self, _query: Query, city: str) -> Json:
        """GET /live_data/weather/{city}/calibrations: the one before, with equal weights, and the one in use."""
        series = self._city(city)
        begin = self._days[series][0] * DAY * 1_000
        names = CITIES[city]
        even = [round(1 / len(names), 4)] * (len(names) - 1)
        before = [*even, round(1 - sum(even), 4)]
        weights = {"1": before, "2": [weight / 100 for _, weight, _ in names]}
        return {
            "city": city,
            "units": UNITS,
            "calibrations": [
                self._calibration(series, city, version, begin - (2 - place) * 60 * DAY * 1_000, weights[version])
                for place, version in enumerate(("1", VERSION))
            ],
        }

    def _calibration(self, series: int, city: str, version: str, at: int, weights: list[float]) -> Json:
        corrected = version == VERSION
        usual = float(self._highs(series, np.array([self._days[series][0]]))[0]) - _SWING / 2
        stations = [
            {"station_id": name, "weight": weight, "offset_c": offset if corrected else 0.0}
            for (name, _, offset), weight in zip(CITIES[city], weights, strict=True)
        ]
        made: Json = {
            "config_version": version,
            "published_at_ms": at - 3 * DAY * 1_000,
            "effective_at_ms": at,
            "change_reason": "weights and corrections fitted to the stations" if corrected else "first configuration",
            "city_reference_c": round((usual - 32) / 1.8, 2),
            "stations": stations,
        }
        if corrected:
            made["calibration_window_start_ms"] = at - 45 * DAY * 1_000
            made["calibration_window_end_ms"] = at - 3 * DAY * 1_000
        return made
