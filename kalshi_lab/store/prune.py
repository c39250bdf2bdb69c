"""Keeping the store small: rows of an age go where that is asked for, and the file is written anew without the room they had."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab import markup
from kalshi_lab.errors import UsageError
from kalshi_lab.store import files, writes
from kalshi_lab.store.backup import MADE_BY, alone, attached, beside, finished, log_of
from kalshi_lab.store.connection import quoted, told

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from kalshi_lab.store.connection import Connection
    from kalshi_lab.store.gate import Job
    from kalshi_lab.store.store import Store

# What goes of each table. Of quotes a listing keeps everything since its last keyframe before the moment, so that every later question
# is answered as before, and departures that an older look of another listing is held against. Of books each recording keeps everything
# since the last snapshot of each market before the moment. The rows of `recordings` and `gaps` say what was seen, and stay.
WHERE: dict[str, dict[str, str]] = {
    "quotes": {
        "quotes": """
            EXISTS (SELECT 1 FROM first WHERE first.scope = quotes.scope AND quotes.time < first.time)
            AND NOT (gone AND time >= (SELECT min(time) FROM first))
        """,
        "snapshots": "EXISTS (SELECT 1 FROM first WHERE first.scope = snapshots.scope AND snapshots.time < first.time)",
    },
    "recordings": {
        "book_changes": """
            time < $1 AND (recording IN (SELECT recording FROM over) OR frame < (
                SELECT max(first.frame) FROM first WHERE first.recording = book_changes.recording AND first.ticker = book_changes.ticker
            ))
        """,
        "ticks": "time < $1",
        "lifecycle": "time < $1",
    },
    "quarantine": {"quarantine": "time < $1"},
    "bodies": {"bodies": "time < $1"},
    "trades": {"trades": "created_time < $1"},
    "candlesticks": {"candlesticks": "end_time < $1"},
}
AMONG = {
    "quotes": "WITH first AS (SELECT scope, max(time) AS time FROM snapshots WHERE keyframe AND time <= $1 GROUP BY scope)",
    "recordings": """
        WITH first AS (
            SELECT recording, ticker, max(frame) AS frame FROM book_changes WHERE side IS NULL AND time <= $1 GROUP BY ALL
        ),
             over AS (SELECT recording FROM recordings WHERE ended_at < $1)
    """,
}
SORTED = {
    "quotes": "ORDER BY date_trunc('day', time), ticker, time",
    "candlesticks": "ORDER BY ticker, interval_minutes, end_time",
}
# What was read of a time whose rows go is read no longer, nor is it missed: of stretches that begin before the moment the longest one of
# each subject begins there from now on.
UNREAD = """
DELETE FROM coverage WHERE dataset = $2 AND since < $1 AND (until <= $1 OR EXISTS (
    SELECT 1 FROM coverage AS other
    WHERE other.dataset = coverage.dataset AND other.subject = coverage.subject AND other.complete = coverage.complete
    AND other.interval_minutes = coverage.interval_minutes AND other.since <= $1
    AND (other.until, other.since) > (coverage.until, coverage.since)
));
UPDATE coverage SET since = $1 WHERE dataset = $2 AND since < $1;
"""
ATTEMPTS = 5
OWNER = {"snapshots": "scope"} | dict.fromkeys(
    ("trades", "candlesticks", "quarantine", "bodies"), "coalesce(run_id, '')"
)
UNTIL = {"snapshots": "max(time) + INTERVAL 1 MICROSECOND"}  # a keyframe older than the moment stays
GOING: dict[str, Any] = {"table": pl.String, "rows": pl.Int64, "of": pl.Int64, "before": pl.Datetime("us", "UTC")}


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """What writing the file anew won, in bytes; a dry run only counts the blocks that nothing is in, which is the least of it."""

    path: Path
    before: int
    after: int
    dry_run: bool
    seconds: float

    def __repr__(self) -> str:
        won = f"{(self.before - self.after) / 1e6:,.1f} of {self.before / 1e6:,.1f} MB"
        said = (
            f"at least {won} can be won: vacuum(dry_run=False)"
            if self.dry_run
            else f"{won} won in {self.seconds:.1f} s"
        )
        return f"<Vacuumed {self.path.name}: {said}>"

    def _repr_html_(self) -> str:
        return markup.card(
            "Vacuum (dry run)" if self.dry_run else "Vacuum", {"result": repr(self)[1:-1].split(": ", 1)[1]}
        )


async def prune(store: Store, before: Mapping[str, datetime], now: datetime, *, dry_run: bool) -> pl.DataFrame:
    """Take out what is older than each target's moment, or only count it; see `Upkeep.prune`."""
    unknown_to_table = [name for name in before if name not in WHERE]
    if not before or unknown_to_table:
        raise UsageError("prune() needs at least one target", hint=f"Give an age for one of: {', '.join(WHERE)}")
    if dry_run:
        counts = [
            await _count(store, target, table, moment) for target, moment in before.items() for table in WHERE[target]
        ]
    else:
        counts = await store.write(lambda connection: _take_out(connection, before, now))
    return pl.DataFrame(counts, schema=GOING, orient="row")


async def _count(store: Store, target: str, table: str, moment: datetime) -> tuple[str, int, int, datetime]:
    sql = f"{AMONG.get(target, '')} SELECT count(*) FILTER ({WHERE[target][table]}), count(*) FROM {table}"
    return (table, *(await store.read(sql, [moment])).row(0), moment)


def _take_out(
    connection: Connection, before: Mapping[str, datetime], now: datetime
) -> list[tuple[str, int, int, datetime]]:
    """Delete the rows and say so, in one transaction; a target's tables are asked about before any of them loses a row."""
    found = []
    for target, moment in before.items():
        for table, where in WHERE[target].items():
            owner, until = OWNER.get(table, "''"), UNTIL.get(table, "$1")
            sql = f"""
                INSERT INTO pruned {AMONG.get(target, "")}
                SELECT '{table}', {owner}, count(*), {until}, $2::TIMESTAMPTZ FROM {table} WHERE {where} GROUP BY ALL HAVING count(*) > 0
            """
            connection.execute(sql, [moment, now])
            of = writes.rows(connection, f"SELECT count(*) AS n FROM {table}")[0]["n"]
            connection.execute(f"{AMONG.get(target, '')} DELETE FROM {table} WHERE {where}", [moment])
            left = writes.rows(connection, f"SELECT count(*) AS n FROM {table}")[0]["n"]
            found.append((table, of - left, of, moment))
        for statement in UNREAD.split(";")[:-1]:
            connection.execute(statement, [moment, target])
    return found


def vacuum(store: Store, job: Job, *, dry_run: bool) -> Vacuumed:
    """Write the store's file anew, in the order in which it is asked; see `Upkeep.vacuum`."""
    began, size = time.monotonic(), store.path.stat().st_size
    if dry_run:
        with attached(store, job) as connection, told():
            found = connection.execute(
                "SELECT block_size * free_blocks FROM pragma_database_size() WHERE database_name = 'store'"
            )
            return Vacuumed(store.path, size, size - int(found.fetchall()[0][0]), True, time.monotonic() - began)
    with alone(store.path), beside(store.path) as folder:
        part = folder / store.path.name
        for _ in range(ATTEMPTS):
            store.checkpoint(job)
            with attached(store, job) as connection:
                if log_of(store.path).exists():  # somebody wrote in between, and was killed
                    continue
                with told():
                    _rewrite(connection, part)
                finished(part)
                store.reached("vacuum copied")
                with files.told(store.path):
                    part.replace(store.path)
                files.sync_folder(store.path.parent)
            store.reached("vacuum placed")
            break
    return Vacuumed(store.path, size, store.path.stat().st_size, False, time.monotonic() - began)


def _rewrite(connection: Connection, part: Path) -> None:
    """Every table into a new file: what is asked by market and time in that order, the rest in the order in which it came."""
    connection.execute(f"ATTACH {quoted(part)} AS copy ({MADE_BY})")
    connection.execute("COPY FROM DATABASE store TO copy (SCHEMA)")
    names = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'store' AND schema_name = 'main' ORDER BY table_name"
    for (name,) in connection.execute(names).fetchall():
        connection.execute(f'INSERT INTO copy."{name}" SELECT * FROM store."{name}" {SORTED.get(name, "")}')
    connection.execute("CHECKPOINT copy")
    connection.execute("DETACH copy")
