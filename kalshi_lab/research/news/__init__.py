"""News of markets: found, linked to every market that they concern, and judged by how they lean towards YES."""

from __future__ import annotations

from kalshi_lab.research.news.judges import ByExa, ByWords, Judge, Judgement
from kalshi_lab.research.news.tracker import AsyncNews, News

__all__ = ["AsyncNews", "ByExa", "ByWords", "Judge", "Judgement", "News"]
