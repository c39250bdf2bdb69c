"""The public endpoints of the exchange, each from a query to the object that answers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kalshi_lab.sim.candles import period_ends
from kalshi_lab.sim.catalog import NUMBER, SERIES, Spec
from kalshi_lab.sim.desk.display import Display, Merged
from kalshi_lab.sim.listing import Listing, page
from kalshi_lab.sim.queries import Query, bad, missing
from kalshi_lab.sim.reference.milestones import Milestones
from kalshi_lab.sim.render import Json, Levels, Renderer, archived_candle, empty_book, live_candle
from kalshi_lab.sim.static import COSTS, exchange_status, fee_changes, overrides, schedule
from kalshi_lab.sim.wire import DAY, SECOND, count, moment, price

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalshi_lab.sim.candles import Candle
    from kalshi_lab.sim.world import World

MOST_CANDLES, MOST_BATCH = 5_000, 10_000


class Api:
    """Answers for one world; `now` gives the virtual time in microseconds."""

    def __init__(self, world: World, now: Callable[[], int]) -> None:
        self.world, self.now = world, now
        self.renderer, self.listing = Renderer(world), Listing(world)
        self.milestones = Milestones(world, now)
        self.display: Display | None = None

    def attach(self, display: Display) -> None:
        """Let what members do show in books, quotes and trades."""
        self.display = display
        self.renderer.overlay = display.overlay

    def exchange_status(self, _query: Query) -> Json:
        """GET /exchange/status."""
        return exchange_status()

    def schedule(self, _query: Query) -> Json:
        """GET /exchange/schedule."""
        return schedule(self.now())

    def user_data_timestamp(self, _query: Query) -> Json:
        """GET /exchange/user_data_timestamp."""
        return {"as_of_time": moment(self.now() - 1_234_567)}

    def endpoint_costs(self, _query: Query) -> Json:
        """GET /account/endpoint_costs."""
        return COSTS

    def cutoff(self, _query: Query) -> Json:
        """GET /historical/cutoff."""
        return {name: moment(at) for name, at in self.world.cutoffs(self.now()).items()}

    def series_fee_changes(self, query: Query) -> Json:
        """GET /series/fee_changes."""
        past = query.flag("show_historical") or False
        changes = [
            change for change in fee_changes(self.world.start) if past or change["scheduled_ts"] > moment(self.now())
        ]
        wanted = query.text("series_ticker")
        return {"series_fee_change_arr": [change for change in changes if wanted in {"", change["series_ticker"]}]}

    def event_fee_changes(self, query: Query) -> Json:
        """GET /events/fee_changes."""
        limit, wanted = query.limit(1, 1000, 100), query.text("event_ticker")
        changes = [change for change in overrides(self.world) if wanted in {"", change["event_ticker"]}]
        chosen, cursor = page(query, "/events/fee_changes", np.arange(len(changes)), limit)
        return {"event_fee_changes": [changes[place] for place in chosen.tolist()], "cursor": cursor}

    def series_list(self, query: Query) -> Json:
        """GET /series."""
        category, tags = query.text("category"), set(query.several("tags"))
        since = query.number("min_updated_ts", 0) or 0
        metadata, volume = query.flag("include_product_metadata") or False, query.flag("include_volume") or False
        found = [
            spec
            for spec in SERIES
            if category in {"", spec.category, *spec.categories}
            and (not tags or tags & set(spec.tags or ()))
            and self.world.series_updated(spec) >= since * SECOND
        ]
        return {"series": [self.renderer.series(spec, self.now(), metadata=metadata, volume=volume) for spec in found]}

    def series(self, query: Query, series_ticker: str) -> Json:
        """GET /series/{series_ticker}."""
        volume = query.flag("include_volume") or False
        return {"series": self.renderer.series(self._spec(series_ticker), self.now(), metadata=True, volume=volume)}

    def markets(self, query: Query) -> Json:
        """GET /markets."""
        now, limit = self.now(), query.limit(0, 1000, 100)
        places, cursor = page(query, "/markets", self.listing.markets(query, now), limit)
        return {"markets": self.renderer.markets(self.world.order[places], now), "cursor": cursor}

    def archived_markets(self, query: Query) -> Json:
        """GET /historical/markets."""
        now, limit = self.now(), query.limit(0, 1000, 100)
        places, cursor = page(query, "/historical/markets", self.listing.archive(query, now), limit)
        return {"markets": self.renderer.markets(self.world.order[places], now), "cursor": cursor}

    def market(self, _query: Query, ticker: str) -> Json:
        """GET /markets/{ticker}."""
        return {"market": self.renderer.markets(np.array([self._market(ticker)]), self.now())[0]}

    def archived_market(self, _query: Query, ticker: str) -> Json:
        """GET /historical/markets/{ticker}."""
        return {"market": self.renderer.markets(np.array([self._market(ticker, archived=True)]), self.now())[0]}

    def orderbook(self, query: Query, ticker: str) -> Json:
        """GET /markets/{ticker}/orderbook; an unknown ticker has an empty book."""
        return {"orderbook_fp": self._book(ticker, query.number("depth", 0, high=100) or 0)}

    def orderbooks(self, query: Query) -> Json:
        """GET /markets/orderbooks."""
        tickers = query.repeated("tickers", 100)
        if any(len(ticker) > 200 for ticker in tickers):
            raise bad("a ticker has at most 200 characters")
        return {"orderbooks": [{"ticker": ticker, "orderbook_fp": self._book(ticker, 0)} for ticker in tickers]}

    def _book(self, ticker: str, depth: int) -> Json:
        row = self.world.names.find_market(ticker)
        if row is None:
            return empty_book()
        yes, no = (
            [[price(level), count(size)] for level, size in side[-depth:]] for side in self.levels(row, self.now())
        )
        return {"no_dollars": no, "yes_dollars": yes}

    def levels(self, row: int, now: int) -> tuple[Levels, Levels]:
        """YES bids and NO bids of a market as (price, contracts), ascending: the best is the last. Empty outside trading.

        Members' orders are in it once a display is attached.
        """
        return self.renderer.levels(row, now) if self.display is None else self.display.venue.levels(row, now)

    def trades(self, query: Query) -> Json:
        """GET /markets/trades."""
        return self._trades(query, "/markets/trades", archived=False)

    def archived_trades(self, query: Query) -> Json:
        """GET /historical/trades."""
        ticker = query.text("ticker")
        if ticker and self.world.names.find_market(ticker) is None:
            raise missing()
        return self._trades(query, "/historical/trades", archived=True)

    def _trades(self, query: Query, path: str, *, archived: bool) -> Json:
        now, limit, block = self.now(), query.limit(0, 1000, 100), query.flag("is_block_trade")
        low, high = query.number("min_ts", 0) or 0, query.number("max_ts")
        cutoff = self.world.cutoffs(now)["trades_created_ts"]
        first = low * SECOND if archived else max(low * SECOND, cutoff)
        last = min(now, cutoff - 1 if archived else now, now if high is None else high * SECOND)
        row = self.world.names.find_market(query.text("ticker")) if query.text("ticker") else None
        if query.text("ticker") and row is None:
            return {"trades": [], "cursor": ""}
        tape = self.world.tape.everything if row is None else self.world.tape.of(row, now)
        merged = Merged(tape, self.display.prints(row, now) if self.display else ())
        chosen, cursor = page(query, path, merged.places(first, last, block), limit, newest_last=True)
        return {"trades": merged.written(chosen, self.renderer), "cursor": cursor}

    def candlesticks(self, query: Query, series_ticker: str, ticker: str) -> Json:
        """GET /series/{series_ticker}/markets/{ticker}/candlesticks."""
        window = self._window(query, MOST_CANDLES)
        row, spec = self._market(ticker), self._spec(series_ticker)
        if self.world.events.series[self.world.markets.event[row]] != NUMBER[spec.ticker]:
            raise missing()
        return {"ticker": ticker, "candlesticks": self._live_candles(query, row, *window)}

    def archived_candlesticks(self, query: Query, ticker: str) -> Json:
        """GET /historical/markets/{ticker}/candlesticks."""
        first, last, minutes = self._window(query, MOST_CANDLES)
        found = self.world.candles.between(self._market(ticker, archived=True), first, last, minutes, self.now())
        return {"ticker": ticker, "candlesticks": [archived_candle(candle) for candle in found]}

    def batch_candlesticks(self, query: Query) -> Json:
        """GET /markets/candlesticks; tickers that the live endpoints don't have are left out."""
        tickers = query.several("market_tickers", 100)
        if not tickers:
            raise bad("parameter market_tickers is required")
        window = self._window(query, MOST_BATCH // len(tickers), any_length=True)
        rows = [(ticker, self.world.names.find_market(ticker)) for ticker in tickers]
        known = [(ticker, row) for ticker, row in rows if row is not None and self._served(row, archived=False)]
        return {
            "markets": [
                {"market_ticker": ticker, "candlesticks": self._live_candles(query, row, *window)}
                for ticker, row in known
            ]
        }

    def event_candlesticks(self, query: Query, series_ticker: str, ticker: str) -> Json:
        """GET /series/{series_ticker}/events/{ticker}/candlesticks; a window that is too long is cut at `adjusted_end_ts`."""
        first, last, minutes = self._window(query, DAY * 365)
        event, _ = self._event(ticker), self._spec(series_ticker)
        rows = self.listing.children(event, self.now()).tolist()
        last = min(last, first + MOST_CANDLES // max(1, len(rows)) * minutes * 60)
        found = [self.world.candles.between(row, first, last, minutes, self.now()) for row in rows]
        return {
            "market_tickers": [self.world.names.market(row) for row in rows],
            "market_candlesticks": [[live_candle(candle) for candle in candles] for candles in found],
            "adjusted_end_ts": last,
        }

    @staticmethod
    def _window(query: Query, most: int, *, any_length: bool = False) -> tuple[int, int, int]:
        first, last, minutes = (
            query.needed("start_ts"),
            query.needed("end_ts"),
            query.needed("period_interval", low=1, high=525_600),
        )
        if not any_length and minutes not in {1, 60, 1440}:
            raise bad("parameter period_interval must be 1, 60 or 1440")
        if last < first:
            raise bad("end_ts is before start_ts")
        if (last - first) // (minutes * 60) + 1 > most:
            raise bad(f"too many candlesticks requested, at most {most} for each market")
        return first, last, minutes

    def _live_candles(self, query: Query, row: int, first: int, last: int, minutes: int) -> list[Json]:
        found = [live_candle(candle) for candle in self.world.candles.between(row, first, last, minutes, self.now())]
        if query.flag("include_latest_before_start"):
            before = self.world.candles.last_before(row, first, minutes, self.now())
            ends = period_ends(first, first + minutes * 60 + 2 * 3600, minutes)[0]
            if before is not None and (not found or found[0]["end_period_ts"] > ends):
                found.insert(0, _carried(before, ends))
        return found

    def events(self, query: Query) -> Json:
        """GET /events."""
        now, limit = self.now(), query.limit(1, 200, 200)
        places, cursor = page(query, "/events", self.listing.series_events(query, now), limit)
        found: Json = {"events": self._events(query, places.tolist()), "cursor": cursor}
        if query.flag("with_milestones"):
            found["milestones"] = self.milestones.around(self.world.event_order[places].tolist(), now)
        return found

    def combo_events(self, query: Query) -> Json:
        """GET /events/multivariate."""
        now, limit = self.now(), query.limit(1, 200, 100)
        places, cursor = page(query, "/events/multivariate", self.listing.combo_events(query, now), limit)
        return {"events": self._events(query, places.tolist()), "cursor": cursor}

    def _events(self, query: Query, places: list[int]) -> list[Json]:
        now, nested = self.now(), query.flag("with_nested_markets")
        rows = self.world.event_order[places].tolist() if places else []
        return [
            self.renderer.event(row, now, nested=self.listing.children(row, now) if nested else None) for row in rows
        ]

    def event(self, query: Query, event_ticker: str) -> Json:
        """GET /events/{event_ticker}: its markets inside it when asked for, else beside it."""
        row, now = self._event(event_ticker), self.now()
        children = self.listing.children(row, now)
        if query.flag("with_nested_markets"):
            return {"event": self.renderer.event(row, now, nested=children), "markets": []}
        return {"event": self.renderer.event(row, now), "markets": self.renderer.markets(children, now)}

    def event_metadata(self, _query: Query, event_ticker: str) -> Json:
        """GET /events/{event_ticker}/metadata."""
        return self.renderer.metadata(self._event(event_ticker))

    def _served(self, row: int, *, archived: bool) -> bool:
        event, now = self.world.markets.event[row], self.now()
        return bool(self.world.event_status(now)[event] >= 0 and self.world.archived(now)[event] == archived)

    def _market(self, ticker: str, *, archived: bool = False) -> int:
        row = self.world.names.find_market(ticker)
        if row is None or not self._served(row, archived=archived):
            raise missing()
        return row

    def _event(self, ticker: str) -> int:
        row = self.world.names.find_event(ticker)
        if row is None or self.world.event_status(self.now())[row] < 0:
            raise missing()
        return row

    @staticmethod
    def _spec(ticker: str) -> Spec:
        if ticker not in NUMBER:
            raise missing()
        return SERIES[NUMBER[ticker]]


def _carried(candle: Candle, end: int) -> Json:
    """A candle without trades that carries the last one's closes to the start of a window."""
    made = live_candle(candle)
    close = candle.previous if candle.price is None else candle.price.close
    paid = {} if close is None else {"previous_dollars": price(close)}
    still = {side: dict.fromkeys(made[side], made[side]["close_dollars"]) for side in ("yes_ask", "yes_bid")}
    return {**made, **still, "end_period_ts": end, "price": paid, "volume_fp": "0.00"}
