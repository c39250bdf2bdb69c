"""The fault table of pages, by number: loops, stalls, pages that shift, missing keys, and ends that were asked for."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings as options
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import kalshi_lab as kl
from kalshi_lab.kalshi.pages import AsyncPages
from kalshi_lab.portal import PORTAL
from tests.door.raw_server import RawServer, reply
from tests.faults.ground import FACES, Face
from tests.kalshi.scripted import Answer, Asked, Scripted, market
from tests.operations.calls import CALLS, PUBLIC, READS, Known
from tests.operations.contract import BY_NAME, answer
from tests.operations.leftover import everything

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

Listed = tuple[str | None, bool, kl.LabError | None, "pl.DataFrame"]


def walked(face: Face, server: Scripted, road: str = "frame") -> tuple[list[str], bool, kl.LabError | None]:
    """The tickers that a walk over all markets gave, whether it says that there was more, and how it failed."""
    if face == "blocking":
        with server.client() as client:
            listing = client.markets.list()
            tickers, error = _read(listing, road)
            return tickers, listing.truncated, error

    async def walk() -> tuple[list[str], bool, kl.LabError | None]:
        async with kl.AsyncKalshi(settings=server.settings()) as client:
            listing = client.markets.list()
            tickers: list[str] = []
            try:
                if road == "frame":
                    await listing.frame()
                else:
                    tickers.extend([one.ticker async for one in listing])
            except kl.LabError as error:
                return listing.so_far()["ticker"].to_list(), listing.truncated, error
            return tickers or listing.so_far()["ticker"].to_list(), listing.truncated, None

    return asyncio.run(walk())


def _read(listing: kl.Pages[kl.Market], road: str) -> tuple[list[str], kl.LabError | None]:
    try:
        if road == "objects":
            return [one.ticker for one in listing], None
        return listing.frame()["ticker"].to_list(), None
    except kl.LabError as error:
        return listing.so_far()["ticker"].to_list(), error


def chain(*pages: tuple[int, str | None]) -> Callable[[Asked], Answer]:
    """A listing whose nth distinct cursor gives so many rows and the cursor named."""
    by_cursor = {"": pages[0], **{str(number): page for number, page in enumerate(pages) if number}}

    def answered(asked: Asked) -> Answer:
        here = asked.params.get("cursor", "")
        rows, following = by_cursor[here]
        start = 100 * int(here or 0)
        return Answer({"markets": [market(start + row) for row in range(rows)], "cursor": following})

    return answered


LOOPS = {
    "A to A": (chain((2, "1"), (2, "1")), 4, 2),
    "A to B to A": (chain((2, "1"), (2, "2"), (2, "1")), 6, 3),
    "A to B to C to B": (chain((2, "1"), (2, "2"), (2, "3"), (2, "2")), 8, 4),
}


@pytest.mark.parametrize("what", LOOPS)
@pytest.mark.parametrize("face", FACES)
def test_pages_that_lead_back(face: Face, what: str) -> None:
    """F11: CursorLoop after everything that was new came out, with one request a page and none more."""
    answers, rows, requests = LOOPS[what]
    with Scripted(answers) as server:
        tickers, truncated, error = walked(face, server)
    assert isinstance(error, kl.CursorLoop)
    assert (len(set(tickers)), len(tickers), truncated, len(server.asked)) == (rows, rows, True, requests)
    assert error.request_id


@pytest.mark.parametrize("face", FACES)
def test_pages_without_rows(face: Face) -> None:
    """F12: two empty pages in a row are walked over, the third is StalledPagination with what came before."""
    with Scripted(chain((2, "1"), (0, "2"), (0, "3"), (2, None))) as server:
        assert walked(face, server) == (
            [market(number)["ticker"] for number in (0, 1, 300, 301)], False, None
        )  # fmt: skip
    with Scripted(chain((2, "1"), (0, "2"), (0, "3"), (0, "4"), (2, None))) as server:
        tickers, truncated, error = walked(face, server)
    assert isinstance(error, kl.StalledPagination)
    assert (len(tickers), truncated, len(server.asked)) == (2, True, 4)


@pytest.mark.parametrize("end", [{"cursor": None}, {"cursor": ""}, {}])
@pytest.mark.parametrize("face", FACES)
def test_every_end_is_an_end(face: Face, end: dict[str, Any]) -> None:
    """F12: a cursor that is null, empty or missing ends the walk."""
    with Scripted(lambda _: Answer({"markets": [market(0)], **end})) as server:
        tickers, truncated, error = walked(face, server, "objects")
    assert (tickers, truncated, error, len(server.asked)) == (["KXODD-000"], False, None, 1)


SIZE = 7


class Shifting(RuleBasedStateMachine):
    """A listing, newest first, into which rows are inserted while it is walked, and whose pages overlap, repeat and lose their order."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = list(range(3 * SIZE, 0, -1))
        self.began = set(self.rows)
        self.overlap, self.shuffled, self.seed = 0, False, 0
        self.got: list[str] = []
        self.received = 0
        self.ended = False
        self.server = Scripted(self.page)
        self.server.__enter__()
        self.client = self.server.client()
        self.listing = self.client.markets.list()._twin  # page by page, which only the awaited listing shows
        self.batches = self.listing.batches()

    def page(self, asked: Asked) -> Answer:
        at = int(asked.params.get("cursor", "0"))
        rows = self.rows[max(0, at - self.overlap) : at + SIZE]
        if self.shuffled:
            random.Random(self.seed).shuffle(rows)
        following = str(at + SIZE) if at + SIZE < len(self.rows) else ""
        return Answer({"markets": [market(row) for row in rows], "cursor": following})

    @initialize(overlap=st.integers(0, SIZE), shuffled=st.booleans(), seed=st.integers(0, 99))
    def begin(self, overlap: int, shuffled: bool, seed: int) -> None:
        self.overlap, self.shuffled, self.seed = overlap, shuffled, seed

    @rule(count=st.integers(1, SIZE + 2))
    def insert(self, count: int) -> None:
        newest = max(self.rows)
        self.rows = [*range(newest + count, newest, -1), *self.rows]

    @rule(overlap=st.integers(0, 2 * SIZE), shuffled=st.booleans())
    def shift(self, overlap: int, shuffled: bool) -> None:
        self.overlap, self.shuffled = overlap, shuffled

    @precondition(lambda self: not self.ended)
    @rule()
    def read(self) -> None:
        batch = PORTAL.call(_next(self.batches))
        self.ended = batch is None
        if batch is not None:
            self.got += batch.frame["ticker"].to_list()
            self.received += batch.received

    @invariant()
    def nothing_twice_and_the_counts_balance(self) -> None:
        assert len(self.got) == len(set(self.got))
        assert self.received == len(self.got) + self.listing.duplicates + len(self.listing.refused)

    def teardown(self) -> None:
        try:
            while not self.ended:
                self.read()
                self.nothing_twice_and_the_counts_balance()
            assert {market(row)["ticker"] for row in self.began} <= set(self.got)
            again = self.client.markets.list().frame()["ticker"].to_list()
            assert sorted({*self.got, *again}) == sorted(market(row)["ticker"] for row in self.rows)
        finally:
            self.client.close()
            self.server.__exit__()


async def _next(batches: Any) -> Any:
    return await anext(batches, None)


TestShiftingPages = Shifting.TestCase
TestShiftingPages.__doc__ = (
    "F13: what was there when the walk began is there once, and what came meanwhile a second look brings."
)
TestShiftingPages.settings = options(max_examples=25, stateful_step_count=12, deadline=None)


OBJECTS_OF_UNKNOWNS = {
    "get_order_queue_position", "get_order_group", "get_balance", "get_portfolio_resting_order_total_value",
    "get_target_balance_allocation", "get_account_api_limits", "get_api_keys", "get_fcm_event_contract_daily_cap",
    "get_exchange_status", "get_user_data_timestamp", "get_historical_cutoff", "get_event_metadata", "get_filters_for_sports",
    "get_game_stats", "get_account_endpoint_costs",
}  # fmt: skip


def test_a_missing_key_is_no_empty_list() -> None:
    """F37: an answer without the key that its rows stand under is BadPayload for every read of the API; one without a key is unknowns."""
    silent, found = [], []
    with RawServer(reply({})) as server:
        settings = kl.Settings(environment="sim", base_url=server.url)
        with kl.Kalshi(settings=settings, credentials=kl.Credentials.generate()) as client:
            for name, call in (PUBLIC | READS).items():
                try:
                    found += [(name, value) for value in everything(call(client, Known()))]
                    silent.append(name)
                except kl.BadPayload:
                    continue
    assert set(silent) <= OBJECTS_OF_UNKNOWNS
    assert [name for name, value in found if isinstance(value, list | tuple | dict) or hasattr(value, "height")] == []


@pytest.mark.parametrize("face", FACES)
def test_a_cap_says_that_there_was_more(face: Face) -> None:
    """F38: max_pages=1 asks once, at every listing that comes in pages, and says that it is truncated."""
    asked: list[str] = []

    def listings(client: Any) -> dict[str, AsyncPages[Any]]:
        made = {name: call(client, Known()) for name, call in (PUBLIC | READS).items() if name in PAGED}
        return {name: getattr(one, "_twin", one) for name, one in made.items()}

    async def walk(name: str, client: Any, pages: AsyncPages[Any]) -> None:
        one = AsyncPages(client.door, pages.listing, max_pages=1)
        frame = await one.frame()
        assert frame.height >= 1, name
        assert one.truncated, name
        asked.append(name)

    async def all_of(client: kl.AsyncKalshi, made: dict[str, AsyncPages[Any]], server: RawServer) -> None:
        for name, pages in made.items():
            server.answers = [reply({**answer(name), PAGED[name]: "more"})]
            server.requests.clear()
            await walk(name, client, pages)
            assert len(server.requests) == 1

    async def main(server: RawServer, settings: kl.Settings) -> None:
        async with kl.AsyncKalshi(settings=settings, credentials=kl.Credentials.generate()) as client:
            await all_of(client, listings(client), server)

    with RawServer() as server:
        settings = kl.Settings(environment="sim", base_url=server.url)
        if face == "awaited":
            asyncio.run(main(server, settings))
        else:
            with kl.Kalshi(settings=settings, credentials=kl.Credentials.generate()) as client:
                PORTAL.call(all_of(client._twin, listings(client), server))
    assert len(asked) == len(PAGED) >= 10


def _paged() -> dict[str, str]:
    """The reads whose answer has a cursor, and what it is called."""
    found = {}
    for name in PUBLIC | READS:
        body = answer(name) if name in BY_NAME else {}
        cursor = next((key for key in ("cursor", "next_cursor") if isinstance(body, dict) and key in body), None)
        if cursor:
            found[name] = cursor
    return found


PAGED = _paged()


NO_LISTS: dict[str, Any] = {
    "get_market_orderbooks": {"orderbooks": 7},
    "get_live_datas": {"live_datas": True},
    "get_order_queue_positions": {"queue_positions": 0.5},
    "get_market_candlesticks_by_event": {"market_tickers": 7, "market_candlesticks": [[]], "adjusted_end_ts": 1},
    "get_market_orderbook": {"orderbook_fp": {"yes_dollars": [{"price": "0.5"}]}},
    "batch_cancel_orders_v2": {"orders": True},
    "create_subaccount": {"subaccount_number": "two"},
}


@pytest.mark.parametrize("name", NO_LISTS)
def test_lists_that_are_none(name: str) -> None:
    """F10: something else where a list or a number must stand is BadPayload; of a write it says that it may have happened."""
    with RawServer(reply(NO_LISTS[name])) as server:
        settings = kl.Settings(environment="sim", base_url=server.url)
        with (
            kl.Kalshi(settings=settings, writable=True, credentials=kl.Credentials.generate()) as client,
            pytest.raises(kl.BadPayload) as caught,
        ):
            CALLS[name](client, Known())
    assert caught.value.may_have_happened is (caught.value.method != "GET")


def test_a_whole_amount_is_money() -> None:
    """F17: dollars that came as a whole number are those dollars, as frame and as objects."""
    row = {"ticker": "KX-A", "position_fp": "1.00", "fees_paid_dollars": 7}
    with RawServer(reply({"market_positions": [row], "event_positions": [], "cursor": ""})) as server:
        settings = kl.Settings(environment="sim", base_url=server.url)
        with kl.Kalshi(settings=settings, credentials=kl.Credentials.generate()) as client:
            positions = client.portfolio.positions()
            assert positions.frame(exact=True)["fees_paid"].to_list() == [7]
            assert [one.fees_paid for one in positions] == [7]


def test_costs_that_no_budget_holds() -> None:
    """F16: a cost that could never be paid is no figure to believe, and stops no later call."""
    costs = {"default_cost": 10**12, "endpoint_costs": [{"method": "GET", "path": "/markets", "cost": 10**9}]}
    with RawServer(reply(costs), reply({"markets": [], "cursor": ""})) as server:
        settings = kl.Settings(environment="sim", base_url=server.url)
        with kl.Kalshi(settings=settings, credentials=kl.Credentials.generate()) as client:
            client.account.endpoint_costs()
            assert client.markets.list().frame().height == 0
