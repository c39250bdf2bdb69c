"""Tables of the store as files for other tools: a Parquet lake that is kept up to date, or one CSV file.

Parquet: `<folder>/<dataset>/date=2026-11-22/series=KXHIGHNY/<dataset>.parquet`, as Hive, Spark, DuckDB and Polars read it, sorted by
ticker and time, zstd, exact decimals, UTC times; markets and events by series alone, what has neither as one file. A partition is
written again when what the store holds of it has changed: its rows are counted and their hashes summed, which `_partitions.json`
remembers. The store's own notes (run_id, seen_at) stay behind.
"""

from __future__ import annotations

import asyncio
import io
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl
import polars.selectors as cs
from filelock import FileLock, Timeout

from kalshi_lab.errors import StoreError, UsageError, one_of
from kalshi_lab.store import files
from kalshi_lab.store.versions import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from kalshi_lab.store.store import Store

AT_ONCE = 500_000  # rows in memory
NOTES = "_partitions.json"
NOWHERE = "__HIVE_DEFAULT_PARTITION__"  # Hive's own name for the partition of null
FORMATS = ("parquet", "csv")
# the time by which a dataset is cut into days, and what else its rows are sorted by
TIMED = {
    "trades": ("created_time", "trade_id"), "candlesticks": ("end_time", "interval_minutes"), "quotes": ("time", "scope"),
    "results": ("close_time", "ticker"), "ticks": ("time", "frame"), "book_changes": ("time", "frame"), "lifecycle": ("time", "frame"),
}  # fmt: skip
PLACED = {"markets": "ticker", "events": "event_ticker"}  # no time, but a series
WROTE: dict[str, Any] = {"file": pl.String, "rows": pl.Int64, "bytes": pl.Int64}
TICKED = "coalesce(markets.series_ticker, events.series_ticker, split_part(coalesce(markets.event_ticker, kept.ticker), '-', 1))"
SERIES = dict.fromkeys(TIMED, TICKED) | {
    "markets": "coalesce(kept.series_ticker, events.series_ticker, split_part(kept.event_ticker, '-', 1))",
    "events": "coalesce(kept.series_ticker, split_part(kept.event_ticker, '-', 1))",
}
MARKETS = (
    "LEFT JOIN markets ON markets.ticker = kept.ticker LEFT JOIN events ON events.event_ticker = markets.event_ticker"
)
JOINED = dict.fromkeys(TIMED, MARKETS) | {"markets": "LEFT JOIN events ON events.event_ticker = kept.event_ticker"}
DANGEROUS = r"^[=+\-@\t\r]"  # how a text begins that a spreadsheet would run (CWE-1236)
TIDY = "[A-Za-z0-9][A-Za-z0-9._-]{0,99}"  # a series that can stand in a path
_TIME = "%Y-%m-%dT%H:%M:%S%.6fZ"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A dataset and what of it: the days from `since` to before `until`, one series."""

    dataset: str
    since: datetime | None = None
    until: datetime | None = None
    series: str | None = None


class Partition(msgspec.Struct, frozen=True):
    """One file of a lake: the folders that lead to it, and how many rows with which hashes it holds."""

    place: str
    rows: int
    digest: str

    @property
    def day(self) -> str | None:
        """The day of its rows, where they have one."""
        first = self.place.split("/")[0].removeprefix("date=")
        return None if first == NOWHERE or first.startswith("series=") else first


def chosen(dataset: str, since: datetime | None, until: datetime | None, series: str | None) -> Chosen:
    """A dataset and what of it, checked: a table, with bounds of time where it has a time. Raises UsageError."""
    one_of("dataset", dataset, TABLES)
    if dataset not in TIMED and (since or until):
        raise UsageError(f"{dataset} has no time to choose by", hint=f"since and until go with {', '.join(TIMED)}")
    if dataset not in SERIES and series:
        raise UsageError(f"{dataset} has no series to choose by", hint=f"series goes with {', '.join(SERIES)}")
    return Chosen(dataset, since, until, series)


async def export(store: Store, path: Path, what: Chosen, form: str) -> pl.DataFrame:
    """Write a dataset; the files that were written, with their rows and bytes."""
    if one_of("format", form, FORMATS) == "csv":
        return await _csv(store, path, what)
    if what.dataset in SERIES:
        return await _lake(store, path, what)
    return await _single(store, path, what)


async def _lake(store: Store, path: Path, what: Chosen) -> pl.DataFrame:
    """Write the partitions that differ from those that are there; whole days, so that no file ever holds a part of one."""
    what = Chosen(what.dataset, midnight(what.since), midnight(what.until, up=True), what.series)
    source = await _source(store, what)
    held = [Partition(*row) for row in (await store.read(_partitions(source), source.bounds)).rows()]
    folder = files.make_folders(path, what.dataset)
    wrote: list[tuple[str, int, int]] = []
    with alone(folder):
        files.sweep(folder)
        notes = _noted(folder / NOTES)
        wanted = [one for one in held if notes.get(one.place) != one or not _file(folder / one.place, what).is_file()]
        for batch in _batches(wanted):
            rows = await store.read(_rows_of(source, batch), [*source.bounds, [one.place for one in batch]])
            wrote += await asyncio.to_thread(_write, folder, what, rows)
            notes |= {one.place: one for one in batch}
            files.publish(folder / NOTES, msgspec.json.encode(notes))
    return pl.DataFrame(wrote, schema=WROTE, orient="row")


def _write(folder: Path, what: Chosen, rows: pl.DataFrame) -> list[tuple[str, int, int]]:
    wrote = []
    for part in rows.partition_by("_place", maintain_order=True):
        target = _file(files.make_folders(folder, *part.item(0, "_place").split("/")), what)
        data = parquet(part.drop("_place"))
        files.publish(target, data)
        wrote.append((str(target), part.height, len(data)))
    return wrote


def _file(folder: Path, what: Chosen) -> Path:
    return folder / f"{what.dataset}.parquet"


async def _single(store: Store, path: Path, what: Chosen) -> pl.DataFrame:
    """Write a dataset that has no time and no series as one file; nothing where the same stands there."""
    source = await _source(store, what)
    rows = await store.read(f"SELECT * EXCLUDE (_place) FROM ({source.sql}) ORDER BY ALL", source.bounds)
    target, data = _file(files.make_folders(path, what.dataset), what), parquet(rows)
    if target.is_file() and target.read_bytes() == data:
        return pl.DataFrame(schema=WROTE)
    files.publish(target, data)
    return pl.DataFrame([(str(target), rows.height, len(data))], schema=WROTE, orient="row")


async def _csv(store: Store, path: Path, what: Chosen) -> pl.DataFrame:
    """Write a dataset as one CSV file, day by day, within a day by series, ticker and time."""
    source = await _source(store, what)
    held = [Partition(*row) for row in (await store.read(_partitions(source), source.bounds)).rows()]
    files.make_folders(path.parent)
    total = 0
    with files.writing(path) as file:
        file.write(csv(await store.read(_rows_of(source, []), [*source.bounds, []]), header=True))
        for batch in _batches(held):
            rows = await store.read(_rows_of(source, batch), [*source.bounds, [one.place for one in batch]])
            file.write(csv(rows))
            total += rows.height
        size = file.tell()
    return pl.DataFrame([(str(path), total, size)], schema=WROTE, orient="row")


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of a dataset as SQL with the bounds $1, $2 and $3, each with its place in a lake; their columns, order and time."""

    sql: str
    bounds: Sequence[Any]
    columns: Sequence[str]
    order: str
    time: str | None


async def _source(store: Store, what: Chosen) -> Source:
    """The rows chosen, without the store's own notes."""
    columns = (await store.read(f"SELECT * FROM {what.dataset} LIMIT 0")).columns
    if "seen_at" in columns:
        columns = [name for name in columns if name not in {"run_id", "seen_at"}]
    time, key = TIMED.get(what.dataset, (None, PLACED.get(what.dataset)))
    series, when = SERIES.get(what.dataset, "NULL::VARCHAR"), f"kept.{time}" if time else "NULL::TIMESTAMPTZ"
    tidy = f"CASE WHEN regexp_full_match({series}, '{TIDY}') THEN {series} ELSE '{NOWHERE}' END"
    day = f"'date=' || coalesce(strftime({when}, '%Y-%m-%d'), '{NOWHERE}') || '/' || " if time else ""
    sql = f"""
SELECT {", ".join(f'kept."{name}"' for name in columns)}, {day}'series=' || {tidy} AS _place
FROM {what.dataset} AS kept {JOINED.get(what.dataset, "")}
WHERE ($1::TIMESTAMPTZ IS NULL OR {when} >= $1) AND ($2::TIMESTAMPTZ IS NULL OR {when} < $2) AND ($3::VARCHAR IS NULL OR {series} = $3)
"""
    order = ", ".join(["_place", "ticker", time, str(key)] if time else ["_place", key or "ALL"])
    return Source(sql, [what.since, what.until, what.series], columns, order if key else "ALL", time)


def _partitions(source: Source) -> str:
    hashed = ", ".join(f'"{name}"' for name in source.columns)
    return f"SELECT _place, count(*), sum(hash({hashed}))::VARCHAR FROM ({source.sql}) GROUP BY _place ORDER BY _place"


def _rows_of(source: Source, batch: Sequence[Partition]) -> str:
    """The rows of some partitions ($4), in order; their days are named too, so that only that stretch of the table is read."""
    days, near = [one.day for one in batch if one.day], ""
    if source.time and days and len(days) == len(batch):
        after = datetime.fromisoformat(max(days)) + timedelta(days=1)
        near = f" AND {source.time} >= '{min(days)} 00:00:00+00' AND {source.time} < '{after:%Y-%m-%d} 00:00:00+00'"
    return f"SELECT * FROM ({source.sql}) WHERE list_contains($4, _place){near} ORDER BY {source.order}"


def _batches(partitions: Sequence[Partition]) -> Iterator[list[Partition]]:
    """Partitions in order, so many together as fit into memory; those without a day apart."""
    batch: list[Partition] = []
    rows = 0
    for one in partitions:
        if batch and (rows + one.rows > AT_ONCE or (one.day is None) != (batch[0].day is None)):
            yield batch
            batch, rows = [], 0
        batch.append(one)
        rows += one.rows
    if batch:
        yield batch


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One export at a time into a folder. Raises StoreError where another is at work."""
    lock = FileLock(folder / ".export.lock", timeout=0, mode=0o600, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise StoreError(f"another export is writing to {folder}", hint="Try again when it is done") from None
    try:
        yield
    finally:
        lock.release()


def _noted(path: Path) -> dict[str, Partition]:
    """What the partitions held when they were written. Raises StoreError where that cannot be read; it is left as it is."""
    if not path.exists():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Partition])
    except (msgspec.DecodeError, OSError) as error:
        raise StoreError(
            f"{path} cannot be read: {str(error)[:100]}", hint="Delete it, and everything is exported anew"
        ) from None


def parquet(rows: pl.DataFrame, *, group: int | None = None) -> bytes:
    """A frame as a Parquet file, in groups of so many rows."""
    held = io.BytesIO()
    rows.write_parquet(held, compression="zstd", statistics=True, row_group_size=group)
    return held.getvalue()


def csv(rows: pl.DataFrame, *, header: bool = False) -> bytes:
    """Rows as CSV: times as ISO text in UTC, lists in one cell, bytes as base64, and no text that a spreadsheet would run."""
    text = rows.drop("_place").with_columns(
        cs.datetime().dt.strftime(_TIME),
        cs.by_dtype(pl.List(pl.String)).list.join(" "),
        cs.binary().bin.encode("base64"),
    )
    return safe(text).write_csv(include_header=header, quote_style="non_numeric").encode()


def safe(rows: pl.DataFrame) -> pl.DataFrame:
    """The same frame with an apostrophe before each text that a spreadsheet would take for a formula; numbers are as they were."""
    text = [name for name, dtype in rows.schema.items() if dtype == pl.String]
    risky = {name: pl.col(name).str.contains(DANGEROUS) for name in text}
    return rows.with_columns(pl.when(risky[name]).then("'" + pl.col(name)).otherwise(name).alias(name) for name in text)


def midnight(time: datetime | None, *, up: bool = False) -> datetime | None:
    """The beginning of a day, at the time or the next one."""
    if time is None:
        return None
    day = time.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=1) if up and day < time else day
