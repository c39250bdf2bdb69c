"""The client's contract with each surface of Exa, as far as it holds for the simulated and the real one alike."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import kalshi_lab as kl
from tests.cassettes.conftest import EXA_KEY, FOLDER
from tests.cassettes.scrub import EXA, EXA_HOST, placed
from tests.exa.test_secrets import told

if TYPE_CHECKING:
    from tests.cassettes.conftest import Searcher

BILL = "H.R. 1001 passes the House"
SCHEMA = {"type": "object", "properties": {"why": {"type": "string"}}, "required": ["why"]}
HOOK = "https://hooks.example/x"
TEXT = {"max_characters": 600}
SURFACES = {
    "exa_search": {"/search"}, "exa_contents": {"/contents", "/search"}, "exa_answer": {"/answer"}, "exa_streams": {"/answer", "/search"},
    "exa_runs": {"/agent/runs"}, "exa_monitors": {"/monitors"}, "exa_websets": {"/websets"}, "exa_refusals": {"/search", "/agent/runs"},
}  # fmt: skip


def sound(found: Any) -> None:
    """Nothing was put aside, and every answer says what it cost and which request it was."""
    assert found.request_id
    assert found.cost is None or 0 <= found.cost < 1
    assert not getattr(found, "refused", 0)


def test_exa_search(searcher: Searcher) -> None:
    """EXA-2: news with passages, dated and of the asked number; a filled schema with what it rests on; a lite search without either."""
    exa = searcher.exa
    found = exa.search(BILL, category="news", num_results=3, highlights=True, start_published_date="2026-01-01")
    sound(found)
    assert 0 < len(found.results) <= 3
    assert all(page.url.startswith("http") and page.published_date is not None for page in found.results)
    filled = exa.search(BILL, num_results=2, output_schema=SCHEMA)
    sound(filled)
    assert isinstance(filled.output, dict)
    assert set(filled.output) == {"why"}
    sound(exa.search(BILL, type="lite", num_results=2))


def test_exa_contents(searcher: Searcher) -> None:
    """EXA-4: the text of a page that was found, and a status for one that is nowhere."""
    (page,) = searcher.exa.search(BILL, type="lite", num_results=1).results
    nowhere = "https://nowhere.invalid/page"
    read = searcher.exa.contents([page.url, nowhere], text=TEXT)
    assert [one.url for one in read.results] == [page.url]
    assert 0 < len(read.results[0].text or "") <= 600
    assert set(read.failed) == {nowhere}


def test_exa_answer(searcher: Searcher) -> None:
    """EXA-5: an answer in words and by a schema, each with the pages that it cites."""
    said = searcher.exa.answer(BILL)
    sound(said)
    assert isinstance(said.answer, str)
    assert said.answer
    assert all(one.url.startswith("http") for one in said.citations)
    assert isinstance(searcher.exa.answer(BILL, output_schema=SCHEMA).answer, dict)


def test_exa_streams(searcher: Searcher) -> None:
    """EXA-5: an answer and an output as they come, awaited and blocking; the last bit alone is the end."""

    async def awaited() -> list[Any]:
        return [bit async for bit in searcher.awaited.stream_answer(BILL)]

    bits = searcher.exa._call(awaited())
    assert "".join(bit.text for bit in bits)
    assert [bit.is_last for bit in bits].index(True) == len(bits) - 1
    assert any(bit.citations for bit in bits)
    filled = list(searcher.exa.stream_search(BILL, num_results=2, output_schema=SCHEMA))
    assert any(bit.output is not None or bit.text for bit in filled)
    assert filled[-1].is_last


def test_exa_runs(searcher: Searcher) -> None:
    """EXA-6: a run is created, found again by what was given with it, waited for, told step by step, and deleted; another is cancelled."""
    runs = searcher.exa.runs
    run, reservation = runs.create(BILL, effort="minimal", metadata={"task": "contract"})
    assert not run.is_done
    assert run.id in [one.id for one in runs.list(limit=3) if (one.metadata or {}).get("task") == "contract"]
    searcher.later(60)
    done = runs.wait(run.id, reservation=reservation)
    assert (done.id, done.status, bool(done.text)) == (run.id, "completed", True)
    assert done.cost is not None
    assert runs.events(run.id)
    second, _ = runs.create(BILL, effort="minimal")
    assert runs.cancel(second.id).is_done
    assert runs.delete(run.id)
    with pytest.raises(kl.NotFound):
        runs.one(run.id)


def test_exa_monitors(searcher: Searcher) -> None:
    """A monitor is made, triggered, read, paused, and deleted."""
    if searcher.live:
        pytest.skip("a monitor wants a public address of its own")
    monitors = searcher.exa.monitors
    made = monitors.create(BILL, webhook=HOOK, max_cost="0.05", period="6h", name="bills", metadata={"a": "b"})
    assert made.id in [one.id for one in monitors.list(limit=5)]
    assert monitors.trigger(made.id, max_cost="0.015")
    (run,) = monitors.runs(made.id)
    assert monitors.run(made.id, run.id).id == run.id
    assert monitors.update(made.id, status="paused").status == monitors.one(made.id).status == "paused"
    assert monitors.batch("unpause", {"name": "bills"}, dry_run=True)["affected"] == 1
    monitors.delete(made.id)
    with pytest.raises(kl.NotFound):
        monitors.one(made.id)


def test_exa_websets(searcher: Searcher) -> None:
    """EXA-7: a webset is previewed, made, read with its items, renamed, cancelled and deleted."""
    if searcher.live:
        pytest.skip("Exa tells no cost of a webset")
    websets = searcher.exa.websets
    assert websets.preview(BILL, count=2)["items"]
    made = websets.create(BILL, max_cost="0.5", count=2, criteria=["it is about the bill"], external_id="contract")
    searcher.later(600)
    assert websets.one("contract").id == made.id
    assert len(websets.items(made.id)) == 2
    assert made.id in [one.id for one in websets.list()]
    assert (websets.update(made.id, title="Bills").model_extra or {})["title"] == "Bills"
    assert websets.cancel(made.id).status == "idle"
    websets.delete(made.id)
    with pytest.raises(kl.NotFound):
        websets.one(made.id)


def test_exa_refusals(searcher: Searcher) -> None:
    """EXA-1: a key is tried by a request that Exa refuses for its body; a run that is not there is NotFound; neither costs anything."""
    assert searcher.exa.check_key()
    with pytest.raises(kl.NotFound) as absent:
        searcher.exa.runs.one("agent_run_00000000000000000000000000")
    assert EXA_KEY not in told(absent.value)
    assert searcher.exa.spent == 0


def recorded(name: str) -> str:
    return (FOLDER / f"{name}.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SURFACES)
def test_each_surface_has_its_cassette_without_the_key(name: str) -> None:
    """S1, lesson 49: raw answers of each surface of Exa; the key that paid for them is in none, nor the secret of a webhook."""
    text = recorded(name)
    asked = [one["request"]["uri"].removeprefix(EXA) for one in json.loads(text)["interactions"]]
    assert all(any(path.startswith(surface) for surface in SURFACES[name]) for path in asked)
    assert all(any(path.startswith(surface) for path in asked) for surface in SURFACES[name])
    assert EXA_KEY not in text
    assert EXA_KEY[:12] not in text
    assert "whsec_" not in text


def test_what_is_asked_of_exa_is_known_by_its_place() -> None:
    """Both Exas are written under one address; what steers the simulated world is not written."""
    assert placed(EXA_HOST, "/search") == placed("127.0.0.1", "/exa/search") == f"{EXA}/search"
    assert placed("127.0.0.1", "/sim/advance") is None
    assert placed("elsewhere.example", "/search") is None
