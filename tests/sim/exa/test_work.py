"""What goes on at the simulated Exa by itself: agent runs, monitors, websets."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from kalshi_lab.sim.exa.runs import ACTIVE
from tests.sim.exa.conftest import BILL, Desk

QUOTED = {"type": "object", "properties": {"quote": {"type": "string"}, "url": {"type": "string"}}}
SCHEMA = {
    "type": "object",
    "properties": {"p": {"type": "number"}, "factors": {"type": "array", "items": QUOTED, "maxItems": 3}},
}
HOOK = {"url": "https://hooks.example/x"}
KEYS = {
    "id",
    "object",
    "status",
    "stopReason",
    "createdAt",
    "completedAt",
    "request",
    "metadata",
    "output",
    "usage",
    "costDollars",
}


def test_a_run_goes_from_queued_to_completed_by_looks_or_by_time(desk: Desk) -> None:
    """EXA-6: created, read, listed with its metadata; what it rests on is told by part, and is in the pages."""
    made = desk.post("/agent/runs", query=BILL, effort="low", metadata={"task": "42"}, outputSchema=SCHEMA)
    assert set(made) == KEYS
    assert (made["status"], made["output"]) == ("queued", {"text": "", "structured": None, "grounding": []})
    assert desk.get(f"/agent/runs/{made['id']}")["status"] == "running"
    done = desk.get(f"/agent/runs/{made['id']}")
    assert (done["status"], done["stopReason"], set(done)) == ("completed", "schema_satisfied", KEYS)
    assert done["costDollars"]["total"] == 0.025
    assert len(done["output"]["structured"]["factors"]) == 3
    cited = {one["field"]: one["citations"] for one in done["output"]["grounding"]}
    for place, factor in enumerate(done["output"]["structured"]["factors"]):
        assert [one["url"] for one in cited[f"structured.factors[{place}].quote"]] == [factor["url"]]
        assert factor["quote"] in desk.post("/contents", urls=[factor["url"]])["results"][0]["text"]
    assert cited["structured.p"]
    other = desk.post("/agent/runs", query=BILL, effort="low")["id"]
    listed = desk.get("/agent/runs")["data"]
    assert [(one["id"], one["metadata"]) for one in listed] == [(other, {}), (made["id"], {"task": "42"})]
    desk.clock.advance(10)
    assert [one["status"] for one in desk.get("/agent/runs")["data"]] == ["running", "completed"]
    desk.clock.advance(60)
    assert desk.get("/agent/runs")["data"][0]["status"] == "completed"


def test_a_list_of_runs_comes_in_pages(desk: Desk) -> None:
    names = [desk.post("/agent/runs", query=BILL, effort="low")["id"] for _ in range(5)]
    first = desk.get("/agent/runs", query="limit=2")
    second = desk.get("/agent/runs", query=f"limit=2&cursor={first['nextCursor']}")
    last = desk.get("/agent/runs", query=f"limit=2&cursor={second['nextCursor']}")
    assert [one["id"] for page in (first, second, last) for one in page["data"]] == names[::-1]
    assert (last["hasMore"], last["nextCursor"]) == (False, None)
    assert desk.get("/agent/runs", 400, query="limit=101")["error"]["code"] == "INVALID_REQUEST"


def test_a_run_is_cancelled_stopped_followed_and_deleted(desk: Desk) -> None:
    """EXA-6: ended runs stay as they are; events are told as rows and as a stream that goes on after an id."""
    one = desk.post("/agent/runs", query=BILL, effort="low")["id"]
    assert desk.post(f"/agent/runs/{one}/cancel")["status"] == "cancelled"
    assert desk.post(f"/agent/runs/{one}/cancel")["output"]["text"] == ""
    assert desk.post("/agent/runs", 400, query=BILL, previousRunId=one)["error"]["code"] == "PREVIOUS_RUN_NOT_COMPLETED"
    ultra = desk.post("/agent/runs", query=BILL, effort="ultra", budget={"maxCostDollars": 5})["id"]
    assert desk.post(f"/agent/runs/{ultra}/stop")["stopReason"] == "stopped"
    assert desk.get(f"/agent/runs/{ultra}")["output"]["text"]
    low = desk.post("/agent/runs", query=BILL, effort="low", previousRunId=ultra)["id"]
    desk.post(f"/agent/runs/{low}/stop", 400)
    desk.clock.advance(60)
    kinds = [one["type"].split(".")[1] for one in desk.get(f"/agent/runs/{low}/events")["data"]]
    assert kinds == ["created", "started", "completed"]
    streamed = bytes(desk.ask("GET", f"/agent/runs/{low}/events", accept="text/event-stream").body).decode()
    assert [line for line in streamed.splitlines() if line.startswith("event:")] == [
        f"event: agent_run.{kind}" for kind in kinds
    ]
    rest = desk.ask("GET", f"/agent/runs/{low}/events", accept="text/event-stream", last_event_id=f"{low}:1")
    assert bytes(rest.body).decode().count("event:") == 1
    assert json.loads(bytes(desk.ask("DELETE", f"/agent/runs/{low}").body)) == {
        "id": low,
        "object": "agent_run.deleted",
        "deleted": True,
    }
    assert desk.get(f"/agent/runs/{low}", 404)["error"]["code"] == "RUN_NOT_FOUND"
    made = desk.ask("POST", "/agent/runs", {"query": BILL, "effort": "low"}, accept="text/event-stream")
    last = json.loads(bytes(made.body).decode().strip().rpartition("data: ")[2])
    assert (made.headers["content-type"].split(";")[0], last["status"]) == ("text/event-stream", "completed")


def test_a_run_fails_where_it_is_told_to_and_its_budget_ends_it(desk: Desk) -> None:
    """AG-2: a failed run says why and is paid for."""
    desk.service.runs.fails = True
    one = desk.post("/agent/runs", query=BILL, effort="low")["id"]
    desk.clock.advance(60)
    failed = desk.get(f"/agent/runs/{one}")
    assert (failed["status"], failed["stopReason"], failed["error"]["code"]) == ("failed", "error", "SERVER_ERROR")
    assert (failed["output"]["text"], failed["costDollars"]["total"]) == ("", 0.025)
    desk.service.runs.fails = False
    short = desk.post("/agent/runs", query=BILL, effort="ultra", budget={"maxCostDollars": 1})["id"]
    desk.clock.advance(60)
    assert desk.get(f"/agent/runs/{short}")["stopReason"] == "budget_reached"


def test_only_so_many_runs_are_active_at_once(desk: Desk) -> None:
    """EXA-6: one more is refused, unpaid, until one has ended."""
    for _ in range(ACTIVE):
        desk.post("/agent/runs", query=BILL, effort="minimal")
    told = desk.post("/agent/runs", 429, query=BILL, effort="minimal")
    assert told == {
        "error": {"type": "RATE_LIMIT_ERROR", "code": "CONCURRENCY_LIMIT_REACHED", "message": "50 runs are active"}
    }
    assert desk.service.bill.total == ACTIVE * Decimal("0.012")
    desk.clock.advance(60)
    desk.post("/agent/runs", query=BILL, effort="minimal")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "INVALID_REQUEST"),
        ({"query": BILL, "effort": "lowest"}, "INVALID_REQUEST"),
        ({"query": BILL, "effort": "low", "budget": {"maxCostDollars": 2}}, "INVALID_REQUEST"),
        ({"query": BILL, "effort": "auto", "budget": {"maxCostDollars": 101}}, "INVALID_REQUEST"),
        ({"query": BILL, "effort": "low", "metadata": {"a": 1}}, "INVALID_REQUEST"),
        ({"query": BILL, "effort": "low", "outputSchema": "x"}, "INVALID_OUTPUT_SCHEMA"),
        ({"query": BILL, "effort": "low", "previousRunId": "none"}, "PREVIOUS_RUN_NOT_FOUND"),
    ],
)
def test_a_run_that_exa_would_not_begin_is_refused_unpaid(desk: Desk, body: dict[str, Any], code: str) -> None:
    """EXA-6: the agent's refusals are objects, with a type, a code and a message."""
    response = desk.ask("POST", "/agent/runs", body)
    told = json.loads(bytes(response.body))
    assert set(told["error"]) == {"type", "code", "message"}
    assert told["error"]["code"] == code
    assert desk.service.bill.calls == []


def test_a_monitor_runs_on_its_schedule_and_reports_nothing_twice(desk: Desk) -> None:
    """EXA-7: runs of the virtual clock, each with what came out since, paid for one by one."""
    search = {"query": BILL, "numResults": 100, "contents": {"highlights": True}}
    made = desk.post(
        "/monitors", 201, search=search, webhook=HOOK, trigger={"type": "interval", "period": "6h"}, name="bills"
    )
    assert made["webhookSecret"]
    path = f"/monitors/{made['id']}"
    assert "webhookSecret" not in desk.get(path)
    desk.clock.advance(13 * 3600)
    second, first = desk.get(f"{path}/runs")["data"]
    assert {first["status"], second["status"]} == {"completed"}
    assert first["output"]["results"]
    old, new = ({row["url"] for row in run["output"]["results"]} for run in (first, second))
    assert not old & new
    assert desk.service.bill.total == Decimal("0.030")
    assert json.loads(bytes(desk.ask("PATCH", path, {"status": "paused"}).body))["status"] == "paused"
    desk.clock.advance(13 * 3600)
    assert len(desk.get(f"{path}/runs")["data"]) == 2
    assert desk.post(f"{path}/trigger") == {"triggered": True}
    assert desk.get(f"{path}/runs/{desk.get(f'{path}/runs')['data'][0]['id']}")["monitorId"] == made["id"]
    desk.service.bill.credit = Decimal(0)
    desk.post(f"{path}/trigger")
    assert desk.get(f"{path}/runs")["data"][0]["failReason"] == "insufficient_credits"
    changed = json.loads(
        bytes(desk.ask("PATCH", path, {"status": "active", "trigger": None, "search": {"numResults": 2}}).body)
    )
    assert (changed["trigger"], changed["search"]["query"], changed["search"]["numResults"]) == (None, BILL, 2)
    desk.clock.advance(86_400)
    assert len(desk.get(f"{path}/runs")["data"]) == 4


def test_monitors_are_listed_and_changed_by_what_they_have_in_common(desk: Desk) -> None:
    """EXA-7: the one place of Exa that has its words in snake_case; a dry run unless told otherwise."""
    ids = [
        desk.post(
            "/monitors", 201, search={"query": BILL}, webhook=HOOK, name=f"bills {n}", metadata={"n": str(n % 2)}
        )["id"]
        for n in range(4)
    ]
    assert [one["id"] for one in desk.get("/monitors", query="metadata[n]=1")["data"]] == [ids[3], ids[1]]
    assert [one["id"] for one in desk.get("/monitors", query="name=lls+2")["data"]] == [ids[2]]
    told = desk.post("/monitors/batch", action="pause", filter={"metadata": {"n": "0"}})
    assert told == {"action": "pause", "dry_run": True, "affected": 2, "ids": [ids[2], ids[0]], "has_more": False}
    assert desk.get("/monitors", query="status=paused")["data"] == []
    assert desk.post("/monitors/batch", action="pause", filter={"metadata": {"n": "0"}}, limit=1, dry_run=False)[
        "has_more"
    ]
    assert [one["id"] for one in desk.get("/monitors", query="status=paused")["data"]] == [ids[2]]
    assert desk.post("/monitors/batch", action="delete", filter={"name": "bills"}, dry_run=False)["affected"] == 4
    assert desk.get("/monitors")["data"] == []
    desk.post("/monitors/batch", 400, action="delete", filter={})


@pytest.mark.parametrize(
    "given",
    [
        {"webhook": None},
        {"webhook": {"url": "http://hooks.example"}},
        {"webhook": {"url": "https://localhost/x"}},
        {"webhook": {"url": "https://192.168.1.1/x"}},
        {"trigger": {"type": "interval", "period": "5m"}},
        {"trigger": {"type": "interval", "period": "0h"}},
        {"search": {}},
        {"search": {"query": BILL, "numResults": 101}},
        {"outputSchema": []},
    ],
)
def test_a_monitor_that_exa_would_not_make_is_refused(desk: Desk, given: dict[str, Any]) -> None:
    """EXA-7: a public https address, a period of an hour or more, a search."""
    desk.post("/monitors", 400, **{"search": {"query": BILL}, "webhook": HOOK, **given})
    assert desk.get("/monitors")["data"] == []


def test_a_webset_collects_judges_and_fills_columns(desk: Desk) -> None:
    """EXA-7: items while it runs, criteria, columns whose texts are in the pages; an external id is taken once."""
    search = {"query": BILL, "count": 3, "criteria": [{"description": "it is about the bill"}]}
    made = desk.post(
        "/websets/v0/websets", 201, search=search, externalId="mine", enrichments=[{"description": "what is said"}]
    )
    path = f"/websets/v0/websets/{made['id']}"
    assert made["status"] == "running"
    items = desk.get(f"{path}/items")["data"]
    assert len(items) == 3
    for item in items:
        assert {one["satisfied"] for one in item["evaluations"]} <= {"yes", "no", "unclear"}
        (column,) = item["enrichments"]
        assert column["result"] is None or column["result"][0] in item["properties"]["content"]
        assert item["properties"]["article"].keys() == {"title", "author", "publishedAt"}
    assert desk.get(path)["status"] == "running"
    assert desk.get("/websets/v0/websets/mine")["status"] == "idle"
    assert desk.get(path)["searches"][0]["progress"]["completion"] == 100
    more = desk.post(f"{path}/searches", 201, query=BILL, count=2, behavior="append")
    assert len(desk.get(f"{path}/items")["data"]) == 5
    assert len(desk.get(f"{path}/items", query=f"sourceId={more['id']}")["data"]) == 2
    assert desk.post(f"{path}/searches/{more['id']}/cancel")["status"] == "canceled"
    number = desk.post(f"{path}/enrichments", 201, description="how many", format="number")
    assert desk.get(path, query="expand=items")["items"][0]["enrichments"][-1]["result"] is None
    assert (
        json.loads(bytes(desk.ask("PATCH", f"{path}/enrichments/{number['id']}", {"description": "x"}).body))[
            "description"
        ]
        == "x"
    )
    assert desk.ask("DELETE", f"{path}/items/{items[0]['id']}").status_code == 200
    assert desk.get(f"{path}/items/{items[0]['id']}", 404)["tag"] == "NOT_FOUND"
    desk.post("/websets/v0/websets", 409, externalId="mine")
    assert desk.post(f"{path}/cancel")["status"] == "idle"
    assert desk.post(path, title="Bills")["title"] == "Bills"
    assert desk.get("/websets/v0/websets", query="search=bil")["data"][0]["id"] == made["id"]
    desk.post("/websets/v0/websets/preview", 422, search={"query": "zzzz qqqq"})
    assert desk.service.bill.total == Decimal("0.210")
    assert desk.ask("DELETE", path).status_code == 200
    desk.get(path, 404)
