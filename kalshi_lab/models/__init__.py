"""The exchange's records as immutable objects."""

from __future__ import annotations

from kalshi_lab.models.event import (
    Event,
    EventFeeChange,
    EventMetadata,
    MarketPicture,
    Series,
    SeriesFeeChange,
    SettlementSource,
)
from kalshi_lab.models.exchange import Cutoff, ExchangeStatus, Schedule, ShardStatus, UserDataTime
from kalshi_lab.models.fields import Column, Record, columns
from kalshi_lab.models.incentive import IncentiveProgram
from kalshi_lab.models.live import (
    CalibratedStation,
    EventLiveData,
    LiveData,
    Period,
    PlayByPlay,
    StationReading,
    WeatherCalibration,
    WeatherCalibrations,
    WeatherIndex,
    WeatherPoint,
)
from kalshi_lab.models.market import Leg, Market, PriceRange
from kalshi_lab.models.milestone import Milestone, StructuredTarget
from kalshi_lab.models.multivariate import AssociatedEvent, Collection, ComboMarket
from kalshi_lab.models.orderbook import Orderbook
from kalshi_lab.models.search import Scopes, SportFilter, SportFilters
from kalshi_lab.models.trade import Candlestick, ForecastPoint, Trade

__all__ = [
    "AssociatedEvent",
    "CalibratedStation",
    "Candlestick",
    "Collection",
    "Column",
    "ComboMarket",
    "Cutoff",
    "Event",
    "EventFeeChange",
    "EventLiveData",
    "EventMetadata",
    "ExchangeStatus",
    "ForecastPoint",
    "IncentiveProgram",
    "Leg",
    "LiveData",
    "Market",
    "MarketPicture",
    "Milestone",
    "Orderbook",
    "Period",
    "PlayByPlay",
    "PriceRange",
    "Record",
    "Schedule",
    "Scopes",
    "Series",
    "SeriesFeeChange",
    "SettlementSource",
    "ShardStatus",
    "SportFilter",
    "SportFilters",
    "StationReading",
    "StructuredTarget",
    "Trade",
    "UserDataTime",
    "WeatherCalibration",
    "WeatherCalibrations",
    "WeatherIndex",
    "WeatherPoint",
    "columns",
]
