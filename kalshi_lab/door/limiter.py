"""The rate budget: a token bucket with a cost for each request, first come first served, that learns from refusals.

Each caller reserves its start time under a lock and sleeps outside it (virtual scheduling, as in the generic cell rate
algorithm of ITU-T I.371): no waiter has to be woken, and any number of threads and event loops can share it.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from kalshi_lab.clock import Clock

_RESOLUTION = 1e-6  # seconds; a shorter wait is none
_SLOWEST = 0.1
_FASTER = 0.02


class NoTurn(Exception):  # noqa: N818 - never leaves the door: it becomes RateLimited
    """The budget has no room before the caller's deadline; `seconds` until it has."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@dataclass(slots=True, eq=False)
class _Ticket:
    """A reserved place: when its tokens are there, and from when on the bucket filled before it was reserved."""

    number: int
    cost: float
    before: float
    start: float
    gone: bool = False


class Limiter:
    """A bucket of `burst` tokens, refilled at `rate` a second: any T seconds grant at most rate * T + burst.

    `slack` seconds of refill are left unspent of a full bucket: requests may arrive so much closer together than they left, and whoever
    counts them where they arrive began to refill so much later.
    """

    def __init__(self, rate: float, burst: float, clock: Clock, *, slack: float = 0.0) -> None:
        self._clock, self._slack = clock, slack
        self._base, self._burst = _sensible(rate, burst)
        self._lock = threading.Lock()
        self._queue: deque[_Ticket] = deque()
        self._number = 0
        self._factor = 1.0
        self._slowed = -math.inf
        self._empty = clock.monotonic() - self._full  # the time from which the bucket has been filling

    @property
    def rate(self) -> float:
        """Tokens a second at present: less than the budget's after refusals."""
        return self._base * self._factor

    @property
    def burst(self) -> float:
        """Tokens that the bucket holds when full: the most that one request can cost."""
        return self._burst

    @property
    def tokens(self) -> float:
        """Tokens in the bucket; negative while callers wait."""
        with self._lock:
            return min(self._burst, (self._clock.monotonic() - self._empty) * self.rate)

    @property
    def is_full(self) -> bool:
        """Whether it holds what a new one would."""
        with self._lock:
            return self._clock.monotonic() - self._empty >= self._full

    @property
    def _full(self) -> float:
        """Seconds of refill that a full bucket may spend at once."""
        return max(self._burst / self.rate - self._slack, 0.0)

    async def acquire(self, cost: float, *, until: float = math.inf) -> float:
        """Wait for `cost` tokens and take them; the seconds waited.

        Raises NoTurn where they are not there by `until` (of the clock's monotonic time), UsageError for more than the
        bucket holds. A cancelled caller gives its tokens back unless somebody behind it still counts on its place.
        """
        asked = self._clock.monotonic()
        ticket = self._reserve(cost)
        try:
            while (wait := self._left(ticket, until)) > _RESOLUTION:
                await self._clock.sleep(wait)
        except BaseException:
            self._give_back(ticket)
            raise
        self._leave(ticket)
        return self._clock.monotonic() - asked

    def _reserve(self, cost: float) -> _Ticket:
        if not cost > 0:
            raise UsageError(f"a request cannot cost {cost} tokens")
        with self._lock:
            self._fits(cost)
            now = self._clock.monotonic()
            self._empty = max(self._empty, now - self._full)
            self._number += 1
            ticket = _Ticket(self._number, cost, self._empty, 0.0)
            self._place(ticket)
            self._queue.append(ticket)
            return ticket

    def _fits(self, cost: float) -> None:
        if cost > self._burst:
            raise UsageError(f"a request of {cost:g} tokens does not fit a budget that holds {self._burst:g}")

    def _place(self, ticket: _Ticket) -> None:
        ticket.before = self._empty
        self._empty += ticket.cost / self.rate
        ticket.start = self._empty

    def _left(self, ticket: _Ticket, until: float) -> float:
        with self._lock:
            self._fits(ticket.cost)
            wait = ticket.start - self._clock.monotonic()
            if wait > _RESOLUTION and ticket.start > until:
                raise NoTurn(wait)
            return wait

    def _leave(self, ticket: _Ticket) -> None:
        """Settle the ticket and those before it: given back now, their tokens would be granted twice."""
        with self._lock:
            while self._queue and self._queue[0].number <= ticket.number:
                self._queue.popleft()

    def _give_back(self, ticket: _Ticket) -> None:
        with self._lock:
            ticket.gone = True
            while self._queue and self._queue[-1].gone:
                self._empty = self._queue.pop().before

    def adjust(self, rate: float, burst: float) -> None:
        """From now on another rate and another size; tokens that are there stay, and callers that wait keep their order."""
        with self._lock:
            now, old = self._clock.monotonic(), self.rate
            begun = next((ticket.before for ticket in self._queue if not ticket.gone), self._empty)
            tokens = (now - begun) * old
            self._base, self._burst = _sensible(rate, burst)
            kept = begun if begun > now else now - min(self._full, tokens / self.rate)
            self._replan(-math.inf, kept)

    def penalize(self, *, sent: float, hold: float = 0.0) -> None:
        """After a 429: an empty bucket, nobody before `hold` seconds have passed, and half the rate.

        `sent` is the monotonic time at which the refused request left: refusals of one burst slow the rate once.
        """
        with self._lock:
            now = self._clock.monotonic()
            if sent >= self._slowed:
                self._factor = max(_SLOWEST, self._factor / 2)
                self._slowed = now
                self._replan(now + hold)
            elif hold:
                self._replan(now + hold)

    def _replan(self, earliest: float, begun: float | None = None) -> None:
        """Place the waiting callers anew, none before `earliest`, in a bucket that has been filling from `begun` on."""
        waiting = [ticket for ticket in self._queue if not ticket.gone]
        if begun is None:
            begun = waiting[0].before if waiting else self._empty
        self._empty = max(earliest, begun)
        for ticket in waiting:
            self._place(ticket)
        self._queue = deque(waiting)

    def recover(self) -> None:
        """After a success: a little of the rate back."""
        with self._lock:
            self._factor = min(1.0, self._factor + _FASTER)


def _sensible(rate: float, burst: float) -> tuple[float, float]:
    if not (0 < rate < math.inf and 0 < burst < math.inf):
        raise UsageError(f"a budget of {rate} tokens a second that holds {burst} is none")
    return float(rate), float(burst)
