"""What a store holds is told from DuckDB's own notes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from kalshi_lab.store import TABLES, Store
from kalshi_lab.store.statistics import NEWEST, question

if TYPE_CHECKING:
    from pathlib import Path


def fill(connection: Any) -> None:
    connection.execute(
        "INSERT INTO trades (trade_id, created_time) SELECT range::VARCHAR, '2026-01-01'::TIMESTAMPTZ + to_seconds(range) FROM range(1000)"
    )
    connection.execute(
        "INSERT INTO markets (ticker, status) VALUES ('A', 'active'), ('B', 'active'), ('C', 'settled'), ('D', NULL)"
    )


def test_every_table_with_its_rows_and_newest_time(store: Store, path: Path) -> None:
    """DB-10: exact counts, also after rows were taken out; the newest fact, the markets of each status, the files' sizes."""
    asyncio.run(store.write(fill))
    asyncio.run(
        store.write(lambda connection: connection.execute("DELETE FROM trades WHERE trade_id::INTEGER % 3 = 0"))
    )
    made = asyncio.run(store.statistics())
    assert made.frame()["table"].to_list() == list(TABLES)
    found = {table: (rows, newest) for table, rows, newest in made.frame().iter_rows()}
    assert found["trades"] == (666, datetime(2026, 1, 1, 0, 16, 38, tzinfo=UTC))
    assert found["markets"] == (4, None)
    assert found["quotes"] == (0, None)
    assert made.statuses == {"active": 2, "": 1, "settled": 1}
    assert (made.size, made.log) == (path.stat().st_size, 0)
    assert made.free > 0
    assert "670 rows" in repr(made)
    assert ">2 active" in made._repr_html_()


def test_the_columns_of_newest_times_are_there(store: Store) -> None:
    """Each table's question is one that the table answers."""
    assert set(NEWEST) <= set(TABLES)
    assert asyncio.run(store.statistics()).frame()["rows"].sum() == 0


@pytest.mark.skipif(duckdb.__version__.startswith("1."), reason="DuckDB 1.5 counts by reading, at 3 ms a million rows")
def test_counting_reads_no_rows(store: Store) -> None:
    """DB-10: the count of a table is a constant to DuckDB, so that it takes as long for ten rows as for a hundred million."""
    asyncio.run(store.write(fill))

    def plan(sql: str) -> str:
        found = asyncio.run(store.look(lambda connection: connection.execute(f"EXPLAIN {sql}").fetchall()))
        return str(found[0][1])

    assert "Seq Scan" in plan("SELECT max(created_time) FROM trades WHERE trade_id LIKE '%1'")
    assert "Seq Scan" not in plan("SELECT count(*) AS rows FROM trades")
    assert "Top" in plan(question("trades")), "the newest time is found by the bounds of each stretch of rows"
