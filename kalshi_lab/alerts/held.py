"""The store, held open while one transaction follows another, and let go as soon as anybody else wants it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalshi_lab.store import Store
    from kalshi_lab.store.connection import Connection
    from kalshi_lab.store.store import Burst

T = TypeVar("T")
RESTING = 0.1  # seconds without a transaction after which it is let go


class Held:
    """Opening the file and closing it cost more than a small transaction: a burst of events pays them once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stack = AsyncExitStack()
        self._burst: Burst | None = None

    @property
    def patience(self) -> float | None:
        """For how long the next transaction may be waited for before the store is let go; None where it is not held."""
        return None if self._burst is None else RESTING

    async def write(self, work: Callable[[Connection], T]) -> T:
        """One transaction."""
        if self._burst is None:
            self._burst = await self._stack.enter_async_context(self._store.burst())
        try:
            done = await self._burst.write(work)
        except BaseException:
            await self.let_go()
            raise
        if self._burst.wanted:
            await self.let_go()
        return done

    async def let_go(self) -> None:
        """Give the store to whoever wants it."""
        self._burst = None
        await self._stack.aclose()
