"""Every answer of every endpoint is what the exchange's contract says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab.sim.api import Api
from kalshi_lab.sim.app import routes
from kalshi_lab.sim.process import PREFIX
from kalshi_lab.sim.world import World, microseconds

if TYPE_CHECKING:
    import httpx

    from kalshi_lab import sim

NOW = 1_795_186_800
WEATHER, BITCOIN, GAME = "KXHIGHNY-26NOV20", "KXBTCD-26NOV2017", "KXNFLGAME"
BRACKET = f"{WEATHER}-B51.5"
OLD, OLD_BRACKET = "KXHIGHNY-26OCT15", "KXHIGHNY-26OCT15-B57.5"
WINDOW = {"start_ts": NOW - 20 * 3600, "end_ts": NOW, "period_interval": 60}
LONG_AGO = {"start_ts": NOW - 40 * 86400, "end_ts": NOW - 33 * 86400, "period_interval": 60}
# for each endpoint: path parameters, then the queries to try
CASES: dict[str, tuple[dict[str, str], list[dict[str, Any]]]] = {
    "/exchange/status": ({}, [{}]),
    "/exchange/schedule": ({}, [{}]),
    "/exchange/user_data_timestamp": ({}, [{}]),
    "/account/endpoint_costs": ({}, [{}]),
    "/series/fee_changes": ({}, [{}, {"show_historical": "true"}, {"series_ticker": "KXNHLGAME"}]),
    "/series": (
        {},
        [{}, {"include_product_metadata": "true", "include_volume": "true"}, {"category": "Sports"}, {"tags": "BTC"}],
    ),
    "/series/{series_ticker}": ({"series_ticker": "KXBILLVOTE"}, [{}, {"include_volume": "true"}]),
    "/series/{series_ticker}/markets/{ticker}/candlesticks": (
        {"series_ticker": "KXHIGHNY", "ticker": BRACKET},
        [WINDOW, {**WINDOW, "period_interval": 1}, {**WINDOW, "start_ts": NOW - 90000, "period_interval": 1440}],
    ),
    "/series/{series_ticker}/events/{ticker}/candlesticks": (
        {"series_ticker": "KXHIGHNY", "ticker": WEATHER},
        [WINDOW],
    ),
    "/events": (
        {},
        [{"with_nested_markets": "true"}, {"with_milestones": "true", "limit": 3}, {"status": "settled", "limit": 5}],
    ),
    "/events/multivariate": ({}, [{}, {"with_nested_markets": "true"}, {"collection_ticker": "KXMVECROSSCATEGORY-R"}]),
    "/events/fee_changes": ({}, [{}, {"limit": 1}]),
    "/events/{event_ticker}": ({"event_ticker": WEATHER}, [{}, {"with_nested_markets": "true"}]),
    "/events/{event_ticker}/metadata": ({"event_ticker": WEATHER}, [{}]),
    "/markets": ({}, [{"limit": 200, "status": s} for s in ("unopened", "open", "paused", "closed", "settled")]),
    "/markets/trades": ({}, [{"limit": 500}, {"ticker": BRACKET}, {"is_block_trade": "true"}]),
    "/markets/candlesticks": (
        {},
        [{"market_tickers": f"{BRACKET},{WEATHER}-B53.5", "include_latest_before_start": "true", **WINDOW}],
    ),
    "/markets/orderbooks": ({}, [{"tickers": [BRACKET, "nobody"]}]),
    "/markets/{ticker}": ({"ticker": BRACKET}, [{}]),
    "/markets/{ticker}/orderbook": ({"ticker": BRACKET}, [{}, {"depth": 2}]),
    "/historical/cutoff": ({}, [{}]),
    "/historical/markets": ({}, [{"limit": 300}, {"event_ticker": OLD}, {"mve_filter": "exclude"}]),
    "/historical/markets/{ticker}": ({"ticker": OLD_BRACKET}, [{}]),
    "/historical/markets/{ticker}/candlesticks": ({"ticker": OLD_BRACKET}, [LONG_AGO]),
    "/historical/trades": ({}, [{"limit": 500}, {"ticker": OLD_BRACKET}]),
}


def _rows(value: Any) -> int:
    lists = [item for item in value.values() if isinstance(item, list)]
    return max((len(item) for item in lists), default=1) if "event" not in value else 1


@pytest.mark.parametrize("path", CASES)
def test_answers_keep_the_contract(path: str, exchange: sim.Exchange, client: httpx.Client, contract: Any) -> None:
    """Keys, types, formats, nulls and enums of each answer are those of the contract, and there is something in it."""
    fields, queries = CASES[path]
    for query in queries:
        response = client.get(exchange.url + path.format(**fields), params=query)
        assert response.status_code == 200, response.text
        value = response.json()
        assert contract.problems(contract.response(path), value) == []
        assert _rows(value) > 0, (path, query)


def test_every_route_is_tried(world: World) -> None:
    """No endpoint of the sim is left out of the table above."""
    served = {route.path.removeprefix(PREFIX) for route in routes(Api(world, lambda: microseconds(world.start)))}
    assert served == set(CASES)


def test_all_statuses_and_results_occur(everything: Any) -> None:
    """A world holds each state of a market's life that clients must cope with, and a result that is neither yes nor no."""
    live, old = everything("/markets", "markets"), everything("/historical/markets", "markets")
    assert {row["status"] for row in live} == {"initialized", "inactive", "active", "closed", "determined", "finalized"}
    assert {row["result"] for row in live} == {"", "yes", "no", "scalar"}
    assert {row["status"] for row in old} == {"finalized"}
    assert {row["strike_type"] for row in live} == {"less", "between", "greater", "structured", "custom"}
    assert {row["price_level_structure"] for row in live} == {"linear_cent", "deci_cent", "tapered_deci_cent"}
    trading = [row for row in live if row["status"] == "active"]
    assert any(row["yes_bid_dollars"] == "0.0000" and row["yes_ask_dollars"] == "1.0000" for row in trading)
    assert any(row["yes_bid_dollars"] == "0.0000" and row["yes_ask_dollars"] != "1.0000" for row in trading)


def test_contract_checker_finds_faults(contract: Any) -> None:
    """The checker itself notices a missing key, an unknown one, a wrong type, a wrong format, a null and a word outside an enum."""
    trade = {
        "trade_id": 5, "ticker": None, "count_fp": "1.0", "yes_price_dollars": "0.1200", "no_price_dollars": "0.8800",
        "taker_outcome_side": "maybe", "created_time": "2026-01-01 00:00", "is_block_trade": False, "liquidity": 1,
    }  # fmt: skip
    found = " ".join(contract.problems("Trade", trade))
    for expected in (
        "trade_id",
        "ticker: null",
        "count_fp",
        "maybe",
        "created_time",
        "unknown key liquidity",
        "taker_book_side: missing",
    ):
        assert expected in found
    assert "yes_price" not in found
