"""Names of things that exist on an exchange, found by asking it: what the calls need."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.operations.calls import Known

if TYPE_CHECKING:
    import kalshi_lab as kl


def public(client: kl.Kalshi) -> Known:
    """A market that trades, its event and series, an archived market, a milestone, a target, a collection."""
    trade = next(iter(client.markets.trades(limit=1)))
    market = client.markets.one(trade.ticker or "")
    event = client.events.one(market.event_ticker or "")
    now = trade.created_time or datetime.now(UTC)
    found: dict[str, Any] = {
        "series": event.series_ticker,
        "event": event.event_ticker,
        "ticker": market.ticker,
        "archived": next(iter(client.historical.markets(limit=1))).ticker,
        "since": (now - timedelta(hours=12)).isoformat(),
        "until": now.isoformat(),
    }
    for milestone in client.milestones.list(limit=1):
        found |= {"milestone": milestone.id, "milestone_type": milestone.type}
    for target in client.structured_targets.list(limit=1):
        found["target"] = target.id
    for collection in client.multivariate.list(limit=1):
        found["collection"] = collection.collection_ticker
    return Known(**{name: value for name, value in found.items() if value})
