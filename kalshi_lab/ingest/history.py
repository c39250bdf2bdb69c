"""`sync`: a dataset of the exchange into the store, live and historical as one, incremental and resumable."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from kalshi_lab import markup
from kalshi_lab.clock import When, between
from kalshi_lab.errors import RequestError, UsageError, one_of
from kalshi_lab.ingest import coverage, datasets
from kalshi_lab.ingest.loader import Load, Loaded
from kalshi_lab.ingest.planner import Planner
from kalshi_lab.ingest.progress import Progress
from kalshi_lab.ingest.snapshot import combos_left_out, combos_said
from kalshi_lab.kalshi import params
from kalshi_lab.observe import new_request_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kalshi_lab.clock import Clock
    from kalshi_lab.ingest.estimate import Expected
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.store import Store

log = logging.getLogger(__name__)
DRY_RUN = "dry run"  # in place of a run's id
Dataset = Literal["markets", "events", "series", "trades", "candlesticks"]
DATASETS: tuple[Dataset, ...] = ("candlesticks", "events", "markets", "series", "trades")
FRESH = timedelta(hours=1)  # half a listing of that age is still the same listing


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What a sync did; received = stored + duplicate + quarantined. `expected`: what it was going to be, by what was known before."""

    dataset: str
    run_id: str
    pages: int
    received: int
    stored: int
    duplicate: int
    quarantined: int
    resumed_pages: int
    seconds: float
    expected: Expected
    combos_left_out: int | None = None
    combos_exact: bool = True

    def __repr__(self) -> str:
        if self.run_id == DRY_RUN:
            return f"<SyncResult {self.dataset}, dry run: {self.expected}>"
        resumed = f", resumed after {self.resumed_pages:,} pages" if self.resumed_pages else ""
        aside = f", {self.quarantined:,} QUARANTINED" if self.quarantined else ""
        combos = combos_said(self.combos_left_out, exact=self.combos_exact)
        return (
            f"<SyncResult {self.dataset}: {self.stored:,} stored of {self.received:,} received ({self.duplicate:,} known){aside}"
            f", {self.pages:,} pages in {self.seconds:.1f} s{resumed}{combos}>"
        )

    def _facts(self) -> dict[str, object]:
        combos = combos_said(self.combos_left_out, exact=self.combos_exact).removeprefix(", ") or None
        names = ("received", "stored", "duplicate", "quarantined", "pages", "resumed_pages")
        counts = {name: f"{getattr(self, name):,}" for name in names}
        return counts | {
            "seconds": f"{self.seconds:.1f}",
            "combos": combos,
            "expected": self.expected,
            "run": self.run_id,
        }

    def _repr_html_(self) -> str:
        return markup.card(
            f"Sync of {self.dataset}",
            {name: value for name, value in self._facts().items() if value is not None},
        )


@dataclass(frozen=True, slots=True)
class Ask:
    """What a sync was asked for, checked; `since` and `until` as given make the scope, so that the same words resume."""

    dataset: Dataset
    status: str | None
    series: str | None
    event: str | None
    tickers: tuple[str, ...]
    since: When | None
    until: When | None
    interval: str | int
    combos: bool
    nested: bool

    @property
    def of_markets(self) -> bool:
        """Whether it names markets, one by one or by their event or series."""
        return bool(self.series or self.event or self.tickers)

    @property
    def scope(self) -> str:
        """The question in one line, the same for the same question."""
        chosen = {name: getattr(self, name) for name in self.__slots__ if getattr(self, name) and name != "dataset"}
        if self.dataset != "candlesticks":
            chosen.pop("interval", None)
        return json.dumps(chosen, sort_keys=True, default=str)

    def window(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """The half-open interval that is wanted."""
        return between(self.since, self.until, now=now)


def asked(
    dataset: str,
    *,
    status: str | None,
    series: str | None,
    event: str | None,
    tickers: str | Iterable[str] | None,
    since: When | None,
    until: When | None,
    interval: str | int,
    combos: bool,
    nested: bool,
    now: datetime,
) -> Ask:
    """The question, checked before anything is sent; UsageError says what is wrong with it."""
    kind: Any = one_of("dataset", dataset, DATASETS)
    names = tuple(params.tickers(tickers)) if tickers is not None else ()
    between(since, until, now=now)
    params.interval(interval)
    if kind in {"markets", "events", "series"} and (since is not None or until is not None):
        raise UsageError(f"sync of {kind} takes no time window", hint="since and until are for trades and candlesticks")
    if kind == "candlesticks" and not (series or event or names):
        raise UsageError("sync of candlesticks needs tickers, an event or a series")
    words = params.EVENT_STATUSES if kind == "events" else params.STATUSES
    return Ask(
        kind, params.status(status, words), series and params.ticker(series, "series"), event and params.ticker(event, "event"),
        names, since, until, params.interval(interval), combos, nested,
    )  # fmt: skip


async def sync(
    kalshi: AsyncKalshi,
    store: Store,
    clock: Clock,
    ask: Ask,
    *,
    resume: bool = True,
    dry_run: bool = False,
    progress: bool | None = None,
) -> SyncResult:
    """Bring one dataset into the store; see `AsyncLab.sync`."""
    began, now = clock.monotonic(), clock.now()
    ahead = Planner(kalshi, store, ask, now, resume=resume)
    wanted = await _wanted(kalshi, store, clock, ask, dry_run=dry_run, progress=progress)
    work = await ahead.work(wanted)
    if dry_run:
        return _result(ask, Loaded(DRY_RUN), work.expected, clock.monotonic() - began)
    log.info("sync %s: %s", ask.dataset, work.expected)
    await coverage.asked(store, ask.dataset, work.wanted, now, work.minutes)
    fresh_for = None if ask.dataset in {"trades", "candlesticks"} else FRESH
    counting = asyncio.create_task(_left_out(kalshi, ask))
    try:
        with Progress(f"sync {ask.dataset}", total=work.expected.rows, shown=progress, clock=clock) as bar:
            load = Load(store, clock, ask.dataset, ask.scope, new_request_id(), bar, fresh_for)
            done = await load.run(work.walks, resume=resume)
        count, exact = await counting
    finally:
        counting.cancel()
        await asyncio.gather(counting, return_exceptions=True)
    return _result(ask, done, work.expected, clock.monotonic() - began, (count, exact))


def _result(
    ask: Ask, done: Loaded, expected: Expected, seconds: float, left_out: tuple[int | None, bool] = (None, True)
) -> SyncResult:
    return SyncResult(
        ask.dataset, done.run_id, done.pages, done.received, done.stored, done.duplicate, done.quarantined, done.resumed_pages,
        seconds, expected, *left_out,
    )  # fmt: skip


async def _left_out(kalshi: AsyncKalshi, ask: Ask) -> tuple[int | None, bool]:
    if ask.dataset != "markets" or ask.combos or ask.tickers:
        return None, True
    try:
        count, exact = await combos_left_out(kalshi, status=ask.status, series=ask.series, event=ask.event)
    except RequestError as error:  # what is only counted must not fail what was stored
        log.warning("the combos left out could not be counted: %s", error)
        return None, False
    return count, exact and ask.status not in {None, "settled"}  # nothing counts those that are historical by now


async def _wanted(
    kalshi: AsyncKalshi, store: Store, clock: Clock, ask: Ask, *, dry_run: bool, progress: bool | None
) -> list[dict[str, Any]]:
    """The markets that trades or candlesticks are wanted of: a series or event is listed first, since markets join it."""
    if ask.dataset not in {"trades", "candlesticks"} or not ask.of_markets:
        return []
    found = [] if store.is_new else await datasets.known_markets(store, ask.series, ask.event, ask.tickers)
    if dry_run:
        return found  # a listing would write
    if not ask.tickers or len(found) < len(ask.tickers):
        listing = replace(ask, dataset="markets", since=None, until=None, nested=False)
        await sync(kalshi, store, clock, listing, resume=True, progress=progress)
        found = await datasets.known_markets(store, ask.series, ask.event, ask.tickers)
    unknown = set(ask.tickers) - {row["ticker"] for row in found}
    if unknown:
        raise UsageError(f"the exchange does not know {', '.join(sorted(unknown)[:5])}")
    status = {answer for answer, word in params.ANSWERED.items() if word == ask.status} | {ask.status}
    return [row for row in found if ask.status is None or row["status"] in status]
