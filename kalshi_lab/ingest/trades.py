"""Trades of the whole exchange or of markets, in windows of bounded size that are walked side by side."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kalshi_lab.ingest import coverage, datasets, estimate
from kalshi_lab.ingest.sides import MovingCutoff, Stage, chained
from kalshi_lab.ingest.windows import OPENED, OVERLAP, Window, cut, length, named, whole, without
from kalshi_lab.kalshi.markets import PAGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from kalshi_lab.ingest.loader import Part, Walk
    from kalshi_lab.ingest.windows import Stretch
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.kalshi.pages import AsyncPages

ALL = ""  # the whole exchange
PAGES = 20  # of a window, about: small enough that several fit into memory's and DuckDB's grasp at once
SIZE = 40  # contracts of a trade, about
LONGEST = 30 * 86_400  # seconds of a window
OVER = frozenset({"closed", "determined", "finalized", "settled"})  # statuses of markets that trade no more


@dataclass(frozen=True)
class Missing:
    """What is missing of one subject: the stretches, what is held of it, and about how many trades that is (None: no telling)."""

    subject: str
    wanted: Stretch
    stretches: list[Stretch]
    held: list[Stretch]
    rows: int | None = field(default=None)

    def windows(self, unfinished: Iterable[Window], now: datetime) -> list[Window]:
        """The windows that an earlier run began, as they were, and new ones for the rest; newest first."""
        begun = [one for one in unfinished if one.subject == self.subject and _within(one.settled, self.stretches)]
        rest = without(self.stretches, [one.settled for one in begun])
        seconds = length(self.stretches).total_seconds()
        size = (
            timedelta(days=1) if not self.rows else timedelta(seconds=min(PAGES * PAGE * seconds / self.rows, LONGEST))
        )
        made = [*begun, *cut(self.subject, rest, self.held, size, now)]
        return sorted(made, key=lambda one: one.until, reverse=True)


def _within(one: Stretch, stretches: Sequence[Stretch]) -> bool:
    return any(one[0] < until and since < one[1] for since, until in stretches)


def missing_of(
    markets: Sequence[dict[str, Any]], asked: tuple[datetime | None, datetime | None], held: dict[str, list[Stretch]], now: datetime
) -> list[Missing]:  # fmt: skip
    """What is missing of each market, or of the whole exchange where no market is named."""
    found = []
    for market in markets or [{"ticker": ALL}]:
        if market.get("volume") == 0 and market.get("status") in OVER:
            continue  # nobody ever traded there
        wanted = _wanted(market, asked, now)
        known = [*held.get(ALL, ()), *(held.get(market["ticker"], ()) if market["ticker"] else ())]
        stretches = without([wanted], known)
        if stretches and wanted[0] < wanted[1]:
            found.append(Missing(market["ticker"], wanted, stretches, known, _rows(market, wanted, stretches)))
    return found


def _wanted(market: dict[str, Any], asked: tuple[datetime | None, datetime | None], now: datetime) -> Stretch:
    """The part of the asked time in which a market can have traded, in whole seconds."""
    since, until = asked[0] or OPENED, min(asked[1] or now, now)
    opened, closed = market.get("open_time"), market.get("close_time")
    if opened is not None:
        since = max(since, opened - OVERLAP)
    if closed is not None and market.get("status") in OVER:
        until = min(until, closed + OVERLAP)
    return whole(since), whole(until)


def _rows(market: dict[str, Any], wanted: Stretch, stretches: Sequence[Stretch]) -> int | None:
    volume = market.get("volume")
    if volume is None or wanted[0] >= wanted[1]:
        return None
    return round(float(volume) / SIZE * (length(stretches) / (wanted[1] - wanted[0])))


def unfinished(rows: Iterable[dict[str, Any]]) -> list[Window]:
    """The windows that a run began and did not end, from its rows in the ledger."""
    begun = [named(row["walk"], row["begun"]) for row in rows if row["next_cursor"]]
    return [one for one in begun if one is not None]


class TradeWalks:
    """The walks over windows of trades, with one idea of where the cutoff is."""

    def __init__(self, kalshi: AsyncKalshi, cut_at: MovingCutoff) -> None:
        self._kalshi, self._cut = kalshi, cut_at

    def walk(self, window: Window) -> Walk:
        """Live trades of a window, then those that the historical side alone has by then."""

        async def live() -> AsyncPages[Any] | None:
            cutoff = await self._cut.known()
            return self._live(window) if cutoff is None or window.until > cutoff - OVERLAP else None

        async def historical() -> AsyncPages[Any] | None:
            cutoff = await self._cut.fresh()
            if cutoff is None or window.since >= cutoff:
                return None
            last = min(window.until, cutoff + OVERLAP)
            return self._kalshi.historical.trades(window.subject or None, since=window.since, until=last)

        def finish() -> Sequence[Part]:
            read = [(window.subject, window.grows, window.until)]
            return [coverage.finished("trades", read, window.asked_at, self._cut.at)]

        listing = self._live(window).listing
        stages = [Stage("live", live), Stage("historical", historical)]
        return chained(window.name, stages, lambda arrived: datasets.trades(listing, arrived), finish)

    def _live(self, window: Window) -> AsyncPages[Any]:
        return self._kalshi.markets.trades(window.subject or None, since=window.since, until=window.until)


async def sized(kalshi: AsyncKalshi, cut_at: MovingCutoff, missing: Sequence[Missing]) -> list[Missing]:
    """The same, with the trades of the whole exchange counted, about."""
    found = []
    for one in missing:
        rows = one.rows if one.subject else await estimate.trades_in(kalshi, cut_at, one.stretches)
        found.append(Missing(one.subject, one.wanted, one.stretches, one.held, rows))
    return found
