"""What is refused before it is sent, and named with what replaces it; what is sent once and what counts as spent."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab.errors import BadRequest, BrokenResponse, BudgetExceeded, TimedOut, UsageError
from kalshi_lab.exa import AsyncExa, Exa, params
from kalshi_lab.exa.cache import key
from tests.door.raw_server import CLOSE, Answer, RawServer, reply
from tests.exa.conftest import BILL, KEY, Kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalshi_lab.sim.process import Exchange

NOW = datetime(2026, 11, 20, 14, 25, 31, 900_000, UTC)


def scripted(*answers: Answer, **options: Any) -> tuple[RawServer, Callable[..., AsyncExa]]:
    """A server that plays these answers, and a client for it."""
    server = RawServer(*answers)

    def client(**more: Any) -> AsyncExa:
        words = {"base_url": server.url, "url": server.url, "backoff_base": 0.001, **options, **more}
        return AsyncExa(KEY, environment="sim", **words)

    return server, client


@pytest.mark.parametrize("name", ["find_similar", "search_and_contents", "get_contents", "research"])
def test_calls_of_older_clients_are_refused_with_what_replaces_them(exa: Exa, name: str) -> None:
    """EXA-3, EXA-6: findSimilar and research are gone; a name that never was is an ordinary mistake."""
    for client in (exa, exa._twin):
        with pytest.raises(UsageError, match=r"any more\. Use (search|contents|runs)"):
            getattr(client, name)
        assert not hasattr(client, name)
        with pytest.raises(AttributeError, match="nonsense"):
            _ = client.nonsense  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"startCrawlDate": "2026-11-01"}, "start_published_date"),
        ({"end_crawl_date": "2026-11-01"}, "end_published_date"),
        ({"subpages": 2}, r"contents\("),
        ({"stream": True}, "stream_search"),
        ({"highlights": {"highlightsPerUrl": 2}}, "highlights=True"),
        ({"highlights": {"dynamic": True}}, "unknown argument 'dynamic'"),
        ({"text": {"max_chars": 10}}, "Did you mean 'max_characters'"),
        ({"extras": {"links": 1001}}, "0 to 1000"),
        ({"extras": {"link": 1}}, "Did you mean 'links'"),
        ({"user_location": "USA"}, "two letters"),
        ({"user_location": {"latitude": 91, "longitude": 0}}, "two letters"),
        ({"user_location": {}}, "two letters"),
        ({"snapshot_as_of": "2026-11-01", "max_age_hours": 1}, "stored pages alone"),
        ({"category": "people", "start_published_date": "7d"}, "takes no published dates"),
        ({"include_domains": ["a.example"] * 1201}, "1 to 1,200"),
        ({"type": "lite", "system_prompt": "x"}, "lite search takes no system_prompt"),
        ({"type": "lite", "output_schema": {"type": "text"}}, "lite search takes no output_schema"),
        ({"type": "deep", "additional_queries": list("abcdef")}, "1 to 5"),
        ({"objective": "x" * 4097}, "4,096"),
        ({"max_age_hours": 721}, "-1 to 720"),
        ({"livecrawl_timeout": 0}, "1 to 90000"),
    ],
)
def test_what_is_out_of_bounds_is_refused(exa: Exa, exchange: Exchange, given: dict[str, Any], why: str) -> None:
    """EXA-2: every limit is known before anything is sent."""
    with pytest.raises(UsageError, match=why):
        exa.search(BILL, **given)
    with pytest.raises(UsageError):
        exa.estimate("search", **given)
    assert exchange.requests() == []


def test_a_schema_of_three_levels_is_refused_for_a_search_and_taken_for_an_answer(exa: Exa) -> None:
    """EXA-5: the limits of a search's schema are its own."""
    schema: dict[str, Any] = {"type": "number"}
    for name in ("c", "b", "a"):
        schema = {"type": "object", "properties": {name: {"type": "array", "items": schema}}}
    with pytest.raises(UsageError, match="3 levels"):
        exa.search(BILL, output_schema=schema)
    assert isinstance(exa.answer(BILL, output_schema=schema).answer, dict)


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"effort": "max"}, "ultra"),
        ({"effort": "auto", "max_cost": "much"}, "no amount of dollars"),
        ({"effort": "auto", "max_cost": 2, "max_seconds": 600}, "'ultra', not for 'auto'"),
        ({"effort": "ultra", "max_cost": 2, "max_seconds": 60}, "300 to 10800"),
        ({"metadata": {"a": 1}}, "texts to texts"),
        ({"model": "exa-research"}, "unknown argument"),
    ],
)
def test_runs_are_bounded(exa: Exa, exchange: Exchange, wanted: dict[str, Any], why: str) -> None:
    """EXA-6: the rules of efforts and budgets."""
    with pytest.raises(UsageError, match=why):
        exa.runs.create(BILL, **wanted)
    assert exchange.requests() == []


def test_pages_and_amounts_are_bounded(exa: Exa, exchange: Exchange) -> None:
    """EXA-4, EXA-7: one to a hundred addresses; a negative amount would give budget back."""
    for given in ({"urls": []}, {"urls": ["x"] * 101}, {"urls": ["x" * 2049]}, {}, {"urls": ["x"], "ids": ["x"]}):
        with pytest.raises(UsageError):
            exa.contents(**given)
    for amount in (0, -1, "much", "nan", None):
        with pytest.raises(UsageError, match="no amount of dollars"):
            exa.monitors.trigger("monitor_1", max_cost=amount)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="no amount of dollars"):
            exa.websets.create(BILL, max_cost=amount)  # type: ignore[arg-type]
    for odd in ({"query": "x" * 5001}, {"count": 0}, {"external_id": "x" * 301}, {"criteria": ["x" * 501]}):
        with pytest.raises(UsageError):
            exa.websets.create(**{"query": BILL, "max_cost": 1, **odd})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="1 to 500"):
        exa.monitors.batch("delete", {"name": "x"}, limit=501)
    assert exchange.requests() == []
    assert exa.spent == 0


def test_a_window_told_from_now_on_is_the_same_question_for_a_while() -> None:
    """EXA-8: "7d" a minute later is found where it was kept; an exact time stays exact."""

    def asked(start: Any, minutes: int) -> str:
        now = NOW.replace(minute=25 + minutes)
        given = {"query": "x", "type": "auto", "start_published_date": start}
        return key("POST", "/search", params.search_body(given, now))

    assert asked("7d", 0) == asked("7d", 30)
    assert asked("3h", 0) != asked("3h", 1)
    assert asked("2026-11-01T10:11:12Z", 0) == asked("2026-11-01T10:11:12Z", 1)
    assert params.checked({"snapshot_as_of": "2d"}, NOW) == {"snapshotAsOf": "2026-11-18T14:00:00.000Z"}
    assert params.checked({"snapshot_as_of": NOW}, NOW) == {"snapshotAsOf": "2026-11-20T14:25:31.000Z"}


@pytest.mark.parametrize("body", [b"garbage", b"[]", b""])
def test_an_answer_that_was_kept_and_cannot_be_read_is_asked_for_again(
    aexa: Callable[..., AsyncExa], kept: Kept, body: bytes
) -> None:
    """EXA-8: a damaged entry costs a call, never an error."""

    async def scenario() -> None:
        async with aexa(cache=kept) as client:
            found = await client.search(BILL, highlights=True)
            urls = [page.url for page in found.results if page.highlights][:1]
            await client.contents(urls)
            for name in kept:
                kept[name] = body
            assert not (await client.search(BILL, highlights=True)).cached
            assert not (await client.contents(urls)).cached
            assert (await client.contents(urls)).cached

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("status", "spent"),
    [(400, 0), (401, 0), (403, 0), (404, 0), (409, 0), (410, 0), (408, "0.005"), (422, "0.005")],
)
def test_what_a_refusal_may_have_cost_counts(status: int, spent: Any) -> None:
    """EXA-10: only answers that surely cost nothing give back what was set aside."""
    server, client = scripted(reply({"error": "no", "tag": "NO"}, status))

    async def scenario() -> Decimal | None:
        async with client() as exa:
            with pytest.raises(Exception, match="NO"):
                await exa.answer("x")
            return exa.spent

    with server:
        assert asyncio.run(scenario()) == Decimal(spent)
        assert len(server.requests) == 1


def test_a_lost_connection_that_was_never_made_costs_nothing(options: dict[str, Any]) -> None:
    """EXA-10: what never left is given back."""
    with Exa(KEY, **{**options, "url": "http://127.0.0.1:9"}, attempts=2) as exa:
        with pytest.raises(Exception, match="no connection"):
            exa.answer("x")
        assert exa.spent == 0


def test_credit_that_is_gone_says_what_the_next_call_would_have_cost() -> None:
    """EXA-10: 402 ends it for every meter of a client."""
    server, client = scripted(reply({"requestId": "r", "error": "Insufficient credits", "tag": "NO_MORE_CREDITS"}, 402))

    async def scenario() -> BudgetExceeded:
        async with client() as exa:
            from kalshi_lab.exa import Purse

            with pytest.raises(BudgetExceeded):
                await exa.answer("x")
            with pytest.raises(BudgetExceeded) as refused:
                await exa.within(Purse(Decimal(5))).search("x")
            assert exa.spent == 0
            return refused.value

    with server:
        assert asyncio.run(scenario()).cost == Decimal("0.007")
        assert len(server.requests) == 1


def test_a_price_far_above_the_estimate_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """EXA-10: the table may be out of date; what was charged counts."""
    server, client = scripted(reply({"answer": "x", "costDollars": {"total": 0.05}}))

    async def scenario() -> Decimal | None:
        async with client() as exa:
            await exa.answer("x")
            return exa.spent

    with server, caplog.at_level(logging.WARNING):
        assert asyncio.run(scenario()) == Decimal("0.05")
    assert "0.005 at most were expected" in caplog.text


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"type": "RATE_LIMIT_ERROR", "code": "CONCURRENCY_LIMIT_REACHED", "message": "slow"}},
        {"requestId": "r", "error": "slow", "tag": "CONCURRENCY_LIMIT_REACHED"},
    ],
    ids=["nested", "flat"],
)
def test_errors_are_read_in_both_shapes(body: dict[str, Any]) -> None:
    """EXA-1: an error's text may stand in the body or below it."""
    server, client = scripted(reply(body, 400))

    async def scenario() -> BadRequest:
        async with client() as exa:
            with pytest.raises(BadRequest) as refused:
                await exa.runs.create("x")
            return refused.value

    with server:
        error = asyncio.run(scenario())
    assert error.code == "CONCURRENCY_LIMIT_REACHED"
    assert "slow" in str(error)


def events(*frames: str, end: str = "data: [DONE]") -> Answer:
    head = reply(b"", kind="text/event-stream", length=None, Connection="close")
    return [head, "\n\n".join([*frames, end, ""]).encode(), CLOSE]


def test_odd_frames_of_a_stream_are_passed_over_and_a_cost_of_nothing_is_one() -> None:
    """EXA-5: citations may be the word null; lines that say nothing are skipped; warnings come last."""
    frames = (
        'data: {"choices":[{"delta":{"content":"Par"}}]}', ": a comment", "data: {broken", "event: x", 'data: {"choices":[]}',
        'data: {"choices":[{"delta":{"content":"is"}}],"citations":"null"}', 'data: {"citations":[{"url":"https://e.example"}, 7]}',
        'data: {"warnings":[{"code":"IGNORED_FIELD","path":"/x","message":"m"}]}', 'data: {"costDollars":{"total":0},"requestId":"abc"}',
    )  # fmt: skip
    server, client = scripted(events(*frames))

    async def scenario() -> list[Any]:
        async with client() as exa:
            bits = [bit async for bit in exa.stream_answer("x")]
            assert exa.spent == 0
            return bits

    with server:
        bits = asyncio.run(scenario())
    assert "".join(bit.text for bit in bits) == "Paris"
    assert [one.url for bit in bits for one in bit.citations] == ["https://e.example"]
    assert [one.code for bit in bits for one in bit.warnings] == ["IGNORED_FIELD"]
    assert (bits[-1].is_last, bits[-1].cost, bits[-1].request_id) == (True, Decimal(0), "abc")


@pytest.mark.parametrize(
    "frame",
    [
        'data: {"tag":"ERROR","payload":{"error":{"code":"X","message":"it broke"},"requestId":"abc"}}',
        'data: {"type":"error","error":{"message":"it broke"}}',
    ],
)
def test_a_stream_that_says_that_it_failed_is_an_error_after_its_text(frame: str) -> None:
    """EXA-5: also after some text; what it cost is not known, so its worst case counts."""
    server, client = scripted(events('data: {"choices":[{"delta":{"content":"Par"}}]}', frame))

    heard: list[str] = []

    async def hear(exa: AsyncExa) -> None:
        async for bit in exa.stream_answer("x"):
            heard.append(bit.text)  # noqa: PERF401 - what came before the failure is wanted

    async def scenario() -> Decimal | None:
        async with client() as exa:
            with pytest.raises(BrokenResponse, match="it broke"):
                await hear(exa)
            return exa.spent

    with server:
        assert asyncio.run(scenario()) == Decimal("0.005")
    assert heard == ["Par"]


def test_who_stops_listening_pays_the_worst_case() -> None:
    """EXA-10: a stream that is left counts in full."""
    server, client = scripted(events(*['data: {"choices":[{"delta":{"content":"x"}}]}'] * 3))

    async def scenario() -> Decimal | None:
        async with client() as exa:
            bits = exa.stream_answer("x")
            await anext(bits)
            await bits.aclose()  # type: ignore[attr-defined]
            return exa.spent

    with server:
        assert asyncio.run(scenario()) == Decimal("0.005")


def test_the_blocking_stream_ends_in_an_error_whatever_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in reading is told to who waits, and never a wait without end."""
    server, _ = scripted(events('data: {"choices":[{"delta":{"content":"x"}}]}'))

    def broken(_sent: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("kalshi_lab.exa.streams._chunk", broken)
    with server, Exa(KEY, environment="sim", base_url=server.url, url=server.url) as exa:
        with pytest.raises(RuntimeError, match="a fault"):
            list(exa.stream_answer("x"))
        assert exa.spent == Decimal("0.005")


def test_a_run_is_waited_for_so_long_and_no_longer(options: dict[str, Any], exchange: Exchange) -> None:
    """EXA-6: a wait that ends early says that the run goes on; the money stays set aside."""
    with Exa(KEY, **options) as exa:
        run, _ = exa.runs.create(BILL)
        with pytest.raises(TimedOut, match="it is paid for"):
            exa.runs.wait(run.id, seconds=0.0)
        assert exa.spent == Decimal("0.025")
        exchange.advance(60)
        assert exa.runs.wait(run.id).is_done
