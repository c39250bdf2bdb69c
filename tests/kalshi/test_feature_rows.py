"""Defects that other clients had, one by one, and that this one must not have."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import kalshi_lab as kl
from tests.kalshi.scripted import Answer, Asked, market

ROADS = pytest.mark.parametrize("road", ["frame", "objects"])


def column(pages: kl.Pages[Any], road: str, name: str) -> list[Any]:
    """One field of a whole listing, read as a frame or as objects."""
    if road == "frame":
        return pages.frame(exact=True).get_column(name).to_list()
    return [getattr(one, name) for one in pages]


@ROADS
@pytest.mark.parametrize("cursor", ["", None, ...])
def test_ten_of_three_are_three(road: str, cursor: Any, scripted: Any) -> None:
    """API-2, lesson 6: ten rows of an exchange that has three are three rows from one request, whatever ends the pages."""
    body = {"markets": [market(n) for n in range(3)], "cursor": cursor}
    server = scripted(lambda _asked: Answer({key: one for key, one in body.items() if one is not ...}))
    with server.client() as client:
        pages = client.markets.list(limit=10)
        assert column(pages, road, "ticker") == ["KXODD-000", "KXODD-001", "KXODD-002"]
    assert len(server.asked) == 1
    assert not pages.truncated


@ROADS
def test_nothing_is_asked_for_no_rows(road: str, scripted: Any) -> None:
    """API-2, lesson 24: a limit of zero is zero rows and no request."""
    server = scripted(lambda _asked: Answer({}))
    with server.client() as client:
        for pages in (client.markets.list(limit=0), client.milestones.list(limit=0), client.multivariate.list(limit=0)):
            assert (pages.frame().height if road == "frame" else len(list(pages))) == 0
            assert pages.truncated
    assert server.asked == []


@ROADS
def test_one_page_of_many_says_so(road: str, scripted: Any) -> None:
    """API-3, API-5, lesson 5: trades over many pages, none dropped, and a listing cut short has a flag for it."""

    def answer(asked: Asked) -> Answer:
        page = int(asked.params.get("cursor", "0"))
        rows = [{"trade_id": f"{page}-{n}", "count_fp": "1.00"} for n in range(2)]
        return Answer({"trades": rows, "cursor": str(page + 1) if page < 4 else ""})

    server = scripted(answer)
    with server.client() as client:
        whole, cut = client.markets.trades(), client.markets.trades(max_pages=1)
        assert len(column(whole, road, "trade_id")) == 10
        assert len(column(cut, road, "trade_id")) == 2
    assert (whole.truncated, cut.truncated) == (False, True)


@pytest.mark.parametrize(
    ("sides", "bid", "ask"),
    [
        ({"yes_dollars": None, "no_dollars": None}, None, None),
        ({}, None, None),
        (None, None, None),
        ({"yes_dollars": [["0.4200", "1.00"], ["0.9950", "2.00"]], "no_dollars": []}, "0.9950", None),
        ({"yes_dollars": [], "no_dollars": [["0.0020", "5.00"], ["0.0010", "1.00"]]}, None, "0.9980"),
    ],
)
def test_books_with_any_side_missing(sides: Any, bid: str | None, ask: str | None, scripted: Any) -> None:
    """API-4: sides may be null or absent, the best is the highest whatever the order, the ask one minus the best NO bid."""
    server = scripted(lambda _asked: Answer({"orderbook_fp": sides}))
    with server.client() as client:
        book = client.markets.orderbook("KXA-1-B", depth=10)
        client.markets.orderbook("KXA-1-B")
    assert (book.yes_bid, book.yes_ask) == tuple(None if one is None else Decimal(one) for one in (bid, ask))
    assert [one.params for one in server.asked] == [{"depth": "10"}, {}]


def test_lists_that_are_promised_may_be_null(scripted: Any) -> None:
    """API-7, API-9, lesson 11: tags, prohibitions, sources and details that are null are null, and stop nothing."""
    answers = {
        "/series/KXA": {"series": {"ticker": "KXA", "tags": None, "additional_prohibitions": None, "categories": []}},
        "/events/KXA-1/metadata": {"image_url": "", "market_details": None, "settlement_sources": None},
        "/events/KXA-1": {
            "event": {"event_ticker": "KXA-1", "strike_date": "", "settlement_sources": None},
            "markets": None,
        },
        "/live_data/batch": {"live_datas": None},
        "/multivariate_event_collections/KXA": {
            "multivariate_contract": {"collection_ticker": "KXA", "associated_events": None, "price_ranges": None}
        },
    }
    server = scripted(lambda asked: Answer(answers[asked.path]))
    with server.client() as client:
        series, metadata, event = client.series.one("KXA"), client.events.metadata("KXA-1"), client.events.one("KXA-1")
        assert (series.tags, series.additional_prohibitions, series.categories) == (None, None, ())
        assert (metadata.market_details, metadata.settlement_sources) == (None, None)
        assert (event.strike_date, event.markets, event.settlement_sources) == (None, (), None)
        assert client.live_data.batch("m") == ()
        assert client.multivariate.one("KXA").associated_events is None


def test_markets_beside_an_event_are_its_markets(scripted: Any) -> None:
    """API-7: where the exchange still sends the markets beside the event, they are not dropped."""
    server = scripted(lambda _asked: Answer({"event": {"event_ticker": "KXA-1"}, "markets": [market(1), market(2)]}))
    with server.client() as client:
        event = client.events.one("KXA-1")
    assert [one.ticker for one in event.markets] == ["KXODD-001", "KXODD-002"]
    assert server.asked[0].params == {"with_nested_markets": "true"}


@ROADS
def test_words_and_signs_that_nobody_expected(road: str, scripted: Any) -> None:
    """API-19, lessons 2 and 4: a new status, a scalar result and a negative liquidity end no listing and are kept."""
    odd = market(1, status="hibernating", result="scalar", liquidity_dollars="-0.0100", market_type="ternary")
    server = scripted(lambda _asked: Answer({"markets": [market(0), odd, market(2)], "cursor": ""}))
    with server.client() as client:
        pages = client.markets.list()
        assert column(pages, road, "status") == ["active", "hibernating", "active"]
        assert column(pages, road, "result") == ["", "scalar", ""]
        assert column(pages, road, "liquidity") == [None, Decimal("-0.01"), None]
    assert pages.refused == []


@ROADS
def test_half_a_cent_is_half_a_cent(road: str, scripted: Any) -> None:
    """API-19: 0.995 stays 0.995, and the fifth and sixth decimal stay too."""
    rows = [
        market(0, yes_bid_dollars="0.995"),
        market(1, yes_bid_dollars="0.9951"),
        market(2, yes_bid_dollars="0.995101"),
    ]
    server = scripted(lambda _asked: Answer({"markets": rows, "cursor": ""}))
    with server.client() as client:
        found = column(client.markets.list(), road, "yes_bid")
    assert found == [Decimal("0.995"), Decimal("0.9951"), Decimal("0.995101")]


def test_the_start_of_milestones_is_asked_by_its_full_name(scripted: Any) -> None:
    """API-17: the filter is minimum_start_date, since its shorter name is ignored; and a limit is always sent, as it must be."""
    server = scripted(lambda _asked: Answer({"milestones": []}))
    with server.client() as client:
        client.milestones.list(starts_after="2026-11-22T14:00:00+02:00").frame()
    assert server.asked[0].params == {"minimum_start_date": "2026-11-22T12:00:00Z", "limit": "500"}


def test_a_milestone_without_live_data_is_not_found(scripted: Any) -> None:
    """API-17: a 404 for one of many milestones is a NotFound that a loop can go past."""
    server = scripted(lambda _asked: Answer({"error": {"code": "not_found", "message": "not found"}}, 404))
    with server.client() as client:
        for ask in (client.live_data.milestone, client.live_data.game_stats, client.milestones.one):
            with pytest.raises(kl.NotFound):
                ask("m-1")


def test_a_wrong_wrapper_is_no_empty_answer(scripted: Any) -> None:
    """Lesson 7: where the list is under another key than the contract says, the answer is refused instead of being empty."""
    server = scripted(lambda _asked: Answer({"something": []}))
    with server.client() as client:
        for ask in (
            lambda: client.milestones.list().frame(),
            lambda: list(client.exchange.series_fee_changes()),
            lambda: client.milestones.one("m-1"),
            client.search.tags_by_category,
            lambda: client.markets.batch_candlesticks(["KXA"]),
            lambda: client.events.candlesticks("KXA", series="KXA"),
            lambda: client.markets.orderbook("KXA"),
            lambda: client.live_data.batch("m-1"),
        ):
            with pytest.raises(kl.BadPayload, match=r"is not in the expected form"):
                ask()
