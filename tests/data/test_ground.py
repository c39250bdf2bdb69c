"""The ground floor: words for times, settings, errors across processes, and what the observer counts."""

from __future__ import annotations

import logging
import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kalshi_lab as kl
from kalshi_lab import clock, errors
from kalshi_lab.observe import KEPT, Attempt, Observer

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("words", "length"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        (" 24H ", timedelta(days=1)),
        ("1.5d", timedelta(hours=36)),
        ("2 w", timedelta(weeks=2)),
        (timedelta(seconds=1), timedelta(seconds=1)),
    ],
)
def test_spans(words: Any, length: timedelta) -> None:
    """A length of time is a timedelta or a number with its unit."""
    assert clock.span(words) == length


@pytest.mark.parametrize("words", ["", "d", "7", "7 days", "-7d", "1e3d", "7y", "7d 2h", None, 7])
def test_what_is_no_span(words: Any) -> None:
    """Anything else is refused with an example of how to write it."""
    with pytest.raises(
        kl.UsageError, match=r'horizon .* is no length of time\. Write it like "15m", "24h", "7d" or "2w"'
    ):
        clock.span(words, what="horizon")


@pytest.mark.parametrize(
    ("words", "instant"),
    [
        (NOON, NOON),
        (datetime(2026, 11, 22, 7, tzinfo=timezone(timedelta(hours=-5))), NOON),
        (date(2026, 11, 22), datetime(2026, 11, 22, tzinfo=UTC)),
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
        ("2026-11-22T12:00:00Z", NOON),
        ("2026-11-22T12:00", NOON),
        (" 2026-11-22 13:00:00+01:00 ", NOON),
        ("2h", NOON),
        (timedelta(hours=2), NOON),
        (1_795_348_800, NOON),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_moments(words: Any, instant: datetime) -> None:
    """A time is given as a datetime, a date, text, a span back from now, or Unix seconds, and is UTC-aware then."""
    found = clock.moment(words, now=NOW)
    assert (found, found.tzinfo) == (instant, UTC)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (datetime(2026, 11, 22), "until 2026-11-22T00:00:00 has no time zone. Use datetime(..., tzinfo=UTC)"),  # noqa: DTZ001 - the point
        ("tomorrow", 'until \'tomorrow\' is no time. Write it like "2026-11-22", "2026-11-22T14:00:00Z" or "7d"'),
        (True, 'until True is no time. Write it like "2026-11-22", "2026-11-22T14:00:00Z" or "7d"'),
        (1.5, 'until 1.5 is no time. Write it like "2026-11-22", "2026-11-22T14:00:00Z" or "7d"'),
        (10**18, "until 1000000000000000000 is out of range. Years 1 to 9999 can be given"),
        ("9999999w", "until '9999999w' is out of range. Years 1 to 9999 can be given"),
        (
            "0001-01-01T00:00:00+14:00",
            "until '0001-01-01T00:00:00+14:00' is out of range. Years 1 to 9999 can be given",
        ),
    ],
)
def test_what_is_no_moment(words: Any, message: str) -> None:
    """What is no time is refused in a sentence that names the argument."""
    with pytest.raises(kl.UsageError) as error:
        clock.moment(words, now=NOW, what="until")
    assert str(error.value) == message


@given(st.integers(0, 4_000_000_000), st.integers(0, 999_999))
def test_unix_seconds_round_down(seconds: int, micro: int) -> None:
    """Unix seconds come back as they went in, parts of a second cut off."""
    at = clock.moment(seconds, now=NOW)
    assert clock.unix(at + timedelta(microseconds=micro)) == seconds


def test_intervals_are_half_open_and_never_empty() -> None:
    """Either side may be open; equal or turned around sides are refused."""
    assert clock.between(None, None, now=NOW) == (None, None)
    assert clock.between("2h", None, now=NOW) == (NOON, None)
    assert clock.between("2h", NOW, now=NOW) == (NOON, NOW)
    for start, end in ((NOW, NOW), (NOW, "2h")):
        with pytest.raises(kl.UsageError, match="the time range is empty"):
            clock.between(start, end, now=NOW)


PROD, DEMO = "https://external-api.kalshi.com/trade-api/v2", "https://external-api.demo.kalshi.co/trade-api/v2"


@pytest.mark.parametrize(
    ("choices", "url"),
    [
        ({}, PROD),
        ({"environment": "demo"}, DEMO),
        ({"environment": "sim"}, ""),
        (
            {"base_url": "https://api.elections.kalshi.com/trade-api/v2"},
            "https://api.elections.kalshi.com/trade-api/v2",
        ),
        ({"environment": "sim", "base_url": "http://127.0.0.1:9/trade-api/v2"}, "http://127.0.0.1:9/trade-api/v2"),
        ({"base_url": "https://mirror.example/v2/", "allow_unsafe_host": True}, "https://mirror.example/v2"),
    ],
)
def test_addresses(choices: dict[str, Any], url: str) -> None:
    """Each environment has its own address; another one needs to be allowed, except the sim's on this machine."""
    assert kl.Settings(**choices).url == url


@pytest.mark.parametrize(
    "base_url",
    [
        "http://external-api.kalshi.com/trade-api/v2",
        "https://external-api.kalshi.com:444/trade-api/v2",
        "https://external-api.kalshi.com.evil.example/trade-api/v2",
        "https://external-api.kalshi.com@evil.example/trade-api/v2",
        "https://external-api.kalshi.com/trade-api/v3",
        "https://external-api.kalshi.com/trade-api/v2?x=1",
        "https://external-api.kalshi.com./trade-api/v2",
        DEMO,
        "http://127.0.0.1:9/trade-api/v2",
        "nonsense",
    ],
)
def test_no_other_address_passes_for_the_exchange(base_url: str) -> None:
    """Only the exact address of the environment is taken without being asked for."""
    with pytest.raises(kl.UsageError):
        kl.Settings(base_url=base_url)


def test_settings_come_from_arguments_then_the_environment_then_defaults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An argument beats a variable, a variable beats the default, and a bad variable is refused like a bad argument."""
    monkeypatch.setenv("KALSHI_ENVIRONMENT", "demo")
    monkeypatch.setenv("KALSHI_LAB_HOME", str(tmp_path))
    monkeypatch.setenv("KALSHI_LAB_TIER", "expert")
    made = kl.Settings()
    assert (made.environment, made.folder, made.tier) == ("demo", tmp_path.resolve(), "expert")
    assert (kl.Settings(environment="prod").url, kl.Settings(tier="basic").tier) == (PROD, "basic")
    monkeypatch.setenv("KALSHI_ENVIRONMENT", "nowhere")
    with pytest.raises(kl.UsageError, match="unknown environment 'nowhere'"):
        kl.Settings()


def test_settings_are_a_value() -> None:
    """Settings cannot be changed, compare by value and know the rate budget of their tier."""
    made = kl.Settings(environment="sim")
    with pytest.raises(ValueError, match="frozen"):
        made.attempts = 9
    assert made == kl.Settings(environment="sim")
    assert (kl.Settings().read_budget, made.read_budget) == ((200, 600), (12_000, 12_000))


KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.LabError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_errors_survive_pickling(kind: type[errors.LabError]) -> None:
    """Every error of the tree is the same on the other side of a process: its words, its figures, its hint."""
    named = {"request_id": "ab12", "method": "GET", "path": "/markets", "status": 503, "attempts": 4, "elapsed": 1.26}
    error = kind("it failed", hint="Try later", **(named if issubclass(kind, errors.RequestError) else {}))
    error.mark = {"until": NOW}  # type: ignore[attr-defined]  # what a branch adds of its own
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (type(again), again.args, again.__dict__, str(again)) == (kind, error.args, error.__dict__, str(error))
    where = " [GET /markets, request ab12, 4 attempts, 1.3 s]" if issubclass(kind, errors.RequestError) else ""
    assert str(error) == f"it failed. Try later{where}"
    assert kind.__doc__


def test_the_tree_is_drawn_as_it_is() -> None:
    """The drawing at the top of the module names every error, below its parent."""
    drawn = errors.__doc__ or ""
    assert len(KINDS) >= 28
    for kind in KINDS:
        assert kind.__name__ in drawn
    assert issubclass(errors.UsageError, ValueError)
    assert issubclass(errors.NotFound, LookupError)
    assert issubclass(errors.TimedOut, TimeoutError)


def attempt(latency: float, number: int = 1, error: str = "", operation: str = "get_markets") -> Attempt:
    return Attempt(
        NOW, "ab", operation, "GET", "/markets", number, None if error else 200, error, 10, latency / 10, latency
    )


@pytest.mark.parametrize(
    ("count", "p50", "p95", "p99"),
    [(1, 1, 1, 1), (2, 1, 2, 2), (3, 2, 3, 3), (20, 10, 19, 20), (100, 50, 95, 99), (200, 100, 190, 198)],
)
def test_percentiles_are_nearest_rank(count: int, p50: int, p95: int, p99: int) -> None:
    """A percentile is the smallest value with that share of the values at or below it."""
    observer = Observer()
    for latency in reversed(range(1, count + 1)):
        observer.record(attempt(float(latency)))
    (row,) = observer.rows()
    assert (row["latency_p50"], row["latency_p95"], row["latency_p99"]) == (p50, p95, p99)
    assert (row["queued_p50"], row["queued_p99"]) == (p50 / 10, p99 / 10)


def test_the_observer_counts_everything_and_keeps_the_last() -> None:
    """Totals cover the whole session, while only the last attempts are kept."""
    observer = Observer()
    observer.record(attempt(9.0, error="Unavailable"))
    observer.record(attempt(1.0, number=2))
    observer.record(attempt(5.0, operation="get_trades"))
    for _ in range(KEPT):
        observer.record(attempt(2.0))
    first, second = observer.rows()
    counted = {name: first[name] for name in ("attempts", "retries", "failures", "received_bytes")}
    assert counted == {"attempts": KEPT + 2, "retries": 1, "failures": 1, "received_bytes": 10 * (KEPT + 2)}
    assert (first["latency_p99"], second["operation"], second["latency_p50"]) == (2.0, "get_trades", None)
    assert len(observer.recent()) == KEPT


def test_a_listener_that_fails_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Each listener gets each attempt; one that raises is logged, and failures are logged as warnings."""

    def broken(_attempt: Attempt) -> None:
        raise RuntimeError("broken listener")

    heard: list[Attempt] = []
    observer = Observer((broken, heard.append))
    with caplog.at_level(logging.DEBUG, logger="kalshi_lab"):
        observer.record(attempt(1.0, error="Unavailable"))
        observer.record(attempt(1.0))
    assert len(heard) == 2
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR", "DEBUG", "ERROR"]
