"""Rows of the earlier tool's SQLite file as rows of the store; what cannot be read raises ValueError."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable

Row = dict[str, Any]
PRICE, COUNT, TIME = pl.Decimal(9, 6), pl.Decimal(18, 2), pl.Datetime("us", "UTC")
DOLLARS = [Decimal(cents).scaleb(-2) for cents in range(101)]
CENTS = ("yes_bid", "yes_ask", "last_price")
QUOTED: dict[str, Any] = {"ticker": pl.String, **dict.fromkeys(CENTS, PRICE), "volume": COUNT, "open_interest": COUNT}
STAMPS: dict[str, Any] = {"run_id": pl.String, "seen_at": TIME}
EVENTS: dict[str, Any] = {
    "event_ticker": pl.String, "series_ticker": pl.String, "title": pl.String, "category": pl.String,
    "mutually_exclusive": pl.Boolean, **STAMPS,
}  # fmt: skip
MARKETS: dict[str, Any] = {
    "ticker": pl.String, "event_ticker": pl.String, "series_ticker": pl.String, "title": pl.String, "subtitle": pl.String,
    "status": pl.String, "result": pl.String, "open_time": TIME, "close_time": TIME, "expiration_time": TIME, "extra": pl.String,
    **STAMPS,
}  # fmt: skip
RESULTS: dict[str, Any] = {
    "ticker": pl.String, "event_ticker": pl.String, "result": pl.String, "settlement_value": PRICE, "close_time": TIME,
    "settlement_ts": TIME, **STAMPS,
}  # fmt: skip


def event(row: Row) -> Row:
    """An event; a placeholder's title and series are not known."""
    ticker = _key(row, "ticker")
    made_up = {ticker}  # a placeholder carries its ticker for whatever was not known
    return {
        "event_ticker": ticker,
        "series_ticker": _text(row, "series_ticker", made_up),
        "title": _text(row, "title", made_up),
        "category": _text(row, "category"),
        "mutually_exclusive": True if row.get("mutually_exclusive") else None,
        "seen_at": _time(row.get("updated_at")),
    }


def market(row: Row) -> Row:
    """A market; its category, which markets have no longer, is kept beside the fields."""
    told = {name: _text(row, name) for name in ("category", "subcategory") if _text(row, name)}
    texts = {
        name: _text(row, name) for name in ("event_ticker", "series_ticker", "title", "subtitle", "status", "result")
    }
    times = {name: _time(row.get(name)) for name in ("open_time", "close_time", "expiration_time")}
    extra = json.dumps(told, ensure_ascii=False, sort_keys=True) if told else None
    return {"ticker": _key(row, "ticker"), **texts, **times, "extra": extra, "seen_at": _time(row.get("updated_at"))}


def result(row: Row) -> Row:
    """An outcome; a time of settlement that is the expiration is not taken for one."""
    settled, fallback = _time(row["settled_at"]), _time(row.get("expiration_time"))
    return {
        "ticker": _key(row, "ticker"),
        "event_ticker": _text(row, "event_ticker"),
        "result": _key(row, "result"),
        "settlement_value": _dollars(row.get("yes_payout")),
        "close_time": _time(row.get("close_time")),
        "settlement_ts": None if settled == fallback else settled,
        "seen_at": settled,
    }


def quote(row: Row) -> Row:
    """A quote in dollars; empty sides are 0 and 1, as they were sent."""
    time = _time(row["snapshot_time"])
    if time is None:
        raise ValueError("no snapshot_time")
    counts = {name: _whole(row.get(name)) for name in ("volume", "open_interest")}
    return {"ticker": _key(row, "ticker"), "time": time, **{name: _dollars(row.get(name)) for name in CENTS}, **counts}


def _key(row: Row, name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"no {name}")
    return value


def _text(row: Row, name: str, made_up: Iterable[str] = ()) -> str | None:
    value = row.get(name)
    return value if isinstance(value, str) and value and value not in made_up else None


@lru_cache(maxsize=4096)  # a look at the prices says its time in every row
def _time(value: object) -> datetime | None:
    """A time; without a zone it means UTC."""
    if value is None or value == "":
        return None
    made = datetime.fromisoformat(str(value))
    return made.replace(tzinfo=UTC) if made.tzinfo is None else made.astimezone(UTC)


def _dollars(cents: object) -> Decimal | None:
    """Whole cents of 0 to 100 as exact dollars."""
    if cents is None:
        return None
    if isinstance(cents, bool) or not isinstance(cents, int) or not 0 <= cents < len(DOLLARS):
        raise ValueError(f"{cents!r} is no price in cents")
    return DOLLARS[cents]


def _whole(count: object) -> Decimal | None:
    if count is not None and (isinstance(count, bool) or not isinstance(count, int)):
        raise ValueError(f"{count!r} is no count")
    return None if count is None else Decimal(count)
