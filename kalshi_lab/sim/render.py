"""The exchange's own objects, as the plain values that its JSON is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kalshi_lab.sim import catalog
from kalshi_lab.sim.catalog import COLLECTION, GRIDS, SERIES, Spec
from kalshi_lab.sim.draws import words
from kalshi_lab.sim.layout import BINARY, LADDER
from kalshi_lab.sim.wire import DAY, DOLLAR, SECOND, count, moment, price, uuid
from kalshi_lab.sim.world import ACTIVE, DETERMINED, FINALIZED, INACTIVE, STATUSES, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalshi_lab.sim.candles import Candle, Span
    from kalshi_lab.sim.draws import Ints
    from kalshi_lab.sim.names import MarketText
    from kalshi_lab.sim.tape import Trades

Json = dict[str, Any]
Levels = list[tuple[int, int]]
_TRADE = 0x5452
RANGES = {name: [{"start": a, "end": b, "step": c} for a, b, c in bands] for name, bands in GRIDS.items()}
_IMAGES = "https://kalshi-public-docs.s3.amazonaws.com/series-images-webp"
_TERMS = "https://assets.kalshi.com"


@dataclass(frozen=True, slots=True)
class _Now:
    """What changes about one market."""

    status: int
    bid: int
    ask: int
    bid_size: int
    ask_size: int
    last: int
    volume: int
    interest: int
    day_volume: int
    day_last: int
    day_bid: int
    day_ask: int
    close: int
    updated: int


class Renderer:
    """Writes the objects of a world as they are at a moment (microseconds)."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.events, self.rows, self.names = world.events, world.markets, world.names
        self.overlay: Callable[[list[int], list[Json], int], None] | None = None

    def markets(self, rows: Ints, now: int) -> list[Json]:
        """Market objects."""
        if not len(rows):
            return []
        made = [self._market(row, state) for row, state in zip(rows.tolist(), self._states(rows, now), strict=True)]
        if self.overlay is not None:
            self.overlay(rows.tolist(), made, now)
        return made

    def _states(self, rows: Ints, now: int) -> list[_Now]:
        world, event = self.world, self.rows.event[rows]
        status = world.event_status(now)[event]
        bid, ask = self._quotes(rows, now)
        quotes = world.quotes
        sizes = [
            np.where(there, quotes.sizes(rows, now, side, 0), 0) for side, there in ((1, bid > 0), (0, ask < DOLLAR))
        ]
        today, before = world.tape.totals(rows, now), world.tape.totals(rows, now - DAY * SECOND)
        day_bid, day_ask = self._quotes(rows, now - DAY * SECOND)
        unborn = now - DAY * SECOND < self.events.open[event]
        columns = (
            status, bid, ask, *sizes, today.last, today.volume, today.interest, today.volume - before.volume, before.last,
            np.where(unborn, 0, day_bid), np.where(unborn, 0, day_ask), world.close_shown(event, now), world.updated(now)[event],
        )  # fmt: skip
        return [_Now(*values) for values in zip(*(column.tolist() for column in columns), strict=True)]

    def _quotes(self, rows: Ints, now: int) -> tuple[Ints, Ints]:
        """Best bid and ask, none outside trading."""
        event = self.rows.event[rows]
        trading = np.isin(self.world.event_status(now)[event], (ACTIVE, INACTIVE))
        bid, ask = np.zeros(len(rows), dtype=np.int64), np.full(len(rows), DOLLAR)
        live = np.flatnonzero(trading)
        if len(live):
            bid[live], ask[live] = self.world.quotes.best(rows[live], self.world.paths.step(event[live], now))
        return bid, ask

    def _market(self, row: int, now: _Now) -> Json:
        event = int(self.rows.event[row])
        text, spec = self.names.text(row), self.names.spec(event)
        opened, horizon = int(self.events.open[event]), int(self.events.horizon[event])
        return {
            **self._identity(row, event, text, spec),
            "close_time": moment(now.close),
            "created_time": moment(int(self.events.created[event])),
            "expected_expiration_time": moment(horizon + spec.lag * SECOND),
            "expiration_time": moment(max(now.close, horizon) + 7 * DAY * SECOND),
            "latest_expiration_time": moment(max(now.close, horizon) + 7 * DAY * SECOND),
            "last_price_dollars": price(now.last),
            "no_ask_dollars": price(DOLLAR - now.bid),
            "no_bid_dollars": price(DOLLAR - now.ask),
            "open_interest_fp": count(now.interest),
            "open_time": moment(opened),
            "previous_price_dollars": price(now.day_last),
            "previous_yes_ask_dollars": price(now.day_ask),
            "previous_yes_bid_dollars": price(now.day_bid),
            "status": STATUSES[now.status],
            "updated_time": moment(now.updated),
            "volume_24h_fp": count(now.day_volume),
            "volume_fp": count(now.volume),
            "yes_ask_dollars": price(now.ask),
            "yes_ask_size_fp": count(now.ask_size),
            "yes_bid_dollars": price(now.bid),
            "yes_bid_size_fp": count(now.bid_size),
            **self._ending(row, event, now.status),
        }

    def _identity(self, row: int, event: int, text: MarketText, spec: Spec) -> Json:
        early = bool(spec.league) or spec.shape in {"binary", "combo"}
        fixed: Json = {
            "can_close_early": early,
            "event_ticker": self.names.event_ticker(event),
            "exchange_index": spec.shard,
            "market_type": "binary",
            "no_sub_title": text.yes,
            "notional_value_dollars": "1.0000",
            "price_level_structure": spec.grid,
            "price_ranges": RANGES[spec.grid],
            "rules_primary": text.rules,
            "rules_secondary": text.details,
            "settlement_bounds_type": "default",
            "settlement_timer_seconds": int(self.events.timer[event]),
            "strike_type": text.strike_type,
            "ticker": text.ticker,
            "title": text.title,
            "yes_sub_title": text.yes,
        }
        if early and spec.shape != "combo":
            fixed["early_close_condition"] = "This market closes early once its question is answered."
        if spec.league:
            fixed["occurrence_datetime"] = moment(int(self.events.horizon[event]))
        strikes = {"floor_strike": text.floor, "cap_strike": text.cap, "custom_strike": text.custom}
        fixed.update((key, _shortest(value)) for key, value in strikes.items() if value is not None)
        if spec.shape == "combo":
            # most combos may be deleted while nobody has traded them, and only they carry the key
            fixed.update({"is_provisional": True} if self.events.tag[event] % 4 else {})
            fixed.update(mve_collection_ticker=COLLECTION, mve_selected_legs=self.names.legs(row))
        return fixed

    def _ending(self, row: int, event: int, status: int) -> Json:
        if status < DETERMINED:
            return {"result": "", "expiration_value": ""}
        value = int(self.world.payouts[row])
        result = {0: "no", DOLLAR: "yes"}.get(value, "scalar")
        ending = {
            "result": result,
            "settlement_value_dollars": price(value),
            "expiration_value": self._published(event, result),
        }
        if status == FINALIZED:
            ending["settlement_ts"] = moment(int(self.events.settled[event]))
        return ending

    def _published(self, event: int, result: str) -> str:
        """The value that the source published, which decided the event."""
        if result == "scalar":
            return ""
        final = self.world.final_value(event)
        return self.names.settled_value(event, final)

    def event(self, event: int, now: int, *, nested: Ints | None = None) -> Json:
        """An event object; `nested` are the rows of the markets to put inside, None for none."""
        text, spec, shape = self.names.event(event), self.names.spec(event), self.names.shape(event)
        exclusive = self.world.exclusive(event)
        made: Json = {
            "category": spec.category,
            "collateral_return_type": "MECNET" if exclusive else "DIRECNET" if spec is catalog.INFLATION else "",
            "event_ticker": text.ticker,
            "exchange_index": spec.shard,
            "last_updated_ts": moment(int(self.world.updated(now)[event])),
            "mutually_exclusive": exclusive,
            "series_ticker": spec.ticker,
            "settlement_sources": [{"name": spec.source[0], "url": spec.source[1]}],
            "sub_title": text.sub_title,
            "title": text.title,
        }
        if shape in {LADDER, BINARY} or spec in {catalog.BITCOIN, catalog.INFLATION}:
            made["strike_date"] = moment(int(self.events.horizon[event]))
        else:
            made["strike_period"] = ""
        if self.names.metadata(event):
            made["product_metadata"] = self.names.metadata(event)
        if override := self.world.fee_override(event):
            made["fee_type_override"], made["fee_multiplier_override"] = override
        if nested is not None:
            made["markets"] = self.markets(nested, now)
        return made

    def metadata(self, event: int) -> Json:
        """Pictures and sources of an event."""
        spec, first = self.names.spec(event), int(self.events.first[event])
        colors = ("#0A6EBD", "#AA3355", "#2E8B57", "#B8860B", "#6A5ACD", "#708090")
        made: Json = {
            "featured_image_url": "",
            "image_url": f"{_IMAGES}/{spec.ticker}.webp",
            "market_details": [
                {
                    "color_code": colors[place % len(colors)],
                    "image_url": "",
                    "market_ticker": self.names.market(first + place),
                }
                for place in range(int(self.events.count[event]))
            ],
            "settlement_sources": [{"name": spec.source[0], "url": spec.source[1]}],
        }
        return {**made, **self.names.metadata(event)}

    def series(self, spec: Spec, now: int, *, metadata: bool, volume: bool) -> Json:
        """A series object."""
        made: Json = {
            "additional_prohibitions": None if spec.prohibitions is None else list(spec.prohibitions),
            "categories": list(spec.categories),
            "category": spec.category,
            "contract_terms_url": f"{_TERMS}/contract_terms/{spec.ticker[2:]}.pdf",
            "contract_url": f"{_TERMS}/regulatory/product-certifications/{spec.ticker[2:]}.pdf",
            "exchange_index": spec.shard,
            "fee_multiplier": spec.fee_multiplier,
            "fee_type": spec.fee_type,
            "frequency": spec.frequency,
            "last_updated_ts": moment(self.world.series_updated(spec)),
            "settlement_sources": [{"name": spec.source[0], "url": spec.source[1]}],
            "tags": None if spec.tags is None else list(spec.tags),
            "ticker": spec.ticker,
            "title": spec.title,
        }
        if metadata:
            made["product_metadata"] = {"scope": "Game" if spec.shape == "game" else spec.title}
        if volume:
            rows = np.flatnonzero(self.events.series[self.rows.event] == SERIES.index(spec))
            made["volume_fp"] = count(int(self.world.tape.totals(rows, now).volume.sum()))
        return made

    def trades(self, trades: Trades) -> list[Json]:
        """Trade objects, in the order given."""
        high, low = (words(self.world.seed, _TRADE, what, trades.market, trades.serial).tolist() for what in (1, 2))
        sides = zip(
            trades.price.tolist(), trades.count.tolist(), trades.yes.tolist(), trades.block.tolist(), strict=True
        )
        rows = zip(trades.market.tolist(), trades.time.tolist(), high, low, strict=True)
        tickers = {row: self.names.market(row) for row in set(trades.market.tolist())}
        return [
            {"created_time": moment(time), "ticker": tickers[row], "trade_id": uuid(first, second), **deal(*paid)}
            for (row, time, first, second), paid in zip(rows, sides, strict=True)
        ]

    def levels(self, market: int, now: int) -> tuple[Levels, Levels]:
        """YES bids and NO bids as (price, contracts), ascending: the best is the last. Empty outside trading."""
        return self.books(np.array([market]), now)[0]

    def books(self, rows: Ints, now: int) -> list[tuple[Levels, Levels]]:
        """As `levels`, of many markets."""
        event = self.rows.event[rows]
        trading = np.isin(self.world.event_status(now)[event], (ACTIVE, INACTIVE))
        if not trading.any():
            return [([], []) for _ in trading]
        found = iter(self.world.quotes.books(rows[trading], self.world.paths.step(event[trading], now), now))
        return [next(found) if trades else ([], []) for trades in trading.tolist()]


def deal(paid: int, size: int, yes: bool, block: bool) -> Json:
    """Price, count and direction of a trade; `paid` is the price of YES, `yes` says that its taker bought it."""
    side = "yes" if yes else "no"
    return {
        "count_fp": count(size),
        "is_block_trade": block,
        "no_price_dollars": price(DOLLAR - paid),
        "taker_book_side": "bid" if yes else "ask",
        "taker_outcome_side": side,
        "taker_side": side,
        "yes_price_dollars": price(paid),
    }


def _shortest(strike: float | dict[str, str]) -> float | dict[str, str]:
    """A whole strike is written without a decimal point."""
    return int(strike) if isinstance(strike, float) and strike.is_integer() else strike


def empty_book() -> Json:
    """A book without a bid."""
    return {"no_dollars": [], "yes_dollars": []}


def live_candle(candle: Candle) -> Json:
    """The shape of the live endpoints: no price keys for what did not happen."""
    paid: Json = {} if candle.price is None else _spelled(candle.price, "_dollars")
    if candle.mean is not None:
        paid["mean_dollars"] = price(candle.mean)
    if candle.previous is not None:
        paid["previous_dollars"] = price(candle.previous)
    return {
        "end_period_ts": candle.end,
        "open_interest_fp": count(candle.interest),
        "price": paid,
        "volume_fp": count(candle.volume),
        "yes_ask": _spelled(candle.ask, "_dollars"),
        "yes_bid": _spelled(candle.bid, "_dollars"),
    }


def archived_candle(candle: Candle) -> Json:
    """The shape of the historical endpoint: other names, and null for what did not happen."""
    paid: Json = dict.fromkeys(("open", "low", "high", "close")) if candle.price is None else _spelled(candle.price, "")
    paid["mean"] = None if candle.mean is None else price(candle.mean)
    paid["previous"] = None if candle.previous is None else price(candle.previous)
    return {
        "end_period_ts": candle.end,
        "open_interest": count(candle.interest),
        "price": paid,
        "volume": count(candle.volume),
        "yes_ask": _spelled(candle.ask, ""),
        "yes_bid": _spelled(candle.bid, ""),
    }


def _spelled(span: Span, ending: str) -> Json:
    return {f"{name}{ending}": price(getattr(span, name)) for name in ("open", "low", "high", "close")}
