"""The circuit breaker: a host that failed often in a row is left alone for a while, then tried with one request.

Calls count, not attempts: a call counts once, after its attempts are used up. Never holds its lock during a call, so
threads and event loops share it.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from kalshi_lab.clock import Clock

log = logging.getLogger(__name__)
State = Literal["closed", "open", "half_open"]
Outcome = Literal["alive", "failed", "unknown"]


class Resting(Exception):  # noqa: N818 - never leaves the door: it becomes CircuitOpen
    """The host is being left alone for `seconds` more."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Breaker:
    """Opens after `failures` failed calls in a row, for `rest` seconds."""

    def __init__(self, failures: int, rest: float, clock: Clock) -> None:
        self._failures, self._rest, self._clock = failures, rest, clock
        self._lock = threading.Lock()
        self._state: State = "closed"
        self._period = 0
        self._failed = 0
        self._opened = 0.0
        self._probing = False

    @property
    def state(self) -> State:
        """One of closed (calls pass), open (none passes), half_open (one is on its way to try)."""
        return self._state

    @property
    def rest(self) -> float | None:
        """Seconds until an open circuit lets a call try, 0 where one may; None while it is closed."""
        with self._lock:
            return None if self._state == "closed" else max(0.0, self._left())

    def admit(self) -> int:
        """Let a call pass and say in which period; raises Resting while none may."""
        with self._lock:
            if self._state == "open" and self._left() <= 0:
                self._enter("half_open")
            if self._state == "open" or self._probing:
                raise Resting(max(0.0, self._left()))
            self._probing = self._state == "half_open"
            return self._period

    def check(self, period: int) -> None:
        """Raise Resting if the circuit opened since the call was admitted: what it still has to send is not sent."""
        with self._lock:
            if self._state != "closed" and period != self._period:
                raise Resting(max(0.0, self._left()))

    def settle(self, period: int, outcome: Outcome) -> None:
        """Say how an admitted call ended: the host lives, it failed, or (a call cancelled or never sent) nobody knows.

        Results of calls admitted before the last change of state are ignored.
        """
        with self._lock:
            if period != self._period:
                return
            self._probing = False
            if outcome == "alive":
                self._failed = 0
                if self._state == "half_open":
                    self._enter("closed")
            elif outcome == "failed":
                self._failed += 1
                if self._state == "half_open" or self._failed >= self._failures:
                    self._enter("open")

    def _left(self) -> float:
        return self._opened + self._rest - self._clock.monotonic()

    def _enter(self, state: State) -> None:
        log.log(logging.WARNING if state == "open" else logging.INFO, "circuit %s -> %s", self._state, state)
        self._state, self._probing = state, False
        self._period += 1
        if state == "open":
            self._opened, self._failed = self._clock.monotonic(), 0
