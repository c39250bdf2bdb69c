"""What else there is, awaited: runs, streams by a schema, monitors and websets, against the simulated Exa."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab.errors import NotFound
from tests.exa.conftest import BILL

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalshi_lab.exa import AsyncExa
    from kalshi_lab.sim.process import Exchange

HOOK = "https://hooks.example/x"


def bodies(exchange: Exchange) -> list[dict[str, Any]]:
    return [one["body"] for one in exchange.requests() if isinstance(one.get("body"), dict)]


def test_runs_and_streams_awaited(
    aexa: Callable[..., AsyncExa], exchange: Exchange, billed: Callable[[], Decimal]
) -> None:
    """EXA-5, EXA-6: create, one, list, events, wait, cancel, stop, delete; a search whose output comes bit by bit."""

    async def scenario() -> Decimal | None:
        async with aexa() as exa:
            run, reservation = await exa.runs.create(BILL, metadata={"task": "a"})
            assert [one.id for one in await exa.runs.list(limit=1)] == [run.id]
            exchange.advance(60)
            run = await exa.runs.wait(run.id, reservation=reservation)
            assert run.status == "completed"
            assert run.text
            assert all(one.citations for one in run.grounding)
            assert (await exa.runs.events(run.id))[-1]["type"] == "agent_run.completed"
            assert (await exa.runs.one(run.id)).cost == run.cost
            second, _ = await exa.runs.create(BILL)
            assert (await exa.runs.cancel(second.id)).status == "cancelled"
            third, _ = await exa.runs.create(BILL, effort="ultra", max_cost=1, max_seconds=300)
            assert (await exa.runs.stop(third.id)).stop_reason == "stopped"
            assert [one.id for one in await exa.runs.list(limit=2, pages=2)][:3] == [third.id, second.id, run.id]
            assert await exa.runs.delete(run.id)
            with pytest.raises(NotFound):
                await exa.runs.one(run.id)
            schema = {"type": "object", "properties": {"why": {"type": "string"}}}
            bits = [bit async for bit in exa.stream_search(BILL, output_schema=schema)]
            assert set(bits[-2].output) == {"why"}
            assert bits[-1].cost == Decimal("0.007")
            return exa.spent

    assert asyncio.run(scenario()) == billed()
    sent = next(body for body in bodies(exchange) if body.get("effort") == "ultra")
    assert sent["budget"] == {"maxCostDollars": 1.0, "maxDurationSeconds": 300}


def test_monitors_and_websets_awaited(aexa: Callable[..., AsyncExa], exchange: Exchange) -> None:
    """EXA-7: every call of both; only the batch of monitors speaks in snake case."""

    async def scenario() -> None:
        async with aexa() as exa:
            first = await exa.monitors.create(
                BILL, webhook=HOOK, max_cost=1, name="one", include_domains=["a.example"], metadata={"a": "b"}
            )
            second = await exa.monitors.create(BILL, webhook=HOOK, max_cost=1, name="two")
            assert await exa.monitors.trigger(first.id, max_cost="0.015")
            (run,) = await exa.monitors.runs(first.id)
            assert (await exa.monitors.run(first.id, run.id)).id == run.id
            assert (await exa.monitors.update(first.id, status="paused")).status == "paused"
            assert {first.id, second.id} <= {one.id for one in await exa.monitors.list(limit=1, pages=9)}
            told = await exa.monitors.batch("unpause", {"name": "one"}, dry_run=False)
            assert told["affected"] == 1
            assert (await exa.monitors.one(first.id)).status == "active"
            for one in (first, second):
                await exa.monitors.delete(one.id)
            made = await exa.websets.create(BILL, max_cost=1, count=3, metadata={"a": "b"})
            exchange.advance(600)
            assert (await exa.websets.one(made.id)).status == "idle"
            assert len(await exa.websets.items(made.id, limit=2, pages=5)) == 3
            assert [one.id for one in await exa.websets.list()] == [made.id]
            assert (await exa.websets.preview(BILL))["items"]
            assert ((await exa.websets.update(made.id, title="x")).model_extra or {})["title"] == "x"
            await exa.websets.cancel(made.id)
            await exa.websets.delete(made.id)
            assert await exa.websets.list() == ()

    asyncio.run(scenario())
    snake = [sorted(body) for body in bodies(exchange) if any("_" in name for name in body)]
    assert snake == [["action", "dry_run", "filter", "limit"]]
