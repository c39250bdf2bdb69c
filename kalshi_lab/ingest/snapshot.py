"""Snapshots: all quotes of a listing at one instant, kept as changes."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from kalshi_lab import frames, markup
from kalshi_lab.ingest.drift import check
from kalshi_lab.ingest.progress import Progress
from kalshi_lab.observe import new_request_id
from kalshi_lab.store import bodies, writes
from kalshi_lab.store.journal import SNAPSHOT, Entry
from kalshi_lab.store.queries import QUOTE
from kalshi_lab.store.connection import fetch

if TYPE_CHECKING:
    from kalshi_lab.clock import Clock
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.kalshi.pages import AsyncPages
    from kalshi_lab.models import Market
    from kalshi_lab.store import Store
    from kalshi_lab.store.connection import Connection

# volume over the last day moves without an event, so it is no part of a quote's change
LAST = f"""
SELECT ticker, gone, {", ".join(QUOTE)} FROM quotes WHERE scope = $1
AND time >= (SELECT coalesce(max(time), 'epoch'::TIMESTAMPTZ) FROM snapshots WHERE scope = $1 AND keyframe)
QUALIFY row_number() OVER (PARTITION BY ticker ORDER BY time DESC) = 1
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at a listing: how many markets, how many quotes changed since the look before, what was left out."""

    time: datetime
    scope: str
    markets: int
    changed: int
    gone: int
    quarantined: int
    complete: bool
    combos_left_out: int | None
    combos_exact: bool = True

    def __repr__(self) -> str:
        return (
            f"<Snapshot {self.time:%Y-%m-%d %H:%M:%S} UTC: {self.markets:,} markets, {self.changed:,} changed, {self.gone:,} gone"
            f"{combos_said(self.combos_left_out, exact=self.combos_exact)}{'' if self.complete else ', NOT complete'}>"
        )

    def _repr_html_(self) -> str:
        facts = {
            name: getattr(self, name)
            for name in ("time", "scope", "markets", "changed", "gone", "quarantined", "complete")
        }
        combos = combos_said(self.combos_left_out, exact=self.combos_exact).removeprefix(", ")
        return markup.card("Snapshot", facts | ({"combos": combos} if combos else {}))


def combos_said(count: int | None, *, exact: bool) -> str:
    """How many combos were left out, in words."""
    if count is None:
        return ""
    return f", {count:,} combos left out" if exact else f", {count:,} or more combos left out"


async def combos_left_out(kalshi: AsyncKalshi, **filters: Any) -> tuple[int, bool]:
    """How many combos a listing without them leaves out, and whether that is exact: one request counts up to a page of them."""
    pages = kalshi.markets.list(combos="only", max_pages=1, **filters)
    count = (await pages.frame(exact=True)).height
    return count, not pages.truncated


async def snapshot(
    kalshi: AsyncKalshi,
    store: Store,
    clock: Clock,
    *,
    status: str | None = "open",
    series: str | None = None,
    event: str | None = None,
    tickers: list[str] | None = None,
    combos: bool = False,
    progress: bool | None = None,
) -> Snapshot:
    """Read a listing to its end and keep what changed; on an error nothing is written, since half a listing proves nothing gone."""
    filters = {"status": status, "series": series, "event": event, "tickers": tickers}
    scope = json.dumps({name: value for name, value in {**filters, "combos": combos}.items() if value}, sort_keys=True)
    pages = kalshi.markets.list(combos=combos, **filters)  # type: ignore[arg-type]
    kept: list[bodies.Body] = []
    if store.keep_bodies:
        pages.on_reply = lambda reply: kept.append(bodies.of(reply, "live", len(kept) + 1))
    time = clock.now()
    listing = await _all(pages, progress)
    count, exact = (None, True) if combos or tickers else await combos_left_out(kalshi, **filters)
    run_id = new_request_id()
    time, changed, gone = await store.write(
        lambda connection: _keep(connection, listing, scope, time, run_id=run_id, refused=pages.refused, kept=kept),
        lambda kept: [
            Entry(SNAPSHOT, run_id, "quotes", scope, received=listing.height, stored=kept[1] + kept[2], time=kept[0])
        ],
    )
    await check(store, "quotes", run_id, listing.height + len(pages.refused), len(pages.refused))
    return Snapshot(
        time,
        scope,
        listing.height,
        changed,
        gone,
        len(pages.refused),
        complete=True,
        combos_left_out=count,
        combos_exact=exact,
    )


async def _all(pages: AsyncPages[Market], progress: bool | None) -> pl.DataFrame:
    with Progress("snapshot", unit="markets", shown=progress) as bar:
        async for batch in pages.batches():
            bar.advance(batch.received)
    return pages.so_far(exact=True)


def _keep(
    connection: Connection,
    listing: pl.DataFrame,
    scope: str,
    time: datetime,
    *,
    run_id: str,
    refused: list[frames.Refused],
    kept: list[bodies.Body],
) -> tuple[datetime, int, int]:
    """Write the changes, the markets not met before, and the row that says the look was made; its time, how many changed and left."""
    time = _after_last(connection, scope, time)
    keyframe = _is_first_of_day(connection, scope, time)
    changes, gone = _changes(fetch(connection, LAST, [scope]), listing, _named(refused), everything=keyframe)
    stamp = {"time": pl.lit(time, pl.Datetime("us", "UTC")), "scope": pl.lit(scope)}
    writes.insert(connection, "quotes", pl.concat([changes, gone]).with_columns(**stamp).sort("ticker"))
    seen = {"run_id": pl.lit(run_id), "seen_at": pl.lit(time, pl.Datetime("us", "UTC"))}
    writes.insert_new(connection, "markets", ["ticker"], listing.with_columns(**seen))
    writes.put_aside(
        connection,
        [
            {"dataset": "quotes", "run_id": run_id, "request_id": "", "reason": reason, "raw": raw, "time": time}
            for raw, reason in refused
        ],
    )
    bodies.keep(connection, (run_id, "quotes", scope), kept, time)
    row = {
        "time": time,
        "scope": scope,
        "markets": listing.height,
        "changed": changes.height,
        "complete": True,
        "keyframe": keyframe,
        "run_id": run_id,
    }
    writes.insert(
        connection, "snapshots", pl.DataFrame([row]).with_columns(pl.col("time").cast(pl.Datetime("us", "UTC")))
    )
    return time, changes.height, gone.height


def _after_last(connection: Connection, scope: str, time: datetime) -> datetime:
    """The time of this look, later than the last one's even where the clock stands still."""
    last = writes.rows(connection, "SELECT max(time) AS time FROM snapshots WHERE scope = $1", [scope])[0]["time"]
    return time if last is None or time > last else last + timedelta(microseconds=1)


def _is_first_of_day(connection: Connection, scope: str, time: datetime) -> bool:
    """A day's first look writes every quote, so that a question about a moment reads a day at most."""
    sql = "SELECT count(*) AS n FROM snapshots WHERE scope = $1 AND keyframe AND time >= date_trunc('day', $2::TIMESTAMPTZ)"
    return not writes.rows(connection, sql, [scope, time])[0]["n"]


def _named(refused: list[frames.Refused]) -> list[str]:
    """The tickers of rows that could not be read, where they have one."""
    found = []
    for row in refused:
        with suppress(ValueError):
            found.append(msgspec.json.decode(row.raw, type=_Named).ticker)
    return found


class _Named(msgspec.Struct):
    ticker: str


def _changes(
    last: pl.DataFrame, listing: pl.DataFrame, unread: list[str], *, everything: bool
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The quotes that differ from the last ones known, and a row for each market that is in the listing no longer.

    Markets whose row could not be read are still there, with the quote that they had.
    """
    now = listing.select("ticker", *QUOTE).with_columns(gone=pl.lit(value=False))
    here = last.filter(~pl.col("gone"))
    stands = here.filter(pl.col("ticker").is_in(unread)).join(now, on="ticker", how="anti")
    now = pl.concat([now, stands.select(now.columns)])
    gone = here.join(now, on="ticker", how="anti").with_columns(gone=pl.lit(value=True)).select(now.columns)
    if everything or not here.height:
        return now, gone
    joined = now.join(here, on="ticker", how="left", suffix="_before")
    differs = [pl.col(name).ne_missing(pl.col(f"{name}_before")) for name in (*QUOTE, "gone")]
    return joined.filter(pl.any_horizontal(differs)).select(now.columns), gone
