"""The tables of the store are those of the field tables."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kalshi_lab import frames
from kalshi_lab.models import Candlestick, Event, Market, Series, Trade
from kalshi_lab.models.order import Order
from kalshi_lab.models.portfolio import (
    Deposit,
    Fill,
    Settlement,
    ShardTransfer,
    SubaccountTransfer,
    Withdrawal,
)
from kalshi_lab.store import TABLES, Store
from kalshi_lab.store.queries import QUOTE

if TYPE_CHECKING:
    from kalshi_lab.models.fields import Record

SQL = {
    "String": "VARCHAR",
    "Float64": "DOUBLE",
    "Int64": "BIGINT",
    "Boolean": "BOOLEAN",
    "Decimal(precision=9, scale=6)": "DECIMAL(9,6)",
    "Decimal(precision=18, scale=2)": "DECIMAL(18,2)",
    "Decimal(precision=18, scale=6)": "DECIMAL(18,6)",
    "Datetime(time_unit='us', time_zone='UTC')": "TIMESTAMP WITH TIME ZONE",
}
STAMPS = {"run_id": "VARCHAR", "seen_at": "TIMESTAMP WITH TIME ZONE"}
ACCOUNT = {"account": "VARCHAR"}
OWN = {
    "fills": Fill, "orders": Order, "deposits": Deposit, "withdrawals": Withdrawal, "shard_transfers": ShardTransfer,
    "subaccount_transfers": SubaccountTransfer, "settlements": Settlement,
}  # fmt: skip
KNOWN_BY_THE_LOAD = (
    dict.fromkeys(OWN, ACCOUNT)
    | {"markets": {"series_ticker": "VARCHAR"}}
    | {"settlements": {**ACCOUNT, "subaccount_number": "BIGINT"}}
)
COLUMNS = """
SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'main' AND table_name = ? ORDER BY ordinal_position
"""


def columns(store: Store, table: str) -> dict[str, str]:
    return dict(asyncio.run(store.read(COLUMNS, [table])).iter_rows())


@pytest.mark.parametrize(
    ("table", "record"),
    [
        ("series", Series),
        ("events", Event),
        ("markets", Market),
        ("trades", Trade),
        ("candlesticks", Candlestick),
        *OWN.items(),
    ],
)
def test_tables_equal_the_field_tables(store: Store, table: str, record: type[Record]) -> None:
    """Every field has a column of its name and exact type, in the same order, and no column is without a field."""
    wanted = {name: SQL[str(dtype)] for name, dtype in frames.schema(record).items()}
    found = columns(store, table)
    assert found == wanted | KNOWN_BY_THE_LOAD.get(table, {}) | STAMPS
    assert list(found) == [*wanted, *KNOWN_BY_THE_LOAD.get(table, {}), *STAMPS]


def test_quotes_hold_what_markets_hold(store: Store) -> None:
    """The columns of a quote have the types that they have in a market."""
    quotes, markets = columns(store, "quotes"), columns(store, "markets")
    assert {name: quotes[name] for name in QUOTE} == {name: markets[name] for name in QUOTE}


def test_the_tables_are_those_that_are_named(store: Store) -> None:
    """TABLES lists all tables of the schema but the store's own notes."""
    made = asyncio.run(store.read("SELECT table_name FROM information_schema.tables WHERE table_schema = 'main'"))
    assert set(made["table_name"]) - {"meta"} == set(TABLES)
