"""Pages into the store: fetched, decoded and written side by side, acknowledged in the ledger, resumable at the page.

A writer takes all pages that are waiting and commits them in one transaction with their ledger rows: alone when the network is slow,
many at once when it is fast.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from kalshi_lab.ingest.drift import check
from kalshi_lab.store import bodies, journal, writes
from kalshi_lab.store.arrow import Arrow
from kalshi_lab.store.connection import fetch
from kalshi_lab.store.queries import last_run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from datetime import datetime, timedelta

    from kalshi_lab.clock import Clock
    from kalshi_lab.frames import Refused
    from kalshi_lab.ingest.progress import Progress
    from kalshi_lab.kalshi.pages import Arrived
    from kalshi_lab.store import Store
    from kalshi_lab.store.connection import Connection

TOGETHER = 12  # pages in one transaction, about
SOON = 0.02  # seconds in which the next page arrives where the network is fast
WAITING = 16  # pages that may wait for the writer, which bounds memory
BURST = 5.0  # seconds for which the file may stay open while pages keep arriving and nobody else wants it
LOT = 100  # pages in that time, about: until the file is closed their rows are in memory
SIDE_BY_SIDE = 8  # walks at once; the rate budget decides how fast they are


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one page for one table: written by key, known rows either refreshed or left as they are."""

    table: str
    keys: tuple[str, ...]
    frame: pl.DataFrame
    refresh: bool
    within: str = ""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A page ready to be written; the first part is the one whose rows are counted."""

    parts: tuple[Part, ...]
    refused: tuple[Refused, ...]
    received: int


@dataclass(frozen=True, slots=True)
class Walk:
    """A chain of pages: how to go on from a cursor (with the rows read before it), and how to decode a page."""

    name: str
    pages: Callable[[str, int], AsyncIterator[Arrived]]
    decode: Callable[[Arrived], Decoded]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was done: rows received = stored + duplicate + quarantined."""

    run_id: str
    pages: int = 0
    received: int = 0
    stored: int = 0
    duplicate: int = 0
    quarantined: int = 0
    resumed_pages: int = 0


@dataclass
class _Item:
    walk: Walk
    page: int
    cursor: str
    request_id: str
    decoded: Decoded
    sha256: str
    body: bodies.Body | None = None


@dataclass
class Load:
    """One run over some walks of a dataset."""

    store: Store
    clock: Clock
    dataset: str
    scope: str
    run_id: str
    progress: Progress
    fresh_for: timedelta | None = None  # an unfinished run older than this is begun anew
    done: Loaded = field(init=False)

    def __post_init__(self) -> None:
        self.done = Loaded(self.run_id)
        self._queue: asyncio.Queue[_Item | None] = asyncio.Queue(WAITING)
        self._ended = self._complete = self._marked = False

    async def run(self, walks: Sequence[Walk], *, resume: bool = True) -> Loaded:
        """Walk all, write all; an error of a walk is raised after everything that arrived before it is kept."""
        reached = await self._resume() if resume else {}
        todo = [(walk, *reached.get(walk.name, (0, "", 0))) for walk in walks]
        todo = [(walk, page, cursor, seen) for walk, page, cursor, seen in todo if page == 0 or cursor]
        self.done = Loaded(self.run_id, resumed_pages=sum(page for page, _, _ in reached.values()))
        writer = asyncio.create_task(self._write_all())
        steps = iter(todo)  # however many there are, so many walks are alive as go side by side
        walking = [asyncio.create_task(self._walk_all(steps)) for _ in todo[:SIDE_BY_SIDE]]
        tasks = [*walking, writer]
        try:
            await self._until_walked(walking, writer)
            self._complete = all(task.done() and not task.exception() for task in walking)
            tasks.append(asyncio.create_task(self._queue.put(None)))  # a writer that fails makes no room for it
            await asyncio.gather(*tasks[-2:])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in walking:
            if not task.cancelled():  # what was ended because another walk failed has nothing to tell
                task.result()
        if not self._marked:
            await self.store.write(partial(self._mark, now=self.clock.now()), journal.pages)
        await check(self.store, self.dataset, self.run_id, self.done.received, self.done.quarantined)
        return self.done

    async def _until_walked(self, walking: Sequence[asyncio.Task[None]], writer: asyncio.Task[None]) -> None:
        """Until every walk has ended or one failed; a writer that fails ends all."""
        pending: set[asyncio.Task[None]] = {*walking, writer}
        while pending - {writer}:
            ended, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if writer in ended:
                writer.result()
            if any(task.exception() for task in ended):
                return

    async def _resume(self) -> dict[str, tuple[int, str, int]]:
        """How far the last run over the same scope came, by walk, if it did not end; this run then carries on as that one."""
        found = [] if self.store.is_new else await last_run(self.store, self.dataset, self.scope)
        ended = any(not row["walk"] for row in found)
        stale = self.fresh_for is not None and any(self.clock.now() - row["time"] > self.fresh_for for row in found)
        if not found or ended or stale:
            return {}
        self.run_id = found[0]["run_id"]
        return {row["walk"]: (row["page"], row["next_cursor"], row["received"]) for row in found}

    async def _walk_all(self, steps: Iterator[tuple[Walk, int, str, int]]) -> None:
        for step in steps:
            await self._walk(*step)

    async def _walk(self, walk: Walk, page: int, cursor: str, seen: int) -> None:
        async for arrived in walk.pages(cursor, seen):
            page += 1
            decoding = asyncio.to_thread(walk.decode, arrived)
            decoded, digest = await asyncio.gather(decoding, asyncio.to_thread(_sha256, arrived.reply.body))
            kept = self.store.keep_bodies
            body = await asyncio.to_thread(bodies.of, arrived.reply, walk.name, page) if kept else None
            item = _Item(walk, page, arrived.cursor, arrived.reply.request_id, decoded, digest, body)
            del arrived, decoded  # what waits for the writer does not hold the answer too
            await self._queue.put(item)

    async def _write_all(self) -> None:
        """Write pages until the end comes; the file stays open only for pages that are waiting already, and not for long."""
        waiting = await self._next()
        while waiting:
            over, before = self.clock.monotonic() + BURST, self.done.pages
            async with self.store.burst() as burst:
                while waiting:
                    now = self.clock.now()  # asked of a simulated exchange over the network: before the transaction
                    self._count(await burst.write(partial(self._keep, items=waiting, now=now), journal.pages))
                    full = self.done.pages - before >= LOT
                    more = self.clock.monotonic() < over and not full and not burst.wanted
                    waiting = await self._gathered(self._arrived()) if more else []
                if self._ended and self._complete:
                    await burst.write(partial(self._mark, now=self.clock.now()), journal.pages)
            waiting = waiting or await self._next()

    async def _next(self) -> list[_Item]:
        """All pages that have arrived, waiting for the first; none at the end."""
        if self._ended:
            return []
        first = await self._queue.get()
        self._ended = first is None
        return [] if first is None else await self._gathered([first])

    async def _gathered(self, found: list[_Item]) -> list[_Item]:
        """These pages and those that follow at once: few large transactions are much faster than many small ones."""
        before = -1
        while before < len(found) < TOGETHER and not self._ended:
            before = len(found)
            await self.clock.sleep(SOON)
            found += self._arrived()
        return found

    def _arrived(self) -> list[_Item]:
        """The pages that wait already."""
        found = []
        while not self._ended and not self._queue.empty():
            item = self._queue.get_nowait()
            self._ended = item is None
            found += [] if item is None else [item]
        return found

    def _mark(self, connection: Connection, now: datetime) -> list[writes.Page]:
        """Enter a row without a walk, which says that the run came to its end."""
        end = writes.Page(self.run_id, self.dataset, self.scope, "", 0, "", 0, 0, 0, 0, "", "", now)
        writes.enter(connection, [end])
        self._marked = True
        return [end]

    def _keep(self, connection: Connection, items: Sequence[_Item], now: datetime) -> list[writes.Page]:
        """Write the rows of some pages and enter the pages, in one transaction."""
        fresh = self._rows(connection, items, now)
        self.store.reached("rows")
        pages = [self._page(item, fresh.get(index, 0), now) for index, item in enumerate(items)]
        writes.enter(connection, pages)
        self.store.reached("ledger")
        aside = [
            {
                "dataset": self.dataset,
                "run_id": self.run_id,
                "request_id": item.request_id,
                "reason": reason,
                "raw": raw,
                "time": now,
            }
            for item in items
            for raw, reason in item.decoded.refused
        ]
        writes.put_aside(connection, aside)
        found = [item.body for item in items if item.body is not None]
        bodies.keep(connection, (self.run_id, self.dataset, self.scope), found, now)
        return pages

    def _rows(self, connection: Connection, items: Sequence[_Item], now: datetime) -> dict[int, int]:
        """Write every table's rows; how many rows of the counted table each page brought."""
        counted: dict[int, int] = {}
        for position in range(max(len(item.decoded.parts) for item in items)):
            chosen = [
                (index, item.decoded.parts[position])
                for index, item in enumerate(items)
                if position < len(item.decoded.parts)
            ]
            part = chosen[0][1]
            stamp = {"run_id": pl.lit(self.run_id), "seen_at": pl.lit(now, pl.Datetime("us", "UTC"))}
            rows = pl.concat(
                [made.frame.with_columns(page_index=pl.lit(index, pl.Int64), **stamp) for index, made in chosen]
            )
            fresh = self._store(connection, part, rows)
            if position == 0:
                counted = dict(rows.filter(fresh).group_by("page_index").len().iter_rows())
        return counted

    def _store(self, connection: Connection, part: Part, rows: pl.DataFrame) -> pl.Series:
        fresh = _fresh(connection, part, rows, self.run_id)
        plain = rows.drop("page_index")
        if part.refresh:
            writes.upsert(connection, part.table, part.keys, plain)
        else:
            writes.insert(connection, part.table, plain.filter(fresh))
        return fresh

    def _page(self, item: _Item, stored: int, now: datetime) -> writes.Page:
        decoded = item.decoded
        left = decoded.received - len(decoded.refused) - stored
        return writes.Page(
            self.run_id, self.dataset, self.scope, item.walk.name, item.page, item.cursor,
            decoded.received, stored, left, len(decoded.refused), item.sha256, item.request_id, now,
        )  # fmt: skip

    def _count(self, pages: Sequence[writes.Page]) -> None:
        now = self.done
        self.done = replace(
            now,
            pages=now.pages + len(pages),
            received=now.received + sum(page.received for page in pages),
            stored=now.stored + sum(page.stored for page in pages),
            duplicate=now.duplicate + sum(page.duplicate for page in pages),
            quarantined=now.quarantined + sum(page.quarantined for page in pages),
        )
        self.progress.advance(sum(page.received for page in pages))


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _fresh(connection: Connection, part: Part, rows: pl.DataFrame, run_id: str) -> pl.Series:
    """Which rows are the first of their key: in this run where known rows are refreshed, ever where they are left as they are."""
    keys = list(part.keys)
    first = rows.select(pl.struct(keys).is_first_distinct().alias("fresh")).to_series()
    if not rows.height:
        return first
    where, bounds = ("known.run_id = ?", [run_id]) if part.refresh else ("TRUE", [])
    if part.within and rows.get_column(part.within).null_count() == 0:
        where, bounds = (
            f"{where} AND known.{part.within} BETWEEN ?::TIMESTAMPTZ - {writes.NEAR} AND ?::TIMESTAMPTZ + {writes.NEAR}",
            [*bounds, *rows.select(pl.min(part.within), pl.max(part.within).alias("to")).row(0)],
        )
    connection.register("wanted", Arrow(rows.select(keys)))
    named = ", ".join(f"known.{key}" for key in keys)
    on = " AND ".join(f"known.{key} = wanted.{key}" for key in keys)
    known = fetch(
        connection, f"SELECT DISTINCT {named} FROM {part.table} AS known SEMI JOIN wanted ON {on} WHERE {where}", bounds
    )
    connection.unregister("wanted")
    if not known.height:
        return first
    joined = rows.select(keys).join(
        known.with_columns(held=pl.lit(value=True)), on=keys, how="left", maintain_order="left"
    )
    return first & joined.get_column("held").is_null()
