"""Alerts: conditions on prices that are kept in the store and fire once."""

from __future__ import annotations

from kalshi_lab.alerts.conditions import Condition, above, below
from kalshi_lab.alerts.monitor import Alerts, AsyncAlerts

__all__ = ["Alerts", "AsyncAlerts", "Condition", "above", "below"]
