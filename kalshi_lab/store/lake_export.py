"""Keeps a lake up to date with a store: what changed since the last time is written, each partition whole and checked.

A dataset to which the ledger and the table's own counts say that nothing happened is not read at all. Else the rows of each day are
counted and their hashes summed; a day that differs from `_partitions.json` is written to a file of its own, read back, counted and hashed
again, and takes its place at once. A day of which the store has fewer rows than the lake (it was pruned) stays as it is.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import duckdb
import msgspec
import polars as pl

from kalshi_lab.errors import StoreError, UsageError, one_of
from kalshi_lab.store.connection import fetch, quoted, told
from kalshi_lab.store.export import NOTES, NOWHERE, WROTE, midnight, parquet
from kalshi_lab.store.lake import DATASETS
from kalshi_lab.store.places import FILE, Version
from kalshi_lab.store.verify import keys

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from kalshi_lab.store.connection import Connection
    from kalshi_lab.store.lake import Lake
    from kalshi_lab.store.places import Place
    from kalshi_lab.store.store import Store

T = TypeVar("T")
AT_ONCE = 1_000_000  # rows in memory, or one day's
DAY_US = 86_400_000_000
LEFT_OUT = {"run_id", "seen_at"}  # the store's own notes: a row that was only seen again has not changed
GROUP = 100_000  # rows that a reader skips or reads together
# a store of an earlier time has no rows of `pruned` or of the ledger: all the same a state
STATE = """
SELECT concat_ws(' ', kept.n, kept.last, kept.seen, told.n, told.stored, told.quarantined, told.last, gone.n) AS state
FROM (SELECT count(*) AS n, max(rowid) AS last, {seen} AS seen FROM {dataset}) AS kept,
     (SELECT count(*) AS n, sum(stored) AS stored, sum(quarantined) AS quarantined, max(time) AS last FROM ledger) AS told,
     (SELECT count(*) AS n FROM pruned) AS gone
"""


class Part(msgspec.Struct, frozen=True):
    """A partition: how many rows with which hashes it holds."""

    rows: int
    digest: str


class Notes(msgspec.Struct):
    """What an owner's folder holds of a dataset, and how the store stood then."""

    columns: list[str] = []
    state: str = ""
    parts: dict[str, Part] = {}


class Asked(NamedTuple):
    """Which datasets, of which days."""

    datasets: tuple[str, ...]
    since: datetime | None
    until: datetime | None


def asked(datasets: Sequence[str] | None, since: datetime | None, until: datetime | None) -> Asked:
    """What to export, checked. Raises UsageError."""
    chosen = tuple(one_of("dataset", one, DATASETS) for one in (DATASETS if datasets is None else datasets))
    if not chosen:
        raise UsageError("no dataset was named", hint=f"A lake holds {', '.join(DATASETS)}")
    return Asked(chosen, midnight(since), midnight(until, up=True))


async def export(store: Store, lake: Lake, what: Asked) -> pl.DataFrame:
    """Bring a lake up to date; the files that were written, with their rows and bytes."""
    wrote: list[tuple[str, int, int]] = []
    for dataset in what.datasets:
        below = f"{dataset}/owner={lake.owner}"
        async with _alone(lake.place, below):
            wrote += await _Export(store, lake.place, below, dataset, what).run()
    return pl.DataFrame(wrote, schema=WROTE, orient="row")


@asynccontextmanager
async def _alone(place: Place, below: str) -> AsyncIterator[None]:
    """As the place's own `alone`, in a thread: the lock of a bucket is a request."""
    held = ExitStack()
    entered = asyncio.ensure_future(asyncio.to_thread(held.enter_context, place.alone(below)))
    try:
        await asyncio.shield(entered)
        yield
    finally:  # who was stopped on the way in may get the lock yet, and gives it back
        await asyncio.wait([entered])
        await asyncio.to_thread(held.close)
        entered.cancelled() or entered.exception()


class _Export:
    """One dataset of one owner."""

    def __init__(self, store: Store, place: Place, below: str, dataset: str, what: Asked) -> None:
        self._store, self._place, self._below, self._dataset, self._what = store, place, below, dataset, what
        self._time = DATASETS[dataset]
        self._notes, self._there = Notes(), dict[str, Version]()
        self._stopped = threading.Event()

    async def run(self) -> list[tuple[str, int, int]]:
        self._notes, self._there = await asyncio.to_thread(self._found)
        columns = (await self._store.read(f"SELECT * FROM {self._dataset} LIMIT 0")).columns
        hashed = [name for name in columns if name not in LEFT_OUT]
        seen = "max(seen_at)" if "seen_at" in columns else "NULL"
        state = (await self._store.read(STATE.format(seen=seen, dataset=self._dataset))).item()
        if state == self._notes.state and hashed == self._notes.columns and self._whole():
            return []
        if not self._notes.parts:
            self._notes.columns = hashed
        held = await self._held(hashed)
        wrote: list[tuple[str, int, int]] = []
        for batch in _batches([place for place in sorted(held) if self._differs(place, held[place], hashed)], held):
            rows = await self._store.read(*self._rows(batch, columns))
            wrote += await self._to_its_end(partial(self._write, rows, batch, held, hashed))
        everything = self._time is None or (self._what.since is None and self._what.until is None)
        self._notes.columns, self._notes.state = hashed, state if everything else ""
        await self._to_its_end(self._note)
        return wrote

    async def _to_its_end(self, work: Callable[[], T]) -> T:
        """Work in a thread. Who is stopped waits until the files at hand are written: the lock is held until then, and none is begun."""
        working = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            self._stopped.set()
            await asyncio.wait([working])
            working.cancelled() or working.exception()
            raise

    def _found(self) -> tuple[Notes, dict[str, Version]]:
        return _noted(self._place, self._name(NOTES)), self._place.parts(self._below)

    def _whole(self) -> bool:
        return all(self._name(place, FILE) in self._there for place in self._notes.parts)

    def _name(self, *names: str) -> str:
        """A file of the owner's, by its path in the lake."""
        return "/".join((self._below, *filter(None, names)))

    def _differs(self, place: str, held: Part, hashed: list[str]) -> bool:
        before = self._notes.parts.get(place)
        if before is None or self._name(place, FILE) not in self._there:
            return True
        pruned = self._time is not None and held.rows < before.rows
        return not pruned and (before != held or hashed != self._notes.columns)

    def _note(self) -> None:
        self._place.publish(self._name(NOTES), msgspec.json.encode(self._notes))

    async def _held(self, hashed: list[str]) -> dict[str, Part]:
        """What the store has of each partition."""
        names = ", ".join(f'"{name}"' for name in hashed)
        day = f"epoch_us({self._time}) // {DAY_US}" if self._time else "0"
        bounds = (
            f"WHERE ($1::TIMESTAMPTZ IS NULL OR {self._time} >= $1) AND ($2::TIMESTAMPTZ IS NULL OR {self._time} < $2)"
        )
        found = await self._store.read(
            f"SELECT {day} AS day, count(*) AS n, CAST(sum(hash({names})) AS VARCHAR) AS digest FROM {self._dataset} "
            f"{bounds if self._time else ''} GROUP BY day",
            [self._what.since, self._what.until] if self._time else [],
        )
        return {_place(day) if self._time else "": Part(n, digest) for day, n, digest in found.iter_rows()}

    def _rows(self, batch: Sequence[str], columns: list[str]) -> tuple[str, list[datetime]]:
        """The rows of partitions that follow one another, in order; those without a day are alone in theirs."""
        order = [name for name in ("ticker", self._time, *keys()[self._dataset]) if name and name in columns]
        where, bounds = "", list[datetime]()
        if self._time and NOWHERE in batch[0]:
            where = f"WHERE {self._time} IS NULL"
        elif self._time:
            where, bounds = f"WHERE {self._time} >= $1 AND {self._time} < $2", [_day(batch[0]), _day(batch[-1], 1)]
        return f"SELECT * FROM {self._dataset} {where} ORDER BY {', '.join(dict.fromkeys(order)) or 'ALL'}", bounds

    def _write(
        self, rows: pl.DataFrame, batch: Sequence[str], held: dict[str, Part], hashed: list[str]
    ) -> list[tuple[str, int, int]]:
        dated = pl.lit(batch[0]) if len(batch) == 1 else pl.col(str(self._time)).dt.strftime("date=%Y-%m-%d")
        parts = rows.with_columns(_place=dated).partition_by(
            "_place", as_dict=True, maintain_order=True, include_key=False
        )
        ready = [one for one in batch if (part := parts.get((one,))) is not None and part.height == held[one].rows]
        wrote = []  # what is not ready went on meanwhile: the next export takes it
        with told(), duckdb.connect(":memory:") as checking, ThreadPoolExecutor(self._place.at_once) as several:
            checking.execute("SET GLOBAL TimeZone = 'UTC'")
            self._place.open_to(checking)
            made = several.map(lambda one: self._publish(one, parts[one,], checking, held[one], hashed), ready)
            for place, (target, size) in zip(ready, made, strict=True):
                self._notes.parts[place] = held[place]
                wrote.append((target, held[place].rows, size))
        self._note()
        return wrote

    def _publish(
        self, place: str, rows: pl.DataFrame, checking: Connection, wanted: Part, hashed: list[str]
    ) -> tuple[str, int]:
        """Write one partition; where, and its bytes."""
        if self._stopped.is_set():
            raise StoreError("the export was stopped", hint="What was written stands; export again")
        data = parquet(rows, group=GROUP)
        with checking.cursor() as own:
            check = partial(_check, own, hashed, wanted, place or self._dataset)
            return self._place.publish(self._name(place, FILE), data, check), len(data)


def _check(checking: Connection, hashed: list[str], wanted: Part, place: str, source: str) -> None:
    """Raise StoreError where a file that was written does not hold the rows that the store was asked for."""
    names = ", ".join(f'"{name}"' for name in hashed)
    sql = f"SELECT count(*), CAST(sum(hash({names})) AS VARCHAR) FROM read_parquet({quoted(source)}, hive_partitioning = false)"
    found = Part(*fetch(checking, sql).row(0))
    if found != wanted:
        said = f"{place} was not written: the file has {found.rows:,} rows with other hashes than the store's {wanted.rows:,}"
        raise StoreError(said, hint="Rows changed meanwhile, or the disk does not keep what it is given: export again")


def _batches(places: Sequence[str], held: dict[str, Part]) -> Iterator[list[str]]:
    """Days in order, so many together as fit into memory, none between them left out; those without a day apart."""
    batch: list[str] = []
    rows = 0
    for place in places:
        follows = (
            bool(batch) and NOWHERE not in place and NOWHERE not in batch[-1] and _day(batch[-1], 1) == _day(place)
        )
        if batch and (not follows or rows + held[place].rows > AT_ONCE):
            yield batch
            batch, rows = [], 0
        batch.append(place)
        rows += held[place].rows
    if batch:
        yield batch


def _place(day: int | None) -> str:
    return f"date={NOWHERE if day is None else datetime.fromtimestamp(day * 86_400, UTC).date()}"


def _day(place: str, more: int = 0) -> datetime:
    return datetime.fromisoformat(place.removeprefix("date=")).replace(tzinfo=UTC) + timedelta(days=more)


def _noted(place: Place, name: str) -> Notes:
    """What the owner had written. Raises StoreError where that cannot be read; it is left as it is."""
    text = place.read(name)
    if text is None:
        return Notes()
    try:
        return msgspec.json.decode(text, type=Notes)
    except msgspec.DecodeError as error:
        raise StoreError(
            f"{place}/{name} cannot be read: {str(error)[:100]}", hint="Delete it, and everything is exported anew"
        ) from None
