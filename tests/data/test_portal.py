"""The blocking face: one event loop behind ordinary calls, in scripts, threads, running loops and after a fork."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import multiprocessing
import os
import signal
import threading
import time
from typing import Any

import pytest

import kalshi_lab as kl
from kalshi_lab.portal import PORTAL, Facade, Portal, blocking


class AsyncThing:
    """A thing that is awaited."""

    def __init__(self) -> None:
        self.ended = ""

    async def double(self, value: int, *, plus: int = 0) -> int:
        """Twice the value."""
        await asyncio.sleep(0)
        return 2 * value + plus

    async def wait(self, seconds: float) -> None:
        """Wait, and say how it ended."""
        try:
            await asyncio.sleep(seconds)
            self.ended = "in time"
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            self.ended = "cancelled"
            raise

    async def fail(self) -> None:
        """Fail."""
        raise kl.UsageError("as asked")


class Thing(Facade):
    """The blocking face of AsyncThing."""

    double = blocking(AsyncThing.double)
    wait = blocking(AsyncThing.wait)
    fail = blocking(AsyncThing.fail)


@pytest.fixture
def twin() -> AsyncThing:
    return AsyncThing()


@pytest.fixture
def thing(twin: AsyncThing) -> Thing:
    return Thing(twin)


def test_a_call_looks_like_the_method_it_stands_for(thing: Thing) -> None:
    """Name, parameters and docstring are those of the awaited method, on the object and on the class."""
    assert thing.double.__name__ == "double"
    assert inspect.getdoc(thing.double) == "Twice the value."
    assert str(inspect.signature(thing.double)) == "(value: 'int', *, plus: 'int' = 0) -> 'int'"
    assert Thing.double.__doc__ == "Twice the value."
    assert not inspect.iscoroutinefunction(thing.double)


def test_every_blocking_call_shows_a_blocking_result() -> None:
    """No call of the blocking client says that it gives something to await."""
    client = kl.Kalshi(environment="sim")
    families = {place: one for place, one in vars(client).items() if isinstance(one, Facade)}
    calls = {f"{place}.{name}": getattr(one, name) for place, one in families.items() for name in names(one)}
    shown = {name: inspect.signature(one) for name, one in calls.items()}
    assert set(kl.Kalshi.operations().get_column("name")) <= shown.keys()
    assert [name for name, signature in shown.items() if "Async" in str(signature.return_annotation)] == []
    assert shown["markets.list"].return_annotation == "Pages[Market]"
    assert all(inspect.getdoc(one) for one in calls.values())


def names(facade: Facade) -> list[str]:
    return [name for name in dir(type(facade)) if not name.startswith("_")]


def test_both_faces_have_the_same_words() -> None:
    """What can be awaited can be called, under the same names."""
    blocked, awaited = kl.Kalshi(environment="sim"), kl.AsyncKalshi(environment="sim")
    for family in sorted({name.split(".")[0] for name in kl.Kalshi.operations().get_column("name")}):
        internal = {"candle_call"}  # a part of the loads, which are awaited
        public = {name for name in dir(type(getattr(awaited, family))) if not name.startswith("_")} - internal
        assert set(names(getattr(blocked, family))) == public


def test_results_and_errors_come_through(thing: Thing) -> None:
    """A call gives the result or raises the error of the work, with the work's own traceback."""
    assert thing.double(4, plus=1) == 9
    with pytest.raises(kl.UsageError, match="as asked") as error:
        thing.fail()
    assert [entry.name for entry in error.traceback][-1] == "fail"


def test_it_works_inside_a_running_loop(thing: Thing) -> None:
    """In a notebook, whose loop runs, a blocking call simply works."""

    async def cell() -> int:
        return thing.double(21)

    assert asyncio.run(cell()) == 42


def test_many_threads_share_one_loop(thing: Thing) -> None:
    """Calls of many threads run side by side, each with its own result."""
    found: dict[int, int] = {}
    threads = [threading.Thread(target=lambda n=n: found.update({n: thing.double(n)})) for n in range(32)]
    started = time.monotonic()
    waits = [threading.Thread(target=thing.wait, args=(1.0,)) for _ in range(8)]
    for thread in threads + waits:
        thread.start()
    for thread in threads + waits:
        thread.join(10)
    assert found == {n: 2 * n for n in range(32)}
    assert time.monotonic() - started < 6  # one after the other would take 8 s
    assert sum(thread.name == "kalshi-lab" for thread in threading.enumerate()) == 1


def test_a_call_from_inside_the_loop_is_refused(thing: Thing) -> None:
    """A blocking call in the library's own loop would wait for itself; it says so instead."""

    async def inner() -> int:
        return thing.double(1)

    with pytest.raises(kl.UsageError, match="a blocking call was made inside async code of this library"):
        PORTAL.call(inner())


def test_an_interrupt_cancels_the_work_and_comes_through(thing: Thing, twin: AsyncThing) -> None:
    """Ctrl-C ends a call at once with KeyboardInterrupt, after the work has put away its things; the next call works."""
    here = threading.main_thread().ident or 0
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a parent in the background would have it ignored
    threading.Timer(0.15, signal.pthread_kill, [here, signal.SIGINT]).start()
    started = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            thing.wait(30)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (twin.ended, time.monotonic() - started < 5) == ("cancelled", True)
    assert thing.double(1) == 2


def test_work_that_is_cancelled_from_inside_does_not_hang(thing: Thing) -> None:
    """Work that cancels itself ends its call with an error instead of leaving it waiting."""

    async def cancel() -> None:
        raise asyncio.CancelledError

    with pytest.raises(concurrent.futures.CancelledError):
        PORTAL.call(cancel())
    assert thing.double(1) == 2


def in_child(thing: Thing, answers: Any) -> None:
    """What a forked process finds: the old object refuses, a new one works."""
    try:
        thing.double(1)
    except kl.UsageError as error:
        answers.put(str(error))
    answers.put(Thing(AsyncThing()).double(4))
    answers.close()
    answers.join_thread()
    os._exit(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_is_noticed(thing: Thing) -> None:
    """An object made before a fork says so in the child, where a new one works."""
    assert thing.double(1) == 2
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=in_child, args=(thing, answers))
    child.start()
    assert answers.get(timeout=10) == "this Thing was made before the process forked. Make a new one in the child"
    assert answers.get(timeout=10) == 8
    child.join(10)
    assert child.exitcode == 0


def test_a_portal_starts_its_loop_once() -> None:
    """Threads that call for the first time together share the one loop that starts."""
    portal, loops = Portal(), set()

    async def running() -> int:
        return id(asyncio.get_running_loop())

    threads = [threading.Thread(target=lambda: loops.add(portal.call(running()))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(loops) == 1


def test_run_here_gives_a_value_inside_a_running_loop() -> None:
    """A coroutine of the notebook's own loop runs to its end inside a synchronous callback."""
    code = """
import asyncio
import kalshi_lab as kl

async def value(): await asyncio.sleep(0.01); return 7
async def cell(): return kl.run_here(value())

print(asyncio.new_event_loop().run_until_complete(cell()))
"""
    assert own_process(code).strip() == "7"


def own_process(code: str) -> str:
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
