"""Whether the store is what it should be: every row readable, every count balanced, everything acknowledged still there."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from functools import partial
from importlib import resources
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab import markup
from kalshi_lab.errors import LabError, StoreBusy
from kalshi_lab.store import evidence
from kalshi_lab.store.connection import fetch, told
from kalshi_lab.store.journal import SNAPSHOT, START, Journal
from kalshi_lab.store.versions import SCHEMAS, TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kalshi_lab.store.connection import Connection
    from kalshi_lab.store.journal import Entry
    from kalshi_lab.store.store import Store

_KEY = re.compile(r"^-- key: ([\w, ]+)[^\n]*\n(?:--[^\n]*\n)*CREATE TABLE (\w+)", re.MULTILINE)
FINER = {"quotes": ("scope", "ticker", "time"), "alert_events": ()}  # two listings may be looked at in the same moment
ONCE = ("fills", "trades")  # tables whose rows keep the run that brought them first
TURN = 0.3  # seconds for which the store stays open before others get their turn
SHOWN = 10  # faults in a card
UNBALANCED = "SELECT * FROM ledger WHERE received <> stored + duplicate + quarantined"
HOLES = """
SELECT run_id, dataset, scope, walk, before + 1 AS page, page - before - 1 AS pages FROM (
    SELECT *, coalesce(lag(page) OVER (PARTITION BY run_id, walk ORDER BY page), 0) AS before FROM ledger WHERE walk <> ''
) WHERE page - before > 1 ORDER BY run_id, walk, page
"""
FEWER = """
WITH kept AS (SELECT run_id, count(*) AS rows FROM {table} GROUP BY run_id),
     out AS (SELECT owner AS run_id, sum(rows)::BIGINT AS rows FROM pruned WHERE name = '{table}' GROUP BY owner),
     told AS (
         SELECT run_id, any_value(dataset) AS dataset, any_value(scope) AS scope, sum(stored)::BIGINT AS rows FROM ledger
         WHERE dataset = '{table}' GROUP BY run_id
     )
SELECT told.run_id, dataset, scope, told.rows - coalesce(kept.rows, 0) - coalesce(out.rows, 0) AS rows
FROM told LEFT JOIN kept USING (run_id) LEFT JOIN out USING (run_id)
WHERE told.rows > coalesce(kept.rows, 0) + coalesce(out.rows, 0) ORDER BY told.run_id
"""
COLUMNS: dict[str, Any] = {
    "kind": pl.String, "table": pl.String, "run_id": pl.String, "dataset": pl.String, "scope": pl.String, "walk": pl.String,
    "page": pl.Int64, "rows": pl.Int64, "what": pl.String,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it should be.

    kind: unreadable (a table, or the file), schema, unbalanced, hole (pages of a walk), double (a key twice), missing (an acknowledged
    page, which the next sync of that dataset and scope brings back), lost (an acknowledged look or batch, which nothing brings back),
    fewer (rows than the ledger counts), changed (a page whose checksum is another), journal (lines that cannot be read).
    """

    kind: str
    what: str
    table: str = ""
    run_id: str = ""
    dataset: str = ""
    scope: str = ""
    walk: str = ""
    page: int | None = None
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check of the store found: `ok`, the rows of each table, and each fault.

    acknowledged: entries of the journal; before_journal: pages of the ledger that the journal does not name, which is no fault.
    """

    path: Path
    schema_version: int | None
    rows: dict[str, int]
    faults: tuple[Fault, ...]
    acknowledged: int
    before_journal: int
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    @property
    def missing(self) -> pl.DataFrame:
        """The acknowledged pages that the next sync brings back: run_id, dataset, scope, walk, page, rows."""
        return (
            self.frame()
            .filter(pl.col("kind") == "missing")
            .select("run_id", "dataset", "scope", "walk", "page", "rows")
        )

    def frame(self) -> pl.DataFrame:
        """A row for each fault: kind, table, run_id, dataset, scope, walk, page, rows, what."""
        return pl.DataFrame([{name: getattr(one, name) for name in COLUMNS} for one in self.faults], schema=COLUMNS)

    def __repr__(self) -> str:
        counts = self.frame().group_by("kind", maintain_order=True).len().rows()
        said = ", ".join(f"{count:,} {kind}" for kind, count in counts) or "nothing wrong"
        return f"<Verified {self.path.name}: {said}; {sum(self.rows.values()):,} rows read in {self.seconds:.1f} s>"

    def _repr_html_(self) -> str:
        facts = {
            "rows": f"{sum(self.rows.values()):,}",
            "acknowledged": f"{self.acknowledged:,}",
            "schema": self.schema_version,
        }
        shown = [markup.warning(one.what) for one in self.faults[:SHOWN]]
        more = (
            [markup.warning(f"and {len(self.faults) - SHOWN:,} more: see .frame()")] if len(self.faults) > SHOWN else []
        )
        title = "The store is as it should be" if self.ok else "The store is damaged"
        return markup.card(title, facts, *shown, *more)


def keys() -> dict[str, tuple[str, ...]]:
    """The natural key of each table, as the schema names it above the table; nothing for those without one."""
    texts = [resources.files("kalshi_lab.store").joinpath(name).read_text("utf-8") for name in SCHEMAS]
    named = {table: tuple(re.split(r", *", names)) for text in texts for names, table in _KEY.findall(text)}
    return {table: FINER.get(table, named.get(table, ())) for table in TABLES}


class Check:
    """One check of a store, step by step."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._faults: list[Fault] = []
        self._rows: dict[str, int] = {}
        self._version: int | None = None
        self._before = 0

    async def run(self) -> Verified:
        """Read every row of every table with its checksums, and hold the ledger and the journal against them.

        Each table is read by itself, so that others can write in between. Damage is a fault of the report, never an error; raises
        StoreBusy where another process holds the store.
        """
        began = time.monotonic()
        journal = Journal(self._store.path).read()  # before the ledger, which therefore has all of it
        if journal.damaged or journal.torn:
            lines = journal.damaged + journal.torn
            self._found(Fault("journal", f"{lines} lines of the journal cannot be read", rows=lines))
        if self._store.is_new:
            self._compare(journal.entries, evidence.nothing())
        elif await self._opens():
            await self._read_all()
            await self._balance()
            if set(evidence.QUESTIONS) <= set(self._rows):
                held = await self._store.look(
                    lambda connection: {name: fetch(connection, sql) for name, sql in evidence.QUESTIONS.items()}
                )
                self._compare(journal.entries, held)
        acknowledged = sum(entry.kind != START for entry in journal.entries)
        faults, seconds = tuple(self._faults), time.monotonic() - began
        return Verified(self._store.path, self._version, self._rows, faults, acknowledged, self._before, seconds)

    def _found(self, *faults: Fault) -> None:
        self._faults += faults

    async def _opens(self) -> bool:
        """Whether the file can be opened at all, and by which version it was made."""
        try:
            found = await self._store.read("SELECT value FROM meta WHERE key = 'schema_version'")
        except StoreBusy:
            raise
        except LabError as error:
            self._found(Fault("unreadable", f"the file cannot be read: {error.message}"))
            return False
        self._version = int(found.item())
        if self._version != len(SCHEMAS):
            self._found(Fault("schema", f"the store has version {self._version}, this library makes {len(SCHEMAS)}"))
        return True

    async def _read_all(self) -> None:
        """Every block of every table, whose checksums DuckDB compares as it reads; then the keys. Others get a turn in between."""
        todo = list(keys().items())
        while todo:
            await self._store.look(partial(self._read_some, todo))

    def _read_some(self, todo: list[tuple[str, tuple[str, ...]]], connection: Connection) -> None:
        until = time.monotonic() + TURN
        while todo and time.monotonic() < until:
            table, key = todo.pop(0)
            try:
                with told():
                    self._rows[table], double = _counted(table, key, connection)
            except LabError as error:
                self._found(Fault("unreadable", f"the table {table} cannot be read: {error.message}", table))
                continue
            if double:
                said = f"{table} has {double:,} rows whose key ({', '.join(key)}) is there already"
                self._found(Fault("double", said, table, rows=double))

    async def _balance(self) -> None:
        """The ledger by itself, and against the rows of the tables that it counts."""
        if "ledger" not in self._rows:
            return
        counted = [table for table in ONCE if {table, "pruned"} <= set(self._rows)]
        questions = (UNBALANCED, HOLES, *(FEWER.format(table=table) for table in counted))
        unbalanced, holes, *fewer = await self._store.look(
            lambda connection: [fetch(connection, sql) for sql in questions]
        )
        for row in unbalanced.to_dicts():
            what = f"page {row['page']} of {row['dataset']} does not balance: {row['received']} were received"
            self._found(_fault("unbalanced", what, row))
        for row in holes.to_dicts():
            what = (
                f"{row['pages']} pages of {row['dataset']} {row['walk']!r} from {row['page']} on are not in the ledger"
            )
            self._found(_fault("hole", what, row))
        for table, rows in zip(counted, fewer, strict=True):
            for row in rows.to_dicts():
                what = f"{row['rows']:,} {table} that the ledger counts in run {row['run_id']} are not there"
                self._found(_fault("fewer", what, row))

    def _compare(self, entries: Sequence[Entry], held: dict[str, pl.DataFrame]) -> None:
        """The journal against what is held."""
        self._before = evidence.not_journalled(entries, held)
        for row in evidence.lost_pages(entries, held).to_dicts():
            rows = "" if row["stored"] is None else f" with {row['stored']:,} rows"
            page = (
                f"page {row['page']} of {row['dataset']} {row['walk']!r}{rows}"
                if row["walk"]
                else f"the end of a sync of {row['dataset']}"
            )
            self._found(
                _fault("missing", f"{page} was acknowledged and is not there; the next sync brings it back", row)
            )
        for row in evidence.changed_pages(entries, held).to_dicts():
            self._found(
                _fault("changed", f"page {row['page']} of {row['dataset']} is not the one that was acknowledged", row)
            )
        for one in evidence.lost_for_good(entries, held):
            name = (
                f"the snapshot of {one.time:%Y-%m-%d %H:%M:%S}"
                if one.kind == SNAPSHOT
                else f"the recording {one.run_id} up to frame {one.page}"
            )
            fault = Fault(
                "lost",
                f"{name} was acknowledged and is not there",
                "",
                one.run_id,
                one.dataset,
                one.scope,
                "",
                one.page,
            )
            self._found(fault)


def _counted(table: str, key: Sequence[str], connection: Connection) -> tuple[int, int]:
    """How many rows a table has, all of them read, and how many too many with the same key."""
    rows = connection.execute(f"SELECT count(*), bit_xor(hash({table})) FROM {table}").fetchall()[0][0]
    if not key:
        return int(rows), 0
    double = f"SELECT count(*) - 1 AS more FROM {table} GROUP BY {', '.join(key)} HAVING count(*) > 1"
    return int(rows), int(connection.execute(f"SELECT coalesce(sum(more), 0)::BIGINT FROM ({double})").fetchall()[0][0])


def _fault(kind: str, what: str, row: dict[str, Any]) -> Fault:
    rows = row.get("rows", row.get("stored", row.get("pages")))
    return Fault(
        kind, what, "ledger", row["run_id"], row["dataset"], row["scope"], row.get("walk", ""), row.get("page"), rows
    )
