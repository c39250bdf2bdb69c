"""Theses in the store: a version is a row and is never changed; the last one counts."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab import frames
from kalshi_lab.research.thesis import criteria
from kalshi_lab.research.thesis import evidence as evidences
from kalshi_lab.research.thesis.evidence import EVIDENCE, Evidence
from kalshi_lab.research.thesis.record import HISTORY, Thesis, ThesisMarket
from kalshi_lab.store import writes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalshi_lab.store import Store
    from kalshi_lab.store.connection import Connection

LATEST = """
WITH latest AS (
    SELECT *, arg_min(time, version) OVER (PARTITION BY name) AS created_at,
           min(time) FILTER (status = 'resolved') OVER (PARTITION BY name) AS resolved_at
    FROM theses WHERE $1 IS NULL OR name = $1
    QUALIFY row_number() OVER (PARTITION BY name ORDER BY version DESC) = 1
)
SELECT * FROM latest JOIN thesis_markets USING (name, version) ORDER BY name, position
"""
GATHERED = "SELECT * FROM thesis_evidence WHERE $1 IS NULL OR name = $1 ORDER BY name, version, position"
PAST = """
SELECT version, time, status, note, ticker, probability, quoted_at, yes_bid, yes_ask
FROM theses JOIN thesis_markets USING (name, version) WHERE name = $1 ORDER BY version, position
"""
NAMES = "SELECT DISTINCT name FROM theses ORDER BY name"
WRITTEN = "SELECT min(time) AS time FROM theses WHERE name = $1 AND list_contains(invalidation, $2)"
VERSION: dict[str, Any] = {
    "name": pl.String,
    "version": pl.Int64,
    "time": frames.TIME,
    "because": pl.String,
    "status": pl.String,
    "claim": pl.String,
    "confidence": frames.PRICE,
    "bull": pl.String,
    "bear": pl.String,
    "assumptions": pl.List(pl.String),
    "invalidation": pl.List(pl.String),
    "note": pl.String,
    "extra": pl.String,
}
TEXTS, LISTS = ("claim", "bull", "bear", "note"), ("assumptions", "invalidation")
MARKETS: dict[str, Any] = {
    "name": pl.String,
    "version": pl.Int64,
    "position": pl.Int64,
    "ticker": pl.String,
    "title": pl.String,
    "probability": frames.PRICE,
    "quoted_at": frames.TIME,
    "yes_bid": frames.PRICE,
    "yes_ask": frames.PRICE,
    "last_price": frames.PRICE,
    "result": pl.String,
    "settlement_value": frames.PRICE,
    "event_ticker": pl.String,
    "ended_at": frames.TIME,
}
OF_MARKET = tuple(MARKETS)[3:]


async def latest(store: Store, name: str | None = None) -> list[Thesis]:
    """The last version of each thesis, or of the one that is named, with its evidence; empty where there is none."""
    rows = (await store.read(LATEST, [name])).to_dicts()
    gathered = (await store.read(GATHERED, [name])).to_dicts() if rows else []
    return [_thesis(list(same), gathered) for _, same in groupby(rows, key=lambda row: row["name"])]


async def names(store: Store) -> list[str]:
    """The names of all theses, in their order."""
    return (await store.read(NAMES)).get_column("name").to_list()


async def history(store: Store, name: str) -> pl.DataFrame:
    """The versions of a thesis, a row for each of its markets, with the columns of HISTORY."""
    return frames.floats(await store.read(PAST, [name])).cast(pl.Schema(HISTORY))


def _thesis(rows: Sequence[dict[str, Any]], gathered: Sequence[dict[str, Any]]) -> Thesis:
    first = rows[0]
    markets = tuple(ThesisMarket(**{name: row[name] for name in OF_MARKET}) for row in rows)
    of_thesis = ("name", "version", "status", "because", "created_at", "resolved_at", "time", "confidence", "extra")
    texts: dict[str, Any] = {name: first[name] or "" for name in TEXTS}
    lists: dict[str, Any] = {name: tuple(first[name] or ()) for name in LISTS}
    own = (row for row in gathered if row["name"] == first["name"])
    # a later judgement of the same passage of the same page replaces the earlier one, which stays in the table
    found = evidences.latest(Evidence(**{name: row[name] for name in EVIDENCE}) for row in own)
    return Thesis(
        **{name: first[name] for name in of_thesis},
        **texts,
        **lists,
        markets=markets,
        evidence=found,
        checks=criteria.read(first["checks"]),
    )


async def append(store: Store, thesis: Thesis, more: Sequence[Evidence] = ()) -> Thesis | None:
    """Keep a thesis and new evidence as its next version; None where another process kept one first, and nothing was written."""
    following = replace(thesis, version=thesis.version + 1)
    kept = await store.write(lambda connection: _append(connection, following, more))
    return following if kept else None


def _append(connection: Connection, thesis: Thesis, more: Sequence[Evidence]) -> bool:
    last = writes.rows(
        connection, "SELECT coalesce(max(version), 0) AS version FROM theses WHERE name = $1", [thesis.name]
    )
    if last[0]["version"] != thesis.version - 1:
        return False
    row = {name: getattr(thesis, name) for name in VERSION} | {name: list(getattr(thesis, name)) for name in LISTS}
    told = pl.Series("checks", [criteria.told(thesis.checks)], pl.String)
    writes.insert(connection, "theses", pl.DataFrame([row], schema=VERSION).with_columns(told))
    keys = {"name": thesis.name, "version": thesis.version}
    rows = [
        {**keys, "position": position, **{name: getattr(market, name) for name in OF_MARKET}}
        for position, market in enumerate(thesis.markets)
    ]
    writes.insert(connection, "thesis_markets", pl.DataFrame(rows, schema=MARKETS))
    positions = pl.DataFrame({"position": range(len(more))}, schema={"position": pl.Int64})
    stamped = positions.select(pl.lit(thesis.name).alias("name"), pl.lit(thesis.version).alias("version"), "position")
    writes.insert(connection, "thesis_evidence", pl.concat([stamped, evidences.frame(more)], how="horizontal"))
    return True
