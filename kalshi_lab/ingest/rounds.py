"""What a collector does at a tick of its schedule, and what it wrote down of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from kalshi_lab.clock import span
from kalshi_lab.errors import UsageError
from kalshi_lab.ingest import datasets
from kalshi_lab.ingest.loader import Load
from kalshi_lab.ingest.progress import Progress
from kalshi_lab.kalshi import params
from kalshi_lab.observe import new_request_id
from kalshi_lab.store import writes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from kalshi_lab.clock import Clock
    from kalshi_lab.ingest.history import SyncResult
    from kalshi_lab.ingest.snapshot import Snapshot
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.store import Store

    Step = Callable[[], Awaitable[int]]

SHORTEST = timedelta(seconds=1)
OVERLAP = timedelta(hours=1)  # what settled or traded around the last sync is read twice and kept once
FIRST = timedelta(days=1)  # how far the first sync looks back for results and trades
SNAPSHOT, SYNC = "snapshot", "sync"
TIME = pl.Datetime("us", "UTC")
ROUNDS: dict[str, Any] = {
    "collector": pl.String, "round": pl.Int64, "scope": pl.String, "due_at": TIME, "started_at": TIME, "ended_at": TIME,
    "kind": pl.String, "rows": pl.Int64, "skipped": pl.Int64, "skipped_because": pl.String, "error": pl.String,
}  # fmt: skip
LAST_SYNC = "SELECT max(started_at) AS time FROM rounds WHERE scope = $1 AND kind = 'sync' AND error = ''"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is collected, checked: the two intervals, the series (none: the whole exchange), and those whose trades are kept too."""

    every: timedelta
    sync_every: timedelta
    series: tuple[str, ...]
    trades: tuple[str, ...]
    rounds: int | None

    @property
    def scope(self) -> str:
        """The question in one line, the same for the same question."""
        chosen = {"series": self.series, "trades": self.trades}
        return json.dumps({name: value for name, value in chosen.items() if value}, sort_keys=True)


def planned(
    every: timedelta | str,
    sync_every: timedelta | str,
    *,
    series: str | Iterable[str] | None,
    trades: str | Iterable[str] | None,
    rounds: int | None,
) -> Plan:
    """The plan, checked; UsageError says what is wrong with it."""
    often, seldom = span(every, what="every"), span(sync_every, what="sync_every")
    if often < SHORTEST:
        raise UsageError(f"every {every!r} is too short", hint='Give "1s" at least; "15m" is usual')
    if seldom < often:
        raise UsageError(f"sync_every {sync_every!r} is shorter than every {every!r}", hint="A sync belongs to a round")
    if rounds is not None and rounds < 1:
        raise UsageError(f"rounds {rounds!r} is not a number from 1", hint="None collects until it is stopped")
    return Plan(often, seldom, _series(series), _series(trades), rounds)


def _series(given: str | Iterable[str] | None) -> tuple[str, ...]:
    names = [given] if isinstance(given, str) else list(given or ())
    return tuple(dict.fromkeys(params.ticker(name, "series") for name in names))


@dataclass(frozen=True, slots=True)
class Round:
    """One round, as the table `rounds` has it."""

    collector: str
    round: int
    scope: str
    due_at: datetime
    started_at: datetime
    ended_at: datetime
    kind: str
    rows: int
    skipped: int
    skipped_because: str
    error: str

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped before it ({self.skipped_because})" if self.skipped else ""
        took = (self.ended_at - self.started_at).total_seconds()
        failed = f", FAILED: {self.error}" if self.error else ""
        return f"round {self.round}: {self.kind}, {self.rows:,} rows in {took:.1f} s{skipped}{failed}"


async def enter(store: Store, made: Round) -> None:
    """Write a round down."""
    await store.write(
        lambda connection: writes.insert(connection, "rounds", pl.DataFrame([asdict(made)], schema=ROUNDS))
    )


class Work:
    """The steps of a round: quotes always; series, events, open markets with their rules, new results and trades in a sync.

    A market's rules leave the exchange's answers once it is final, so they are read while it is open: by the first snapshot that
    meets it, and again by every sync.
    """

    def __init__(
        self,
        kalshi: AsyncKalshi,
        store: Store,
        clock: Clock,
        plan: Plan,
        *,
        snapshot: Callable[..., Awaitable[Snapshot]],
        sync: Callable[..., Awaitable[SyncResult]],
    ) -> None:
        self._kalshi, self._store, self._clock, self._plan = kalshi, store, clock, plan
        self._snapshot, self._sync = snapshot, sync

    async def steps(self, kind: str) -> list[Step]:
        """The steps in order; each gives how many rows it wrote."""
        chosen: list[str | None] = [*self._plan.series] or [None]
        found: list[Step] = [_bound(self._quotes, one) for one in chosen]
        if kind == SNAPSHOT:
            return found
        since = await self._since()
        found.append(_bound(self._rows, "series"))
        for one in chosen:
            found += [_bound(self._rows, name, status="open", series=one) for name in ("events", "markets")]
            found.append(_bound(self._results, one, since))
        return found + [_bound(self._rows, "trades", series=one, since=since) for one in self._plan.trades]

    async def _since(self) -> datetime:
        """From when on results and trades are missing."""
        found = (await self._store.read(LAST_SYNC, [self._plan.scope])).item()
        return self._clock.now() - FIRST if found is None else found - OVERLAP

    async def _quotes(self, series: str | None) -> int:
        made = await self._snapshot(series=series, progress=False)
        return made.changed + made.gone

    async def _rows(self, dataset: str, **chosen: Any) -> int:
        return (await self._sync(dataset, **chosen, progress=False)).stored

    async def _results(self, series: str | None, since: datetime) -> int:
        """Markets that were settled since a moment, with their results."""
        pages = self._kalshi.markets.list(series=series, settled=(since, None))
        walk = datasets.listed("live", pages, datasets.markets_of(series))
        chosen = {"settled": since.isoformat(), **({"series": series} if series else {})}
        scope = json.dumps(chosen, sort_keys=True)
        with Progress("results", shown=False) as bar:
            load = Load(self._store, self._clock, "markets", scope, new_request_id(), bar)
            return (await load.run([walk])).stored


def _bound(work: Callable[..., Awaitable[int]], *given: Any, **named: Any) -> Step:
    return lambda: work(*given, **named)
