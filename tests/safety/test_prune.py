"""Rows of an age go where that is asked for, nothing that is still needed goes, and the file gets its room back."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pytest

from kalshi_lab.errors import DiskFull, UsageError
from kalshi_lab.store import Store, queries
from kalshi_lab.store.connection import statement_error
from kalshi_lab.store.instance import Instance
from tests.safety import pages

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

run = pages.run
BOOKS = """
INSERT INTO recordings (recording, channels, tickers, started_at, kept_until, ended_at, frames) VALUES
    ('old', ['orderbook_delta'], ['A'], $1, $1, $1, 9), ('long', ['orderbook_delta'], ['A', 'B'], $1, now(), NULL, 9);
"""
FILL = """
INSERT INTO quotes (ticker, time, scope, gone)
SELECT md5(range::VARCHAR), $1 + INTERVAL 1 SECOND * range, 'open', FALSE FROM range(150000)
"""
CHANGE = "INSERT INTO book_changes (recording, frame, connection, ticker, time, received_at, side) VALUES (?, ?, 1, ?, ?, ?, ?)"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "kalshi.duckdb", wait=2)


def at(minute: int) -> datetime:
    return pages.NOW + minute * pages.MINUTE


def counts(frame: pl.DataFrame) -> dict[str, tuple[int, int]]:
    return {table: (rows, of) for table, rows, of in frame.select("table", "rows", "of").rows()}


def quotes(store: Store, minute: int) -> list[Any]:
    return run(queries.quotes_as_of(store, at(minute), None)).select("ticker", "time").rows()


def test_a_target_is_needed(store: Store) -> None:
    """DB-11: at least one target, and an age that is one."""
    with pytest.raises(UsageError, match="at least one target"):
        run(store.prune())
    with pytest.raises(UsageError, match="trades"):
        run(store.prune(trades="soon"))


def test_a_dry_run_only_counts(store: Store) -> None:
    """DB-11, lesson 47: by default nothing goes; the rows that would go are counted table by table."""
    pages.keep(store, 1, 2, 3)
    before = pages.whole(store)
    found = run(store.prune(trades=at(3), candlesticks="90d"))
    assert found.columns == ["table", "rows", "of", "before"]
    assert counts(found) == {"trades": (200, 300), "candlesticks": (0, 0)}
    after = pages.whole(store)
    assert all(after[name].equals(before[name], null_equal=True) for name in before)


def test_pruned_rows_are_not_missed(store: Store) -> None:
    """DB-11: what was taken out on purpose is neither missing nor lost, and what goes besides still is."""
    pages.keep(store, 1, 2, 3)
    pages.look(store, 1, keyframe=True)
    pages.look(store, 2, keyframe=True)
    done = run(store.prune(trades=at(3), quotes=at(5), dry_run=False))
    assert counts(done) == {"trades": (200, 300), "quotes": (2, 4), "snapshots": (1, 2)}
    assert run(store.read("SELECT count(*) FROM trades")).item() == 100
    assert run(store.verify()).ok
    pages.forget(store, "DELETE FROM trades WHERE trade_id = 'r1-3-5'; DELETE FROM snapshots")
    assert sorted(one.kind for one in run(store.verify()).faults) == ["fewer", "lost"]
    assert counts(run(store.prune(trades=at(3), dry_run=False))) == {"trades": (0, 99)}


def test_quotes_of_later_moments_stay_as_they_were(store: Store) -> None:
    """DB-11: the last keyframe before the moment stays, so that every later question is answered as before."""
    pages.look(store, 0, ("A", "B", "C"), keyframe=True)
    pages.look(store, 10, ("A",), keyframe=False)
    pages.look(store, 20, ("A", "B"), keyframe=True)
    pages.look(store, 30, ("B",), keyframe=False)
    pages.look(store, 5, ("X", "Y"), keyframe=True, scope="other")
    pages.look(store, 50, ("A", "B"), keyframe=True)
    later = [quotes(store, minute) for minute in (25, 30, 45, 50, 60)]
    done = run(store.prune(quotes=at(25), dry_run=False))
    assert counts(done) == {"quotes": (4, 11), "snapshots": (2, 6)}
    assert [quotes(store, minute) for minute in (25, 30, 45, 50, 60)] == later
    assert all(later)


def test_books_of_later_moments_stay_as_they_were(store: Store) -> None:
    """DB-11: of a book in a recording that goes on, everything since its last snapshot before the moment stays."""
    rows = [("old", 1, "A", 0, None), ("old", 2, "A", 1, "yes"), ("long", 1, "A", 0, None), ("long", 2, "A", 5, "yes")]
    rows += [
        ("long", 3, "A", 10, None),
        ("long", 4, "A", 15, "no"),
        ("long", 5, "B", 2, "yes"),
        ("long", 6, "A", 40, "no"),
    ]

    def work(connection: Any) -> None:
        connection.execute(BOOKS, [at(1)])
        for recording, frame, ticker, minute, side in rows:
            connection.execute(CHANGE, [recording, frame, ticker, at(minute), at(minute), side])

    run(store.write(work))
    done = run(store.prune(recordings=at(20), dry_run=False))
    assert counts(done)["book_changes"] == (4, 8)
    left = run(store.read("SELECT recording, frame FROM book_changes ORDER BY ALL")).rows()
    assert left == [("long", 3), ("long", 4), ("long", 5), ("long", 6)], (
        "B has no snapshot to begin from, so its rows stay"
    )
    assert run(store.read("SELECT count(*) FROM recordings")).item() == 2


def test_quarantine_and_bodies_go_by_age(store: Store) -> None:
    def work(connection: Any) -> None:
        for minute in (1, 9):
            connection.execute("INSERT INTO quarantine VALUES ('trades', 'r', 'q', 'why', '{}', ?)", [at(minute)])

    run(store.write(work))
    assert counts(run(store.prune(quarantine=at(5), bodies=at(5), dry_run=False))) == {
        "quarantine": (1, 2),
        "bodies": (0, 0),
    }


def test_a_vacuum_gives_the_room_back(store: Store) -> None:
    """DB-11: after a prune the file is written anew, in the order of its questions; a dry run only says what can be won."""
    run(store.write(lambda connection: connection.execute(FILL, [pages.NOW]).fetchall()))
    pages.keep(store, 1)
    pages.forget(store, "DELETE FROM quotes WHERE ticker > '1'")
    before, size = pages.whole(store), store.path.stat().st_size
    said = run(store.vacuum())
    assert said.dry_run
    assert (said.before, store.path.stat().st_size) == (size, size)
    done = run(store.vacuum(dry_run=False))
    assert done.after == store.path.stat().st_size < size / 2
    after = pages.whole(store)
    assert all(after[name].equals(before[name], null_equal=True) for name in before)
    assert run(store.verify()).ok
    assert "MB won" in repr(done)
    order = run(store.read("SELECT ticker, time FROM quotes ORDER BY rowid"))
    assert order.equals(order.sort(pl.col("time").dt.date(), "ticker", "time"))
    ledger = run(store.read("SELECT run_id FROM ledger ORDER BY rowid"))
    assert ledger.height == 1


@pytest.mark.long
def test_a_vacuum_beside_a_writer_loses_nothing(store: Store) -> None:
    """F26: what another process commits before, while and after the file is written anew is all there."""
    pages.keep(store, 1)
    code = f"""
from pathlib import Path
from kalshi_lab.store import Store
from tests.safety import pages
store = Store(Path({str(store.path)!r}), wait=60)
for number in range(2, 40):
    pages.keep(store, number)
    print(number, flush=True)
"""
    patient = Store(store.path, wait=60)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "2\n"
        for _ in range(4):
            run(patient.vacuum(dry_run=False))
        assert writer.wait(100) == 0
    assert run(patient.read("SELECT count(*) FROM ledger")).item() == 39
    assert run(patient.verify()).ok


@pytest.mark.long
@pytest.mark.parametrize("point", ["vacuum copied", "vacuum placed"])
def test_a_vacuum_that_was_killed_changes_nothing(store: Store, point: str) -> None:
    """F24: the old file or the new one, both whole."""
    pages.keep(store, 1, 2)
    before = pages.whole(store)
    code = f"""
import asyncio, os, signal
from pathlib import Path
from kalshi_lab.store import Store
store = Store(Path({str(store.path)!r}))
store.reached = lambda point: os.kill(os.getpid(), signal.SIGKILL) if point == {point!r} else None
asyncio.run(store.vacuum(dry_run=False))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    after = pages.whole(Store(store.path))
    assert all(after[name].equals(before[name], null_equal=True) for name in before)
    run(Store(store.path).vacuum(dry_run=False))
    assert not [entry for entry in store.path.parent.iterdir() if entry.name.endswith(".part")]


def test_who_opened_the_old_file_opens_the_new_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """F26: a writer that had opened the file just before another took its name writes into the new one, not into one without a name."""
    pages.keep(store, 1)
    other = store.path.with_name("other.duckdb")
    other.write_bytes(store.path.read_bytes())
    real: Any = Instance.enter
    opened = []

    def enter(instance: Instance) -> Any:
        made = real(instance)
        if not opened:
            other.replace(store.path)
        opened.append(made)
        return made

    with monkeypatch.context() as patch:
        patch.setattr(Instance, "enter", enter)
        pages.keep(store, 2)
    assert len(opened) == 2
    assert run(Store(store.path).read("SELECT count(*) FROM ledger")).item() == 2


@pytest.mark.parametrize("said", ["No space left on device", "File too large", "Disk quota exceeded"])
def test_a_full_disk_is_known_by_every_name(said: str) -> None:
    """F25: what systems say when there is no room is DiskFull, whose words say that what was kept is safe."""
    error = statement_error(duckdb.IOException(f"IO Error: Could not write file: {said}"))
    assert type(error) is DiskFull
    assert "safe" in error.hint
