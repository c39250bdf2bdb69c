"""A whole store as one file, and that file as a store."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import stat
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl
import pytest

from kalshi_lab import DiskFull, Lab, StoreCorrupt, UsageError
from kalshi_lab.store import TABLES, Store, archive
from kalshi_lab.store.imports import import_file
from tests.export.samples import put

if TYPE_CHECKING:
    from pathlib import Path

    from kalshi_lab.sim import Exchange

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def table(store: Store, name: str) -> pl.DataFrame:
    return asyncio.run(store.table(name))


def counts(store: Store) -> dict[str, int]:
    sql = " UNION ALL ".join(f"SELECT '{name}', count(*) FROM {name}" for name in TABLES)
    return {name: count for name, count in asyncio.run(store.read(sql)).iter_rows() if count}


@pytest.fixture
def made(store: Store, tmp_path: Path) -> Path:
    """An archive of a store with bytes, lists and every kind of number."""
    put(store, "bodies", [{
        "run_id": "r", "dataset": "d", "scope": "s", "walk": "w", "page": 1, "request_id": "i", "path": "/p", "sha256": "x",
        "body": bytes(range(256)), "time": NOW,
    }])  # fmt: skip
    put(store, "recordings", [
        {"recording": "r", "channels": ["a", ""], "tickers": [], "started_at": NOW, "kept_until": NOW, "frames": 2**40},
    ])  # fmt: skip
    asyncio.run(archive.archive(store, tmp_path / "out" / "kalshi.zip", NOW))
    return tmp_path / "out" / "kalshi.zip"


def test_an_archive_makes_an_equal_store(exchange: Exchange, tmp_path: Path) -> None:
    """Every table is the same to the last digit, order and type, and what was told adds up; the sync goes on where it was."""
    with Lab("sim", base_url=exchange.url, home=tmp_path / "one") as lab:
        lab.sync("events", series="KXHIGHNY", nested=True, progress=False)
        few = lab.table("markets")["ticker"].to_list()[:3]
        lab.sync("trades", tickers=few, progress=False)
        lab.snapshot(series="KXHIGHNY", progress=False)
        lab.search("temperature")
        told = lab.archive(tmp_path / "kalshi.zip")
        with Lab("sim", base_url=exchange.url, home=tmp_path / "two") as other:
            done = other.import_file(tmp_path / "kalshi.zip")
            for name in ("ledger", "series", "theses", *counts(lab._twin.store)):
                one, two = lab.table(name, exact=True), other.table(name, exact=True)
                assert one.schema == two.schema, name
                assert one.equals(two), name
            assert {name: rows for name, rows in told.select("table", "rows").iter_rows() if rows} == counts(
                other._twin.store
            )
            assert counts(other._twin.store) == counts(lab._twin.store)
            assert dict(done.select("table", "stored").iter_rows()) == dict(told.select("table", "rows").iter_rows())
            assert other.search("temperature").equals(lab.search("temperature"))
            assert other.sync("trades", tickers=few, progress=False).stored == 0


def test_awkward_rows_come_back_as_they_were(made: Path, store: Store, tmp_path: Path) -> None:
    """Bytes, lists, nulls, accents and texts like formulas, in parts of any size."""
    other = Store(tmp_path / "new" / "kalshi.duckdb")
    asyncio.run(import_file(other, made, NOW))
    assert all(table(store, name).equals(table(other, name)) for name in counts(store))
    assert counts(other) == counts(store)
    assert table(other, "bodies").item(0, "body") == bytes(range(256))


def test_large_tables_are_kept_in_parts(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory holds a part at a time; deleted rows leave no hole in what is read."""
    monkeypatch.setattr(archive, "AT_ONCE", 2)
    asyncio.run(store.write(lambda connection: connection.execute("DELETE FROM trades WHERE trade_id = 't1'") and None))
    asyncio.run(archive.archive(store, tmp_path / "a.zip", NOW))
    with zipfile.ZipFile(tmp_path / "a.zip") as held:
        assert [name for name in held.namelist() if name.startswith("trades/")] == [
            f"trades/{n:06d}.parquet" for n in range(3)
        ]
    other = Store(tmp_path / "new" / "kalshi.duckdb")
    asyncio.run(import_file(other, tmp_path / "a.zip", NOW))
    assert table(other, "trades").equals(table(store, "trades"))


def test_a_store_that_holds_something_is_left_alone(made: Path, store: Store) -> None:
    """An archive is no merge: nothing is written where anything stands."""
    before = counts(store)
    with pytest.raises(UsageError, match="not empty: it has rows in bodies"):
        asyncio.run(import_file(store, made, NOW))
    assert counts(store) == before


def changed(path: Path, name: str, data: bytes | None) -> None:
    """The archive with one of its files replaced, or without it."""
    with zipfile.ZipFile(path) as held:
        files = {one: held.read(one) for one in held.namelist()}
    files.pop(name)
    with zipfile.ZipFile(path, "w") as made:
        for one, kept in (files | ({} if data is None else {name: data})).items():
            made.writestr(one, kept)


def other_rows() -> bytes:
    held = io.BytesIO()
    pl.DataFrame({"trade_id": ["forged"]}).write_parquet(held)
    return held.getvalue()


@pytest.mark.long
@pytest.mark.parametrize(
    "damage", ["cut", "flipped", "forged", "same size", "missing", "garbled manifest", "not parquet"]
)
def test_a_damaged_archive_writes_nothing(made: Path, tmp_path: Path, damage: str) -> None:
    """Every hash is checked before the first row is written; the archive itself is left as it is."""
    good = made.read_bytes()
    place = good.index(b"PAR1", good.index(b"trades/000000.parquet")) + 20
    if damage == "cut":
        made.write_bytes(good[: len(good) // 2])
    elif damage == "flipped":
        made.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
    elif damage == "garbled manifest":
        changed(made, archive.MANIFEST, b'{"format": 1')
    else:
        with zipfile.ZipFile(made) as held:
            same = held.read("trades/000000.parquet").replace(b"KXFED", b"KXFEX")
        data = {"forged": other_rows(), "same size": same, "not parquet": b"none", "missing": None}[damage]
        changed(made, "trades/000000.parquet", data)
        assert made.read_bytes() != good
    bad, other = made.read_bytes(), Store(tmp_path / "new" / "kalshi.duckdb")
    with pytest.raises(StoreCorrupt, match="Nothing was written"):
        asyncio.run(import_file(other, made, NOW))
    assert counts(other) == {}
    assert made.read_bytes() == bad


def test_what_is_no_archive_or_a_newer_one_is_told(made: Path, tmp_path: Path) -> None:
    """Another zip, another file, no file, a later version: each says what it is."""
    other = Store(tmp_path / "new" / "kalshi.duckdb")
    with zipfile.ZipFile(made) as held:
        manifest = msgspec.json.decode(held.read(archive.MANIFEST))
    changed(made, archive.MANIFEST, msgspec.json.encode(manifest | {"schema_version": 999}))
    (tmp_path / "x.txt").write_text("hello")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as some:
        some.writestr("a", "b")
    for path, said in (
        (made, "newer version"),
        (tmp_path / "x.txt", "neither"),
        (tmp_path / "none", "no file"),
        (tmp_path / "other.zip", "no archive"),
    ):
        with pytest.raises(UsageError, match=said):
            asyncio.run(import_file(other, path, NOW))


def test_a_file_is_read_from_wherever_it_lies(exchange: Exchange, made: Path, tmp_path: Path) -> None:
    """What is read may be named by a way upwards or a link, unlike what is written; a name that cannot be is told."""
    (tmp_path / "link.zip").symlink_to(made)
    for number, path in enumerate((made.parent / ".." / "out" / made.name, tmp_path / "link.zip")):
        with Lab("sim", base_url=exchange.url, home=tmp_path / f"home{number}") as lab:
            assert lab.import_file(path).filter(table="trades")["stored"].item() == 5
            with pytest.raises(UsageError, match="no file"):
                lab.import_file("a\0b")


def test_a_failure_midway_leaves_the_store_empty(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All tables or none: what breaks in the last one takes the first back."""
    real: Any = archive.writes.insert
    last = {"trades": True}

    def failing(connection: Any, name: str, rows: pl.DataFrame) -> int:
        if last.get(name):
            raise OSError(errno.EIO, "Input/output error")
        return int(real(connection, name, rows))

    other = Store(tmp_path / "new" / "kalshi.duckdb")
    with monkeypatch.context() as patch:
        patch.setattr(archive.writes, "insert", failing)
        with pytest.raises(Exception, match="could not be used"):
            asyncio.run(import_file(other, made, NOW))
    assert counts(other) == {}
    asyncio.run(import_file(other, made, NOW))
    assert table(other, "trades").height == 5


def test_a_full_disk_leaves_the_older_archive(made: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """F25, S19: DiskFull, no half file, for the owner's eyes only."""
    good = made.read_bytes()

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull):
        asyncio.run(archive.archive(store, made, NOW))
    assert [path.name for path in made.parent.iterdir()] == [made.name]
    assert made.read_bytes() == good
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
