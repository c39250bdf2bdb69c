"""`python -m kalshi_lab watch` as a real process, over the store in which a notebook armed the alerts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import polars as pl
import pytest

import kalshi_lab as kl
from kalshi_lab.__main__ import main
from tests.alerts.test_watch import START

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kl.Lab]:
    home = tmp_path_factory.mktemp("command")
    with kl.Lab("sim", home=home, world={"start": START, "clock": "frozen", "markets": 100}) as made:
        yield made


def watch(lab: kl.Lab, *more: str) -> subprocess.Popen[str]:
    """The command on the lab's store and exchange."""
    assert lab.simulated is not None
    command = [
        sys.executable,
        "-m",
        "kalshi_lab",
        "watch",
        "--environment",
        "sim",
        "--home",
        str(lab.settings.folder),
        *more,
    ]
    given = {**os.environ, "KALSHI_LAB_BASE_URL": lab.simulated.url}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=given)


def test_it_tells_what_happens_until_it_is_told_to_stop(lab: kl.Lab, tmp_path: Path) -> None:
    """AL-2, AL-4: an alert of the store is told on stdout and in the file, once; SIGTERM ends it with 0 and nothing is forgotten."""
    ticker = str(
        lab.markets(status="open").filter(pl.col("yes_bid") > 0, pl.col("yes_ask") < 1).row(0, named=True)["ticker"]
    )
    name = lab.alerts.add(kl.above(ticker, 0.0001), label="anything")
    kept = tmp_path / "alarms.jsonl"
    process = watch(lab, "--every", "1h", "--file", str(kept))
    assert process.stdout is not None
    assert "anything" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in said, "<WatchStatus stopped" in said) == (0, False, True), said
    assert [json.loads(line)["alert_id"] for line in kept.read_text().splitlines()] == [name]
    told = lab.alerts.deliveries()
    assert set(told["sink"]) == {"notebook", "file alarms.jsonl"}
    again = watch(lab, "--once", "--file", str(kept))
    assert again.communicate(timeout=60)[0] == ""
    assert again.returncode == 0
    assert len(kept.read_text().splitlines()) == 1


def test_one_look_tells_what_fired_before_it_ends(lab: kl.Lab, tmp_path: Path) -> None:
    """AL-2: `--once` waits until what fired was told, and ends with 0."""
    ticker = str(
        lab.markets(status="open").filter(pl.col("yes_bid") > 0, pl.col("yes_ask") < 1).row(1, named=True)["ticker"]
    )
    name = lab.alerts.add(kl.below(ticker, 0.9999), label="one look")
    kept = tmp_path / "once.jsonl"
    looked = watch(lab, "--once", "--file", str(kept))
    out, said = looked.communicate(timeout=60)
    assert (looked.returncode, "one look" in out) == (0, True), said
    assert [json.loads(line)["alert_id"] for line in kept.read_text().splitlines()] == [name]
    assert lab.alerts.history().filter(alert_id=name).height == 1


def test_an_address_is_taken_from_the_environment_alone(lab: kl.Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """S10: a variable that is not there is told by its name."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        code = main(
            ["watch", "--environment", "sim", "--home", str(lab.settings.folder), "--notify", "NOBODY_SET_THIS"]
        )
    finally:
        for number, one in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(number, one)
    assert code == 1
    assert "no variable 'NOBODY_SET_THIS'" in capsys.readouterr().err
