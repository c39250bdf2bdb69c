"""The sim's answers have the structure of the exchange's own, as others recorded them: keys, nulls, text formats, order."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab.sim.api import Api
from kalshi_lab.sim.app import routes
from kalshi_lab.sim.process import PREFIX
from kalshi_lab.sim.world import World, microseconds

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.recordings

# endpoints without a recorded answer: for them the contract alone speaks
NEVER_RECORDED = {
    "/account/endpoint_costs",
    "/events/fee_changes",
    "/events/multivariate",
    "/historical/cutoff",
    "/historical/markets",
    "/historical/markets/{ticker}",
    "/historical/trades",
    "/markets/orderbooks",
    "/series",
    "/series/fee_changes",
    "/series/{series_ticker}/events/{ticker}/candlesticks",
}
COMPARED = {
    "/events",
    "/events/{event_ticker}",
    "/events/{event_ticker}/metadata",
    "/exchange/schedule",
    "/exchange/status",
    "/exchange/user_data_timestamp",
    "/historical/markets/{ticker}/candlesticks",
    "/markets",
    "/markets/candlesticks",
    "/markets/trades",
    "/markets/{ticker}",
    "/markets/{ticker}/orderbook",
    "/series/{series_ticker}",
    "/series/{series_ticker}/markets/{ticker}/candlesticks",
}
# what the exchange took out or put in after the recordings were made, by the contract's changelog
DROPPED = {"liquidity_dollars", "available_on_brokers", "service"}
ADDED = {"settlement_bounds_type", "categories"}
OPTIONAL = {"subtitle"}
FREE = {"custom_strike", "product_metadata"}
BRACKET, GAMES = "KXHIGHNY-26NOV20-B51.5", "KXNBAGAME"
WINDOW = {"start_ts": 1_795_100_400, "end_ts": 1_795_186_800, "period_interval": 60}
_FORMATS = {
    "price": re.compile(r"\d+\.\d{4}"),
    "count": re.compile(r"\d+\.\d{2}"),
    "moment": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"),
    "uuid": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "hour": re.compile(r"\d\d:\d\d"),
}


def _leaf(value: Any) -> str:
    if not isinstance(value, str):
        return "number" if type(value) in {int, float} else type(value).__name__
    return next((name for name, pattern in _FORMATS.items() if pattern.fullmatch(value)), "text")


def _leaves(value: Any, where: str = "") -> dict[str, set[str]]:
    """The kinds of every leaf of a value, by its path of keys."""
    found: dict[str, set[str]] = {}
    if isinstance(value, dict):
        parts = [(f"{where}.{key}", item) for key, item in value.items() if key not in FREE]
    elif isinstance(value, list):
        parts = [(f"{where}[]", item) for item in value]
    else:
        return {where: {_leaf(value)}}
    for place, item in parts:
        for path, kinds in _leaves(item, place).items():
            found.setdefault(path, set()).update(kinds)
    return found


def _keys(values: list[dict[str, Any]]) -> set[frozenset[str]]:
    return {frozenset(set(value) - DROPPED - ADDED - OPTIONAL) for value in values}


def _same(mine: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    """Same keys in each object, and no leaf of a kind that the recorded ones don't have."""
    assert mine
    assert theirs
    assert _keys(mine) == _keys(theirs)
    recorded = _leaves(theirs)
    for path, kinds in _leaves(mine).items():
        if path in recorded:
            assert kinds <= recorded[path], path


@pytest.fixture(scope="module")
def current(recordings: Path) -> Any:
    def read(name: str) -> Any:
        return json.loads((recordings / "rest-current" / name).read_text(encoding="utf-8"))

    return read


@pytest.fixture(scope="module")
def legacy(recordings: Path) -> Any:
    def read(name: str) -> Any:
        return json.loads((recordings / "rest-legacy" / "golden" / name).read_text(encoding="utf-8"))["response"]

    return read


def test_every_endpoint_is_compared_or_known_to_lack_a_recording(world: World) -> None:
    """The two lists above are all endpoints, and share none."""
    served = {route.path.removeprefix(PREFIX) for route in routes(Api(world, lambda: microseconds(world.start)))}
    assert served == COMPARED | NEVER_RECORDED
    assert not COMPARED & NEVER_RECORDED


def test_open_game_market(get: Any, current: Any) -> None:
    """A game's open market, alone and nested in its event, has the recorded keys in the recorded order."""
    recorded = current("cockpit/market_single.json")
    listed = get("/markets", series_ticker=GAMES, status="open")["markets"]
    alone = get(f"/markets/{listed[0]['ticker']}")
    _same([alone["market"]], [recorded["single"]["market"]])
    nested = get("/events", series_ticker=GAMES, status="open", with_nested_markets="true")["events"][0]["markets"]
    _same(nested, [recorded["nested"]])
    assert list(alone["market"]) == sorted(recorded["single"]["market"].keys() - DROPPED | ADDED - {"categories"})


def test_settled_game_market(get: Any, current: Any) -> None:
    """A settled market has what the recorded settled ones have: result, value, time, and an empty book."""
    recorded = [row for row in current("cockpit/markets_settled.json")["markets"] if row["status"] == "finalized"]
    mine = [
        row for row in get("/markets", series_ticker=GAMES, status="settled")["markets"] if row["result"] != "scalar"
    ]
    _same(mine, recorded)
    for field in (
        "yes_bid_dollars",
        "yes_ask_dollars",
        "no_bid_dollars",
        "no_ask_dollars",
        "yes_bid_size_fp",
        "yes_ask_size_fp",
    ):
        assert {row[field] for row in mine} == {row[field] for row in recorded}


def test_combo_market(get: Any, current: Any) -> None:
    """A combo has the recorded keys, in its legs and its custom strike too."""
    recorded, mine = (
        current("cockpit/combo_priced_markets.json")["combos"],
        get("/markets", mve_filter="only", status="open")["markets"],
    )
    _same(mine, recorded)
    assert _keys([row["custom_strike"] for row in mine]) == _keys([row["custom_strike"] for row in recorded])
    assert {row["price_level_structure"] for row in mine} == {row["price_level_structure"] for row in recorded}


def test_events(get: Any, current: Any) -> None:
    """Events of games, in a list and alone, have the recorded keys."""
    recorded = [
        {**row, "markets": row["markets"][:1]} for row in current("cockpit/events_nfl_preseason.json")["events"]
    ]
    listed = get("/events", series_ticker=GAMES, status="open", with_nested_markets="true")["events"]
    _same(listed, recorded)
    bare = [{key: value for key, value in row.items() if key != "markets"} for row in recorded]
    _same([get(f"/events/{listed[0]['event_ticker']}")["event"]], bare)


def test_series(get: Any, current: Any) -> None:
    """A series has the recorded keys."""
    recorded = [entry["series"] for entry in current("cockpit/series_fee_fields.json")["payloads"].values()]
    _same([get("/series/KXNBAGAME")["series"], get("/series/KXNHLGAME")["series"]], recorded)


def _live_candles(current: Any) -> list[dict[str, Any]]:
    baseball = current("cockpit/candlesticks_mlb.json")["markets"].values()
    others = [current(name) for name in ("fairline/candlesticks_weather.json", "money_maker/candlesticks.json")]
    return [candle for part in [*baseball, *others] for candle in part["candlesticks"]]


@pytest.mark.parametrize("minutes", [1, 60])
def test_live_candles(get: Any, current: Any, minutes: int) -> None:
    """Candles ascend; their price keys come in the recorded combinations, or are missing before the first trade."""
    recorded = _live_candles(current)
    mine = get(f"/series/KXHIGHNY/markets/{BRACKET}/candlesticks", **{**WINDOW, "period_interval": minutes})[
        "candlesticks"
    ]
    assert _keys(mine) == _keys(recorded)
    assert _keys([row["price"] for row in mine]) <= _keys([row["price"] for row in recorded]) | {frozenset()}
    for side in ("yes_bid", "yes_ask"):
        assert _keys([row[side] for row in mine]) == _keys([row[side] for row in recorded])
    kinds = _leaves(recorded)
    assert all(found == kinds[path] for path, found in _leaves(mine).items())
    for rows in (mine, current("fairline/candlesticks_weather.json")["candlesticks"]):
        assert all(earlier["end_period_ts"] < later["end_period_ts"] for earlier, later in pairwise(rows))


def test_batch_candles(get: Any, legacy: Any) -> None:
    """The batch answer has the recorded envelope; a daily period ends when recorded ones do, at midnight in New York."""
    recorded = legacy("candlesticks_batch_response.json")["markets"]
    window = {"start_ts": 1_795_000_000, "end_ts": 1_795_186_800, "period_interval": 1440}
    mine = get("/markets/candlesticks", market_tickers=BRACKET, **window)["markets"]
    assert set(mine[0]) | {"market_ticker"} == set(recorded[0]) | {"market_ticker"}
    ends, recorded_ends = (
        {row["end_period_ts"] % 86_400 for row in part[0]["candlesticks"]} for part in (mine, recorded)
    )
    assert ends <= recorded_ends


def test_historical_candles(get: Any, current: Any) -> None:
    """Old candles have other keys, and null where nothing happened."""
    recorded = current("fairline/historical_candlesticks.json")
    quiet = [row["ticker"] for row in get("/historical/markets", series_ticker="KXHIGHNY", limit=30)["markets"]]
    window = {"start_ts": 1_791_500_000, "end_ts": 1_792_600_000, "period_interval": 60}
    answers = [get(f"/historical/markets/{ticker}/candlesticks", **window) for ticker in quiet]
    mine = [row for answer in answers for row in answer["candlesticks"]]
    assert set(answers[0]) == set(recorded)
    _same(mine, recorded["candlesticks"])
    assert _leaves(mine) == _leaves(recorded["candlesticks"])


def test_books(get: Any, current: Any) -> None:
    """Books are bids on both sides, ascending, prices and sizes as recorded; the envelope too."""
    recorded = [current(name) for name in ("fairline/orderbook.json", "money_maker/orderbook.json")]
    recorded += [current("cockpit/market_single.json")["orderbook"], *current("cockpit/combo_orderbooks.json")]
    mine = get(f"/markets/{BRACKET}/orderbook")
    assert set(mine) == set(recorded[0])
    assert _leaves(mine["orderbook_fp"]) == _leaves(recorded[0]["orderbook_fp"])
    for book in [mine, *recorded]:
        for side in book["orderbook_fp"].values():
            prices = [float(level[0]) for level in side]
            assert prices == sorted(set(prices))


def test_trades(get: Any, current: Any) -> None:
    """Trades come newest first, with the recorded keys and formats; some share a time, as takers meet several makers."""
    recorded = current("money_maker/trades.json")
    mine = get("/markets/trades", limit=500)
    assert set(mine) == set(recorded)
    _same(mine["trades"], recorded["trades"])
    for rows in (mine["trades"], recorded["trades"]):
        times = [row["created_time"][:19] for row in rows]
        assert times == sorted(times, reverse=True)
        assert len({row["created_time"] for row in rows}) < len(rows)
        sides = {(row["taker_side"], row["taker_outcome_side"], row["taker_book_side"]) for row in rows}
        assert sides == {("yes", "yes", "bid"), ("no", "no", "ask")}


def test_exchange(get: Any, current: Any, legacy: Any) -> None:
    """Status, schedule, freshness and event pictures have the recorded keys."""
    _same([get("/exchange/status")], [current("money_maker/exchange_status.json")])
    _same([get("/exchange/user_data_timestamp")], [legacy("user_data_timestamp_response.json")])
    mine, theirs = (
        answer["schedule"] for answer in (get("/exchange/schedule"), legacy("exchange_schedule_response.json"))
    )
    _same(mine["standard_hours"], theirs["standard_hours"])
    assert mine["standard_hours"][0]["thursday"] == theirs["standard_hours"][0]["thursday"]
    _same([get("/events/KXHIGHNY-26NOV20/metadata")], [legacy("event_metadata_response.json")])


def test_errors(exchange: Any, client: Any, current: Any) -> None:
    """Refusals have the recorded bodies."""
    recorded = {
        entry["status"]: entry["body"]["error"] for entry in current("errors.json") if entry["status"] in {400, 404}
    }
    answers = [client.get(f"{exchange.url}{path}") for path in ("/markets?status=finalized", "/markets/NOBODY")]
    for answer in answers:
        expected = {key: value for key, value in recorded[answer.status_code].items() if key not in DROPPED}
        assert answer.json() == {"error": expected}
