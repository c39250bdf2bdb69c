"""What a transaction writes: rows by their natural keys, and the ledger."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.store.arrow import Arrow
from kalshi_lab.store.connection import Connection, fetch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

NEAR = "INTERVAL 1 SECOND"  # the stream says the time of a trade in milliseconds, REST in microseconds
# texts that answers about a market that is over leave empty
LEFT_OUT = frozenset(
    ("title", "subtitle", "sub_title", "yes_sub_title", "no_sub_title", "category", "rules_primary", "rules_secondary")
)
LEDGER: dict[str, Any] = {
    "run_id": pl.String, "dataset": pl.String, "scope": pl.String, "walk": pl.String, "page": pl.Int64, "next_cursor": pl.String,
    "received": pl.Int64, "stored": pl.Int64, "duplicate": pl.Int64, "quarantined": pl.Int64, "sha256": pl.String,
    "request_id": pl.String, "time": pl.Datetime("us", "UTC"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Page:
    """One page in the ledger."""

    run_id: str
    dataset: str
    scope: str
    walk: str
    page: int
    next_cursor: str
    received: int
    stored: int
    duplicate: int
    quarantined: int
    sha256: str
    request_id: str
    time: datetime


def insert(connection: Connection, table: str, frame: pl.DataFrame) -> int:
    """Append rows as they are; how many."""
    if frame.height:
        connection.register("incoming", Arrow(frame))
        connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")
        connection.unregister("incoming")
    return frame.height


def insert_new(
    connection: Connection, table: str, keys: Sequence[str], frame: pl.DataFrame, *, within: str = ""
) -> int:
    """Append the rows whose key is not in the table; how many.

    `within` names a time column that a key hardly changes, so that only that stretch of the table and `NEAR` it is looked at.
    """
    frame = frame.unique(subset=list(keys), keep="last", maintain_order=True)
    if not frame.height:
        return 0
    known, bounds = f"SELECT {_list(keys)} FROM {table}", []
    if within and frame.get_column(within).null_count() == 0:
        known += f" WHERE {within} BETWEEN ?::TIMESTAMPTZ - {NEAR} AND ?::TIMESTAMPTZ + {NEAR}"
        bounds = [frame.get_column(within).min(), frame.get_column(within).max()]
    connection.register("incoming", Arrow(frame))
    sql = f"INSERT INTO {table} BY NAME SELECT incoming.* FROM incoming ANTI JOIN ({known}) AS known USING ({_list(keys)})"
    done = connection.execute(sql, bounds).fetchall()[0][0]
    connection.unregister("incoming")
    return int(done)


def upsert(connection: Connection, table: str, keys: Sequence[str], frame: pl.DataFrame) -> int:
    """Write rows by key: new ones are added, known ones take every value that is not null; how many were new.

    A value that is absent from a poorer answer never blanks what an earlier one brought.
    """
    frame = _folded(frame, keys)
    if not frame.height:
        return 0
    connection.register(
        "wanted", Arrow(frame.select(keys))
    )  # a stream is read whole, so only the keys go into the question
    sql = f"SELECT count(*) FROM wanted SEMI JOIN (SELECT {_list(keys)} FROM {table}) AS known USING ({_list(keys)})"
    known = connection.execute(sql).fetchall()[0][0]
    connection.unregister("wanted")
    connection.register("incoming", Arrow(frame))
    if known:
        connection.execute(_merge(table, keys, [name for name in frame.columns if name not in keys]))
    else:
        connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")
    connection.unregister("incoming")
    return frame.height - int(known)


def better(first: str, second: str) -> str:
    """SQL for a value, else another where the first is null, or an empty text where the exchange leaves texts out of later answers."""
    given = f"nullif({first}, '')" if first.rsplit(".", maxsplit=1)[-1] in LEFT_OUT else first
    return f"coalesce({given}, {second}, {first})" if given != first else f"coalesce({first}, {second})"


def _folded(frame: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """One row for each key, with the last value of each column that is not null."""
    if not frame.select(keys).is_duplicated().any():
        return frame
    return frame.group_by(keys, maintain_order=True).agg(pl.all().drop_nulls().last()).select(frame.columns)


def _merge(table: str, keys: Sequence[str], values: Sequence[str]) -> str:
    on = " AND ".join(f"old.{key} = incoming.{key}" for key in keys)
    changes = ", ".join(f"{name} = {better(f'incoming.{name}', f'old.{name}')}" for name in values)
    return f"MERGE INTO {table} AS old USING incoming ON {on} WHEN MATCHED THEN UPDATE SET {changes} WHEN NOT MATCHED THEN INSERT BY NAME"


def enter(connection: Connection, pages: Sequence[Page]) -> None:
    """Enter pages in the ledger."""
    insert(connection, "ledger", pl.DataFrame([asdict(page) for page in pages], schema=LEDGER))


def put_aside(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Keep rows that could not be read, with the reason."""
    names = ("dataset", "run_id", "request_id", "reason", "raw")
    schema: dict[str, pl.DataType] = {**{name: pl.String() for name in names}, "time": pl.Datetime("us", "UTC")}
    insert(connection, "quarantine", pl.DataFrame(list(rows), schema=schema))


def rows(connection: Connection, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """The rows of a query inside a transaction, as mappings."""
    return fetch(connection, sql, parameters).to_dicts()


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
