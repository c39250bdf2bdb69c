"""Backtests that cannot cheat: a strategy sees what was known at its moment, and buys at what was offered then."""

from __future__ import annotations

from kalshi_lab.research.backtest.engine import backtest
from kalshi_lab.research.backtest.result import Backtest
from kalshi_lab.research.backtest.view import Order, View

__all__ = ["Backtest", "Order", "View", "backtest"]
