"""What the store holds of each dataset and series, what is missing of what was asked for, and what has grown old."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.ingest.windows import OPENED, length, without
from kalshi_lab.store.connection import fetch

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from kalshi_lab.ingest.windows import Stretch
    from kalshi_lab.store import Store
    from kalshi_lab.store.connection import Connection

TIME = pl.Datetime("us", "UTC")
SCHEMA: dict[str, Any] = {
    "dataset": pl.String, "series_ticker": pl.String, "interval_minutes": pl.Int64, "held_from": TIME, "held_to": TIME, "rows": pl.Int64,
    "holes": pl.Int64, "missing": pl.Duration("us"), "last_sync": TIME, "age": pl.Duration("us"), "stale": pl.Int64,
}  # fmt: skip
LIVE = "('unopened', 'initialized', 'open', 'active', 'paused', 'inactive')"
NAMED = "SELECT ticker, coalesce(markets.series_ticker, events.series_ticker) AS series FROM markets LEFT JOIN events USING (event_ticker)"
ROWS = f"""
WITH named AS ({NAMED}),
     bars AS (SELECT ticker, interval_minutes, count(*) AS rows FROM candlesticks GROUP BY ALL),
     deals AS (SELECT ticker, count(*) AS rows FROM trades GROUP BY ALL)
SELECT 'series' AS dataset, ticker AS series, NULL::BIGINT AS minutes, count(*) AS rows FROM series GROUP BY ALL
UNION ALL SELECT 'events', series_ticker, NULL, count(*) FROM events GROUP BY ALL
UNION ALL SELECT 'markets', series, NULL, count(*) FROM named GROUP BY ALL
UNION ALL SELECT 'trades', series, NULL, sum(rows)::BIGINT FROM deals LEFT JOIN named USING (ticker) GROUP BY ALL
UNION ALL SELECT 'candlesticks', series, interval_minutes, sum(rows)::BIGINT FROM bars LEFT JOIN named USING (ticker) GROUP BY ALL
"""
READ = f"""
SELECT dataset, subject, interval_minutes, since, until, complete, asked_at, series, coalesce(live, false) AS live
FROM coverage LEFT JOIN ({NAMED}) AS named ON subject = named.ticker
LEFT JOIN (SELECT ticker, status IN {LIVE} AS live FROM markets) AS states ON subject = states.ticker
"""
SYNCS = """
SELECT dataset, json_extract_string(scope, '$.series') AS series, max(time) AS time,
       max(time) FILTER (WHERE json_extract_string(scope, '$.tickers') IS NULL AND json_extract_string(scope, '$.event') IS NULL) AS whole
FROM ledger WHERE walk = '' AND dataset IN ('series', 'events', 'markets') GROUP BY ALL
"""
OLD = f"""
SELECT series, count(*) AS stale FROM markets JOIN ({NAMED}) AS named USING (ticker)
WHERE status IN {LIVE} AND greatest(seen_at, (SELECT max(until) FROM coverage WHERE dataset = 'markets' AND subject IN ('', series))) < $1
GROUP BY ALL
"""
LISTINGS = {"series", "events", "markets"}
Key = tuple[str, str | None, int | None]


@dataclass
class Held:
    """What is known of one dataset and series, by subject."""

    rows: int = 0
    read: dict[str, list[Stretch]] = field(default_factory=dict)
    asked: dict[str, list[Stretch]] = field(default_factory=dict)
    live: set[str] = field(default_factory=set)
    looked: datetime | None = None
    stale: int | None = None


async def coverage(store: Store, now: datetime, stale: timedelta) -> pl.DataFrame:
    """See `AsyncLab.coverage`."""
    if store.is_new:
        return pl.DataFrame(schema=SCHEMA)
    return await store.look(lambda connection: _frame(connection, now, stale))


def _frame(connection: Connection, now: datetime, stale: timedelta) -> pl.DataFrame:
    found: dict[Key, Held] = {}
    for dataset, series, minutes, rows in fetch(connection, ROWS).iter_rows():
        # the listing of series is one for all of them
        found.setdefault((dataset, None if dataset == "series" else series, minutes), Held()).rows += rows
    _read(connection, found)
    whole = {key[0]: held for key, held in found.items() if "" in held.read}
    for dataset, series, time, _ in fetch(connection, SYNCS).iter_rows():
        for key, held in found.items():
            if key[0] == dataset and series in {None, key[1]}:
                held.looked = max(filter(None, (held.looked, time)))
    for series, count in fetch(connection, OLD, [now - stale]).iter_rows():
        if ("markets", series, None) in found:
            found["markets", series, None].stale = count
    rows = [_row(key, found[key], whole.get(key[0]), now, stale) for key in sorted(found, key=_order)]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _read(connection: Connection, found: dict[Key, Held]) -> None:
    """What was asked for and what was read, under the series of each subject."""
    for row in fetch(connection, READ).iter_rows(named=True):
        dataset = row["dataset"].removeprefix("settled ")
        listing = dataset in LISTINGS
        if not listing and dataset not in {"trades", "candlesticks"}:
            continue  # an account's records have no series
        series = (row["subject"] or None) if listing else row["series"]
        held = found.setdefault((dataset, series, row["interval_minutes"] or None), Held())
        kind = held.read if row["complete"] else held.asked
        kind.setdefault(row["subject"], []).append((row["since"], row["until"]))
        if row["complete"]:
            held.looked = max(filter(None, (held.looked, row["asked_at"])))
        if row["live"]:
            held.live.add(row["subject"])


def _row(key: Key, held: Held, whole: Held | None, now: datetime, stale: timedelta) -> tuple[Any, ...]:
    dataset, series, minutes = key
    everywhere = whole.read.get("", []) if whole is not None and dataset == "trades" else []
    ends = [stretch for stretches in held.read.values() for stretch in stretches] or everywhere
    since, until = min((one[0] for one in ends), default=None), max((one[1] for one in ends), default=None)
    looked = held.looked or (whole.looked if whole is not None else None)
    missing = None
    if dataset in {"trades", "candlesticks"}:
        missing = [
            one
            for subject, asked in held.asked.items()
            for one in without(asked, [*held.read.get(subject, ()), *everywhere])
        ]
    return (
        dataset, series, minutes, None if since == OPENED else since, until, held.rows,
        None if missing is None else len(missing), None if missing is None else length(missing),
        looked, None if looked is None else now - looked, _stale(dataset, held, now - stale),
    )  # fmt: skip


def _stale(dataset: str, held: Held, before: datetime) -> int | None:
    """Markets that still live and were last looked at before that moment; null where nothing is known of any."""
    if dataset == "markets":
        return held.stale or 0
    if dataset not in {"trades", "candlesticks"} or not held.read.keys() - {""}:
        return None
    return sum(max(until for _, until in held.read.get(subject, [(OPENED, OPENED)])) < before for subject in held.live)


def _order(key: Key) -> tuple[str, str, int]:
    return key[0], key[1] or "", key[2] or 0
