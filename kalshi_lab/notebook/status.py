"""The status panel: what goes on in the background, what the store holds, what was asked, and what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import ipywidgets as widgets
import polars as pl

from kalshi_lab import markup
from kalshi_lab.notebook.house import Panel, bare, button, row
from kalshi_lab.notebook.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

EVERY: Final = 3.0  # seconds between two looks while somebody looks at the panel
TOO_MANY: Final = 429
ERRORS: Final = 50  # attempts that failed, of the newest
TABLES: Final = (
    Column("table", "table", width="minmax(10em, 1fr)"),
    Column("rows", "rows", "number", "8em"),
    Column("newest", "newest (UTC)", width="12em"),
)
HELD: Final = (
    Column("dataset", "dataset", width="8em"),
    Column("series_ticker", "series", width="minmax(8em, 1fr)"),
    Column("rows", "rows", "number", "7em"),
    Column("holes", "holes", "number", "5em"),
    Column("stale", "stale", "number", "5em"),
    Column("last_sync", "last sync (UTC)", width="12em"),
)
ASKED: Final = (
    Column("operation", "operation", width="minmax(10em, 1fr)"),
    Column("host", "host", width="minmax(8em, 1fr)"),
    Column("attempts", "attempts", "number", "6em"),
    Column("retries", "retries", "number", "5em"),
    Column("failures", "failures", "number", "5em"),
    Column("latency_p95", "p95 s", "number", "5em"),
    Column("breaker", "circuit", width="6em"),
)
LIMITS: Final = (
    Column("host", "host", width="minmax(8em, 1fr)"),
    Column("rate", "read / s", "number", "6em"),
    Column("tokens", "left", "number", "6em"),
    Column("write_rate", "write / s", "number", "6em"),
    Column("write_tokens", "left", "number", "6em"),
    Column("retry_tokens", "retries left", "number", "7em"),
    Column("open_requests", "under way", "number", "7em"),
    Column("breaker", "circuit", width="6em"),
)
FAILED: Final = (
    Column("at", "time (UTC)", width="12em"),
    Column("request_id", "request", width="10em"),
    Column("operation", "operation", width="minmax(8em, 1fr)"),
    Column("status", "status", "number", "5em"),
    Column("error", "error", width="minmax(12em, 2fr)"),
)


class Status(Panel):
    """How the lab is: facts in words, and five tables; it looks again by itself."""

    def __init__(self, lab: Any) -> None:
        super().__init__(lab, "Status")
        self.facts = widgets.HTML()
        empty = pl.DataFrame()
        self.errors = Table(
            empty, columns=FAILED, sort="-at", label="Attempts that failed", caption=True, height=130, alive=True
        )
        self.limits = Table(empty, columns=LIMITS, label="Rate limits", caption=True, height=80)
        self.asked = Table(empty, columns=ASKED, sort="-attempts", label="What was asked", caption=True, height=160)
        self.held = Table(empty, columns=HELD, label="What is held", caption=True, height=160)
        self.store = Table(empty, columns=TABLES, sort="-rows", label="Tables of the store", caption=True, height=160)
        again = button("Refresh", lambda: self.begin(self.load()), hint="Look again now")
        self.compose(row(again), self.facts, *self.tables)
        self.every(EVERY, self.load)

    @property
    def tables(self) -> Sequence[Table]:
        """Failures, limits, requests, coverage, tables."""
        return (self.errors, self.limits, self.asked, self.held, self.store)

    async def load(self) -> None:
        """Everything as it is now."""
        lab = self.lab
        attempts = await lab.stats("attempt")
        failed = attempts.filter(pl.col("error") != "").tail(ERRORS)
        _fill(
            self.errors,
            FAILED,
            failed,
            f"{failed.height:,} of the newest attempts failed" if failed.height else "no attempt failed",
        )
        _fill(
            self.limits,
            LIMITS,
            (await lab.stats("host")).with_columns(pl.col("tokens", "write_tokens").floor()),
            _waits(attempts),
        )
        asked = await lab.stats()
        _fill(self.asked, ASKED, asked, f"{int(asked['attempts'].sum()):,} attempts in this session")
        held = await lab.coverage()
        old = int(held["stale"].sum() or 0)
        _fill(self.held, HELD, held, f"{old:,} markets were not looked at for a day" if old else "nothing is stale")
        found = await lab.store.statistics()
        _fill(
            self.store,
            TABLES,
            found.frame().filter(pl.col("rows") > 0),
            f"{found.size / 1e6:,.1f} MB, {found.free / 1e9:,.1f} GB free",
        )
        self.facts.value = markup.card("In the background", self.background())

    def background(self) -> dict[str, str]:
        """What goes on by itself, in words, and what is off."""
        watch = self.lab.alerts.watch
        facts = {"alerts": "not watched" if watch is None or watch.over else bare(watch.status)}
        running = [one for one in self.lab.background if hasattr(one, "status")]
        recordings = [one for one in self.lab.background if hasattr(one, "stats")]
        facts["collector"] = "; ".join(bare(one.status) for one in running) or "none in this session"
        facts["recordings"] = "; ".join(bare(one) for one in recordings) or "none in this session"
        return facts


def _fill(table: Table, columns: Sequence[Column], found: pl.DataFrame, foot: str) -> None:
    """Send only what changed, so that a page in use stays still."""
    rows = found.select(one.name for one in columns)
    if not rows.equals(table.rows):
        table.rows = rows
    table.foot = foot


def _waits(attempts: pl.DataFrame) -> str:
    """How the budget was felt: in tokens a second, of which most requests cost 10."""
    refused = attempts.filter(pl.col("status") == TOO_MANY).height
    longest: Any = attempts["queued"].max()
    waited = "nothing was asked yet" if longest is None else f"the longest wait for a turn was {longest:,.3f} s"
    return f"tokens of the exchange's budget, mostly 10 for a request; {waited}; {refused:,} answers said: too many requests"
