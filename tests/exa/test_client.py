"""Exa's client against the simulated Exa over a real socket: every endpoint that matters, what it costs, and what goes wrong."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab.errors import (
    AuthFailed,
    BrokenResponse,
    BudgetExceeded,
    Conflict,
    NotFound,
    Unavailable,
    UsageError,
)
from kalshi_lab.exa import AsyncExa, Exa, Purse
from tests.exa.conftest import BILL, KEY, Kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalshi_lab.sim.process import Exchange

NEWS: dict[str, Any] = {"category": "news", "highlights": True, "start_published_date": "90d"}


def test_every_call_works_awaited_and_blocking_and_says_the_same(
    exa: Exa, aexa: Callable[..., AsyncExa], billed: Callable[[], Decimal]
) -> None:
    """EXA-2, EXA-4, EXA-5: search with contents, pages and answers, sync and async."""

    async def awaited() -> list[Any]:
        async with aexa() as client:
            found = await client.search(BILL, **NEWS)
            read = await client.contents([page.url for page in found.results], text=True)
            said = await client.answer(BILL)
            bits = [bit async for bit in client.stream_answer(BILL)]
            return [found, read, said, bits]

    found = exa.search(BILL, **NEWS)
    read = exa.contents([page.url for page in found.results], text=True)
    said = exa.answer(BILL)
    bits = list(exa.stream_answer(BILL))
    there = asyncio.run(awaited())
    assert found.results == there[0].results
    assert len(found.results) == 10
    assert all(
        page.published_date is not None for page in found.results
    )  # undated pages are left out once a date is given
    assert read.results == there[1].results
    assert read.failed == there[1].failed
    assert (said.answer, said.citations) == (there[2].answer, there[2].citations)
    assert said.citations
    assert "".join(bit.text for bit in bits) == said.answer == "".join(bit.text for bit in there[3])
    assert bits[-1].is_last
    assert bits[-1].cost == Decimal("0.005")
    assert exa.spent == billed() / 2


def test_what_is_typed_is_what_was_sent(exa: Exa) -> None:
    """EXA-2: the frame has a row for each page, with the one form of its address."""
    found = exa.search(BILL, text=True, summary=True)
    frame = found.frame()
    assert frame.columns == [
        "url",
        "title",
        "published_date",
        "author",
        "score",
        "highlights",
        "text",
        "summary",
        "key",
    ]
    assert frame.height == len(found.results) == len(found.raw["results"])
    readable = [page for page in found.results if page.text]  # a page that could not be read has neither
    assert len(readable) >= 8
    assert all(page.summary and page.summary in (page.text or "") for page in readable)
    assert found.cost == Decimal("0.017")  # ten summaries at a thousandth each


def test_an_output_by_a_schema_comes_with_what_it_rests_on(exa: Exa) -> None:
    """EXA-5, EXA-6: structured output, its grounding apart from it."""
    schema = {"type": "object", "properties": {"probability": {"type": "number"}, "why": {"type": "string"}}}
    found = exa.search(BILL, type="deep", output_schema=schema)
    assert 0 <= found.output["probability"] <= 1
    assert {one.field for one in found.grounding} == {"probability", "why"}
    assert all(one.citations for one in found.grounding)
    bits = list(exa.stream_search(BILL, type="deep", output_schema=schema))
    assert bits[-2].output == found.output
    assert [page.url for bit in bits for page in bit.results] == [page.url for page in found.results]


def test_pages_like_one_are_a_search_and_the_old_endpoints_are_refused_by_name(exa: Exa) -> None:
    """EXA-3: findSimilar is no more; its replacement is named."""
    for name in ("livecrawl", "start_crawl_date", "use_autoprompt", "context", "num_sentences"):
        with pytest.raises(UsageError, match="any more"):
            exa.search(BILL, **{name: "x"})
    with pytest.raises(UsageError, match=r'type="auto"'):
        exa.search(BILL, type="keyword")
    with pytest.raises(UsageError, match="publication"):
        exa.search(BILL, category="research paper")
    assert not hasattr(exa, "find_similar")


def test_a_run_is_created_once_waited_for_and_paid_at_its_end(
    exa: Exa, exchange: Exchange, billed: Callable[[], Decimal]
) -> None:
    """EXA-6: agent runs in place of research tasks; the id is there before anything is waited for."""
    quoted = {"type": "object", "properties": {"quote": {"type": "string"}, "url": {"type": "string"}}}
    schema = {"type": "object", "properties": {"factors": {"type": "array", "items": quoted}}}
    run, reservation = exa.runs.create(BILL, effort="low", output_schema=schema, metadata={"task": "42"})
    assert not run.is_done
    assert run.cost is None
    assert exa.spent == Decimal("0.025")
    exchange.advance(60)
    run = exa.runs.wait(run.id, reservation=reservation)
    assert run.status == "completed"
    assert run.cost == exa.spent == billed()
    for factor in run.structured["factors"]:
        page = exa.contents([factor["url"]]).results[0]
        assert factor["quote"] in (page.text or "")
    assert [one.id for one in exa.runs.list() if one.metadata == {"task": "42"}] == [run.id]
    assert exa.runs.events(run.id)[-1]["type"] == "agent_run.completed"
    assert exa.runs.cancel(run.id).status == "completed"  # too late
    assert exa.runs.delete(run.id)
    with pytest.raises(NotFound):
        exa.runs.one(run.id)


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"effort": "auto"}, "metered"),
        ({"effort": "low", "max_cost": 2}, "fixed price"),
        ({"effort": "ultra", "max_cost": 500}, "1 to 100"),
        ({"effort": "lowest"}, "unknown effort"),
    ],
)
def test_a_run_without_a_known_price_is_refused(exa: Exa, exchange: Exchange, wanted: dict[str, Any], why: str) -> None:
    """EXA-9: a mode has a price, and what has none wants a cap."""
    with pytest.raises(UsageError, match=why):
        exa.runs.create(BILL, **wanted)
    assert exchange.requests() == []


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"num_results": 0}, "num_results"),
        ({"num_results": 101}, "num_results"),
        ({"num_results": True}, "num_results"),
        ({"category": "nwes"}, "Did you mean 'news'"),
        ({"type": "lite", "summary": True}, "lite search takes no summary"),
        ({"type": "lite", "max_age_hours": 1}, "lite search takes no max_age_hours"),
        ({"category": "company", "exclude_domains": "a.example"}, "takes no published dates"),
        ({"include_domains": ["a"], "exclude_domains": ["b"]}, "exclude one another"),
        ({"start_published_date": "2026-11-02", "end_published_date": "2026-11-01"}, "not before"),
        ({"additional_queries": ["a"]}, "deep types"),
        ({"output_schema": {"type": "array"}}, "text or object"),
        ({"output_schema": {"type": "object", "properties": {str(n): {} for n in range(11)}}}, "11 properties"),
        ({"text": {"max_characters": 20_000}}, "maxCharacters"),
        ({"highlights": {"num_sentences": 3}}, "any more"),
        ({"user_identifier": "me@example.com"}, "names nobody"),
        ({"highlihgts": True}, "Did you mean 'highlights'"),
    ],
)
def test_what_exa_would_refuse_or_drop_is_refused_before_it_is_sent(
    exa: Exa, exchange: Exchange, given: dict[str, Any], why: str
) -> None:
    """EXA-2: current parameters only, within their limits."""
    with pytest.raises(UsageError, match=why):
        exa.search(BILL, **given)
    assert exchange.requests() == []
    assert exa.spent == 0


def test_an_answer_may_come_although_no_page_could_be_read(exa: Exa) -> None:
    """EXA-4: a status for each page; a failure inside a 200 is told by its tag."""
    read = exa.contents(["https://nowhere.example/a", "https://nowhere.example/b"])
    assert read.results == ()
    assert read.failed == {
        "https://nowhere.example/a": "CRAWL_NOT_FOUND",
        "https://nowhere.example/b": "CRAWL_NOT_FOUND",
    }


def test_the_past_is_read_as_it_was(exa: Exa) -> None:
    """EXA-2: a stored version of the past shows nothing that came later."""
    before = exa.search(BILL, text=True, snapshot_as_of="2026-11-10")
    after = exa.search(BILL, text=True)
    assert len(before.results) <= len(after.results)
    assert all(page.snapshot_at is not None and f"{page.snapshot_at:%F}" <= "2026-11-10" for page in before.results)


def test_the_key_is_checked_for_nothing_and_never_shown(
    exa: Exa, options: dict[str, Any], billed: Callable[[], Decimal]
) -> None:
    """EXA-1: the key goes in its header; without one nothing is sent."""
    assert exa.check_key()
    with Exa("short", **options) as wrong:
        assert not wrong.check_key()
        with pytest.raises(AuthFailed) as refused:
            wrong.answer(BILL)
    assert "short" not in str(refused.value)
    with Exa(None, **options) as without, pytest.raises(AuthFailed, match="EXA_API_KEY"):
        without.answer(BILL)
    assert billed() == 0
    for told in (repr(exa), str(vars(exa._twin)), json.dumps(exa._twin.door.state, default=str)):
        assert KEY not in told


def test_the_key_is_taken_from_the_environment(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """EXA-1: EXA_API_KEY, as by convention."""
    monkeypatch.setenv("EXA_API_KEY", "from-the-environment")
    with Exa(**options) as exa:
        assert exa.check_key()


def test_a_refusal_for_the_rate_is_waited_out_and_paid_once(
    exa: Exa, exchange: Exchange, billed: Callable[[], Decimal]
) -> None:
    """EXA-1: a 429 and what it asks for are obeyed; nothing is charged for it."""
    exchange.faults("/exa/search", status=429, times=2, headers={"Retry-After": "0.01"}, body={"error": "slow down"})
    assert exa.search(BILL).results
    assert [one["status"] for one in exchange.requests()] == [429, 429, 200]
    assert exa.spent == billed() == Decimal("0.007")


def test_a_failure_that_may_have_been_charged_for_counts_as_if_it_had(exa: Exa, exchange: Exchange) -> None:
    """EXA-10: a failed call is not free: each attempt is reserved by itself."""
    exchange.faults("/exa/search", status=503, times=1)
    assert exa.search(BILL).results
    assert exa.spent == Decimal("0.014")
    exchange.faults("/exa/answer", status=503, times=9)
    with pytest.raises(Unavailable, match="may have been charged"):
        exa.answer(BILL)
    assert exa.spent == Decimal("0.014") + 4 * Decimal("0.005")


def test_a_create_is_never_sent_again_when_it_may_have_happened(exa: Exa, exchange: Exchange) -> None:
    """EXA-6: an ambiguous failure of a create is the caller's to look into."""
    exchange.faults("/exa/agent/runs", kind="drop")
    with pytest.raises(BrokenResponse) as lost:
        exa.runs.create(BILL)
    assert lost.value.may_have_happened
    assert len(exchange.requests()) == 1
    assert exa.spent == Decimal("0.025")


def test_credit_that_is_gone_stops_everything_at_once(exa: Exa, exchange: Exchange) -> None:
    """EXA-10: 402 ends the spending of a session until it is told otherwise."""
    exchange.exa(credit=0)
    with pytest.raises(BudgetExceeded, match="Insufficient credits"):
        exa.search(BILL)
    asked = len(exchange.requests())
    with pytest.raises(BudgetExceeded, match="nothing was sent"):
        exa.answer(BILL)
    assert len(exchange.requests()) == asked
    exchange.exa()
    exa.credited()
    assert exa.answer(BILL).citations
    assert exa.spent == Decimal("0.005")


@pytest.mark.parametrize("kind", ["html", "cut", "garbled", "drop"])
def test_damaged_answers_are_our_errors_or_made_good(exa: Exa, exchange: Exchange, kind: str) -> None:
    """EXA-1: pages of HTML, cut and garbled answers, lost connections: tried again, each attempt paid for."""
    exchange.faults("/exa/search", kind=kind, times=1)
    assert exa.search(BILL).results
    assert exa.spent == Decimal("0.014")


def test_retired_and_unknown_endpoints_are_told_as_what_they_are(aexa: Callable[..., AsyncExa]) -> None:
    """EXA-6: the research endpoint answers 410, and 404 comes as a page of HTML."""
    from kalshi_lab.door import Call
    from kalshi_lab.errors import BadRequest, RequestError

    async def send(path: str) -> None:
        async with aexa() as client:
            await client.door.send(Call("exa", path, method="POST", cost=1.0, body=b"{}", auth=True))

    with pytest.raises(BadRequest, match="RESEARCH_RETIRED"):
        asyncio.run(send("/research/v1"))
    with pytest.raises(RequestError, match="404"):
        asyncio.run(send("/nonsense"))


@pytest.mark.long
def test_fifty_calls_at_a_cap_spend_at_most_the_cap_exactly(
    aexa: Callable[..., AsyncExa], billed: Callable[[], Decimal]
) -> None:
    """EXA-10: the check and the reservation are one step, so parallel calls cannot both pass."""
    purse = Purse(Decimal("0.10"))

    async def scenario() -> list[Any]:
        async with aexa(meter=purse) as client:
            calls = (client.search(f"{BILL} {number}", highlights=True) for number in range(50))
            return await asyncio.gather(*calls, return_exceptions=True)

    ended = asyncio.run(scenario())
    refused = [one for one in ended if isinstance(one, BudgetExceeded)]
    assert len(refused) == 36
    assert [one for one in ended if isinstance(one, Exception) and not isinstance(one, BudgetExceeded)] == []
    assert all(one.cost == Decimal("0.007") for one in refused)
    assert purse.spent == billed() == 14 * Decimal("0.007")


def test_what_was_paid_for_is_not_paid_again(
    aexa: Callable[..., AsyncExa], kept: Kept, billed: Callable[[], Decimal]
) -> None:
    """EXA-8, EXA-9: an equal question is a hit, whatever its white space and the order of its domains."""

    async def scenario() -> None:
        async with aexa(cache=kept) as client:
            first = await client.search(BILL, exclude_domains=["b.example", "A.example"])
            again = await client.search(f"  {BILL} ", exclude_domains=["a.example", "b.example"])
            assert (first.cached, again.cached) == (False, True)
            assert again.cost == 0
            assert again.results == first.results
            other = await client.search(BILL.upper(), exclude_domains=["a.example", "b.example"])
            assert not other.cached
            assert (await client.answer(BILL)).cached is False
            assert (await client.answer(BILL)).cached is True

    asyncio.run(scenario())
    assert billed() == Decimal("0.019")


def test_pages_are_kept_one_by_one_and_only_the_missing_are_asked_for(
    aexa: Callable[..., AsyncExa], kept: Kept, exchange: Exchange
) -> None:
    """EXA-4, EXA-8: a second request with one page more pays for that page."""

    async def scenario() -> None:
        async with aexa(cache=kept) as client:
            urls = [page.url for page in (await client.search(BILL, highlights=True)).results if page.highlights]
            await client.contents(urls[:2])
            exchange.reset_log()
            read = await client.contents(urls[:3])
            assert [one["body"]["urls"] for one in exchange.requests()] == [urls[2:3]]
            assert {page.url for page in read.results} == set(urls[:3])
            assert not read.cached
            assert (await client.contents(urls[:3])).cached

    asyncio.run(scenario())


def test_a_stream_that_is_cut_gives_what_came_and_counts_as_its_worst_case(exa: Exa, exchange: Exchange) -> None:
    """EXA-5: streaming; a cut stream is an error after its text, never a short answer."""
    exchange.faults("/exa/answer", kind="cut")
    heard = []
    with pytest.raises(BrokenResponse):
        heard.extend(bit.text for bit in exa.stream_answer(BILL))
    assert exa.spent == Decimal("0.005")
    with pytest.raises(UsageError, match="unknown argument"):
        exa.stream_answer(BILL, category="news")


@pytest.mark.parametrize(
    ("operation", "arguments", "dollars"),
    [
        ("search", {}, "0.007"),
        ("search", {"type": "lite"}, "0.004"),
        ("search", {"type": "deep", "num_results": 15}, "0.017"),
        ("search", {"summary": True, "num_results": 5}, "0.012"),
        ("contents", {"urls": ["a", "b"], "text": True, "highlights": True}, "0.004"),
        ("contents", {"urls": ["a"], "subpages": 3}, "0.004"),
        ("answer", {}, "0.005"),
        ("run", {"effort": "medium"}, "0.10"),
        ("run", {"effort": "auto", "max_cost": 3}, "3"),
    ],
)
def test_what_a_call_may_cost_is_known_before(
    exa: Exa, operation: str, arguments: dict[str, Any], dollars: str
) -> None:
    """EXA-10: estimates by kind, results above ten, summaries and pages."""
    assert exa.estimate(operation, **arguments) == Decimal(dollars)


def test_prices_can_be_replaced_and_odd_ones_are_refused(options: dict[str, Any]) -> None:
    """EXA-10: the price table is the user's to correct."""
    with Exa(KEY, prices={"answer": Decimal("0.01")}, **options) as exa:
        assert exa.estimate("answer") == Decimal("0.01")
    with pytest.raises(UsageError, match="no price is called"):
        Exa(KEY, prices={"answers": Decimal(1)}, **options)


def test_monitors_are_made_triggered_read_and_ended(exa: Exa, exchange: Exchange) -> None:
    """EXA-7: thin; what Exa tells no cost of wants an amount, which counts as spent."""
    made = exa.monitors.create(BILL, webhook="https://hooks.example/x", max_cost="0.05", period="6h", name="bills")
    assert made.model_extra is not None
    assert made.model_extra["webhookSecret"]
    assert exa.spent == Decimal("0.05")
    assert exa.monitors.trigger(made.id, max_cost="0.015")
    (run,) = exa.monitors.runs(made.id)
    assert run.status == "completed"
    assert exa.monitors.run(made.id, run.id).model_extra["output"]["results"]  # type: ignore[index]
    assert exa.monitors.update(made.id, status="paused").status == "paused"
    assert [one.id for one in exa.monitors.list()] == [exa.monitors.one(made.id).id]
    assert exa.monitors.batch("delete", {"name": "bills"})["affected"] == 1
    assert len(exa.monitors.list()) == 1
    exa.monitors.delete(made.id)
    with pytest.raises(NotFound):
        exa.monitors.one(made.id)
    asked = len(exchange.requests())
    for bad in (
        {"webhook": "http://x"},
        {"webhook": "https://x.example", "period": "5m"},
        {"webhook": "https://x.example", "max_cost": 0},
    ):
        with pytest.raises(UsageError):
            exa.monitors.create(BILL, **{"max_cost": 1, **bad})
    assert len(exchange.requests()) == asked


def test_websets_are_made_read_and_ended(exa: Exa) -> None:
    """EXA-7: thin; an external id is taken once."""
    made = exa.websets.create(BILL, max_cost="0.5", count=3, criteria=["it is about the bill"], external_id="bills")
    assert exa.websets.one("bills").id == made.id
    assert len(exa.websets.items(made.id)) == 3
    assert exa.websets.update(made.id, title="Bills").model_extra["title"] == "Bills"  # type: ignore[index]
    assert exa.websets.cancel(made.id).status == "idle"
    assert exa.websets.preview(BILL)["items"]
    with pytest.raises(Conflict):
        exa.websets.create(BILL, max_cost="0.5", external_id="bills")
    with pytest.raises(UsageError, match="1 to 5"):
        exa.websets.create(BILL, max_cost="0.5", criteria=["x"] * 6)
    exa.websets.delete(made.id)
    assert exa.websets.list() == ()
