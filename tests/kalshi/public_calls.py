"""The calls of the public families: the request that each must send, an answer, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import kalshi_lab as kl
from tests.kalshi.scripted import market

if TYPE_CHECKING:
    from collections.abc import Callable

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND = 1_795_348_800
SOURCES = [{"name": "NWS", "url": "https://www.weather.gov"}]
CANDLE = {
    "end_period_ts": SECOND,
    "yes_bid": {"open_dollars": "0.4000", "low_dollars": "0.4000", "high_dollars": "0.4200", "close_dollars": "0.4200"},
    "yes_ask": {"open_dollars": "0.4400", "low_dollars": "0.4300", "high_dollars": "0.4400", "close_dollars": "0.4300"},
    "price": {"previous_dollars": "0.4100"},
    "volume_fp": "0.00",
    "open_interest_fp": "12.50",
}
MILESTONE = {
    "id": "m-1",
    "category": "Sports",
    "type": "football_game",
    "start_date": "2026-11-22T18:00:00Z",
    "end_date": None,
    "related_event_tickers": ["KXA-1", "KXB-1"],
    "title": "A at B",
    "notification_message": "Who wins?",
    "source_ids": {"sr": "7"},
    "details": {"home_team_id": "t-1"},
    "primary_event_tickers": ["KXA-1"],
    "last_updated_ts": "2026-11-22T11:00:00Z",
}
COLLECTION = {
    "collection_ticker": "KXMVE-R",
    "series_ticker": "KXMVE",
    "title": "Any games",
    "open_date": "2026-11-01T00:00:00Z",
    "associated_events": [
        {"ticker": "KXA-1", "is_yes_only": False, "size_max": None, "size_min": None, "active_quoters": []}
    ],
    "is_ordered": False,
    "size_min": 2,
    "size_max": 0,
    "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0010"}],
}
PROGRAM = {
    "id": "p-1",
    "market_id": "u-1",
    "market_ticker": "KXA-1-B",
    "incentive_type": "liquidity",
    "incentive_description": "quotes",
    "start_date": "2026-11-22T00:00:00Z",
    "end_date": "2026-11-23T00:00:00Z",
    "period_reward": 200_001,
    "paid_out": False,
    "discount_factor_bps": 5000,
    "target_size_fp": "300.00",
    "max_reward_per_account": None,
}
LIVE = {"type": "football_game", "details": {"home_points": 7}, "milestone_id": "m-1"}
FORECAST = {
    "event_ticker": "KXA-1",
    "end_period_ts": SECOND,
    "period_interval": 60,
    "percentile_points": [
        {"percentile": 5000, "raw_numerical_forecast": 50.25, "numerical_forecast": 50, "formatted_forecast": "50°"},
        {"percentile": 2500, "raw_numerical_forecast": 48, "numerical_forecast": 48.0, "formatted_forecast": "48°"},
    ],
}
WEATHER = {
    "city": "nyc",
    "config_version": "v3",
    "units": "F",
    "timeseries": [
        {
            "t": SECOND * 1000 + 60_000,
            "v": 50.25,
            "status": "normal",
            "contributors": 3,
            "stations": [
                {
                    "station_id": "KNYC",
                    "code": "ok",
                    "source": "metar",
                    "temp_f": 50.0,
                    "obs_time_ms": SECOND * 1000 + 1,
                }
            ],
        },
        {"t": SECOND * 1000 + 120_000, "status": "incomplete"},
    ],
}
CALIBRATIONS = {
    "city": "nyc",
    "units": "F",
    "calibrations": [
        {
            "config_version": "v3",
            "effective_at_ms": SECOND * 1000,
            "city_reference_c": 12.5,
            "stations": [{"station_id": "KNYC", "weight": 1.0, "offset_c": -0.25}],
        }
    ],
}


@dataclass
class Case:
    """A call, the path and query that it must send, the answer, and what its result must satisfy."""

    name: str
    ask: Callable[[Any], Any]
    path: str
    query: list[tuple[str, str]]
    body: Any
    check: Callable[[Any], bool]


CASES = [
    Case(
        "exchange.series_fee_changes",
        lambda k: k.exchange.series_fee_changes("KXA", historical=True),
        "/series/fee_changes",
        [("series_ticker", "KXA"), ("show_historical", "true")],
        {
            "series_fee_change_arr": [
                {
                    "id": "c",
                    "series_ticker": "KXA",
                    "fee_type": "flat",
                    "fee_multiplier": 1,
                    "scheduled_ts": "2026-11-22T12:00:00Z",
                }
            ]
        },
        lambda rows: [(one.id, one.fee_multiplier, one.scheduled_ts) for one in rows] == [("c", 1.0, NOON)],
    ),
    Case(
        "exchange.user_data_time",
        lambda k: k.exchange.user_data_time(),
        "/exchange/user_data_timestamp",
        [],
        {"as_of_time": "2026-11-22T12:00:00.000001Z"},
        lambda one: one.as_of_time == NOON.replace(microsecond=1),
    ),
    Case(
        "exchange.status",
        lambda k: k.exchange.status(),
        "/exchange/status",
        [],
        {
            "exchange_active": True,
            "trading_active": False,
            "exchange_estimated_resume_time": "2026-11-22T12:00:00Z",
            "exchange_index_statuses": [{"exchange_index": 1, "description": "Combos", "trading_active": True}],
        },
        lambda one: (
            (one.exchange_estimated_resume_time, one.exchange_index_statuses[0].description) == (NOON, "Combos")
        ),
    ),
    Case(
        "events.metadata",
        lambda k: k.events.metadata("KXA-1"),
        "/events/KXA-1/metadata",
        [],
        {
            "image_url": "/a.webp",
            "market_details": [{"market_ticker": "M", "color_code": "#fff"}],
            "settlement_sources": None,
        },
        lambda one: (one.market_details[0].color_code, one.settlement_sources) == ("#fff", None),
    ),
    Case(
        "events.fee_changes",
        lambda k: k.events.fee_changes("KXA-1"),
        "/events/fee_changes",
        [("event_ticker", "KXA-1"), ("limit", "1000")],
        {"event_fee_changes": [{"id": "c", "event_ticker": "KXA-1", "fee_multiplier_override": None}], "cursor": ""},
        lambda rows: [(one.event_ticker, one.fee_multiplier_override) for one in rows] == [("KXA-1", None)],
    ),
    Case(
        "events.multivariate",
        lambda k: k.events.multivariate(series="KXMVE", markets=True, limit=7),
        "/events/multivariate",
        [("series_ticker", "KXMVE"), ("with_nested_markets", "true"), ("limit", "7")],
        {"events": [{"event_ticker": "KXMVE-1", "settlement_sources": SOURCES, "markets": [market(1)]}], "cursor": ""},
        lambda rows: [one.settlement_sources[0].name for one in rows] == ["NWS"],
    ),
    Case(
        "events.list",
        lambda k: k.events.list(status="open", closes_after=NOON, updated_since=SECOND, tickers=["KXA-1", "KXB-1"]),
        "/events",
        [
            ("status", "open"),
            ("tickers", "KXA-1,KXB-1"),
            ("min_close_ts", str(SECOND)),
            ("min_updated_ts", str(SECOND)),
            ("limit", "200"),
        ],
        {"events": [{"event_ticker": "KXA-1", "strike_date": ""}], "milestones": [], "cursor": None},
        lambda rows: [(one.strike_date, one.markets) for one in rows] == [(None, ())],
    ),
    Case(
        "milestones.list",
        lambda k: k.milestones.list(
            starts_after=NOON,
            category="Sports",
            competition="NFL",
            source_id="7",
            type="football_game",
            event="KXA-1",
            updated_since=SECOND,
        ),
        "/milestones",
        [
            ("minimum_start_date", "2026-11-22T12:00:00Z"),
            ("category", "Sports"),
            ("competition", "NFL"),
            ("source_id", "7"),
            ("type", "football_game"),
            ("related_event_ticker", "KXA-1"),
            ("min_updated_ts", str(SECOND)),
            ("limit", "500"),
        ],
        {"milestones": [MILESTONE]},
        lambda rows: (
            [(one.primary_event_tickers, one.source_ids, one.end_date) for one in rows]
            == [(("KXA-1",), {"sr": "7"}, None)]
        ),
    ),
    Case(
        "milestones.one",
        lambda k: k.milestones.one("m-1"),
        "/milestones/m-1",
        [],
        {"milestone": MILESTONE},
        lambda one: one.details == {"home_team_id": "t-1"},
    ),
    Case(
        "multivariate.list",
        lambda k: k.multivariate.list(status="open", event="KXA-1", series="KXMVE"),
        "/multivariate_event_collections",
        [("status", "open"), ("associated_event_ticker", "KXA-1"), ("series_ticker", "KXMVE"), ("limit", "200")],
        {"multivariate_contracts": [COLLECTION], "cursor": ""},
        lambda rows: (
            [(one.associated_events[0].size_max, one.price_ranges[0].step) for one in rows]
            == [(None, Decimal("0.001"))]
        ),
    ),
    Case(
        "multivariate.one",
        lambda k: k.multivariate.one("KXMVE-R"),
        "/multivariate_event_collections/KXMVE-R",
        [],
        {"multivariate_contract": COLLECTION},
        lambda one: (one.size_min, one.size_max) == (2, 0),
    ),
    Case(
        "structured_targets.list",
        lambda k: k.structured_targets.list(ids=["t-1", "t-2"], type="soccer_team", competition="EPL", limit=5),
        "/structured_targets",
        [("ids", "t-1"), ("ids", "t-2"), ("type", "soccer_team"), ("competition", "EPL"), ("page_size", "5")],
        {"structured_targets": [{"id": "t-1", "name": "Toulouse", "details": {"short_name": "TFC"}}], "cursor": ""},
        lambda rows: [one.details for one in rows] == [{"short_name": "TFC"}],
    ),
    Case(
        "structured_targets.one",
        lambda k: k.structured_targets.one("t-1"),
        "/structured_targets/t-1",
        [],
        {"structured_target": {"id": "t-1", "name": "Toulouse"}},
        lambda one: (one.name, one.source_ids) == ("Toulouse", None),
    ),
    Case(
        "search.tags_by_category",
        lambda k: k.search.tags_by_category(),
        "/search/tags_by_categories",
        [],
        {"tags_by_categories": {"Crypto": ["BTC", "ETH"], "Elections": None}},
        lambda found: found == {"Crypto": ("BTC", "ETH"), "Elections": ()},
    ),
    Case(
        "search.filters_by_sport",
        lambda k: k.search.filters_by_sport(),
        "/search/filters_by_sport",
        [],
        {
            "filters_by_sports": {"Chess": {"scopes": ["Games"], "competitions": {"WCC": {"scopes": ["Futures"]}}}},
            "sport_ordering": ["Chess"],
        },
        lambda one: one.filters_by_sports["Chess"].competitions["WCC"].scopes == ("Futures",),
    ),
    Case(
        "incentive_programs.list",
        lambda k: k.incentive_programs.list(status="active", type="liquidity", description="quotes"),
        "/incentive_programs",
        [("status", "active"), ("type", "liquidity"), ("incentive_description", "quotes"), ("limit", "10000")],
        {"incentive_programs": [PROGRAM], "next_cursor": ""},
        lambda rows: (
            [(p.period_reward, p.period_reward_dollars, p.max_reward_per_account_dollars) for p in rows]
            == [(200_001, Decimal("20.0001"), None)]
        ),
    ),
    Case(
        "live_data.batch",
        lambda k: k.live_data.batch(["m-1", "m-2"], player_stats=True),
        "/live_data/batch",
        [("milestone_ids", "m-1"), ("milestone_ids", "m-2"), ("include_player_stats", "true")],
        {"live_datas": [LIVE]},
        lambda rows: [one.details for one in rows] == [{"home_points": 7}],
    ),
    Case(
        "live_data.event",
        lambda k: k.live_data.event("KXA-1", range="1d"),
        "/live_data/events/KXA-1",
        [("range", "1d")],
        {
            "live_data": {
                "type": "crypto",
                "details": {"spot": 1},
                "is_historical": False,
                "range_options": ["1d", "1w"],
            }
        },
        lambda one: (one.is_historical, one.range_options) == (False, ("1d", "1w")),
    ),
    Case(
        "live_data.milestone",
        lambda k: k.live_data.milestone("m-1"),
        "/live_data/milestone/m-1",
        [],
        {"live_data": LIVE},
        lambda one: one.milestone_id == "m-1",
    ),
    Case(
        "live_data.typed_milestone",
        lambda k: k.live_data.typed_milestone("football_game", "m-1", player_stats=True),
        "/live_data/football_game/milestone/m-1",
        [("include_player_stats", "true")],
        {"live_data": LIVE},
        lambda one: one.type == "football_game",
    ),
    Case(
        "live_data.game_stats",
        lambda k: k.live_data.game_stats("m-1"),
        "/live_data/milestone/m-1/game_stats",
        [],
        {"pbp": {"periods": [{"events": [{"clock": "12:00"}]}]}},
        lambda one: one.periods[0].events == ({"clock": "12:00"},),
    ),
    Case(
        "live_data.game_stats without any",
        lambda k: k.live_data.game_stats("m-1"),
        "/live_data/milestone/m-1/game_stats",
        [],
        {},
        lambda one: one.periods is None,
    ),
    Case(
        "live_data.weather",
        lambda k: k.live_data.weather("nyc", since=NOON, until=NOON.replace(hour=13), detailed=True),
        "/live_data/weather/nyc",
        [("from", str(SECOND * 1000)), ("to", str((SECOND + 3600) * 1000)), ("detailed", "true")],
        WEATHER,
        lambda one: (
            [(p.time, p.value, p.status) for p in one.timeseries]
            == [(NOON.replace(minute=1), 50.25, "normal"), (NOON.replace(minute=2), None, "incomplete")]
            and one.timeseries[0].stations[0].obs_time == NOON.replace(microsecond=1000)
        ),
    ),
    Case(
        "live_data.weather of the last minutes",
        lambda k: k.live_data.weather("nyc", last="15m"),
        "/live_data/weather/nyc",
        [("last_sec", "900")],
        WEATHER,
        lambda one: kl.frame(one.timeseries).columns[:2] == ["time", "value"],
    ),
    Case(
        "live_data.weather_calibrations",
        lambda k: k.live_data.weather_calibrations("nyc"),
        "/live_data/weather/nyc/calibrations",
        [],
        CALIBRATIONS,
        lambda one: (one.calibrations[0].effective_at, one.calibrations[0].stations[0].offset_c) == (NOON, -0.25),
    ),
    Case(
        "historical.trades",
        lambda k: k.historical.trades("KXA-1-B", block_trades=True, until=NOON),
        "/historical/trades",
        [("ticker", "KXA-1-B"), ("is_block_trade", "true"), ("max_ts", str(SECOND)), ("limit", "1000")],
        {"trades": [{"trade_id": "t", "yes_price_dollars": "0.4200", "count_fp": "0.01"}], "cursor": ""},
        lambda rows: [one.count for one in rows] == [Decimal("0.01")],
    ),
    Case(
        "markets.batch_candlesticks",
        lambda k: k.markets.batch_candlesticks(
            ["KXA-1-B", "KXA-1-C"], "1h", since=NOON, until=NOON.replace(hour=18), latest_before=True
        ),
        "/markets/candlesticks",
        [
            ("market_tickers", "KXA-1-B,KXA-1-C"),
            ("start_ts", str(SECOND)),
            ("end_ts", str(SECOND + 6 * 3600)),
            ("period_interval", "60"),
            ("include_latest_before_start", "true"),
        ],
        {
            "markets": [
                {"market_ticker": "KXA-1-C", "candlesticks": [CANDLE]},
                {"market_ticker": "KXA-1-B", "candlesticks": [CANDLE, {**CANDLE, "end_period_ts": SECOND + 3600}]},
            ]
        },
        lambda frame: (
            frame.get_column("ticker").to_list() == ["KXA-1-B", "KXA-1-B", "KXA-1-C"]
            and frame.get_column("price_open").null_count() == 3
            and frame.get_column("yes_bid_close").to_list() == [0.42] * 3
        ),
    ),
]
