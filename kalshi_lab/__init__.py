"""A research library for Kalshi: live markets as Polars frames, their history in DuckDB, theses, alerts and calibration.

    import kalshi_lab as kl

    lab = kl.Lab()
    lab.markets(series="KXHIGHNY")

Everything public is named here and loaded at its first use, so that the import itself stays quick.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kalshi_lab import charts
    from kalshi_lab.alerts import (
        above,
        arbitrage_appears,
        below,
        crosses,
        data_stale,
        edge_above,
        evidence_against,
        market_listed,
        moves,
        sentiment_shifts,
        settles,
        spread_above,
        volume_above,
        volume_rate_above,
    )
    from kalshi_lab.alerts.alarm import Alarm
    from kalshi_lab.alerts.sinks import ToApprise, ToFile, ToNotebook
    from kalshi_lab.alerts.watch import AsyncWatch, Watch
    from kalshi_lab.alerts.webhook import ToWebhook
    from kalshi_lab.analysis.arbitrage import Arbitrage, arbitrage
    from kalshi_lab.analysis.bars import Bars, bars
    from kalshi_lab.analysis.calibration import calibration
    from kalshi_lab.analysis.category import category, guessed_category
    from kalshi_lab.analysis.comparison import Comparison, compare
    from kalshi_lab.analysis.correlation import Correlation, LeadLag, correlation, lead_lag
    from kalshi_lab.analysis.edge import Edge, edge
    from kalshi_lab.analysis.impact import Impact, impact
    from kalshi_lab.analysis.kelly import Kelly, kelly
    from kalshi_lab.analysis.ladder import Ladder, ladder
    from kalshi_lab.analysis.liquidity import Liquidity, Scale, liquidity
    from kalshi_lab.analysis.longshots import Longshots, longshots
    from kalshi_lab.analysis.movers import Metrics, Movers, metrics, movers
    from kalshi_lab.analysis.recalibration import Recalibration, recalibrate
    from kalshi_lab.analysis.result import Calibration
    from kalshi_lab.analysis.returns import Returns, SizeEffects, returns, size_effects
    from kalshi_lab.analysis.scan import Scan, scan, why_not_tradeable
    from kalshi_lab.analysis.slippage import Slippage, safe_size, slippage
    from kalshi_lab.analysis.spark import Spark
    from kalshi_lab.analysis.spreads import Spreads, spreads
    from kalshi_lab.analysis.timeline import Timeline, timeline
    from kalshi_lab.analysis.timing import Timing, timing
    from kalshi_lab.analysis.volume import VolumeProfile, volume_profile
    from kalshi_lab.book import OrderBook
    from kalshi_lab.credentials import Credentials
    from kalshi_lab.errors import (
        AuthFailed,
        BadPayload,
        BadRequest,
        BrokenResponse,
        BudgetExceeded,
        CircuitOpen,
        ClockSkew,
        Conflict,
        CursorLoop,
        DiskFull,
        Forbidden,
        LabError,
        NotFound,
        OrderRejected,
        OrderUnknown,
        RateLimited,
        RequestError,
        SchemaDrift,
        StalledPagination,
        StoreBusy,
        StoreCorrupt,
        StoreError,
        TimedOut,
        TooLarge,
        TradingError,
        TradingOff,
        Unavailable,
        UnexpectedRedirect,
        UsageError,
    )
    from kalshi_lab.exa import AsyncExa, Exa
    from kalshi_lab.explanations import explain
    from kalshi_lab.fees import FeeSchedule, OrderFees, fee
    from kalshi_lab.frames import of as frame
    from kalshi_lab.grid import Grid
    from kalshi_lab.ingest import Snapshot, SyncResult
    from kalshi_lab.ingest.collector import AsyncCollector, Collector
    from kalshi_lab.ingest.recorder import AsyncRecording, Recording
    from kalshi_lab.ingest.replay import AsyncReplay, Replay
    from kalshi_lab.kalshi import AsyncKalshi, AsyncPages, Kalshi, Pages
    from kalshi_lab.kalshi.live import Stream
    from kalshi_lab.kalshi.notices import Disconnected, Gap, Missed, Reconnected
    from kalshi_lab.kalshi.orders import NewOrder
    from kalshi_lab.kalshi.stream import AsyncStream
    from kalshi_lab.lab import AsyncLab, Lab
    from kalshi_lab.models import Candlestick, Cutoff, Event, ExchangeStatus, Market, Orderbook, Schedule, Series, Trade
    from kalshi_lab.notebook.runs import NotebookRun, run_notebook
    from kalshi_lab.portal import run_here
    from kalshi_lab.portfolio.ledger import Ledger, ledger
    from kalshi_lab.portfolio.reconciliation import Reconciliation
    from kalshi_lab.portfolio.summary import Summary
    from kalshi_lab.portfolio.sync import PortfolioSync
    from kalshi_lab.portfolio.views import ProfitAndLoss
    from kalshi_lab.research import Thesis
    from kalshi_lab.research.agent import ByRules
    from kalshi_lab.research.agent.synthesis import ByAnthropic
    from kalshi_lab.research.backtest import Backtest, View, backtest
    from kalshi_lab.research.news import ByExa, ByWords
    from kalshi_lab.settings import Settings
    from kalshi_lab.store.access import S3
    from kalshi_lab.store.face import AsyncStore, Store
    from kalshi_lab.store.lake import Lake
    from kalshi_lab.store.team import DuckLake
    from kalshi_lab.trading import Limits

    __version__: str

_PLACES = {
    "alerts": (
        "above", "arbitrage_appears", "below", "crosses", "data_stale", "edge_above", "evidence_against", "market_listed", "moves",
        "sentiment_shifts", "settles", "spread_above", "volume_above", "volume_rate_above",
    ),
    "alerts.alarm": ("Alarm",),
    "alerts.sinks": ("ToApprise", "ToFile", "ToNotebook"),
    "alerts.watch": ("AsyncWatch", "Watch"),
    "alerts.webhook": ("ToWebhook",),
    "analysis.arbitrage": ("Arbitrage", "arbitrage"),
    "analysis.bars": ("Bars", "bars"),
    "analysis.calibration": ("calibration",),
    "analysis.comparison": ("Comparison", "compare"),
    "analysis.recalibration": ("Recalibration", "recalibrate"),
    "analysis.ladder": ("Ladder", "ladder"),
    "analysis.category": ("category", "guessed_category"),
    "analysis.edge": ("Edge", "edge"),
    "analysis.kelly": ("Kelly", "kelly"),
    "analysis.movers": ("Metrics", "Movers", "metrics", "movers"),
    "analysis.result": ("Calibration",),
    "analysis.scan": ("Scan", "scan", "why_not_tradeable"),
    "analysis.longshots": ("Longshots", "longshots"),
    "analysis.returns": ("Returns", "SizeEffects", "returns", "size_effects"),
    "analysis.spark": ("Spark",),
    "analysis.spreads": ("Spreads", "spreads"),
    "analysis.volume": ("VolumeProfile", "volume_profile"),
    "analysis.correlation": ("Correlation", "LeadLag", "correlation", "lead_lag"),
    "analysis.impact": ("Impact", "impact"),
    "analysis.liquidity": ("Liquidity", "Scale", "liquidity"),
    "analysis.slippage": ("Slippage", "safe_size", "slippage"),
    "analysis.timeline": ("Timeline", "timeline"),
    "analysis.timing": ("Timing", "timing"),
    "book": ("OrderBook",),
    "credentials": ("Credentials",),
    "errors": (
        "AuthFailed", "BadPayload", "BadRequest", "BrokenResponse", "BudgetExceeded", "CircuitOpen", "ClockSkew", "Conflict",
        "CursorLoop", "DiskFull", "Forbidden", "LabError", "NotFound", "OrderRejected", "OrderUnknown", "RateLimited", "RequestError",
        "SchemaDrift", "StalledPagination", "StoreBusy", "StoreCorrupt", "StoreError", "TimedOut", "TooLarge", "TradingError",
        "TradingOff", "Unavailable", "UnexpectedRedirect", "UsageError",
    ),
    "explanations": ("explain",),
    "fees": ("FeeSchedule", "OrderFees", "fee"),
    "grid": ("Grid",),
    "ingest": ("Snapshot", "SyncResult"),
    "ingest.collector": ("AsyncCollector", "Collector"),
    "ingest.recorder": ("AsyncRecording", "Recording"),
    "ingest.replay": ("AsyncReplay", "Replay"),
    "exa": ("AsyncExa", "Exa"),
    "kalshi": ("AsyncKalshi", "AsyncPages", "Kalshi", "Pages"),
    "kalshi.live": ("Stream",),
    "kalshi.notices": ("Disconnected", "Gap", "Missed", "Reconnected"),
    "kalshi.orders": ("NewOrder",),
    "kalshi.stream": ("AsyncStream",),
    "lab": ("AsyncLab", "Lab"),
    "models": ("Candlestick", "Cutoff", "Event", "ExchangeStatus", "Market", "Orderbook", "Schedule", "Series", "Trade"),
    "notebook.runs": ("NotebookRun", "run_notebook"),
    "portal": ("run_here",),
    "research": ("Thesis",),
    "portfolio.ledger": ("Ledger", "ledger"),
    "portfolio.reconciliation": ("Reconciliation",),
    "portfolio.summary": ("Summary",),
    "portfolio.sync": ("PortfolioSync",),
    "portfolio.views": ("ProfitAndLoss",),
    "research.agent": ("ByRules",),
    "research.agent.synthesis": ("ByAnthropic",),
    "research.news": ("ByExa", "ByWords"),
    "research.backtest": ("Backtest", "View", "backtest"),
    "settings": ("Settings",),
    "store.access": ("S3",),
    "store.face": ("AsyncStore", "Store"),
    "store.lake": ("Lake",),
    "store.team": ("DuckLake",),
    "trading": ("Limits",),
}  # fmt: skip
_HOME = {name: module for module, names in _PLACES.items() for name in names}

__all__ = [
    "S3",
    "Alarm",
    "Arbitrage",
    "AsyncCollector",
    "AsyncExa",
    "AsyncKalshi",
    "AsyncLab",
    "AsyncPages",
    "AsyncRecording",
    "AsyncReplay",
    "AsyncStore",
    "AsyncStream",
    "AsyncWatch",
    "AuthFailed",
    "Backtest",
    "BadPayload",
    "BadRequest",
    "Bars",
    "BrokenResponse",
    "BudgetExceeded",
    "ByAnthropic",
    "ByExa",
    "ByRules",
    "ByWords",
    "Calibration",
    "Candlestick",
    "CircuitOpen",
    "ClockSkew",
    "Collector",
    "Comparison",
    "Conflict",
    "Correlation",
    "Credentials",
    "CursorLoop",
    "Cutoff",
    "Disconnected",
    "DiskFull",
    "DuckLake",
    "Edge",
    "Event",
    "Exa",
    "ExchangeStatus",
    "FeeSchedule",
    "Forbidden",
    "Gap",
    "Grid",
    "Impact",
    "Kalshi",
    "Kelly",
    "Lab",
    "LabError",
    "Ladder",
    "Lake",
    "LeadLag",
    "Ledger",
    "Limits",
    "Liquidity",
    "Longshots",
    "Market",
    "Metrics",
    "Missed",
    "Movers",
    "NewOrder",
    "NotFound",
    "NotebookRun",
    "OrderBook",
    "OrderFees",
    "OrderRejected",
    "OrderUnknown",
    "Orderbook",
    "Pages",
    "PortfolioSync",
    "ProfitAndLoss",
    "RateLimited",
    "Recalibration",
    "Reconciliation",
    "Reconnected",
    "Recording",
    "Replay",
    "RequestError",
    "Returns",
    "Scale",
    "Scan",
    "Schedule",
    "SchemaDrift",
    "Series",
    "Settings",
    "SizeEffects",
    "Slippage",
    "Snapshot",
    "Spark",
    "Spreads",
    "StalledPagination",
    "Store",
    "StoreBusy",
    "StoreCorrupt",
    "StoreError",
    "Stream",
    "Summary",
    "SyncResult",
    "Thesis",
    "TimedOut",
    "Timeline",
    "Timing",
    "ToApprise",
    "ToFile",
    "ToNotebook",
    "ToWebhook",
    "TooLarge",
    "Trade",
    "TradingError",
    "TradingOff",
    "Unavailable",
    "UnexpectedRedirect",
    "UsageError",
    "View",
    "VolumeProfile",
    "Watch",
    "__version__",
    "above",
    "arbitrage",
    "arbitrage_appears",
    "backtest",
    "bars",
    "below",
    "calibration",
    "category",
    "charts",
    "compare",
    "correlation",
    "crosses",
    "data_stale",
    "edge",
    "edge_above",
    "evidence_against",
    "explain",
    "fee",
    "frame",
    "guessed_category",
    "impact",
    "kelly",
    "ladder",
    "lead_lag",
    "ledger",
    "liquidity",
    "longshots",
    "market_listed",
    "metrics",
    "movers",
    "moves",
    "recalibrate",
    "returns",
    "run_here",
    "run_notebook",
    "safe_size",
    "scan",
    "sentiment_shifts",
    "settles",
    "size_effects",
    "slippage",
    "spread_above",
    "spreads",
    "timeline",
    "timing",
    "volume_above",
    "volume_profile",
    "volume_rate_above",
    "why_not_tradeable",
]


logging.getLogger(__name__).addHandler(logging.NullHandler())  # whoever wants the log configures it


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("kalshi_lab")
    if name == "charts":
        return import_module("kalshi_lab.charts")
    if name == "frame":
        return import_module("kalshi_lab.frames").of
    if name not in _HOME:
        raise AttributeError(f"module 'kalshi_lab' has no attribute {name!r}")
    return getattr(import_module(f"kalshi_lab.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
