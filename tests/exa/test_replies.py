"""Exa's answers, odd ones among them, as values: nothing dropped, nothing invented."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab.exa import Run, canonical, records
from kalshi_lab.exa.records import Page, answer_reply, contents_reply, cost_of, search_reply, sources
from kalshi_lab.exa.streams import _chunk
from kalshi_lab.models.fields import columns

if TYPE_CHECKING:
    from pathlib import Path

HOW: dict[str, Any] = {"cached": False, "request_id": "r"}


def page(**fields: Any) -> Page:
    made, refused = sources(Page, [{"url": "https://a.example/", **fields}])
    assert refused == 0
    found: Page = made[0]
    return found


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("2026-11-01T05:00:00.000Z", datetime(2026, 11, 1, 5, tzinfo=UTC)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("", None),
        (None, None),
        ("last week", None),
    ],
)
def test_a_date_is_read_or_unknown_and_kept_as_it_was_sent(sent: str | None, read: datetime | None) -> None:
    """EXA-2: publishedDate may be missing, null, empty, a date alone or nonsense."""
    made = page(publishedDate=sent)
    assert made.published_date == read
    assert made.published_date_raw == sent


def test_what_is_absent_is_none_and_what_is_new_is_kept() -> None:
    """EXA-2: a title may be null or empty; fields of tomorrow stay."""
    made = page(title=None, author=None, highlights=None, mood="sunny")
    assert (made.title, made.author, made.highlights, made.score) == (None, None, (), None)
    assert made.model_extra == {"mood": "sunny"}
    assert page(title="").title == ""


def test_a_page_that_cannot_be_read_costs_the_others_nothing() -> None:
    found = search_reply({"results": [{"title": "no address"}, {"url": "https://a.example"}, 7]}, **HOW)
    assert [one.url for one in found.results] == ["https://a.example"]
    assert found.refused == 2


@pytest.mark.parametrize(
    ("told", "dollars"),
    [
        ({"total": 0.007}, "0.007"),
        ({"total": 0}, "0"),
        ({}, None),
        (None, None),
        ({"total": None}, None),
        ({"total": "0.005"}, "0.005"),
        ({"total": True}, None),
        ({"total": -1}, None),
    ],
)
def test_a_cost_that_is_not_told_is_unknown_and_not_zero(told: Any, dollars: str | None) -> None:
    """EXA-10: only the total counts."""
    assert cost_of({"costDollars": told}) == (None if dollars is None else Decimal(dollars))


def test_statuses_say_which_page_failed_and_a_success_without_a_page_is_none() -> None:
    """EXA-4: rows may be fewer than asked for; an error may be an empty object."""
    read = contents_reply(
        {
            "results": [{"url": "https://a.example", "id": "https://a.example"}],
            "statuses": [
                {"id": "https://a.example", "status": "success"},
                {"id": "https://b.example", "status": "error", "error": {}},
                {"id": "https://c.example", "status": "success"},
                {"id": "https://d.example", "status": "error", "error": {"tag": "NEW_TAG"}},
            ],
        },
        **HOW,
    )
    assert read.failed == {
        "https://b.example": "UNKNOWN",
        "https://c.example": "MISSING",
        "https://d.example": "NEW_TAG",
    }


@pytest.mark.parametrize(("sent", "read"), [(None, 0), ("null", 0), ([], 0), ([{"url": "https://a.example"}], 1)])
def test_citations_may_be_absent_or_a_word(sent: Any, read: int) -> None:
    """EXA-5: an answer is a text or an object, its citations a list or nothing."""
    assert len(answer_reply({"answer": "yes", "citations": sent}, **HOW).citations) == read
    assert answer_reply({"answer": {"p": 1}}, **HOW).answer == {"p": 1}
    assert answer_reply({"answer": None}, **HOW).answer == ""


def test_notices_are_told() -> None:
    """EXA-2: what Exa ignored or relaxed is said in the reply."""
    found = search_reply(
        {
            "results": [],
            "warnings": [{"code": "IGNORED_FIELD", "path": "/x", "message": "m"}],
            "notices": [{"code": "NEW"}],
        },
        **HOW,
    )
    assert [one.code for one in (*found.warnings, *found.notices)] == ["IGNORED_FIELD", "NEW"]


@pytest.mark.recordings
@pytest.mark.parametrize("name", ["search_response", "search_and_contents_response", "find_similar_response"])
def test_recorded_searches_are_read_with_nothing_dropped(recordings: Path, name: str) -> None:
    """EXA-2: real replies of January 2026."""
    sent = json.loads((recordings / "exa" / "golden" / f"{name}.json").read_text())["response"]
    found = search_reply(sent, **HOW)
    assert found.refused == 0
    assert found.raw == sent
    assert found.cost == Decimal(str(sent["costDollars"]["total"]))
    for made, row in zip(found.results, sent["results"], strict=True):
        again = made.model_dump(by_alias=False, exclude_unset=True, exclude={"published_date_raw", "published_date"})
        assert {name: row[name] for name in ("url", "id", "title", "author")} == {
            name: again[name] for name in ("url", "id", "title", "author")
        }
        known = {"url", "id", "title", "author", "text", "highlights", "score", "highlightScores", "publishedDate"}
        assert set(row) <= known
        assert made.text == row.get("text")
        assert list(made.highlights) == row.get("highlights", [])
        assert made.score == row.get("score")
        assert (made.published_date is None) == ("publishedDate" not in row)


@pytest.mark.recordings
def test_the_recorded_page_is_read_with_nothing_dropped(recordings: Path) -> None:
    """EXA-4: a real reply of January 2026."""
    sent = json.loads((recordings / "exa" / "golden" / "get_contents_response.json").read_text())["response"]
    read = contents_reply(sent, **HOW)
    assert read.failed == {}
    assert read.results[0].text == sent["results"][0]["text"]
    assert read.statuses[0].source == "crawled"
    assert read.cost == Decimal("0.001")


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://www.a.example/x/?utm_source=f&b=2&a=1#top", "http://a.example/x?a=1&b=2"),
        ("https://m.a.example/x/amp", "https://a.example/x"),
        ("https://amp.a.example/x/index.html", "https://a.example/x/"),
        ("https://A.example:443/%7Euser", "https://a.example/~user"),
        ("https://arxiv.org/pdf/2401.01234v3.pdf", "https://arxiv.org/abs/2401.01234"),
        ("https://a.example/x?ref=home&fbclid=1", "https://a.example/x"),
        ("https://b\u00fccher.example/", "https://xn--bcher-kva.example"),
    ],
)
def test_one_page_has_one_form_of_its_address(url: str, same: str) -> None:
    """NW-2: the same article is known again."""
    assert canonical(url) == canonical(same)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://a.example/x?id=1", "https://a.example/x?id=2"),
        ("https://a.example/x", "https://a.example/X"),
        ("https://a.example:8080/", "https://a.example/"),
        ("https://m.example/", "https://example/"),
    ],
)
def test_different_pages_stay_different(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


ODD: tuple[Any, ...] = (
    None, "", 0, -1, 1.5, True, [], {}, "null", [None], [[]], [{}], {"x": 1}, "2026-99-99", 10**30, "1e999999", [7, "a"],
)  # fmt: skip
PAGE: dict[str, Any] = {
    "url": "https://a.example", "id": "https://a.example", "title": "t", "publishedDate": "2026-01-01", "author": "x", "highlights": ["a"],
    "summary": "s", "score": 1.0, "extras": {"links": []}, "entities": [{"type": "company"}], "crawlDate": "2026-01-01T00:00:00Z",
}  # fmt: skip
REPLY: dict[str, Any] = {
    "requestId": "r", "results": [PAGE, PAGE], "output": {"content": "x", "grounding": [{"field": "f", "citations": [PAGE], "score": 0.4}]},
    "costDollars": {"total": 0.01}, "warnings": [{"code": "c", "path": "p"}], "notices": [{"code": "c", "details": {}}],
    "statuses": [{"id": "a", "status": "error", "error": {"tag": "X"}}], "answer": "hi", "citations": [PAGE], "delta": "d",
    "choices": [{"delta": {"content": "x"}}], "grounding": [{"field": "f"}],
}  # fmt: skip
RUN: dict[str, Any] = {
    "id": "agent_run_1", "status": "completed", "stopReason": "x", "createdAt": "2026-11-01T00:00:00.000Z", "costDollars": {"total": 0.025},
    "output": {"text": "t", "structured": {"p": 1}, "grounding": [{"field": "f", "citations": [PAGE], "confidence": "medium"}]},
    "metadata": {"a": "b"},
}  # fmt: skip


def changed(value: Any, roll: random.Random, often: float = 0.25) -> Any:
    """The value with parts replaced by others that nobody expects, or left out."""
    if roll.random() < often:
        return roll.choice(ODD)
    if isinstance(value, dict):
        return {name: changed(one, roll, often * 0.8) for name, one in value.items() if roll.random() > 0.05}
    return [changed(one, roll, often * 0.8) for one in value] if isinstance(value, list) else value


def test_no_answer_that_was_paid_for_is_lost_to_an_odd_field() -> None:
    """EXA-1, EXA-2: whatever a field holds, the rest is read: 1,500 answers with odd parts, each in every reading."""
    for seed in range(1500):
        roll = random.Random(seed)
        sent, run = changed(REPLY, roll), changed(RUN, roll)
        if not isinstance(sent, dict):
            continue
        search_reply(sent, **HOW).frame()
        read = contents_reply(sent, **HOW)
        assert set(read.failed) <= {one.id for one in read.statuses}
        assert all(one.key for one in answer_reply(sent, **HOW).citations if one.url.strip())
        chunk = _chunk(sent)
        assert isinstance(chunk.text, str)
        assert chunk.cost is None or 0 <= chunk.cost < 1_000_000
        for made in records.read(Run, [run])[0]:
            assert isinstance(made.text, str)
            assert made.cost is None or made.is_done
            assert made.grounding is not None
            assert made.structured is None or made.output is not None


@pytest.mark.parametrize(
    ("status", "done"),
    [
        ("queued", False),
        ("running", False),
        ("cancelled", True),
        ("canceled", True),
        ("failed", True),
        ("thinking", False),
    ],
)
def test_words_of_tomorrow_are_kept_and_both_spellings_of_an_end_are_one(status: str, done: bool) -> None:
    """EXA-6: a status that is not known is no end; agent runs are cancelled, websets were canceled."""
    (run,), refused = records.read(Run, [{**RUN, "status": status, "stopReason": "new_reason"}])
    assert refused == 0
    assert (run.status, run.is_done, run.stop_reason) == (status, done, "new_reason")
    assert (run.cost is not None) == done


def test_a_page_is_the_one_that_was_asked_for_whatever_its_slash() -> None:
    """EXA-4: id and address may differ by a slash or by the form of the document."""
    read = contents_reply(
        {
            "results": [
                {"url": "https://arxiv.org/pdf/2401.01234v2", "id": "https://arxiv.org/abs/2401.01234"},
                {"url": "https://a.example/x/"},
            ],
            "statuses": [
                {"id": url, "status": "success"} for url in ("https://a.example/x", "https://arxiv.org/abs/2401.01234")
            ],
        },
        **HOW,
    )
    assert read.failed == {}


def test_fields_that_are_not_sent_any_more_change_nothing() -> None:
    found = search_reply(
        {"results": [{"url": "https://a.example"}], "resolvedSearchType": "", "autoDate": None, "context": 7}, **HOW
    )
    assert len(found.results) == 1
    assert found.raw["resolvedSearchType"] == ""


def test_a_run_that_was_kept_is_the_run_that_was_read() -> None:
    """EXA-6: what a store keeps of a run, by our names, gives all of it back."""
    (run,), _ = records.read(Run, [{**RUN, "mood": "sunny"}])
    again = Run.model_validate(run.model_dump(mode="json", by_alias=False), by_name=True)
    assert again == run
    assert (again.cost, again.stop_reason, again.model_extra) == (Decimal("0.025"), "x", {"mood": "sunny"})


@pytest.mark.recordings
@pytest.mark.parametrize(
    "name", ["search_response", "search_and_contents_response", "find_similar_response", "get_contents_response"]
)
def test_recorded_pages_go_back_to_what_was_sent(recordings: Path, name: str) -> None:
    """EXA-2, EXA-4: every field of every page, by the names it came with."""
    sent = json.loads((recordings / "exa" / "golden" / f"{name}.json").read_text())["response"]
    wires = {column.name: column.wires[0] for column in columns(Page)}
    for made, row in zip(contents_reply(sent, **HOW).results, sent["results"], strict=True):
        again = {wires.get(name, name): value for name, value in made.model_dump(exclude_unset=True).items()}
        again["publishedDate"] = again.pop("published_date_raw", None)
        assert {name: again[name] for name in row if name != "highlights"} == {
            name: row[name] for name in row if name != "highlights"
        }
        assert list(again.get("highlights", ())) == row.get("highlights", [])
