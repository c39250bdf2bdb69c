"""One market of the venue: its book, its place in the synthetic world, and what will happen to resting orders there."""

from __future__ import annotations

from bisect import bisect_right
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from kalshi_lab.grid import Grid
from kalshi_lab.sim.catalog import GRIDS
from kalshi_lab.sim.desk.fee import expected
from kalshi_lab.sim.desk.matching import Book, Quotes
from kalshi_lab.sim.paths import STEPS
from kalshi_lab.sim.quotes import MINUTE
from kalshi_lab.sim.wire import DOLLAR
from kalshi_lab.sim.wire import price as spelled
from kalshi_lab.sim.world import ACTIVE, CLOSED, DETERMINED, FINALIZED, INACTIVE, INITIALIZED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kalshi_lab.sim.catalog import Grid as Label
    from kalshi_lab.sim.world import World

_FAR = (1 << 51) - 1
CLOSE, PAUSE, RESUME, EXPIRE, MOVE, TRADE = range(6)
Due = tuple[int, int, int, int]
"""Time, kind, market, and for a trade its place on the tape."""


class Market:
    """A market that members have touched."""

    def __init__(self, world: World, row: int) -> None:
        self.row, self.world = row, world
        self.event = int(self.world.markets.event[row])
        self.ticker, self.spec = self.world.names.market(row), self.world.names.spec(self.event)
        self.event_ticker, self.shard = self.world.names.event_ticker(self.event), self.spec.shard
        self.terms = self.world.fee_override(self.event) or (self.spec.fee_type, self.spec.fee_multiplier)
        events = self.world.events
        names = ("created", "open", "close", "determined", "settled")
        self._changes = [int(getattr(events, name)[self.event]) for name in names]
        self.close, self.settled = self._changes[2], self._changes[4]
        self.pause = int(events.pause_start[self.event]), int(events.pause_end[self.event])
        self.book, self.tape = Book(), self.world.tape.of(row, _FAR)
        self._known: tuple[tuple[int, int], Quotes] = (-1, 0), Quotes()
        self._quiet = 0

    def status(self, now: int) -> int:
        """The place in world.STATUSES; -1 before the market is listed."""
        passed = bisect_right(self._changes, now)
        if passed == 2 and not self.pause[0] <= now < self.pause[1]:
            return ACTIVE
        return (-1, INITIALIZED, INACTIVE, CLOSED, DETERMINED, FINALIZED)[passed]

    def fits(self, price: int) -> bool:
        """Whether a price is on the market's grid."""
        return 0 < price < DOLLAR and _grid(self.spec.grid).valid(spelled(price))

    def fee(self, price: int, count: int, *, taker: bool) -> int:
        """What a trade costs before rounding to the balance."""
        return expected(self.terms, price, count, taker=taker)

    def quotes(self, now: int) -> Quotes:
        """What the synthetic world shows."""
        asked = now, self.world.quotes.version
        if self._known[0] != asked:
            step = int(self.world.paths.step(np.array([self.event]), now)[0])
            yes, no = self.world.quotes.book(self.row, step, now) if self.reachable(now) else ([], [])
            self._known = asked, Quotes(dict(yes), {DOLLAR - price: size for price, size in no}, now // MINUTE)
        return self._known[1]

    def open_at(self, now: int) -> bool:
        """Whether orders trade."""
        return self.status(now) == ACTIVE

    def reachable(self, now: int) -> bool:
        """Whether orders may at least be cancelled."""
        return self.status(now) in {ACTIVE, INACTIVE}

    def due(self, since: int, now: int) -> Iterator[Due]:
        """What the world does after `since` and up to `now` that may change resting orders."""
        if now < self._quiet:
            return
        fixed = ((self.close, CLOSE), (self.pause[0], PAUSE), (self.pause[1], RESUME))
        yield from ((at, kind, self.row, 0) for at, kind in fixed if since < at <= now)
        until = min(now, self.close - 1)
        first, last = np.searchsorted(self.tape.time, (since, until), side="right").tolist()
        yield from (
            (at, TRADE, self.row, first + place) for place, at in enumerate(self.tape.time[first:last].tolist())
        )
        yield from ((at, MOVE, self.row, 0) for at in self._crossings(since, until))
        self._quiet = min([at for at, _ in fixed if at > now] + self._next(now), default=_FAR)

    def _next(self, now: int) -> list[int]:
        """When the world trades or moves its quotes next."""
        event = np.array([self.event])
        step = self.world.paths.step(event, now) + 1
        place = int(np.searchsorted(self.tape.time, now, side="right"))
        moves = self.world.paths.moment(event, step).tolist() if step[0] <= STEPS else []
        return [*moves, *self.tape.time[place : place + 1].tolist()]

    def _crossings(self, since: int, until: int) -> list[int]:
        """When the world's best quotes step over the best resting orders."""
        event = np.array([self.event])
        before, after = (int(self.world.paths.step(event, at)[0]) for at in (since, until))
        steps = np.arange(before + 1, after + 1)
        if not len(steps) or not len(self.book):
            return []
        bid, ask = self.world.quotes.best(np.full(len(steps), self.row), steps)
        bids, asks = (self.book.side(buys=buys) for buys in (True, False))
        over = (ask <= (bids[0].price if bids else -1)) | (bid >= (asks[0].price if asks else DOLLAR + 1))
        found: list[int] = self.world.paths.moment(np.full(len(steps), self.event), steps)[over].tolist()
        return found


@cache
def _grid(label: Label) -> Grid:
    return Grid([{"start": start, "end": end, "step": step} for start, end, step in GRIDS[label]])
