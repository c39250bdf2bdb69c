"""Odd data on the second of three pages: what can be read is read, and only what cannot be is put aside and counted."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

import kalshi_lab as kl
from tests.kalshi.scripted import Answer, Asked, Row, Scripted, market, pages, three

ODD = 250  # the market on page two that is odd
TICKER = f"KXODD-{ODD:03}"

KEPT: dict[str, tuple[Row, str, Any]] = {
    "new status": ({"status": "hibernating"}, "status", "hibernating"),
    "new strike type": ({"strike_type": "fractal"}, "strike_type", "fractal"),
    "new result": ({"result": "perhaps"}, "result", "perhaps"),
    "new bounds type": ({"settlement_bounds_type": "ceiling"}, "settlement_bounds_type", "ceiling"),
    "text field gone": ({"event_ticker": ...}, "event_ticker", None),
    "price field gone": ({"yes_bid_dollars": ...}, "yes_bid", None),
    "null volume": ({"volume_fp": None}, "volume", None),
    "empty timestamp": ({"open_time": ""}, "open_time", None),
    "six decimals": ({"yes_bid_dollars": "0.123456", "volume_fp": "0.01"}, "yes_bid", Decimal("0.123456")),
    "0.2900 and 2.55": ({"yes_bid_dollars": "0.2900", "volume_fp": "2.55"}, "volume", Decimal("2.55")),
    "unknown field": ({"brand_new": {"a": [1, None]}}, "extra", {"brand_new": {"a": [1, None]}}),
}
REFUSED: dict[str, tuple[Row, str]] = {
    "no ticker": ({"ticker": ...}, "ticker"),
    "unreadable price": ({"yes_bid_dollars": "about half"}, "yes_bid_dollars"),
}
ONCE: dict[str, Answer] = {
    "429 with Retry-After": Answer({"error": {"code": "too_many_requests"}}, 429, {"Retry-After": "0.3"}),
    "429 without": Answer({"error": {"code": "too_many_requests"}}, 429),
    "503": Answer({"error": {"code": "service_unavailable"}}, 503),
    "cut body": Answer({"markets": [market(ODD)] * 50, "cursor": ""}, kept_back=2_000),
    "web page": Answer(b"<html><body>Back soon</body></html>", kind="text/html"),
}


def odd_page(changes: Row) -> list[Row]:
    rows = three()[1]
    rows[ODD - 200] = market(ODD, **changes)
    return rows


def frame_road(listing: kl.Pages[kl.Market]) -> pl.DataFrame:
    return listing.frame(exact=True)


def object_road(listing: kl.Pages[kl.Market]) -> pl.DataFrame:
    return kl.frame(list(listing), exact=True)


ROADS = pytest.mark.parametrize("road", [frame_road, object_road])


@ROADS
@pytest.mark.parametrize("name", KEPT)
def test_odd_values_are_kept_as_they_are(name: str, road: Any, scripted: Any, plain: pl.DataFrame) -> None:
    """F15, F16, F17: an odd value is kept or null, the row stays, and no other row changes."""
    changes, column, expected = KEPT[name]
    server = scripted(pages(*three(odd_page(changes))))
    with server.client() as client:
        listing = client.markets.list()
        found = road(listing)
    (value,) = found.filter(pl.col("ticker") == TICKER).get_column(column)
    assert (json.loads(value) if column == "extra" else value) == expected
    assert found.schema == plain.schema
    assert found.filter(pl.col("ticker") != TICKER).equals(plain.filter(pl.col("ticker") != TICKER))
    assert (listing.refused, listing.duplicates, len(server.asked)) == ([], 0, 3)


@ROADS
@pytest.mark.parametrize("name", REFUSED)
def test_only_a_row_that_means_nothing_is_put_aside(name: str, road: Any, scripted: Any, plain: pl.DataFrame) -> None:
    """F16, F17: a row without its key or with an unreadable number is put aside with its JSON and the reason; all others are there."""
    changes, said = REFUSED[name]
    server = scripted(pages(*three(odd_page(changes))))
    with server.client() as client:
        listing = client.markets.list()
        found = road(listing)
    assert found.equals(plain.filter(pl.col("ticker") != TICKER))
    (refused,) = listing.refused
    assert said in refused.reason
    assert json.loads(refused.raw) == market(ODD, **changes)


@ROADS
@pytest.mark.parametrize("name", ONCE)
def test_a_passing_failure_costs_one_more_request(name: str, road: Any, scripted: Any, plain: pl.DataFrame) -> None:
    """A page that fails once is asked for once more, and nothing of it is missing or doubled."""
    usual = pages(*three())
    failed: list[Asked] = []
    times: list[float] = []

    def answer(asked: Asked) -> Answer:
        times.append(time.monotonic())
        if asked.params.get("cursor") == "p2" and not failed:
            failed.append(asked)
            return ONCE[name]
        return usual(asked)

    server = scripted(answer)
    with server.client() as client:
        assert road(client.markets.list()).equals(plain)
    assert [asked.params.get("cursor", "") for asked in server.asked] == ["", "p2", "p2", "p3"]
    assert (times[2] - times[1] >= 0.3) == ("Retry-After" in name)


@ROADS
def test_pages_that_shift_lose_nothing_and_double_nothing(road: Any, scripted: Any, plain: pl.DataFrame) -> None:
    """F13: fifty markets that come again on the next page are dropped there and counted."""
    first, second, third = three()
    server = scripted(pages(first, first[-50:] + second, third))
    with server.client() as client:
        listing = client.markets.list()
        assert road(listing).equals(plain)
    assert (listing.duplicates, listing.refused) == (50, [])


def test_a_looping_cursor_ends_with_everything_that_came(scripted: Any, plain: pl.DataFrame) -> None:
    """F11: a cursor that leads back ends in CursorLoop after the rows that came, without another request."""
    server = looping(scripted)
    with server.client() as client:
        listing = client.markets.list()
        with pytest.raises(kl.CursorLoop, match="the pages lead back to a page already read") as error:
            listing.frame()
        assert listing.so_far(exact=True).equals(plain.head(400))
    assert (listing.truncated, len(server.asked)) == (True, 2)
    assert (error.value.path, error.value.status) == ("/markets", 200)


def test_a_looping_cursor_ends_an_iteration_after_its_objects(scripted: Any) -> None:
    """Iterating gives all objects that came before CursorLoop."""
    server = looping(scripted)
    seen: list[kl.Market] = []
    with server.client() as client, pytest.raises(kl.CursorLoop):
        seen.extend(client.markets.list())
    assert [one.ticker for one in seen] == [f"KXODD-{number:03}" for number in range(400)]
    assert len(server.asked) == 2


def looping(scripted: Any) -> Scripted:
    first, second, _ = three()
    server: Scripted = scripted(
        lambda asked: Answer({"markets": second if asked.params.get("cursor") else first, "cursor": "p2"})
    )
    return server


def test_the_table_has_twenty_rows() -> None:
    """All twenty kinds of odd data are in the tables above: these, shifted pages and a looping cursor."""
    assert len(KEPT) + len(REFUSED) + len(ONCE) + 2 == 20
