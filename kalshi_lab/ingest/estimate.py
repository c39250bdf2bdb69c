"""What a sync is going to cost, before it starts: requests, minutes and megabytes; unknown stays None."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kalshi_lab.ingest.windows import length

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from kalshi_lab.ingest.sides import MovingCutoff
    from kalshi_lab.ingest.windows import Stretch
    from kalshi_lab.kalshi.client import AsyncKalshi

PAGE = 1_000
# bytes of a row as it arrives, before compression: means of recorded answers
BYTES = {"trades": 330, "markets": 2_300, "candlesticks": 620, "events": 900, "series": 1_500}
PACE = 40_000.0  # rows a second that two cores decode and write, where the rate budget is not what limits
TOKENS = 10.0  # of a request
PROBES = 3
SHORT = timedelta(hours=6)  # not worth a look before


@dataclass(frozen=True, slots=True)
class Expected:
    """What a sync expected to do before it began.

    requests and rows: None where nothing tells; minutes: under the present rate budget; megabytes: of answers, before compression.
    """

    requests: int | None
    rows: int | None
    minutes: float | None
    megabytes: float | None

    def __str__(self) -> str:
        if self.requests is None:
            return "no telling how much"
        size = "" if self.megabytes is None else f", {self.megabytes:,.1f} MB"
        rows = "" if self.rows is None else f", {self.rows:,} rows"
        time = (
            ""
            if self.minutes is None
            else f", {self.minutes:,.1f} min"
            if self.minutes >= 1
            else ", less than a minute"
        )
        return f"about {self.requests:,} request{'s' * (self.requests != 1)}{rows}{size}{time}"


def expected(kalshi: AsyncKalshi, dataset: str, requests: int | None, rows: int | None) -> Expected:
    """The time is that of the rate budget or that of the writing, whichever is longer."""
    if requests is None:
        return Expected(None, rows, None, None)
    rate = float(kalshi.door.state["rate"])
    seconds = max(requests * TOKENS / rate, (rows or 0) / PACE)
    return Expected(requests, rows, seconds / 60, None if rows is None else rows * BYTES[dataset] / 1e6)


async def trades_in(kalshi: AsyncKalshi, cut: MovingCutoff, missing: Sequence[Stretch]) -> int | None:
    """About how many trades of the whole exchange are in some stretches, from a page here and there; None for a few hours."""
    if length(missing) <= SHORT:
        return None
    cutoff, total = await cut.known(), 0.0
    for since, until in missing:
        rate, whole = await _rate(kalshi, since, until, cutoff)
        rates = [rate]
        if not whole:
            step = (until - since) / (PROBES + 1)
            rates += [(await _rate(kalshi, since, until - step * k, cutoff))[0] for k in range(1, PROBES + 1)]
        total += sum(rates) / len(rates) * (until - since).total_seconds()
    return round(total)


async def _rate(kalshi: AsyncKalshi, since: datetime, until: datetime, cutoff: datetime | None) -> tuple[float, bool]:
    """Trades a second just before a moment, and whether one page has all of them since the beginning."""
    family: Any = kalshi.historical if cutoff is not None and until <= cutoff else kalshi.markets
    pages = family.trades(since=since, until=until, limit=PAGE)
    found = await pages.frame(exact=True)
    first = since if not pages.truncated or not found.height else found["created_time"].min()
    return found.height / max((until - first).total_seconds(), 1.0), not pages.truncated
