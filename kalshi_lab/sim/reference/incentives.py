"""Incentive programs: rewards for quoting some markets and for trading others."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from kalshi_lab.sim.catalog import SERIES
from kalshi_lab.sim.listing import page
from kalshi_lab.sim.reference.identity import MARKET, PROGRAM, identifiers
from kalshi_lab.sim.wire import DAY, SECOND, count, moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalshi_lab.sim.draws import Ints
    from kalshi_lab.sim.queries import Query
    from kalshi_lab.sim.render import Json
    from kalshi_lab.sim.world import World

PATH = "/incentive_programs"
STATUSES = ("active", "upcoming", "closed", "paid_out")
TYPES = ("liquidity", "volume", "margin_maker_volume", "margin_taker_volume")
_UPCOMING, _ACTIVE, _CLOSED, _PAID = range(4)
_PAYMENT = 3 * DAY * SECOND
_LIQUIDITY, _VOLUME = "Rewards for resting orders near the best quotes", "Rewards for the volume that a member trades"
_QUOTED = np.array([spec.shape == "ladder" or "BTC" in (spec.tags or ()) for spec in SERIES])
_TRADED = np.array([spec.shape == "game" for spec in SERIES])


class Incentives:
    """The programs of a world: every market of the weather and of Bitcoin has one for its life, and so have the winners of games."""

    def __init__(self, world: World, now: Callable[[], int]) -> None:
        self.world, self.now = world, now

    @cached_property
    def _rows(self) -> Ints:
        """The markets that have a program, those created last first."""
        series = self.world.events.series[self.world.markets.event]
        rows: Ints = self.world.order[(_QUOTED | _TRADED)[series][self.world.order]]
        return rows

    def _states(self, rows: Ints, now: int) -> Ints:
        """Where each program is in its life."""
        event = self.world.markets.event[rows]
        opened, closed = self.world.events.open[event], self.world.events.close[event]
        places = [np.int64(place) for place in (_UPCOMING, _ACTIVE, _CLOSED)]
        return np.select([now < opened, now < closed, now < closed + _PAYMENT], places, np.int64(_PAID))

    def listed(self, query: Query) -> Json:
        """GET /incentive_programs; its cursor is called next_cursor."""
        now, limit, rows = self.now(), query.limit(1, 10_000, 100), self._rows
        status, kind = query.word("status", ("all", *STATUSES)), query.word("type", ("all", *TYPES))
        description = query.text("incentive_description")
        event = self.world.markets.event[rows]
        quoted = _QUOTED[self.world.events.series[event]]
        keep = self.world.event_status(now)[event] >= 0
        if status not in {"", "all"}:
            wanted = {"upcoming": _UPCOMING, "active": _ACTIVE, "closed": _CLOSED, "paid_out": _PAID}[status]
            keep &= self._states(rows, now) == wanted
        if kind not in {"", "all"}:
            keep &= {"liquidity": quoted, "volume": ~quoted}.get(kind, np.zeros_like(quoted))
        if description:
            keep &= {_LIQUIDITY: quoted, _VOLUME: ~quoted}.get(description, np.zeros_like(quoted))
        chosen, cursor = page(query, PATH, np.flatnonzero(keep), limit)
        paid = (self._states(rows[chosen], now) == _PAID).tolist()
        ids, markets = (identifiers(self.world.seed, kind, rows[chosen]) for kind in (PROGRAM, MARKET))
        made = [
            {"id": one, "market_id": market, "paid_out": done, **self._written(row)}
            for row, one, market, done in zip(rows[chosen].tolist(), ids, markets, paid, strict=True)
        ]
        return {"incentive_programs": made, "next_cursor": cursor}

    def _written(self, row: int) -> Json:
        event = int(self.world.markets.event[row])
        quoted = bool(_QUOTED[self.world.events.series[event]])
        return {
            "market_ticker": self.world.names.market(row),
            "incentive_type": "liquidity" if quoted else "volume",
            "incentive_description": _LIQUIDITY if quoted else _VOLUME,
            "start_date": moment(int(self.world.events.open[event])),
            "end_date": moment(int(self.world.events.close[event])),
            "period_reward": 200_000 if quoted else 1_000_000,
            "discount_factor_bps": 5_000 if quoted else None,
            "target_size_fp": count(30_000) if quoted else None,
            "max_reward_per_account": None if quoted else 250_000,
        }
