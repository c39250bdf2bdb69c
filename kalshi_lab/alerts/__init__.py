"""Alerts: conditions that are kept in the store, fire once, and are told where you want to be told."""

from __future__ import annotations

from kalshi_lab.alerts.conditions import Condition, above, below, settles
from kalshi_lab.alerts.monitor import Alerts, AsyncAlerts
from kalshi_lab.alerts.moving import crosses, edge_above, moves, spread_above, volume_above, volume_rate_above
from kalshi_lab.alerts.wider import arbitrage_appears, data_stale, evidence_against, market_listed, sentiment_shifts

__all__ = [
    "Alerts", "AsyncAlerts", "Condition", "above", "arbitrage_appears", "below", "crosses", "data_stale", "edge_above",
    "evidence_against", "market_listed", "moves", "sentiment_shifts", "settles", "spread_above", "volume_above", "volume_rate_above",
]  # fmt: skip
