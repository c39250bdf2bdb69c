"""The circuit breaker's states, one step at a time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from kalshi_lab.door.breaker import Breaker, Resting
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from kalshi_lab.door.breaker import Outcome


def opened(clock: FakeClock) -> Breaker:
    breaker = Breaker(2, 10.0, clock)
    for _ in range(2):
        breaker.settle(breaker.admit(), "failed")
    assert breaker.state == "open"
    return breaker


def test_only_failures_in_a_row_open_it() -> None:
    """A success between failures starts the count anew; a cancelled call changes nothing."""
    breaker = Breaker(2, 10.0, FakeClock())
    for outcome in ("failed", "alive", "failed", "unknown", "unknown"):
        breaker.settle(breaker.admit(), outcome)
        assert breaker.state == "closed"
    breaker.settle(breaker.admit(), "failed")
    assert breaker.state == "open"


def test_the_rest_is_kept() -> None:
    """While it rests nobody passes, and each is told how long it takes still."""
    clock = FakeClock()
    breaker = opened(clock)
    clock.advance(4)
    with pytest.raises(Resting) as caught:
        breaker.admit()
    assert caught.value.seconds == pytest.approx(6)


def test_one_probe_at_a_time() -> None:
    """After the rest one caller passes; a cancelled probe frees its place, a failed one opens for a full rest."""
    clock = FakeClock()
    breaker = opened(clock)
    clock.advance(10)
    probe = breaker.admit()
    assert breaker.state == "half_open"
    with pytest.raises(Resting):
        breaker.admit()
    breaker.settle(probe, "unknown")
    breaker.settle(breaker.admit(), "failed")
    assert breaker.state == "open"
    clock.advance(9.9)
    with pytest.raises(Resting):
        breaker.admit()


def test_late_results_are_ignored() -> None:
    """A call admitted before the circuit opened neither closes nor feeds it, and is told not to send any more."""
    clock = FakeClock()
    breaker = Breaker(1, 10.0, clock)
    early, late = breaker.admit(), breaker.admit()
    breaker.settle(early, "failed")
    with pytest.raises(Resting):
        breaker.check(late)
    breaker.settle(late, "alive")
    assert breaker.state == "open"
    clock.advance(10)
    probe = breaker.admit()
    breaker.check(probe)
    with pytest.raises(Resting):
        breaker.check(late)
    breaker.settle(probe, "alive")
    breaker.check(late)
    assert breaker.state == "closed"


@pytest.mark.parametrize("outcome", ["alive", "failed"])
def test_late_results_do_not_judge_the_probe(outcome: Outcome) -> None:
    """While a probe is on its way, only its own end decides."""
    clock = FakeClock()
    breaker = Breaker(1, 10.0, clock)
    early, late = breaker.admit(), breaker.admit()
    breaker.settle(early, "failed")
    clock.advance(10)
    breaker.admit()
    breaker.settle(late, outcome)
    assert breaker.state == "half_open"
    with pytest.raises(Resting):
        breaker.admit()


def test_threads_get_one_probe() -> None:
    """Of twenty threads that ask at the same moment after the rest, one passes."""
    clock = FakeClock()
    breaker = opened(clock)
    clock.advance(10)
    gate, passed = threading.Barrier(20), []

    def ask() -> None:
        gate.wait()
        try:
            passed.append(breaker.admit())
        except Resting:
            return

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 1
