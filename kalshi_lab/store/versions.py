"""The versions of the store: numbered SQL, applied in one transaction."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from kalshi_lab.errors import StoreError

if TYPE_CHECKING:
    from kalshi_lab.store.connection import Connection

TABLES = (
    "alert_events", "alerts", "bodies", "book_changes", "candlesticks", "coverage", "events", "gaps", "imported", "ledger", "lifecycle",
    "markets", "pruned", "quarantine", "quotes", "recordings", "results", "rounds", "series", "snapshots", "theses", "thesis_markets",
    "ticks", "trades",
)  # fmt: skip
SCHEMAS = (
    "schema.sql",
    "recordings.sql",
    "bodies.sql",
    "imported.sql",
    "search.sql",
    "pruned.sql",
    "coverage.sql",
)  # version by version; a file once released is not changed any more


def create(connection: Connection) -> None:
    """The tables of every version that this file does not have yet; the first version made the file."""
    made = connection.execute("SELECT count(*) FROM information_schema.tables WHERE table_name = 'meta'").fetchall()
    version = "SELECT value FROM meta WHERE key = 'schema_version'"
    known = int(connection.execute(version).fetchall()[0][0]) if made[0][0] else 0
    if known > len(SCHEMAS):
        said = f"the store is of version {known}, made by a later version of kalshi_lab; this one knows {len(SCHEMAS)}"
        raise StoreError(said, hint="Update it: pip install -U kalshi_lab")
    for number, name in enumerate(SCHEMAS, 1):
        if number > known:
            connection.execute(resources.files("kalshi_lab.store").joinpath(name).read_text("utf-8"))
            connection.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", [str(number)])
