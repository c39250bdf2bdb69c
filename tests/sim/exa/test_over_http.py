"""The simulated Exa over a real socket: beside the exchange, under its faults, clock and log; streams; its controls."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from kalshi_lab import sim
from tests.sim.exa.conftest import BILL, KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = {"type": "object", "properties": {"p": {"type": "number"}}}


@pytest.fixture(scope="module")
def exchange() -> Iterator[sim.Exchange]:
    with sim.start(markets=120, history_days=5, clock="frozen") as running:
        yield running


@pytest.fixture
def http(exchange: sim.Exchange) -> Iterator[httpx.Client]:
    exchange.reset_log()
    with httpx.Client(base_url=exchange.exa_url, headers={"x-api-key": KEY}, timeout=30, trust_env=False) as opened:
        yield opened
    exchange.faults()
    exchange.exa()


def data(response: httpx.Response) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def test_answers_are_gzipped_numbered_and_in_the_log(http: httpx.Client, exchange: sim.Exchange) -> None:
    response = http.post("/search", json={"query": BILL, "contents": {"text": True}})
    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["x-request-id"] == response.json()["requestId"]
    (entry,) = exchange.requests()
    assert (entry["method"], entry["path"], entry["status"], entry["body"]["query"]) == (
        "POST",
        "/exa/search",
        200,
        BILL,
    )
    assert KEY not in json.dumps(exchange.requests())


def test_faults_are_told_in_exas_words(http: httpx.Client, exchange: sim.Exchange) -> None:
    """EXA-1: one switchboard for both, each with the bodies of its own service."""
    for status, tag in ((402, "NO_MORE_CREDITS"), (503, None), (429, None)):
        exchange.faults("/exa/answer", status=status, headers={"Retry-After": "1"})
        response = http.post("/answer", json={"query": BILL})
        assert (response.status_code, response.headers["retry-after"], response.json().get("tag")) == (status, "1", tag)
        assert isinstance(response.json()["error"], str)
    exchange.faults("/exa/*", status=500)
    assert http.post("/agent/runs", json={"query": BILL}).json()["error"]["code"] == "SERVER_ERROR"
    exchange.faults("/exa/search", kind="html")
    assert "html" in http.post("/search", json={"query": BILL}).headers["content-type"]
    exchange.faults("/exa/search", kind="drop")
    with pytest.raises(httpx.TransportError):
        http.post("/search", json={"query": BILL})
    assert httpx.get(f"{exchange.url}/exchange/status", trust_env=False).status_code == 200


def test_a_body_that_is_no_json_is_refused_after_the_key(http: httpx.Client) -> None:
    told = http.post("/search", content=b"{")
    assert (told.status_code, told.json()["tag"]) == (400, "INVALID_REQUEST_BODY")
    assert http.post("/search", content=b"{", headers={"x-api-key": ""}).status_code == 401


def test_too_many_a_second_are_refused_unpaid(http: httpx.Client, exchange: sim.Exchange) -> None:
    """EXA-1: five deep searches a second; the bill has those alone that were answered."""
    before = len(exchange.exa_billed()["calls"])
    statuses = [http.post("/search", json={"query": BILL, "type": "deep"}).status_code for _ in range(40)]
    assert set(statuses) == {200, 429}
    assert len(exchange.exa_billed()["calls"]) - before == statuses.count(200) >= 5


def test_a_streamed_answer_says_what_a_whole_one_says(http: httpx.Client) -> None:
    """EXA-5: text in pieces, what it cites, its cost in the last; without a schema a search does not stream."""
    whole = http.post("/answer", json={"query": BILL}).json()
    chunks = data(http.post("/answer", json={"query": BILL, "stream": True}))
    assert "".join(one["choices"][0]["delta"]["content"] for one in chunks if "choices" in one) == whole["answer"]
    assert chunks[-2]["citations"] == whole["citations"]
    assert chunks[-1]["costDollars"] == whole["costDollars"]
    plain = http.post("/search", json={"query": BILL, "stream": True})
    assert plain.headers["content-type"].startswith("application/json")
    body = {"query": BILL, "outputSchema": SCHEMA, "startCrawlDate": "2026-01-01"}
    found = http.post("/search", json=body).json()
    chunks = data(http.post("/search", json={**body, "stream": True}))
    assert (
        json.loads("".join(one["delta"] for one in chunks if one.get("type") == "text-delta"))
        == found["output"]["content"]
    )
    assert [one.get("type") for one in chunks[-4:]] == [None, "results", "grounding", "done"]
    assert chunks[-4]["warnings"] == found["warnings"]
    assert chunks[-1]["output"] == found["output"]


def test_streams_go_wrong_where_they_are_told_to(http: httpx.Client, exchange: sim.Exchange) -> None:
    """EXA-5: a start that is taken back, and a failure after some text."""
    exchange.exa(stream="reset")
    chunks = data(http.post("/search", json={"query": BILL, "outputSchema": SCHEMA, "stream": True}))
    assert [one.get("type") for one in chunks[:2]] == ["text-delta", "stream-reset"]
    assert chunks[1]["streamReset"] is True
    exchange.exa(stream="error")
    chunks = data(http.post("/search", json={"query": BILL, "outputSchema": SCHEMA, "stream": True}))
    assert (len(chunks), chunks[-1]["type"], bool(chunks[-1]["error"]["message"])) == (2, "error", True)
    chunks = data(http.post("/answer", json={"query": BILL, "stream": True}))
    assert (chunks[-1]["tag"], bool(chunks[-1]["payload"]["error"]["message"])) == ("ERROR", True)


def test_the_controls_say_what_is_true_what_was_paid_and_what_is_left(
    http: httpx.Client, exchange: sim.Exchange
) -> None:
    ticker = httpx.get(f"{exchange.url}/markets?status=open&limit=200", trust_env=False).json()["markets"][0]["ticker"]
    pages = exchange.exa_truth(ticker)
    assert all(row["ticker"] == ticker and ticker in row["tickers"] for row in pages)
    before = Decimal(exchange.exa_billed()["total"])
    exchange.exa(credit="0.005")
    assert http.post("/answer", json={"query": BILL}).status_code == 200
    assert http.post("/answer", json={"query": BILL}).status_code == 402
    assert Decimal(exchange.exa_billed()["total"]) - before == Decimal("0.005")
    exchange.exa(lies=True, fails=True)
    assert "confidence" in http.post("/answer", json={"query": BILL}).json()["answer"]
    run = http.post("/agent/runs", json={"query": BILL, "effort": "low"}).json()["id"]
    exchange.advance(60)
    assert http.get(f"/agent/runs/{run}").json()["status"] == "failed"
