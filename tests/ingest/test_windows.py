"""Stretches of time: their arithmetic against a second at a time, and windows that are bounded and hide nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kalshi_lab.ingest import bars
from kalshi_lab.ingest.windows import OVERLAP, Window, cut, length, merged, named, without

START = datetime(2026, 11, 1, tzinfo=UTC)
NOW = datetime(2026, 12, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
stretches = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted).map(tuple), max_size=6)


def timed(pairs: list[tuple[int, int]]) -> list[tuple[datetime, datetime]]:
    return [(START + HOUR * since, START + HOUR * until) for since, until in pairs]


def hours(found: list[tuple[datetime, datetime]]) -> set[int]:
    return {(since - START) // HOUR + k for since, until in found for k in range((until - since) // HOUR)}


@given(stretches, stretches)
def test_what_is_missing_is_what_is_wanted_and_not_held(
    wanted: list[tuple[int, int]], held: list[tuple[int, int]]
) -> None:
    """Lesson 42: half-open stretches, hour by hour: nothing is missing twice, nothing that is held is missing, and no hole is forgotten."""
    hole = without(timed(wanted), timed(held))
    assert hours(hole) == hours(timed(wanted)) - hours(timed(held))
    assert hole == merged(hole)
    assert length(hole) == HOUR * len(hours(hole))


@given(stretches, stretches, st.integers(1, 50))
def test_windows_cover_what_is_missing_once(
    wanted: list[tuple[int, int]], held: list[tuple[int, int]], size: int
) -> None:
    """Windows touch and never overlap, are at most one and a half times the size, and come newest first."""
    missing = without(timed(wanted), timed(held))
    windows = cut("KXA-1", missing, timed(held), HOUR * size, NOW)
    assert hours([(one.since, one.until) for one in windows]) == hours(missing)
    assert sum((one.until - one.since for one in windows), timedelta()) == length(missing)
    assert all(one.until - one.since <= HOUR * size * 1.5 for one in windows)
    assert [one.until for one in windows] == sorted((one.until for one in windows), reverse=True)
    known = hours(timed(held))
    assert all(hours([(one.grows, one.since)]) <= known for one in windows)


def test_a_window_is_read_from_its_name() -> None:
    """The ledger has a walk's name only: subject and bounds come back from it, and other names are no windows."""
    for subject in ("", "KXHIGHNY-26NOV20-B41.5"):
        window = Window(subject, START, NOW, START, NOW)
        assert named(window.name, NOW) == window
    assert named("all", NOW) is None
    assert named("KXA-1 and 3 more 00ff", NOW) is None


def test_the_end_of_a_window_settles_later() -> None:
    """What was read within an hour of its happening is read again; a window that was long over then is not."""
    fresh = Window("", START, NOW, START, NOW)
    assert fresh.settled == (START, NOW - OVERLAP)
    over = Window("", START, START + HOUR, START, NOW)
    assert over.settled == (START, START + HOUR)


def bar(number: int, days: int, *, settled: datetime | None = None) -> bars.Bars:
    since = NOW - timedelta(days=days)
    return bars.Bars(f"KXA-{number}", since, NOW, since, settled)


def test_batches_keep_to_the_limits() -> None:
    """At most 100 markets and 10,000 candlesticks in a request; archived markets are asked for singly, at most 5,000 periods each."""
    wanted = [bar(number, days=1 + number % 7) for number in range(250)]
    wanted += [bar(1000, days=700), bar(1001, days=700, settled=START)]
    found = bars.batches(wanted, 60, cutoff=START + HOUR)
    assert sorted(one.ticker for batch in found for one in batch.bars) == sorted(one.ticker for one in wanted)
    for batch in found:
        most = 5_000 if batch.historical else 10_000
        assert len(batch.bars) <= (1 if batch.historical else 100)
        for since, until in batch.windows:
            assert ((until - since) // HOUR + 1) * len(batch.bars) <= most
        assert hours_of(batch) >= max((one.until - one.since) // HOUR for one in batch.bars)
    assert [batch.bars[0].ticker for batch in found if batch.historical] == ["KXA-1001"]
    assert sum(len(batch.windows) for batch in found if not batch.historical) <= 8


def hours_of(batch: bars.Batch) -> int:
    return sum((until - since) // HOUR for since, until in batch.windows)
