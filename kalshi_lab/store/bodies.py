"""Answers as they were received, gzipped, kept beside the rows that were read from them where that was asked for."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.errors import StoreCorrupt
from kalshi_lab.store import writes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from kalshi_lab.door import Reply
    from kalshi_lab.store.connection import Connection

BODIES: dict[str, Any] = {
    "run_id": pl.String, "dataset": pl.String, "scope": pl.String, "walk": pl.String, "page": pl.Int64, "request_id": pl.String,
    "path": pl.String, "sha256": pl.String, "body": pl.Binary, "time": pl.Datetime("us", "UTC"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Body:
    """One answer: the page of a walk that it was, the digest of its bytes, and the bytes gzipped."""

    walk: str
    page: int
    request_id: str
    path: str
    sha256: str
    body: bytes


def of(reply: Reply, walk: str, page: int) -> Body:
    """An answer ready to be kept; gzip takes some milliseconds a page, so this belongs into a thread and before the transaction."""
    packed = gzip.compress(reply.body, 6, mtime=0)
    return Body(walk, page, reply.request_id, reply.call.path, hashlib.sha256(reply.body).hexdigest(), packed)


def keep(connection: Connection, run: tuple[str, str, str], bodies: Sequence[Body], now: datetime) -> None:
    """Write answers of a run (its id, dataset and scope), in the transaction that writes their rows."""
    of_run = {**dict(zip(("run_id", "dataset", "scope"), run, strict=True)), "time": now}
    writes.insert(connection, "bodies", pl.DataFrame([of_run | asdict(one) for one in bodies], schema=BODIES))


def unpacked(body: bytes, sha256: str) -> bytes:
    """The bytes as they were received; StoreCorrupt where they are not those that were kept."""
    try:
        found = gzip.decompress(body)
    except (OSError, EOFError, ValueError):
        found = b""
    if hashlib.sha256(found).hexdigest() != sha256:
        raise StoreCorrupt(
            "a kept answer is not what was received", hint="lab.store.verify() tells what else is damaged"
        )
    return found
