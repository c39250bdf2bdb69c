"""Threads and processes share one file: short locks, bounded waits, nothing lost."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab.errors import LabError, StoreBusy, StoreError
from kalshi_lab.store import Store
from kalshi_lab.store.gate import WRITING, Gate

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[[str], subprocess.Popen[str]]

HOLDS = """
import duckdb, sys
connection = duckdb.connect({path!r})
print("held", flush=True)
sys.stdin.readline()
connection.close()
print("free", flush=True)
"""
WRITES = """
import asyncio
from pathlib import Path
from kalshi_lab.store import Store
store = Store(Path({path!r}), wait=60)
async def work():
    for number in range({count}):
        await store.write(lambda c: c.execute("INSERT INTO trades (trade_id) VALUES (?)", [f"{name}-{{number}}"]))
asyncio.run(work())
"""
LONG = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE (a.range * b.range) % 7 = 3"


def put(connection: Any, key: str) -> None:
    connection.execute("INSERT INTO trades (trade_id) VALUES (?)", [key])


def count(store: Store) -> int:
    return int(asyncio.run(store.read("SELECT count(*) FROM trades")).item())


def test_reads_see_whole_transactions_while_others_write(store: Store) -> None:
    """Reads and writes run side by side, and a read sees a transaction's rows all or not at all."""

    def ten(connection: Any) -> None:
        for key in "0123456789":
            put(connection, key)

    async def both() -> list[int]:
        writing = asyncio.gather(*(store.write(ten) for _ in range(15)))
        reading = asyncio.gather(*(store.read("SELECT count(*) AS n FROM trades") for _ in range(15)))
        await writing
        return [made.item() for made in await reading]

    seen = asyncio.run(both())
    assert [number % 10 for number in seen] == [0] * 15
    assert count(store) == 150


def entered(gate: Gate, order: list[str], name: str, mode: str, leave: threading.Event) -> threading.Thread:
    def run() -> None:
        with gate.enter(mode):
            order.append(name)
            leave.wait(10)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def waited_for(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_nobody_is_passed_at_the_gate(path: Path) -> None:
    """F26: readers enter together; who comes after a waiting writer waits behind it, reader or writer, so that nobody starves."""
    gate, order = Gate(path), list[str]()
    first, second, rest = threading.Event(), threading.Event(), threading.Event()
    threads = [entered(gate, order, "reader", "reading", first) for _ in range(2)]
    waited_for(lambda: len(order) == 2)
    for number, (name, leave) in enumerate([("writer", second), ("late reader", rest), ("late writer", rest)], 1):
        threads.append(entered(gate, order, name, WRITING if "writer" in name else "reading", leave))
        waited_for(lambda number=number: gate.waiting == number)
    assert order == ["reader", "reader"]
    first.set()
    waited_for(lambda: len(order) == 3)
    second.set()
    waited_for(lambda: len(order) == 4)
    assert order[2:] == ["writer", "late reader"]
    rest.set()
    for thread in threads:
        thread.join(10)
    assert order[4] == "late writer"


def test_who_opens_the_file_differently_waits(path: Path) -> None:
    """Readers whose settings differ take turns, since DuckDB opens a file in one way at a time."""
    gate, order, first, rest = Gate(path), list[str](), threading.Event(), threading.Event()
    threads = [entered(gate, order, "one", "reading", first)]
    waited_for(lambda: len(order) == 1)
    threads.append(entered(gate, order, "other", "reading otherwise", rest))
    waited_for(lambda: gate.waiting == 1)
    assert order == ["one"]
    first.set()
    rest.set()
    for thread in threads:
        thread.join(10)
    assert order == ["one", "other"]


def test_two_stores_of_one_file_share_its_gate(path: Path) -> None:
    """Two labs on one folder in one process read and write without meeting DuckDB's refusal to open a file in two ways."""
    one, two = Store(path), Store(path.parent / ".." / path.parent.name / path.name)

    async def both() -> None:
        steps = [one.write(lambda c: put(c, "a")), two.read("SELECT * FROM trades"), two.write(lambda c: put(c, "b"))]
        await asyncio.gather(*steps, *(one.read("SELECT * FROM trades") for _ in range(5)))

    asyncio.run(both())
    assert count(one) == count(two) == 2


def test_a_file_that_is_held_elsewhere_is_busy(store: Store, path: Path, child: Start) -> None:
    """A wait for another process ends after its bound in StoreBusy, which names the holder; afterwards the store goes on."""
    asyncio.run(store.write(lambda connection: put(connection, "a")))
    holder = child(HOLDS.format(path=str(path)))
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == "held\n"
    for work in (store.read("SELECT 1"), store.write(lambda connection: put(connection, "b"))):
        began = time.monotonic()
        with pytest.raises(StoreBusy) as caught:
            asyncio.run(work)
        assert 0.3 <= time.monotonic() - began < 8
        assert f"PID {holder.pid}" in str(caught.value)
        assert f"PID {holder.pid}" in caught.value.holder
        assert str(path) in str(caught.value)
    holder.communicate("\n")
    assert count(store) == 1


def test_a_wait_ends_when_the_holder_lets_go(path: Path, child: Start) -> None:
    """A write that began while another process held the file is done once it is free."""
    store = Store(path, wait=20)
    asyncio.run(store.write(lambda connection: put(connection, "a")))
    holder = child(HOLDS.format(path=str(path)))
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    letting_go = threading.Timer(0.3, lambda: holder.communicate("\n"))
    letting_go.start()
    asyncio.run(store.write(lambda connection: put(connection, "b")))
    letting_go.join()
    assert count(store) == 2


def test_two_processes_write_in_turn(path: Path, child: Start) -> None:
    """The lock is held for a transaction and no longer: two writing processes and a reader lose nothing and never fail."""
    store = Store(path, wait=60)
    count(store)
    writers = [child(WRITES.format(path=str(path), name=name, count=8)) for name in "ab"]
    seen = []
    while any(writer.poll() is None for writer in writers):
        seen.append(count(store))
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen == sorted(seen)
    keys = asyncio.run(store.table("trades"))["trade_id"].to_list()
    assert sorted(keys) == sorted(f"{name}-{number}" for name in "ab" for number in range(8))


@pytest.mark.parametrize("kind", ["read", "write"])
def test_a_cancelled_statement_stops_at_once(store: Store, kind: str) -> None:
    """Cancelling interrupts a statement that would run for hours, and the next one works."""
    count(store)

    async def cancelled() -> float:
        work = store.read(LONG) if kind == "read" else store.write(lambda connection: connection.execute(LONG))
        task = asyncio.create_task(work)
        await asyncio.sleep(0.3)
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - began

    assert asyncio.run(cancelled()) < 1
    asyncio.run(store.write(lambda connection: put(connection, "a")))
    assert count(store) == 1


def test_a_cancelled_wait_for_the_file_stops_at_once(path: Path, child: Start) -> None:
    """Cancelling ends the wait for another process's lock."""
    store = Store(path, wait=60)
    count(store)
    holder = child(HOLDS.format(path=str(path)))
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"

    async def cancelled() -> float:
        task = asyncio.create_task(store.read("SELECT 1"))
        await asyncio.sleep(0.2)
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - began

    assert asyncio.run(cancelled()) < 1


def test_work_that_was_cancelled_before_its_turn_is_never_done(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write cancelled while it waits for another in the same process does not happen later behind the caller's back."""
    monkeypatch.setattr("kalshi_lab.store.store.LETTING_GO", 0.2)
    count(store)
    inside, leave = threading.Event(), threading.Event()

    def slow(connection: Any) -> None:
        put(connection, "slow")
        inside.set()
        leave.wait(10)

    async def work() -> None:
        first = asyncio.create_task(store.write(slow))
        await asyncio.to_thread(inside.wait, 10)
        second = asyncio.create_task(store.write(lambda connection: put(connection, "cancelled")))
        await asyncio.sleep(0.1)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        leave.set()
        await first

    asyncio.run(work())
    assert asyncio.run(store.table("trades"))["trade_id"].to_list() == ["slow"]


@pytest.mark.long
def test_a_burst_ends_though_everybody_waits_for_it(store: Store) -> None:
    """More reads and writes than there are threads may wait for a burst: it goes on, and they follow."""

    async def work() -> None:
        async with store.burst() as burst:
            await burst.write(lambda connection: put(connection, "first"))
            waiting: list[asyncio.Task[Any]] = []
            for _ in range(40):
                waiting.append(asyncio.create_task(store.write(lambda connection: put(connection, "after"))))
                waiting.append(asyncio.create_task(store.read("SELECT 1")))
            await asyncio.sleep(0.1)
            await asyncio.wait_for(burst.write(lambda connection: put(connection, "second")), 20)
        await asyncio.gather(*waiting)

    asyncio.run(work())
    keys = asyncio.run(store.read("SELECT trade_id FROM trades ORDER BY rowid"))["trade_id"].to_list()
    assert keys[:2] == ["first", "second"]
    assert len(keys) == 42


def test_a_burst_that_was_cancelled_before_its_turn_leaves_the_gate_open(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A burst that is given up while another writes does not keep the file afterwards."""
    monkeypatch.setattr("kalshi_lab.store.store.LETTING_GO", 0.1)

    async def enter() -> None:
        async with store.burst():
            pass

    async def work() -> None:
        async with store.burst() as burst:
            second = asyncio.create_task(enter())
            await asyncio.sleep(0.1)
            second.cancel()
            await asyncio.sleep(0.3)
            await burst.write(lambda connection: put(connection, "mine"))
        with pytest.raises(asyncio.CancelledError):
            await second

    asyncio.run(work())
    assert count(store) == 1


def test_a_failed_step_of_a_burst_keeps_the_steps_before_it(store: Store) -> None:
    """Each write of a burst is a transaction of its own."""

    async def work() -> None:
        async with store.burst() as burst:
            await burst.write(lambda connection: put(connection, "kept"))
            await burst.write(lambda connection: connection.execute("INSERT INTO nowhere VALUES (1)"))

    with pytest.raises(StoreError):
        asyncio.run(work())
    assert count(store) == 1


def test_errors_leave_the_gate_open(store: Store) -> None:
    """Failed reads and writes give back the file and their place."""
    for _ in range(3):
        with pytest.raises(LabError):
            asyncio.run(store.read("SELECT * FROM nowhere"))
        with pytest.raises(StoreError):
            asyncio.run(store.write(lambda connection: connection.execute("INSERT INTO nowhere VALUES (1)")))
    assert count(store) == 0
