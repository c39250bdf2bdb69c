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
from kalshi_lab.ingest import datasets
from kalshi_lab.ingest.loader import Load, Loaded, Walk
from kalshi_lab.ingest.progress import Progress
from kalshi_lab.ingest.snapshot import combos_left_out, combos_said
from kalshi_lab.kalshi import params
from kalshi_lab.observe import new_request_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from kalshi_lab.clock import Clock
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.store import Store

log = logging.getLogger(__name__)
Dataset = Literal["markets", "events", "series", "trades", "candlesticks"]
DATASETS: tuple[Dataset, ...] = ("candlesticks", "events", "markets", "series", "trades")
FRESH = timedelta(hours=1)  # half a listing of that age is still the same listing
OVERLAP = timedelta(hours=1)  # the cutoffs move while both sides are read: an hour is read twice and kept once


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What a sync did; received = stored + duplicate + quarantined."""

    dataset: str
    run_id: str
    pages: int
    received: int
    stored: int
    duplicate: int
    quarantined: int
    resumed_pages: int
    seconds: float
    combos_left_out: int | None = None
    combos_exact: bool = True

    def __repr__(self) -> str:
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
        return counts | {"seconds": f"{self.seconds:.1f}", "combos": combos, "run": self.run_id}

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
    kalshi: AsyncKalshi, store: Store, clock: Clock, ask: Ask, *, resume: bool = True, progress: bool | None = None
) -> SyncResult:
    """Bring one dataset into the store; see `AsyncLab.sync`."""
    began = clock.monotonic()
    walks = await _walks(kalshi, store, clock, ask, progress)
    fresh_for = None if ask.dataset in {"trades", "candlesticks"} else FRESH
    counting = asyncio.create_task(_left_out(kalshi, ask))
    try:
        with Progress(f"sync {ask.dataset}", shown=progress) as bar:
            load = Load(store, clock, ask.dataset, ask.scope, new_request_id(), bar, fresh_for)
            done = await load.run(walks, resume=resume)
        count, exact = await counting
    finally:
        counting.cancel()
        await asyncio.gather(counting, return_exceptions=True)
    return _result(ask, done, clock.monotonic() - began, count, exact)


def _result(ask: Ask, done: Loaded, seconds: float, count: int | None, exact: bool) -> SyncResult:
    return SyncResult(
        ask.dataset, done.run_id, done.pages, done.received, done.stored, done.duplicate, done.quarantined, done.resumed_pages,
        seconds, count, exact,
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


async def _walks(kalshi: AsyncKalshi, store: Store, clock: Clock, ask: Ask, progress: bool | None) -> list[Walk]:
    if ask.dataset == "series":
        return [datasets.listed("all", kalshi.series.list(volume=True), datasets.series)]
    if ask.dataset == "events":
        return [_events(kalshi, ask)]
    if ask.dataset == "markets":
        return _markets(kalshi, ask)
    wanted = await _wanted(kalshi, store, clock, ask, progress)
    if ask.dataset == "trades":
        return await _trades(kalshi, clock, ask, [row["ticker"] for row in wanted])
    cutoff = await kalshi.historical.cutoff()
    return [_candles(kalshi, clock, ask, row, cutoff.market_settled_ts) for row in wanted]


def _events(kalshi: AsyncKalshi, ask: Ask) -> Walk:
    named = ask.event or ask.tickers or None
    pages = kalshi.events.list(status=ask.status, series=ask.series, tickers=named, markets=ask.nested)
    return datasets.listed("live", pages, datasets.events)


def _markets(kalshi: AsyncKalshi, ask: Ask) -> list[Walk]:
    """Live markets, and where settled ones are wanted also those that the historical endpoint alone still has."""
    decode = datasets.markets_of(ask.series)
    live = kalshi.markets.list(
        status=ask.status, series=ask.series, event=ask.event, tickers=ask.tickers or None, combos=ask.combos
    )
    walks = [datasets.listed("live", live, decode)]
    if ask.status in {None, "settled"}:
        series = None if ask.tickers or ask.event else ask.series
        event = None if ask.tickers else ask.event
        old = kalshi.historical.markets(series=series, event=event, tickers=ask.tickers or None, combos=ask.combos)
        walks.append(datasets.listed("historical", old, decode))
    return walks


async def _wanted(
    kalshi: AsyncKalshi, store: Store, clock: Clock, ask: Ask, progress: bool | None
) -> list[dict[str, Any]]:
    """The markets that trades or candlesticks are wanted of: a series or event is listed first, since markets join it."""
    if not (ask.series or ask.event or ask.tickers):
        return []
    found = await datasets.known_markets(store, ask.series, ask.event, ask.tickers)
    if not ask.tickers or len(found) < len(ask.tickers):
        listing = replace(ask, dataset="markets", since=None, until=None, nested=False)
        await sync(kalshi, store, clock, listing, resume=True, progress=progress)
        found = await datasets.known_markets(store, ask.series, ask.event, ask.tickers)
    unknown = set(ask.tickers) - {row["ticker"] for row in found}
    if unknown:
        raise UsageError(f"the exchange does not know {', '.join(sorted(unknown)[:5])}")
    status = {answer for answer, word in params.ANSWERED.items() if word == ask.status} | {ask.status}
    return [row for row in found if ask.status is None or row["status"] in status]


async def _trades(kalshi: AsyncKalshi, clock: Clock, ask: Ask, names: list[str]) -> list[Walk]:
    """Live trades, and historical ones where the window reaches behind the cutoff; with an overlap, so that none falls between."""
    since, until = ask.window(clock.now())
    cutoff = (await kalshi.historical.cutoff()).trades_created_ts
    walks = []
    chosen: list[str | None] = [*names] or [None]
    for name in chosen:
        label = name or "all"
        if cutoff is None or until is None or until > cutoff:
            first = since if cutoff is None or (since is not None and since > cutoff) else cutoff - OVERLAP
            walks.append(
                datasets.listed(f"{label} live", kalshi.markets.trades(name, since=first, until=until), datasets.trades)
            )
        if cutoff is not None and (since is None or since < cutoff):
            last = cutoff + OVERLAP if until is None or until > cutoff else until
            walks.append(
                datasets.listed(
                    f"{label} historical", kalshi.historical.trades(name, since=since, until=last), datasets.trades
                )
            )
    return walks


def _candles(kalshi: AsyncKalshi, clock: Clock, ask: Ask, market: dict[str, Any], cutoff: datetime | None) -> Walk:
    """Candlesticks of a market over its life or the part of it that is wanted, from the side of the cutoff where it is."""
    now = clock.now()
    since, until = ask.window(now)
    since = max(filter(None, (since, market["open_time"]))) if since or market["open_time"] else now - timedelta(days=7)
    until = min(filter(None, (until, market["close_time"], now)))
    settled = market["settlement_ts"]
    old = settled is not None and cutoff is not None and settled < cutoff
    series = ask.series or market["series_ticker"]
    minutes = params.interval(ask.interval)
    wanted = datasets.Bars(market["ticker"], series, minutes, since, until, historical=old)

    def pages(cursor: str, _seen: int) -> AsyncIterator[Any]:
        return datasets.candle_pages(kalshi, wanted, cursor)

    return Walk(market["ticker"], pages, datasets.candles_of(market["ticker"], minutes))
