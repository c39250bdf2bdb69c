"""Exa, the search engine for what is written about a market: searches, pages, answers and agent runs, each paid through one meter."""

from __future__ import annotations

from kalshi_lab.exa.client import AsyncExa, Exa
from kalshi_lab.exa.meter import Meter, Purse
from kalshi_lab.exa.records import (
    Answer,
    ContentsReply,
    Grounding,
    Notice,
    Page,
    Run,
    SearchReply,
    Source,
    Status,
)
from kalshi_lab.exa.urls import canonical

__all__ = [
    "Answer",
    "AsyncExa",
    "ContentsReply",
    "Exa",
    "Grounding",
    "Meter",
    "Notice",
    "Page",
    "Purse",
    "Run",
    "SearchReply",
    "Source",
    "Status",
    "canonical",
]
