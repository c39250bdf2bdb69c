"""What may be asked of a host: a bucket for reads and one for writes, and what each request costs.

One budget serves all doors of a process that use the same exchange with the same key, or without one: two clients don't get twice the
rate. Source of the rules: the exchange's page on rate limits (October 2026); writes are all requests but GET.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any

from kalshi_lab.clock import SystemClock
from kalshi_lab.door.limiter import Limiter
from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kalshi_lab.clock import Clock
    from kalshi_lab.door.call import Call
    from kalshi_lab.door.host import Host
    from kalshi_lab.settings import Settings

Place = tuple[str, str]
CROWDED = 0.1  # seconds by which a request may be later on its way than those after it, where time is real


class Budget:
    """The read and the write bucket of one account, in tokens (one for both where `write` is None).

    `learned` says that the host itself told how large they are.
    """

    def __init__(
        self, read: tuple[float, float], write: tuple[float, float] | None, clock: Clock, *, slack: float = 0.0
    ) -> None:
        self.read = Limiter(*read, clock, slack=slack)
        self.write = self.read if write is None else Limiter(*write, clock, slack=slack)
        self.learned = False
        self.holders: weakref.WeakSet[Any] = weakref.WeakSet()
        self._costs: dict[str, float] = {}
        self._default: float | None = None

    def bucket(self, call: Call) -> Limiter:
        """The bucket that a request is paid from."""
        return self.read if call.method == "GET" else self.write

    def cost(self, call: Call) -> float:
        """Tokens of a request: what the exchange said, else what the call itself says.

        Raises UsageError for a batch that no full bucket could pay, which the exchange would refuse for ever.
        """
        each = self._costs.get(call.operation, self._default)
        cost = call.cost if each is None else each * call.items
        burst = self.bucket(call).burst
        if cost <= burst:
            return cost
        said = f"{call.operation} of {call.items} costs {cost:g} tokens at once, and the budget holds {burst:g}"
        most = int(burst // (cost / call.items))
        raise UsageError(
            said, hint=f"Give {most} at most in one batch" if most else "The account's tier does not allow it"
        )

    def learn(
        self,
        read: tuple[float, float] | None,
        write: tuple[float, float] | None,
        costs: Mapping[str, float] | None,
        default: float | None,
    ) -> None:
        """Take over what the exchange said; see `Door.limits`."""
        tokens = [*(costs or {}).values(), *([] if default is None else [default])]
        if any(not cost > 0 for cost in tokens):
            raise UsageError("a request cannot cost nothing or less")
        for bucket, size in ((self.read, read), (self.write, write)):
            if size is not None:
                bucket.adjust(*size)
                self.learned = True
        most = max(
            self.read.burst, self.write.burst
        )  # what costs more could never be asked for: that is no figure to believe
        if costs is not None:
            self._costs = {operation: cost for operation, cost in costs.items() if cost <= most}
        if default is not None and default <= most:
            self._default = default

    @property
    def idle(self) -> bool:
        """Whether nobody uses it and both buckets are full, so that a new one would be the same."""
        return not self.holders and self.read.is_full and self.write.is_full


_shared: dict[Place, Budget] = {}
_lock = threading.Lock()


def budget_of(host: Host, key_id: str, clock: Clock, holder: object, settings: Settings) -> Budget:
    """The budget of `holder`, a door: the process's own for this host and key, or one apart for a clock that is not the machine's.

    A tier that the settings name changes the shared one, unless the exchange has said what it is.
    """
    if not isinstance(clock, SystemClock):
        return Budget(host.read, host.write, clock)
    key = key_id if host.by_key else ""
    with _lock:
        for place in [place for place, budget in _shared.items() if budget.idle]:
            del _shared[place]
        budget = _shared.get((host.place, key))
        if budget is None:
            budget = _shared[host.place, key] = Budget(host.read, host.write, clock, slack=CROWDED)
        elif settings.tier is not None and host.write is not None and not budget.learned:
            budget.read.adjust(*host.read)
            budget.write.adjust(*host.write)
        budget.holders.add(holder)
        return budget
