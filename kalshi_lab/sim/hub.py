"""Where parts of the exchange say what happened, for the streams to pass on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Event:
    """One message of a channel; `user` is the account that alone may see it, empty for everybody."""

    channel: str
    kind: str
    msg: dict[str, Any]
    market: str = ""
    user: str = ""


class Hub:
    """Passes events on to all listeners, at once and in order."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Event], None]] = []

    def publish(self, channel: str, kind: str, msg: dict[str, Any], *, market: str = "", user: str = "") -> None:
        """Tell every listener."""
        event = Event(channel, kind, msg, market, user)
        for listener in list(self._listeners):
            listener(event)

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Add a listener; call what is given back to end it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)
