"""The store's folder and file: private, and failures are told in words."""

from __future__ import annotations

import asyncio
import os
import stat
from typing import TYPE_CHECKING

import pytest

from kalshi_lab.errors import StoreCorrupt, StoreError, UsageError
from kalshi_lab.store import Store

if TYPE_CHECKING:
    from pathlib import Path


def filled(path: Path) -> bytes:
    asyncio.run(Store(path).write(lambda c: c.execute("INSERT INTO trades (trade_id) SELECT range FROM range(50000)")))
    return path.read_bytes()


def test_the_folder_is_its_owner_s(tmp_path: Path) -> None:
    """A folder that the store makes is open to its owner alone."""
    store = Store(tmp_path / "a" / "b" / "kalshi.duckdb")
    asyncio.run(store.read("SELECT 1"))
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
    assert sorted(entry.name for entry in store.path.parent.iterdir()) == [
        "kalshi.duckdb",
        "kalshi.duckdb.held",
        "kalshi.duckdb.line",
    ]
    assert stat.S_IMODE(store.path.with_name("kalshi.duckdb.line").stat().st_mode) == 0o600


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    """A folder that somebody else made stays as it is."""
    (tmp_path / "mine").mkdir(mode=0o755)
    (tmp_path / "mine").chmod(0o755)
    asyncio.run(Store(tmp_path / "mine" / "kalshi.duckdb").read("SELECT 1"))
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o755


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path: Path) -> None:
    """Where no folder can be made the error names it and the option that gives another."""
    (tmp_path / "file").write_text("here first")
    with pytest.raises(UsageError, match="home=") as caught:
        asyncio.run(Store(tmp_path / "file" / "home" / "kalshi.duckdb").read("SELECT 1"))
    assert str(tmp_path / "file") in str(caught.value)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A folder without write permission is a UsageError before anything is opened."""
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(UsageError, match="closed cannot be written"):
        asyncio.run(Store(tmp_path / "closed" / "kalshi.duckdb").read("SELECT 1"))


@pytest.mark.parametrize("damage", ["text", "short text", "cut", "cut in the header", "header", "blocks", "random"])
@pytest.mark.parametrize("folder", ["home", "block-WAL-corrupt-lock"])
def test_a_damaged_file_is_corrupt(tmp_path: Path, folder: str, damage: str) -> None:
    """A file that is no database, was cut or has flipped bytes is StoreCorrupt with its path; the file is left as it was."""
    path = tmp_path / folder / "kalshi.duckdb"
    good = filled(path)
    middle = len(good) // 2 // 4096 * 4096
    bad = {
        "text": b"no database at all\n" * 5000,
        "short text": b"no database at all\n",
        "cut": good[: len(good) // 3],
        "cut in the header": good[:5000],
        "header": b"\xff" * 8 + good[8:],
        "blocks": good[:12288] + b"".join(bytes([byte ^ 0xFF]) for byte in good[12288:middle]) + good[middle:],
        "random": bytes((7 * place) % 251 for place in range(20_000)),
    }[damage]
    path.write_bytes(bad)
    with pytest.raises(StoreCorrupt) as caught:
        asyncio.run(Store(path).read("SELECT count(DISTINCT trade_id), min(trade_id) FROM trades"))
    assert "backup" in str(caught.value)
    assert path.read_bytes() == bad


def test_words_in_a_path_are_no_diagnosis(tmp_path: Path) -> None:
    """A failure in a folder called lock is neither waited for as a lock nor taken for damage."""
    (tmp_path / "lock-corrupt-WAL" / "kalshi.duckdb").mkdir(parents=True)
    with pytest.raises(StoreError, match="the store could not do it") as caught:
        asyncio.run(Store(tmp_path / "lock-corrupt-WAL" / "kalshi.duckdb", wait=5).read("SELECT 1"))
    assert type(caught.value) is StoreError


def test_an_empty_file_is_left_alone(path: Path) -> None:
    """A file of no bytes is told and neither filled nor deleted: another process may be making it at this moment."""
    path.parent.mkdir()
    path.touch()
    with pytest.raises(StoreCorrupt, match=r"recover\(\)"):
        asyncio.run(Store(path).read("SELECT 1"))
    assert path.stat().st_size == 0
