"""Every answer about milestones, targets, incentives, collections, live data, the weather and forecasts keeps the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.sim.desk.conftest import Member

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from kalshi_lab import sim

NOW = 1_795_186_800
WEATHER, BITCOIN, INFLATION = "KXHIGHNY-26NOV20", "KXBTCD-26NOV2017", "KXCPI-26DEC"
GAME, TOTAL = "KXNBAGAME-26NOV20PORIND", "KXNBATOTAL-26NOV20PORIND"
COLLECTION = "KXMVECROSSCATEGORY-R"
FAMILIES = {"milestone", "structured_targets", "search", "incentive_programs", "live_data", "multivariate"}
FORECAST = "/series/{series_ticker}/events/{ticker}/forecast_percentile_history"
WINDOW = {"start_ts": NOW - 4 * 3600, "end_ts": NOW, "period_interval": 60}
LEGS = [
    {"event_ticker": GAME, "market_ticker": f"{GAME}-POR", "side": "yes"},
    {"event_ticker": WEATHER, "market_ticker": f"{WEATHER}-B51.5", "side": "no"},
]
# for each public endpoint: path parameters to look up, then the queries to try
CASES: dict[str, list[dict[str, Any]]] = {
    "/milestones": [
        {"limit": 500}, {"limit": 1}, {"limit": 5, "category": "Sports", "type": "hockey_game"}, {"limit": 5, "competition": "NBA"},
        {"limit": 5, "related_event_ticker": TOTAL}, {"limit": 5, "minimum_start_date": "2026-11-01T00:00:00Z"},
        {"limit": 5, "min_updated_ts": NOW - 86_400}, {"limit": 5, "category": "Economics"},
    ],
    "/milestones/{milestone_id}": [{}],
    "/structured_targets": [{}, {"page_size": 2000}, {"type": "football_team"}, {"competition": "NHL", "page_size": 3}],
    "/structured_targets/{structured_target_id}": [{}],
    "/search/filters_by_sport": [{}],
    "/search/tags_by_categories": [{}],
    "/incentive_programs": [
        {"limit": 10_000}, {"status": "active"}, {"status": "upcoming"}, {"status": "closed"}, {"status": "paid_out", "limit": 4},
        {"type": "volume"}, {"incentive_description": "Rewards for the volume that a member trades"},
    ],
    "/live_data/batch": [{"milestone_ids": ["0", "1", "nobody"]}, {"milestone_ids": "0", "include_player_stats": "true"}],
    "/live_data/events/{event_ticker}": [{}, {"range": "1h"}, {"range": "all"}],
    "/live_data/milestone/{milestone_id}": [{}, {"include_player_stats": "true"}],
    "/live_data/milestone/{milestone_id}/game_stats": [{}],
    "/live_data/{type}/milestone/{milestone_id}": [{}],
    "/live_data/weather/{city}": [
        {}, {"last_sec": 600, "detailed": "true"}, {"from": (NOW - 90_000) * 1000, "to": (NOW - 3_600) * 1000},
    ],
    "/live_data/weather/{city}/calibrations": [{}],
    "/multivariate_event_collections": [
        {}, {"status": "open", "limit": 1}, {"series_ticker": "KXMVECROSSCATEGORY"}, {"associated_event_ticker": GAME},
    ],
    "/multivariate_event_collections/{collection_ticker}": [{}],
}  # fmt: skip


@pytest.fixture(scope="module")
def known(get: Callable[..., Any]) -> dict[str, list[str]]:
    """Values of path parameters."""
    milestones = get("/milestones", limit=500)["milestones"]
    chosen = [next(one for one in milestones if one["type"] == kind) for kind in ("hockey_game", "economic_release")]
    done = next(one for one in milestones if one["details"].get("status") == "closed")
    return {
        "milestone_id": [chosen[0]["id"], chosen[1]["id"], done["id"]],
        "type": [chosen[0]["type"], chosen[1]["type"], done["type"]],
        "structured_target_id": [chosen[0]["details"]["home_team_id"]],
        "event_ticker": [WEATHER, BITCOIN],
        "city": ["nyc"],
        "collection_ticker": [COLLECTION],
    }


def _paths(path: str, known: dict[str, list[str]]) -> list[str]:
    names = [name for name in known if f"{{{name}}}" in path]
    many = max((len(known[name]) for name in names), default=1)
    return [path.format(**{name: known[name][place] for name in names}) for place in range(many)]


@pytest.mark.parametrize("path", CASES)
def test_answers_keep_the_contract(
    path: str, exchange: sim.Exchange, client: httpx.Client, contract: Any, known: dict[str, list[str]]
) -> None:
    """Keys, types, formats, nulls and enums of each answer are those of the contract, and there is something in it."""
    for filled in _paths(path, known):
        for query in CASES[path]:
            asked = dict(query)
            if "milestone_ids" in asked:
                places = [asked["milestone_ids"]] if isinstance(asked["milestone_ids"], str) else asked["milestone_ids"]
                asked["milestone_ids"] = [known["milestone_id"][int(one)] if one.isdigit() else one for one in places]
            response = client.get(exchange.url + filled, params=asked)
            assert response.status_code == 200, (filled, asked, response.text)
            value = response.json()
            assert contract.problems(contract.response(path), value) == []
            rows = [item for item in value.values() if isinstance(item, list)]
            assert all(rows), (filled, asked)


def test_every_endpoint_of_the_families_is_tried(contract: Any) -> None:
    """The table and the signed tests below leave none out."""
    asked = {(one["method"], path) for path, one in ((key[1], entry) for key, entry in contract.endpoints.items())
             if one["family"] in FAMILIES}  # fmt: skip
    assert asked - {("GET", path) for path in CASES} == {
        ("POST", "/multivariate_event_collections/{collection_ticker}")
    }


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/milestones", {}), ("/milestones", {"limit": 501}), ("/milestones", {"limit": 0}),
        ("/milestones", {"limit": 5, "minimum_start_date": "soon"}), ("/milestones", {"limit": 5, "cursor": "x"}),
        ("/structured_targets", {"page_size": 2001}), ("/structured_targets", {"page_size": 0}),
        ("/incentive_programs", {"limit": 10_001}), ("/incentive_programs", {"status": "open"}), ("/incentive_programs", {"type": "x"}),
        ("/live_data/batch", {}), ("/live_data/batch", {"milestone_ids": ["x"] * 101}),
        (f"/live_data/events/{WEATHER}", {"range": "1y"}), ("/live_data/weather/paris", {}), ("/live_data/weather/chi", {}),
        ("/live_data/weather/nyc", {"last_sec": 60, "from": 1}), ("/live_data/weather/nyc", {"from": 0}),
        ("/live_data/weather/nyc", {"detailed": "maybe"}), ("/live_data/weather/paris/calibrations", {}),
        ("/multivariate_event_collections", {"limit": 201}), ("/multivariate_event_collections", {"status": "settled"}),
    ],
)  # fmt: skip
def test_bad_questions_are_refused(
    path: str, params: dict[str, Any], exchange: sim.Exchange, client: httpx.Client
) -> None:
    """A wrong question is answered 400 in the exchange's shape of an error."""
    response = client.get(exchange.url + path, params=params)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["code"] == "bad_request"


@pytest.mark.parametrize(
    "path",
    [
        "/milestones/nobody", "/structured_targets/nobody", "/live_data/milestone/nobody", "/live_data/milestone/nobody/game_stats",
        "/live_data/events/nobody", f"/live_data/events/{INFLATION}", "/multivariate_event_collections/nobody",
    ],
)  # fmt: skip
def test_unknown_names_are_not_found(path: str, exchange: sim.Exchange, client: httpx.Client) -> None:
    """An id that nothing has is answered 404."""
    assert client.get(exchange.url + path).status_code == 404


def test_the_type_in_a_path_must_fit(exchange: sim.Exchange, client: httpx.Client, known: dict[str, list[str]]) -> None:
    """The deprecated path names the type too: another one finds nothing."""
    path = f"/live_data/football_game/milestone/{known['milestone_id'][0]}"
    assert client.get(exchange.url + path).status_code == 404


@pytest.mark.parametrize(
    ("path", "names", "params"),
    [
        ("/milestones", ("milestones", "cursor", "limit"), {"category": "Sports"}),
        ("/structured_targets", ("structured_targets", "cursor", "page_size"), {"type": "hockey_team"}),
        ("/incentive_programs", ("incentive_programs", "next_cursor", "limit"), {"type": "volume"}),
    ],
)
def test_pages_together_are_the_whole(
    path: str, names: tuple[str, str, str], params: dict[str, Any], get: Callable[..., Any]
) -> None:
    """API pages: small pages in a row give what one large page gives, each row once, under each listing's own names."""
    key, cursor, size = names
    whole = get(path, **{size: 500}, **params)
    assert not whole[cursor]
    found: list[str] = []
    at = ""
    while True:
        page = get(path, **{size: 7}, **params, **({"cursor": at} if at else {}))
        found += [row["id"] for row in page[key]]
        at = page[cursor]
        if not at:
            break
    assert found == [row["id"] for row in whole[key]]
    assert len(set(found)) == len(found) > 7


def test_targets_are_found_by_their_ids(get: Callable[..., Any]) -> None:
    """Ids are given once each; unknown ones are left out."""
    first = get("/structured_targets", page_size=3)["structured_targets"]
    ids = [first[2]["id"], "nobody", first[0]["id"]]
    assert [one["id"] for one in get("/structured_targets", ids=ids)["structured_targets"]] == [
        first[0]["id"],
        first[2]["id"],
    ]


def test_events_come_with_their_milestones(get: Callable[..., Any], contract: Any) -> None:
    """`with_milestones` gives the milestones of the page's events, each once."""
    page = get("/events", with_milestones="true", limit=50, series_ticker="KXNBATOTAL")
    assert contract.problems("GetEventsResponse", page) == []
    named = {ticker for one in page["milestones"] for ticker in one["related_event_tickers"]}
    assert {event["event_ticker"] for event in page["events"]} <= named
    assert len(page["milestones"]) == len(page["events"]) > 0


def test_forecasts_keep_the_contract(exchange: sim.Exchange, client: httpx.Client, contract: Any) -> None:
    """Forecasts need a key; each kind of figure and period has points in the order asked for."""
    member = Member(exchange, client).join(tier="prestige")
    for series, event, minutes in (
        ("KXHIGHNY", WEATHER, 60), ("KXBTCD", BITCOIN, 1), ("KXCPI", INFLATION, 1440), ("KXNBATOTAL", TOTAL, 0),
    ):  # fmt: skip
        start = NOW - 3 * 86_400 if minutes == 1440 else NOW - 3_600
        query = {"percentiles": [2500, 5000, 9999, 0], "start_ts": start, "end_ts": NOW, "period_interval": minutes}
        found = member.get(FORECAST.format(series_ticker=series, ticker=event), **query)
        assert contract.problems(contract.response(FORECAST), found) == []
        assert {point["period_interval"] for point in found["forecast_history"]} == {minutes}
        for point in found["forecast_history"]:
            low, middle, high, lowest = (one["raw_numerical_forecast"] for one in point["percentile_points"])
            assert lowest < low < middle < high
    nothing = member.get(FORECAST.format(series_ticker="KXNBAGAME", ticker=GAME), percentiles=5000, **WINDOW)
    assert nothing == {"forecast_history": []}


def test_bad_forecast_questions_are_refused(exchange: sim.Exchange, client: httpx.Client) -> None:
    """Without a key 401, of a wrong series 404, out of bounds 400."""
    path = FORECAST.format(series_ticker="KXHIGHNY", ticker=WEATHER)
    assert client.get(exchange.url + path, params={"percentiles": 50, **WINDOW}).status_code == 401
    member = Member(exchange, client).join(tier="prestige")
    for wrong in (
        {}, {"percentiles": 10_000}, {"percentiles": "half"}, {"percentiles": list(range(11))}, {"percentiles": 1, "period_interval": 5},
        {"percentiles": 1, "start_ts": NOW + 1}, {"percentiles": 1, "start_ts": 0}, {"percentiles": 1, "end_ts": ""},
    ):  # fmt: skip
        assert member.call("GET", path, **{**WINDOW, **wrong}).status_code == 400, wrong
    other = FORECAST.format(series_ticker="KXBTCD", ticker=WEATHER)
    assert member.call("GET", other, percentiles=1, **WINDOW).status_code == 404


def test_a_combo_is_made_once_and_then_trades(own: sim.Exchange, client: httpx.Client, contract: Any) -> None:
    """New legs make a market that is listed, quoted, ordered and paid like all others; the same legs give it again."""
    member = Member(own, client).join(tier="prestige")
    events = client.get(f"{own.url}/events", params={"status": "open", "with_nested_markets": "true"}).json()["events"]
    pairs = [(event["event_ticker"], event["markets"][0]["ticker"]) for event in events[:4]]
    legs = [{"event_ticker": event, "market_ticker": ticker, "side": "yes"} for event, ticker in pairs]
    path = f"/multivariate_event_collections/{COLLECTION}"
    response = member.call("POST", path, {"selected_markets": legs, "with_market_payload": True})
    assert response.status_code == 200, response.text
    made = response.json()
    assert contract.problems("CreateMarketInMultivariateEventCollectionResponse", made) == []
    assert (made["market"]["status"], made["market"]["mve_selected_legs"]) == ("active", legs)
    again = member.call("POST", path, {"selected_markets": legs[::-1]}).json()
    assert again == {name: made[name] for name in ("event_ticker", "market_ticker")}
    ticker = made["market_ticker"]
    page = client.get(f"{own.url}/markets", params={"mve_filter": "only", "limit": 1}).json()
    assert page["markets"][0]["ticker"] == ticker
    assert contract.problems("GetMarketsResponse", page) == []
    true = own.truth(ticker)
    assert true == pytest.approx(_product(own, [leg["market_ticker"] for leg in legs]))
    wish = {
        "ticker": ticker, "side": "bid", "count": "3", "price": "0.99", "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
    }  # fmt: skip
    assert member.call("POST", "/portfolio/events/orders", wish).status_code == 201
    own.advance(200 * 86_400)
    old = client.get(f"{own.url}/historical/markets/{ticker}").json()["market"]
    assert old["result"] in {"yes", "no", "scalar"}


def _product(exchange: sim.Exchange, tickers: list[str]) -> float:
    product = 1.0
    for ticker in tickers:
        product *= exchange.truth(ticker)
    return product


@pytest.mark.parametrize(
    ("legs", "code"),
    [
        ([], "invalid_parameters"),
        (LEGS[:1], "invalid_market_combination"),
        ([LEGS[0], LEGS[0]], "duplicated_legs"),
        ([LEGS[0], {**LEGS[0], "side": "no"}], "conflicting_leg_outcomes"),
        ([LEGS[0], {**LEGS[0], "market_ticker": f"{GAME}-IND"}], "invalid_market_combination"),
        ([LEGS[0], {**LEGS[1], "event_ticker": GAME}], "invalid_parameters"),
        ([LEGS[0], {**LEGS[1], "side": "maybe"}], "invalid_parameters"),
        ([LEGS[0], {"market_ticker": f"{WEATHER}-B51.5", "side": "yes"}], "invalid_parameters"),
        ([LEGS[0], "nobody"], "bad_request"),
    ],
)
def test_bad_legs_are_refused(
    legs: list[Any], code: str, exchange: sim.Exchange, client: httpx.Client, contract: Any
) -> None:
    """Too few legs, twice the same, both outcomes of one market, two of one event, a market of another event."""
    member = Member(exchange, client).join()
    response = member.call("POST", f"/multivariate_event_collections/{COLLECTION}", {"selected_markets": legs})
    assert (response.status_code, response.json()["error"]["code"]) == (400, code), response.text
    assert contract.problems("ErrorResponse", response.json()["error"]) == []


def test_making_combos_needs_a_key(exchange: sim.Exchange, client: httpx.Client) -> None:
    """Unsigned 401, unknown collection 404."""
    path = "/multivariate_event_collections/nobody"
    assert client.post(exchange.url + path, json={"selected_markets": LEGS}).status_code == 401
    member = Member(exchange, client).join()
    assert member.call("POST", path, {"selected_markets": LEGS}).status_code == 404


def test_milestones_are_found_by_their_source(get: Callable[..., Any]) -> None:
    """The provider's id finds its milestone, another finds none."""
    wanted = get("/milestones", limit=3)["milestones"][2]
    found = get("/milestones", limit=5, source_id=wanted["source_id"])["milestones"]
    assert [one["id"] for one in found] == [wanted["id"]]
    assert get("/milestones", limit=5, source_id="nobody")["milestones"] == []
