"""What somebody is told: an alert that fired or ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alert that fired or ended. `event_id` is the same for the same event, however often it is delivered; prices are dollars of YES."""

    event_id: str
    alert_id: str
    label: str
    condition: str
    time: datetime
    what: str
    ticker: str | None
    yes_bid: Decimal | None
    yes_ask: Decimal | None
    message: str

    @property
    def text(self) -> str:
        """One line of plain words."""
        label = f"{self.label}: " if self.label else ""
        return f"{label}{self.message} [{self.time:%Y-%m-%d %H:%M:%S} UTC]"

    def row(self) -> dict[str, Any]:
        """Its fields as JSON values, prices as text."""
        said = asdict(self) | {"time": self.time.isoformat(), "text": self.text}
        return said | {name: None if said[name] is None else str(said[name]) for name in ("yes_bid", "yes_ask")}
