"""The versions of the store: numbered SQL, applied in one transaction."""

from __future__ import annotations

from importlib import metadata, resources
from typing import TYPE_CHECKING

from kalshi_lab.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kalshi_lab.store.connection import Connection

TABLES = (
    "alert_deliveries", "alert_events", "alert_states", "alerts", "article_markets", "articles", "balances", "bodies", "book_changes",
    "candlesticks", "caps", "coverage", "deposits", "events", "fills", "gaps", "imported", "ledger", "lifecycle", "markets", "news_topics",
    "order_attempts", "orders", "paid_answers", "paid_runs", "position_looks", "positions", "predictions", "pruned", "quarantine",
    "quotes", "recordings", "results", "rounds", "sentiments", "series", "settlements", "shard_transfers", "snapshots", "spend",
    "subaccount_transfers", "subaccounts", "theses", "thesis_evidence", "thesis_markets", "ticks", "trades", "trading_days", "withdrawals",
)  # fmt: skip
SCHEMAS = (
    "schema.sql",
    "recordings.sql",
    "bodies.sql",
    "imported.sql",
    "search.sql",
    "pruned.sql",
    "coverage.sql",
    "compact.sql",
    "exa.sql",
    "theses.sql",
    "news.sql",
    "predictions.sql",
    "portfolio.sql",
    "trading.sql",
    "alerting.sql",
)  # version by version; a file once released is not changed any more

MADE_BY = """
MERGE INTO meta USING (SELECT 'library_version' AS key, ? AS value) AS made ON meta.key = made.key
WHEN MATCHED THEN UPDATE SET value = made.value WHEN NOT MATCHED THEN INSERT BY NAME
"""


def known(connection: Connection) -> tuple[int, str]:
    """The version of a store, 0 for one without tables, and the library that made it so."""
    if not connection.execute("SELECT 1 FROM information_schema.tables WHERE table_name = 'meta'").fetchall():
        return 0, ""
    found = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    return int(found.get("schema_version", 0)), str(found.get("library_version", ""))


def too_new(path: Path, version: int, library: str) -> StoreError:
    """The error for a store that a later library made."""
    needed = f"kalshi_lab {library}" if library else "a later kalshi_lab"
    return StoreError(
        f"{path} was made by {needed}: it has version {version}, and this library knows {len(SCHEMAS)}",
        hint=f"Update: pip install -U 'kalshi_lab{f'>={library}' if library else ''}'",
    )


def create(connection: Connection, reached: Callable[[str], None] | None = None, *, keyed: bool = True) -> None:
    """The tables of every version that this file does not have yet, inside the caller's transaction; the first version made the file.

    keyed: whether it may have primary keys, which a DuckLake does not know; no table needs one.
    """
    version, _ = known(connection)
    for number, name in enumerate(SCHEMAS, 1):
        if number > version:
            sql = resources.files("kalshi_lab.store").joinpath(name).read_text("utf-8")
            connection.execute(sql if keyed else sql.replace(" PRIMARY KEY", " NOT NULL"))
            if reached is not None:
                reached(f"version {number}")
    if version < len(SCHEMAS):
        connection.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", [str(len(SCHEMAS))])
        connection.execute(MADE_BY, [metadata.version("kalshi_lab")])
