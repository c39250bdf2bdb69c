"""The exchange's records as immutable objects."""

from __future__ import annotations

from kalshi_lab.models.event import Event, Series
from kalshi_lab.models.exchange import Cutoff, ExchangeStatus, Schedule
from kalshi_lab.models.fields import Column, Record, columns
from kalshi_lab.models.market import Leg, Market, PriceRange
from kalshi_lab.models.orderbook import Orderbook
from kalshi_lab.models.trade import Candlestick, Trade

__all__ = [
    "Candlestick",
    "Column",
    "Cutoff",
    "Event",
    "ExchangeStatus",
    "Leg",
    "Market",
    "Orderbook",
    "PriceRange",
    "Record",
    "Schedule",
    "Series",
    "Trade",
    "columns",
]
