"""Theses: written down with the prices of their moment, changed in versions, and judged by the exchange's own results."""

from __future__ import annotations

from kalshi_lab.research.thesis.evidence import Evidence
from kalshi_lab.research.thesis.record import Thesis, ThesisMarket
from kalshi_lab.research.thesis.scoring import Score
from kalshi_lab.research.thesis.track import TrackRecord, track_record
from kalshi_lab.research.thesis.writing import Change, theses, thesis

__all__ = ["Change", "Evidence", "Score", "Thesis", "ThesisMarket", "TrackRecord", "theses", "thesis", "track_record"]
