"""The SQLite file of the command-line tool that this library replaces, whole.

Every row of every table is kept as JSON in `imported`, under its own hash, so that a second import adds nothing. What has a table here
goes there too: events and markets fill what is not known yet and change nothing that is, settlements become results, and price
snapshots become change-only quotes under their own scope. Its times are naive and mean UTC; its prices are whole cents; an event whose
title is its ticker was a placeholder; settled_at fell back to the expiration, and where it equals that it is not taken for the
settlement; mutually_exclusive was thrown away and stored as false. Own fills are no public trades and stay in `imported`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import polars as pl

from kalshi_lab.errors import UsageError
from kalshi_lab.store import legacy_rows, writes
from kalshi_lab.store.archive import IMPORTED
from kalshi_lab.store.arrow import Arrow
from kalshi_lab.store.connection import fetch
from kalshi_lab.store.legacy_rows import QUOTED, TIME, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from kalshi_lab.store.connection import Connection
    from kalshi_lab.store.store import Store

NEEDED = {
    "events": {"ticker", "series_ticker", "title"},
    "markets": {"ticker", "event_ticker", "title", "status", "open_time", "close_time", "expiration_time"},
    "price_snapshots": {"ticker", "snapshot_time", "yes_bid", "yes_ask"},
    "settlements": {"ticker", "event_ticker", "settled_at", "result"},
}
SCOPE = '{"imported": "price_snapshots"}'
RUN = "imported"
AT_ONCE = 20_000  # rows in one transaction


SETTLED = """SELECT settlements.*, markets.close_time AS close_time, markets.expiration_time AS expiration_time
FROM settlements LEFT JOIN markets ON markets.ticker = settlements.ticker"""
LOOKS = "SELECT * FROM price_snapshots ORDER BY snapshot_time"


@dataclass(frozen=True, slots=True)
class Home:
    """A table of the file that has one here: which, by which key, and how its rows are read."""

    name: str
    source: str
    table: str
    key: str
    read: Callable[[Row], Row]
    schema: dict[str, Any]


HOMES = (
    Home("events", "events", "events", "event_ticker", legacy_rows.event, legacy_rows.EVENTS),
    Home("markets", "markets", "markets", "ticker", legacy_rows.market, legacy_rows.MARKETS),
    Home("settlements", SETTLED, "results", "ticker", legacy_rows.result, legacy_rows.RESULTS),
)


@dataclass(slots=True)
class Count:
    """What became of the rows of a table: received = stored + duplicate + quarantined."""

    received: int = 0
    stored: int = 0
    quarantined: int = 0

    def row(self, table: str, into: str) -> tuple[Any, ...]:
        """As it is told."""
        left = self.received - self.stored - self.quarantined
        return table, into, self.received, self.stored, left, self.quarantined


@dataclass(slots=True)
class Looks:
    """What the last look at the prices found, from which the next one's changes are told."""

    time: datetime | None = None
    quotes: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=QUOTED))


async def import_sqlite(store: Store, path: Path, now: datetime) -> pl.DataFrame:
    """Bring the file in; for each of its tables what became of its rows. Raises UsageError where it is no such file."""
    source = await asyncio.to_thread(_opened, path)
    with closing(source):
        try:
            return await _import(store, source, now)
        except sqlite3.Error as error:
            raise UsageError(
                f"{path} cannot be read to its end: {error}", hint="Repair it with sqlite3's .recover"
            ) from None


async def _import(store: Store, source: sqlite3.Connection, now: datetime) -> pl.DataFrame:
    told = []
    for table in _tables(source):
        done = await _each(store, _rows(source, table), partial(_keep_whole, table=table, now=now))
        told.append(done.row(table, "imported"))
    for home in HOMES:
        done = await _each(store, _rows(source, home.source), partial(_refer, home=home, now=now))
        told.append(done.row(home.name, home.table))
    looks = partial(_quotes, looks=Looks(), now=now)
    done = await _each(store, _rows(source, LOOKS), looks, whole=lambda row: row["snapshot_time"])
    told.append(done.row("price_snapshots", "quotes"))
    return pl.DataFrame(told, schema=IMPORTED, orient="row")


def _opened(path: Path) -> sqlite3.Connection:
    """The file, read-only, in one transaction. Raises UsageError that says what it lacks."""
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    source = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, check_same_thread=False, isolation_level=None
    )
    source.row_factory = sqlite3.Row
    source.text_factory = lambda text: text.decode("utf-8", "replace")
    try:
        source.execute("BEGIN")
        held = {table: {row["name"] for row in source.execute(f'PRAGMA table_info("{table}")')} for table in NEEDED}
    except sqlite3.Error as error:
        source.close()
        raise UsageError(f"{path} is no SQLite database that can be read: {error}") from None
    lacks = [f"table {table}" for table in NEEDED if not held[table]]
    lacks += [
        f"column {table}.{name}" for table in NEEDED if held[table] for name in sorted(NEEDED[table] - held[table])
    ]
    if lacks:
        source.close()
        raise UsageError(f"{path} is not the file of the earlier tool: it has no {', no '.join(lacks)}")
    return source


def _tables(source: sqlite3.Connection) -> list[str]:
    """The tables that hold data: not SQLite's own, nor those of a text index."""
    found = source.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    indexes = tuple(f"{row['name']}_" for row in found if str(row["sql"]).upper().startswith("CREATE VIRTUAL"))
    plain = [row["name"] for row in found if not str(row["sql"]).upper().startswith("CREATE VIRTUAL")]
    return [name for name in plain if not name.startswith(("sqlite_", *indexes))]


def _rows(source: sqlite3.Connection, table: str) -> Iterator[Row]:
    """The rows of a table, or of the query that stands for it."""
    name = table.replace('"', '""')
    return (dict(row) for row in source.execute(table if table.startswith("SELECT") else f'SELECT * FROM "{name}"'))


async def _each(
    store: Store,
    rows: Iterator[Row],
    keep: Callable[[Connection, list[Row]], Count],
    whole: Callable[[Row], object] | None = None,
) -> Count:
    """Keep rows, some in each transaction; rows with the same `whole` are never parted."""
    total = Count()
    packs = _packs(rows, whole)
    while batch := await asyncio.to_thread(next, packs, None):
        done = await store.write(_on(keep, batch))
        total.received += len(batch)
        total.stored += done.stored
        total.quarantined += done.quarantined
    return total


def _on(keep: Callable[[Connection, list[Row]], Count], rows: list[Row]) -> Callable[[Connection], Count]:
    return lambda connection: keep(connection, rows)


def _packs(rows: Iterator[Row], whole: Callable[[Row], object] | None) -> Iterator[list[Row]]:
    groups: Iterable[list[Row]] = (
        ([row] for row in rows) if whole is None else (list(group) for _, group in groupby(rows, key=whole))
    )
    batch: list[Row] = []
    for group in groups:
        batch += group
        if len(batch) >= AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _keep_whole(connection: Connection, rows: list[Row], *, table: str, now: datetime) -> Count:
    """Keep rows as they are, as JSON, under the hash of that."""
    text = [json.dumps(row, ensure_ascii=False, sort_keys=True, default=_bytes) for row in rows]
    keys = [hashlib.sha256(one.encode("utf-8", "surrogatepass")).hexdigest()[:32] for one in text]
    frame = pl.DataFrame({"key": keys, "row": text}).with_columns(
        source=pl.lit("sqlite"), name=pl.lit(table), time=pl.lit(now, TIME)
    )
    return Count(len(rows), writes.insert_new(connection, "imported", ["source", "name", "key"], frame))


def _bytes(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _refer(connection: Connection, rows: list[Row], *, home: Home, now: datetime) -> Count:
    """Add the rows that are not known, and to those that are what is not known of them; what cannot be read is put aside."""
    good, bad = _sorted(rows, home.read)
    frame = pl.DataFrame(good, schema=home.schema, orient="row").with_columns(run_id=pl.lit(RUN))
    frame = frame.unique(home.key, keep="last", maintain_order=True)
    connection.register("incoming", Arrow(frame))
    new = fetch(connection, f"SELECT count(*) FROM incoming ANTI JOIN {home.table} USING ({home.key})").item()
    known = ", ".join(f"{name} = coalesce(held.{name}, incoming.{name})" for name in home.schema if name != home.key)
    connection.execute(
        f"MERGE INTO {home.table} AS held USING incoming ON held.{home.key} = incoming.{home.key}"
        f" WHEN MATCHED THEN UPDATE SET {known} WHEN NOT MATCHED THEN INSERT BY NAME"
    )
    connection.unregister("incoming")
    _put_aside(connection, home.table, bad, now)
    return Count(len(rows), new, len(bad))


def _sorted(rows: list[Row], read: Callable[[Row], Row]) -> tuple[list[Row], list[tuple[Row, str]]]:
    """The rows as they are read, and those that cannot be, with the reason."""
    good, bad = [], []
    for row in rows:
        try:
            good.append(read(row))
        except (ValueError, TypeError) as error:
            bad.append((row, str(error)))
    return good, bad


def _put_aside(connection: Connection, dataset: str, bad: list[tuple[Row, str]], now: datetime) -> None:
    """Quarantine rows that are not there from an import before."""
    if not bad:
        return
    held = fetch(connection, "SELECT raw FROM quarantine WHERE dataset = $1 AND run_id = $2", [dataset, RUN])
    known = set(held.get_column("raw").to_list())
    stamp = {"dataset": dataset, "run_id": RUN, "request_id": "", "time": now}
    raws = [(json.dumps(row, ensure_ascii=False, sort_keys=True, default=_bytes), reason) for row, reason in bad]
    writes.put_aside(connection, [stamp | {"reason": reason, "raw": raw} for raw, reason in raws if raw not in known])


def _quotes(connection: Connection, rows: list[Row], *, looks: Looks, now: datetime) -> Count:
    """Keep looks at the prices as changes; looks that were kept by an import before are left as they are."""
    good, bad = _sorted(rows, legacy_rows.quote)
    _put_aside(connection, "quotes", bad, now)
    frame = pl.DataFrame(good, schema={"time": TIME, **QUOTED}, orient="row").unique(
        ["time", "ticker"], keep="last", maintain_order=True
    )
    known = set(fetch(connection, "SELECT time FROM snapshots WHERE scope = $1", [SCOPE]).get_column("time"))
    changes, seen = [], []
    for (time,), look in frame.group_by("time", maintain_order=True):
        made, row = _look(looks, time, look.drop("time"))
        if time not in known:
            changes.append(made)
            seen.append(row)
    if seen:
        kept = pl.concat(changes).with_columns(scope=pl.lit(SCOPE))
        writes.insert(connection, "quotes", kept)
        writes.insert(connection, "snapshots", pl.DataFrame(seen).cast({"time": TIME}))
    stored = sum(int((~made.get_column("gone")).sum()) for made in changes)
    return Count(len(rows), stored, len(bad))


def _look(looks: Looks, time: datetime, look: pl.DataFrame) -> tuple[pl.DataFrame, Row]:
    """One look: the quotes that differ from the last look's, all of them on a day's first, and the markets that are gone since."""
    keyframe = looks.time is None or looks.time.date() != time.date()
    changed = look if keyframe else look.join(looks.quotes, on=list(QUOTED), how="anti", nulls_equal=True)
    left = looks.quotes.join(look, on="ticker", how="anti").select("ticker")
    looks.time, looks.quotes = time, look
    made = pl.concat(
        [changed.with_columns(gone=pl.lit(value=False)), left.with_columns(gone=pl.lit(value=True))], how="diagonal"
    )
    row = {
        "time": time,
        "scope": SCOPE,
        "markets": look.height,
        "changed": changed.height,
        "complete": True,
        "keyframe": keyframe,
    }
    return made.with_columns(time=pl.lit(time, TIME)).sort("ticker"), row | {"run_id": RUN}
