"""The books that somebody follows: what was sent of each, and what has changed since."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from kalshi_lab.sim.feed import messages
from kalshi_lab.sim.wire import price
from kalshi_lab.sim.world import ACTIVE, INACTIVE

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Sequence

    from kalshi_lab.sim.api import Api
    from kalshi_lab.sim.feed.messages import Sides
    from kalshi_lab.sim.feed.session import Subscription
    from kalshi_lab.sim.render import Json, Levels

NO, YES = 0, 1
_MOST_EXTRA = 200
Marks = dict[tuple[int, int], tuple[str, dict[str, Any]]]
"""By side and price, whose order changed a level last: the account, and what its own deltas say of it."""


@dataclass(slots=True)
class Ladder:
    """One book as its readers have it."""

    row: int
    names: Json
    trading: bool
    sides: Sides
    readers: dict[Subscription, None] = field(default_factory=dict)

    def changes(self, levels: tuple[Levels, Levels]) -> list[tuple[int, int, int]]:
        """Side, price and change of every level that differs, which is then as told."""
        found = []
        for side, told in ((YES, levels[0]), (NO, levels[1])):
            before, after = self.sides[side], dict(told)
            found += [(side, level, -size) for level, size in before.items() if level not in after]
            found += [
                (side, level, size - before.get(level, 0)) for level, size in told if size != before.get(level, 0)
            ]
            before.clear()
            before.update(after)
        return found


class Books:
    """All books with readers; `emit` sends a message of a market to a subscription."""

    def __init__(self, api: Api, emit: Callable[[Subscription, str, str, str], None]) -> None:
        self.api, self.world, self.emit = api, api.world, emit
        self.held: dict[int, Ladder] = {}
        self.marks: dict[int, Marks] = {}
        self._random = random.Random(api.world.seed)

    def names(self, row: int) -> Json:
        """Ticker and id."""
        return {"market_ticker": self.world.names.market(row), "market_id": messages.market_id(self.world.seed, row)}

    def follow(self, subscription: Subscription, rows: Sequence[int], now: int) -> None:
        """Send whole books, and their changes from here on."""
        for row, levels in zip(rows, self._levels(rows, now), strict=True):
            if not subscription.alive:
                return
            ladder = self._held(row, levels, now)
            ladder.readers[subscription] = None
            self.show(subscription, ladder)

    def glance(self, subscription: Subscription, rows: Sequence[int], now: int) -> None:
        """Send whole books once more, or for once."""
        for row, levels in zip(rows, self._levels(rows, now), strict=True):
            ladder = self._held(row, levels, now)
            self.show(subscription, ladder)
            if not ladder.readers:
                del self.held[row]

    def leave(self, subscription: Subscription, rows: Iterable[int]) -> None:
        """Send no more of some books."""
        for row in rows:
            ladder = self.held.get(row)
            if ladder is not None:
                ladder.readers.pop(subscription, None)
                if not ladder.readers:
                    del self.held[row]

    def refresh(self, rows: Sequence[int], now: int) -> None:
        """Send what has changed in some of the books."""
        for row, levels in zip(rows, self._levels(rows, now), strict=True):
            self._held(row, levels, now)

    def _levels(self, rows: Sequence[int], now: int) -> list[tuple[Levels, Levels]]:
        found = self.api.renderer.books(np.array(rows, dtype=np.int64), now) if rows else []
        touched = self.touched()
        return [
            self.api.levels(row, now) if row in touched else levels for row, levels in zip(rows, found, strict=True)
        ]

    def touched(self) -> Container[int]:
        """Markets in which members act, whose books are not the world's alone."""
        return () if self.api.display is None else self.api.display.venue.markets

    def _held(self, row: int, levels: tuple[Levels, Levels], now: int) -> Ladder:
        """The book's ladder, brought up to date for its readers."""
        trading = self._trading(row, now)
        ladder = self.held.get(row)
        if ladder is None:
            ladder = self.held[row] = Ladder(row, self.names(row), trading, (dict(levels[1]), dict(levels[0])))
            return ladder
        changes = ladder.changes(levels)
        if ladder.trading and not trading:
            for reader in list(ladder.readers):
                self.show(reader, ladder)
        else:
            for side, level, change in changes:
                self._tell(ladder, side, level, change, now)
        ladder.trading = trading
        return ladder

    def _trading(self, row: int, now: int) -> bool:
        return int(self.world.event_status(now)[self.world.markets.event[row]]) in {ACTIVE, INACTIVE}

    def show(self, subscription: Subscription, ladder: Ladder) -> None:
        """Send the whole book as its readers have it."""
        body = messages.snapshot(ladder.names, ladder.sides, yes_prices=subscription.yes_prices)
        self.emit(subscription, "orderbook_snapshot", messages.text(body), ladder.names["market_ticker"])

    def _tell(self, ladder: Ladder, side: int, level: int, change: int, now: int) -> None:
        owner, more = self.marks.get(ladder.row, {}).pop((side, level), ("", {}))
        body = messages.delta(ladder.names, level, change, side, now)
        written: dict[tuple[bool, bool], str] = {}
        for reader in list(ladder.readers):
            turned, own = reader.yes_prices and side == NO, bool(owner) and reader.connection.caller.id == owner
            if (turned, own) not in written:
                shown = {**body, **(more if own else {})}
                if turned:
                    shown["price_dollars"] = price(messages.turned(level, yes_prices=True))
                written[turned, own] = messages.text(shown)
            self.emit(reader, "orderbook_delta", written[turned, own], ladder.names["market_ticker"])

    def stir(self, many: int, rows: Sequence[int] | None, now: int) -> set[int]:
        """Change so many levels, a little each, in some books or in all; gives the markets whose best level it was."""
        chosen = [
            row for row in (self.held if rows is None else rows) if row in self.held and any(self.held[row].sides)
        ]
        touched, best = self.touched(), set()
        for _ in range(many if chosen else 0):
            row = self._random.choice(chosen)
            if row in touched:
                self._stir_touched(row, now)
                best.add(row)
            elif self._stir(self.held[row], now):
                best.add(row)
        return best

    def _stir(self, ladder: Ladder, now: int) -> bool:
        side = self._random.choice([side for side in (NO, YES) if ladder.sides[side]])
        levels = ladder.sides[side]
        place = self._random.randrange(len(levels))
        change = self.world.quotes.stir(ladder.row, side, place, self._random.randrange(_MOST_EXTRA) * 100)
        if change:
            level = sorted(levels)[-1 - place]
            levels[level] += change
            self._tell(ladder, side, level, change, now)
        return place == 0 and bool(change)

    def _stir_touched(self, row: int, now: int) -> None:
        self.world.quotes.stir(row, self._random.randrange(2), 0, self._random.randrange(_MOST_EXTRA) * 100)
        self.refresh([row], now)
