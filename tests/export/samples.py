"""Rows that are awkward on purpose: texts like formulas, exact numbers, two days, two series, times that are not known."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.store import writes

if TYPE_CHECKING:
    from kalshi_lab.store import Store

DAY = datetime(2026, 11, 21, 23, 59, 59, 999_999, tzinfo=UTC)
TRADES = [
    ("t3", "KXHIGHNY-26NOV21-B50.5", DAY, "0.560000", "1.25"),
    ("t1", "KXHIGHNY-26NOV21-B50.5", DAY - timedelta(hours=5), "0.123456", "0.01"),
    ("t2", "KXHIGHNY-26NOV21-A1", DAY + timedelta(microseconds=1), "0.010000", "100000000000.99"),
    ("t4", "KXFED-26DEC-C25", DAY + timedelta(hours=3), "0.999900", "3.00"),
    ("t5", "KXFED-26DEC-C25", None, None, None),
]
TITLES = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\tx",
    "\rx",
    'a "quoted", one',
    "two\nlines",
    "caf\u00e9 \u202e",
    "",
    "plain",
    None,
)
EXACT = {"yes_price": pl.Decimal(9, 6), "count": pl.Decimal(18, 2), "created_time": pl.Datetime("us", "UTC")}


def put(store: Store, table: str, rows: list[dict[str, Any]], schema: dict[str, Any] | None = None) -> None:
    frame = pl.DataFrame(rows, schema_overrides=schema)
    asyncio.run(store.write(lambda connection: writes.insert(connection, table, frame)))


def trades(rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    names = ("trade_id", "ticker", "created_time", "yes_price", "count")
    made = [dict(zip(names, row, strict=True)) for row in rows]
    money = {"yes_price", "count"}
    return [
        {name: Decimal(value) if name in money and value else value for name, value in row.items()}
        | {"run_id": "r", "seen_at": DAY}
        for row in made
    ]


def add(store: Store, rows: list[tuple[Any, ...]]) -> None:
    """Adds trades to a store."""
    put(store, "trades", trades(rows), EXACT)
