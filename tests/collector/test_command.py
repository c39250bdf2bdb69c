"""`python -m kalshi_lab collect` as a real process: stopped, killed, begun again, refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from kalshi_lab import Lab
from kalshi_lab.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kalshi_lab.sim import Exchange

UNBALANCED = "SELECT count(*) FROM ledger WHERE received <> stored + duplicate + quarantined"


def started(exchange: Exchange, home: Path, *more: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "kalshi_lab",
        "collect",
        "--environment",
        "sim",
        "--home",
        str(home),
        "--series",
        "KXHIGHNY",
        *more,
    ]
    given = {**os.environ, "KALSHI_LAB_BASE_URL": exchange.url}
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=given, cwd=home)


def said(process: subprocess.Popen[str], until: str) -> str:
    """What it says on stderr up to a line that holds these words."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if until in line:
            return "".join(lines)
    raise AssertionError(f"it never said {until!r}: {''.join(lines)}")


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code, and the rest of what it said."""
    _, rest = process.communicate(timeout=60)
    return process.returncode, rest


@pytest.mark.long
def test_it_is_stopped_by_a_signal(upset: Exchange, tmp_path: Path) -> None:
    """DB-8: a line for each round on stderr; SIGTERM ends it with 0, and the store is as it should be."""
    process = started(upset, tmp_path)
    assert "round 1: sync" in said(process, "round 1:")
    process.send_signal(signal.SIGTERM)
    code, rest = ended(process)
    assert code == 0, rest
    assert "kalshi_lab: stopping" in rest
    assert "<CollectorStatus stopped: rounds 1" in rest
    assert "Traceback" not in rest
    with Lab("sim", base_url=upset.url, home=tmp_path) as lab:
        assert lab.table("rounds").height == 1
        assert lab.sql(UNBALANCED).item() == 0
        assert lab.table("snapshots").height == 1


@pytest.mark.kill
def test_a_signal_in_the_middle_of_a_round_cuts_between_transactions(upset: Exchange, tmp_path: Path) -> None:
    """While the exchange is slow, SIGTERM ends it after the time it has to finish; what was kept stays, and the next one goes on."""
    upset.faults("/series", "slow", seconds=30, times=1)
    process = started(upset, tmp_path)
    wait_for(lambda: any(request["path"] == "/series" for request in upset.requests()) or None, process)
    process.send_signal(signal.SIGTERM)
    code, rest = ended(process)
    assert code == 0, rest
    assert "stopped: rounds 0" in rest
    upset.faults()
    with Lab("sim", base_url=upset.url, home=tmp_path) as lab:
        assert lab.table("snapshots").height == 1, "the snapshot before was kept"
    code, rest = ended(started(upset, tmp_path, "--once"))
    assert code == 0, rest


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Until something is so, as long as the process lives."""
    end = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, ended(process)
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.kill
def test_a_killed_one_leaves_the_store_to_the_next(upset: Exchange, tmp_path: Path) -> None:
    """F24: killed with SIGKILL, it holds nothing any more: the next one begins at once, and nothing is twice or unbalanced."""
    process = started(upset, tmp_path)
    said(process, "round 1:")
    process.kill()
    ended(process)
    assert (tmp_path / "collector.holder").read_text("utf-8").startswith(f"PID {process.pid} on ")
    code, rest = ended(started(upset, tmp_path, "--once"))
    assert code == 0, rest
    with Lab("sim", base_url=upset.url, home=tmp_path) as lab:
        assert lab.sql(UNBALANCED).item() == 0
        assert lab.sql("SELECT count(*) - count(DISTINCT ticker) FROM markets").item() == 0
        assert lab.table("rounds").height == 2


@pytest.mark.long
def test_a_second_one_is_told_who_holds_the_store(upset: Exchange, tmp_path: Path) -> None:
    """Two processes don't collect into one store: the second ends with 1 and names the first; a notebook shares the store with it."""
    first = started(upset, tmp_path)
    said(first, "round 1:")
    code, rest = ended(started(upset, tmp_path, "--once"))
    assert (code, f"another collector (PID {first.pid} on " in rest) == (1, True)
    with Lab("sim", base_url=upset.url, home=tmp_path) as lab:
        assert lab.snapshot(series="KXHIGHNY").markets > 0
    first.send_signal(signal.SIGINT)
    code, rest = ended(first)
    assert (code, "<CollectorStatus stopped" in rest, "Traceback" in rest) == (0, True, False)


def test_once_says_whether_it_worked(upset: Exchange, tmp_path: Path) -> None:
    """--once is one round, and 1 where it failed, with the traceback in the log."""
    upset.faults("/markets", "status", status=404, times=99)
    code, rest = ended(started(upset, tmp_path, "--once"))
    assert (code, "FAILED: NotFound" in rest, "<CollectorStatus done: rounds 1" in rest) == (1, True, True)


def test_odd_words_are_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An interval that is none ends with 1 and says what it should look like."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        code = main(["collect", "--environment", "demo", "--home", str(tmp_path), "--every", "often"])
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
    said = capsys.readouterr().err
    assert code == 1
    assert said.startswith("kalshi_lab: every 'often' is no length of time")
    assert said.count("\n") == 1
