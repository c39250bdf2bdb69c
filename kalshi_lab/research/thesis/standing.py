"""How a thesis stands: its quotes, its path, its criteria, and its resolution, each change kept as a version."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from kalshi_lab.errors import UsageError
from kalshi_lab.research.thesis import criteria, lookup, versions
from kalshi_lab.research.thesis.record import PATH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from kalshi_lab.clock import Clock
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.models import Market
    from kalshi_lab.research.thesis.criteria import Check
    from kalshi_lab.research.thesis.evidence import Evidence
    from kalshi_lab.research.thesis.record import Thesis
    from kalshi_lab.store import Store

WATCHED = ("draft", "active")
VALUES = """
WITH known AS (
    SELECT markets.ticker, markets.expiration_value,
           coalesce(markets.series_ticker, events.series_ticker, split_part(markets.event_ticker, '-', 1)) AS series,
           coalesce(results.settlement_ts, markets.settlement_ts, markets.close_time) AS time
    FROM markets LEFT JOIN results ON results.ticker = markets.ticker LEFT JOIN events ON events.event_ticker = markets.event_ticker
    WHERE nullif(markets.expiration_value, '') IS NOT NULL
)
SELECT series, arg_max(ticker, time) AS ticker, arg_max(expiration_value, time) AS value
FROM known WHERE list_contains($1, series) AND time <= $2 AND time >= $3 GROUP BY series
"""


def is_open(thesis: Thesis) -> bool:
    """Whether the exchange has something to say about it: it is watched, or its results are still to be confirmed."""
    return thesis.status in WATCHED or (
        thesis.status == "resolved" and any(market.result is None for market in thesis.markets)
    )


def others(thesis: Thesis) -> list[str]:
    """The markets that its criteria name and that are not its own."""
    named = [one.subject for one in criteria.criteria(thesis.invalidation) if one.kind == criteria.PRICE]
    return [ticker for ticker in dict.fromkeys(named) if ticker not in thesis.tickers]


async def settled(
    kalshi: AsyncKalshi,
    store: Store,
    clock: Clock,
    draft: Thesis,
    *,
    found: Mapping[str, Market],
    more: Sequence[Evidence] = (),
    wanted: bool,
) -> Thesis:
    """The thesis after a look, kept as a version where something was `wanted`, it is resolved, or a criterion stands differently.

    Raises UsageError where another process changed it while something was wanted.
    """
    now = clock.now()
    seen = _seen(draft, found)
    resolves = is_open(draft) and seen.status != "draft" and all(one.result is not None for one in seen.markets)
    if resolves:
        seen = replace(seen, status="resolved", note=seen.note if wanted else "")
    opened = {market.ticker: market.open_time for market in found.values() if market.open_time is not None}
    until = min(now, seen.resolved_at) if seen.resolved_at else now
    path, gaps = await lookup.path(kalshi, store, seen, until, opened)
    seen = replace(seen, path=path, gaps=(*seen.gaps, *gaps), evidence=(*seen.evidence, *more))
    before = seen.checks
    if draft.status in WATCHED:
        seen = replace(seen, checks=await _checks(store, seen, found, now))
    if not (wanted or resolves or [_stand(one) for one in before] != [_stand(one) for one in seen.checks]):
        return replace(seen, history=await versions.history(store, seen.name))
    note = seen.note if wanted else ""
    kept = await versions.append(store, replace(seen, time=now, note=note), more)
    if kept is None:
        return await _meanwhile(store, seen, wanted=wanted)
    at = now if resolves and kept.resolved_at is None else kept.resolved_at
    return replace(kept, resolved_at=at, history=await versions.history(store, kept.name))


async def _meanwhile(store: Store, seen: Thesis, *, wanted: bool) -> Thesis:
    """Another process kept a version first: what was wanted is refused, and who only looked sees what is kept."""
    if wanted:
        raise changed(seen.name)
    kept = (await versions.latest(store, seen.name))[0]
    return replace(kept, path=seen.path, gaps=seen.gaps, history=await versions.history(store, seen.name))


def changed(name: str) -> UsageError:
    """That somebody else kept a version first."""
    return UsageError(f"thesis {name!r} was changed meanwhile by another process", hint="Look at it again, then repeat")


def _seen(draft: Thesis, found: Mapping[str, Market]) -> Thesis:
    """The thesis with today's quotes and what is not known of them."""
    if not is_open(draft):
        return draft
    markets = tuple(market.seen(found.get(market.ticker)) for market in draft.markets)
    lost = [market.ticker for market in markets if market.result is None and market.ticker not in found]
    return replace(draft, markets=markets, gaps=tuple(f"{ticker} (the exchange lists it no longer)" for ticker in lost))


def _stand(check: Check) -> tuple[str, str]:
    """How a criterion stands. What is not known is no change, and neither is a hint that moved to another passage."""
    return check.criterion, "not met" if check.verdict == criteria.UNKNOWN else check.verdict


async def _checks(store: Store, seen: Thesis, found: Mapping[str, Market], now: datetime) -> tuple[Check, ...]:
    """Each criterion held against the prices since it was written down; one that was met stays so."""
    wanted = criteria.criteria(seen.invalidation)
    series = [one.subject for one in wanted if one.kind == criteria.SERIES]
    met = {one.criterion: one for one in seen.checks if one.verdict == criteria.MET}
    path = await _prices(store, seen, found, now)
    checks = []
    for one in wanted:
        if one.words in met:
            checks.append(met[one.words])
            continue
        since = await _since(store, seen.name, one.words, now)
        told = (await store.read(VALUES, [series, now, since])).rows() if one.kind == criteria.SERIES else []
        values = {name: (ticker, value) for name, ticker, value in told}
        checks += criteria.checked([one], criteria.Known(path, values, seen.evidence, since, now))
    return tuple(checks)


async def _prices(store: Store, seen: Thesis, found: Mapping[str, Market], now: datetime) -> pl.DataFrame:
    """What is known of the prices of its markets and of those that its criteria name, with the quotes of this moment."""
    more = others(seen)
    kept = await lookup.kept(store, more) if more else seen.path.clear()
    quotes = [(one.ticker, now, *lookup.real(one.yes_bid, one.yes_ask), None) for one in found.values()]
    return pl.concat([seen.path, kept, pl.DataFrame(quotes, schema=PATH, orient="row")])


async def _since(store: Store, name: str, words: str, now: datetime) -> datetime:
    """When a criterion was written down first."""
    found = (await store.read(versions.WRITTEN, [name, words])).item()
    return found or now
