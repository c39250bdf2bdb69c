"""A whole store as one portable file, and such a file as a new store.

The file is a zip of Parquet files (stored, since they are compressed already) and a manifest: the version of the schema, the rows of
each table, the SHA-256 of each file. A backup is the database file itself and quicker; an archive can be read by anything and by every
later version. The search index is left out: it is made again.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import zipfile
from contextlib import contextmanager
from datetime import datetime  # noqa: TC003 - msgspec reads the annotation
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from kalshi_lab.errors import StoreCorrupt, UsageError
from kalshi_lab.store import files, writes
from kalshi_lab.store.connection import fetch
from kalshi_lab.store.export import parquet
from kalshi_lab.store.versions import SCHEMAS, TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kalshi_lab.store.connection import Connection
    from kalshi_lab.store.store import Store

FORMAT = "kalshi_lab archive 1"
MANIFEST = "manifest.json"
AT_ONCE = 500_000  # rows in memory
IMPORTED: dict[str, Any] = {
    "table": pl.String, "into": pl.String, "received": pl.Int64, "stored": pl.Int64, "duplicate": pl.Int64, "quarantined": pl.Int64,
}  # fmt: skip
TOLD: dict[str, Any] = {"table": pl.String, "rows": pl.Int64, "bytes": pl.Int64}
DAMAGE = (zipfile.BadZipFile, msgspec.DecodeError, EOFError, KeyError, ValueError, pl.exceptions.PolarsError)


class Part(msgspec.Struct, frozen=True):
    """One file of an archive."""

    name: str
    rows: int
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What an archive holds."""

    format: str
    schema_version: int
    made_at: datetime
    tables: dict[str, list[Part]]


async def archive(store: Store, path: Path, now: datetime) -> pl.DataFrame:
    """Write all tables, as they are at one moment, into one file; what it holds."""

    def work(connection: Connection) -> dict[str, list[Part]]:
        if path.is_dir():
            raise UsageError(f"{path} is a folder", hint="Give the name of a file, such as kalshi.zip")
        files.make_folders(path.parent)
        with files.writing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as made:
            tables = {table: [_put(made, name, rows) for name, rows in _read(connection, table)] for table in TABLES}
            made.writestr(MANIFEST, msgspec.json.encode(Manifest(FORMAT, len(SCHEMAS), now, tables)))
        return tables

    tables = await store.look(work)
    told = [
        (table, sum(part.rows for part in parts), sum(part.size for part in parts)) for table, parts in tables.items()
    ]
    return pl.DataFrame(told, schema=TOLD, orient="row")


def _read(connection: Connection, table: str) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rows of a table in the order in which they were written, a part at a time; an empty one has one part, too."""
    last = fetch(connection, f"SELECT coalesce(max(rowid), 0) FROM {table}").item()
    for number, start in enumerate(range(0, last + 1, AT_ONCE)):
        sql = f"SELECT * FROM {table} WHERE rowid >= {start} AND rowid < {start + AT_ONCE} ORDER BY rowid"
        yield f"{table}/{number:06d}.parquet", fetch(connection, sql)


def _put(made: zipfile.ZipFile, name: str, rows: pl.DataFrame) -> Part:
    data = parquet(rows)
    made.writestr(name, data)
    return Part(name, rows.height, len(data), hashlib.sha256(data).hexdigest())


async def unarchive(store: Store, path: Path) -> pl.DataFrame:
    """Fill a store that holds nothing with what an archive holds, all of it or nothing; every hash is checked before.

    Raises StoreCorrupt for a damaged archive, UsageError for what is none, is of a newer version, or where the store holds something.
    """

    def work(connection: Connection) -> None:
        with _opened(path) as held:
            _fill(connection, held, manifest)

    manifest = await asyncio.to_thread(_checked, path)
    await store.write(work)
    told = [(table, sum(part.rows for part in parts)) for table, parts in manifest.tables.items()]
    return pl.DataFrame([(table, table, rows, rows, 0, 0) for table, rows in told], schema=IMPORTED, orient="row")


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """An archive to read. Raises StoreCorrupt where it is damaged."""
    try:
        with files.told(path), zipfile.ZipFile(path) as held:
            yield held
    except DAMAGE as error:
        if isinstance(error, UsageError):
            raise
        raise StoreCorrupt(
            f"the archive {path} is damaged: {str(error)[:200]}", hint="Nothing was written; use another copy"
        ) from None


def _checked(path: Path) -> Manifest:
    """What an archive holds, once every file in it was read and is what it should be."""
    with _opened(path) as held:
        manifest = _manifest(path, held)
        for part in (part for parts in manifest.tables.values() for part in parts):
            _part(held, part)
    return manifest


def _manifest(path: Path, held: zipfile.ZipFile) -> Manifest:
    """What the archive says that it holds. Raises UsageError where it is no archive, or none that this version knows."""
    if MANIFEST not in held.namelist():
        raise UsageError(f"{path} is no archive: it has no {MANIFEST}", hint="Give a file that lab.archive(...) wrote")
    manifest = msgspec.json.decode(held.read(MANIFEST), type=Manifest)
    if manifest.format != FORMAT or manifest.schema_version > len(SCHEMAS) or set(manifest.tables) - set(TABLES):
        raise UsageError(
            f"{path} was made by a newer version (schema {manifest.schema_version}, this one knows {len(SCHEMAS)})",
            hint="Update kalshi_lab",
        )
    return manifest


def _part(held: zipfile.ZipFile, part: Part) -> bytes:
    """A file of the archive, checked. Raises ValueError where it is not what the manifest says."""
    found = held.getinfo(part.name)
    if found.file_size != part.size or found.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{part.name} has {found.file_size} bytes, not {part.size}")
    data = held.read(found)
    if hashlib.sha256(data).hexdigest() != part.sha256:
        raise ValueError(f"{part.name} is not what was archived: its SHA-256 differs")
    return data


def _fill(connection: Connection, held: zipfile.ZipFile, manifest: Manifest) -> None:
    full = [table for table in TABLES if fetch(connection, f"SELECT count(*) FROM (FROM {table} LIMIT 1)").item()]
    if full:
        raise UsageError(
            f"the store is not empty: it has rows in {', '.join(full[:5])}",
            hint="Import into a lab with a new home=...",
        )
    for table, parts in manifest.tables.items():
        for part in parts:
            rows = pl.read_parquet(io.BytesIO(_part(held, part)))
            if writes.insert(connection, table, rows) != part.rows:
                raise ValueError(f"{part.name} has {rows.height} rows, not {part.rows}")
