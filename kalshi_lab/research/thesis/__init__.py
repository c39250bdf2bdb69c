"""Theses: written down with the prices of their moment, changed in versions, and judged by the exchange's own results."""

from __future__ import annotations

from kalshi_lab.research.thesis.record import Thesis, ThesisMarket
from kalshi_lab.research.thesis.scoring import Score
from kalshi_lab.research.thesis.writing import theses, thesis

__all__ = ["Score", "Thesis", "ThesisMarket", "theses", "thesis"]
