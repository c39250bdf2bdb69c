"""What a sync is going to do: which walks, and what they cost, from what is known of the past."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kalshi_lab.ingest import bars, coverage, datasets, estimate, listings, trades
from kalshi_lab.ingest.sides import MovingCutoff
from kalshi_lab.kalshi import params
from kalshi_lab.store.queries import last_run

if TYPE_CHECKING:
    from datetime import datetime

    from kalshi_lab.ingest.estimate import Expected
    from kalshi_lab.ingest.history import Ask
    from kalshi_lab.ingest.loader import Walk
    from kalshi_lab.kalshi.client import AsyncKalshi
    from kalshi_lab.store import Store


@dataclass(frozen=True, slots=True)
class Work:
    """What a sync is going to do: its walks, what is asked for (subject, since, until), and what that is expected to cost."""

    walks: list[Walk]
    expected: Expected
    wanted: list[tuple[str, datetime, datetime]] = field(default_factory=list)
    minutes: int = 0


class Planner:
    """Turns a question into work: what is held already is not read again unless `resume` is False."""

    def __init__(self, kalshi: AsyncKalshi, store: Store, ask: Ask, now: datetime, *, resume: bool) -> None:
        self._kalshi, self._store, self._ask, self._now, self._resume = kalshi, store, ask, now, resume

    async def work(self, markets: list[dict[str, Any]]) -> Work:
        """The walks; `markets` are those that trades or candlesticks are wanted of."""
        if self._ask.dataset == "series":
            walks = [datasets.listed("all", self._kalshi.series.list(volume=True), datasets.series)]
            return Work(walks, self._expected(1, None))
        begun = await self._begun()
        if self._ask.dataset in {"events", "markets"}:
            return await self._listing(min([self._now, *(row["begun"] for row in begun)]))
        if self._ask.of_markets and not markets:
            return Work([], self._expected(0, 0))
        return await (self._trades(markets, begun) if self._ask.dataset == "trades" else self._candlesticks(markets))

    def _expected(self, requests: int | None, rows: int | None) -> Expected:
        return estimate.expected(self._kalshi, self._ask.dataset, requests, rows)

    async def _begun(self) -> list[dict[str, Any]]:
        """How far each walk came of the last run over this question, if it did not end."""
        if not self._resume or self._store.is_new:
            return []
        found = await last_run(self._store, self._ask.dataset, self._ask.scope)
        return [] if any(not row["walk"] for row in found) else found

    async def _held(
        self, dataset: str, subjects: list[str], **options: Any
    ) -> dict[str, list[tuple[datetime, datetime]]]:
        return await coverage.held(self._store, dataset, subjects, **options) if self._resume and dataset else {}

    async def _listing(self, now: datetime) -> Work:
        """A listing, or what is new in it where all of it was read before."""
        ask, kalshi = self._ask, self._kalshi
        known = listings.watermark(ask, await self._held(listings.kind(ask), ["", ask.series or ""]))
        if ask.dataset == "events":
            return Work([listings.events(kalshi, ask, known, now)], self._expected(None, None))
        cutoff = MovingCutoff(kalshi, "market_settled_ts")
        return Work([listings.markets(kalshi, ask, known, cutoff, now)], self._expected(None, None))

    async def _trades(self, markets: list[dict[str, Any]], begun: list[dict[str, Any]]) -> Work:
        """Windows of trades: what is missing of the time that is wanted, newest first."""
        cutoff = MovingCutoff(self._kalshi, "trades_created_ts")
        held = await self._held("trades", ["", *(row["ticker"] for row in markets)])
        found = trades.missing_of(markets, self._ask.window(self._now), held, self._now)
        missing = await trades.sized(self._kalshi, cutoff, found)
        unfinished = trades.unfinished(begun)
        windows = [window for one in missing for window in one.windows(unfinished, self._now)]
        rows = None if any(one.rows is None for one in missing) else sum(one.rows or 0 for one in missing)
        requests = len(windows) + sum((one.rows or 0) // estimate.PAGE for one in missing)
        walks = trades.TradeWalks(self._kalshi, cutoff)
        asked = [(one.subject, *one.wanted) for one in missing]
        return Work([walks.walk(one) for one in windows], self._expected(requests, rows), asked)

    async def _candlesticks(self, markets: list[dict[str, Any]]) -> Work:
        """Of each market what is missing of the time that is wanted, many live markets in one request."""
        ask, now, minutes = self._ask, self._now, params.interval(self._ask.interval)
        cutoff = MovingCutoff(self._kalshi, "market_settled_ts")
        margin = max(timedelta(minutes=minutes), bars.SETTLED)
        held = await self._held("candlesticks", [row["ticker"] for row in markets], minutes=minutes, margin=margin)
        wanted = {row["ticker"]: bars.life(row, ask.window(now), now) for row in markets}
        missing = [
            one for row in markets for one in bars.missing(row, wanted[row["ticker"]], held.get(row["ticker"], []))
        ]
        batches = bars.batches(missing, minutes, await cutoff.known()) if missing else []
        walks = [bars.BatchWalk(self._kalshi, batch, cutoff, now).walk() for batch in batches]
        requests, rows = sum(len(batch.windows) for batch in batches), sum(batch.periods for batch in batches)
        asked = [(ticker, *wanted[ticker]) for ticker in dict.fromkeys(one.ticker for one in missing)]
        return Work(walks, self._expected(requests, rows), asked, minutes)
