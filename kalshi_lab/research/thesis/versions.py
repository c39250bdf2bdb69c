"""Theses in the store: a version is a row and is never changed; the last one counts."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab import frames
from kalshi_lab.research.thesis.record import Thesis, ThesisMarket
from kalshi_lab.store import writes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalshi_lab.store import Store
    from kalshi_lab.store.connection import Connection

LATEST = """
WITH latest AS (
    SELECT *, arg_min(time, version) OVER (PARTITION BY name) AS created_at FROM theses WHERE $1 IS NULL OR name = $1
    QUALIFY row_number() OVER (PARTITION BY name ORDER BY version DESC) = 1
)
SELECT * FROM latest JOIN thesis_markets USING (name, version) ORDER BY name, position
"""
VERSION: dict[str, Any] = {
    "name": pl.String,
    "version": pl.Int64,
    "time": frames.TIME,
    "because": pl.String,
    "status": pl.String,
}
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
}
OF_MARKET = tuple(MARKETS)[3:]


async def latest(store: Store, name: str | None = None) -> list[Thesis]:
    """The last version of each thesis, or of the one that is named; empty where there is none."""
    rows = (await store.read(LATEST, [name])).to_dicts()
    return [_thesis(list(same)) for _, same in groupby(rows, key=lambda row: row["name"])]


def _thesis(rows: Sequence[dict[str, Any]]) -> Thesis:
    first = rows[0]
    markets = tuple(ThesisMarket(**{name: row[name] for name in OF_MARKET}) for row in rows)
    of_thesis = ("name", "version", "status", "because", "created_at", "time")
    return Thesis(**{name: first[name] for name in of_thesis}, markets=markets)


async def append(store: Store, thesis: Thesis) -> Thesis | None:
    """Keep a thesis as its next version; None where another process kept one first, and nothing was written."""
    following = replace(thesis, version=thesis.version + 1)
    return following if await store.write(lambda connection: _append(connection, following)) else None


def _append(connection: Connection, thesis: Thesis) -> bool:
    last = writes.rows(
        connection, "SELECT coalesce(max(version), 0) AS version FROM theses WHERE name = $1", [thesis.name]
    )
    if last[0]["version"] != thesis.version - 1:
        return False
    writes.insert(
        connection, "theses", pl.DataFrame([{name: getattr(thesis, name) for name in VERSION}], schema=VERSION)
    )
    keys = {"name": thesis.name, "version": thesis.version}
    rows = [
        {**keys, "position": position, **{name: getattr(market, name) for name in OF_MARKET}}
        for position, market in enumerate(thesis.markets)
    ]
    writes.insert(connection, "thesis_markets", pl.DataFrame(rows, schema=MARKETS))
    return True
