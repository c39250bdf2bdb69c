"""Files from elsewhere into the store, told apart by how they begin."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kalshi_lab.errors import UsageError
from kalshi_lab.store import files
from kalshi_lab.store.archive import unarchive
from kalshi_lab.store.legacy import import_sqlite

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    import polars as pl

    from kalshi_lab.store.store import Store

SQLITE, ZIP = b"SQLite format 3\0", b"PK\x03\x04"


async def import_file(store: Store, path: Path, now: datetime) -> pl.DataFrame:
    """Bring a file in: an archive into an empty store, the earlier tool's database into any."""
    head = await asyncio.to_thread(_head, path)
    if head.startswith(SQLITE):
        return await import_sqlite(store, path, now)
    if head.startswith(ZIP):
        return await unarchive(store, path)
    raise UsageError(
        f"{path} is neither an archive nor a SQLite database",
        hint="Give a file of lab.archive(...) or the earlier tool's .db",
    )


def _head(path: Path) -> bytes:
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    with files.told(path), path.open("rb") as file:
        return file.read(len(SQLITE))
