"""Candlesticks: many live markets in one request, archived ones singly, each over the stretch that is missing of it."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from kalshi_lab.errors import NotFound
from kalshi_lab.ingest import coverage
from kalshi_lab.ingest.loader import Decoded, Part, Walk
from kalshi_lab.ingest.windows import whole, without
from kalshi_lab.kalshi import candles, params
from kalshi_lab.kalshi.markets import BATCH
from kalshi_lab.kalshi.operations import call
from kalshi_lab.kalshi.pages import Arrived

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from datetime import datetime

    from kalshi_lab.door import Call, Reply
    from kalshi_lab.ingest.sides import MovingCutoff
    from kalshi_lab.ingest.windows import Stretch
    from kalshi_lab.kalshi.client import AsyncKalshi

log = logging.getLogger(__name__)
KEYS = ("ticker", "interval_minutes", "end_time")
SETTLED = timedelta(minutes=10)  # what happened that long ago is in the candlesticks
MORE = "more"  # there are pages after this one; a batch that was cut off is small enough to be asked anew


@dataclass(frozen=True, slots=True)
class Bars:
    """What is missing of a market's candlesticks, half-open; `grows`: where the stretch begins that this makes longer."""

    ticker: str
    since: datetime
    until: datetime
    grows: datetime
    settled: datetime | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Markets whose candlesticks are asked for together, and the windows of the requests."""

    bars: tuple[Bars, ...]
    minutes: int
    historical: bool

    @property
    def windows(self) -> list[tuple[datetime, datetime]]:
        """The windows of the requests, oldest first; neighbours share their edge."""
        most = candles.MOST_ALONE if self.historical else candles.MOST // len(self.bars)
        return _windows(min(one.since for one in self.bars), max(one.until for one in self.bars), self.minutes, most)

    @property
    def periods(self) -> int:
        """Candlesticks at most."""
        return sum(_periods(one.since, one.until, self.minutes) for one in self.bars)

    @property
    def name(self) -> str:
        """The walk's name in the ledger: the first market, how many others, and what tells this batch from any other."""
        told = hashlib.blake2s(repr((self.bars, self.minutes)).encode(), digest_size=6).hexdigest()
        others = f" and {len(self.bars) - 1} more" if len(self.bars) > 1 else ""
        return f"{self.bars[0].ticker}{others} {told}"


def life(
    market: dict[str, Any], asked: tuple[datetime | None, datetime | None], now: datetime
) -> tuple[datetime, datetime]:
    """The part of the asked time in which a market has candlesticks: its life up to now; a week where that is not known."""
    opened = market["open_time"]
    since = max(filter(None, (asked[0], opened))) if asked[0] or opened else now - timedelta(days=7)
    return whole(since), whole(min(filter(None, (asked[1], market["close_time"], now))))


def missing(market: dict[str, Any], wanted: Stretch, held: Sequence[Stretch]) -> list[Bars]:
    """What is missing of a market's candlesticks."""
    begins = {until: since for since, until in held}
    return [
        Bars(market["ticker"], since, until, begins.get(since, since), market["settlement_ts"])
        for since, until in without([wanted] if wanted[0] < wanted[1] else [], held)
    ]


def batches(wanted: Iterable[Bars], minutes: int, cutoff: datetime | None) -> list[Batch]:
    """As few requests as the exchange's limits allow: up to 100 live markets whose common window has up to 10,000 candlesticks."""
    live, found = [], []
    for one in sorted(wanted, key=lambda bars: (bars.since, bars.until, bars.ticker)):
        if cutoff is not None and one.settled is not None and one.settled < cutoff:
            found.append(Batch((one,), minutes, historical=True))
        else:
            live.append(one)
    group: list[Bars] = []
    for one in live:
        if group and (len(group) == BATCH or not _fits([*group, one], minutes)):
            found.append(Batch(tuple(group), minutes, historical=False))
            group = []
        group.append(one)
    return [*found, *([Batch(tuple(group), minutes, historical=False)] if group else [])]


def _fits(group: Sequence[Bars], minutes: int) -> bool:
    span = _periods(min(one.since for one in group), max(one.until for one in group), minutes)
    return (span + 2) * len(group) <= candles.MOST


def _periods(since: datetime, until: datetime, minutes: int) -> int:
    return -(-int((until - since).total_seconds()) // (minutes * 60))


def _windows(since: datetime, until: datetime, minutes: int, most: int) -> list[tuple[datetime, datetime]]:
    step, found = timedelta(minutes=minutes * max(most - 2, 1)), []
    while since < until:
        end = min(since + step, until)
        found.append((since, end))
        since = end
    return found


class BatchWalk:
    """The pages of one batch. A market that the live side has no longer is asked for on the historical side."""

    def __init__(self, kalshi: AsyncKalshi, batch: Batch, cut: MovingCutoff, asked_at: datetime) -> None:
        self._kalshi, self._batch, self._cut, self._asked_at = kalshi, batch, cut, asked_at
        self._read: list[Bars] = []

    def walk(self) -> Walk:
        """As the loader takes it."""
        return Walk(self._batch.name, self._pages, self._decode)

    async def _pages(self, _cursor: str, _seen: int) -> AsyncIterator[Arrived]:
        before: Reply | None = None
        async for reply in self._replies():
            if before is not None:
                yield Arrived(before, MORE)
            before = reply
        if before is not None:
            yield Arrived(before, "")

    async def _replies(self) -> AsyncIterator[Reply]:
        self._read = []
        if self._batch.historical:
            async for reply in self._archived(self._batch.bars[0]):
                yield reply
            return
        there: set[str] = set()
        for since, until in self._batch.windows:
            reply = await self._kalshi.door.send(self._batch_call(since, until))
            there |= candles.tickers_in(reply)
            yield reply
        self._read = [one for one in self._batch.bars if one.ticker in there]
        for one in self._batch.bars:
            if one.ticker not in there:
                async for reply in self._archived(one):
                    yield reply

    def _batch_call(self, since: datetime, until: datetime) -> Call:
        window = params.candle_window(since, until, self._batch.minutes, now=self._asked_at)
        names = ",".join(one.ticker for one in self._batch.bars)
        return call("batch_get_market_candlesticks", (("market_tickers", names), *window))

    async def _archived(self, bars: Bars) -> AsyncIterator[Reply]:
        """The answers about a market that has left the live side; one that has not, had no candlesticks."""
        try:
            for since, until in _windows(bars.since, bars.until, self._batch.minutes, candles.MOST_ALONE):
                made, _ = self._kalshi.historical.candle_call(
                    bars.ticker, self._batch.minutes, since=since, until=until
                )
                yield await self._kalshi.door.send(made)
        except NotFound:
            cutoff = await self._cut.fresh()
            if bars.settled is not None and cutoff is not None and bars.settled < cutoff:
                log.warning("%s is on neither side of the cutoff at present; the next sync asks again", bars.ticker)
                return
        self._read.append(bars)

    def _decode(self, arrived: Arrived) -> Decoded:
        found = decode(arrived, self._batch.minutes)
        if arrived.cursor:
            return found
        read = [(one.ticker, one.grows, one.until) for one in self._read]
        end = coverage.finished("candlesticks", read, self._asked_at, self._cut.at, self._batch.minutes)
        return Decoded((*found.parts, end), found.refused, found.received)


def decode(arrived: Arrived, minutes: int) -> Decoded:
    """A page of candlesticks; a period once kept is refreshed, since the last one may not have been over."""
    reply = arrived.reply
    if reply.call.path == "/markets/candlesticks":
        batch = candles.of_markets(reply, minutes)
    else:
        batch = candles.of_market(reply, unquote(reply.call.path.split("/")[-2]), minutes)
    return Decoded((Part("candlesticks", KEYS, batch.frame, refresh=True),), batch.refused, batch.received)
