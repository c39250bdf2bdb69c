"""What each public method asks, to the letter, and what it makes of the answer, over a socket and in both faces."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import polars as pl
import pytest

import kalshi_lab as kl
from kalshi_lab import models
from tests.kalshi.public_calls import CANDLE, CASES, FORECAST, MILESTONE, NOON, SECOND, WEATHER, Case
from tests.kalshi.scripted import Answer, Asked, market

if TYPE_CHECKING:
    from kalshi_lab.door import Call, Door, Reply

IDS = [case.name for case in CASES]


def taken(found: Any) -> Any:
    """What a call gives, a listing read to its end."""
    return list(found) if isinstance(found, kl.Pages) else found


async def awaited(found: Any) -> Any:
    return [one async for one in found] if isinstance(found, kl.AsyncPages) else await found


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_what_is_asked_and_what_comes_back(case: Case, scripted: Any) -> None:
    """API-7 to API-10, API-17: path and query to the letter, and the answer in records and frames."""
    server = scripted(lambda _asked: Answer(case.body))
    with server.client() as client:
        assert case.check(taken(case.ask(client)))
    assert [(one.path, parse_qsl(one.query)) for one in server.asked] == [(case.path, case.query)]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_same_awaited(case: Case, scripted: Any) -> None:
    """The awaited client asks the same and gives the same."""
    server = scripted(lambda _asked: Answer(case.body))

    async def ask() -> Any:
        async with kl.AsyncKalshi(settings=server.settings()) as client:
            return await awaited(case.ask(client))

    assert case.check(asyncio.run(ask()))
    assert [(one.path, parse_qsl(one.query)) for one in server.asked] == [(case.path, case.query)]


OF_RECORDS = [one for one in CASES if not one.name.startswith("search") and "without" not in one.name]


@pytest.mark.parametrize("case", OF_RECORDS, ids=lambda case: case.name)
def test_a_new_field_is_kept(case: Case, scripted: Any) -> None:
    """Lesson 2: a field that the exchange adds to an object stays with it, and disturbs nothing."""
    new = {"brand_new": [1]}
    grown = {key: one | new if isinstance(one, dict) else one for key, one in case.body.items()}
    grown |= {
        key: [row | new for row in one]
        for key, one in grown.items()
        if isinstance(one, list) and all(isinstance(row, dict) for row in one)
    }
    server = scripted(lambda _asked: Answer({**grown, **new}))
    with server.client() as client:
        found = taken(case.ask(client))
        assert case.check(found)
    if not isinstance(found, pl.DataFrame):
        kept = found if isinstance(found, list | tuple) else [found]
        assert [one.model_extra for one in kept] == [new] * len(kept)


def listings() -> list[Case]:
    return [one for one in CASES if "list" in one.name or one.name in {"events.fee_changes", "events.multivariate"}]


@pytest.mark.parametrize("end", ["", None, ...], ids=["empty", "null", "absent"])
@pytest.mark.parametrize("case", listings(), ids=lambda case: case.name)
def test_every_end_of_pages_is_an_end(case: Case, end: Any, scripted: Any) -> None:
    """API-2, lesson 6: an empty, a null and an absent cursor end every listing, after the page that a cursor led to."""
    cursor = "next_cursor" if case.name.startswith("incentive") else "cursor"
    key = next(key for key, value in case.body.items() if isinstance(value, list) and value)
    bare = {name: value for name, value in case.body.items() if name != cursor}

    def answer(asked: Asked) -> Answer:
        if asked.params.get("cursor") != "p2":
            return Answer({**bare, cursor: "p2"})
        second = {**bare, key: [{**row, next(iter(row)): "second"} for row in bare[key]]}
        return Answer(second if end is ... else {**second, cursor: end})

    server = scripted(answer)
    with server.client() as client:
        pages = case.ask(client)
        frame = pages.frame()
    wanted = min(2, int(dict(case.query).get("limit", "2")))
    assert frame.height == wanted
    assert [one.params.get("cursor") for one in server.asked] == [None, "p2"]
    assert not pages.truncated


def test_pages_cut_short_say_so(scripted: Any) -> None:
    """API-3, lesson 5: with max_pages=1 every listing has one page and says that there was more."""
    server = scripted(lambda _asked: Answer({"milestones": [MILESTONE], "cursor": "p2"}))
    with server.client() as client:
        pages = client.milestones.list(max_pages=1)
        assert pages.frame().height == 1
    assert pages.truncated
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("ask", "most"),
    [
        (lambda k, n: k.markets.list(limit=n), 1000),
        (lambda k, n: k.markets.trades(limit=n), 1000),
        (lambda k, n: k.historical.markets(limit=n), 1000),
        (lambda k, n: k.historical.trades(limit=n), 1000),
        (lambda k, n: k.events.list(limit=n), 200),
        (lambda k, n: k.events.multivariate(limit=n), 200),
        (lambda k, n: k.events.fee_changes(limit=n), 1000),
        (lambda k, n: k.multivariate.list(limit=n), 200),
        (lambda k, n: k.milestones.list(limit=n), 500),
        (lambda k, n: k.structured_targets.list(limit=n), 2000),
        (lambda k, n: k.incentive_programs.list(limit=n), 10_000),
    ],
)
def test_page_sizes_are_the_endpoint_s_own(ask: Any, most: int, scripted: Any) -> None:
    """API-1, API-5, lesson 1: no page is asked for that is larger than its endpoint serves, and none smaller than need be."""
    keys = ("markets", "trades", "events", "event_fee_changes", "multivariate_contracts", "milestones")
    body: dict[str, Any] = {key: [] for key in (*keys, "structured_targets", "incentive_programs")}
    server = scripted(lambda _asked: Answer(body))
    with server.client() as client:
        for wanted in (None, most + 1, most, 3):
            ask(client, wanted).frame()
    sizes = [one.params.get("limit") or one.params.get("page_size") for one in server.asked]
    assert sizes == [str(most), str(most), str(most), "3"]


def test_milestones_come_along_with_events(scripted: Any) -> None:
    """API-7: the milestones of a page of events are kept, each once, whichever way the events are read."""

    def answer(asked: Asked) -> Answer:
        page = 1 if asked.params.get("cursor") else 0
        rows = [{"event_ticker": f"KXA-{page}"}]
        return Answer(
            {"events": rows, "milestones": [MILESTONE, {**MILESTONE, "id": f"m-{page}"}], "cursor": ["p2", ""][page]}
        )

    server = scripted(answer)
    with server.client() as client:
        pages = client.events.list(milestones=True)
        assert pages.beside == {"milestones": []}
        assert pages.frame().height == 2
        found = pages.beside["milestones"]
        assert [one.id for one in found] == ["m-1", "m-0"]
        assert all(isinstance(one, models.Milestone) for one in found)
        assert len(list(pages)) == 2
        assert [one.id for one in pages.beside["milestones"]] == ["m-1", "m-0"]
        assert client.events.list().beside == {}
    assert server.asked[0].params["with_milestones"] == "true"
    assert "with_milestones" not in parse_qsl(server.asked[-1].query)


@pytest.mark.parametrize("gone", [None, ...])
def test_events_without_milestones_have_none(gone: Any, scripted: Any) -> None:
    """Lesson 11: null or absent where a list is promised is an empty list."""
    body = {"events": [{"event_ticker": "KXA"}], "milestones": gone, "cursor": ""}
    server = scripted(lambda _asked: Answer({key: value for key, value in body.items() if value is not ...}))
    with server.client() as client:
        pages = client.events.list(milestones=True)
        assert (pages.frame().height, pages.beside) == (1, {"milestones": []})


@pytest.mark.long
def test_a_long_window_takes_several_requests(scripted: Any) -> None:
    """API-6: no answer is asked for that holds more candlesticks than are served, and their edges neither gape nor double."""

    def answer(asked: Asked) -> Answer:
        start, end = (int(asked.params[name]) for name in ("start_ts", "end_ts"))
        minutes = range(-(-start // 60) * 60, end + 1, 60)
        rows = [{**CANDLE, "end_period_ts": at} for at in minutes]
        if asked.path == "/markets/candlesticks":
            names = asked.params["market_tickers"].split(",")
            return Answer({"markets": [{"market_ticker": name, "candlesticks": rows} for name in names]})
        return Answer({"candlesticks": rows})

    server = scripted(answer)
    with server.client() as client:
        week = {"since": SECOND - 7 * 86_400, "until": SECOND}
        alone = client.markets.candlesticks("KXA-1-B", "1m", series="KXA", latest_before=True, **week)
        named = len(server.asked)
        batch = client.markets.candlesticks("KXA-1-B", "1m", **week)
        many = client.markets.batch_candlesticks(
            [f"KXA-1-{n}" for n in range(50)], "1m", since=SECOND - 36_000, until=SECOND
        )
        old = client.historical.candlesticks("KXA-1-B", "1m", **week)
    assert alone.equals(batch)
    assert alone.equals(old)
    assert alone.height == 7 * 1440 + 1
    assert alone.get_column("end_time").diff().drop_nulls().n_unique() == 1
    assert many.height == 50 * 601
    assert named == 3
    asked = [int(one.params["end_ts"]) - int(one.params["start_ts"]) for one in server.asked]
    markets = [len(one.params.get("market_tickers", "").split(",")) for one in server.asked]
    assert all((span // 60 + 1) * count <= 10_000 for span, count in zip(asked, markets, strict=True))
    before = [one.params.get("include_latest_before_start") for one in server.asked]
    assert before[:3] == ["true", None, None]


def test_candlesticks_of_an_event_are_read_to_their_end(scripted: Any) -> None:
    """API-6: where an event's answer stops early, the rest is asked for, and its parallel lists become one frame."""

    def answer(asked: Asked) -> Answer:
        start, end = (int(asked.params[name]) for name in ("start_ts", "end_ts"))
        reached = min(end, start + 2 * 3600)
        rows = [{**CANDLE, "end_period_ts": at} for at in range(start, reached + 1, 3600)]
        return Answer({"market_tickers": ["M-B", "M-A"], "market_candlesticks": [rows, []], "adjusted_end_ts": reached})

    server = scripted(answer)
    with server.client() as client:
        frame = client.events.candlesticks("KXA-1", since=SECOND - 5 * 3600, until=SECOND, series="KXA", exact=True)
    assert frame.get_column("ticker").unique().to_list() == ["M-B"]
    assert frame.get_column("end_time").to_list() == [NOON.replace(hour=hour) for hour in range(7, 13)]
    assert frame.schema["yes_bid_open"] == pl.Decimal(9, 6)
    assert [one.path for one in server.asked] == ["/series/KXA/events/KXA-1/candlesticks"] * 3


def test_an_event_whose_candlesticks_do_not_get_on_is_no_endless_loop(scripted: Any) -> None:
    """An answer that stops where it starts is an error with the request in it, and lists that do not match are one too."""
    stuck = {"market_tickers": [], "market_candlesticks": [], "adjusted_end_ts": SECOND - 7200}
    for body, kind in ((stuck, kl.StalledPagination), ({**stuck, "market_tickers": ["M"]}, kl.BadPayload)):
        server = scripted(lambda _asked, body=body: Answer(body))
        with server.client() as client, pytest.raises(kind) as error:
            client.events.candlesticks("KXA-1", since=SECOND - 7200, until=SECOND, series="KXA")
        assert error.value.path == "/series/KXA/events/KXA-1/candlesticks"


def test_the_series_of_an_event_is_looked_up(scripted: Any) -> None:
    """Without a series its event is asked, since tickers are never taken apart."""

    def answer(asked: Asked) -> Answer:
        if asked.path == "/events/ODD":
            return Answer({"event": {"event_ticker": "ODD", "series_ticker": "KXREAL"}, "markets": [market(1)]})
        return Answer({"market_tickers": [], "market_candlesticks": [], "adjusted_end_ts": SECOND})

    server = scripted(answer)
    with server.client() as client:
        client.events.candlesticks("ODD", since=SECOND - 7200, until=SECOND)
        assert client.events.one("ODD", markets=False).markets[0].ticker == "KXODD-001"
    assert server.asked[1].path == "/series/KXREAL/events/ODD/candlesticks"
    assert server.asked[2].query == ""


class Unsigned:
    """A door that may write and does not sign, since the scripted exchange looks at no signature."""

    writable = True

    def __init__(self, door: Door) -> None:
        self._door = door
        self.calls: list[Call] = []

    async def send(self, call: Call) -> Reply:
        self.calls.append(call)
        return await self._door.send(replace(call, auth=False))


def test_forecasts_are_one_row_for_each_percentile(scripted: Any) -> None:
    """API-18: percentiles are repeated in the query, and the nested answer becomes a long frame; the call is signed."""
    server = scripted(lambda _asked: Answer({"forecast_history": [FORECAST]}))
    with server.client() as client:
        door = client._twin.events._door = Unsigned(client._twin.door)
        window = {"since": SECOND - 7200, "until": SECOND, "series": "KXA"}
        frame = client.events.forecast_percentiles("KXA-1", [2500, 5000], **window)
        client.events.forecast_percentiles("KXA-1", [0, 9999], "5s", **window)
    assert frame.select("end_time", "percentile", "raw_numerical_forecast", "formatted_forecast").rows() == [
        (NOON, 2500, 48.0, "48°"),
        (NOON, 5000, 50.25, "50°"),
    ]
    sent = [("percentiles", "2500"), ("percentiles", "5000"), ("start_ts", str(SECOND - 7200)), ("end_ts", str(SECOND))]
    assert parse_qsl(server.asked[0].query) == [*sent, ("period_interval", "60")]
    assert server.asked[1].params["period_interval"] == "0"
    assert all(call.auth for call in door.calls)


def test_a_combo_is_made_by_who_may_write(scripted: Any) -> None:
    """API-8: legs as another combo has them or as three words; nothing is sent by a client that only reads."""
    body = {"event_ticker": "KXMVE-1", "market_ticker": "KXMVE-1-X", "market": market(7, ticker="KXMVE-1-X")}
    server = scripted(lambda _asked: Answer(body))
    legs = [models.Leg(event_ticker="KXA-1", market_ticker="KXA-1-B", side="yes"), ("KXB-1", "KXB-1-C", "no")]
    with server.client() as client:
        with pytest.raises(kl.TradingOff, match="only reads"):
            client.multivariate.create_market("KXMVE-R", legs)
        assert server.asked == []
        door = client._twin.multivariate._door = Unsigned(client._twin.door)
        made = client.multivariate.create_market("KXMVE-R", legs, with_market=True)
    assert (made.market_ticker, made.market.yes_bid) == ("KXMVE-1-X", Decimal("0.56"))
    assert made.market.model_extra == {}
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/multivariate_event_collections/KXMVE-R")
    assert json.loads(asked.body) == {
        "selected_markets": [
            {"event_ticker": "KXA-1", "market_ticker": "KXA-1-B", "side": "yes"},
            {"event_ticker": "KXB-1", "market_ticker": "KXB-1-C", "side": "no"},
        ],
        "with_market_payload": True,
    }
    assert door.calls[0].auth


def test_nested_records_stay_as_they_were_sent_in_frames(scripted: Any) -> None:
    """Nested records are JSON text in frames, under the wire's names and with its numbers, read as pages or as objects."""
    sent = {
        **WEATHER["timeseries"][0],
        "stations": [{**WEATHER["timeseries"][0]["stations"][0], "primary_code": 5, "new": 1}],
    }
    server = scripted(lambda _asked: Answer({**WEATHER, "timeseries": [sent]}))
    with server.client() as client:
        index = client.live_data.weather("nyc")
    row = kl.frame(index.timeseries).row(0, named=True)
    assert json.loads(row["stations"]) == sent["stations"]
    assert index.timeseries[0].stations[0].primary_code is None


def test_defaults_are_the_contract_s(scripted: Any) -> None:
    """Combos are left out of markets unless asked for (lesson 12), and what is not asked for is not sent."""
    server = scripted(lambda _asked: Answer({"markets": [], "series": [], "cursor": ""}))
    with server.client() as client:
        client.markets.list().frame()
        client.markets.list(combos="only").frame()
        client.markets.list(combos=True).frame()
        client.series.list().frame()
    assert [one.params for one in server.asked] == [
        {"mve_filter": "exclude", "limit": "1000"},
        {"mve_filter": "only", "limit": "1000"},
        {"limit": "1000"},
        {},
    ]


def test_every_public_method_has_a_case_or_a_test_of_its_own() -> None:
    """No public operation of the client is without a test here or among the older ones."""
    elsewhere = {
        "events.candlesticks",
        "events.forecast_percentiles",
        "events.one",
        "exchange.schedule",
        "historical.candlesticks",
        "historical.cutoff",
        "historical.fills",
        "historical.market",
        "historical.markets",
        "historical.orders",
        "historical.positions",
        "markets.candlesticks",
        "markets.list",
        "markets.one",
        "markets.orderbook",
        "markets.orderbooks",
        "markets.trades",
        "multivariate.create_market",
        "series.list",
        "series.one",
    }
    mine = ("exchange", "market", "events", "historical", "milestone", "multivariate", "structured_targets", "search")
    families = (*mine, "incentive_programs", "live_data")
    named = kl.Kalshi.operations().filter(pl.col("family").is_in(families)).get_column("name")
    assert set(named) == {name.split(" ")[0] for name in IDS} | elsewhere


@pytest.mark.parametrize("face", [kl.Kalshi, kl.AsyncKalshi])
def test_a_client_is_opened_like_a_lab(face: type[kl.Kalshi | kl.AsyncKalshi]) -> None:
    """The environment comes first, as it does for a lab; settings and single options are not mixed, since one would win unseen."""
    assert face("demo").settings.environment == "demo"
    with pytest.raises(kl.UsageError, match="not both"):
        face("prod", settings=kl.Settings(environment="demo"))
    with pytest.raises(kl.UsageError, match="unknown environment 'dem'"):
        face("dem")  # type: ignore[arg-type]
