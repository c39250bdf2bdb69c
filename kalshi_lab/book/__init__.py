"""Live order books, kept from the exchange's own WebSocket frames."""

from __future__ import annotations

from kalshi_lab.book.order_book import OrderBook
from kalshi_lab.book.order_books import OrderBooks
from kalshi_lab.book.views import Depth, FillCost

__all__ = ["Depth", "FillCost", "OrderBook", "OrderBooks"]
