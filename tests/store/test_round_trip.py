"""What is written is read back as it was, to the last digit and microsecond."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kalshi_lab import frames
from kalshi_lab.models import Market, Trade
from kalshi_lab.models.fields import columns
from kalshi_lab.store import Store, writes

if TYPE_CHECKING:
    from pathlib import Path

    from kalshi_lab.models.fields import Record

UNLIMITED = settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=ZONES)  # noqa: DTZ001 - the zone comes from `timezones`
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXTS,
    "json": TEXTS.map(lambda text: f'{{"a":"{len(text)}"}}'),
    "price": st.integers(-999_999_999, 999_999_999).map(lambda micro: Decimal(micro).scaleb(-6)),
    "count": st.integers(-(10**18) + 1, 10**18 - 1).map(lambda hundredth: Decimal(hundredth).scaleb(-2)),
    "money": st.integers(-(10**18) + 1, 10**18 - 1).map(lambda micro: Decimal(micro).scaleb(-6)),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "integer": st.integers(-(2**63), 2**63 - 1),
    "flag": st.booleans(),
    "time": TIMES.map(lambda time: time.astimezone(UTC)),
}


def rows_of(record: type[Record], key: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    kinds = {column.name: VALUES[column.kind] for column in columns(record) if column.name != key}
    return st.lists(st.fixed_dictionaries({name: st.none() | values for name, values in kinds.items()}), max_size=5)


def written_and_read(path: Path, table: str, frame: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    store = Store(path)

    async def both() -> pl.DataFrame:
        await store.write(lambda connection: connection.execute(f"DELETE FROM {table}"))
        assert await store.write(lambda connection: writes.upsert(connection, table, keys, frame)) == frame.height
        return await store.read(f"SELECT {', '.join(frame.columns)} FROM {table} ORDER BY {keys[0]}")

    return asyncio.run(both())


@UNLIMITED
@given(rows=rows_of(Market, "ticker"))
def test_markets_round_trip(path: Path, rows: list[dict[str, Any]]) -> None:
    """Any market, extreme numbers and nulls too, comes back equal and with the same schema."""
    made = pl.DataFrame([{"ticker": f"T{i}", **row} for i, row in enumerate(rows)], schema=frames.schema(Market))
    read = written_and_read(path, "markets", made, ["ticker"])
    assert read.schema == made.schema
    assert read.equals(made, null_equal=True)


@UNLIMITED
@given(rows=rows_of(Trade, "trade_id"))
def test_trades_round_trip(path: Path, rows: list[dict[str, Any]]) -> None:
    """Any trade comes back equal and with the same schema."""
    made = pl.DataFrame([{"trade_id": f"T{i}", **row} for i, row in enumerate(rows)], schema=frames.schema(Trade))
    read = written_and_read(path, "trades", made, ["trade_id"])
    assert read.schema == made.schema
    assert read.equals(made, null_equal=True)


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "UTC"])
def test_the_machine_s_zone_changes_nothing(path: Path, zone: str) -> None:
    """A time is written and read as the same UTC moment wherever the machine thinks it is (also an hour that the zone skips)."""
    code = f"""
import asyncio; from pathlib import Path; from kalshi_lab.store import Store
store = Store(Path({str(path)!r}))
async def work():
    await store.write(lambda c: c.execute(
        "INSERT INTO trades (trade_id, created_time) VALUES ('a', ?::TIMESTAMPTZ)", ["2026-03-08T02:30:00.123456Z"]))
    row = (await store.read("SELECT created_time, created_time::VARCHAR AS said FROM trades")).row(0)
    print(row[0].isoformat(), row[1])
asyncio.run(work())
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"TZ": zone},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == "2026-03-08T02:30:00.123456+00:00 2026-03-08 02:30:00.123456+00"
