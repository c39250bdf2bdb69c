"""What is listed when: the events of a world, from its start time and size. Only numbers here; the texts are made when asked for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kalshi_lab.errors import UsageError
from kalshi_lab.sim import catalog
from kalshi_lab.sim.catalog import GAMES_A_DAY, LEAGUES, NUMBER, Spec
from kalshi_lab.sim.draws import normal, uniform
from kalshi_lab.sim.wire import DAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kalshi_lab.sim.draws import Ints

SMALLEST, LARGEST, LONGEST = 100, 2_000_000, 2_000
AHEAD = 14
RUNGS = 6
HOUR = 3600
_PLAN = 0x504C
More = int | bool | tuple[int, int]


class _Rungs(NamedTuple):
    """The markets of an event: how many, the hidden value's mean and standard deviation, where the strikes start and their distance."""

    rungs: int
    center: float
    width: float
    strike: float = 0.0
    step: float = 0.0


class Draft(NamedTuple):
    """One event; times in Unix seconds. `strike` and `step` place its rungs, `tag` tells events of one day apart.

    `horizon` is when its hidden value is known; `shown_close` the close that is published while it trades.
    """

    series: int
    open: int
    close: int
    day: int
    rungs: int
    center: float
    width: float
    strike: float
    step: float
    horizon: int
    shown_close: int
    created: int
    lag: int
    timer: int
    tag: int = 0
    paused: tuple[int, int] = (0, 0)
    void: bool = False


class _Game(NamedTuple):
    """One game: `home` is the home team's mean lead, `total` the mean of all points."""

    league: int
    day: int
    number: int
    open: int
    close: int
    home: float
    total: float

    def dates(self) -> dict[str, More]:
        """What its events share: the teams' tag, and a published close that lies late until the game is over."""
        created = self.open - HOUR - self.number % 60
        return {"tag": self.number, "shown_close": self.close + 14 * DAY, "created": created, "horizon": self.close}


class Planner:
    """Lays out the events of one world, in an order that never depends on anything but its parameters."""

    def __init__(self, seed: int, start: int, open_markets: int, history_days: int) -> None:
        if not SMALLEST <= open_markets <= LARGEST:
            raise UsageError(f"open_markets is {open_markets}", hint=f"Allowed: {SMALLEST} to {LARGEST:,}")
        if not 0 <= history_days <= LONGEST:
            raise UsageError(f"history_days is {history_days}", hint=f"Allowed: 0 to {LONGEST:,}")
        self.seed, self.start, self.history = seed, start, history_days
        self.today = start // DAY * DAY
        self.size = open_markets
        self.drafts: list[Draft] = []
        self.combos = 0
        self.settled_combos = 0

    def drawn(self) -> list[Draft]:
        """All events but the combos, whose numbers are left in `combos` and `settled_combos`."""
        self._weather()
        self._bitcoin()
        self._inflation()
        self._history_of_games()
        self._history_of_bills()
        self._oddities()
        self._fill()
        return self.drafts

    def _room(self) -> int:
        return self.size - sum(d.rungs for d in self.drafts if d.open <= self.start < d.close and not d.paused[1])

    def _add(self, spec: Spec, opened: int, close: int, day: int, rungs: _Rungs, **more: More) -> None:
        dates: dict[str, More] = {
            "horizon": close,
            "shown_close": close,
            "created": opened - 30 * HOUR,
            "lag": spec.lag,
            "timer": spec.timer,
        }
        self.drafts.append(Draft(NUMBER[spec.ticker], opened, close, day, *rungs, **{**dates, **more}))  # type: ignore[arg-type] # by name

    def _number(self, what: int, *keys: int) -> float:
        return float(normal(self.seed, _PLAN, what, *keys)[0])

    def _weather(self) -> None:
        cities = catalog.WEATHER if self.size >= 200 else catalog.WEATHER[:1]
        for number, spec in enumerate(cities):
            usual = (52.0, 45.0, 82.0, 70.0)[number]
            for offset in range(-self.history, AHEAD + 1):
                day = self.today + offset * DAY
                expected = usual + 6.0 * self._number(1, number, offset)
                strike = float(round(expected + self._number(2, number, offset)) - 4)
                self._add(spec, day - 9 * HOUR, day + 29 * HOUR, day, _Rungs(RUNGS, expected, 3.2, strike, 2.0))

    def _bitcoin(self) -> None:
        for offset in range(-self.history, AHEAD + 1):
            day = self.today + offset * DAY
            level = 90_000.0 + 4_000.0 * self._number(3, offset)
            strike = round(level / 500.0) * 500.0 - 2_000.01
            self._add(catalog.BITCOIN, day - 3 * HOUR, day + 22 * HOUR, day, _Rungs(8, level, 1_500.0, strike, 500.0))

    def _inflation(self) -> None:
        for offset in range(-self.history, 160):
            day = self.today + offset * DAY
            if day_of_month(day) != 12:
                continue
            expected = 0.25 + 0.08 * self._number(4, day // DAY)
            close = day + 13 * HOUR + 25 * 60
            self._add(catalog.INFLATION, close - 60 * DAY, close, day, _Rungs(8, expected, 0.16, -0.1, 0.1))

    def _games(self, league: Ints, offset: Ints, number: Ints, opened: Ints) -> Iterator[_Game]:
        day = self.today + offset * DAY
        keys = (self.seed, _PLAN)
        close = day + 26 * HOUR + (4 * HOUR * uniform(*keys, 5, league, offset, number)).astype(np.int64)
        home = 6.0 * normal(*keys, 6, league, offset, number)
        total = 150.0 + np.round(8.0 * normal(*keys, 7, league, offset, number))
        columns = (league, day, number, np.where(opened > 0, opened, close - 6 * DAY), close, home, total)
        return (_Game(*values) for values in zip(*(column.tolist() for column in columns), strict=True))

    def _add_game(self, game: _Game, *, void: bool = False) -> None:
        spec, home = LEAGUES[game.league][0], _Rungs(2, game.home, 11.0)
        if void:
            halfway = (game.open + game.close) // 2
            self._add(
                spec, game.open, halfway, game.day, home, **{**game.dates(), "shown_close": halfway, "void": True}
            )
        else:
            self._add(spec, game.open, game.close, game.day, home, **game.dates())

    def _add_total(self, game: _Game) -> None:
        rungs = _Rungs(10, game.total + 0.2, 12.0, game.total - 17.5, 4.0)
        self._add(LEAGUES[game.league][1], game.open, game.close, game.day, rungs, **game.dates())

    def _history_of_games(self) -> None:
        offset = np.array([-days for days in range(3, min(self.history, 60) + 1, 2)], dtype=np.int64)
        nothing = np.zeros_like(offset)
        for place, game in enumerate(self._games(-offset // 2 % len(LEAGUES), offset, nothing, nothing)):
            self._add_game(game, void=place in {1, 12})

    def _bill(self, number: int, opened: int, close: int, **more: More) -> None:
        self._add(
            catalog.POLITICS,
            opened,
            close,
            close // DAY * DAY,
            _Rungs(1, self._number(8, number), 1.0),
            tag=number,
            **more,
        )

    def _history_of_bills(self) -> None:
        for number in range(self.history // 5):
            close = self.start - (number * 5 + 1) * DAY - 2 * HOUR
            self._bill(number, close - 45 * DAY, close)

    def _oddities(self) -> None:
        """One market each that is paused, closed without a result, and determined with its timer running."""
        now, long = self.start, 30 * DAY
        self._bill(900, now - 20 * DAY, now + 40 * DAY, paused=(now - HOUR, now + 6 * HOUR))
        self._bill(901, now - 20 * DAY, now - 3 * HOUR, lag=4 * DAY)
        self._bill(902, now - long, now - 2 * HOUR, lag=HOUR, timer=3 * DAY)

    def _fill(self) -> None:
        room = self._room()
        self.combos = min(500, self.size // 10)
        self.settled_combos = min(12, self.history // 5)
        room -= self.combos
        games = max(1, (room - 1) // 12)
        days = max(AHEAD, -(-games // (len(LEAGUES) * (GAMES_A_DAY - 30))))
        number = np.arange(games)
        # listed one after the other, so that neighbours in the listing are neighbours in the columns
        opened = self.start - HOUR - 47 * (games - number) * 60 // games * 60
        for game in self._games(
            number % len(LEAGUES), number // len(LEAGUES) % days, number // (len(LEAGUES) * days), opened
        ):
            self._add_game(game)
            self._add_total(game)
        for extra in range(room - 12 * games):
            self._bill(1000 + extra, self.start - (5 + extra) * DAY, self.start + (10 + 9 * extra) * DAY + 2 * HOUR)


def day_of_month(seconds: int) -> int:
    """The day of the month, UTC."""
    return time.gmtime(seconds).tm_mday
