"""From the exchange into the store."""

from __future__ import annotations

from kalshi_lab.ingest.history import SyncResult
from kalshi_lab.ingest.snapshot import Snapshot

__all__ = ["Snapshot", "SyncResult"]
