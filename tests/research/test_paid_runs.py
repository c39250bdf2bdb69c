"""A process that dies between paying for a run and reading it: the next one takes the run up, and nothing is paid twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

import kalshi_lab as kl
from kalshi_lab.sim import process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kalshi_lab.sim.process import Exchange

QUESTION = "Will H.R. 1001 pass the House?"
# a child that asks for a paid run and ends itself, as by kill -9, at a point of its way
CHILD = """
import os, signal, sys
from kalshi_lab.exa.runs import AsyncRuns
from kalshi_lab.research import runs
from kalshi_lab.store import paid
import kalshi_lab as kl

def die(*_given, **_more):
    os.kill(os.getpid(), signal.SIGKILL)

async def dead(*_given, **_more):
    die()

point = sys.argv[3]
create, named = AsyncRuns.create, runs._named
async def created(self, *given, **more):
    await create(self, *given, **more)
    die()
async def noted(*given, **more):
    made = await named(*given, **more)
    die()
if point == "before it is created":
    AsyncRuns.create = dead
elif point == "created, not read":
    AsyncRuns.create = created
elif point == "read, not waited for":
    runs._named = noted
elif point == "waited for, not kept":
    runs._ended = dead
lab = kl.Lab("sim", base_url=sys.argv[1], home=sys.argv[2])
lab.deep(sys.argv[4])
"""
POINTS = ("before it is created", "created, not read", "read, not waited for", "waited for, not kept")


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    with process.start(markets=300) as made:
        yield made


@pytest.mark.kill
@pytest.mark.parametrize("point", POINTS)
def test_the_next_process_takes_up_the_run_and_nothing_is_paid_twice(
    exchange: Exchange, tmp_path: Path, point: str
) -> None:
    """AG-2, EXA-6: whatever the first process had done when it was killed."""
    question = f"{QUESTION} {point}"
    before = Decimal(exchange.exa_billed()["total"])
    child = subprocess.run(
        [sys.executable, "-c", CHILD, exchange.url, str(tmp_path), point, question],
        timeout=100,
        check=False,
        env=dict(os.environ),
    )
    assert child.returncode == -signal.SIGKILL
    charged = Decimal(exchange.exa_billed()["total"]) - before
    assert charged == (0 if point == POINTS[0] else Decimal("0.025"))
    with kl.Lab("sim", base_url=exchange.url, home=tmp_path) as lab:
        run = lab.deep(question)
        assert run.status == "completed"
        assert lab.deep(question).id == run.id
        spend = lab.spend()
    assert Decimal(exchange.exa_billed()["total"]) - before == Decimal("0.025")
    created = [one for one in exchange.requests() if one["method"] == "POST" and one["path"] == "/exa/agent/runs"]
    assert [one["body"]["query"] for one in created].count(question) == 1
    assert spend["cost"].fill_null(spend["reserved"]).sum() == pytest.approx(0.025)
