"""Quotes kept as changes: what a look writes, compared with the look before."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from kalshi_lab.store import bodies, writes
from kalshi_lab.store.connection import fetch
from kalshi_lab.store.queries import QUOTE

if TYPE_CHECKING:
    from kalshi_lab.frames import Refused
    from kalshi_lab.store.connection import Connection

# volume over the last day moves without an event, so it is no part of a quote's change
LAST = f"""
SELECT ticker, gone, {", ".join(QUOTE)} FROM quotes WHERE scope = $1
AND time >= (SELECT coalesce(max(time), 'epoch'::TIMESTAMPTZ) FROM snapshots WHERE scope = $1 AND keyframe)
QUALIFY row_number() OVER (PARTITION BY ticker ORDER BY time DESC) = 1
"""
LOOKED = """
SELECT time, run_id, (
    SELECT count(*) FROM snapshots WHERE scope = $1 AND keyframe AND time >= date_trunc('day', $2::TIMESTAMPTZ)
) AS keyframes
FROM snapshots WHERE scope = $1 ORDER BY time DESC LIMIT 1
"""
# a day's changes, once it is over, lie together market by market: a quarter smaller, and read in less than half the time
COMPACT = """
CREATE OR REPLACE TEMP TABLE over AS SELECT * FROM quotes WHERE scope = $1 AND time >= $2;
DELETE FROM quotes WHERE scope = $1 AND time >= $2;
INSERT INTO quotes SELECT * FROM over ORDER BY ticker, time;
DROP TABLE over;
"""


@dataclass(frozen=True, slots=True)
class Look:
    """A listing read to its end: the ticker and quote of each market, whole rows of new ones, and what could not be read."""

    quotes: pl.DataFrame
    new: pl.DataFrame
    refused: list[Refused] = field(default_factory=list)
    bodies: list[bodies.Body] = field(default_factory=list)

    @property
    def markets(self) -> int:
        """How many markets were listed."""
        return self.quotes.height


# by scope: which look it was, and the quotes as they stood after it; worth nothing once the store names another look as its last
Memory = dict[str, tuple[tuple[datetime, str], pl.DataFrame]]


def keep(
    connection: Connection, look: Look, scope: str, time: datetime, *, run_id: str, memory: Memory
) -> tuple[datetime, int, int]:
    """Write the changes, the markets not met before, and the row that says the look was made; its time, how many changed and left."""
    looked = writes.rows(connection, LOOKED, [scope, time])
    last = (looked[0]["time"], looked[0]["run_id"]) if looked else None
    # later than the last one even where the clock stands still
    time = time if last is None or time > last[0] else last[0] + timedelta(microseconds=1)
    keyframe = not looked or not looked[0]["keyframes"]
    held = memory.get(scope)
    before = held[1] if held and held[0] == last else fetch(connection, LAST, [scope])
    now, gone = _here(before, look.quotes, _named(look.refused))
    changes = now if keyframe else _changed(before, now)
    if looked and keyframe:
        _compact(connection, scope)
    stamp = {"time": pl.lit(time, pl.Datetime("us", "UTC")), "scope": pl.lit(scope)}
    writes.insert(connection, "quotes", pl.concat([changes, gone]).with_columns(**stamp).sort("ticker"))
    seen = {"run_id": pl.lit(run_id), "seen_at": pl.lit(time, pl.Datetime("us", "UTC"))}
    writes.insert_new(connection, "markets", ["ticker"], look.new.with_columns(**seen))
    aside = {"dataset": "quotes", "run_id": run_id, "request_id": "", "time": time}
    writes.put_aside(connection, [{**aside, "reason": reason, "raw": raw} for raw, reason in look.refused])
    bodies.keep(connection, (run_id, "quotes", scope), look.bodies, time)
    row: dict[str, Any] = {"time": time, "scope": scope, "markets": look.markets, "changed": changes.height}
    row |= {"complete": True, "keyframe": keyframe, "run_id": run_id}
    made = pl.DataFrame([row]).with_columns(pl.col("time").cast(pl.Datetime("us", "UTC")))
    writes.insert(connection, "snapshots", made)
    memory[scope] = ((time, run_id), now)  # should the transaction fail, the store names no such look
    return time, changes.height, gone.height


def _compact(connection: Connection, scope: str) -> None:
    """Put what was kept since the last keyframe in order, within the transaction of the next one."""
    since = writes.rows(connection, "SELECT max(time) AS time FROM snapshots WHERE scope = $1 AND keyframe", [scope])
    if since[0]["time"] is not None:
        for statement in COMPACT.strip().split("\n"):
            connection.execute(statement, [scope, since[0]["time"]] if "$1" in statement else [])


def _named(refused: list[Refused]) -> list[str]:
    """The tickers of rows that could not be read, where they have one."""
    found = []
    for row in refused:
        with suppress(ValueError):
            found.append(msgspec.json.decode(row.raw, type=_Named).ticker)
    return found


class _Named(msgspec.Struct):
    ticker: str


def _here(before: pl.DataFrame, quotes: pl.DataFrame, unread: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The quotes as they stand now, and a row for each market that is in the listing no longer.

    Markets whose row could not be read are still there, with the quote that they had.
    """
    now = quotes.select("ticker", *QUOTE).with_columns(gone=pl.lit(value=False))
    here = before.filter(~pl.col("gone"))
    if not unread and _same_tickers(here, now):
        return now, now.clear()
    left = here.join(now, on="ticker", how="anti").select(now.columns)
    stands = left.filter(pl.col("ticker").is_in(unread))
    gone = left.filter(~pl.col("ticker").is_in(unread)).with_columns(gone=pl.lit(value=True))
    return pl.concat([now, stands]), gone


def _same_tickers(one: pl.DataFrame, other: pl.DataFrame) -> bool:
    """Whether both have the same markets in the same order, as two looks in a row mostly do."""
    return one.get_column("ticker").equals(other.get_column("ticker"))


def _changed(before: pl.DataFrame, now: pl.DataFrame) -> pl.DataFrame:
    """The quotes that differ from the last ones known."""
    here = before.filter(~pl.col("gone"))
    if not here.height:
        return now
    if _same_tickers(here, now):
        joined = now.hstack(here.select(pl.exclude("ticker").name.suffix("_before")))
    else:
        joined = now.join(here, on="ticker", how="left", suffix="_before", maintain_order="left")
    differs = [pl.col(name).ne_missing(pl.col(f"{name}_before")) for name in (*QUOTE, "gone")]
    return joined.filter(pl.any_horizontal(differs)).select(now.columns)
