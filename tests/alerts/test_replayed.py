"""Recorded books through a real watch: every alert fires as often as it must, whatever is killed meanwhile."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.alerts import replayed
from tests.alerts.replayed import SEED, killed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.recordings
def test_every_alert_fires_as_often_as_it_must(recordings: Path, tmp_path: Path) -> None:
    """AL-2: sixty alerts over a part of one recording, of which one process is killed on the way: none is missed, none comes twice."""
    rows = replayed.frames(recordings, 1, 12_000)
    wanted = replayed.expected(rows, replayed.alerts(rows, SEED, 60))
    assert sum(len(one) for one in wanted.values()) > 100
    killed(tmp_path, recordings, count=60, captures=1, most=12_000, after=[0.3])
    assert replayed.told(tmp_path) == wanted


@pytest.mark.kill
@pytest.mark.timeout(900)
@pytest.mark.recordings
def test_five_hundred_alerts_over_all_recordings(recordings: Path, tmp_path: Path) -> None:
    """AL-2: all recorded books, 924,186 messages, five hundred alerts, killed at random moments: none is missed, none comes twice."""
    rows = replayed.frames(recordings, 99)
    wanted = replayed.expected(rows, replayed.alerts(rows, SEED, 500))
    chance = random.Random(SEED)
    kills = killed(tmp_path, recordings, count=500, after=[chance.uniform(0.5, 6.0) for _ in range(10)])
    told = replayed.told(tmp_path)
    events = sum(len(one) for one in wanted.values())
    print(f"{len(rows):,} messages, {events:,} events, {kills} kills")
    assert told == wanted
    assert kills > 1
