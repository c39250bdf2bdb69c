"""What the exchange knows beside markets: milestones, targets, incentives, collections, live data, the weather, forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from kalshi_lab.sim.desk.calls import PREFIX, Signed
from kalshi_lab.sim.reference.forecasts import Forecasts
from kalshi_lab.sim.reference.incentives import Incentives
from kalshi_lab.sim.reference.live import Live
from kalshi_lab.sim.reference.targets import Targets
from kalshi_lab.sim.reference.weather import Weather
from kalshi_lab.sim.reference.words import filters_by_sport, tags_by_categories

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalshi_lab.sim.api import Api
    from kalshi_lab.sim.reference.combos import Combos


def routes(api: Api, combos: Combos) -> list[Route]:
    """The endpoints; of two that fit a path the first one answers."""
    milestones, targets, weather = api.milestones, Targets(api.world), Weather(api.world, api.now)
    live = Live(milestones, weather)
    answers: dict[str, Callable[..., Any]] = {
        "/milestones": milestones.listed,
        "/milestones/{milestone_id}": milestones.one,
        "/structured_targets": targets.listed,
        "/structured_targets/{structured_target_id}": targets.one,
        "/search/filters_by_sport": filters_by_sport,
        "/search/tags_by_categories": tags_by_categories,
        "/incentive_programs": Incentives(api.world, api.now).listed,
        "/live_data/batch": live.batch,
        "/live_data/events/{event_ticker}": live.event,
        "/live_data/milestone/{milestone_id}": live.milestone,
        "/live_data/milestone/{milestone_id}/game_stats": live.game_stats,
        "/live_data/weather/{city}": weather.index,
        "/live_data/weather/{city}/calibrations": weather.calibrations,
        "/live_data/{type}/milestone/{milestone_id}": live.typed,
        "/multivariate_event_collections": combos.listed,
        "/multivariate_event_collections/{collection_ticker}": combos.one,
    }
    forecasts = "/series/{series_ticker}/events/{ticker}/forecast_percentile_history"
    return [
        *(Route(PREFIX + path, answer, methods=["GET"]) for path, answer in answers.items()),
        Signed("GET", forecasts, Forecasts(api.world, api.now).history, "read"),
        Signed("POST", "/multivariate_event_collections/{collection_ticker}", combos.create, "write"),
    ]
