"""`verify` names what is wrong with a store, and above all what was acknowledged and is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from kalshi_lab.errors import StoreBusy
from kalshi_lab.store import TABLES, Store, journal
from kalshi_lab.store.verify import keys
from tests.safety import pages

if TYPE_CHECKING:
    from pathlib import Path

run = pages.run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "kalshi.duckdb", wait=0.3)


def kinds(store: Store) -> list[str]:
    return [one.kind for one in run(store.verify()).faults]


def test_a_sound_store_is_ok(store: Store) -> None:
    """P1, F28: nothing is wrong with a store that nothing happened to, whose pages are all acknowledged."""
    assert run(store.verify()).ok, "a store that is not there yet"
    pages.keep(store, 1, 2, 3)
    pages.end(store)
    pages.look(store, 5, keyframe=True)
    found = run(store.verify())
    assert (found.ok, found.faults, found.acknowledged, found.before_journal) == (True, (), 5, 0)
    assert found.rows["trades"] == 300
    assert set(found.rows) == set(TABLES)
    assert found.frame().is_empty()
    assert "nothing wrong" in repr(found)
    assert "as it should be" in found._repr_html_()


def test_missing_pages_are_named(store: Store) -> None:
    """F28: pages that the journal has and the ledger has not: run, dataset, scope, walk, page, rows; a later page is a hole too."""
    pages.keep(store, *range(1, 7))
    pages.forget(store, "DELETE FROM ledger WHERE page >= 5")
    found = run(store.verify())
    assert not found.ok
    assert found.missing.rows() == [("r1", "trades", "all", "live", number, 100) for number in (5, 6)]
    assert "2 missing" in repr(found)
    assert "damaged" in found._repr_html_()
    assert "page 5 of trades 'live' with 100 rows was acknowledged" in found.faults[0].what
    pages.forget(store, "DELETE FROM ledger WHERE page = 2")
    assert sorted(kinds(store)) == ["hole", "missing", "missing", "missing"]


def test_a_deleted_file_is_missed(store: Store) -> None:
    """F28: the evidence is outside the file: with the file gone every page is named."""
    pages.keep(store, 1, 2)
    pages.look(store, 3, keyframe=True)
    store.path.unlink()
    found = run(store.verify())
    assert [one.kind for one in found.faults] == ["missing", "missing", "lost"]
    assert not store.path.exists(), "a check makes no file"


def test_folded_runs_are_still_named_page_by_page(store: Store) -> None:
    """What was folded to one line still says which pages there were."""
    pages.keep(store, 1, 2, 3)
    pages.end(store)
    store._journal.fold()
    assert run(store.verify()).ok
    pages.forget(store, "DELETE FROM ledger WHERE page <> 1")
    found = run(store.verify())
    assert found.missing.select("walk", "page", "rows").rows() == [
        ("", 0, 0),
        ("live", 2, None),
        ("live", 3, None),
    ] or (sorted(found.missing.select("walk", "page").rows()) == [("", 0), ("live", 2), ("live", 3)])


def test_pages_that_another_run_read_since_are_not_missed(store: Store) -> None:
    """A run that is gone is made good by a later one over the same dataset and scope that came to its end, and by no other."""
    pages.keep(store, 1, 2)
    pages.forget(store, "DELETE FROM ledger; DELETE FROM trades")
    pages.end(store, run_id="other", scope="elsewhere")
    pages.end(store, run_id="earlier", after=-5)
    assert run(store.verify()).missing.height == 2
    pages.end(store, run_id="later")
    assert run(store.verify()).ok


def test_the_ledger_is_checked(store: Store) -> None:
    """F28: counts that do not balance, keys twice, rows fewer than counted, and a page that is another one."""
    pages.keep(store, 1, 2)
    pages.forget(store, "UPDATE ledger SET received = 101 WHERE page = 1")
    assert kinds(store) == ["unbalanced"]
    pages.forget(store, "UPDATE ledger SET received = 100; INSERT INTO ledger SELECT * FROM ledger WHERE page = 2")
    assert "double" in kinds(store)
    pages.forget(store, "DELETE FROM ledger WHERE rowid = (SELECT max(rowid) FROM ledger)")
    assert kinds(store) == []
    pages.forget(store, "DELETE FROM trades WHERE trade_id = 'r1-1-7'")
    found = run(store.verify())
    assert [(one.kind, one.run_id, one.rows) for one in found.faults] == [("fewer", "r1", 1)]
    pages.forget(store, "INSERT INTO trades (trade_id, run_id) VALUES ('r1-1-7', 'r1'), ('r1-1-8', 'elsewhere')")
    assert kinds(store) == ["double"]
    pages.forget(store, "DELETE FROM trades WHERE run_id = 'elsewhere'; UPDATE ledger SET sha256 = 'x' WHERE page = 2")
    assert kinds(store) == ["changed"]


def test_lost_looks_and_batches_are_named(store: Store) -> None:
    """P6: a snapshot or a stretch of a recording that was acknowledged and is gone is said, since no request brings it back."""
    pages.look(store, 1, keyframe=True)
    batch = journal.Entry(journal.BATCH, "rec", "recordings", page=40)
    columns = "recording, channels, tickers, started_at, kept_until, frames"
    sql = f"INSERT INTO recordings ({columns}) VALUES ('rec', ['trade'], [], now(), now(), 40)"
    run(store.write(lambda connection: connection.execute(sql) and None, lambda _: [batch]))
    assert run(store.verify()).ok
    pages.forget(store, "DELETE FROM snapshots; UPDATE recordings SET frames = 39")
    assert [(one.kind, one.run_id) for one in run(store.verify()).faults] == [("lost", "s1"), ("lost", "rec")]


def test_damaged_lines_of_the_journal_are_said(store: Store) -> None:
    pages.keep(store, 1, 2)
    text = store._journal.path.read_bytes()
    store._journal.path.write_bytes(b"x" + text[1:])
    found = run(store.verify())
    assert [one.kind for one in found.faults] == ["journal"]
    assert found.before_journal == 1


def test_damage_is_a_fault_and_no_error(store: Store) -> None:
    """F28: a damaged table is named, the others are read; a file that is no store at all is named."""
    pages.keep(store, 1)
    pages.forget(store, "INSERT INTO trades (trade_id, ticker) SELECT range, md5(range::VARCHAR) FROM range(30000)")
    good = store.path.read_bytes()
    found = set[str]()
    for place in range(30_000, len(good), 500_000):
        store.path.write_bytes(good[:place] + bytes([good[place] ^ 0xFF]) + good[place + 1 :])
        found |= {one.kind for one in run(Store(store.path).verify()).faults}
    assert "unreadable" in found
    store.path.write_bytes(b"no database at all" * 1000)
    report = run(Store(store.path).verify())
    assert [(one.kind, one.table) for one in report.faults] == [("unreadable", "")]


def test_a_held_store_is_busy(store: Store) -> None:
    """F26: a check waits like any other work, and says who holds the store."""
    import subprocess
    import sys

    pages.keep(store, 1)
    code = (
        f"import duckdb, sys; c = duckdb.connect({str(store.path)!r}); print('held', flush=True); sys.stdin.readline()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreBusy):
            run(Store(store.path, wait=0.2).verify())
        holder.kill()


def test_every_table_with_a_key_is_checked() -> None:
    """The keys are those that the schema names above its tables; quotes are told apart by listing too."""
    found = keys()
    assert set(found) == set(TABLES)
    assert found["trades"] == ("trade_id",)
    assert found["candlesticks"] == ("ticker", "interval_minutes", "end_time")
    assert found["results"] == ("ticker",)
    assert found["quotes"] == ("scope", "ticker", "time")
    assert found["bodies"] == ("run_id", "walk", "page")
    assert {name for name, key in found.items() if not key} <= {"alert_events", "quarantine", "pruned"}


def test_a_report_is_a_frame(store: Store) -> None:
    pages.keep(store, 1)
    pages.forget(store, "DELETE FROM ledger")
    frame = run(store.verify()).frame()
    assert frame.columns == ["kind", "table", "run_id", "dataset", "scope", "walk", "page", "rows", "what"]
    assert frame.schema["page"] == pl.Int64
