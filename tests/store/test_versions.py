"""Migrations: numbered SQL in one transaction, after a backup, before or after and never between."""

from __future__ import annotations

import asyncio
import logging
from importlib import metadata, resources
from typing import TYPE_CHECKING

import duckdb
import pytest

from kalshi_lab.errors import StoreError
from kalshi_lab.store import Store
from kalshi_lab.store.versions import SCHEMAS, TABLES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VERSION = "SELECT value FROM meta WHERE key = 'schema_version'"


class Ended(BaseException):
    """Stands for the end of the process at a point."""


def made_by(path: Path, version: int) -> None:
    """A store as an older library left it, with a row of each sort."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(path), config={"storage_compatibility_version": "v1.5.0"}) as old:
        for name in SCHEMAS[:version]:
            old.execute(resources.files("kalshi_lab.store").joinpath(name).read_text("utf-8"))
        old.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", [str(version)])
        old.execute("INSERT INTO trades (trade_id, ticker) VALUES ('t1', 'KX-A'), ('t2', 'KX-B')")


def backups(path: Path) -> list[Path]:
    return sorted(one for one in path.parent.iterdir() if ".version-" in one.name and not one.name.endswith(".sha256"))


def raw(path: Path) -> tuple[int, int, int]:
    """Version, trades and tables of a file, asked without the library."""
    with duckdb.connect(str(path), read_only=True) as found:
        tables = found.execute("SELECT count(*) FROM duckdb_tables()").fetchall()[0][0]
        trades = found.execute("SELECT count(*) FROM trades").fetchall()[0][0]
        return int(found.execute(VERSION).fetchall()[0][0]), trades, tables


def ending(after: int) -> Callable[[str], None]:
    """What ends the work at the point with that number."""
    seen = list[str]()

    def reached(point: str) -> None:
        seen.append(point)
        if len(seen) > after:
            raise Ended(point)

    return reached


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_store_moves_on_with_its_rows_and_a_backup(path: Path, version: int) -> None:
    """DB-13: the tables of today, the rows of before, and a copy of the file as it was, beside it."""
    made_by(path, version)
    before = raw(path)
    store = Store(path)
    assert asyncio.run(store.table("trades"))["trade_id"].to_list() == ["t1", "t2"]
    assert asyncio.run(store.read(VERSION)).item() == str(len(SCHEMAS))
    assert all(asyncio.run(store.table(name)).height == 0 for name in TABLES if name != "trades")
    (kept,) = backups(path)
    assert raw(kept) == before
    assert asyncio.run(Store(path).table("trades")).height == 2
    assert backups(path) == [kept], "a store of today needs no backup to be opened"


@pytest.mark.long
def test_interrupted_at_any_point_it_is_before_or_after(path: Path) -> None:
    """F33: ended at each point of a migration in turn, the file is the old one or the new one, and the next opening goes on."""
    points = list[str]()
    made_by(path, 1)
    store = Store(path)
    store.reached = points.append
    asyncio.run(store.read("SELECT 1"))
    after = raw(path)
    assert {"backup copied", "begun", "version 2", f"version {len(SCHEMAS)}", "written", "committed"} <= set(points)
    for number in range(len(points)):
        here = path.parent / str(number) / path.name
        made_by(here, 1)
        before, interrupted = raw(here), Store(here)
        interrupted.reached = ending(number)
        with pytest.raises(Ended):
            asyncio.run(interrupted.read("SELECT 1"))
        assert raw(here) in (before, after), points[number]
        assert asyncio.run(Store(here).table("trades")).height == 2
        assert raw(here) == after


def test_a_store_of_a_later_library_says_what_it_needs(path: Path) -> None:
    """A store that a later library made is left as it is, and the error names the library that can open it."""
    made_by(path, 1)
    with duckdb.connect(str(path)) as later:
        later.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
        later.execute("INSERT INTO meta VALUES ('library_version', '9.4.0')")
    before = path.read_bytes()
    for work in (Store(path).read("SELECT 1"), Store(path).write(lambda _: None)):
        with pytest.raises(StoreError, match=r"made by kalshi_lab 9\.4\.0.*version 99") as caught:
            asyncio.run(work)
        assert "kalshi_lab>=9.4.0" in caught.value.hint
    assert path.read_bytes() == before
    assert backups(path) == []


def test_a_migration_leaves_everybodys_loggers_alone(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Lesson 54: no logger is switched off by it, and no handler or level is another one."""
    made_by(path, 1)
    mine, root = logging.getLogger("my.own.app"), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    assert asyncio.run(Store(path).read(VERSION)).item() == str(len(SCHEMAS))
    assert (root.handlers, root.level) == (handlers, level)
    loggers = [one for one in logging.Logger.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    assert not [one.name for one in loggers if one.disabled and one.name.startswith(("my.", "kalshi_lab"))]
    mine.warning("still heard")
    assert "still heard" in caplog.text


def test_a_store_notes_the_library_that_made_it(store: Store) -> None:
    """What a later library would be named by is written with the tables."""
    found = asyncio.run(store.read("SELECT value FROM meta WHERE key = 'library_version'")).item()
    assert found == metadata.version("kalshi_lab")


def test_a_store_of_today_is_opened_without_waiting_for_readers(path: Path) -> None:
    """The first look at a store takes no writer's lock: another process may be reading it."""
    asyncio.run(Store(path).read("SELECT 1"))
    with duckdb.connect(str(path), read_only=True):
        pass
    store = Store(path, wait=0.2)
    store.reached = lambda point: pytest.fail(f"a transaction was begun: {point}")
    assert asyncio.run(store.read("SELECT 1 AS n")).item() == 1
