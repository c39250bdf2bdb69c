"""What members do, as everybody sees it: in the quotes of markets and among the public trades."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kalshi_lab.sim.render import deal
from kalshi_lab.sim.wire import DAY, DOLLAR, SECOND, count, moment, price

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalshi_lab.sim.desk.clearing import Print
    from kalshi_lab.sim.desk.venue import Venue
    from kalshi_lab.sim.draws import Ints
    from kalshi_lab.sim.render import Json, Renderer
    from kalshi_lab.sim.tape import Trades


class Display:
    """Adds members' orders and trades to the answers about the world."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    def overlay(self, rows: list[int], markets: list[Json], now: int) -> None:
        """Correct market objects for what members did there."""
        touched = [place for place, row in enumerate(rows) if row in self.venue.markets]
        if touched:
            self.venue.settle(now)
        for place in touched:
            self._quoted(rows[place], markets[place], now)
            self._traded(rows[place], markets[place], now)

    def _quoted(self, row: int, market: Json, now: int) -> None:
        yes, no = self.venue.levels(row, now)
        (bid, bid_size), (no_bid, ask_size) = ((side[-1] if side else (0, 0)) for side in (yes, no))
        market.update(
            yes_bid_dollars=price(bid), no_ask_dollars=price(DOLLAR - bid), yes_bid_size_fp=count(bid_size),
            yes_ask_dollars=price(DOLLAR - no_bid), no_bid_dollars=price(no_bid), yes_ask_size_fp=count(ask_size),
        )  # fmt: skip

    def _traded(self, row: int, market: Json, now: int) -> None:
        prints = self.venue.clearing.prints.get(row, [])
        if not prints:
            return
        market["last_price_dollars"] = price(self.venue.last(self.venue.market(row), now))
        today = sum(one.count for one in prints if one.time > now - DAY * SECOND)
        held = sum(max(0, position.held) for position in self.venue.clearing.positions(row))
        added = {"volume_fp": sum(one.count for one in prints), "volume_24h_fp": today, "open_interest_fp": held}
        for name, more in added.items():
            market[name] = count(int(market[name].replace(".", "")) + more)

    def prints(self, row: int | None, now: int) -> Sequence[Print]:
        """Members' trades in a market or in all, oldest first."""
        self.venue.settle(now)
        clearing = self.venue.clearing
        return clearing.all_prints if row is None else clearing.prints.get(row, [])


class Merged:
    """The world's tape and members' trades as one list by time, whose places never change: of equal times the tape's come first."""

    def __init__(self, tape: Trades, prints: Sequence[Print]) -> None:
        self.tape, self.prints = tape, prints
        self._times = np.array([one.time for one in prints], dtype=np.int64)
        self._own = np.searchsorted(tape.time, self._times, side="right") + np.arange(len(prints))

    def places(self, first: int, last: int, block: bool | None) -> Ints:
        """The places of trades in a window of time, both ends in it."""
        start, end = (
            int(np.searchsorted(self.tape.time, first, "left")),
            int(np.searchsorted(self.tape.time, last, "right")),
        )
        rows = np.arange(start, end)
        if block is not None:
            rows = rows[self.tape.block[start:end] == block]
        rows += np.searchsorted(self._times, self.tape.time[rows], side="left")
        kept = (first <= self._times) & (self._times <= last)
        if block is not None:
            kept &= np.array([one.block == block for one in self.prints], dtype=np.bool_)
        own = self._own[kept]
        return np.sort(np.concatenate([rows, own]))

    def written(self, places: Ints, renderer: Renderer) -> list[Json]:
        """The Trade objects at some places."""
        number = np.searchsorted(self._own, places, side="left")
        mine = np.isin(places, self._own)
        world = iter(renderer.trades(self.tape.at((places - number)[~mine])))
        return [
            self._print(self.prints[own], renderer) if is_own else next(world)
            for is_own, own in zip(mine.tolist(), number.tolist(), strict=True)
        ]

    @staticmethod
    def _print(one: Print, renderer: Renderer) -> Json:
        named = {"created_time": moment(one.time), "ticker": renderer.names.market(one.row), "trade_id": one.id}
        return {**named, **deal(one.price, one.count, one.yes, block=one.block)}
