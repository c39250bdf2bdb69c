"""Names of things that exist on an exchange, found by asking it: what the calls need."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import kalshi_lab as kl
from tests.operations.calls import Known

if TYPE_CHECKING:
    from collections.abc import Iterable


def public(client: kl.Kalshi) -> Known:
    """A market that trades, its event and series, an archived market, a milestone, a target, a collection."""
    trade = next(iter(client.markets.trades(limit=1)))
    market = client.markets.one(trade.ticker or "")
    event = client.events.one(market.event_ticker or "")
    now = trade.created_time or datetime.now(UTC)
    found: dict[str, Any] = {
        "series": event.series_ticker,
        "event": event.event_ticker,
        "charted": charted(client, (trade.ticker or "" for trade in client.markets.trades(limit=200))),
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


def charted(client: kl.Kalshi, tickers: Iterable[str]) -> str:
    """The first event of these markets whose underlying has live data, which few have; empty where none of ten does."""
    events = dict.fromkeys(ticker.rpartition("-")[0] for ticker in tickers)
    of_series = {event.partition("-")[0]: event for event in events}
    for event in list(of_series.values())[:10]:
        try:
            client.live_data.event(event)
        except kl.NotFound:
            continue
        return event
    return ""
