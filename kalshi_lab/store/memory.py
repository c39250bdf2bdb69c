"""SQL over frames in memory, in the same engine that runs it over the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from kalshi_lab.store.arrow import Arrow
from kalshi_lab.store.connection import READ, fetch, told

if TYPE_CHECKING:
    import polars as pl


def run(sql: str, **frames: pl.DataFrame) -> pl.DataFrame:
    """The rows of a query over frames, each visible under its keyword, as an exact frame."""
    with told(sql), duckdb.connect(":memory:", config=READ) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, frame in frames.items():
            connection.register(name, Arrow(frame))
        return fetch(connection, sql)
