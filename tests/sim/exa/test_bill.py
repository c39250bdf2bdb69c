"""What the simulated Exa charges: by the list prices of November 2026, once, and nothing for what it refuses."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from kalshi_lab.sim.exa.bill import RATES, Bill
from tests.sim.exa.conftest import BILL, Desk

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("path", "body", "dollars"),
    [
        ("/search", {"query": BILL}, "0.007"),
        ("/search", {"query": BILL, "type": "lite"}, "0.004"),
        ("/search", {"query": BILL, "type": "fast", "contents": {"text": True, "highlights": True}}, "0.007"),
        ("/search", {"query": BILL, "type": "deep", "outputSchema": SCHEMA}, "0.012"),
        ("/search", {"query": BILL, "type": "deep-reasoning"}, "0.015"),
        ("/search", {"query": BILL, "numResults": 25}, "0.022"),
        ("/search", {"query": BILL, "numResults": 4, "contents": {"summary": {}}}, "0.011"),
        ("/search", {"query": "zzzz qqqq"}, "0.007"),
        ("/answer", {"query": BILL}, "0.005"),
        ("/agent/runs", {"query": BILL, "effort": "minimal"}, "0.012"),
        ("/agent/runs", {"query": BILL, "effort": "low"}, "0.025"),
        ("/agent/runs", {"query": BILL, "effort": "medium"}, "0.10"),
        ("/agent/runs", {"query": BILL, "effort": "high"}, "0.50"),
        ("/agent/runs", {"query": BILL, "effort": "xhigh"}, "1.00"),
        ("/agent/runs", {"query": BILL}, "0.35"),
        ("/agent/runs", {"query": BILL, "effort": "ultra", "budget": {"maxCostDollars": 2}}, "2"),
    ],
)
def test_prices_are_those_of_the_list(desk: Desk, path: str, body: dict[str, Any], dollars: str) -> None:
    """EXA-10: the answer tells what the bill says; a run is charged when it is created and tells so at its end."""
    told = desk.post(path, **body)
    if path == "/agent/runs":
        assert told["costDollars"]["total"] == 0
        desk.clock.advance(60)
        told = desk.get(f"/agent/runs/{told['id']}")
        desk.get(f"/agent/runs/{told['id']}")
    assert Decimal(str(told["costDollars"]["total"])) == desk.service.bill.total == Decimal(dollars)
    assert len(desk.service.bill.calls) == 1


def test_pages_cost_by_the_page_that_was_read_and_the_kind_of_content(desk: Desk) -> None:
    """EXA-4, EXA-10: a thousandth for each page and kind; what could not be read costs nothing."""
    now = desk.clock.now()
    good = [leaf.url for leaf in desk.pages() if leaf.time < now and not leaf.broken][:3]
    bad = [leaf.url for leaf in desk.pages() if leaf.time < now and leaf.broken][:3]
    assert desk.post("/contents", urls=[*good, *bad])["costDollars"] == {"total": 0.003}
    both = desk.post("/contents", urls=good, text=True, highlights={}, summary=False)
    assert both["costDollars"] == {"total": 0.006}
    assert desk.post("/contents", urls=bad)["costDollars"] == {"total": 0.0}
    assert desk.service.bill.total == Decimal("0.009")


def test_without_credit_nothing_that_costs_is_done(desk: Desk) -> None:
    """EXA-10: 402 once the credit is used up, for all that costs; what is free goes on."""
    run = desk.post("/agent/runs", query=BILL, effort="low")["id"]
    desk.service.bill.credit = desk.service.bill.total + Decimal("0.006")
    desk.post("/search", query=BILL)  # the last one may go over, as the cost is known afterwards
    for path in ("/search", "/contents", "/answer", "/findSimilar", "/agent/runs"):
        told = desk.post(path, 402, query=BILL)
        assert told["tag"] == "NO_MORE_CREDITS"
    desk.post("/websets/v0/websets", 402, search={"query": BILL})
    assert desk.get(f"/agent/runs/{run}")["id"] == run
    assert desk.service.bill.total == Decimal("0.032")


def test_each_surface_has_its_rate() -> None:
    """EXA-1: ten searches, five deep ones, a hundred pages a second, and tokens come back with time."""
    now = [0.0]
    bill = Bill(lambda: now[0])
    for surface, rate in RATES.items():
        assert sum(bill.admits(surface) for _ in range(200)) == rate
    now[0] += 0.5
    for surface, rate in RATES.items():
        assert sum(bill.admits(surface) for _ in range(200)) == rate // 2


def test_too_many_requests_are_told_bare_and_in_the_agents_own_form(desk: Desk) -> None:
    """EXA-1: a refusal for the rate has no tag; the agent's has a type and a code."""
    desk.service.bill.admits = lambda _surface: False  # type: ignore[method-assign]
    response = desk.ask("POST", "/search", {"query": BILL})
    assert (response.status_code, set(json.loads(bytes(response.body)))) == (429, {"error"})
    response = desk.ask("POST", "/agent/runs", {"query": BILL})
    assert json.loads(bytes(response.body))["error"]["type"] == "RATE_LIMIT_ERROR"
    assert desk.service.bill.calls == []
