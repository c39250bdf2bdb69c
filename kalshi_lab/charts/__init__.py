"""Pictures in one house style: results and frames in, a `Picture` out that Jupyter shows by itself."""

from kalshi_lab.charts.backtests import backtest
from kalshi_lab.charts.base_rate import base_rate
from kalshi_lab.charts.books import book_path, depth
from kalshi_lab.charts.correlation import correlation, lead_lag
from kalshi_lab.charts.fees import fees
from kalshi_lab.charts.house import Picture
from kalshi_lab.charts.ladders import event, ladder, payoff
from kalshi_lab.charts.liquidity import impact, liquidity, slippage, timing
from kalshi_lab.charts.markets import price_path, quotes
from kalshi_lab.charts.news import news
from kalshi_lab.charts.portfolio import ledger, profit_and_loss, reconciliation
from kalshi_lab.charts.results import comparison, recalibration, reliability
from kalshi_lab.charts.scans import metrics, movers, scan
from kalshi_lab.charts.session import stats
from kalshi_lab.charts.sizing import edge, kelly
from kalshi_lab.charts.tape import bars, longshots, returns, size_effects, spreads, volume_profile
from kalshi_lab.charts.theses import thesis, track_record
from kalshi_lab.charts.timeline import timeline

__all__ = [
    "Picture",
    "backtest",
    "bars",
    "base_rate",
    "book_path",
    "comparison",
    "correlation",
    "depth",
    "edge",
    "event",
    "fees",
    "impact",
    "kelly",
    "ladder",
    "lead_lag",
    "ledger",
    "liquidity",
    "longshots",
    "metrics",
    "movers",
    "news",
    "payoff",
    "price_path",
    "profit_and_loss",
    "quotes",
    "recalibration",
    "reconciliation",
    "reliability",
    "returns",
    "scan",
    "size_effects",
    "slippage",
    "spreads",
    "stats",
    "thesis",
    "timeline",
    "timing",
    "track_record",
    "volume_profile",
]
