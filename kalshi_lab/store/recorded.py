"""What recordings of the stream write, and the questions that books of the past are made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.store import writes
from kalshi_lab.store.connection import fetch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from kalshi_lab.store.connection import Connection
    from kalshi_lab.store.store import Store

TIME = pl.Datetime("us", "UTC")
GAPS: dict[str, Any] = {
    "recording": pl.String, "frame": pl.Int64, "reason": pl.String, "channel": pl.String, "sid": pl.Int64,
    "tickers": pl.List(pl.String), "expected": pl.Int64, "received": pl.Int64, "lost": pl.Int64, "since": TIME, "until": TIME,
    "backfilled": pl.Int64,
}  # fmt: skip
RECORDINGS: dict[str, Any] = {
    "recording": pl.String, "channels": pl.List(pl.String), "tickers": pl.List(pl.String), "started_at": TIME, "kept_until": TIME,
    "frames": pl.Int64,
}  # fmt: skip
CHUNK = 20_000  # changes of a book read at once

# A frame belongs to the past of a moment when it came before the last one that was sent by then: the order of arrival is the order of
# the changes, and times of different origin need not agree with it.
UP_TO = """
WITH past AS (SELECT recording, max(frame) AS last FROM book_changes WHERE ticker = $1 AND time <= $2 GROUP BY recording)
SELECT recording, last, max(frame) AS snapshot, arg_max(time, frame) AS time, any_value(kept_until) AS kept_until
FROM book_changes JOIN past USING (recording) JOIN recordings USING (recording)
WHERE ticker = $1 AND frame <= last AND side IS NULL
GROUP BY recording, last ORDER BY time DESC, recording
"""

BETWEEN = """
WITH bounds AS (
    SELECT coalesce(max(frame) FILTER (WHERE time < $3), 0) AS before, coalesce(max(frame) FILTER (WHERE time < $4), 0) AS last
    FROM book_changes WHERE recording = $1 AND ticker = $2
)
SELECT before, last, (
    SELECT max(frame) FROM book_changes WHERE recording = $1 AND ticker = $2 AND side IS NULL AND frame <= before
) AS snapshot FROM bounds
"""

LASTS = """
WITH past AS (SELECT time, max(frame) OVER (ORDER BY time) AS last FROM book_changes WHERE recording = $1 AND ticker = $2)
SELECT moment, coalesce(last, 0) AS last FROM (SELECT unnest($3) AS moment) AS asked ASOF LEFT JOIN past ON moment >= time
ORDER BY moment
"""

SNAPSHOT = """
SELECT max(frame) FROM book_changes WHERE recording = $1 AND ticker = $2 AND side IS NULL AND frame <= $3
"""

CHANGES = """
SELECT frame, sid, seq, time, epoch_ms(time) AS ms, side, price::VARCHAR AS price, delta::VARCHAR AS delta, yes_levels, no_levels
FROM book_changes WHERE recording = $1 AND ticker = $2 AND frame > $3 AND frame <= $4 ORDER BY frame LIMIT $5
"""

BREAKS = """
SELECT recording, frame, reason, since FROM gaps
WHERE list_contains($1, recording) AND (channel IS NULL OR channel = 'orderbook_delta') AND (tickers IS NULL OR list_contains(tickers, $2))
ORDER BY frame
"""

TICKERS = """
SELECT ticker, recording, min(changes.time) AS since, any_value(kept_until) AS until
FROM book_changes AS changes JOIN recordings USING (recording) WHERE $1 IS NULL OR ticker = $1
GROUP BY ticker, recording ORDER BY ticker, since, until DESC, recording
"""


@dataclass(slots=True)
class Kept:
    """A batch of a recording, ready to be written: frames `first` to `last`, rows by table, gaps, and what could not be read."""

    recording: str
    first: int
    last: int
    kept_until: datetime
    tickers: Sequence[str]
    rows: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    gaps: Sequence[Mapping[str, Any]] = ()
    refused: Sequence[dict[str, Any]] = ()


def begin(
    connection: Connection, recording: str, channels: Sequence[str], tickers: Sequence[str], now: datetime
) -> None:
    """Enter a recording that starts now."""
    row = (recording, list(channels), list(tickers), now, now, 0)
    writes.insert(connection, "recordings", pl.DataFrame([row], schema=RECORDINGS, orient="row"))


def keep(connection: Connection, batch: Kept) -> dict[str, int]:
    """Write a batch; how many rows each table took.

    A batch that is there already, since only the news of its commit was lost, is not written again.
    """
    known = writes.rows(connection, "SELECT frames, ended_at FROM recordings WHERE recording = $1", [batch.recording])
    if batch.last < batch.first or (known and known[0]["frames"] >= batch.last):
        return _mark(connection, batch)
    stored = {name: _insert(connection, name, frame) for name, frame in batch.rows.items()}
    stored["gaps"] = _add_gaps(connection, batch.gaps)
    writes.put_aside(connection, batch.refused)
    _mark(connection, batch)
    return stored


def _insert(connection: Connection, table: str, frame: pl.DataFrame) -> int:
    if table == "trades":
        return writes.insert_new(connection, table, ["trade_id"], frame, within="created_time")
    return writes.insert(connection, table, frame)


def _mark(connection: Connection, batch: Kept) -> dict[str, int]:
    """Say how far the recording came."""
    connection.execute(
        "UPDATE recordings SET kept_until = greatest(kept_until, ?), frames = greatest(frames, ?), tickers = ? WHERE recording = ?",
        [batch.kept_until, batch.last, list(batch.tickers), batch.recording],
    )
    return {}


def end(
    connection: Connection, recording: str, kept_until: datetime, now: datetime, gaps: Sequence[Mapping[str, Any]]
) -> None:
    """Say that a recording ended as it should, with the gaps that were open until then."""
    known = "SELECT kept_until FROM recordings WHERE recording = $1 AND ended_at IS NULL"
    if writes.rows(connection, known, [recording]):
        _add_gaps(connection, gaps)
        kept = "kept_until = greatest(kept_until, $2)"
        sql = f"UPDATE recordings SET ended_at = greatest(kept_until, $2, $3), {kept} WHERE recording = $1"
        connection.execute(sql, [recording, kept_until, now])


def _add_gaps(connection: Connection, gaps: Sequence[Mapping[str, Any]]) -> int:
    return writes.insert(connection, "gaps", pl.DataFrame(list(gaps), schema=GAPS))


def abandon(connection: Connection, recordings: Sequence[str], now: datetime) -> None:
    """End recordings whose recorder is gone, each with a gap from the last moment that it kept until now."""
    for name in recordings:
        row = writes.rows(connection, "SELECT * FROM recordings WHERE recording = $1 AND ended_at IS NULL", [name])
        if not row:
            continue
        since = row[0]["kept_until"]
        gap = {
            "recording": name,
            "frame": row[0]["frames"] + 1,
            "reason": "ended",
            "since": since,
            "until": max(since, now),
        }
        _add_gaps(connection, [gap])
        connection.execute("UPDATE recordings SET ended_at = kept_until WHERE recording = $1", [name])


def backfill(connection: Connection, recording: str, frame: int, trades: pl.DataFrame) -> int:
    """Write the trades that REST knows of the time of a gap, and say so in its row; how many were new."""
    stored = _insert(connection, "trades", trades)
    connection.execute(
        "UPDATE gaps SET backfilled = $3 WHERE recording = $1 AND frame = $2", [recording, frame, stored]
    )
    return stored


async def open_recordings(store: Store) -> list[str]:
    """The recordings that nobody said had ended."""
    found = await store.read("SELECT recording FROM recordings WHERE ended_at IS NULL ORDER BY started_at")
    return list(found.get_column("recording"))


async def books_at(store: Store, ticker: str, at: datetime) -> list[dict[str, Any]]:
    """Where a market's book of a moment starts, in each recording that has it: latest snapshot first.

    Keys: recording, snapshot and last (numbers of frames), time (of the snapshot), kept_until.
    """
    return (await store.read(UP_TO, [ticker, at])).to_dicts()


async def changes_between(store: Store, recording: str, ticker: str, start: datetime, end: datetime) -> dict[str, Any]:
    """Where the changes of a book in [start, end) stand in a recording.

    Keys: before (number of the last frame before them), last (of the last one), snapshot (the last one before, None for none).
    """
    return (await store.read(BETWEEN, [recording, ticker, start, end])).to_dicts()[0]


@dataclass(frozen=True, slots=True)
class Start:
    """What a walk through a book begins with: the last frame of each moment's past, the gaps, and the changes from a snapshot on."""

    lasts: list[int]
    breaks: list[dict[str, Any]]
    rows: list[tuple[Any, ...]]


async def start(store: Store, recording: str, ticker: str, moments: Sequence[datetime]) -> Start:
    """The start of a walk through a book to moments, in order and no two alike; `CHUNK` changes at most, and `changes` reads on.

    All in one look, since opening the file costs more than these questions do.
    """

    def work(connection: Connection) -> Start:
        found = fetch(connection, LASTS, [recording, ticker, list(moments)])["last"].to_list()
        gaps = fetch(connection, BREAKS, [[recording], ticker]).to_dicts()
        snapshot = fetch(connection, SNAPSHOT, [recording, ticker, found[0]]).item() or 1
        rows = fetch(connection, CHANGES, [recording, ticker, snapshot - 1, found[-1], CHUNK]).rows()
        return Start(found, gaps, rows)

    return await store.look(work)


async def changes(store: Store, recording: str, ticker: str, after: int, last: int) -> list[tuple[Any, ...]]:
    """The next changes of a book after a frame, up to another: `CHUNK` of them at most, as `CHANGES` selects them."""
    return (await store.read(CHANGES, [recording, ticker, after, last, CHUNK])).rows()


async def breaks(store: Store, recordings: Sequence[str], ticker: str) -> dict[str, list[dict[str, Any]]]:
    """The gaps of recordings that concern a market's book, each in the order of arrival: frame, reason, since."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in recordings}
    for row in (await store.read(BREAKS, [list(recordings), ticker])).to_dicts():
        found[row["recording"]].append(row)
    return found


async def recorded_books(store: Store, ticker: str | None = None) -> list[dict[str, Any]]:
    """From when until when each recording has the book of a market, or of every market: ticker, recording, since, until."""
    return (await store.read(TICKERS, [ticker])).to_dicts()
