"""Rows that are read later than they arrived: written as if they had been read at once, never over what came after them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.store import writes
from kalshi_lab.store.arrow import Arrow
from kalshi_lab.store.queries import QUOTE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from kalshi_lab.store.connection import Connection

    Row = dict[str, Any]

PAGES = """
SELECT aside.run_id, aside.request_id, aside.dataset, aside.time, list(aside.raw) AS raws, any_value(page.scope) AS scope,
       any_value(page.walk) AS walk
FROM quarantine AS aside
LEFT JOIN (SELECT * FROM ledger WHERE walk <> '') AS page USING (run_id, request_id)
WHERE aside.dataset IN ('candlesticks', 'events', 'markets', 'series', 'trades')
GROUP BY aside.run_id, aside.request_id, aside.dataset, aside.time ORDER BY aside.time, aside.run_id, aside.request_id
"""
# a stream's messages are not among them: a book that missed one has its gap, whatever is read later
LEFT = """
SELECT dataset, split_part(reason, ':', 1) AS reason, count(*) AS rows FROM quarantine GROUP BY ALL ORDER BY rows DESC, dataset, reason
"""
LOOKS = """
SELECT looks.scope, looks.time, looks.run_id, list(aside.raw) AS raws FROM quarantine AS aside JOIN snapshots AS looks USING (run_id)
WHERE aside.dataset = 'quotes' GROUP BY ALL ORDER BY looks.time DESC, looks.scope
"""
KNOWN = """
SELECT quotes.*, coalesce(looks.keyframe, false) AS keyframe FROM quotes LEFT JOIN snapshots AS looks USING (scope, time)
WHERE scope = $1 AND list_contains($2, ticker) ORDER BY time
"""
AFTER = """
SELECT looks.time, list(aside.raw ->> '$.ticker') FILTER (WHERE aside.raw IS NOT NULL) AS unread FROM snapshots AS looks
LEFT JOIN quarantine AS aside ON aside.run_id = looks.run_id AND aside.dataset = 'quotes' AND json_valid(aside.raw)
WHERE looks.scope = $1 AND looks.time > $2 GROUP BY looks.time ORDER BY looks.time LIMIT 1000
"""
COUNT = """
UPDATE snapshots SET changed = (SELECT count(*) FROM quotes WHERE quotes.scope = $1 AND quotes.time = snapshots.time AND NOT gone)
WHERE scope = $1 AND list_contains($2, time)
"""
QUOTES: dict[str, Any] = {
    "ticker": pl.String, "time": pl.Datetime("us", "UTC"), "scope": pl.String, "status": pl.String, "yes_bid": pl.Decimal(9, 6),
    "yes_bid_size": pl.Decimal(18, 2), "yes_ask": pl.Decimal(9, 6), "yes_ask_size": pl.Decimal(18, 2), "last_price": pl.Decimal(9, 6),
    "volume": pl.Decimal(18, 2), "open_interest": pl.Decimal(18, 2), "gone": pl.Boolean,
}  # fmt: skip


def take_out(connection: Connection, run_id: str, request_id: str, raws: Sequence[str]) -> list[str]:
    """Remove rows from the quarantine; those that were there still, as often as they were."""
    sql = "SELECT raw FROM quarantine WHERE run_id = $1 AND request_id = $2 AND list_contains($3, raw)"
    given = [run_id, request_id, list(raws)]
    found = [row["raw"] for row in writes.rows(connection, sql, given)]
    connection.execute(sql.replace("SELECT raw", "DELETE", 1), given)
    return found


def balance(connection: Connection, run_id: str, request_id: str, **changes: int) -> None:
    """Change the counts of a page in the ledger."""
    moved = ", ".join(f"{name} = {name} + ${place}" for place, name in enumerate(changes, 3))
    sql = f"UPDATE ledger SET {moved} WHERE run_id = $1 AND request_id = $2 AND walk <> ''"
    connection.execute(sql, [run_id, request_id, *changes.values()])


def of_run(connection: Connection, table: str, keys: Sequence[str], frame: pl.DataFrame, run_id: str) -> int:
    """How many of these keys the run brought that these rows are of."""
    connection.register("wanted", Arrow(frame.select(keys).unique()))
    on = " AND ".join(f"known.{key} = wanted.{key}" for key in keys)
    sql = f"SELECT count(*) AS n FROM wanted SEMI JOIN (SELECT * FROM {table} WHERE run_id = $1) AS known ON {on}"
    found = writes.rows(connection, sql, [run_id])[0]["n"]
    connection.unregister("wanted")
    return int(found)


def merge(connection: Connection, table: str, keys: Sequence[str], frame: pl.DataFrame, *, add: bool = True) -> None:
    """Write rows by key with the time at which they arrived: what was seen later stays, and its nulls alone are filled.

    `add=False` changes rows that are there, and adds none.
    """
    frame = frame.unique(subset=list(keys), keep="last", maintain_order=True)
    if not frame.height:
        return
    on = " AND ".join(f"old.{key} = incoming.{key}" for key in keys)
    values = [name for name in frame.columns if name not in keys]
    fills = ", ".join(f"{name} = {writes.better(f'old.{name}', f'incoming.{name}')}" for name in values)
    takes = ", ".join(f"{name} = {writes.better(f'incoming.{name}', f'old.{name}')}" for name in values)
    added = " WHEN NOT MATCHED THEN INSERT BY NAME" if add else ""
    connection.register("incoming", Arrow(frame))
    connection.execute(
        f"MERGE INTO {table} AS old USING incoming ON {on} WHEN MATCHED AND old.seen_at > incoming.seen_at THEN UPDATE SET {fills} "
        f"WHEN MATCHED THEN UPDATE SET {takes}{added}"
    )
    connection.unregister("incoming")


def look(connection: Connection, scope: str, time: datetime, rows: pl.DataFrame) -> None:
    """Quotes that a snapshot could not read, into the changes of its listing, with what follows from them.

    The snapshot after it left out what it did not see change: a quote that was again as before, and a market that had left.
    """
    tickers = rows.get_column("ticker").to_list()
    found: dict[str, list[dict[str, Any]]] = {ticker: [] for ticker in tickers}
    for row in writes.rows(connection, KNOWN, [scope, tickers]):
        found[row["ticker"]].append(row)
    after = [(row["time"], set(row["unread"] or ())) for row in writes.rows(connection, AFTER, [scope, time])]
    moved = {time}
    for quote in rows.to_dicts():
        now = {**quote, "time": time, "scope": scope, "gone": False}
        then = next((later for later, unread in after if quote["ticker"] not in unread), None)
        moved |= _mend(connection, found[quote["ticker"]], now, then)
    connection.execute(COUNT, [scope, sorted(moved)])


def _mend(connection: Connection, known: Sequence[Row], now: Row, then: datetime | None) -> set[datetime]:
    """One quote into the rows of its market, and the times whose rows changed.

    `then` is the time of the next snapshot that read the market's row or saw none.
    """
    before = next((row for row in reversed(known) if row["time"] < now["time"]), None)
    after = next((row for row in known if row["time"] > now["time"]), None)
    at_once = [row for row in known if row["time"] == now["time"]]  # a keyframe carries what it could not read
    here = before is not None and not before["gone"]
    if here and not at_once and _same(before, now):
        return set()
    left = after is not None and after["gone"]
    wrong = [*at_once, *([after] if after and (left or (not after["keyframe"] and _same(after, now))) else [])]
    for row in wrong:
        given = [row["scope"], row["ticker"], row["time"]]
        connection.execute("DELETE FROM quotes WHERE scope = $1 AND ticker = $2 AND time = $3", given)
    made = [now, *([{**now, "time": after["time"], "gone": True}] if after and left else [])]
    if then is not None and (after is None or after["time"] > then) and not (here and _same(before, now)):
        made.append({**(before if here and before else {**now, "gone": True}), "time": then})
    frame = pl.DataFrame([{name: row[name] for name in QUOTES} for row in made], schema=QUOTES)
    writes.insert(connection, "quotes", frame)
    return {row["time"] for row in (*wrong, *made)}


def _same(one: Row | None, other: Row) -> bool:
    return one is not None and not one["gone"] and all(one[name] == other[name] for name in QUOTE)
