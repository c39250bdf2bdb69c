"""What the store holds, in a time that does not grow with it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab import markup
from kalshi_lab.store.connection import fetch
from kalshi_lab.store.versions import TABLES

if TYPE_CHECKING:
    from pathlib import Path

    from kalshi_lab.store.connection import Connection
    from kalshi_lab.store.store import Store

NEWEST = {  # the column that says when a row's fact happened, else when it was kept
    "alert_deliveries": "time", "alert_events": "time", "alert_states": "seen_at", "alerts": "created_at", "article_markets": "linked_at",
    "articles": "first_seen", "balances": "looked_at", "book_changes": "time", "candlesticks": "end_time", "deposits": "created_ts",
    "events": "seen_at", "fills": "created_time", "ledger": "time", "lifecycle": "time", "markets": "seen_at", "news_topics": "created_at",
    "order_attempts": "time", "orders": "last_update_time", "paid_answers": "received_at", "paid_runs": "created_at",
    "position_looks": "looked_at", "positions": "looked_at", "predictions": "time", "quarantine": "time", "quotes": "time",
    "results": "settlement_ts", "sentiments": "judged_at", "series": "seen_at", "settlements": "settled_time",
    "shard_transfers": "created_ts", "snapshots": "time", "spend": "time", "subaccount_transfers": "created_ts", "subaccounts": "seen_at",
    "theses": "time", "thesis_evidence": "first_seen", "thesis_markets": "quoted_at", "ticks": "time", "trades": "created_time",
    "trading_days": "looked_at", "withdrawals": "created_ts",
}  # fmt: skip
STATUS = (
    "SELECT coalesce(status, '') AS status, count(*) AS markets FROM markets GROUP BY ALL ORDER BY markets DESC, status"
)
COLUMNS: dict[str, Any] = {"table": pl.String, "rows": pl.Int64, "newest": pl.Datetime("us", "UTC")}


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a store holds: its tables, and its files in bytes; log is what is not in the file yet, free the room on the disk."""

    path: Path
    tables: pl.DataFrame
    statuses: dict[str, int]
    size: int
    log: int
    free: int

    def frame(self) -> pl.DataFrame:
        """A row for each table: table, rows, newest (when its last fact happened; null where it has none, or no time)."""
        return self.tables

    def __repr__(self) -> str:
        rows = int(self.tables["rows"].sum())
        return (
            f"<Statistics {self.path.name}: {rows:,} rows, {self.size / 1e6:,.1f} MB, {self.free / 1e9:,.1f} GB free>"
        )

    def _repr_html_(self) -> str:
        markets = ", ".join(f"{count:,} {status or 'without status'}" for status, count in self.statuses.items())
        facts = {
            "file": self.path,
            "MB": f"{(self.size + self.log) / 1e6:,.1f}",
            "GB free": f"{self.free / 1e9:,.1f}",
            "markets by status": markets or "none",
        }
        held = self.tables.filter(pl.col("rows") > 0).rows()
        return markup.card("The store", facts | {table: f"{rows:,} rows" for table, rows, _ in held})


async def statistics(store: Store) -> Statistics:
    """Ask the store's own notes; see `Upkeep.statistics`."""
    tables, statuses = await store.look(_asked)
    log = store.path.with_name(store.path.name + ".wal")
    sizes = (store.path.stat().st_size, log.stat().st_size if log.exists() else 0)
    return Statistics(store.path, tables, statuses, *sizes, shutil.disk_usage(store.path.parent).free)


def _asked(connection: Connection) -> tuple[pl.DataFrame, dict[str, int]]:
    found = [(table, *fetch(connection, question(table)).row(0)) for table in TABLES]
    return pl.DataFrame(found, schema=COLUMNS, orient="row"), dict(fetch(connection, STATUS).iter_rows())


def question(table: str) -> str:
    """Rows and newest time of a table, from the counts and bounds that DuckDB keeps of each stretch of rows."""
    time = NEWEST.get(table)
    newest = f"(SELECT {time} FROM {table} ORDER BY {time} DESC NULLS LAST LIMIT 1)" if time else "NULL::TIMESTAMPTZ"
    return f"SELECT count(*) AS rows, {newest} AS newest FROM {table}"
