"""Little room on the disk: refused before it begins, told as DiskFull, and the store opens again."""

from __future__ import annotations

import asyncio
import resource
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab.errors import DiskFull
from kalshi_lab.settings import Settings
from kalshi_lab.store import Store
from kalshi_lab.store import store as module

if TYPE_CHECKING:
    from pathlib import Path

MANY = "INSERT INTO trades BY NAME SELECT uuid()::VARCHAR AS trade_id, uuid()::VARCHAR AS ticker FROM range(20000)"


def put(connection: Any) -> None:
    connection.execute("INSERT INTO trades (trade_id) VALUES ('a')")


def test_a_write_without_room_is_refused_before_it_begins(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """F25: with less room than asked for no transaction begins, in a burst neither; reading goes on, and writing once there is room."""
    store = Store(path, min_free=1000)
    asyncio.run(store.write(put))
    points = list[str]()
    store.reached = points.append

    async def burst() -> None:
        async with store.burst() as held:
            monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=999))
            await held.write(put)

    with pytest.raises(DiskFull, match="free"):
        asyncio.run(burst())
    with pytest.raises(DiskFull, match="free"):
        asyncio.run(store.write(put))
    assert points == []
    assert asyncio.run(store.table("trades")).height == 1
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    asyncio.run(store.write(put))
    assert asyncio.run(store.table("trades")).height == 2


def test_how_much_room_is_a_setting() -> None:
    """256 MiB unless another amount is set."""
    assert Settings().store_min_free == 256 * 1024 * 1024
    assert Settings(store_min_free=0).store_min_free == 0


@pytest.mark.parametrize("point", ["begun", "committed"])
def test_a_disk_that_fills_up_is_told_and_the_store_opens_again(path: Path, point: str) -> None:
    """F25: a file that cannot grow, within the transaction or while the log is written into the file, is DiskFull or nothing at all."""
    store, limits = Store(path), resource.getrlimit(resource.RLIMIT_FSIZE)
    asyncio.run(store.write(put))

    def reached(said: str) -> None:
        if said == point:
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 4096, limits[1]))

    store.reached = reached
    try:
        if point == "begun":
            with pytest.raises(DiskFull):
                asyncio.run(store.write(lambda connection: connection.execute(MANY)))
        else:
            asyncio.run(full(store))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    rows = 1 if point == "begun" else 20001
    assert asyncio.run(Store(path).table("trades")).height == rows
    asyncio.run(Store(path).write(put))
    assert asyncio.run(store.table("trades")).height == rows + 1


async def full(store: Store) -> None:
    """A write that is committed; what comes of closing the file may be told."""
    with suppress(DiskFull):
        await store.write(lambda connection: connection.execute(MANY))
