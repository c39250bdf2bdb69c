"""Every recorded body of today is known to the last field; recordings of older formats are read or named for what they are."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab import frames, models, objects
from kalshi_lab.models import columns
from tests.kalshi.scripted import Answer
from tests.real.faithful import differences, leftover

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kalshi_lab.models import Record
    from tests.real.replay import Recorded, Row

pytestmark = pytest.mark.recordings
CAPTURERS = {"_truncated_from"}  # notes of those who recorded
LEGACY = "legacy format: integer cents and counts, removed 12 March 2026"


def current(recorded: Recorded, folder: Path) -> dict[type[Record], list[Row]]:
    """Every public row under rest-current, by its record."""
    read = json.loads((folder / "rest-current/cockpit/combo_collections.json").read_text(encoding="utf-8"))
    grids = json.loads((folder / "rest-current/cockpit/price_grids.json").read_text(encoding="utf-8"))["grids"]
    collections = [{name: one[name] for name in one.keys() - CAPTURERS} for one in read.values()]
    bars = [(ticker, row) for ticker, one in recorded.candles.items() for row in one["rows"]]
    bars += [(ticker, row) for ticker, one in recorded.old_candles.items() for row in one["rows"]]
    return {
        models.Event: [event for events in recorded.events.values() for event in events],
        models.Market: [*recorded.markets.values(), recorded.single["nested"]],
        models.Series: [one["series"] for one in recorded.series.values()],
        models.Trade: recorded.trades["trades"],
        models.ExchangeStatus: [recorded.status],
        models.Candlestick: [{"ticker": ticker, **row} for ticker, row in bars],
        models.Collection: collections,
        models.PriceRange: [band for grid in grids for band in grid["price_ranges"]],
    }


def test_nothing_of_today_is_unknown(recorded: Recorded, recordings: Path) -> None:
    """API-19: no recorded public answer has a field, at any depth, that its record does not name."""
    for record, rows in current(recorded, recordings).items():
        made = [objects.one(record, row) for row in rows]
        assert made, record.__name__
        assert sorted(set(leftover(made))) == []


def test_collections_are_kept_to_the_last_field(recorded: Recorded, recordings: Path) -> None:
    """API-8: the 16 recorded collections, their events and their price bands, equal in a frame."""
    rows = current(recorded, recordings)[models.Collection]
    frame = frames.of([objects.one(models.Collection, row) for row in rows], exact=True)
    assert frame.height == 16
    for wire, row in zip(rows, frame.iter_rows(named=True), strict=True):
        assert differences(models.Collection, wire, row) == []


@pytest.fixture
def golden(recordings: Path) -> Callable[[str], Any]:
    """A recorded answer of January 2026."""

    def read(name: str) -> Any:
        text = (recordings / "rest-legacy/golden" / f"{name}_response.json").read_text(encoding="utf-8")
        return json.loads(text)["response"]

    return read


REFUSED: list[tuple[str, Callable[[kl.Kalshi], Any]]] = [
    ("markets_list", lambda k: k.markets.list(combos=True).frame()),
    ("markets_list", lambda k: list(k.markets.list(combos=True))),
    ("markets_list", lambda k: k.historical.markets(combos=True).frame()),
    ("event_single", lambda k: k.events.one("KXELONMARS-99")),
    ("orderbook", lambda k: k.markets.orderbook("KXELONMARS-99")),
    ("incentive_programs", lambda k: k.incentive_programs.list().frame()),
    ("incentive_programs", lambda k: list(k.incentive_programs.list())),
]


@pytest.mark.parametrize(("name", "ask"), REFUSED)
def test_a_legacy_answer_is_named(name: str, ask: Callable[[kl.Kalshi], Any], golden: Any, scripted: Any) -> None:
    """Lesson 14: whole cents or counts alone are no silent nulls, by either road: the error names the format and the request."""
    server = scripted(lambda _asked: Answer(golden(name)))
    with server.client() as client, pytest.raises(kl.BadPayload, match=LEGACY) as error:
        ask(client)
    assert (error.value.status, error.value.method, error.value.path) == (200, "GET", server.asked[0].path)
    assert error.value.hint == "This is an old recording, or a server that does not speak today's format"


def cents_alone(row: Row) -> Row:
    """A recorded row of January 2026 as it was in 2025: without dollars."""
    return {name: value for name, value in row.items() if not name.endswith("_dollars")}


@pytest.mark.parametrize("road", [lambda pages: pages.frame(), list], ids=["frame", "objects"])
def test_cents_alone_are_named(road: Any, golden: Any, scripted: Any) -> None:
    """Lesson 14: the prices of 2025 are refused by the name of their first field."""
    rows = [cents_alone(row) for row in golden("markets_list")["markets"]]
    server = scripted(lambda _asked: Answer({"markets": rows, "cursor": ""}))
    with server.client() as client, pytest.raises(kl.BadPayload, match=r"'yes_bid' without 'yes_bid_dollars'"):
        road(client.markets.list())


def test_legacy_candlesticks_are_named(golden: Any, scripted: Any) -> None:
    """Lesson 14: candlesticks of whole cents alone are named too, those of both formats are read."""
    body = golden("series_candlesticks")
    window: dict[str, Any] = {"since": 1_700_000_000, "until": 1_790_000_000, "series": "KXELONMARS"}
    bare = [
        {name: cents_alone(one) if isinstance(one, dict) else one for name, one in row.items()}
        for row in body["candlesticks"]
    ]
    server = scripted(lambda _asked: Answer({**body, "candlesticks": bare}))
    with server.client() as client, pytest.raises(kl.BadPayload, match=LEGACY):
        client.markets.candlesticks("KXELONMARS-99", "1d", **window)
    server = scripted(lambda _asked: Answer(body))
    with server.client() as client:
        frame = client.markets.candlesticks("KXELONMARS-99", "1d", exact=True, **window)
    wires = sorted(body["candlesticks"], key=lambda row: row["end_period_ts"])
    assert frame.height == len(wires) > 0
    for wire, row in zip(wires, frame.iter_rows(named=True), strict=True):
        assert row["yes_bid_close"] == Decimal(wire["yes_bid"]["close"]) / 100
        assert row["volume"] == wire["volume"]


@pytest.mark.parametrize(
    "road", [lambda pages: pages.frame(exact=True), lambda pages: frames.of(list(pages), exact=True)]
)
def test_a_transition_answer_is_read(road: Any, recordings: Path, scripted: Any) -> None:
    """Lesson 14: where cents, dollars and counts all came, today's names count, and the older ones stay in extra."""
    text = (recordings / "rest-legacy/transition_markets_kxfedmention_2026-03.json").read_text(encoding="utf-8")
    body = json.loads(text)
    server = scripted(lambda _asked: Answer({"markets": body["markets"], "cursor": ""}))
    with server.client() as client:
        frame = road(client.markets.list())
    rows = {row["ticker"]: row for row in frame.iter_rows(named=True)}
    assert len(rows) == len(body["markets"]) > 0
    for wire in body["markets"]:
        row = rows[wire["ticker"]]
        assert (row["yes_bid"], row["yes_ask"]) == (Decimal(wire["yes_bid"]) / 100, Decimal(wire["yes_ask"]) / 100)
        assert (row["volume"], row["open_interest"]) == (wire["volume"], wire["open_interest"])
        assert json.loads(row["extra"])["yes_bid"] == wire["yes_bid"]


READ: list[tuple[str, Callable[[kl.Kalshi], Any]]] = [
    ("events_list", lambda k: list(k.events.list(limit=1))),
    ("event_metadata", lambda k: k.events.metadata("KXELONMARS-99")),
    ("exchange_status", lambda k: k.exchange.status()),
    ("exchange_schedule", lambda k: k.exchange.schedule()),
    ("user_data_timestamp", lambda k: k.exchange.user_data_time()),
    ("series_fee_changes", lambda k: k.exchange.series_fee_changes()),
    ("series_single", lambda k: k.series.one("KXELONMARS")),
    ("milestone_single", lambda k: k.milestones.one("m")),
    ("live_data_milestone", lambda k: k.live_data.milestone("m")),
    ("structured_target_single", lambda k: k.structured_targets.one("t")),
    ("structured_targets_list", lambda k: list(k.structured_targets.list(limit=1))),
    ("multivariate_event_collection_single", lambda k: k.multivariate.one("KXMVE")),
    ("multivariate_event_collections_list", lambda k: list(k.multivariate.list(limit=1))),
    ("filters_by_sport", lambda k: k.search.filters_by_sport()),
]


@pytest.mark.parametrize(("name", "ask"), READ, ids=[name for name, _ in READ])
def test_older_answers_without_prices_are_read(name: str, ask: Any, golden: Any, scripted: Any) -> None:
    """API-7 to API-10, API-17: recorded answers of the families that never had cents are known to the last field."""
    server = scripted(lambda _asked: Answer(golden(name)))
    with server.client() as client:
        found = ask(client)
        found = list(found) if isinstance(found, kl.Pages) else found
    assert set(leftover(found)) == set()


def test_tags_are_lists_whatever_was_sent(golden: Any, scripted: Any) -> None:
    """API-9, lesson 11: a category without tags came as null and has none."""
    server = scripted(lambda _asked: Answer(golden("tags_by_categories")))
    with server.client() as client:
        found = client.search.tags_by_category()
    assert found["Elections"] == ()
    assert found["Crypto"][0] == "BTC"


def test_a_recorded_event_without_prices_keeps_what_it_has(recordings: Path) -> None:
    """API-7: the events of March 2025, which named fewer fields, are read, and what they lack is null."""
    text = (recordings / "rest-legacy/events_open_2025-03-13.json").read_text(encoding="utf-8")
    made, refused = objects.many(models.Event, text.encode(), "events")
    assert (len(made), refused) == (908, ())
    assert {column.name for column in columns(models.Event)} >= {"series_ticker", "category"}
    assert set(leftover(made)) == set()
