"""Trades in whole numbers, by market and time: a copy that questions over all of them read, as far as it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kalshi_lab.store.connection import fetch

if TYPE_CHECKING:
    import polars as pl

    from kalshi_lab.store.connection import Connection

# Rows are only ever appended to `trades`, or pruned, which is written down. Where nothing was pruned since, the copy holds the rows below
# `above`; DuckDB gives a row its place anew only where rows are gone, so a copy of a table with holes counts as long as nothing was added.
STATE: Final = """
SELECT state.above, trades.n = state.held AS "all"
FROM tape.state, (SELECT count(*) AS n FROM trades) AS trades,
     (SELECT count(*) AS n FROM pruned WHERE name = 'trades') AS gone
WHERE gone.n = state.pruned AND (trades.n = state.held OR (trades.n > state.held AND state.above = state.held))
"""
MADE: Final = """
DELETE FROM tape.state;
DELETE FROM tape.trades;
DELETE FROM tape.markets;
INSERT INTO tape.markets SELECT row_number() OVER (ORDER BY ticker) - 1, ticker
FROM (SELECT DISTINCT ticker FROM trades WHERE ticker IS NOT NULL);
INSERT INTO tape.trades
SELECT market, epoch_us(created_time) AS time, CAST(yes_price * 1000000 AS INTEGER), CAST(count * 100 AS BIGINT),
       CASE WHEN is_block_trade THEN -1 WHEN coalesce(taker_outcome_side, taker_side) = 'yes' THEN 1
            WHEN coalesce(taker_outcome_side, taker_side) = 'no' THEN 0 END
FROM trades JOIN tape.markets USING (ticker) ORDER BY market, time;
INSERT INTO tape.state
SELECT count(*), (SELECT count(*) FROM pruned WHERE name = 'trades'), coalesce(max(rowid) + 1, 0) FROM trades;
"""


def copied(connection: Connection) -> pl.DataFrame:
    """What STATE says; no row where there is no copy, as over a lake: counting the trades of several owners sorts them all."""
    made = fetch(connection, "SELECT above FROM tape.state")
    return made if made.is_empty() else fetch(connection, STATE)


def compact(connection: Connection) -> int:
    """Make the copy anew, inside the caller's transaction; how many trades it holds."""
    for statement in MADE.strip().split(";\n"):
        connection.execute(statement.strip().rstrip(";"))
    return int(connection.execute("SELECT count(*) FROM tape.trades").fetchall()[0][0])
