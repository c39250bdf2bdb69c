"""Walking pages: where they end, how many are asked for, when the next one is asked for, and what an early end leaves behind."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from kalshi_lab.portal import PORTAL
from tests.kalshi.scripted import Answer, Asked, Scripted, market, pages, three

if TYPE_CHECKING:
    import polars as pl


def endless(asked: Asked) -> Answer:
    """Page after page of as many markets as are asked for."""
    start, limit = int(asked.params.get("cursor", "0")), int(asked.params["limit"])
    return Answer({"cursor": str(start + limit), "markets": [market(start + number) for number in range(limit)]})


def tickers(count: int) -> list[str]:
    return [f"KXODD-{number:03}" for number in range(count)]


@pytest.mark.parametrize(
    ("limit", "asked"), [(1, ["1"]), (999, ["999"]), (1000, ["1000"]), (1001, ["1000", "1"]), (2000, ["1000", "1000"])]
)
def test_a_limit_is_met_exactly(limit: int, asked: list[str], scripted: Any) -> None:
    """A limit gives that many rows, asks for no more than that, and says that there were more."""
    server = scripted(endless)
    with server.client() as client:
        listing = client.markets.list(limit=limit)
        assert listing.frame().get_column("ticker").to_list() == tickers(limit)
    assert (listing.truncated, [one.params["limit"] for one in server.asked]) == (True, asked)


@pytest.mark.parametrize("limit", [600, 601, None])
def test_a_listing_read_to_its_end_is_not_truncated(limit: int | None, scripted: Any) -> None:
    """A limit that the listing does not reach, or just reaches, cuts nothing off."""
    server = scripted(pages(*three()))
    with server.client() as client:
        listing = client.markets.list(limit=limit)
        assert listing.frame().height == 600
    assert (listing.truncated, len(server.asked)) == (False, 3)


def test_one_page_alone(scripted: Any) -> None:
    """max_pages=1 asks once and says that there was more."""
    server = scripted(pages(*three()))
    with server.client() as client:
        listing = client.markets.list(max_pages=1)
        assert listing.frame().height == 200
    assert (listing.truncated, len(server.asked)) == (True, 1)


def test_a_limit_of_nothing_asks_for_nothing(scripted: Any, plain: pl.DataFrame) -> None:
    """limit=0 gives an empty frame of the usual schema and no object, without a request."""
    server = scripted(endless)
    with server.client() as client:
        listing = client.markets.list(limit=0)
        empty = listing.frame(exact=True)
        assert list(client.markets.list(limit=0)) == []
    assert (empty.height, empty.schema, listing.truncated, server.asked) == (0, plain.schema, True, [])


@pytest.mark.parametrize("end", [{"cursor": None}, {"cursor": ""}, {}, {"next_cursor": ""}])
def test_every_way_of_saying_that_it_is_over(end: dict[str, Any], scripted: Any) -> None:
    """A cursor that is null, empty or missing is the end."""
    server = scripted(lambda _asked: Answer({"markets": [market(0)], **end}))
    with server.client() as client:
        listing = client.markets.list()
        assert listing.frame().height == 1
    assert (listing.truncated, len(server.asked)) == (False, 1)


def test_an_empty_page_with_a_cursor_is_not_the_end(scripted: Any, plain: pl.DataFrame) -> None:
    """Empty pages between full ones are walked over."""
    first, second, third = three()
    listed = {
        "": (first, "e1"),
        "e1": ([], "e2"),
        "e2": ([], "p2"),
        "p2": (second, "e3"),
        "e3": ([], "p3"),
        "p3": (third, ""),
    }

    def answer(asked: Asked) -> Answer:
        rows, cursor = listed[asked.params.get("cursor", "")]
        return Answer({"markets": rows, "cursor": cursor})

    server = scripted(answer)
    with server.client() as client:
        assert client.markets.list().frame(exact=True).equals(plain)
    assert len(server.asked) == 6


def test_page_after_page_without_a_row_is_given_up(scripted: Any) -> None:
    """Three empty pages in a row end in StalledPagination; what came before is there."""

    def answer(asked: Asked) -> Answer:
        number = int(asked.params.get("cursor", "0"))
        return Answer({"markets": [] if number else [market(0)], "cursor": str(number + 1)})

    server = scripted(answer)
    with server.client() as client:
        listing = client.markets.list()
        with pytest.raises(kl.StalledPagination, match="3 pages in a row had no rows"):
            listing.frame()
        assert listing.so_far().height == 1
    assert (listing.truncated, len(server.asked)) == (True, 4)


BAD = {
    "no list": ({"market": []}, "no 'markets'"),
    "an object for a list": ({"markets": {"a": 1}, "cursor": ""}, "Expected"),
    "a list for an object": ([market(0)], "Expected"),
    "a cursor that is no text": ({"markets": [market(0)], "cursor": 7}, "Expected"),
    "NaN": (b'{"markets":[{"ticker":"A","floor_strike":NaN}],"cursor":""}', "malformed"),
    "a hundred thousand brackets": (
        b'{"markets":[{"a":' + b"[" * 100_000 + b"]" * 100_000 + b'}],"cursor":""}',
        "recursion",
    ),
}


@pytest.mark.parametrize("road", ["frame", "objects"])
@pytest.mark.parametrize("name", BAD)
def test_an_answer_that_is_no_page_is_refused_as_one(name: str, road: str, scripted: Any) -> None:
    """What is no page of the listing is a BadPayload that names the request."""
    body, said = BAD[name]
    server = scripted(lambda _asked: Answer(body))
    with server.client() as client:
        listing = client.markets.list()
        with pytest.raises(kl.BadPayload, match=said) as error:
            list(listing) if road == "objects" else listing.frame()
    assert (error.value.method, error.value.path, error.value.status) == ("GET", "/markets", 200)
    assert error.value.request_id


def test_the_next_page_is_asked_for_before_this_one_is_read(scripted: Any) -> None:
    """While the consumer still holds a page, the request for the next one is already with the exchange, and not more."""
    server = scripted(pages(*three()))

    async def walk() -> list[tuple[str, bool]]:
        seen: list[tuple[str, bool]] = []
        async with kl.AsyncKalshi(settings=server.settings()) as client:
            async for arrived in client.markets.list().arrivals():
                sent = len(seen) + 2  # this page's request and the next one's
                here = await asyncio.to_thread(server.arrived, min(sent, 3))
                await asyncio.sleep(0.05)
                seen.append((arrived.cursor, here and len(server.asked) == min(sent, 3)))
        return seen

    assert asyncio.run(walk()) == [("p2", True), ("p3", True), ("", True)]


def test_the_last_page_that_is_wanted_starts_no_further_request(scripted: Any) -> None:
    """Where a limit is met the next page is not asked for in advance."""
    server = scripted(endless)
    with server.client() as client:
        assert len(list(client.markets.list(limit=1000))) == 1000
    assert not server.arrived(2, timeout=0.1)


def test_iterating_blocking_and_awaited_is_the_same(scripted: Any, plain: pl.DataFrame) -> None:
    """Both faces give the same objects in the order of the pages, and a listing can be walked twice."""
    server = scripted(pages(*three()))

    async def walk() -> list[kl.Market]:
        async with kl.AsyncKalshi(settings=server.settings()) as client:
            return [one async for one in client.markets.list()]

    with server.client() as client:
        listing = client.markets.list()
        once, again = list(listing), list(listing)
    assert once == again == asyncio.run(walk())
    assert [one.ticker for one in once] == plain.get_column("ticker").to_list()
    assert (listing.duplicates, listing.refused) == (0, [])


def test_breaking_off_an_awaited_walk_leaves_nothing_behind(scripted: Any) -> None:
    """After a break and a close no task runs and no connection is open, although a page was on its way."""
    server = slow_second_page(scripted)

    async def walk() -> set[str]:
        before = asyncio.all_tasks()
        async with kl.AsyncKalshi(settings=server.settings()) as client:
            async for one in client.markets.list():
                assert one.ticker == "KXODD-000"
                assert await asyncio.to_thread(server.arrived, 2)
                break
            for _ in range(20):
                await asyncio.sleep(0.005)
            return {task.get_name() for task in asyncio.all_tasks() - before}

    assert asyncio.run(walk()) == set()
    assert server.closed()


def test_breaking_off_a_blocking_walk_leaves_nothing_behind(scripted: Any) -> None:
    """The same for a blocking loop: the portal's event loop is idle again."""
    server = slow_second_page(scripted)
    before = len(tasks())
    with server.client() as client:
        for one in client.markets.list():
            assert one.ticker == "KXODD-000"
            assert server.arrived(2)
            break
        del one
        assert until(lambda: len(tasks()) == before)
    assert server.closed()


def slow_second_page(scripted: Any) -> Scripted:
    usual, held = pages(*three()), threading.Event()

    def answer(asked: Asked) -> Answer:
        if asked.params.get("cursor"):
            held.wait(0.5)
        return usual(asked)

    server: Scripted = scripted(answer)
    return server


def tasks() -> set[asyncio.Task[Any]]:
    async def count() -> set[asyncio.Task[Any]]:
        return asyncio.all_tasks() - {asyncio.current_task()}

    return PORTAL.call(count())


def until(done: Any, timeout: float = 3) -> bool:
    ended = threading.Event()
    for _ in range(int(timeout / 0.01)):
        if done():
            return True
        ended.wait(0.01)
    return False


def test_a_walk_in_many_threads_is_each_its_own(scripted: Any, plain: pl.DataFrame) -> None:
    """Eight threads share one client, and each gets the whole listing."""
    server = scripted(pages(*three()))
    found: list[pl.DataFrame] = []
    with server.client() as client:
        threads = [
            threading.Thread(target=lambda: found.append(client.markets.list().frame(exact=True))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert len(found) == 8
    assert all(one.equals(plain) for one in found)
