"""A stream whose items a test commands, one by one."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kalshi_lab.kalshi.connection import Frame
from kalshi_lab.kalshi.notices import Disconnected, Gap, Reconnected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from kalshi_lab.kalshi.stream import Item

NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)


class Scripted:
    """What a recorder needs of a stream; `asked` lists what it asked for."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Item | BaseException | None] = asyncio.Queue()
        self.asked: list[tuple[str, ...]] = []
        self.connection = 1

    async def open(self) -> Scripted:
        self.asked.append(("open",))
        return self

    async def items(self) -> AsyncIterator[Item]:
        while (item := await self.queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    async def add(self, tickers: Iterable[str]) -> None:
        self.asked.append(("add", *tickers))

    async def snapshots(self) -> None:
        self.asked.append(("snapshots",))

    async def close(self) -> None:
        self.asked.append(("close",))
        await self.queue.put(None)

    def send(self, *raws: bytes) -> None:
        """Messages arrive."""
        for raw in raws:
            self.queue.put_nowait(frame(raw, self.connection))

    def leave_out(self, raw: bytes, tickers: tuple[str, ...] = ()) -> None:
        """A message does not arrive, and the stream notices."""
        lost = json.loads(raw)
        number = lost["seq"]
        channel = {1: "orderbook_delta", 2: "trade", 3: "ticker", 4: "market_lifecycle_v2"}[lost["sid"]]
        self.queue.put_nowait(Gap(self.connection, lost["sid"], channel, number, number + 1, tickers, NOW))

    def lose(self) -> None:
        self.queue.put_nowait(Disconnected(self.connection, NOW))

    def restore(self) -> None:
        self.connection += 1
        self.queue.put_nowait(Reconnected(self.connection, NOW, NOW, ()))


def frame(raw: bytes, connection: int = 1) -> Frame:
    """A message as the stream hands it on."""
    said: dict[str, Any] = json.loads(raw)
    ticker = said["msg"].get("market_ticker", "")
    return Frame(NOW, connection, said.get("sid"), said.get("seq"), said["type"], ticker, raw)
