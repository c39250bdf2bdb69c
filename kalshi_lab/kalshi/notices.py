"""What a stream says of itself between the messages: where something may be missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers left out on one subscription, told before the frame that showed it; `received` is 0 where the exchange ended it."""

    connection: int
    sid: int
    channel: str
    expected: int
    received: int
    tickers: tuple[str, ...]
    time: datetime


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection was lost; it is being made again. `reason` says how it ended."""

    connection: int
    time: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The connection stands again and everything is subscribed; what was sent between `lost` and `back` is missing."""

    connection: int
    lost: datetime
    back: datetime
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Missed:
    """Messages that a slow reader had no room for, by type and by market or event. Books were kept all the same."""

    counts: dict[str, int]
    time: datetime
    tickers: dict[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many in all."""
        return sum(self.counts.values())


Notice = Gap | Disconnected | Reconnected | Missed
