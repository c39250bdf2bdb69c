"""What every verb needs of the session."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from weakref import WeakSet

    import polars as pl

    from kalshi_lab.analysis.engine import FarEngine
    from kalshi_lab.clock import Clock
    from kalshi_lab.exa import AsyncExa
    from kalshi_lab.ingest.collector import AsyncCollector
    from kalshi_lab.ingest.recorder import AsyncRecording
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.store import Store
    from kalshi_lab.store.spend import Spending


class Verbs:
    """The session's clients, store and clock, under which "now" is the exchange's, and what it began that goes on in the background.

    Whatever `exa` is asked is paid from `spending`.
    """

    kalshi: AsyncKalshi
    exa: AsyncExa
    spending: Spending
    store: Store
    clock: Clock
    _background: WeakSet[AsyncRecording | AsyncCollector]

    async def _reduce(self, engine: FarEngine | None, sql: str, parameters: Sequence[Any]) -> pl.DataFrame:
        """The rows of a reduction over the store, or over what an engine reaches."""
        if engine is None:
            return await self.store.read(sql, parameters)
        return await asyncio.to_thread(checked(engine).read, sql, parameters)


def checked(engine: FarEngine) -> FarEngine:
    """An engine that can be asked. Raises UsageError."""
    if not callable(getattr(engine, "read", None)):
        raise UsageError(
            f"engine={engine!r} cannot be asked", hint="engine=kl.Spark(session, kl.Lake(...)), or leave it out"
        )
    return engine
