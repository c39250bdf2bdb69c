"""Which alerts a new quote of a market can concern: of those with a threshold, the ones whose threshold it passed."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from kalshi_lab.alerts.seen import Edges, Quoted

T = TypeVar("T")


class Concerned(Generic[T]):
    """The alerts of one market. Hundreds of levels on a market whose price moves by a cent cost as much as the one that it passes."""

    def __init__(self) -> None:
        self.everyone: list[T] = []
        self._always: list[T] = []
        self._levels: dict[str, list[tuple[Decimal, int]]] = {"mid": [], "spread": []}
        self._last: dict[str, Decimal] = {}

    def add(self, one: T, edges: Edges | None) -> None:
        """One more, with the values at which its answer changes; None for one that every quote may concern."""
        if edges is None:
            self._always.append(one)
        else:
            levels = self._levels[edges.axis]
            levels.extend((value, len(self.everyone)) for value in edges.values)
            levels.sort()
        self.everyone.append(one)

    def by(self, quote: Quoted) -> Iterator[T]:
        """Those that this quote can concern, given the real quote before it; at the first one all."""
        bid, ask, mid = quote.yes_bid, quote.yes_ask, quote.mid
        if bid is None or ask is None or mid is None:
            yield from self._always
            return
        if not self._last:
            self._last = {"mid": mid, "spread": ask - bid}
            yield from self.everyone
            return
        yield from self._always
        passed = {place for axis, now in (("mid", mid), ("spread", ask - bid)) for place in self._passed(axis, now)}
        for place in sorted(passed):
            yield self.everyone[place]

    def _passed(self, axis: str, now: Decimal) -> list[int]:
        before, self._last[axis] = self._last[axis], now
        if before == now:
            return []
        low, high = (before, now) if before < now else (now, before)
        levels = self._levels[axis]
        start, end = bisect_left(levels, (low, -1)), bisect_right(levels, (high, len(self.everyone)))
        return [place for _, place in levels[start:end]]
