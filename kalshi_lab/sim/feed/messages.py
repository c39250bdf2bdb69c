"""The messages about markets, as the exchange writes them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from kalshi_lab.sim.desk.shapes import signed
from kalshi_lab.sim.reference.identity import MARKET, identifier
from kalshi_lab.sim.wire import DOLLAR, SECOND, count, moment, price

if TYPE_CHECKING:
    from kalshi_lab.sim.render import Json

MILLISECOND = 1_000
_encoder = msgspec.json.Encoder()
Sides = tuple[dict[int, int], dict[int, int]]
"""NO bids and YES bids: contracts by price."""


def text(value: Any) -> str:
    """JSON, keys in the order given."""
    return _encoder.encode(value).decode()


def market_id(seed: int, row: int) -> str:
    """The id that streams give a market beside its ticker."""
    return identifier(seed, MARKET, row)


def seconds(rfc3339: str) -> int:
    """Unix seconds."""
    return int(datetime.fromisoformat(rfc3339).timestamp())


def turned(level: int, *, yes_prices: bool) -> int:
    """A price of the NO side as it is sent."""
    return DOLLAR - level if yes_prices else level


def snapshot(names: Json, sides: Sides, *, yes_prices: bool) -> Json:
    """A whole book; an empty side has no key."""
    made = dict(names)
    no, yes = sides
    if yes:
        made["yes_dollars_fp"] = [[price(level), count(size)] for level, size in sorted(yes.items())]
    if no:
        shown = sorted((turned(level, yes_prices=yes_prices), size) for level, size in no.items())
        made["no_dollars_fp"] = [[price(level), count(size)] for level, size in shown]
    return made


def delta(names: Json, level: int, change: int, side: int, at: int) -> Json:
    """The change of one level; `side` is 1 for YES."""
    return {
        **names,
        "price_dollars": price(level),
        "delta_fp": signed(change),
        "side": "yes" if side else "no",
        "ts": moment(at),
        "ts_ms": at // MILLISECOND,
    }


def ticker(names: Json, market: Json, last_size: int, at: int) -> Json:
    """Top of book and totals, from the market's own object."""
    volume, interest = (int(market[name].replace(".", "")) for name in ("volume_fp", "open_interest_fp"))
    same = ("yes_bid_dollars", "yes_ask_dollars", "yes_bid_size_fp", "yes_ask_size_fp")
    return {
        **names,
        "price_dollars": market["last_price_dollars"],
        **{name: market[name] for name in same},
        "last_trade_size_fp": count(last_size),
        "volume_fp": market["volume_fp"],
        "open_interest_fp": market["open_interest_fp"],
        # recorded tickers count half a dollar for a contract
        "dollar_volume": volume // 200,
        "dollar_open_interest": interest // 200,
        "ts": at // SECOND,
        "ts_ms": at // MILLISECOND,
        "time": moment(at),
    }


def trade(listed: Json, at: int) -> Json:
    """A trade, from the object of the REST listing."""
    made = {"trade_id": listed["trade_id"], "market_ticker": listed["ticker"]}
    made.update((name, value) for name, value in listed.items() if name not in {"trade_id", "ticker", "created_time"})
    return {**made, "ts": at // SECOND, "ts_ms": at // MILLISECOND}


def created(market: Json) -> Json:
    """A market's birth, from its own object."""
    strikes = {
        name: market[name] for name in ("strike_type", "floor_strike", "cap_strike", "custom_strike") if name in market
    }
    same = (
        "title",
        "yes_sub_title",
        "no_sub_title",
        "rules_primary",
        "rules_secondary",
        "can_close_early",
        "event_ticker",
    )
    return {
        "event_type": "created",
        "market_ticker": market["ticker"],
        "exchange_index": market["exchange_index"],
        "open_ts": seconds(market["open_time"]),
        "close_ts": seconds(market["close_time"]),
        "price_level_structure": market["price_level_structure"],
        "price_ranges": market["price_ranges"],
        "additional_metadata": {
            "name": market["yes_sub_title"],
            **{name: market[name] for name in same},
            "expected_expiration_ts": seconds(market["expected_expiration_time"]),
            **strikes,
        },
    }


def event_created(event: Json) -> Json:
    """An event's birth, from its own object."""
    made = {
        "event_ticker": event["event_ticker"],
        "exchange_index": event["exchange_index"],
        "title": event["title"],
        "subtitle": event["sub_title"],
        "collateral_return_type": event["collateral_return_type"],
        "series_ticker": event["series_ticker"],
    }
    if "strike_date" in event:
        made["strike_date"] = seconds(event["strike_date"])
    if "strike_period" in event:
        made["strike_period"] = event["strike_period"]
    return made
