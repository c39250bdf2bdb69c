"""A collector on a clock that tests command, over a real store: its rounds, what it skips, and what it survives."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab.errors import CircuitOpen, RequestError, SchemaDrift, StoreBusy, Unavailable, UsageError
from kalshi_lab.ingest.collector import AsyncCollector, lasted
from kalshi_lab.ingest.rounds import SYNC, planned
from kalshi_lab.store import Store
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

START = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)
MINUTE = 60.0


class Scripted:
    """Work that does as it is told: what the nth round does, else it takes a second and writes 10 rows."""

    def __init__(self, clock: FakeClock, **rounds: Callable[[], Awaitable[int]]) -> None:
        self.clock, self.script = clock, {int(name.removeprefix("r")): step for name, step in rounds.items()}
        self.kinds: list[str] = []
        self.began: list[datetime] = []
        self.at_work = 0

    async def steps(self, kind: str) -> Sequence[Callable[[], Awaitable[int]]]:
        self.kinds.append(kind)
        return [self.work]

    async def work(self) -> int:
        assert self.at_work == 0, "two rounds at once"
        self.began.append(self.clock.now())
        self.at_work += 1
        try:
            await self.clock.sleep(1.0)
            step = self.script.get(len(self.kinds))
            return 10 if step is None else await step()
        finally:
            self.at_work -= 1


def collector(tmp_path: Path, clock: FakeClock, work: Any, rounds: int | None, every: str = "15m") -> AsyncCollector:
    plan = planned(every, "1h", series=None, trades=None, rounds=rounds)
    return AsyncCollector(Store(tmp_path / "kalshi.duckdb"), clock, plan, work)


def run(made: AsyncCollector) -> list[dict[str, Any]]:
    """Let it do its rounds; their rows in the table."""

    async def whole() -> list[dict[str, Any]]:
        async with made:
            await made.wait()
        return (await made._store.read("SELECT * FROM rounds ORDER BY round")).to_dicts()

    return asyncio.run(whole())


def asleep(clock: FakeClock, seconds: float) -> None:
    """The machine sleeps: the wall clock goes on, the monotonic one does not."""
    clock.start += timedelta(seconds=seconds)


def fails(error: Exception) -> Callable[[], Awaitable[int]]:
    async def step() -> int:
        raise error

    return step


def test_rounds_do_not_drift(tmp_path: Path) -> None:
    """DB-8: however long its rounds take, they begin exactly an interval apart, the first one at once."""
    clock = FakeClock(start=START, roll=0.5)
    work = Scripted(clock)
    made = collector(tmp_path, clock, work, 12)
    kept = run(made)
    assert work.began[0] == START
    assert work.began[1] == datetime(2026, 11, 22, 14, 15, 15, tzinfo=UTC), "0.5 of the longest offset, 30 seconds"
    assert {later - earlier for earlier, later in pairwise(work.began[1:])} == {timedelta(minutes=15)}
    assert (made.status.rounds, made.status.skipped, made.status.rows, made.status.state) == (12, 0, 120, "done")
    assert [(row["round"], row["error"], row["skipped"]) for row in kept] == [(n, "", 0) for n in range(1, 13)]
    assert [row["due_at"] for row in kept[1:]] == work.began[1:]


def test_a_sync_comes_first_and_then_every_hour(tmp_path: Path) -> None:
    """DB-8: the first round is a sync, and then one round in each hour; the others are snapshots alone."""
    clock = FakeClock(start=START)
    work = Scripted(clock)
    kept = run(collector(tmp_path, clock, work, 12))
    assert [n for n, kind in enumerate(work.kinds) if kind == SYNC] == [0, 4, 8]
    assert [row["kind"] for row in kept] == work.kinds


def test_a_sync_that_failed_is_tried_in_the_next_round(tmp_path: Path) -> None:
    clock = FakeClock(start=START)
    work = Scripted(clock, r1=fails(Unavailable("down")))
    run(collector(tmp_path, clock, work, 3))
    assert work.kinds == [SYNC, SYNC, "snapshot"]


def test_a_round_that_takes_long_is_never_joined_by_another(tmp_path: Path) -> None:
    """DB-8: ticks that come while a round is at work are skipped and counted, and the next round waits for the next tick."""
    clock = FakeClock(start=START, roll=0.0)

    async def slow() -> int:
        await clock.sleep(40 * MINUTE)
        return 1

    work = Scripted(clock, r2=slow)
    made = collector(tmp_path, clock, work, 3)
    kept = run(made)
    assert made.status.skipped == 2
    assert [(row["skipped"], row["skipped_because"]) for row in kept] == [
        (0, ""),
        (0, ""),
        (2, "the round before took 40 min"),
    ]
    assert work.began[2] == datetime(2026, 11, 22, 15, 0, tzinfo=UTC)


def test_a_laptop_that_slept_says_what_was_missed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """F19: after three hours asleep there is one round at once, and 12 missed ticks are counted, logged and in the table."""
    clock = FakeClock(start=START, roll=0.0)

    class Slept(FakeClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            if len(self.slept) == 20:
                asleep(self, 3 * 3600)

    clock = Slept(start=START, roll=0.0)
    work = Scripted(clock)
    made = collector(tmp_path, clock, work, 3)
    caplog.set_level(logging.INFO)
    kept = run(made)
    assert timedelta(hours=3) < work.began[1] - work.began[0] < timedelta(hours=3, minutes=3)
    assert (made.status.skipped, made.status.asleep) == (11, timedelta(hours=3))
    assert (kept[1]["skipped"], kept[1]["skipped_because"]) == (11, "asleep for 3 h")
    assert kept[1]["due_at"] == datetime(2026, 11, 22, 17, 0, tzinfo=UTC), "the last of the ticks that passed"
    assert "asleep for 3 h" in caplog.text
    assert "11 skipped before it (asleep for 3 h)" in caplog.text
    assert "skipped 11" in repr(made.status)
    assert "asleep 3 h" in repr(made.status)
    assert work.began[2] == datetime(2026, 11, 22, 17, 15, tzinfo=UTC)


def test_a_clock_set_back_does_not_stop_it(tmp_path: Path) -> None:
    """F19: where the wall clock jumps back two hours, the next round comes at the next tick of that clock."""

    class Back(FakeClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            if len(self.slept) == 20:
                asleep(self, -2 * 3600)

    clock = Back(start=START, roll=0.0)
    work = Scripted(clock)
    made = collector(tmp_path, clock, work, 3)
    run(made)
    assert work.began[1] == datetime(2026, 11, 22, 12, 15, tzinfo=UTC)
    assert made.status.skipped == 0


@pytest.mark.parametrize(
    "error", [Unavailable("maintenance"), SchemaDrift("another format"), ZeroDivisionError("a mistake of ours")]
)
def test_a_round_that_fails_is_told_and_the_next_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """Lesson 53: the first failure is logged with its traceback, the same again in a line; both are counted, and the next round works."""
    clock = FakeClock(start=START)
    work = Scripted(clock, r2=fails(error), r3=fails(error))
    made = collector(tmp_path, clock, work, 4)
    kept = run(made)
    assert (made.status.rounds, made.status.failed, made.status.rows) == (4, 2, 20)
    assert made.status.last_error is error
    assert type(error).__name__ in repr(made.status)
    assert [bool(row["error"]) for row in kept] == [False, True, True, False]
    assert type(error).__name__ in kept[1]["error"]
    failures = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.exc_info is not None for record in failures] == [True, False]


def test_an_open_circuit_is_waited_for(tmp_path: Path) -> None:
    """Where the exchange is left alone until a moment before the next tick, the step waits for that moment and is tried once more."""
    clock = FakeClock(start=START)
    tried: list[datetime] = []

    async def step() -> int:
        tried.append(clock.now())
        if len(tried) == 1:
            error = CircuitOpen("left alone")
            error.until = clock.now() + timedelta(seconds=20)
            raise error
        return 7

    made = collector(tmp_path, clock, Scripted(clock, r1=step), 1)
    run(made)
    assert [later - earlier for earlier, later in pairwise(tried)] == [timedelta(seconds=21)], "20 of them waited"
    assert (made.status.failed, made.status.rows) == (0, 7)


def test_what_does_not_answer_is_not_asked_on(tmp_path: Path) -> None:
    """A round ends with the first step that gets no answer, and goes on after any other error."""
    clock = FakeClock(start=START)
    asked: list[str] = []

    class Steps:
        error: RequestError | SchemaDrift = Unavailable("down")

        async def steps(self, _kind: str) -> Sequence[Callable[[], Awaitable[int]]]:
            return [self.first, self.second]

        async def first(self) -> int:
            asked.append("first")
            raise self.error

        async def second(self) -> int:
            asked.append("second")
            self.error = Unavailable("down")
            return 3

    work = Steps()
    work.error = SchemaDrift("odd")
    made = collector(tmp_path, clock, work, 2)
    run(made)
    assert asked == ["first", "second", "first"]
    assert (made.status.failed, made.status.rows) == (2, 3)


def test_one_collector_a_store(tmp_path: Path) -> None:
    """A second collector of a store is refused with the name of the first, also in the same process, and works once that one has ended."""

    async def whole() -> None:
        clock = FakeClock(start=START)
        first = collector(tmp_path, clock, Scripted(clock), None)
        async with first:
            for _ in range(2):  # the one who was refused takes nothing away from the one who holds it
                with pytest.raises(
                    StoreBusy, match=r"another collector \(PID \d+ on .* since 2026-11-22 14:05:00 UTC\)"
                ) as caught:
                    await collector(tmp_path, clock, Scripted(clock), None).start()
                assert "PID" in caught.value.holder
        assert first.status.state == "stopped"
        async with collector(tmp_path, clock, Scripted(clock), 1) as second:
            await second.wait()
        assert second.status.rounds == 1

    asyncio.run(whole())


def test_it_is_stopped_at_any_moment(tmp_path: Path) -> None:
    """Stopped before its first round, within one and between two, it lets the store go and says that it was stopped."""

    async def whole() -> None:
        for turns in range(12):
            clock = FakeClock(start=START)
            made = await collector(tmp_path, clock, Scripted(clock), None).start()
            for _ in range(turns):
                await asyncio.sleep(0)
            await made.stop()
            assert (made.status.state, made.status.next_round) == ("stopped", None)
            assert made._task is not None
            assert made._task.done()

    asyncio.run(whole())


def test_a_round_at_work_is_finished(tmp_path: Path) -> None:
    """A collector that is stopped in the middle of a round lets it come to its end, and its row is in the table."""
    clock = FakeClock(start=START)
    going, may_end = asyncio.Event(), asyncio.Event()

    async def step() -> int:
        going.set()
        await may_end.wait()
        return 5

    async def whole() -> int:
        made = await collector(tmp_path, clock, Scripted(clock, r1=step), None).start()
        await going.wait()
        stopping = asyncio.create_task(made.stop())
        await asyncio.sleep(0)
        may_end.set()
        await stopping
        assert (made.status.state, made.status.rounds, made.status.rows) == ("stopped", 1, 5)
        return int((await made._store.read("SELECT count(*) FROM rounds")).item())

    assert asyncio.run(whole()) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"every": "soon"}, "every 'soon' is no length of time"),
        ({"every": "0s"}, "every '0s' is too short"),
        ({"every": "2h"}, "sync_every '1h' is shorter than every '2h'"),
        ({"rounds": 0}, "rounds 0 is not a number from 1"),
        ({"series": ["bad ticker"]}, "series"),
    ],
)
def test_odd_plans_are_refused(given: dict[str, Any], said: str) -> None:
    chosen: dict[str, Any] = {"every": "15m", "sync_every": "1h", "series": None, "trades": None, "rounds": None}
    chosen |= given
    with pytest.raises(UsageError, match=said):
        planned(chosen.pop("every"), chosen.pop("sync_every"), **chosen)


def test_lengths_are_said_in_words() -> None:
    """What is shown of a length of time is short."""
    said = [lasted(timedelta(seconds=seconds)) for seconds in (0.04, 2.14, 90, 3 * 3600, 1.5 * 86_400)]
    assert said == ["0 s", "2.1 s", "1.5 min", "3 h", "1.5 d"]
