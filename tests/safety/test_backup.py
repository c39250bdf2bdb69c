"""Backups made while others work, and the way back; ended at any point, the store is the old one or the new one."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab.errors import StoreBusy, StoreCorrupt, StoreError, UsageError
from kalshi_lab.store import Store
from tests.safety import pages

if TYPE_CHECKING:
    from pathlib import Path

run = pages.run
HOLDS = (
    "import duckdb, sys; c = duckdb.connect({path!r}, read_only={ro}); print('held', flush=True); sys.stdin.readline()"
)
DIES = """
import asyncio, os, signal, sys
from pathlib import Path
from kalshi_lab.store import Store
store = Store(Path({path!r}))
def reached(point):
    if point == {point!r}:
        os.kill(os.getpid(), signal.SIGKILL)
store.reached = reached
asyncio.run(store.{call})
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "home" / "kalshi.duckdb", wait=0.5)
    pages.keep(made, 1, 2)
    pages.look(made, 3, keyframe=True)
    return made


def killed(store: Store, point: str, call: str) -> None:
    """Have another process do something to the store, and end at a point of it."""
    code = DIES.format(path=str(store.path), point=point, call=call)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir() if entry.suffix not in {".journal", ".line", ".held"}}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one[name].equals(other[name], null_equal=True) for name in one)


def test_a_backup_is_the_store(store: Store, tmp_path: Path) -> None:
    """A backup has every row, its checksum beside it, and nobody else may read it."""
    before = pages.whole(store)
    made = run(store.backup(tmp_path / "backups" / "one.duckdb"))
    assert names(tmp_path / "backups") == {"one.duckdb", "one.duckdb.sha256"}
    assert hashlib.sha256(made.path.read_bytes()).hexdigest() == made.sha256
    assert (tmp_path / "backups" / "one.duckdb.sha256").read_text() == f"{made.sha256}  one.duckdb\n"
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert made.size == made.path.stat().st_size
    assert same(before, pages.whole(Store(made.path)))
    assert same(before, pages.whole(store))
    assert names(store.path.parent) == {"kalshi.duckdb"}
    assert "one.duckdb" in repr(made)
    assert "sha256" in made._repr_html_()


def test_a_backup_has_what_only_the_log_has(store: Store, tmp_path: Path) -> None:
    """What a killed process left in the write-ahead log is in the backup."""
    code = f"""
import duckdb, os, signal
c = duckdb.connect({str(store.path)!r})
c.execute("INSERT INTO trades (trade_id) VALUES ('in the log')")
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    assert store.path.with_name("kalshi.duckdb.wal").exists()
    made = run(store.backup(tmp_path / "one.duckdb"))
    assert run(Store(made.path).read("SELECT count(*) FROM trades WHERE trade_id = 'in the log'")).item() == 1


def test_backups_are_refused_in_words(store: Store, tmp_path: Path) -> None:
    """Nothing is overwritten, and there is nothing to copy of a store that is not there."""
    run(store.backup(tmp_path / "one.duckdb"))
    with pytest.raises(UsageError, match="is there already"):
        run(store.backup(tmp_path / "one.duckdb"))
    with pytest.raises(UsageError, match="no store to back up"):
        run(Store(tmp_path / "new" / "kalshi.duckdb").backup(tmp_path / "two.duckdb"))
    with pytest.raises(UsageError, match="way upwards"):
        run(store.backup(tmp_path / ".." / "two.duckdb"))
    with pytest.raises(UsageError, match="there is no backup"):
        run(store.restore(tmp_path / "nothing.duckdb"))


def test_a_backup_is_one_moment_while_others_write(store: Store, tmp_path: Path) -> None:
    """F26: with a writer in another process a backup has whole transactions, no more and no fewer than there were at one moment."""
    code = f"""
import sys
from pathlib import Path
from kalshi_lab.store import Store
from tests.safety import pages
store = Store(Path({str(store.path)!r}), wait=30)
for number in range(10, 40):
    pages.keep(store, number)
    print(number, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "10\n"
        patient, counts = Store(store.path, wait=30), []
        for number in range(3):
            made = Store(run(patient.backup(tmp_path / f"{number}.duckdb")).path)
            counts.append(run(made.read("SELECT count(*) FROM ledger")).item())
            assert run(made.read("SELECT count(*) FROM trades")).item() == 100 * counts[-1]
        assert writer.wait(60) == 0
    assert counts == sorted(counts)
    assert run(store.verify()).missing.is_empty()


def test_the_way_back(store: Store, tmp_path: Path) -> None:
    """A restored store is the backup; what was there is kept; and verify names what was acknowledged since."""
    before = pages.whole(store)
    made = run(store.backup(tmp_path / "one.duckdb"))
    pages.keep(store, 3, 4)
    since = pages.whole(store)
    done = run(store.restore(made.path))
    assert same(before, pages.whole(store))
    assert done.kept_as is not None
    assert same(since, pages.whole(Store(done.kept_as)))
    assert names(store.path.parent) == {"kalshi.duckdb", done.kept_as.name}
    assert run(store.verify()).missing.select("page", "rows").rows() == [(3, 100), (4, 100)]
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert done.kept_as.name in repr(done)
    pages.keep(store, 3, 4)
    assert same(since, pages.whole(store))
    assert run(store.verify()).ok


def test_a_store_that_is_gone_or_damaged_is_restored(store: Store, tmp_path: Path) -> None:
    """F28: a backup takes the place of a file that cannot be opened, which is kept, and of none."""
    before = pages.whole(store)
    made = run(store.backup(tmp_path / "one.duckdb"))
    store.path.write_bytes(b"no database" * 1000)
    store.path.with_name("kalshi.duckdb.wal").write_bytes(b"no log")
    done = run(Store(store.path).restore(made.path))
    assert done.kept_as is not None
    assert done.kept_as.read_bytes() == b"no database" * 1000
    assert done.kept_as.with_name(done.kept_as.name + ".wal").read_bytes() == b"no log"
    assert same(before, pages.whole(store))
    store.path.unlink()
    assert run(Store(store.path).restore(made.path)).kept_as is None
    assert same(before, pages.whole(store))


def test_damaged_backups_are_refused(store: Store, tmp_path: Path) -> None:
    """F28: a flipped byte, another file, a missing checksum or a later version, and the store is as it was."""
    made = run(store.backup(tmp_path / "one.duckdb"))
    before, good = pages.whole(store), made.path.read_bytes()
    summed = made.path.with_name("one.duckdb.sha256")
    made.path.write_bytes(good[:5000] + bytes([good[5000] ^ 1]) + good[5001:])
    with pytest.raises(StoreCorrupt, match="checksum is another"):
        run(store.restore(made.path))
    made.path.write_bytes(b"text")
    summed.write_text(hashlib.sha256(b"text").hexdigest())
    with pytest.raises(StoreCorrupt, match="no store"):
        run(store.restore(made.path))
    summed.unlink()
    with pytest.raises(StoreCorrupt, match="no checksum"):
        run(store.restore(made.path))
    later = Store(tmp_path / "later.duckdb")
    pages.forget(later, "UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    summed = later.path.with_name("later.duckdb.sha256")
    summed.write_text(hashlib.sha256(later.path.read_bytes()).hexdigest())
    with pytest.raises(StoreError, match="version 99") as caught:
        run(store.restore(later.path))
    assert caught.value.hint.startswith("Update: pip install -U")
    assert same(before, pages.whole(store))
    assert names(store.path.parent) == {"kalshi.duckdb"}


@pytest.mark.parametrize("ro", [True, False])
def test_no_restore_while_another_process_has_the_store(store: Store, tmp_path: Path, ro: bool) -> None:
    """F26: a store in use, for reading or for writing, is not taken away from under its user."""
    made = run(store.backup(tmp_path / "one.duckdb"))
    code = HOLDS.format(path=str(store.path), ro=ro)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreBusy, match="another process"):
            run(store.restore(made.path))
        holder.kill()
    run(store.restore(made.path))


@pytest.mark.long
@pytest.mark.parametrize("point", ["backup begun", "backup copied", "backup summed", "backup placed"])
def test_a_backup_that_was_killed_is_made_again(store: Store, tmp_path: Path, point: str) -> None:
    """F24: a backup is there whole with its checksum, or not there; the next one goes on, and nothing is left behind."""
    before, path = pages.whole(store), tmp_path / "backups" / "one.duckdb"
    killed(store, point, f"backup(Path({str(path)!r}))")
    assert path.exists() == (point == "backup placed")
    if not path.exists():
        run(store.backup(path))
    assert same(before, pages.whole(Store(path)))
    run(store.restore(path))
    assert names(path.parent) <= {"one.duckdb", "one.duckdb.sha256", "one.duckdb.upkeep"}


@pytest.mark.long
@pytest.mark.parametrize("point", ["restore copied", "set aside", "restore placed"])
def test_a_restore_that_was_killed_is_done_again(store: Store, tmp_path: Path, point: str) -> None:
    """F24: the store is the old one or the new one at every point, and the next restore goes through."""
    before = pages.whole(store)
    made = run(store.backup(tmp_path / "one.duckdb"))
    pages.keep(store, 3)
    since = pages.whole(store)
    killed(store, point, f"restore(Path({str(made.path)!r}))")
    found = pages.whole(Store(store.path))
    assert same(found, before if point == "restore placed" else since)
    run(Store(store.path).restore(made.path))
    assert same(before, pages.whole(store))
    assert not [name for name in names(store.path.parent) if name.endswith(".part")]


def test_folders_stay_their_owner_s(store: Store, tmp_path: Path) -> None:
    """S19: even with an open umask no step of a backup can be read by others."""
    old = os.umask(0)
    try:
        seen = []

        def watch(point: str) -> None:
            if point == "backup copied":
                seen.extend(stat.S_IMODE(entry.stat().st_mode) for entry in tmp_path.glob(".one.duckdb.part"))

        store.reached = watch
        made = run(store.backup(tmp_path / "one.duckdb"))
    finally:
        os.umask(old)
    assert seen == [0o700]
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.path.with_name("one.duckdb.sha256").stat().st_mode) == 0o600
