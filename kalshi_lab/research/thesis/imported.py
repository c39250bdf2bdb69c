"""Theses of the earlier tool: its theses.json becomes versions here, nothing of it lost, nothing of it twice.

What its file says of outcomes and of the market's price then is kept as it was said, in `extra`, and counts for nothing: the exchange's own
results resolve a thesis, and a probability of the market without its quote is no price. Whether its "bull" spoke for YES or for the
thesis depended on the thesis, so the stance of such evidence is unknown here.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from kalshi_lab.errors import StoreError
from kalshi_lab.research.thesis import evidence, scoring, versions
from kalshi_lab.research.thesis.evidence import Evidence
from kalshi_lab.research.thesis.record import Thesis, ThesisMarket

if TYPE_CHECKING:
    from pathlib import Path

    from kalshi_lab.store import Store

SOURCE: Final = "imported"
COLUMNS: Final[dict[str, Any]] = {
    "table": pl.String,
    "into": pl.String,
    **dict.fromkeys(("received", "stored", "duplicate", "quarantined"), pl.Int64),
}
STATUSES: Final = frozenset({"draft", "active", "resolved", "abandoned"})
TAKEN: Final = frozenset(
    (
        "title",
        "market_tickers",
        "your_probability",
        "bull_case",
        "bear_case",
        "key_assumptions",
        "invalidation_criteria",
    )
) | {"evidence", "updates"}
_ODD: Final = re.compile(r"[^\w -]+")
LONGEST: Final = 50


async def import_theses(store: Store, path: Path) -> pl.DataFrame:
    """Bring the theses of a file in, those that are here already left as they are; how many.

    Columns: table, into (String), received, stored, duplicate, quarantined (Int64). Raises StoreError, with nothing written, for a file
    that is none of the earlier tool's, or that is cut or damaged.
    """
    read = [_read(row, place, path) for place, row in enumerate(_rows(path))]
    known = set(await versions.names(store))
    stored = 0
    for made in read:
        if made[0].name not in known:
            await _keep(store, *made)
            stored += 1
    told = {
        "table": "theses.json",
        "into": "theses",
        "received": len(read),
        "stored": stored,
        "duplicate": len(read) - stored,
        "quarantined": 0,
    }
    return pl.DataFrame([told], schema=COLUMNS)


def _rows(path: Path) -> list[Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise StoreError(
            f"{path} cannot be read as the earlier tool's theses ({error})", hint="Nothing was written"
        ) from None
    rows = found.get("theses") if isinstance(found, dict) else None
    if not isinstance(rows, list):
        raise StoreError(f"{path} has no list of theses", hint="Give the earlier tool's theses.json")
    return rows


def _read(row: Any, place: int, path: Path) -> tuple[Thesis, list[Evidence], list[tuple[datetime, str]], str]:
    """One thesis as it was first written down, its evidence, its notes, and how it stood."""
    try:
        return _thesis(row), _evidence(row), _notes(row), _status(row)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        said = f"thesis {place + 1} of {path} cannot be read ({type(error).__name__}: {error})"
        raise StoreError(said, hint="Nothing was written") from None


def _thesis(row: dict[str, Any]) -> Thesis:
    created = _time(row["created_at"])
    own = scoring.probability(str(row["your_probability"]))
    tickers = [str(ticker) for ticker in row["market_tickers"]]
    if not tickers:
        raise ValueError("no market")
    markets = tuple(ThesisMarket(ticker, ticker, own, created, None, None, None) for ticker in tickers)
    title = " ".join(_ODD.sub(" ", str(row["title"])).split())[:LONGEST].strip()
    because = str(row.get("research_summary") or row.get("bull_case") or row["title"])
    rest = {name: value for name, value in row.items() if name not in TAKEN}
    confidence = (
        None if row.get("confidence") is None else scoring.probability(str(row["confidence"]), what="confidence")
    )
    return Thesis(
        name=f"{title} {str(row['id'])[:8]}".strip(), version=0, status="active", because=because, created_at=created, time=created,
        markets=markets, claim=str(row["title"]), confidence=confidence, bull=str(row.get("bull_case") or ""),
        bear=str(row.get("bear_case") or ""), assumptions=tuple(map(str, row.get("key_assumptions") or ())),
        invalidation=tuple(map(str, row.get("invalidation_criteria") or ())), extra=json.dumps(rest, sort_keys=True),
    )  # fmt: skip


def _evidence(row: dict[str, Any]) -> list[Evidence]:
    return [_one(each, _time(row["created_at"])) for each in row.get("evidence") or ()]


def _one(row: dict[str, Any], created: datetime) -> Evidence:
    passage = str(row["snippet"]) if row.get("snippet") else None
    seen = _time(row["added_at"]) if row.get("added_at") else created
    return Evidence(
        url=row.get("url") or None, title=row.get("title") or None, domain=row.get("source_domain") or None,
        published=_time(row["published_date"]) if row.get("published_date") else None, passage=passage,
        stance=evidence.NEUTRAL if row.get("supports") == "neutral" else None,
        relevance=None if row.get("relevance_score") is None else scoring.probability(str(row["relevance_score"]), what="relevance"),
        sha256=evidence.digest(passage), source=SOURCE, first_seen=seen, extra=json.dumps(row, sort_keys=True),
    )  # fmt: skip


def _notes(row: dict[str, Any]) -> list[tuple[datetime, str]]:
    return sorted((_time(each["timestamp"]), str(each["note"])) for each in row.get("updates") or ())


def _status(row: dict[str, Any]) -> str:
    """Draft and abandoned stay; what was resolved is active here, until the exchange's results resolve it."""
    status = str(row.get("status", "draft"))
    if status not in STATUSES:
        raise ValueError(f"status {status!r}")
    return "active" if status == "resolved" else status


async def _keep(
    store: Store, first: Thesis, found: list[Evidence], notes: list[tuple[datetime, str]], status: str
) -> None:
    """The versions of one thesis, in the order in which they came to be."""
    draft = status == "draft"
    kept = await versions.append(store, replace(first, status="draft" if draft else "active"), found)
    for time, note in notes:
        if kept is not None:
            kept = await versions.append(store, replace(kept, note=note, time=max(time, kept.time)))
    if kept is not None and status == "abandoned":
        await versions.append(store, replace(kept, status=status, note=""))


def _time(text: Any) -> datetime:
    """A time; one without a zone is UTC, as the earlier tool wrote it."""
    found = datetime.fromisoformat(str(text))
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
