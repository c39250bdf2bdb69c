"""How games go: plays whose points add up to what decided the game's markets, at times between its start and its end.

The plays are drawn from the outcome, so the score of a running game says a little more than its makers know.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from kalshi_lab.sim.draws import Ints, normal, uniform, words
from kalshi_lab.sim.wire import SECOND

if TYPE_CHECKING:
    from kalshi_lab.sim.render import Json
    from kalshi_lab.sim.world import World

LENGTH = 150 * 60 * SECOND
_GAME = 0x474D
_USUAL, _SPREAD = 150.0, 12.0


@dataclass(frozen=True, slots=True)
class Sport:
    """How a sport is timed and scored: periods, their minutes, and the points that a play brings."""

    periods: int
    word: str
    minutes: int
    points: tuple[int, ...]


SPORTS = {
    "basketball": Sport(4, "quarter", 12, (2, 2, 2, 3, 1)),
    "football": Sport(4, "quarter", 15, (7, 3, 7, 3, 6)),
    "hockey": Sport(3, "period", 20, (1,)),
}


@dataclass(frozen=True, slots=True)
class Play:
    """Points for one team at a time in microseconds."""

    at: int
    home: bool
    points: int


class Games:
    """The games of a world, by the rows of their winner events."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.plays = lru_cache(maxsize=1_000)(self._plays)

    def span(self, event: int) -> tuple[int, int]:
        """When a game starts and ends, in microseconds."""
        end = int(self.world.events.horizon[event])
        return end - LENGTH, end

    def status(self, event: int, now: int) -> str:
        """One of scheduled, inprogress, closed, cancelled."""
        if self.world.events.void[event]:
            return "cancelled" if now >= self.world.events.close[event] else "scheduled"
        start, end = self.span(event)
        return "scheduled" if now < start else "inprogress" if now < end else "closed"

    def final(self, event: int) -> tuple[int, int]:
        """The last score, home first: the lead and the total that the game's markets are settled by, as whole points."""
        other = self.total(event)
        extra = _SPREAD * float(normal(self.world.seed, _GAME, 1, event)[0])
        total = round(_USUAL + extra if other is None else self.world.final_value(other))
        lead = self.world.final_value(event)
        margin = max(1, round(abs(lead)))
        margin += (margin + total) % 2
        ahead, behind = (total + margin) // 2, (total - margin) // 2
        return (ahead, behind) if lead >= 0 else (behind, ahead)

    def total(self, event: int) -> int | None:
        """The row of the event about all points of the same game."""
        series, _, rest = self.world.names.event_ticker(event).partition("-")
        return self.world.names.find_event(f"{series.removesuffix('GAME')}TOTAL-{rest}")

    def _plays(self, event: int) -> list[Play]:
        sport, (start, end) = SPORTS[self.world.names.spec(event).league], self.span(event)
        made = []
        for side, points in enumerate(self.final(event)):
            chosen = self._portions(points, sport, event, side)
            shares = uniform(self.world.seed, _GAME, 2 + side, event, _counted(len(chosen)))
            times = sorted(start + 1 + int(share * (end - start - 1)) for share in shares.tolist())
            made += [Play(at, side == 0, size) for at, size in zip(times, chosen, strict=True)]
        return sorted(made, key=lambda play: play.at)

    def _portions(self, points: int, sport: Sport, event: int, side: int) -> list[int]:
        drawn = (words(self.world.seed, _GAME, 4 + side, event, _counted(points)) % len(sport.points)).tolist()
        found: list[int] = []
        for place in drawn:
            if not points:
                break
            found.append(min(points, sport.points[place]))
            points -= found[-1]
        return found

    def until(self, event: int, now: int) -> list[Play]:
        """The plays so far, oldest first."""
        return [] if self.world.events.void[event] else [play for play in self.plays(event) if play.at <= now]

    def score(self, event: int, now: int) -> tuple[int, int]:
        """Home's and away's points so far."""
        played = self.until(event, now)
        home = sum(play.points for play in played if play.home)
        return home, sum(play.points for play in played) - home

    def clock(self, event: int, at: int) -> tuple[int, str]:
        """The period, from 1 (0 before the start), and the time that is left in it."""
        sport, (start, end) = SPORTS[self.world.names.spec(event).league], self.span(event)
        if at < start:
            return 0, ""
        gone = min(at, end - 1) - start
        length = (end - start) // sport.periods
        left = 0 if at >= end else sport.minutes * 60 - gone % length * sport.minutes * 60 // length
        return min(sport.periods, gone // length + 1), f"{left // 60}:{left % 60:02d}"

    def details(self, event: int, now: int) -> Json:
        """How the game stands."""
        status, played = self.status(event, now), self.until(event, now)
        (home, away), (period, left) = self.score(event, now), self.clock(event, now)
        running, last = status == "inprogress", played[-1].at // SECOND if played else None
        if status == "cancelled":
            period, left = 0, ""
        winner = ("home" if home > away else "away") if status == "closed" else ""
        return {
            "away_points": away,
            "home_points": home,
            "last_event_created_ts": last,
            "last_event_is_timeout": False,
            "last_updated_ts": now // SECOND if running else last or self.span(event)[0] // SECOND,
            "period": period,
            "period_remaining_time": left,
            "period_type": SPORTS[self.world.names.spec(event).league].word,
            "possession": ("away" if played[-1].home else "home") if running and played else "",
            "score_last_updated_ts": last,
            "status": status,
            "widget_status": {"inprogress": "live", "closed": "final"}.get(status, "none"),
            "winner": winner,
        }

    def periods(self, event: int, now: int) -> list[Json]:
        """The plays so far by period, with the score after each."""
        found: dict[int, list[Json]] = {}
        score = {True: 0, False: 0}
        sides = self.world.names.teams(event)
        for play in self.until(event, now):
            period, left = self.clock(event, play.at)
            score[play.home] += play.points
            code, city = sides[play.home]
            scored = f"{city} scores {play.points} {'point' if play.points == 1 else 'points'}"
            made = {
                "clock": left, "description": scored, "event_type": "score", "points": play.points, "team": code,
                "home_points": score[True], "away_points": score[False], "ts": play.at // SECOND,
            }  # fmt: skip
            found.setdefault(period, []).append(made)
        return [{"events": found.get(period, [])} for period in range(1, max(found, default=0) + 1)]


def _counted(many: int) -> Ints:
    return np.arange(many)
