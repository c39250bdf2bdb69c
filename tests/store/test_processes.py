"""The line of processes: who is next, who holds the store and since when, forks, and the face for scripts."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING

import pytest

import kalshi_lab as kl
from kalshi_lab.errors import StoreBusy
from kalshi_lab.store import Store
from kalshi_lab.store.gate import Job
from kalshi_lab.store.line import Line, Patience

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[[str], subprocess.Popen[str]]

BURST = """
import asyncio, sys
from pathlib import Path
from kalshi_lab.store import Store
async def main():
    store = Store(Path({path!r}), wait=60)
    async with store.burst() as burst:
        await burst.write(lambda c: c.execute("INSERT INTO trades (trade_id) VALUES ('first')"))
        print(burst.wanted, flush=True)
        while not burst.wanted:
            await asyncio.sleep(0.005)
    print("let go", flush=True)
asyncio.run(main())
"""
HELD = """
import asyncio, sys
from pathlib import Path
from kalshi_lab.store import Store
async def main():
    async with Store(Path({path!r}), wait=60).burst():
        print("held", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
asyncio.run(main())
"""


def put(key: str) -> Callable[[object], object]:
    return lambda connection: connection.execute("INSERT INTO trades (trade_id) VALUES (?)", [key])  # type: ignore[attr-defined]


def patience(seconds: float = 10.0) -> Patience:
    return Patience(Job(), seconds)


def test_a_burst_lets_go_when_another_process_wants_the_store(path: Path, child: Start) -> None:
    """F26: `wanted` is false as long as nobody waits, and true once another process does, which then gets its turn."""
    store = Store(path, wait=60)
    holder = child(BURST.format(path=str(path)))
    assert holder.stdout is not None
    assert holder.stdout.readline() == "False\n"
    asyncio.run(store.write(put("second")))
    assert holder.stdout.readline() == "let go\n"
    assert asyncio.run(store.read("SELECT trade_id FROM trades ORDER BY rowid"))["trade_id"].to_list() == [
        "first",
        "second",
    ]


def test_a_burst_is_wanted_by_a_thread(store: Store) -> None:
    """Work of the same process that waits is told as well."""

    async def work() -> None:
        async with store.burst() as burst:
            assert not burst.wanted
            waiting = asyncio.create_task(store.read("SELECT 1"))
            while not burst.wanted:  # noqa: ASYNC110 - it is the property that is tried
                await asyncio.sleep(0.005)
        await waiting

    asyncio.run(work())


def test_who_holds_the_store_is_named_with_its_command_and_since_when(path: Path, child: Start) -> None:
    """F26: StoreBusy names the process, what it runs (never its arguments), and since when."""
    holder = child(HELD.format(path=str(path)))
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(StoreBusy) as caught:
        asyncio.run(Store(path, wait=0.2).read("SELECT 1"))
    assert f"-c (PID {holder.pid}) since 20" in caught.value.holder
    assert caught.value.holder in str(caught.value)
    holder.communicate("\n")


def test_nobody_passes_the_one_who_is_next(path: Path) -> None:
    """F26: a reader does not pass a writer that waits for readers to leave, and the next writer not a reader that waits."""
    path.parent.mkdir()
    line = Line(path)
    with line.turn(patience(), shared=True) as first:
        assert first is not None
        with line.turn(patience(), shared=True) as beside:
            assert beside is not None, "readers share"
        assert not line.wanted
        with line.turn(patience(0), shared=False) as writer:
            assert writer is None
    entered, leave, order = threading.Event(), threading.Event(), list[str]()

    def come(name: str, *, shared: bool) -> None:
        with line.turn(patience(), shared=shared):
            order.append(name)
            entered.set()
            leave.wait(10)

    with line.turn(patience(), shared=True):
        writing = threading.Thread(target=come, args=("writer",), kwargs={"shared": False})
        writing.start()
        while not line.wanted:
            pass
        with line.turn(patience(0.05), shared=True) as late:
            assert late is None, "a writer is next"
    assert entered.wait(10)
    assert order == ["writer"]
    leave.set()
    writing.join(10)
    with line.turn(patience(), shared=True) as after:
        assert after is not None


def ran(code: str) -> str:
    """What a process of its own prints."""
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


FORK = """
import asyncio, os
from pathlib import Path
from kalshi_lab import UsageError
from kalshi_lab.store import Store
path = Path({path!r})
store = Store(path)
def tried(work):
    try:
        work()
    except UsageError as error:
        return str(error)
    return "worked"
async def held():
    async with store.burst():
        return forked(lambda: Store(path))
def forked(work):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, tried(work).encode())
        os._exit(0)
    os.waitpid(child, 0)
    return os.read(reading, 1000).decode()
asyncio.run(store.write(lambda c: c.execute("INSERT INTO trades (trade_id) VALUES ('a')")))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_forked_process_is_told_and_harms_nothing(path: Path) -> None:
    """F27: a store made before a fork, or open while the process forked, is refused in the child; the parent goes on."""
    said = ran(
        FORK.format(path=str(path))
        + """
print(forked(lambda: asyncio.run(store.read("SELECT 1"))))
print(asyncio.run(held()))
print(forked(lambda: Store(path)))
asyncio.run(store.write(lambda c: c.execute("INSERT INTO trades (trade_id) VALUES ('b')")))
print(asyncio.run(store.read("SELECT count(*) FROM trades")).item())
"""
    ).splitlines()
    assert "made before the process forked" in said[0]
    assert "spawn" in said[0]
    assert "forked while the store was open" in said[1]
    assert said[2:] == ["worked", "2"]


def test_a_script_needs_no_async(path: Path) -> None:
    """`kl.Store(path)` asks, counts and checks; statements that are refused say so."""
    store = kl.Store(path)
    assert store.select("SELECT 1 AS n").item() == 1
    assert store.statistics().frame()["rows"].sum() == 0
    assert store.table("trades").height == 0
    assert store.verify().ok
    assert store.path == path
    assert repr(store) == f"<Store {path}>"
    with pytest.raises(kl.UsageError):
        store.select("DROP TABLE trades")


def test_a_lab_shows_its_store(tmp_path: Path) -> None:
    """`lab.store` is the lab's own store with the same words, blocking and awaited."""
    with kl.Lab("sim", base_url="http://127.0.0.1:9/trade-api/v2", home=tmp_path) as lab:
        assert isinstance(lab.store, kl.Store)
        assert lab.store.path == tmp_path / "kalshi.duckdb"
        assert lab.store.statistics().size > 0
