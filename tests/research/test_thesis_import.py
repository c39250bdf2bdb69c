"""The earlier tool's theses.json: whole or not at all, once, and nothing of it lost."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab.errors import StoreError
from kalshi_lab.research.thesis import versions
from kalshi_lab.research.thesis.imported import import_theses
from kalshi_lab.store import Store

if TYPE_CHECKING:
    from pathlib import Path

OLD: dict[str, Any] = {
    "id": "3f2a9c1e-77", "title": "Rate cut <in> December?", "market_tickers": ["KXFED-25DEC-T4.00", "KXFED-25DEC-T4.25"],
    "your_probability": 0.62, "market_probability": 0.55, "confidence": 0.7,
    "bull_case": "Hiring is weak.", "bear_case": "Inflation is sticky.",
    "key_assumptions": ["no shock"], "invalidation_criteria": ["CPI above 0.4"], "status": "resolved",
    "created_at": "2025-11-01T12:00:00+00:00",
    "resolved_at": "2025-12-11T00:00:00", "actual_outcome": "yes", "updates": [{"timestamp": "2025-11-20T08:00:00", "note": "Still so."}],
    "evidence": [
        {"url": "https://a.example/x", "title": "T", "source_domain": "a.example", "published_date": None, "snippet": "It is so.",
         "supports": "bull", "relevance_score": 0.9, "added_at": "2025-11-02T00:00:00+00:00"},
    ],
    "research_summary": None, "last_research_at": None, "mood": "sunny",
}  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "kalshi.duckdb")


def written(tmp_path: Path, *rows: Any, **more: Any) -> Path:
    path = tmp_path / "theses.json"
    path.write_text(json.dumps({"theses": list(rows), **more}), encoding="utf-8")
    return path


def test_a_thesis_comes_over_with_its_notes_and_evidence_and_nothing_is_lost(store: Store, tmp_path: Path) -> None:
    """TH-2: every field has its place, and what has none is kept as it was said."""
    told = asyncio.run(import_theses(store, written(tmp_path, OLD)))
    assert told.row(0) == ("theses.json", "theses", 1, 1, 0, 0)
    (made,) = asyncio.run(versions.latest(store))
    assert made.name == "Rate cut in December 3f2a9c1e"
    assert (made.claim, made.bull, made.bear) == (OLD["title"], OLD["bull_case"], OLD["bear_case"])
    assert (made.assumptions, made.invalidation) == (("no shock",), ("CPI above 0.4",))
    assert [str(market.probability) for market in made.markets] == ["0.620000"] * 2
    assert made.tickers == OLD["market_tickers"]
    assert made.created_at == datetime(2025, 11, 1, 12, tzinfo=UTC)
    assert (made.version, made.note) == (2, "Still so.")
    assert made.status == "active"  # the exchange's results resolve it, not a word in a file
    assert [market.yes_bid for market in made.markets] == [None, None]  # a probability without its quote is no price
    extra = json.loads(made.extra or "")
    assert (extra["mood"], extra["actual_outcome"], extra["market_probability"]) == ("sunny", "yes", 0.55)
    (found,) = made.evidence
    assert (found.stance, found.source, found.passage) == (None, "imported", "It is so.")
    assert json.loads(found.extra or "")["supports"] == "bull"


def test_a_second_import_adds_nothing(store: Store, tmp_path: Path) -> None:
    """TH-2: idempotent."""
    path = written(
        tmp_path, OLD, {**OLD, "id": "other-id", "status": "abandoned"}, {**OLD, "id": "draft-id", "status": "draft"}
    )
    assert asyncio.run(import_theses(store, path))["stored"].item() == 3
    assert asyncio.run(import_theses(store, path)).row(0)[2:] == (3, 0, 3, 0)
    assert sorted(one.status for one in asyncio.run(versions.latest(store))) == ["abandoned", "active", "draft"]


@pytest.mark.parametrize(
    "broken",
    [
        {"title": None, "market_tickers": []},
        {"your_probability": 62},
        {"created_at": "yesterday"},
        {"status": "pondering"},
        {"id": None, "your_probability": None},
    ],
)
def test_a_file_with_one_bad_thesis_is_refused_whole(store: Store, tmp_path: Path, broken: dict[str, Any]) -> None:
    """TH-2: strict, and nothing is written."""
    with pytest.raises(StoreError, match="thesis 2 of"):
        asyncio.run(import_theses(store, written(tmp_path, OLD, {**OLD, **broken})))
    assert store.is_new or asyncio.run(versions.latest(store)) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"theses": {}}', '{"theses": [7]}'])
def test_a_file_that_is_none_is_an_error_and_stays_as_it_is(store: Store, tmp_path: Path, text: str) -> None:
    """TH-2, lesson 48: a corrupt file is never overwritten."""
    path = tmp_path / "theses.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StoreError):
        asyncio.run(import_theses(store, path))
    assert path.read_text(encoding="utf-8") == text
