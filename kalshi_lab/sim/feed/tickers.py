"""Which markets' quotes or totals are not what was last told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kalshi_lab.sim.feed import messages
from kalshi_lab.sim.quotes import MINUTE
from kalshi_lab.sim.world import ACTIVE, INACTIVE, STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kalshi_lab.sim.api import Api
    from kalshi_lab.sim.draws import Ints
    from kalshi_lab.sim.feed.session import Subscription
    from kalshi_lab.sim.render import Json

_FIELDS = (
    "last_price_dollars", "yes_bid_dollars", "yes_ask_dollars", "yes_bid_size_fp", "yes_ask_size_fp", "volume_fp", "open_interest_fp",
)  # fmt: skip


class Tickers:
    """The world's quotes move in steps, and sizes by the minute: only markets that stepped or were touched are looked at."""

    def __init__(self, api: Api) -> None:
        self.api, self.world = api, api.world
        self._steps: Ints = np.empty(0, dtype=np.int64)
        self._minute = 0
        self._told: dict[int, tuple[Any, ...]] = {}

    def start(self, now: int) -> None:
        """From here on."""
        self._steps, self._minute = self._step(now), now // MINUTE
        self._told.clear()

    def _step(self, now: int) -> Ints:
        events = np.arange(len(self.world.events))
        return self.world.paths.step(events, now) * len(STATUSES) + self.world.event_status(now)

    def moved(self, now: int) -> set[int]:
        """The events whose markets' quotes may differ from what they were at the last call."""
        steps, minute = self._step(now), now // MINUTE
        new = np.full(len(steps) - len(self._steps), -1, dtype=np.int64)
        found = steps != np.concatenate([self._steps, new])
        if minute != self._minute:
            found |= np.isin(self.world.event_status(now), (ACTIVE, INACTIVE))
        self._steps, self._minute = steps, minute
        return set(np.flatnonzero(found).tolist())

    def rows(self, moved: Iterable[int], others: set[int], listeners: list[Subscription]) -> list[int]:
        """The markets that somebody listens to, of those events and those others."""
        if not listeners:
            return []
        events = self.world.events
        found = set(others)
        for event in moved:
            first = int(events.first[event])
            found.update(range(first, first + int(events.count[event])))
        return sorted(row for row in found if any(one.wants(row) for one in listeners))

    def changed(self, rows: list[int], now: int) -> Iterator[tuple[int, Json]]:
        """The tickers that are not what was last told."""
        for row, market in self._markets(rows, now):
            state = tuple(market[name] for name in _FIELDS)
            if self._told.get(row) != state:
                self._told[row] = state
                yield row, self._message(row, market, now)

    def all(self, rows: list[int], now: int) -> Iterator[tuple[int, Json]]:
        """The tickers as they are."""
        for row, market in self._markets(rows, now):
            yield row, self._message(row, market, now)

    def _markets(self, rows: list[int], now: int) -> Iterator[tuple[int, Json]]:
        listed: list[bool] = (
            (self.world.event_status(now)[self.world.markets.event[rows]] >= 0).tolist() if rows else []
        )
        known = [row for row, there in zip(rows, listed, strict=True) if there]
        made = self.api.renderer.markets(np.array(known, dtype=np.int64), now)
        return zip(known, made, strict=True)

    def _message(self, row: int, market: Json, now: int) -> Json:
        names = {"market_ticker": market["ticker"], "market_id": messages.market_id(self.world.seed, row)}
        return messages.ticker(names, market, self._last_size(row, now), now)

    def _last_size(self, row: int, now: int) -> int:
        trades = self.world.tape.of(row, now)
        size, at = (int(trades.count[-1]), int(trades.time[-1])) if len(trades) else (0, -1)
        display = self.api.display
        prints = [] if display is None else display.venue.clearing.prints.get(row, [])
        return prints[-1].count if prints and prints[-1].time >= at else size
