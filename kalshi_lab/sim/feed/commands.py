"""What clients ask for, checked, and the exchange's error codes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

MARKET_CHANNELS = frozenset({"orderbook_delta", "ticker", "trade", "fill", "market_positions", "user_orders"})
INDEX_CHANNELS = frozenset({"cfbenchmarks_value", "cfbenchmarks_value_5hz"})
CHANNELS = (
    MARKET_CHANNELS
    | INDEX_CHANNELS
    | {"market_lifecycle_v2", "multivariate_market_lifecycle", "order_group_updates", "communications", "pyth_value"}
)
MOST_MARKETS = 50_000
ERRORS = {
    1: "Unable to process message", 2: "Params required", 3: "Channels required", 4: "Subscription IDs required", 5: "Unknown command",
    7: "Unknown subscription ID", 8: "Unknown channel name", 9: "Authentication required", 10: "Channel error", 11: "Invalid parameter",
    12: "Exactly one subscription ID is required", 13: "Unsupported action", 14: "Market ticker required", 15: "Action required",
    18: "Command timeout", 19: "shard_factor required", 20: "Invalid shard_factor", 21: "shard_key required", 22: "Invalid shard_key",
    23: "Match ids required", 24: "Index ids required", 25: "Subscription buffer overflow", 26: "Market subscription limit reached",
    27: "Too many requests", 28: "Underlying tickers required",
}  # fmt: skip


class Rejected(Exception):  # noqa: N818 - a rejection, not a malfunction
    """A command that is answered by an error frame; `more` goes into its message."""

    def __init__(self, code: int, details: str = "", **more: Any) -> None:
        text = ERRORS[code]
        super().__init__(f"{text}: {details}" if details else text)
        self.msg = {"code": code, "msg": str(self), **more}
        self.id = 0


@dataclass(frozen=True, slots=True)
class Command:
    """A command with its id, 0 for none."""

    id: int
    name: str
    params: dict[str, Any]

    def flag(self, name: str) -> bool:
        """A boolean that is false when absent. Raises Rejected."""
        value = self.params.get(name, False)
        if not isinstance(value, bool):
            raise Rejected(11, f"{name} must be a boolean")
        return value

    def texts(self, name: str, code: int = 11) -> list[str]:
        """A list of texts, empty when absent. Raises Rejected."""
        value = self.params.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise Rejected(code, f"{name} must be a list of strings")
        return value

    def one_or_several(self, name: str) -> list[str]:
        """What `name` or its plural says, not both. Raises Rejected."""
        one, several = self.params.get(name), self.texts(f"{name}s")
        if one is None:
            return several
        if several:
            raise Rejected(11, f"{name} and {name}s exclude each other")
        if not isinstance(one, str) or not one:
            raise Rejected(11, f"{name} must be a string")
        return [one]

    def channels(self) -> list[str]:
        """The channels to subscribe to, each once. Raises Rejected."""
        wanted = list(dict.fromkeys(self.texts("channels", 3)))
        if not wanted:
            raise Rejected(3)
        for channel in wanted:
            if channel not in CHANNELS:
                raise Rejected(8, channel)
        return wanted

    def sids(self) -> list[int]:
        """The subscriptions to end. Raises Rejected."""
        wanted = self.params.get("sids")
        if not isinstance(wanted, list) or not wanted:
            raise Rejected(4)
        return [_whole(sid, 7) for sid in wanted]

    def sid(self) -> int:
        """The one subscription that is meant. Raises Rejected."""
        one, several = self.params.get("sid"), self.params.get("sids")
        listed = several if isinstance(several, list) else []
        wanted = [*([] if one is None else [one]), *listed]
        if len(wanted) != 1:
            raise Rejected(12)
        return _whole(wanted[0], 7)

    def shard(self) -> tuple[int, int]:
        """The part of the communications that is wanted, as (factor, key). Raises Rejected."""
        factor, key = self.params.get("shard_factor"), self.params.get("shard_key")
        if factor is None and key is None:
            return 1, 0
        if factor is None:
            raise Rejected(19)
        if key is None:
            raise Rejected(21)
        if not 1 <= _whole(factor, 20) <= 100:
            raise Rejected(20, "1 to 100")
        if not 0 <= _whole(key, 22) < factor:
            raise Rejected(22, "0 to shard_factor - 1")
        return factor, key

    def own(self) -> bool:
        """Whether only the caller's own messages are wanted. Raises Rejected."""
        value = self.params.get("user_filter", "")
        if value not in {"", "self"}:
            raise Rejected(11, 'user_filter must be "" or "self"')
        return bool(value)

    def names(self, key: str, known: list[str], code: int) -> set[str] | None:
        """Indices or underlyings, None for all. Raises Rejected."""
        wanted = self.texts(key, code)
        if not wanted:
            raise Rejected(code)
        if wanted == ["all"]:
            return None
        if strange := sorted(set(wanted) - set(known)):
            raise Rejected(11, f"unknown {key}: {', '.join(strange)}")
        return set(wanted)


def _whole(value: object, code: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Rejected(code, "not an integer")
    return value


def parsed(text: str) -> Command:
    """A client's frame as a command. Raises Rejected, with the command's id where it has one."""
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        frame = None
    if not isinstance(frame, dict):
        raise Rejected(1)
    number = frame.get("id", 0)
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise Rejected(11, "id must be an integer from 1")
    try:
        return Command(number, *_checked(frame))
    except Rejected as error:
        error.id = number
        raise


def _checked(frame: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    name, params = frame.get("cmd"), frame.get("params")
    if name not in {"subscribe", "unsubscribe", "update_subscription", "list_subscriptions"}:
        raise Rejected(5)
    if name != "list_subscriptions" and not isinstance(params, dict):
        raise Rejected(2)
    return name, params if isinstance(params, dict) else {}
