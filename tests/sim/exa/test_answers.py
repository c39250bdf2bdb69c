"""The simulated Exa's answers are made as Exa's own: keys, nulls, dates; what it refuses, and how."""

from __future__ import annotations

import json
import random
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.sim.exa.conftest import BILL, Desk

if TYPE_CHECKING:
    from pathlib import Path

REQUEST_ID = re.compile(r"[0-9a-f]{32}")
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
# announced null from April and removed from May 2026 on, or of the price list of January
GONE = {"resolvedSearchType", "highlightScores"}
ALWAYS = {"id", "title", "url", "author"}
MAYBE = {"publishedDate", "text", "highlights", "summary", "extras", "snapshotAt", "subpages", "entities", "score"}
TEXT = {"type": "text"}
DEEP = {
    "type": "object",
    "properties": {"a": {"type": "object", "properties": {"b": {"type": "object", "properties": {"c": {}}}}}},
}
WIDE = {"type": "object", "properties": {str(number): {"type": "string"} for number in range(11)}}


def kinds(value: Any) -> dict[str, str]:
    """The kind of each field of a row."""
    return {key: type(inner).__name__ for key, inner in value.items()}


@pytest.mark.recordings
@pytest.mark.parametrize(
    ("name", "path", "body"),
    [
        ("search_response", "/search", {"query": BILL}),
        ("search_and_contents_response", "/search", {"query": BILL, "contents": {"text": True, "highlights": True}}),
        ("get_contents_response", "/contents", {"text": True}),
    ],
)
def test_answers_have_the_structure_of_recorded_ones(
    desk: Desk, recordings: Path, name: str, path: str, body: dict[str, Any]
) -> None:
    """EXA-2, EXA-4: keys, nulls and kinds are those of January 2026, but for what was taken out since."""
    real = json.loads((recordings / "exa" / "golden" / f"{name}.json").read_text())["response"]
    if path == "/contents":
        body = {**body, "urls": [row["url"] for row in desk.post("/search", query=BILL, numResults=30)["results"]]}
    made = desk.post(path, **body)
    assert {**kinds(made), "costDollars": "dict"} == {key: kind for key, kind in kinds(real).items() if key not in GONE}
    row = next(
        row for row in made["results"] if row["author"] is None and ("text" in row) == ("text" in real["results"][0])
    )
    known = kinds({key: value for key, value in row.items() if key != "publishedDate"})
    assert known == {key: kind for key, kind in kinds(real["results"][0]).items() if key not in GONE}
    assert REQUEST_ID.fullmatch(made["requestId"])
    assert REQUEST_ID.fullmatch(real["requestId"])
    if "statuses" in real:
        assert kinds(made["statuses"][0]) == kinds(real["statuses"][0])
    if "search" in real["costDollars"]:
        assert kinds(made["costDollars"]["search"]) == kinds(real["costDollars"]["search"])


@pytest.mark.recordings
def test_the_retired_search_for_similar_pages_answers_as_it_did(desk: Desk, recordings: Path) -> None:
    """EXA-3: the page itself first, with scores; a date that is not known is no key."""
    real = json.loads((recordings / "exa" / "golden" / "find_similar_response.json").read_text())["response"]
    seed = next(leaf for leaf in desk.pages() if leaf.time < desk.clock.now() and leaf.title and leaf.stated)
    made = desk.post("/findSimilar", url=seed.url, numResults=3)
    assert kinds(made) == kinds(real)
    assert made["results"][0]["url"] == seed.url
    assert {frozenset(row) - {"publishedDate"} for row in made["results"]} == {frozenset(ALWAYS | {"score"})}
    assert {frozenset(row) - {"publishedDate"} for row in real["results"]} == {frozenset(ALWAYS | {"score"})}
    assert all(STAMP.fullmatch(row["publishedDate"]) for row in real["results"] if "publishedDate" in row)
    elsewhere = desk.post("/findSimilar", url=seed.url, excludeSourceDomain=True)["results"][1:]
    assert seed.url.split("/")[2] not in {row["url"].split("/")[2] for row in elsewhere}


def test_every_row_has_what_is_always_there_and_dates_are_written_as_exas(desk: Desk) -> None:
    rows = desk.post("/search", query=BILL, numResults=100, contents={"text": True, "summary": {}})["results"]
    assert len(rows) > 20
    for row in rows:
        assert set(row) >= ALWAYS
        assert set(row) <= ALWAYS | MAYBE
        assert row.get("publishedDate", "") == "" or STAMP.fullmatch(row["publishedDate"])
    assert any("text" not in row for row in rows)  # a page that cannot be read shows as one without text
    full = desk.post("/search", query=BILL, numResults=100, contents={"text": True, "filterEmptyResults": True})[
        "results"
    ]
    assert {row["url"] for row in full} == {row["url"] for row in rows if "text" in row}


def test_dates_filter_by_the_stated_one_and_drop_undated_pages(desk: Desk) -> None:
    """EXA-2, lesson 51: pages without a known date are gone once a date is set."""
    rows = desk.post("/search", query=BILL, numResults=100)["results"]
    dated = sorted(row["publishedDate"] for row in rows if row.get("publishedDate"))
    assert len(dated) < len(rows)
    middle = dated[len(dated) // 2]
    late = desk.post("/search", query=BILL, numResults=100, startPublishedDate=middle)["results"]
    early = desk.post("/search", query=BILL, numResults=100, endPublishedDate=middle[:10])["results"]
    assert {row["publishedDate"] >= middle for row in late} == {True}
    assert {row["publishedDate"] <= f"{middle[:10]}T00:00:00.000Z" for row in early} == {True}


def test_domains_and_categories_filter(desk: Desk) -> None:
    """EXA-2: hosts, paths and stars; a category that does not exist steers nothing."""
    hosts = {row["url"].split("/")[2] for row in desk.post("/search", query=BILL, numResults=100)["results"]}
    host = "dailyledger.example"
    assert host in hosts
    only = desk.post("/search", query=BILL, includeDomains=[f"*.{host}"], numResults=100)["results"]
    none = desk.post("/search", query=BILL, excludeDomains=[host], numResults=100)["results"]
    assert {row["url"].split("/")[2] for row in only} == {host}
    assert host not in {row["url"].split("/")[2] for row in none}
    path = "/".join(only[0]["url"].split("/")[2:4])
    assert all(path in row["url"] for row in desk.post("/search", query=BILL, includeDomains=[path])["results"])
    papers = desk.post("/search", query="how well are forecasts calibrated", category="publication")["results"]
    assert {row["entities"][0]["type"] for row in papers} == {"publication"}
    news = desk.post("/search", query=BILL, category="news", numResults=100)["results"]
    all_of_them = desk.post("/search", query=BILL, numResults=100)["results"]
    assert {row["url"] for row in news} < {row["url"] for row in all_of_them}
    assert desk.post("/search", query=BILL, category="nwes", numResults=100)["results"] == all_of_them


def test_the_best_match_comes_first(desk: Desk) -> None:
    for event in range(0, len(desk.world.events), 37):
        text = desk.world.names.event(event)
        found = desk.post("/search", query=f"{text.title} {text.sub_title}")["results"]
        opened = desk.world.events.open[event] <= desk.clock.now()
        if found and opened and desk.service.engine.stories.leaves(event):
            assert text.title.rstrip("?") in found[0]["title"] or found[0]["title"] == ""
            assert desk.service.engine.stories.find(found[0]["url"]) is not None


def test_passages_are_in_the_page_that_they_are_cited_from_unless_it_lies(desk: Desk) -> None:
    """AG-5: quotations are words of their page; a switch puts one in that no page has."""
    quoted = {"type": "object", "properties": {"quote": {"type": "string"}, "url": {"type": "string"}}}
    schema = {
        "type": "object",
        "properties": {"factors": {"type": "array", "items": quoted}, "probability": {"type": "number"}},
    }

    def held() -> list[bool]:
        output = desk.post("/search", query=BILL, type="deep", outputSchema=schema)["output"]
        fields = {one["field"]: one["citations"] for one in output["grounding"]}
        made = []
        for place, factor in enumerate(output["content"]["factors"]):
            assert [one["url"] for one in fields[f"factors[{place}].quote"]] == [factor["url"]]
            page = desk.post("/contents", urls=[factor["url"]])["results"][0]
            made.append(factor["quote"] in page["text"])
        assert fields["probability"]
        return made

    assert set(held()) == {True}
    desk.service.engine.lies = True
    assert set(held()) == {False}


def test_an_answer_cites_pages_and_takes_any_schema(desk: Desk) -> None:
    """EXA-5: a text or an object, with what it cites."""
    said = desk.post("/answer", query=BILL)
    assert isinstance(said["answer"], str)
    assert all("text" not in one for one in said["citations"])
    wanted = {
        "type": "object",
        "properties": {
            "likely": {"type": "boolean"},
            "view": {"enum": ["up", "flat", "down"]},
            "x": {"type": ["number", "null"]},
        },
    }
    told = desk.post("/answer", query=BILL, text=True, outputSchema=wanted)
    assert told["answer"].keys() == {"likely", "view", "x"}
    assert told["answer"]["view"] in {"up", "flat", "down"}
    assert all(one["text"] for one in told["citations"])
    assert desk.post("/answer", query="zzzz qqqq")["citations"] == []


def test_what_became_of_each_page_is_told_with_the_status_200(desk: Desk) -> None:
    """EXA-4: rows fewer than asked for, errors with a tag, without one, and a success without a page."""
    now = desk.clock.now()
    broken = {leaf.broken: leaf.url for leaf in desk.pages() if leaf.time < now}
    assert set(broken) == {"", "CRAWL_NOT_FOUND", "SOURCE_NOT_AVAILABLE", "MISSING", "UNKNOWN"}
    told = desk.post("/contents", urls=[*broken.values(), "https://nobody.example/x"], maxAgeHours=0)
    assert [row["id"] for row in told["results"]] == [broken[""]]
    told_of = {one["id"]: one for one in told["statuses"]}
    assert told_of[broken[""]] == {"id": broken[""], "status": "success", "source": "crawled"}
    assert told_of[broken["MISSING"]]["status"] == "success"
    assert told_of[broken["UNKNOWN"]]["error"] == {}
    assert told_of[broken["SOURCE_NOT_AVAILABLE"]]["error"] == {"tag": "SOURCE_NOT_AVAILABLE", "httpStatusCode": 403}
    assert told_of["https://nobody.example/x"]["error"] == {"tag": "CRAWL_NOT_FOUND", "httpStatusCode": 404}


def test_pages_are_found_again_by_id_and_by_address(desk: Desk) -> None:
    page = next(
        leaf for leaf in desk.pages() if leaf.id != leaf.url and leaf.time < desk.clock.now() and not leaf.broken
    )
    by_id, by_url = desk.post("/contents", ids=[page.id]), desk.post("/contents", urls=[page.url])
    assert by_id["statuses"][0]["id"] == page.id
    assert by_id["results"][0]["url"] == by_url["results"][0]["url"] == page.url
    below = desk.post("/contents", urls=[page.url], subpages=2, extras={"links": 1})["results"][0]
    assert 1 <= len(below["subpages"]) <= 2
    assert page.url not in {one["url"] for one in below["subpages"]}
    assert len(below["extras"]["links"]) == 1


def test_what_is_ignored_or_given_up_is_told(desk: Desk) -> None:
    """EXA-2: warnings are about the request, notices about how the results were made."""
    told = desk.post("/search", query=f"{BILL} site:nowhere.example", startCrawlDate="2026-01-01")
    assert told["warnings"] == [
        {"code": "IGNORED_FIELD", "path": "/startCrawlDate", "message": "startCrawlDate is ignored"}
    ]
    assert told["notices"][0]["code"] == "RESTRICTIONS_RELAXED"
    assert told["results"]
    narrow = desk.post("/search", query=f"{BILL} site:dailyledger.example")
    assert "notices" not in narrow
    assert {row["url"].split("/")[2] for row in narrow["results"]} == {"dailyledger.example"}


@pytest.mark.parametrize(
    ("path", "body", "tag"),
    [
        ("/search", {}, "INVALID_REQUEST_BODY"),
        ("/search", None, "INVALID_REQUEST_BODY"),
        ("/search", {"query": 7}, "INVALID_REQUEST_BODY"),
        ("/search", {"query": BILL, "numResults": 0}, "INVALID_NUM_RESULTS"),
        ("/search", {"query": BILL, "numResults": 101}, "NUM_RESULTS_EXCEEDED"),
        ("/search", {"query": BILL, "type": "keyword"}, "type"),
        ("/search", {"query": BILL, "type": "lite", "outputSchema": TEXT}, "outputSchema: not with the type lite"),
        ("/search", {"query": BILL, "type": "lite", "contents": {"summary": {}}}, "summary: not with the type lite"),
        ("/search", {"query": BILL, "category": "company", "startPublishedDate": "2026-01-01"}, "category company"),
        ("/search", {"query": BILL, "category": "people", "excludeDomains": ["a.example"]}, "category people"),
        ("/search", {"query": BILL, "additionalQueries": ["a"]}, "deep types"),
        ("/search", {"query": BILL, "startPublishedDate": "soon"}, "no date: soon"),
        ("/search", {"query": BILL, "outputSchema": {"type": "array"}}, "INVALID_JSON_SCHEMA"),
        ("/search", {"query": BILL, "outputSchema": DEEP}, "INVALID_JSON_SCHEMA"),
        ("/search", {"query": BILL, "outputSchema": WIDE}, "INVALID_JSON_SCHEMA"),
        ("/search", {"query": BILL, "contents": {"maxAgeHours": 721}}, "contents.maxAgeHours"),
        ("/search", {"query": BILL, "contents": {"maxAgeHours": 1, "livecrawl": "always"}}, "livecrawl"),
        ("/search", {"query": BILL, "contents": {"maxAgeHours": 1, "snapshotAsOf": "2026-11-01"}}, "snapshotAsOf"),
        ("/search", {"query": BILL, "contents": {"text": {"maxCharacters": 10_001}}}, "maxCharacters"),
        ("/search", {"query": BILL, "userIdentifier": "me@example.com"}, "userIdentifier"),
        ("/contents", {}, "INVALID_REQUEST"),
        ("/contents", {"urls": ["a"], "ids": ["a"]}, "INVALID_REQUEST"),
        ("/contents", {"urls": []}, "INVALID_URLS"),
        ("/contents", {"urls": ["a"] * 101}, "INVALID_URLS"),
        ("/contents", {"urls": ["a" * 2049]}, "INVALID_URLS"),
        ("/answer", {"text": True}, "INVALID_REQUEST_BODY"),
        ("/answer", {"query": BILL, "text": {}}, "INVALID_REQUEST_BODY"),
        ("/findSimilar", {"url": "https://nobody.example"}, "NO_CONTENT_FOUND"),
    ],
)
def test_what_exa_refuses_is_refused_by_name_and_costs_nothing(desk: Desk, path: str, body: Any, tag: str) -> None:
    """EXA-1: a text, a tag and the id of the request, as Exa's own refusals have them."""
    response = desk.ask("POST", path, body)
    told = json.loads(bytes(response.body))
    assert response.status_code == 400
    assert set(told) == {"requestId", "error", "tag"}
    assert tag in f"{told['tag']} {told['error']}"
    assert response.headers["x-request-id"] == told["requestId"]
    assert desk.service.bill.calls == []


def test_nulls_are_as_nothing(desk: Desk) -> None:
    nulls = dict.fromkeys(
        ("category", "includeDomains", "startPublishedDate", "outputSchema", "contents", "numResults")
    )
    given, plain = desk.post("/search", query=BILL, **nulls), desk.post("/search", query=BILL)
    assert given["results"] == plain["results"]


def test_who_asks_comes_before_what_is_asked_and_money_before_the_body(desk: Desk) -> None:
    """EXA-1: the free check of a key; an empty account is told before a bad body is."""
    for key in ("", "short"):
        response = desk.ask("POST", "/search", {}, key=key)
        assert (response.status_code, json.loads(bytes(response.body))["tag"]) == (401, "INVALID_API_KEY")
    assert desk.ask("POST", "/answer", {"query": BILL}, key="", authorization="Bearer practice-key").status_code == 200
    desk.service.bill.credit = desk.service.bill.total
    told = json.loads(bytes(desk.ask("POST", "/search", {}).body))
    assert told["tag"] == "NO_MORE_CREDITS"
    assert desk.ask("POST", "/search", {}, key="short").status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/research/v1", 410),
        ("GET", "/research/v1/r_01", 410),
        ("POST", "/research/v0/tasks", 410),
        ("POST", "/v0/websets", 404),
        ("POST", "/nonsense", 404),
        ("GET", "/search", 404),
        ("PUT", "/monitors", 404),
        ("GET", "/agent/runs/agent_run_none", 404),
        ("GET", "/monitors/none", 404),
        ("GET", "/websets/v0/websets/none", 404),
    ],
)
def test_what_is_not_there_says_so_in_its_own_way(desk: Desk, method: str, path: str, status: int) -> None:
    """EXA-1, EXA-6: retired endpoints have a tag, unknown paths are a page of HTML, unknown things are not."""
    response = desk.ask(method, path, {})
    assert response.status_code == status
    if path.endswith("none"):
        assert json.loads(bytes(response.body))["error"]
    elif status == 404:
        assert response.headers["content-type"].startswith("text/html")
    else:
        assert json.loads(bytes(response.body))["tag"] == "RESEARCH_RETIRED"


LISTED = {"type": "object", "properties": {"a": {"type": "array", "items": {}}}}
BODIES: dict[str, dict[str, Any]] = {
    "/search": {
        "query": BILL, "type": "deep", "numResults": 3, "category": "news", "includeDomains": ["a.example"], "stream": True,
        "startPublishedDate": "2026-01-01", "additionalQueries": ["x"], "outputSchema": {"type": "text"},
        "contents": {
            "text": {"maxCharacters": 5}, "highlights": {"query": "x"}, "summary": {"schema": LISTED}, "extras": {"links": 1},
            "snapshotAsOf": "2026-11-01",
        },
    },
    "/contents": {"urls": ["https://a.example"], "text": True, "subpages": 2, "snapshotAsOf": "2026-11-01"},
    "/answer": {"query": BILL, "text": True, "outputSchema": LISTED, "stream": True},
    "/findSimilar": {"url": "https://a.example", "numResults": 2, "contents": {"text": True}},
    "/agent/runs": {
        "query": BILL, "effort": "ultra", "budget": {"maxCostDollars": 2, "maxDurationSeconds": 300}, "metadata": {"a": "b"},
        "outputSchema": LISTED,
    },
    "/monitors": {
        "search": {"query": BILL, "numResults": 2, "contents": {"text": True}}, "webhook": {"url": "https://a.example", "events": []},
        "trigger": {"type": "interval", "period": "1h"}, "metadata": {"a": "b"}, "name": "n", "outputSchema": {"type": "text"},
    },
    "/monitors/batch": {
        "action": "delete", "filter": {"name": "n", "status": "active", "metadata": {"a": "b"}}, "limit": 2, "dry_run": True,
    },
    "/websets/v0/websets": {
        "search": {"query": BILL, "count": 2, "criteria": [{"description": "x"}]}, "title": "t", "metadata": {},
        "enrichments": [{"description": "x", "format": "text"}],
    },
    "/websets/v0/websets/preview": {"search": {"query": BILL, "count": 2}},
}  # fmt: skip
ODD_VALUES: list[Any] = [
    None, "", 0, -1, 1.5, True, [], {}, [None], [{}], {"x": 1}, "2026-99-99", 10**30, [7, "a"], "0001-01-01T00:00:00+14:00", "x" * 3000,
]  # fmt: skip


def mutated(value: Any, draw: random.Random, share: float) -> Any:
    if draw.random() < share:
        return draw.choice(ODD_VALUES)
    if isinstance(value, dict):
        return {key: mutated(inner, draw, share) for key, inner in value.items() if draw.random() > 0.05}
    return [mutated(inner, draw, share) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("path", BODIES)
def test_whatever_is_sent_there_is_an_answer(desk: Desk, path: str) -> None:
    """EXA-1: odd bodies are answered as Exa answers, by a refusal with its reason, and never by a fault of the sim."""
    draw = random.Random(7)
    seen = set()
    for _ in range(150):
        response = desk.ask("POST", path, mutated(BODIES[path], draw, 0.08))
        seen.add(response.status_code)
        if response.status_code >= 400:
            assert json.loads(bytes(response.body))["error"]
        for after in ("/agent/runs", "/monitors", "/websets/v0/websets"):
            if path == after and response.status_code < 300:
                made = json.loads(bytes(response.body))["id"]
                for deeper in ("", "/cancel", "/trigger", "/items", "/searches", "/enrichments"):
                    assert (
                        desk.ask("POST", f"{after}/{made}{deeper}", mutated(BODIES[path], draw, 0.2)).status_code < 500
                    )
                assert desk.ask("PATCH", f"{after}/{made}", mutated(BODIES[path], draw, 0.2)).status_code < 500
                assert desk.ask("GET", f"{after}/{made}/runs").status_code < 500
                assert desk.ask("GET", after).status_code == 200
    assert seen <= {200, 201, 400, 404, 409, 422, 429}
    assert 400 in seen
    assert seen & {200, 201} or path == "/findSimilar"
