"""Research: theses that are written down with the prices of their moment and judged by the exchange's own results."""

from __future__ import annotations

from kalshi_lab.research.thesis import Score, Thesis, ThesisMarket

__all__ = ["Score", "Thesis", "ThesisMarket"]
