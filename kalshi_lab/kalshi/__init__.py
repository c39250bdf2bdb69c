"""The exchange's API as two clients, one implementation."""

from __future__ import annotations

from kalshi_lab.kalshi.client import AsyncKalshi, Kalshi
from kalshi_lab.kalshi.pages import AsyncPages, Pages

__all__ = ["AsyncKalshi", "AsyncPages", "Kalshi", "Pages"]
