"""`recover` saves what can be saved, deletes nothing, and says what is lost; the next sync brings the pages back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab.errors import StoreCorrupt, StoreError
from kalshi_lab.store import Store
from tests.safety import pages

if TYPE_CHECKING:
    from pathlib import Path

run = pages.run
LEAVES_A_LOG = """
import os, signal
from pathlib import Path
from kalshi_lab.store import Store
from tests.safety import pages
store = Store(Path({path!r}))
def reached(point):
    if point == "journalled":
        reached.count += 1
    if reached.count == 3:
        os.kill(os.getpid(), signal.SIGKILL)
reached.count = 0
async def work():
    async with store.burst() as burst:
        store.write = burst.write
        for number in (3, 4, 5, 6):
            await pages.kept(store, number)
store.reached = reached
pages.run(work())
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "kalshi.duckdb", wait=0.5)
    pages.keep(made, 1, 2)
    return made


def log_of(store: Store) -> Path:
    return store.path.with_name("kalshi.duckdb.wal")


def with_a_log(store: Store) -> bytes:
    """Leave pages 3 to 5 in the log, as a killed process does."""
    code = LEAVES_A_LOG.format(path=str(store.path))
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    return log_of(store).read_bytes()


def damaged(store: Store, fill: str | None = None) -> None:
    """Flip bytes in the middle of a large table, which stays readable elsewhere."""
    run(store.write(lambda connection: connection.execute(fill or FILL).fetchall()))
    data = bytearray(store.path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 64] = os.urandom(64)
    store.path.write_bytes(bytes(data))


FILL = (
    "INSERT INTO trades (trade_id, ticker, run_id) SELECT 'x' || range, md5(range::VARCHAR), 'bulk' FROM range(400000)"
)


def test_a_sound_store_is_left_alone(store: Store) -> None:
    before = store.path.read_bytes()
    done = run(store.recover())
    assert (done.aside, done.lost.height, done.verified.ok) == ((), 0, True)
    assert store.path.read_bytes() == before
    assert "no rows of the file lost" in repr(done)
    assert run(Store(store.path.parent / "none" / "kalshi.duckdb").recover()).lost.is_empty()


def test_a_log_that_cannot_be_replayed_is_put_aside(store: Store) -> None:
    """F28: opening says so and changes nothing; recover() renames the log, and verify() names the pages that were in it."""
    log = with_a_log(store)
    first = log.index(b"r1-4-")  # in the rows of a page, where no length stands that would make it look cut off
    bad = log[:first] + bytes(byte ^ 0xFF for byte in log[first : first + 5]) + log[first + 5 :]
    log_of(store).write_bytes(bad)
    fresh = Store(store.path)
    with pytest.raises(StoreCorrupt, match=r"recover\(\)"):
        run(fresh.read("SELECT 1"))
    assert log_of(store).read_bytes() == bad
    done = run(fresh.recover())
    assert [one.name.startswith("kalshi.duckdb.wal.quarantine-") for one in done.aside] == [True]
    assert done.aside[0].read_bytes() == bad
    assert done.verified.missing.get_column("page").to_list() == [3, 4, 5]
    assert "3 pages to bring back" in repr(done)
    pages.keep(fresh, 3, 4, 5)
    assert run(fresh.verify()).ok


def test_tables_that_can_be_read_are_saved(store: Store) -> None:
    """F28: of a damaged table the rows that can be read are saved, the rest is counted, and its runs are asked for again."""
    pages.look(store, 1, keyframe=True)
    damaged(store)
    with pytest.raises(StoreCorrupt):
        run(Store(store.path).read("SELECT max(ticker), max(trade_id), max(run_id) FROM trades"))
    fresh = Store(store.path)
    done = run(fresh.recover())
    table, saved, lost = done.lost.row(0)
    assert (done.lost.height, table, saved + lost) == (1, "trades", 400_200)
    assert 0 < lost < 100_000
    assert run(fresh.read("SELECT count(*) FROM trades")).item() == saved
    assert run(fresh.read("SELECT count(*) FROM quotes")).item() == 2
    assert run(fresh.read("SELECT count(*) FROM ledger")).item() == 0, "runs of that dataset are read again"
    assert done.verified.missing.get_column("page").to_list() == [1, 2]
    assert [one.name.startswith("kalshi.duckdb.quarantine-") for one in done.aside] == [True]
    assert "lost" in done._repr_html_()
    assert not [entry for entry in store.path.parent.iterdir() if entry.name.endswith(".part")]


def test_what_an_account_lost_is_asked_for_again(store: Store) -> None:
    """F28: of a damaged table of fills the stretch that was read is not held any more, so the next sync of the account begins before it."""
    known = (
        "INSERT INTO coverage (dataset, subject, interval_minutes, since, until, complete, asked_at) "
        "SELECT unnest(['fills', 'orders']), 'a', 0, TIMESTAMPTZ '2026-01-01', TIMESTAMPTZ '2026-02-01', true, now()"
    )
    run(store.write(lambda connection: connection.execute(known).fetchall()))
    damaged(
        store,
        "INSERT INTO fills (fill_id, account, ticker) SELECT 'x' || range, 'a', md5(range::VARCHAR) FROM range(400000)",
    )
    fresh = Store(store.path)
    done = run(fresh.recover())
    assert done.lost["table"].to_list() == ["fills"]
    assert run(fresh.read("SELECT dataset FROM coverage")).rows() == [("orders",)]


def test_a_file_that_cannot_be_opened_is_put_aside(store: Store) -> None:
    """F28: a file that is no store is renamed with its log, and every page is asked for again."""
    store.path.write_bytes(b"no database at all" * 500)
    fresh = Store(store.path)
    done = run(fresh.recover())
    assert done.aside[0].read_bytes() == b"no database at all" * 500
    assert done.verified.missing.height == 2
    pages.keep(fresh, 1, 2)
    assert run(fresh.verify()).ok


def test_a_later_version_is_not_damage(store: Store) -> None:
    """F28: a store of a later version is neither opened, nor recovered, nor touched."""
    pages.forget(store, "UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    before = store.path.read_bytes()
    for work in ("recover", "verify"):
        fresh = Store(store.path)
        if work == "recover":
            with pytest.raises(StoreError, match="later version"):
                run(fresh.recover())
        else:
            assert not run(fresh.verify()).ok
    assert store.path.read_bytes() == before


def test_what_is_lost_for_good_is_asked_for_once(store: Store) -> None:
    """P6: a lost snapshot is named until recover() took note of it."""
    pages.look(store, 1, keyframe=True)
    pages.forget(store, "DELETE FROM snapshots")
    assert [one.kind for one in run(store.verify()).faults] == ["lost"]
    assert [one.kind for one in run(store.recover()).verified.faults] == ["lost"]
    assert run(store.verify()).ok


@pytest.mark.long
@pytest.mark.parametrize("point", ["recovered", pytest.param("set aside", marks=pytest.mark.kill)])
def test_a_recovery_that_was_killed_is_done_again(store: Store, point: str) -> None:
    """F24: nothing is lost by a recovery that is cut off; the next one does it."""
    damaged(store)
    code = f"""
import asyncio, os, signal
from pathlib import Path
from kalshi_lab.store import Store
store = Store(Path({str(store.path)!r}))
store.reached = lambda point: os.kill(os.getpid(), signal.SIGKILL) if point == {point!r} else None
asyncio.run(store.recover())
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    done: Any = run(Store(store.path).recover())
    assert done.lost.row(0)[0] == "trades"
    assert run(Store(store.path).verify()).frame().filter(kind="unreadable").is_empty()
