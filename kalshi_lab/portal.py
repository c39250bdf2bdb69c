"""The blocking face of async code: one event loop in one daemon thread, and declarations that show its coroutines as calls.

`markets = blocking(AsyncLab.markets)` keeps name, parameters, docstring and static types. It works inside a running loop
(Jupyter), in threads and in scripts; Ctrl-C and the stop button cancel the work and raise KeyboardInterrupt.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import importlib.util
import inspect
import os
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from types import TracebackType
    from typing import Self

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F")
UNWIND = 0.8  # seconds that a cancelled call may take to give back what it holds before the caller is let go


class Portal:
    """One event loop in a daemon thread, started at the first call and again after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid = 0

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._thread is None or not self._thread.is_alive() or self._pid != os.getpid():
                self._start()
            return cast("asyncio.AbstractEventLoop", self._loop)

    def _start(self) -> None:
        loop, ready = asyncio.new_event_loop(), threading.Event()

        def run() -> None:
            asyncio.set_event_loop(loop)
            loop.call_soon(ready.set)
            loop.run_forever()

        self._thread = threading.Thread(target=run, name="kalshi-lab", daemon=True)
        self._thread.start()
        ready.wait()
        self._loop, self._pid = loop, os.getpid()
        atexit.register(self._end, loop, self._thread, os.getpid())

    @staticmethod
    def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread, pid: int) -> None:
        """Before the interpreter goes: cancel what goes on, so that nothing is left hanging in a thread that it does not wait for."""
        if pid == os.getpid() and thread.is_alive():
            with suppress(TimeoutError):
                asyncio.run_coroutine_threadsafe(_all_cancelled(), loop).result(2 * UNWIND)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(UNWIND)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end and return its result; an interrupt cancels it first."""
        loop = self._running()
        if threading.current_thread() is self._thread:
            work.close()
            raise UsageError(
                "a blocking call was made inside async code of this library", hint="Use the Async class there"
            )
        ended = threading.Event()
        future = asyncio.run_coroutine_threadsafe(_until_ended(work, ended), loop)
        try:
            return future.result()
        except BaseException:
            if not future.done():
                future.cancel()
                ended.wait(UNWIND)
            raise


async def _until_ended(work: Coroutine[Any, Any, T], ended: threading.Event) -> T:
    """The work, and a flag that it let go of everything: a cancelled future is done before its coroutine is."""
    task = cast("asyncio.Task[T]", asyncio.current_task())
    task.add_done_callback(_looked_at)
    try:
        return await work
    finally:
        ended.set()


async def _all_cancelled() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.add_done_callback(_looked_at)
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=UNWIND)


def _looked_at(task: asyncio.Task[Any]) -> None:
    """Take the error of a call that nobody waits for any more, which asyncio would print into some later cell."""
    if not task.cancelled():
        task.exception()


PORTAL = Portal()


class Facade:
    """Base of the blocking classes: the async twin, and the process that made it."""

    def __init__(self, twin: Any) -> None:
        self._twin = twin
        self._pid = os.getpid()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        if self._pid != os.getpid():
            work.close()
            raise UsageError(
                f"this {type(self).__name__} was made before the process forked", hint="Make a new one in the child"
            )
        return PORTAL.call(work)


class AsyncSession(ABC):
    """Base of what holds connections: leaving its `async with` block closes it."""

    @abstractmethod
    async def close(self) -> None:
        """Give back what it holds."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class Session(Facade):
    """Base of the blocking sessions: leaving the `with` block closes them."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._twin.close())

    def __repr__(self) -> str:
        return repr(self._twin).replace(f"Async{type(self).__name__}", type(self).__name__)


class blocking(Generic[P, T]):
    """Descriptor: an async method of the twin seen as a blocking method."""

    def __init__(self, method: Callable[Concatenate[Any, P], Awaitable[T]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__
        self.__signature__ = inspect.signature(method)

    @overload
    def __get__(self, facade: None, owner: type) -> blocking[P, T]: ...
    @overload
    def __get__(self, facade: Facade, owner: type) -> Callable[P, T]: ...

    def __get__(self, facade: Facade | None, owner: type) -> blocking[P, T] | Callable[P, T]:
        if facade is None:
            return self
        method = self._method

        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            work = cast("Coroutine[Any, Any, T]", method(facade._twin, *args, **kwargs))
            return facade._call(work)

        return cast("Callable[P, T]", presented(call, method))


class faced(Generic[P, F]):
    """Descriptor: a method of the twin that gives something awaited, on the blocking class one that gives its blocking face."""

    def __init__(self, method: Callable[Concatenate[Any, P], Any], face: Callable[[Any], F]) -> None:
        self._method, self._face = method, face
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, facade: None, owner: type) -> faced[P, F]: ...
    @overload
    def __get__(self, facade: Facade, owner: type) -> Callable[P, F]: ...

    def __get__(self, facade: Facade | None, owner: type) -> faced[P, F] | Callable[P, F]:
        if facade is None:
            return self
        method, face = self._method, self._face

        def call(*args: P.args, **kwargs: P.kwargs) -> F:
            return face(method(facade._twin, *args, **kwargs))

        shown = presented(call, method)
        found = str(inspect.signature(shown).return_annotation).removeprefix("Async")
        shown.__signature__ = inspect.signature(shown).replace(return_annotation=found)  # type: ignore[attr-defined]
        return cast("Callable[P, F]", shown)


def presented(call: Callable[..., Any], method: Callable[..., Any]) -> Callable[..., Any]:
    """`call` under the name, docstring and signature of `method`, without its `self`."""
    functools.update_wrapper(call, method)
    signature = inspect.signature(method)
    call.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
    return call


def run_here(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that belongs to the notebook's own loop to its end inside a synchronous callback, and return its value.

    For the one case where nothing else serves: an `AsyncLab` made with `await` in a notebook, and an ipywidgets callback that
    needs a value from it. Uses nest_asyncio2 where it is installed (ipykernel 7 brings it along), since nest_asyncio 1.6 loses
    a click that arrives meanwhile. Everywhere else call the blocking `Lab`.
    """
    name = "nest_asyncio2" if importlib.util.find_spec("nest_asyncio2") else "nest_asyncio"
    loop = asyncio.get_event_loop()
    importlib.import_module(name).apply(loop)
    return loop.run_until_complete(work)
