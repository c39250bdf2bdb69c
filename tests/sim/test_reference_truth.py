"""What is said about games, figures, the weather and incentives agrees with how the markets settle."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from starlette.datastructures import QueryParams

from kalshi_lab.sim.api import Api
from kalshi_lab.sim.candles import period_ends
from kalshi_lab.sim.layout import GAME, LADDER
from kalshi_lab.sim.queries import Query
from kalshi_lab.sim.reference.forecasts import Forecasts
from kalshi_lab.sim.reference.growth import add_combo
from kalshi_lab.sim.reference.incentives import Incentives
from kalshi_lab.sim.reference.live import Live
from kalshi_lab.sim.reference.targets import Targets
from kalshi_lab.sim.reference.weather import CITIES, Weather
from kalshi_lab.sim.wire import DAY, SECOND
from kalshi_lab.sim.world import World, microseconds

if TYPE_CHECKING:
    from collections.abc import Callable

LATE = 200 * DAY * SECOND


class Moment:
    """One world at a moment that tests move."""

    def __init__(self, **options: Any) -> None:
        self.world = World(**{"open_markets": 400, "history_days": 12, **options})
        self.at = microseconds(self.world.start)
        self.api = Api(self.world, lambda: self.at)
        self.weather = Weather(self.world, self.api.now)
        self.live = Live(self.api.milestones, self.weather)

    def ask(self, answer: Callable[..., Any], *parts: Any, **query: Any) -> Any:
        pairs = [(name, str(value)) for name, given in query.items() for value in _several(given)]
        return answer(Query(QueryParams(pairs)), *parts)


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.fixture(scope="module")
def moment() -> Moment:
    return Moment()


@pytest.fixture
def late(moment: Moment) -> Any:
    """The world when everything in it is over."""
    before, moment.at = moment.at, moment.at + LATE
    yield moment
    moment.at = before


def _games(moment: Moment) -> list[int]:
    return np.flatnonzero(moment.world.events.shape == GAME).tolist()


def test_scores_agree_with_settled_games(late: Moment) -> None:
    """The winner of each game's last score is the team whose market paid; its points are the published total."""
    games, names = late.api.milestones.games, late.world.names
    totals = voids = 0
    for event in _games(late):
        details = games.details(event, late.at)
        first = int(late.world.events.first[event])
        if late.world.events.void[event]:
            voids += 1
            assert (details["status"], details["winner"], details["home_points"]) == ("cancelled", "", 0)
            continue
        code = names.teams(event)[1 if details["winner"] == "home" else 0][0]
        winner = next(row for row in (first, first + 1) if names.market(row).endswith(f"-{code}"))
        assert late.world.payouts[winner] == 10_000
        assert late.world.payouts[first + (winner == first)] == 0
        other = games.total(event)
        if other is not None:
            totals += 1
            points = details["home_points"] + details["away_points"]
            start = int(late.world.events.first[other])
            for row in range(start, start + int(late.world.events.count[other])):
                floor = names.text(row).floor
                assert floor is not None
                assert (points > floor) == (late.world.payouts[row] == 10_000)
    assert totals > 20 < len(_games(late))
    assert voids


def test_a_running_game_goes_forward(moment: Moment) -> None:
    """Scores never fall, the plays add up to the score, periods run down, and before the start there is nothing."""
    games = moment.api.milestones.games
    event = next(event for event in _games(moment) if not moment.world.events.void[event])
    start, end = games.span(event)
    assert games.details(event, start - 1) | {"last_updated_ts": 0} == {
        "away_points": 0, "home_points": 0, "last_event_created_ts": None, "last_event_is_timeout": False, "last_updated_ts": 0,
        "period": 0, "period_remaining_time": "", "period_type": games.details(event, start)["period_type"], "possession": "",
        "score_last_updated_ts": None, "status": "scheduled", "widget_status": "none", "winner": "",
    }  # fmt: skip
    before, seen = (0, 0), set()
    for at in range(start, end + 1, (end - start) // 40):
        now = games.score(event, at)
        assert now[0] >= before[0]
        assert now[1] >= before[1]
        before = now
        plays = [play for period in games.periods(event, at) for play in period["events"]]
        assert sum(play["points"] for play in plays) == sum(now)
        assert [play["ts"] for play in plays] == sorted(play["ts"] for play in plays)
        seen.add(games.details(event, at)["period"])
    assert seen == set(range(1, max(seen) + 1))
    assert games.details(event, end)["period_remaining_time"] == "0:00"


def test_milestones_name_their_events(moment: Moment) -> None:
    """Each related event exists; teams are structured targets under the names that strikes carry."""
    targets = Targets(moment.world)
    found = moment.ask(moment.api.milestones.listed, limit=500, category="Sports")["milestones"]
    for milestone in found:
        rows = [moment.world.names.find_event(ticker) for ticker in milestone["related_event_tickers"]]
        assert None not in rows
        home = moment.ask(targets.one, milestone["details"]["home_team_id"])["structured_target"]
        assert milestone["title"].endswith(f" at {home['name']}")
        assert moment.world.names.text(int(moment.world.events.first[rows[0]])).custom == {  # type: ignore[index]
            home["type"]: home["id"]
        }
    starts = [milestone["start_date"] for milestone in found]
    middle = sorted(starts)[len(starts) // 2]
    later = moment.ask(moment.api.milestones.listed, limit=500, category="Sports", minimum_start_date=middle)
    assert len(later["milestones"]) == sum(start >= middle for start in starts)


def test_the_warmest_minute_decides_the_day(late: Moment) -> None:
    """The highest reading of a local day falls into the bracket that paid, for each city and day."""
    events = late.world.events
    days = np.flatnonzero(events.shape == LADDER).tolist()
    assert len({int(events.series[event]) for event in days}) == len(CITIES)
    for event in days[::3]:
        begin = int(events.day[event]) + 5 * 3600
        readings = late.weather.readings(event, np.arange(begin, begin + DAY, 60))
        high, first = max(readings), int(events.first[event])
        paid = [row for row in range(first, first + int(events.count[event])) if late.world.payouts[row] == 10_000]
        assert len(paid) == 1
        assert late.world.markets.low[paid[0]] <= high < late.world.markets.high[paid[0]]
        assert math.floor(late.world.final_value(event) * 100) / 100 == pytest.approx(high)
        assert max(abs(b - a) for a, b in pairwise(readings)) < 2


def test_stations_add_up_to_the_index(moment: Moment) -> None:
    """The weighted mean of the corrected readings is the index; the weights are those of the calibration in use and sum to 1."""
    for city in CITIES:
        found = moment.ask(moment.weather.index, city, last_sec=6 * 3600, detailed="true")
        calibrations = moment.ask(moment.weather.calibrations, city)["calibrations"]
        used = {one["station_id"]: one for one in calibrations[-1]["stations"]}
        assert found["config_version"] == calibrations[-1]["config_version"]
        for calibration in calibrations:
            assert sum(one["weight"] for one in calibration["stations"]) == pytest.approx(1)
        full = [point for point in found["timeseries"] if point["status"] == "normal"]
        assert len(full) > 300
        for point in full:
            total = sum(
                used[one["station_id"]]["weight"] * (one["temp_f"] + 1.8 * used[one["station_id"]]["offset_c"])
                for one in point["stations"]
            )
            assert total == pytest.approx(point["v"], abs=0.02)
        assert found["timeseries"][-1] == {
            "t": moment.at // 1000, "status": "incomplete", "contributors": 0,
            "stations": [{"station_id": name, "code": "pending"} for name in used],
        }  # fmt: skip
        gaps = [point for point in found["timeseries"] if point["status"] == "degraded"]
        assert all("missing" in {one["code"] for one in point["stations"]} for point in gaps)


def test_windows_of_the_weather(moment: Moment) -> None:
    """A window gives its own minutes, never later ones; without one it is the last hour."""
    now = moment.at // 1000
    asked = moment.ask(moment.weather.index, "nyc", **{"from": now - 600_000, "to": now + 9_000_000})
    assert [point["t"] for point in asked["timeseries"]] == list(range(now - 600_000, now + 1, 60_000))
    assert len(moment.ask(moment.weather.index, "nyc")["timeseries"]) == 61
    assert moment.ask(moment.weather.index, "nyc", **{"from": now + 60_000, "to": now + 90_000})["timeseries"] == []


def test_forecasts_are_the_hidden_odds(moment: Moment) -> None:
    """The share of the forecast above a strike is the true probability of the market on it."""
    event = moment.world.names.find_event("KXBTCD-26NOV2017")
    assert event is not None
    now = moment.at // SECOND
    query = {"percentiles": list(range(500, 10_000, 1_000)), "start_ts": now - 60, "end_ts": now, "period_interval": 1}
    points = moment.ask(Forecasts(moment.world, moment.api.now).history, "KXBTCD", "KXBTCD-26NOV2017", **query)
    last = points["forecast_history"][-1]
    assert last["end_period_ts"] == now == period_ends(now - 60, now, 1)[-1]
    values = [(one["percentile"] / 10_000, one["raw_numerical_forecast"]) for one in last["percentile_points"]]
    first = int(moment.world.events.first[event])
    for row in range(first, first + 8):
        true = moment.world.truth_at(moment.world.names.market(row), moment.at)
        below = [share for share, value in values if value < moment.world.markets.low[row]]
        above = [share for share, value in values if value >= moment.world.markets.low[row]]
        assert max(below, default=0.0) - 1e-6 <= 1 - true <= min(above, default=1.0) + 1e-6


def test_released_figures_are_the_settled_ones(late: Moment) -> None:
    """A release shows no figure before its time and the deciding one after it."""
    found = late.ask(late.api.milestones.listed, limit=500, category="Economics")["milestones"]
    assert found
    for milestone in found:
        details = late.ask(late.live.milestone, milestone["id"])["live_data"]["details"]
        row = late.world.names.find_event(milestone["primary_event_tickers"][0])
        assert row is not None
        assert details["value"] == late.world.names.settled_value(row, late.world.final_value(row))
    late.at -= LATE
    coming = late.ask(late.api.milestones.listed, limit=500, category="Economics")["milestones"]
    waiting = late.ask(late.live.milestone, coming[0]["id"])["live_data"]["details"]
    late.at += LATE
    assert (waiting["status"], waiting["value"]) == ("scheduled", None)


def test_the_price_of_bitcoin_ends_where_it_settles(late: Moment) -> None:
    """The last point of an event's chart is the value that its source published."""
    live = late.ask(late.live.event, "KXBTCD-26NOV2017", range="all")["live_data"]
    row = late.world.names.find_event("KXBTCD-26NOV2017")
    assert row is not None
    assert live["is_historical"]
    assert live["details"]["points"][-1]["value"] == pytest.approx(late.world.final_value(row), abs=0.006)


def test_incentives_follow_their_markets(moment: Moment) -> None:
    """A program is upcoming, active, closed and paid as time passes, in exactly one of the four lists."""
    programs = Incentives(moment.world, moment.api.now)
    every = moment.ask(programs.listed, limit=10_000)["incentive_programs"]
    parts = {word: moment.ask(programs.listed, limit=10_000, status=word)["incentive_programs"]
             for word in ("upcoming", "active", "closed", "paid_out")}  # fmt: skip
    assert sum(map(len, parts.values())) == len(every)
    assert all(parts.values())
    assert {one["paid_out"] for one in parts["paid_out"]} == {True}
    assert {one["paid_out"] for word in ("upcoming", "active", "closed") for one in parts[word]} == {False}
    active = {one["market_ticker"] for one in parts["active"]}
    rows = [moment.world.names.find_market(ticker) for ticker in active]
    now = moment.world.events
    for row in rows:
        event = int(moment.world.markets.event[row])  # type: ignore[index]
        assert now.open[event] <= moment.at < now.close[event]
    assert moment.ask(programs.listed, type="margin_maker_volume") == {"incentive_programs": [], "next_cursor": ""}


def test_two_worlds_of_one_seed_say_the_same() -> None:
    """Answers depend on seed and time alone."""
    answers = []
    for _ in range(2):
        moment = Moment(open_markets=120, history_days=4)
        listed = moment.ask(moment.api.milestones.listed, limit=100)
        weather = moment.ask(moment.weather.index, "nyc", detailed="true")
        answers.append((listed, weather, moment.ask(Incentives(moment.world, moment.api.now).listed)))
    assert answers[0] == answers[1]
    other = Moment(seed=8, open_markets=120, history_days=4)
    assert other.ask(other.weather.index, "nyc") != answers[0][1]


def test_a_grown_world_keeps_what_it_was() -> None:
    """New combos change no quote, trade, ticker or truth of what was there; more legs than the world had are fine."""
    moment = Moment(open_markets=150, history_days=4)
    world = moment.world
    rows = np.arange(len(world.markets))
    before = moment.api.renderer.markets(rows, moment.at)
    trades = moment.ask(moment.api.trades, limit=1000)
    world.quotes.stir(3, 1, 0, 500)
    world.quotes.stir(3, 1, 0, 0)
    events = np.flatnonzero((world.event_status(moment.at) == 2) & (world.events.shape != 4))[:5]
    legs = [(int(world.events.first[event]), True) for event in events]
    row = add_combo(world, legs, moment.at)
    assert row == len(rows)
    assert moment.api.renderer.markets(rows, moment.at) == before
    assert moment.ask(moment.api.trades, limit=1000) == trades
    made = moment.api.renderer.markets(np.array([row]), moment.at)[0]
    assert world.names.find_market(made["ticker"]) == row
    assert [leg["side"] for leg in made["mve_selected_legs"]] == ["yes"] * 5
    chances = [world.truth_at(world.names.market(leg), moment.at) for leg, _ in legs]
    assert world.truth_at(made["ticker"], moment.at) == pytest.approx(math.prod(chances))
    second = add_combo(world, [(leg, False) for leg, _ in legs[:2]], moment.at + SECOND)
    assert world.names.market(second) != made["ticker"]
    listed = world.order.tolist()
    assert listed.index(second) < listed.index(row) < listed.index(0)
