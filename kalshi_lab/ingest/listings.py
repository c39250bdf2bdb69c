"""Markets and events: the whole listing once, then what was changed, created or settled since, live and historical as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalshi_lab.ingest import coverage, datasets
from kalshi_lab.ingest.sides import Stage, chained
from kalshi_lab.ingest.windows import OPENED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from kalshi_lab.ingest.history import Ask
    from kalshi_lab.ingest.loader import Part, Walk
    from kalshi_lab.ingest.sides import MovingCutoff
    from kalshi_lab.ingest.windows import Stretch
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.kalshi.pages import AsyncPages


def kind(ask: Ask) -> str:
    """The dataset's name in the coverage: settled markets alone are one of their own. Empty for a question that never gets shorter."""
    if ask.event or ask.tickers or ask.nested or ask.status not in {None, "settled"}:
        return ""
    if ask.status == "settled":
        return "settled markets" if ask.dataset == "markets" else ""
    return ask.dataset


def watermark(ask: Ask, held: dict[str, list[Stretch]]) -> datetime | None:
    """Up to when the listing is known, where it is."""
    if not kind(ask) or ask.combos:
        return None
    found = [until for subject in {"", ask.series or ""} for _, until in held.get(subject, ())]
    return max(found, default=None)


def markets(kalshi: AsyncKalshi, ask: Ask, known: datetime | None, cut: MovingCutoff, now: datetime) -> Walk:
    """Live markets, and then, where settled ones are wanted, those that only the historical side has by now.

    What was known up to a moment is not read again: markets that were archived since had been settled before it, unless the cutoff has
    come to be later than that.
    """
    chosen: dict[str, Any] = {"series": ask.series, "combos": ask.combos}
    if known is None:
        named: dict[str, Any] = {"event": ask.event, "tickers": ask.tickers or None}
        stages = [_stage("live", kalshi.markets.list(status=ask.status, **chosen, **named))]
    elif ask.status == "settled":
        stages = [_stage("settled", kalshi.markets.list(status="settled", settled=(known, None), **chosen))]
    else:
        # the order in which a market passes through them: one that changes meanwhile is met in a later one
        lists: dict[str, AsyncPages[Any]] = {
            "created": kalshi.markets.list(created=(known, None), **chosen),
            "updated": kalshi.markets.list(updated=(known, None), **chosen),
            "settled": kalshi.markets.list(settled=(known, None), **chosen),
        }
        stages = [_stage(name, pages) for name, pages in lists.items()]
    if ask.status in {None, "settled"}:
        stages.append(_archived(kalshi, ask, known, cut))

    def finish() -> Sequence[Part]:
        read = [(ask.series or "", OPENED, now)] if kind(ask) else []
        return [coverage.finished(kind(ask) or "markets", read, now, cut.at)]

    decode = datasets.markets_of(ask.series)
    listing = kalshi.markets.list().listing
    return chained(_name(known), stages, lambda arrived: decode(listing, arrived), finish)


def _archived(kalshi: AsyncKalshi, ask: Ask, known: datetime | None, cut: MovingCutoff) -> Stage:
    async def pages() -> AsyncPages[Any] | None:
        cutoff = await cut.fresh()
        if known is not None and (cutoff is None or cutoff <= known):
            return None
        series = None if ask.tickers or ask.event else ask.series
        event = None if ask.tickers else ask.event
        return kalshi.historical.markets(series=series, event=event, tickers=ask.tickers or None, combos=ask.combos)

    return Stage("historical", pages)


def events(kalshi: AsyncKalshi, ask: Ask, known: datetime | None, now: datetime) -> Walk:
    """Events, which are live for ever; those that were changed since a moment where the others are known."""
    named = ask.event or ask.tickers or None
    pages = kalshi.events.list(
        status=ask.status, series=ask.series, tickers=named, markets=ask.nested, updated_since=known
    )

    def finish() -> Sequence[Part]:
        return [coverage.finished("events", [(ask.series or "", OPENED, now)], now, None)] if kind(ask) else []

    return chained(
        _name(known), [_stage("live", pages)], lambda arrived: datasets.events(pages.listing, arrived), finish
    )


def _stage(name: str, pages: AsyncPages[Any]) -> Stage:
    async def ready() -> AsyncPages[Any]:
        return pages

    return Stage(name, ready)


def _name(known: datetime | None) -> str:
    return "all" if known is None else f"since {known:%Y-%m-%dT%H:%M:%SZ}"
