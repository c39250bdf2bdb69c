"""Rows as the exchange could send them, made from the field table: valid ones, odd ones, and the three roads that read them."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from kalshi_lab import frames
from kalshi_lab.models import (
    Candlestick,
    Collection,
    Event,
    EventFeeChange,
    IncentiveProgram,
    Market,
    Milestone,
    Record,
    Series,
    Trade,
    WeatherPoint,
    columns,
)
from kalshi_lab.objects import many

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from kalshi_lab.models import Column

Row = dict[str, Any]
RECORDS: list[type[Record]] = [
    Market,
    Event,
    Series,
    Trade,
    Candlestick,
    Milestone,
    Collection,
    IncentiveProgram,
    EventFeeChange,
    WeatherPoint,
]
NESTED: dict[str, Any] = {
    "custom_strike": {"team": "Ünïcode $x", "n": [1, 2.5, None]},
    "mve_selected_legs": [
        {"event_ticker": "E", "market_ticker": "M", "side": "yes", "new": 1},
        {"side": None, "yes_settlement_value_dollars": "0.2500"},
    ],
    "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
    "settlement_sources": [{"name": "ESPN", "url": "https://www.espn.com"}, {}],
    "product_metadata": {"scope": "Game", "deep": {"er": []}},
    "categories": ["Sports", ""],
    "tags": ["Baseball"],
    "additional_prohibitions": ["nobody"],
    "primary_event_tickers": ["KXA-1"],
    "related_event_tickers": ["KXA-1", "KXB-1"],
    "associated_event_tickers": [],
    "source_ids": {"provider": "7"},
    "details": {"home_team_id": "t", "scores": [1, 2.5, None]},
    "associated_events": [
        {"ticker": "KXA-1", "is_yes_only": False, "size_max": None, "active_quoters": []},
        {"size_min": 1, "is_yes_only": "odd", "new": {}},
    ],
    "stations": [
        {"station_id": "K", "temp_f": 50.5, "obs_time_ms": 1_795_348_800_123, "received_at_ms": None, "code": 5}
    ],
}


def text_of(units: int, scale: int) -> str:
    """Exact text of so many units of the last decimal."""
    return f"{Decimal(units).scaleb(-scale):f}"


def decimals(most: int, whole: int) -> st.SearchStrategy[str]:
    """Texts of numbers with up to `most` decimals."""
    return st.integers(0, most).flatmap(
        lambda scale: st.integers(0, whole * 10**scale).map(lambda n: text_of(n, scale))
    )


OFFSETS = st.sampled_from(["Z", "+00:00", "-05:00", "+05:30", "-00:00", ""])
FRACTIONS = st.one_of(
    st.just(""), st.integers(1, 9).flatmap(lambda n: st.integers(0, 10**n - 1).map(lambda f: f".{f:0{n}}"))
)
TIMES = st.builds(
    lambda at, fraction, offset: f"{at:%Y-%m-%dT%H:%M:%S}{fraction}{offset}",
    st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2200, 1, 1)),  # noqa: DTZ001 - the zone comes from OFFSETS
    FRACTIONS,
    OFFSETS,
)
VALID: dict[str, st.SearchStrategy[Any]] = {
    "key": st.text(min_size=1, max_size=12),
    "text": st.text(max_size=12),
    "price": decimals(6, 1),
    "count": decimals(2, 10**9),
    "money": decimals(6, 10**6),
    "integer": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "flag": st.booleans(),
    "time": st.one_of(TIMES, st.just("")),
    "unix": st.integers(0, 4_000_000_000),
    "milliseconds": st.integers(0, 4_000_000_000_000),
}
ODD: dict[str, list[Any]] = {
    "key": [None, 5, True],
    "text": [5, True, ["a"], {"a": 1}],
    "price": ["0.1234567", 0.56, 1, True, "abc", "", "1e-3", " 0.5", "NaN", "1234.5"],
    "count": ["0.001", 0.5, False, "many", "", "1e3", "-"],
    "money": ["0.1234567", 0.56, True, ""],
    "integer": [2**63, 0.5, "5", True],
    "number": ["5", True, 10**400],
    "flag": ["true", 1, 0],
    "time": ["soon", "2026-11-22", True, 10**20, 1_700_000_000],
    "unix": ["soon", 10**18, True, None, "2026-11-22T12:00:00Z"],
    "milliseconds": ["soon", 10**20, True, None, "2026-11-22T12:00:00.5Z"],
}
EXTRA = st.dictionaries(
    st.text(min_size=1, max_size=8).map(lambda name: f"new_{name}"),
    st.one_of(
        st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=5), st.lists(st.integers(0, 3), max_size=2)
    ),
    max_size=2,
)


def sent(column: Column) -> str:
    """The name under which today's wire sends a column."""
    return column.wires[0]


def valid(column: Column) -> st.SearchStrategy[Any]:
    """A value that may stand in a column, null included where the column is not required."""
    found = st.just(NESTED[column.name]) if column.kind == "json" else VALID[column.kind]
    return found if column.required else st.one_of(found, st.none())


@st.composite
def rows(draw: Callable[[st.SearchStrategy[Any]], Any], record: type[Record], *, odd: bool = False) -> Row:
    """One row of a record: any of its fields, and with `odd` one odd value and fields that nobody knows."""
    table = [column for column in columns(record) if column.name != "interval_minutes"]
    chosen = [column for column in table if column.required or draw(st.booleans())]
    row = {sent(column): draw(valid(column)) for column in chosen}
    if odd:
        column = draw(st.sampled_from([one for one in table if one.kind != "json"]))
        row[sent(column)] = draw(st.sampled_from(ODD[column.kind]))
        row |= draw(EXTRA)
    return grouped(record, row)


def grouped(record: type[Record], row: Row) -> Row:
    """The row with the groups that the wire nests."""
    for group in record.nested:
        inner = {name: row.pop(name) for name in list(row) if name.startswith(f"{group}_")}
        if inner:
            row[group] = {name.removeprefix(f"{group}_"): value for name, value in inner.items()}
    return row


def page(found: list[Row], key: str = "rows", **rest: Any) -> bytes:
    """A page as bytes."""
    return json.dumps({key: found, "cursor": "", **rest}, separators=(",", ":")).encode()


def fast(record: type[Record], body: bytes) -> frames.Batch:
    """The road that pages usually take."""
    return frames.decode(record, body, "rows")


def careful(record: type[Record], body: bytes) -> frames.Batch:
    """The road row by row, whatever is on the page."""
    return frames.rows_to_batch(record, frames.raw_rows(body, "rows"))


def objects(record: type[Record], body: bytes) -> frames.Batch:
    """The road over objects."""
    made, refused = many(record, body, "rows")
    frame = frames.of(made, exact=True) if made else frames.empty(record)
    return frames.Batch(frame, refused, len(made) + len(refused))


ROADS = {"fast": fast, "careful": careful, "objects": objects}


def plain(record: type[Record], frame: pl.DataFrame) -> list[Row]:
    """The rows of a frame with JSON text read, so that two spellings of one value are equal."""
    nested = {column.name for column in columns(record) if column.kind == "json"} | {frames.EXTRA}
    return [
        {name: json.loads(value) if name in nested and value is not None else value for name, value in row.items()}
        for row in frame.iter_rows(named=True)
    ]
