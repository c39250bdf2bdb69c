"""The channels of the live stream and its error codes, as data: what may be asked of each, checked before anything is sent.

Source: the exchange's AsyncAPI document of autumn 2026.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from kalshi_lab.errors import (
    AuthFailed,
    BadRequest,
    RateLimited,
    RequestError,
    TimedOut,
    Unavailable,
    UsageError,
    one_of,
    unknown,
)
from kalshi_lab.kalshi import params

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Markets = Literal["needed", "optional", "none"]


@dataclass(frozen=True, slots=True)
class Channel:
    """What a channel takes: markets, parameters of its own, and the list that its items are named in."""

    markets: Markets = "none"
    parameters: tuple[str, ...] = ()
    items: str = ""  # the parameter that lists what is subscribed, where it is not markets


_INDEX, _PYTH = ("index_ids",), ("underlying_tickers",)
CHANNELS: dict[str, Channel] = {
    "orderbook_delta": Channel("needed", ("use_yes_price", "skip_ticker_ack")),
    "ticker": Channel("optional", ("send_initial_snapshot", "skip_ticker_ack")),
    "trade": Channel("optional", ("skip_ticker_ack",)),
    "market_lifecycle_v2": Channel(),
    "multivariate_market_lifecycle": Channel(),
    "fill": Channel("optional", ("skip_ticker_ack",)),
    "market_positions": Channel("optional", ("skip_ticker_ack",)),
    "user_orders": Channel("optional", ("skip_ticker_ack",)),
    "order_group_updates": Channel(),
    "communications": Channel("none", ("user_filter", "shard_factor", "shard_key")),
    "cfbenchmarks_value": Channel("none", _INDEX, "index_ids"),
    "cfbenchmarks_value_5hz": Channel("none", _INDEX, "index_ids"),
    "pyth_value": Channel("none", _PYTH, "underlying_tickers"),
}
REMOVED = {
    "ticker_v2": "the exchange removed it in February 2026; use ticker",
    "multivariate": "the exchange removed it in August 2026; use multivariate_market_lifecycle",
    "multivariate_lookup": "the exchange removed it; use multivariate_market_lifecycle",
}
ALSO = {
    "orderbook": "orderbook_delta",
    "book": "orderbook_delta",
    "trades": "trade",
    "fills": "fill",
    "market_lifecycle": "market_lifecycle_v2",
    "lifecycle": "market_lifecycle_v2",
    "market_position": "market_positions",
    "user_order": "user_orders",
}
# the parameter that lists items -> the actions that add some, take some away, and ask which there are
ACTIONS = {
    "market_tickers": ("add_markets", "delete_markets", ""),
    "index_ids": ("subscribe_indices", "unsubscribe_indices", "indexlist"),
    "underlying_tickers": ("subscribe_underlyings", "unsubscribe_underlyings", "underlying_list"),
}
EVERYTHING = "all"  # in place of indices or underlyings
_FLAGS = {"use_yes_price", "skip_ticker_ack", "send_initial_snapshot"}
CHUNK = 500  # markets in one command
MOST_SHARDS = 100
MOST_ITEMS = 10_000  # indices or underlyings that are named

# code -> what it means, and what to do
CODES: dict[int, tuple[str, str]] = {
    1: ("the message could not be processed", "Try again"),
    2: ("parameters are missing", "Check the arguments"),
    3: ("channels are missing", "Name at least one channel"),
    4: ("subscription numbers are missing", "Check the arguments"),
    5: ("the command is not known", "The exchange may have changed; a newer version of this library may know it"),
    7: ("the subscription is not known", "It may have ended; subscribe again"),
    8: ("the channel is not known", "The exchange may have changed; a newer version of this library may know it"),
    9: ("a key is needed", "Check the key id, the key and that both belong to this environment"),
    10: ("the channel failed and its subscription ended", "It is subscribed again by itself"),
    11: ("a parameter is not valid", "Check the arguments"),
    12: ("exactly one subscription is needed", "Check the arguments"),
    13: ("the channel does not know this action", "Check the arguments"),
    14: ("a market is needed", "Give tickers"),
    15: ("an action is needed", "Check the arguments"),
    18: ("the command took too long", "Try again"),
    19: ("shard_factor is not valid", "Give 1 to 100"),
    20: ("shard_key is not valid", "Give 0 to shard_factor - 1"),
    21: ("shard_factor is missing", "Give both or neither"),
    22: ("shard_key is missing", "Give both or neither"),
    23: ("match ids are needed", "Check the arguments"),
    24: ("index ids are needed", 'Give index_ids=["BRTI"] or ["all"]'),
    25: ("this reader was too slow for the exchange and its subscription ended", "It is subscribed again by itself"),
    26: ("there are too many market subscriptions in this session", "Subscribe fewer markets"),
    27: ("there were too many commands", "Send fewer at once"),
    28: ("underlying tickers are needed", 'Give underlying_tickers=["all"] or some'),
}
ENDED = frozenset({"10", "25"})
_KINDS: dict[int, type[RequestError]] = {9: AuthFailed, 27: RateLimited, 18: TimedOut, 10: Unavailable, 25: Unavailable}


def refused(code: int, text: str, command: str) -> RequestError:
    """The error for an error frame: what the exchange said, to which command, and what to do."""
    meaning, hint = CODES.get(code, ("an error that this version does not know", "See the exchange's documentation"))
    said = f": {text}" if text else ""
    kind = _KINDS.get(code, BadRequest)
    return kind(f"the stream refused {command}, {meaning} (code {code}){said}", hint=hint, code=str(code))


@dataclass
class Subscription:
    """One channel as it is wanted: its items (markets, or ids of its own) and parameters; `sid` while it stands."""

    channel: str
    items: list[str] | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    sid: int | None = None

    @property
    def items_name(self) -> str:
        """The parameter that lists the items."""
        return CHANNELS[self.channel].items or "market_tickers"

    def first(self) -> dict[str, Any]:
        """The parameters of the subscribe command, with the first of the items."""
        found: dict[str, Any] = {"channels": [self.channel], **self.parameters}
        return found | ({self.items_name: self.items[:CHUNK]} if self.items else {})

    def rest(self) -> list[list[str]]:
        """The other items, in pieces."""
        items = self.items or []
        return [items[start : start + CHUNK] for start in range(CHUNK, len(items), CHUNK)]


def wanted(
    channels: str | Iterable[str], tickers: str | Iterable[str] | None, parameters: Mapping[str, Any]
) -> dict[str, Subscription]:
    """The subscriptions that are asked for, by channel.

    Raises UsageError for a channel or parameter that does not exist, one that no chosen channel takes, and markets that are missing.
    """
    names = [_channel(str(name)) for name in ([channels] if isinstance(channels, str) else channels or ())]
    if not names:
        raise UsageError("no channel was named", hint=f"Channels: {', '.join(CHANNELS)}")
    markets = None if tickers is None else list(dict.fromkeys(params.tickers(tickers)))
    given = {name: value for name, value in parameters.items() if value is not None}
    _check(names, markets, given)
    return {name: _subscription(name, markets, given) for name in dict.fromkeys(names)}


def _channel(name: str) -> str:
    if name in REMOVED:
        raise UsageError(f"there is no channel {name!r} any more: {REMOVED[name]}")
    return one_of("channel", name, CHANNELS, also=ALSO)


def _check(names: list[str], markets: list[str] | None, given: Mapping[str, Any]) -> None:
    taken = {parameter for name in names for parameter in CHANNELS[name].parameters}
    known = sorted({parameter for channel in CHANNELS.values() for parameter in channel.parameters})
    for name, value in given.items():
        if name not in known:
            raise unknown("stream parameter", name, known)
        if name not in taken:
            raise UsageError(f"none of {', '.join(names)} takes {name}")
        if name in _FLAGS and not isinstance(value, bool):
            raise UsageError(f"{name} is {value!r}", hint="Give True or False")
    for name in names:
        if CHANNELS[name].markets == "needed" and not markets:
            raise UsageError(f"the channel {name} needs tickers", hint='Give tickers=["..."]')
        items = CHANNELS[name].items
        if items and not given.get(items):
            raise UsageError(f"the channel {name} needs {items}", hint=f'Give {items}=["all"] or some of them')
    if markets and not any(CHANNELS[name].markets != "none" for name in names):
        raise UsageError(f"none of {', '.join(names)} is about single markets", hint="Leave tickers out")
    _check_shards(given)


def _check_shards(given: Mapping[str, Any]) -> None:
    factor, key = given.get("shard_factor"), given.get("shard_key")
    if (factor is None) != (key is None):
        raise UsageError("shard_factor and shard_key go together")
    if factor is not None and not (1 <= _whole(factor) <= MOST_SHARDS and 0 <= _whole(key) < factor):
        raise UsageError(f"shard_factor {factor} and shard_key {key} do not fit", hint="1 to 100, and 0 to factor - 1")
    if given.get("user_filter") not in {None, "", "self"}:
        raise unknown("user_filter", str(given["user_filter"]), ["self"])


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def _subscription(name: str, markets: list[str] | None, given: Mapping[str, Any]) -> Subscription:
    channel = CHANNELS[name]
    own: dict[str, Any] = {
        key: value for key, value in given.items() if key in channel.parameters and key != channel.items
    }
    if channel.items:
        return Subscription(name, params.several(given[channel.items], channel.items, most=MOST_ITEMS), own)
    if name == "orderbook_delta":
        own.setdefault("use_yes_price", False)  # said, since the exchange will change its default
    return Subscription(name, list(markets) if markets and channel.markets != "none" else None, own)
