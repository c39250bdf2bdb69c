"""The questions that the library itself asks the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.store.connection import fetch

if TYPE_CHECKING:
    from datetime import datetime

    from kalshi_lab.store.connection import Connection
    from kalshi_lab.store.store import Store

QUOTE = ("status", "yes_bid", "yes_bid_size", "yes_ask", "yes_ask_size", "last_price", "volume", "open_interest")

LOOKS = """
SELECT scope, max(time) FILTER (WHERE keyframe) AS since, max(time) AS looked, min(since) OVER () AS oldest FROM snapshots
WHERE time <= $1 GROUP BY scope ORDER BY scope
"""
# A scope's rows since its last keyframe hold the last change of every market in it; a departure before that still counts against an
# older look of another scope.
LAST = f"""
SELECT ticker, time, {", ".join(QUOTE)}, gone FROM quotes
WHERE scope = $1 AND time <= $2 AND time >= $4 AND (time >= $3 OR gone) AND ($5 IS NULL OR list_contains($5, ticker))
QUALIFY row_number() OVER (PARTITION BY ticker ORDER BY time DESC) = 1
"""

PATH = """
SELECT ticker, time, yes_bid, yes_ask, last_price AS price, volume FROM quotes
WHERE list_contains($1, ticker) AND NOT gone
UNION ALL
SELECT ticker, end_time, yes_bid_close, yes_ask_close, price_close, volume FROM candlesticks WHERE list_contains($1, ticker)
ORDER BY ticker, time
"""

RESUMABLE = """
SELECT run_id, walk, max(page) AS page, arg_max(next_cursor, page) AS next_cursor, max(time) AS time,
       min(time) AS begun, sum(received)::BIGINT AS received
FROM ledger WHERE dataset = $1 AND scope = $2
  AND run_id = (SELECT run_id FROM ledger WHERE dataset = $1 AND scope = $2 ORDER BY time DESC, rowid DESC LIMIT 1)
GROUP BY run_id, walk
"""


async def quotes_as_of(store: Store, at: datetime, tickers: list[str] | None) -> pl.DataFrame:
    """Every quote as it stood at a moment, exact; the markets that had left their listing by then are not in it."""
    return await store.look(lambda connection: as_of(connection, at, tickers))


def as_of(connection: Connection, at: datetime, tickers: list[str] | None) -> pl.DataFrame:
    """The same inside a connection: a question for each scope that was looked at, since one over all of them takes twice as long.

    A market may be in several scopes: it is as the scope that looked last saw it, changed or not, but it left only when it left.
    """
    looks = fetch(connection, LOOKS, [at]).rows()
    found = [
        fetch(connection, LAST, [scope, at, since, oldest, tickers]).with_columns(
            scope=pl.lit(scope), seen=pl.when("gone").then("time").otherwise(pl.lit(looked, pl.Datetime("us", "UTC")))
        )
        for scope, since, looked, oldest in looks or [("", at, at, at)]
    ]
    last = pl.concat(found)
    if len(found) > 1:
        ranked = last.sort("seen", "gone", "scope", descending=[True, False, False])
        last = ranked.unique("ticker", keep="first", maintain_order=True)
    return last.filter(~pl.col("gone")).select("ticker", "time", *QUOTE).sort("ticker")


async def price_path(store: Store, tickers: list[str]) -> pl.DataFrame:
    """What the store knows of the prices of some markets over time."""
    return await store.read(PATH, [tickers])


async def last_run(store: Store, dataset: str, scope: str) -> list[dict[str, Any]]:
    """How far each walk of the last run over this scope came."""
    return (await store.read(RESUMABLE, [dataset, scope])).to_dicts()
