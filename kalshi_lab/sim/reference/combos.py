"""Collections of events whose markets can be combined, and the markets that come of it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from kalshi_lab.sim.catalog import COLLECTION, COMBO
from kalshi_lab.sim.desk.calls import Body, Call, invalid
from kalshi_lab.sim.layout import COMBINED
from kalshi_lab.sim.listing import page
from kalshi_lab.sim.queries import Refused, missing
from kalshi_lab.sim.reference.growth import add_combo
from kalshi_lab.sim.render import RANGES
from kalshi_lab.sim.wire import DAY, SECOND, moment
from kalshi_lab.sim.world import ACTIVE, microseconds

if TYPE_CHECKING:
    from kalshi_lab.sim.api import Api
    from kalshi_lab.sim.queries import Query
    from kalshi_lab.sim.render import Json

PATH = "/multivariate_event_collections"
SMALLEST, LARGEST = 2, 10
WEEKLY = 5_000
_SHOWN = 1_000
_Legs = frozenset[tuple[int, bool]]


class Combos:
    """The one collection of a world: every open event may supply a leg, those that close first are listed."""

    def __init__(self, api: Api) -> None:
        self.api, self.world = api, api.world
        self._made: dict[str, list[int]] = {}

    @cached_property
    def _known(self) -> dict[_Legs, int]:
        """The market of each set of legs; of two with the same legs the first."""
        found: dict[_Legs, int] = {}
        markets = self.world.markets
        for row in np.flatnonzero(markets.legs[:, 0] >= 0).tolist():
            pairs = zip(markets.legs[row].tolist(), markets.sides[row].tolist(), strict=True)
            found.setdefault(frozenset((leg, side) for leg, side in pairs if leg >= 0), row)
        return found

    def _open(self, now: int) -> list[int]:
        """The events that may supply legs, those that close first first."""
        events = self.world.events
        rows = np.flatnonzero((self.world.event_status(now) == ACTIVE) & (events.shape != COMBINED))
        found: list[int] = rows[np.lexsort((rows, events.close[rows]))].tolist()
        return found

    def listed(self, query: Query) -> Json:
        """GET /multivariate_event_collections."""
        now, limit = self.api.now(), query.limit(1, 200, 100)
        status, event = query.word("status", ("unopened", "open", "closed")), query.text("associated_event_ticker")
        row = self.world.names.find_event(event) if event else None
        there = status in {"", "open"} and query.text("series_ticker") in {"", COMBO.ticker}
        there = there and (not event or row in set(self._open(now)))
        chosen, cursor = page(query, PATH, np.arange(int(there)), limit)
        return {"multivariate_contracts": [self._collection(now) for _ in chosen.tolist()], "cursor": cursor}

    def one(self, _query: Query, collection_ticker: str) -> Json:
        """GET /multivariate_event_collections/{collection_ticker}."""
        return {"multivariate_contract": self._named(collection_ticker)}

    def _named(self, ticker: str) -> Json:
        if ticker != COLLECTION:
            raise missing()
        return self._collection(self.api.now())

    def _collection(self, now: int) -> Json:
        rows, names = self._open(now)[:_SHOWN], self.world.names
        tickers = [names.event_ticker(row) for row in rows]
        closes = max((int(self.world.events.close[row]) for row in rows), default=now)
        return {
            "collection_ticker": COLLECTION,
            "series_ticker": COMBO.ticker,
            "exchange_index": COMBO.shard,
            "title": "Do all of several things come true?",
            "description": "Any markets of different events together.",
            "functional_description": "YES is worth the product of what its legs are worth.",
            "open_date": moment(microseconds(self.world.start) - 100 * DAY * SECOND),
            "close_date": moment(closes),
            "associated_events": [
                {"ticker": ticker, "is_yes_only": False, "size_max": 1, "active_quoters": []} for ticker in tickers
            ],
            "associated_event_tickers": tickers,
            "is_ordered": False,
            "is_single_market_per_event": False,
            "is_all_yes": False,
            "size_min": SMALLEST,
            "size_max": LARGEST,
            "price_level_structure": COMBO.grid,
            "price_ranges": RANGES[COMBO.grid],
        }

    def create(self, call: Call, collection_ticker: str) -> Json:
        """POST /multivariate_event_collections/{collection_ticker}: the market of some legs, made where there is none yet."""
        if collection_ticker != COLLECTION:
            raise missing()
        legs = self.legs(call.body, call.now)
        row = self.market(legs, call.account.id, call.now)
        names = self.world.names
        event = int(self.world.markets.event[row])
        made: Json = {"event_ticker": names.event_ticker(event), "market_ticker": names.market(row)}
        if call.body.flag("with_market_payload"):
            made["market"] = self.api.renderer.markets(np.array([row]), call.now)[0]
        return made

    def legs(self, body: Body, now: int) -> list[tuple[int, bool]]:
        """The legs that a body selects. Raises Refused for legs that don't go together."""
        given = [Body(leg) for leg in body.several("selected_markets", 1_000)]
        legs = [(self._leg(leg, now), leg.word("side", ("yes", "no")) == "yes") for leg in given]
        rows = [row for row, _ in legs]
        if len(set(legs)) < len(legs):
            raise Refused(400, "duplicated_legs", "duplicated legs")
        if len(set(rows)) < len(rows):
            raise Refused(400, "conflicting_leg_outcomes", "conflicting leg outcomes")
        events = {int(self.world.markets.event[row]) for row in rows}
        if len(events) < len(rows) or not SMALLEST <= len(rows) <= LARGEST:
            details = f"{SMALLEST} to {LARGEST} legs, one of each event"
            raise Refused(400, "invalid_market_combination", "invalid market combination", details)
        return legs

    def _leg(self, leg: Body, now: int) -> int:
        ticker, event = leg.text("market_ticker", needed=True), leg.text("event_ticker", needed=True)
        row = self.world.names.find_market(ticker)
        if row is None or self.world.names.event_ticker(int(self.world.markets.event[row])) != event:
            raise invalid(f"{event} has no market {ticker}")
        place = int(self.world.markets.event[row])
        if self.world.event_status(now)[place] != ACTIVE or self.world.events.shape[place] == COMBINED:
            details = f"{ticker} cannot be a leg"
            raise Refused(400, "invalid_market_combination", "invalid market combination", details)
        return row

    def market(self, legs: list[tuple[int, bool]], account: str, now: int) -> int:
        """The row of the market of some legs, made where there is none yet. Raises Refused for too many in a week."""
        key = frozenset(legs)
        if key not in self._known:
            recent = [at for at in self._made.get(account, []) if at > now - 7 * DAY * SECOND]
            if len(recent) >= WEEKLY:
                raise Refused(429, "too_many_requests", "too many requests", f"{WEEKLY} new combos a week")
            self._made[account] = [*recent, now]
            self._known[key] = add_combo(self.world, legs, now)
        return self._known[key]
