"""The journal of what was acknowledged: whole lines, checksums, bounded growth."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from kalshi_lab.errors import DiskFull
from kalshi_lab.store import journal as journals
from kalshi_lab.store.journal import BATCH, FOLDED, LOST, PAGE, SNAPSHOT, START, Entry, Journal

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ADDS = """
from pathlib import Path
from kalshi_lab.store.journal import Entry, Journal
made = Journal(Path({path!r}))
for number in range({count}):
    made.add([Entry("page", "{name}", "trades", "all", "w", number, 10, 10)])
"""


def page(number: int, run: str = "r1", walk: str = "w") -> Entry:
    return Entry(PAGE, run, "trades", "all", walk, number, 100, 90, "ab" * 32, NOW)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "kalshi.duckdb")


def test_what_was_added_is_read_back(journal: Journal) -> None:
    """P1: a line for each page, in order, in a file of its owner's."""
    assert journal.read().entries == []
    journal.add([page(1), page(2)])
    journal.add([page(3)])
    assert journal.read() == journals.Read([page(1), page(2), page(3)], 0, torn=False)
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    assert journal.path.name == "kalshi.duckdb.journal"


@pytest.mark.parametrize("cut", [1, 2, 30, 100])
def test_a_torn_last_line_is_left_out_and_the_next_line_is_whole(journal: Journal, cut: int) -> None:
    """F24: whatever was written of a line when the process ended, the lines before and after it stand."""
    journal.add([page(1), page(2)])
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole[:-cut])
    lost = cut > 1  # the line end alone says nothing
    found = journal.read()
    assert (found.entries, found.torn) == ([page(1)] if lost else [page(1), page(2)], lost)
    journal.add([page(3)])
    found = journal.read()
    assert found.entries == ([page(1), page(3)] if lost else [page(1), page(2), page(3)])
    assert (found.damaged, found.torn) == (int(lost), False)


def test_every_flipped_byte_is_noticed(journal: Journal) -> None:
    """F28: no damaged line passes for a page."""
    journal.add([page(1), page(2)])
    whole = journal.path.read_bytes()
    for place in range(len(whole)):
        journal.path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        found = journal.read()
        assert found.damaged or found.torn or found.entries == [page(1), page(2)]
        assert all(entry in (page(1), page(2)) for entry in found.entries)


def test_several_processes_add_whole_lines(journal: Journal) -> None:
    """F26: lines of different processes never mix."""
    codes = [ADDS.format(path=str(journal.path.with_suffix("")), count=200, name=name) for name in "abc"]
    children = [subprocess.Popen([sys.executable, "-c", code]) for code in codes]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    found = journal.read()
    assert (found.damaged, found.torn) == (0, False)
    for name in "abc":
        assert [entry.page for entry in found.entries if entry.run_id == name] == list(range(200))


def test_a_full_disk_leaves_the_journal_as_it_was(journal: Journal) -> None:
    """F25: a line that finds no room is DiskFull, and no part of it stays."""
    journal.add([page(1)])
    before = journal.path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = None
    try:
        import signal

        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 50, hard))
        with pytest.raises(DiskFull, match="journal"):
            journal.add([page(2)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler or signal.SIG_DFL)
    assert journal.path.read_bytes() == before
    journal.add([page(2)])
    assert journal.read().entries == [page(1), page(2)]


def test_ended_runs_fold_to_a_line_for_each_walk(journal: Journal) -> None:
    """What an ended run said in thousands of lines is said in one for each walk; what can still be asked for stays as it is."""
    ended = [*(page(number) for number in range(1, 51)), page(50), *(page(number, walk="v") for number in (1, 2))]
    mark = Entry(PAGE, "r1", "trades", "all", "", 0, time=NOW)
    running = [page(number, run="r2") for number in (1, 2, 3)]
    looks = [Entry(SNAPSHOT, "s1", "quotes", "all", "", 0, 9, 3, time=NOW)]
    frames = [Entry(BATCH, "rec", "recordings", page=number, time=NOW) for number in (10, 20, 30)]
    lost = [Entry(LOST, "s0", time=NOW)]
    journal.add([*ended, mark, *running, *looks, *frames, *lost])
    journal.fold()
    first, *rest = journal.read().entries
    assert first.kind == START
    assert Entry(FOLDED, "r1", "trades", "all", "w", 50, 5000, 4500, "", NOW) in rest
    assert Entry(FOLDED, "r1", "trades", "all", "v", 2, 200, 180, "", NOW) in rest
    assert [entry for entry in rest if entry.kind not in {FOLDED, PAGE}] == [*looks, frames[-1], *lost]
    assert [entry for entry in rest if entry.kind == PAGE] == [mark, *running]
    again = journal.read().entries[1:]
    journal.fold()
    assert journal.read().entries[1:] == again, "folding twice says the same"


def test_the_file_is_bounded(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Months of recording: a hundred thousand batches stay a small file, and nothing that is still needed goes."""
    monkeypatch.setattr(journals, "SMALL", 20_000)
    journal.add([page(1, run="unfinished")])
    for number in range(0, 20_000, 50):
        journal.add([Entry(BATCH, "rec", "recordings", page=number + more, time=NOW) for more in range(50)])
    assert journal.path.stat().st_size < 60_000
    entries = journal.read().entries
    assert page(1, run="unfinished") in entries
    assert max(entry.page for entry in entries if entry.kind == BATCH) == 19_999


def test_a_fold_that_is_cut_off_changes_nothing(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """F25: the old file stands until the new one is whole."""
    journal.add([page(1)])

    def full(_descriptor: int, _text: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journals, "_write", full)
        with pytest.raises(OSError, match="No space"):
            journal.fold()
    assert journal.read().entries == [page(1)]


def test_a_fold_that_fails_is_no_failure_of_the_line(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A line that is kept is kept; that the file could not be made smaller is logged."""
    monkeypatch.setattr(journals, "SMALL", 0)
    monkeypatch.setattr(Journal, "fold", lambda _: os.close(-1))
    journal.add([page(1)])
    assert "could not be folded" in caplog.text
    assert journal.read().entries == [page(1)]


@pytest.mark.bench
def test_what_a_line_costs(journal: Journal) -> None:
    """Twelve pages with the flush to the disk, in milliseconds."""
    took = []
    for number in range(300):
        began = time.perf_counter()
        journal.add([page(number * 12 + more) for more in range(12)])
        took.append((time.perf_counter() - began) * 1e3)
    took.sort()
    print(
        f"journal: 12 lines and a flush, median {took[150]:.2f} ms, p95 {took[285]:.2f} ms; load {os.getloadavg()[0]:.1f}"
    )
