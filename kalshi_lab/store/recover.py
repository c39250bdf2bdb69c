"""What can be saved of a damaged store; nothing is ever deleted, only renamed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl

from kalshi_lab import markup
from kalshi_lab.errors import StoreCorrupt, StoreError
from kalshi_lab.store import files
from kalshi_lab.store.backup import (
    MADE_BY,
    alone,
    attached,
    beside,
    finished,
    fresh_name,
    held,
    keep_aside,
    log_of,
)
from kalshi_lab.store.connection import WRITE, in_transaction, quoted, told
from kalshi_lab.store.versions import SCHEMAS, create

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kalshi_lab.store.connection import Connection
    from kalshi_lab.store.gate import Job
    from kalshi_lab.store.store import Store
    from kalshi_lab.store.verify import Verified

GROUP, PIECE = 122_880, 8_192  # rows that DuckDB keeps together, and the pieces in which a damaged group is read
FEEDS = {  # the datasets whose pages bring a table's rows
    "series": ("series",), "events": ("events",), "markets": ("markets", "events"), "results": ("markets", "events"),
    **{table: (table,) for table in ("trades", "candlesticks", "fills", "orders", "settlements")},
}  # fmt: skip
LOST: dict[str, Any] = {"table": pl.String, "rows": pl.Int64, "lost": pl.Int64}


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was done to a store: what was put aside under which name, what was lost, and the check afterwards.

    lost: a row for each table that lost some: table, rows (saved), lost. `verified.missing` has the pages that the next sync brings back.
    """

    path: Path
    aside: tuple[Path, ...]
    lost: pl.DataFrame
    verified: Verified

    def frame(self) -> pl.DataFrame:
        """What was lost, a row for each table: table, rows (saved), lost."""
        return self.lost

    def __repr__(self) -> str:
        rows = ", ".join(f"{lost:,} rows of {table}" for table, _, lost in self.lost.rows()) or "no rows of the file"
        pages = self.verified.missing.height
        again = f"; {pages:,} pages to bring back by sync" if pages else ""
        aside = f"; put aside: {', '.join(one.name for one in self.aside)}" if self.aside else ""
        return f"<Recovered {self.path.name}: {rows} lost{again}{aside}>"

    def _repr_html_(self) -> str:
        facts = {
            "put aside": ", ".join(one.name for one in self.aside) or "nothing",
            "pages to bring back": self.verified.missing.height,
        }
        lost = [
            markup.warning(f"{lost:,} rows of {table} are lost, {rows:,} were saved")
            for table, rows, lost in self.lost.rows()
        ]
        return markup.card("Recovered", facts, *lost)


def recover(store: Store, job: Job) -> tuple[tuple[Path, ...], pl.DataFrame]:
    """Put aside what cannot be read and save the rest; what was put aside, and what was lost. See `Upkeep.recover`."""
    aside: list[Path] = []
    if store.is_new:
        return (), pl.DataFrame(schema=LOST)
    with alone(store.path):
        log, state = log_of(store.path), _state(store, job)
        if state == "file" and log.exists():
            aside.append(_put_aside(store, log))
            state = _state(store, job)
        if state == "file":
            aside.append(_put_aside(store, store.path))
        lost = _save(store, job, aside) if state == "tables" else []
    return tuple(aside), pl.DataFrame(lost, schema=LOST, orient="row")


def _state(store: Store, job: Job) -> str:
    """What is damaged: nothing, tables (that cannot be read), or the file as a whole."""
    try:
        with attached(store, job) as connection:
            version = connection.execute("SELECT value FROM store.meta WHERE key = 'schema_version'").fetchall()
            if int(version[0][0]) > len(SCHEMAS):
                raise StoreError(
                    "a later version of kalshi_lab made this store", hint="Update kalshi_lab: it is not damaged"
                )
            whole = all(_readable(connection, table) for table in _tables(connection))
            return "nothing" if whole else "tables"
    except (StoreCorrupt, duckdb.Error, IndexError):
        return "file"


def _readable(connection: Connection, table: str) -> bool:
    try:
        connection.execute(f'SELECT bit_xor(hash(one)) FROM store."{table}" AS one').fetchall()
    except duckdb.Error:
        return False
    return True


def _tables(connection: Connection) -> list[str]:
    sql = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'store' AND schema_name = 'main' ORDER BY table_name"
    return [name for (name,) in connection.execute(sql).fetchall()]


def _put_aside(store: Store, path: Path) -> Path:
    """Give a file, and the log that belongs to it, a name that says what it is."""
    stamp = fresh_name(path, "quarantine")
    with store.alone(), held(store.path), files.told(path):
        path.rename(stamp)
        if log_of(path).exists():
            log_of(path).rename(log_of(stamp))
        files.sync_folder(path.parent)
    store.reached("put aside")
    return stamp


def _save(store: Store, job: Job, aside: list[Path]) -> list[tuple[str, int, int]]:
    """Write what can be read into a new file, which takes the store's place; the tables that lost rows: saved, lost."""
    with beside(store.path) as folder:
        part = folder / store.path.name
        with duckdb.connect(str(part), config=WRITE) as made, told():
            in_transaction(made, create, store.reached)
        with attached(store, job) as connection, told():
            connection.execute(f"ATTACH {quoted(part)} AS copy ({MADE_BY})")
            counts = {table: _copy(connection, table) for table in _tables(connection) if table != "meta"}
            lost = [(table, saved, gone) for table, (saved, gone) in counts.items() if gone]
            _withdraw(connection, [table for table, _, _ in lost])
            connection.execute("CHECKPOINT copy")
            connection.execute("DETACH copy")
        finished(part)
        store.reached("recovered")
        with store.alone(), held(store.path), files.told(store.path):
            kept = keep_aside(store, "quarantine")
            aside += [kept] if kept else []
            part.replace(store.path)
            files.sync_folder(store.path.parent)
    return lost


def _copy(connection: Connection, table: str) -> tuple[int, int]:
    """Copy the rows of a table that can be read; how many, and how many could not."""
    rows = int(connection.execute(f'SELECT count(*) FROM store."{table}"').fetchall()[0][0])
    saved = sum(_piece(connection, table, first, last) for first, last in _pieces(connection, table))
    return saved, rows - saved


def _pieces(connection: Connection, table: str) -> Iterator[tuple[int, int]]:
    """Stretches of a table's rows: large ones, and where one cannot be read small ones."""
    top = connection.execute(f'SELECT max(rowid) FROM store."{table}"').fetchall()[0][0]
    for first in range(0, -1 if top is None else int(top) + 1, GROUP):
        whole = (
            f'SELECT bit_xor(hash(one)) FROM store."{table}" AS one WHERE rowid BETWEEN {first} AND {first + GROUP - 1}'
        )
        try:
            connection.execute(whole).fetchall()
        except duckdb.Error:
            yield from ((small, small + PIECE - 1) for small in range(first, first + GROUP, PIECE))
        else:
            yield first, first + GROUP - 1


def _piece(connection: Connection, table: str, first: int, last: int) -> int:
    source = f'SELECT * FROM store."{table}" WHERE rowid BETWEEN {first} AND {last}'
    try:
        done = connection.execute(f'INSERT INTO copy."{table}" BY NAME {source}').fetchall()
    except duckdb.Error as error:
        if "corrupt" in str(error).lower():
            return 0
        raise
    return int(done[0][0])


def _withdraw(connection: Connection, tables: list[str]) -> None:
    """Take the runs out of the ledger whose rows are not all there, and those with holes, so that the next sync reads them anew."""
    datasets = {dataset for table in tables for dataset in FEEDS.get(table, ())}
    which = "dataset IN (SELECT dataset FROM copy.ledger WHERE walk <> '' GROUP BY dataset, run_id, walk HAVING max(page) <> count(*))"
    if "ledger" in tables:
        which = "TRUE"
    for table in ("coverage", "ledger"):  # what was asked for and read to its end, by the ledger's word
        connection.execute(f"DELETE FROM copy.{table} WHERE list_contains(?, dataset) OR {which}", [sorted(datasets)])
