"""A store that is slow, held or full: nothing is lost in silence, nothing is stored twice, and memory has a bound."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab.errors import StoreBusy
from tests.recorder.conftest import until
from tests.recorder.desk import A, B, Desk, levels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kalshi_lab.store.connection import Connection

HOLD = """
import sys, time, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


def held_for_two_seconds(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", HOLD, str(path), "2"], stdout=subprocess.PIPE, text=True)


class Stalled:
    """A store whose writes fail for as long as a test says, and then go on."""

    def __init__(self, lab: Any) -> None:
        self.write, lab.store.write = lab.store.write, self.attempt
        self.busy, self.attempts = False, 0

    async def attempt(self, work: Callable[[Connection], Any], noted: Any = None) -> Any:
        if self.busy:
            self.attempts += 1
            await asyncio.sleep(0)
            raise StoreBusy("the store is held by another process")
        return await self.write(work, noted)


@pytest.mark.long
def test_a_store_held_by_another_process_is_waited_for(recording_on: Any) -> None:
    """F26: two seconds in which another process holds the store cost nothing but time."""
    desk = Desk()

    async def work() -> None:
        async with recording_on(A) as (lab, recording, stream):
            stream.send(desk.snapshot(A))
            await until(lambda: recording.stats.stored.get("book_changes") == 1)
            holder = held_for_two_seconds(lab.store.path)
            assert holder.stdout
            await asyncio.to_thread(holder.stdout.readline)
            stream.send(*[desk.change(A) for _ in range(300)])
            await until(lambda: recording.stats.stored.get("book_changes") == 301)
            await asyncio.to_thread(holder.communicate)
            assert any(isinstance(error, StoreBusy) for error in recording.errors)
            await recording.stop()
            assert levels(await lab.book(A)) == desk.books[A]

    asyncio.run(work())


@pytest.mark.long
def test_a_stalled_store_costs_a_gap_and_no_memory(recording_on: Any) -> None:
    """F23: what finds no room while the store stalls is one gap with its count; the rest is stored once, and books start anew."""
    desk, bound = Desk(tickers=(A,)), 2000

    async def work() -> None:
        async with recording_on(A, channels=("orderbook_delta",), bound=bound) as (lab, recording, stream):
            stalled = Stalled(lab)
            stream.send(desk.snapshot(A))
            await until(lambda: recording.stats.stored.get("book_changes") == 1)
            stalled.busy, most = True, 0
            for _ in range(50):
                stream.send(*[desk.change(A) for _ in range(200)])
                await until(stream.queue.empty)
                most = max(most, recording.stats.waiting)
            assert most <= bound + 1
            stalled.busy = False
            await until(lambda: ("snapshots",) in stream.asked)
            stream.send(desk.snapshot(A), *[desk.change(A) for _ in range(10)])
            await until(lambda: recording.stats.frames["orderbook_snapshot"] == 2 and not recording.stats.waiting)
            await recording.stop()
            gaps = (await lab.table("gaps")).to_dicts()
            assert [gap["reason"] for gap in gaps] == ["behind"]
            kept = (await lab.table("book_changes"))["frame"].to_list()
            assert len(kept) == len(set(kept))
            assert gaps[0]["lost"] + len(kept) == 1 + 10_000 + 11
            assert gaps[0]["lost"] == recording.stats.lost > 5000
            assert levels(await lab.book(A)) == desk.books[A]
            lost = await lab.book(A, gaps[0]["since"])
            assert (lost.stale, "too slow" in lost.stale_reason) == (True, True)

    asyncio.run(work())


def test_a_commit_whose_news_is_lost_is_not_written_twice(recording_on: Any) -> None:
    """P2: an error after the commit makes the recorder try again, and the rows are there once."""
    desk, points = Desk(), []

    async def work() -> None:
        async with recording_on(A, B) as (lab, recording, stream):

            def reached(point: str) -> None:
                points.append(point)
                if point == "committed" and points.count("committed") == 1:
                    raise StoreBusy("the news of the commit were lost")

            lab.store.reached = reached
            stream.send(desk.snapshot(A), desk.snapshot(B), desk.trade(A), desk.ticker(B), desk.lifecycle(A, "settled"))
            stream.leave_out(desk.delta(A))
            stream.send(desk.delta(B))
            await until(lambda: points.count("committed") >= 2)
            await recording.stop()
            tables = ("book_changes", "trades", "ticks", "lifecycle", "gaps")
            assert [(await lab.table(name)).height for name in tables] == [3, 1, 1, 1, 1]

    asyncio.run(work())


def test_a_store_that_stays_busy_is_told_at_the_end(recording_on: Any) -> None:
    """P4: stop() raises what kept the last messages from being stored; the next recorder finds the hole."""
    desk = Desk()

    async def work() -> None:
        with pytest.raises(StoreBusy):  # noqa: PT012 - the end of the block is the point
            async with recording_on(A) as (lab, recording, stream):
                stalled = Stalled(lab)
                stream.send(desk.snapshot(A))
                await until(lambda: recording.stats.stored.get("book_changes") == 1)
                stalled.busy = True
                stream.send(desk.delta(A))
        assert recording.state == "failed"
        async with recording_on(B) as (lab, _, _):
            gap = (await lab.table("gaps")).to_dicts()[0]
            assert (gap["recording"], gap["reason"]) == (recording.recording, "ended")

    asyncio.run(work())
