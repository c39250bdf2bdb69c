"""A made-up world of prediction markets whose truth is known: a pure function of its seed, its parameters and a moment."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from kalshi_lab.errors import UsageError, unknown
from kalshi_lab.sim.candles import Candles
from kalshi_lab.sim.catalog import SERIES, Spec
from kalshi_lab.sim.layout import BINARY, GAME, LADDER, laid_out
from kalshi_lab.sim.names import Names
from kalshi_lab.sim.paths import STEPS, Paths
from kalshi_lab.sim.plan import Planner
from kalshi_lab.sim.planted import plant, profit
from kalshi_lab.sim.quotes import Biases, Quotes
from kalshi_lab.sim.tape import Tape
from kalshi_lab.sim.wire import DAY, SECOND, count

if TYPE_CHECKING:
    from kalshi_lab.sim.draws import Bools, Ints

START = datetime(2026, 11, 20, 15, tzinfo=UTC)
STATUSES = ("initialized", "inactive", "active", "closed", "determined", "finalized")
INITIALIZED, INACTIVE, ACTIVE, CLOSED, DETERMINED, FINALIZED = range(6)
BUSY = 40_000
CUTOFF_DAYS = {
    "market_settled_ts": 30,
    "trades_created_ts": 21,
    "orders_updated_ts": 14,
    "market_positions_last_updated_ts": 45,
}


class World:
    """The events, markets, hidden values, quotes and trades of one seed.

    `open_markets` is exactly how many markets trade at `start`; `history_days` how far back settled events go. The other parameters
    are the makers' planted faults: `longshot_bias` shrinks their log-odds (0: none), `maker_edge` is half the spread in dollars of a
    typical market at even odds, `maker_noise` the standard deviation of their error in log-odds, `arbitrages` how many open events
    have quotes that contradict one another (see `planted`). `correlation`, from 0 to 1, is that between the changes of the hidden values of
    weather events which begin and end together; all other events are independent.

    Raises UsageError for a size that is out of range or a start without a time zone.
    """

    def __init__(
        self,
        seed: int = 7,
        *,
        open_markets: int = 5000,
        start: datetime = START,
        history_days: int = 90,
        longshot_bias: float = 0.08,
        maker_edge: float = 0.008,
        maker_noise: float = 0.06,
        arbitrages: int = 0,
        correlation: float = 0.0,
    ) -> None:
        if start.tzinfo is None:
            raise UsageError(f"start {start.isoformat()} has no time zone", hint="Use datetime(..., tzinfo=UTC)")
        self.seed, self.start = seed, start.astimezone(UTC)
        self.open_markets = open_markets
        planner = Planner(seed, int(start.timestamp()), open_markets, history_days)
        self.events, self.markets = laid_out(planner)
        self.paths = Paths(seed, self.events, self.markets, correlation)
        self.quotes = Quotes(self.paths, Biases(longshot_bias, maker_edge, maker_noise))
        self.tape = Tape(self.quotes, min(1.0, BUSY / open_markets))
        self.candles = Candles(self.tape)
        self.names = Names(seed, self.events, self.markets)
        self._plants = plant(self, arbitrages) if arbitrages else ()
        # every part of one answer asks for the same moment
        self.event_status = lru_cache(maxsize=4)(self._event_status)

    def __repr__(self) -> str:
        return f"World(seed={self.seed}, start={self.start:%Y-%m-%dT%H:%MZ}, {len(self.events):,} events, {len(self.markets):,} markets)"

    def tickers(self) -> list[str]:
        """The tickers of all markets that ever are, in the order of the columns."""
        return [self.names.market(row) for row in range(len(self.markets))]

    def truth(self, ticker: str, moment: datetime) -> float:
        """The true probability that the market pays on YES, given everything up to `moment`.

        After the close it is the payout. Raises UsageError for a ticker that this world does not have.
        """
        return self.truth_at(ticker, microseconds(moment))

    def truth_at(self, ticker: str, now: int) -> float:
        """As `truth`, at a moment in microseconds since 1970."""
        row = np.array([self._row(ticker)])
        if now >= self.events.close[self.markets.event[row[0]]]:
            return float(self.paths.payout(row)[0])
        return float(self.paths.probability(row, self.paths.step(self.markets.event[row], now))[0])

    def planted(self) -> list[dict[str, Any]]:
        """The planted arbitrages: event, kind (nested, no, yes), legs as (ticker, side to buy), contracts of each, and the least profit.

        The profit is in dollars, net of a direct member's fees; contracts and profit are text.
        """
        return [
            {
                "event_ticker": self.names.event_ticker(one.event),
                "kind": one.kind,
                "legs": [(self.names.market(row), "yes" if yes else "no") for row, yes, _ in one.legs],
                "contracts": count(one.size),
                "profit": str(profit(self, one)),
            }
            for one in self._plants
        ]

    def outcome(self, ticker: str) -> float:
        """What YES pays in the end, in dollars: 0, 1, or something between for a cancelled game."""
        return float(self.payouts[self._row(ticker)]) / 10_000

    def grew(self) -> None:
        """Take in rows that were appended to the columns."""
        for name in ("payouts", "order", "event_order"):
            self.__dict__.pop(name, None)
        self.event_status.cache_clear()
        self.names.grew()
        self.quotes.grew()
        self.tape.grew()

    def _row(self, ticker: str) -> int:
        row = self.names.find_market(ticker)
        if row is None:
            raise unknown("ticker", ticker, self.tickers()[:200])
        return row

    @cached_property
    def payouts(self) -> Ints:
        """What YES of each market pays in the end, in 1/10,000 dollars."""
        return np.round(self.paths.payout(np.arange(len(self.markets))) * 10_000).astype(np.int64)

    @cached_property
    def order(self) -> Ints:
        """All markets, those created last first; markets of one event stay together in their own order."""
        created = self.events.created[self.markets.event]
        return np.lexsort((np.arange(len(self.markets)), -created))

    @cached_property
    def event_order(self) -> Ints:
        """All events, those created last first."""
        return np.argsort(-self.events.created, kind="stable")

    def _event_status(self, now: int) -> Ints:
        """The place in STATUSES of every event's markets at `now`; -1 for one that is not listed yet."""
        events = self.events
        paused = (events.pause_start <= now) & (now < events.pause_end)
        return np.select(
            [
                now < events.created,
                now < events.open,
                now < events.close,
                now < events.determined,
                now < events.settled,
            ],
            [
                np.int64(-1),
                np.int64(INITIALIZED),
                np.where(paused, INACTIVE, ACTIVE),
                np.int64(CLOSED),
                np.int64(DETERMINED),
            ],
            np.int64(FINALIZED),
        )

    def close_shown(self, event: Ints | int, now: int) -> Ints:
        """The close time that is published at `now`: games keep a late one until they end."""
        closed = self.events.close[event]
        return np.where(now < closed, self.events.shown_close[event], closed)

    def updated(self, now: int) -> Ints:
        """When each event's markets last changed in something other than trading, as of `now`."""
        events = self.events
        latest, delay = events.created, events.created % SECOND
        for change in (events.open, events.close, events.determined, events.settled):
            latest = np.where(change + delay <= now, change + delay, latest)
        return latest

    def cutoffs(self, now: int) -> dict[str, int]:
        """Where the historical data begins for each dataset at `now`, in microseconds: whole days that move on with the clock."""
        today = now // (DAY * SECOND)
        return {name: (today - days) * DAY * SECOND for name, days in CUTOFF_DAYS.items()}

    def archived(self, now: int) -> Bools:
        """Which events' markets only the historical endpoints serve."""
        return (self.events.settled <= now) & (self.events.settled < self.cutoffs(now)["market_settled_ts"])

    def final_value(self, event: int) -> float:
        """The hidden value that decides the event."""
        return float(self.paths.latent(np.array([event]), np.array([STEPS]))[0])

    def fee_override(self, event: int) -> tuple[str, float] | None:
        """Fee type and multiplier of an event that departs from its series; one bill in seven trades at half the fee."""
        if self.events.shape[event] != BINARY or self.events.tag[event] % 7:
            return None
        return "quadratic", 0.5

    def series_updated(self, spec: Spec) -> int:
        """When the series' own data last changed, before the history of the world begins."""
        begin = microseconds(self.start) // (DAY * SECOND) * DAY * SECOND
        return begin - (120 + 3 * SERIES.index(spec)) * DAY * SECOND + 7_654_321 * (1 + SERIES.index(spec))

    def exclusive(self, event: int) -> bool:
        """Whether exactly one market of the event wins."""
        return int(self.events.shape[event]) in {LADDER, GAME}


def microseconds(moment: datetime) -> int:
    """A moment as whole microseconds since 1970. Raises UsageError without a time zone."""
    if moment.tzinfo is None:
        raise UsageError(f"time {moment.isoformat()} has no time zone", hint="Use datetime(..., tzinfo=UTC)")
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * DAY + since.seconds) * SECOND + since.microseconds
