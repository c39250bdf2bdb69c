"""Random answers through the whole client: door, pages, frames and objects let nothing out but their results and our errors."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections import Counter

import pytest

import kalshi_lab as kl
from tests.door.raw_server import RawServer
from tests.door.sending import busy_connections
from tests.fakes import FakeClock
from tests.faults.fuzz import response
from tests.operations.calls import CALLS, Known


async def outcome(client: kl.AsyncKalshi, name: str, *, objects: bool) -> str:
    """The name of the error that one call ended with; empty where it gave a result."""
    try:
        made = CALLS[name](client, Known())
        if not isinstance(made, kl.AsyncPages):
            await made
        elif objects:
            async for one in made:
                repr(one)
        else:
            await made.frame()
    except kl.LabError as error:
        str(error)
        return type(error).__name__
    return ""


async def fuzzed(server: RawServer, seeds: range) -> tuple[Counter[str], list[str]]:
    """How often each end was met, and what came out that is none of ours."""
    settings = kl.Settings(
        environment="sim", base_url=server.url, attempts=1, read_timeout=0.5, deadline=5.0, breaker_failures=10**6
    )
    ends: Counter[str] = Counter()
    strange: list[str] = []
    async with kl.AsyncKalshi(
        settings=settings, writable=True, credentials=kl.Credentials.generate(), clock=FakeClock()
    ) as client:
        for seed in seeds:
            name, answer = response(seed)
            server.answers = [answer]
            try:
                ends[await outcome(client, name, objects=bool(seed % 2))] += 1
            except Exception:  # noqa: BLE001 - it is what is looked for
                strange.append(f"case {seed}, {name}:\n{traceback.format_exc()}")
        assert busy_connections(client.door) == 0
        assert client.door.state["open_requests"] == 0
    return ends, strange


def check(seeds: range) -> Counter[str]:
    logging.disable(logging.CRITICAL)  # a warning for each of thousands of failures, which pytest would keep
    try:
        with RawServer() as server:
            ends, strange = asyncio.run(fuzzed(server, seeds))
    finally:
        logging.disable(logging.NOTSET)
    assert not strange, f"{len(strange)} of {len(seeds)}\n" + "\n".join(strange[:5])
    return ends


def test_nothing_but_our_errors_comes_out() -> None:
    """500 random answers end in results or in errors of the tree, of at least eight kinds."""
    ends = check(range(500))
    assert ends[""] >= 50
    assert len(ends) >= 8


@pytest.mark.kill
@pytest.mark.parametrize("first", range(10_000, 20_000, 2_500))
def test_nothing_but_our_errors_comes_out_of_ten_thousand(first: int) -> None:
    """The same with 10,000 others, in four parts."""
    ends = check(range(first, first + 2_500))
    print(dict(ends.most_common()))
    assert len(ends) >= 10
