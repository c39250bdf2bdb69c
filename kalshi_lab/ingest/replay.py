"""Books of the past, from what recordings kept: as they stood at a moment, and change by change."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from kalshi_lab.book import OrderBook, wire
from kalshi_lab.clock import between, moment
from kalshi_lab.errors import UsageError
from kalshi_lab.kalshi import params
from kalshi_lab.portal import Facade
from kalshi_lab.store import recorded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from kalshi_lab.clock import Clock, When
    from kalshi_lab.store import Store

Step = tuple[datetime, OrderBook]
SAID = {
    "sequence": "messages were left out of the stream",
    "connection": "the connection was lost",
    "subscription": "the exchange ended the subscription",
    "behind": "the recorder was too slow",
    "unreadable": "a message could not be read",
    "ended": "the recorder stopped without notice",
}
EVER = (datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC))
LAST = 2**62  # no frame has this number
TICK = timedelta(microseconds=1)
SHOWN = 10


class Past:
    """A market's book as one recording tells it, moved on change by change; gaps make it stale in their place."""

    def __init__(self, ticker: str, breaks: Sequence[dict[str, Any]]) -> None:
        self.book = OrderBook(ticker, sequence=False)
        self.time = EVER[0]
        self._breaks = list(breaks)

    def steps(self, rows: Sequence[tuple[Any, ...]]) -> Iterator[Step]:
        """Apply the next changes; the time and the book after each that made a difference."""
        for row in rows:
            yield from self.gaps(row[0], EVER[1])
            self.time = max(self.time, row[3])
            if self.book.apply(_frame(self.book.ticker, row)):
                yield self.time, self.book

    def gaps(self, before: int, until: datetime) -> Iterator[Step]:
        """The gaps that stand before a frame and begin by a moment; each makes the book stale."""
        while self._breaks and self._breaks[0]["frame"] <= before and self._breaks[0]["since"] <= until:
            gap = self._breaks.pop(0)
            if not self.book.wants_snapshot:
                self.time = max(self.time, gap["since"])
                self.book.mark_stale(_why(gap))
                yield self.time, self.book

    def known(self, before: int, at: datetime) -> OrderBook | None:
        """The book at a moment, once all that was sent by then is applied; None where something may be missing."""
        _exhaust(self.gaps(before, at))
        return None if self.book.stale else self.book


class Part(NamedTuple):
    """A stretch of time for which one recording is asked."""

    recording: str
    start: datetime
    end: datetime
    hole: datetime | None  # where what is known before it ends, if that is earlier


class AsyncReplay:
    """A market's book through every change of a stretch of time: `async for time, book in replay`.

    `book` is one book that moves on: take `book.copy()` of what is to be kept. Where something may be missing it is `stale` until the
    next snapshot, and each gap is a step of its own. Times never decrease. Memory stays small however long the stretch.
    """

    def __init__(self, store: Store, ticker: str, start: datetime, end: datetime) -> None:
        self._store = store
        self.ticker, self.start, self.end = ticker, start, end

    async def steps(self) -> AsyncIterator[Iterator[Step]]:
        """The steps, part by part; a part must be walked to its end before the next one is asked for."""
        spans = await recorded.recorded_books(self._store, self.ticker)
        if not spans:
            raise await _never(self._store, self.ticker)
        breaks = await recorded.breaks(self._store, [span["recording"] for span in spans], self.ticker)
        past = None
        for part in _parts(spans, self.start, self.end):
            if past is not None and part.hole is not None:
                yield _hole(past, part.hole)
            past = Past(self.ticker, breaks[part.recording])
            async for steps in self._part(past, part):
                yield steps

    async def _part(self, past: Past, part: Part) -> AsyncIterator[Iterator[Step]]:
        bounds = await recorded.changes_between(self._store, part.recording, self.ticker, part.start, part.end)
        before, last = bounds["before"], bounds["last"]
        after = before if bounds["snapshot"] is None else bounds["snapshot"] - 1
        async for rows in _changes(self._store, part.recording, self.ticker, after, before):
            _exhaust(past.steps(rows))
        _exhaust(past.gaps(LAST, part.start - TICK))
        async for rows in _changes(self._store, part.recording, self.ticker, before, last):
            yield past.steps(rows)
        yield past.gaps(LAST, part.end - TICK)

    async def __aiter__(self) -> AsyncIterator[Step]:
        async for steps in self.steps():
            for step in steps:
                yield step

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.ticker} {self.start:%Y-%m-%d %H:%M:%S} to {self.end:%Y-%m-%d %H:%M:%S} UTC>"
        )


class Replay(Facade):
    """The blocking face of `AsyncReplay`: `for time, book in replay`."""

    _twin: AsyncReplay

    def __iter__(self) -> Iterator[Step]:
        walk = self._twin.steps()
        while (steps := self._call(_next(walk))) is not None:
            yield from steps

    def __repr__(self) -> str:
        return repr(self._twin).replace("AsyncReplay", "Replay")


def replay(store: Store, clock: Clock, ticker: str, start: When | None, end: When | None) -> AsyncReplay:
    """The replay of a stretch of time, checked; nothing is read yet."""
    first, last = between(start, end, now=clock.now())
    return AsyncReplay(store, params.ticker(ticker), first or EVER[0], last or EVER[1])


async def sampled(
    store: Store, ticker: str, spans: Sequence[dict[str, Any]], moments: Sequence[datetime]
) -> AsyncIterator[tuple[datetime, OrderBook | None]]:
    """A market's book at each of these moments, in order and no two alike; None where none was recorded, or something may be missing.

    `spans` are its rows of `recorded_books`. The book is one that moves on: take what is to be kept before the next one is asked for.
    """
    end = moments[-1] + TICK
    known_until = moments[0]
    for part in _parts(spans, moments[0], end):
        for time in _within(moments, known_until, part.start):
            yield time, None
        known_until, mine = part.end, _within(moments, part.start, part.end)
        if not mine:
            continue
        begun = await recorded.start(store, part.recording, ticker, mine)
        past, left = Past(ticker, begun.breaks), deque(zip(mine, begun.lasts, strict=True))
        rows = begun.rows
        while rows:
            for row in rows:
                while left[0][1] < row[0]:
                    time, _ = left.popleft()
                    yield time, past.known(row[0], time)
                _exhaust(past.steps([row]))
            after = rows[-1][0] if len(rows) == recorded.CHUNK else begun.lasts[-1]
            rows = (
                await recorded.changes(store, part.recording, ticker, after, begun.lasts[-1])
                if after < begun.lasts[-1]
                else []
            )
        for time, _ in left:
            yield time, past.known(LAST, time)
    for time in _within(moments, known_until, end):
        yield time, None


def _within(moments: Sequence[datetime], start: datetime, end: datetime) -> Sequence[datetime]:
    return moments[bisect_left(moments, start) : bisect_left(moments, end)]


async def book(store: Store, clock: Clock, ticker: str, at: When | None) -> OrderBook:
    """The book of a market as it stood at a moment; see `AsyncLab.book`."""
    params.ticker(ticker)
    when = None if at is None else moment(at, now=clock.now(), what="at")
    if when is None:
        spans = await recorded.recorded_books(store, ticker)
        if not spans:
            raise await _never(store, ticker)
        when = max(span["until"] for span in spans)
    found = await recorded.books_at(store, ticker, when)
    if not found:
        raise await _never(store, ticker, when)
    return await _built(store, ticker, when, found)


async def _built(store: Store, ticker: str, at: datetime, found: Sequence[dict[str, Any]]) -> OrderBook:
    """The book from the recording that knows it without a gap, or else from the one with the latest snapshot."""
    known = await recorded.breaks(store, [row["recording"] for row in found], ticker)
    fresh = [
        row for row in found if at <= row["kept_until"] and not _broken(known[row["recording"]], row["snapshot"], at)
    ]
    chosen = (fresh or found)[0]
    name = chosen["recording"]
    past = Past(ticker, [gap for gap in known[name] if gap["frame"] > chosen["snapshot"]])
    async for rows in _changes(store, name, ticker, chosen["snapshot"] - 1, chosen["last"]):
        _exhaust(past.steps(rows))
    _exhaust(past.gaps(LAST, at))
    if at > chosen["kept_until"] and not past.book.stale:
        past.book.mark_stale(f"nothing was recorded after {_shown(chosen['kept_until'])}")
    return past.book


def _broken(breaks: Sequence[dict[str, Any]], snapshot: int, at: datetime) -> bool:
    return any(gap["frame"] > snapshot and gap["since"] <= at for gap in breaks)


async def _changes(
    store: Store, recording: str, ticker: str, after: int, last: int
) -> AsyncIterator[list[tuple[Any, ...]]]:
    """The changes after a frame, up to another, chunk by chunk."""
    while after < last:
        rows = await recorded.changes(store, recording, ticker, after, last)
        if rows:
            yield rows
        after = rows[-1][0] if len(rows) == recorded.CHUNK else last


def _parts(spans: Sequence[dict[str, Any]], start: datetime, end: datetime) -> Iterator[Part]:
    """Which recording to ask for which stretch of [start, end): each is followed to its end, then the one that reaches furthest."""
    at, known = start, None
    while at < end:
        here = [span for span in spans if span["since"] <= at <= span["until"]]
        later = [span for span in spans if at < span["since"] < end]
        if not here and not later:
            return
        chosen = max(here, key=lambda span: span["until"]) if here else min(later, key=lambda span: span["since"])
        begin = max(at, chosen["since"])
        at = min(end, chosen["until"] + TICK)
        yield Part(chosen["recording"], begin, at, known if known is not None and known < begin else None)
        known = at


def _hole(past: Past, since: datetime) -> Iterator[Step]:
    """The step where one recording ends and no other goes on."""
    if not past.book.stale:
        past.time = max(past.time, since - TICK)
        past.book.mark_stale(f"nothing was recorded after {_shown(past.time)}")
        yield past.time, past.book


def _frame(ticker: str, row: tuple[Any, ...]) -> wire.Delta | dict[str, Any]:
    """A change as the frame that it was."""
    _, sid, seq, _, ms, side, price, delta, yes_levels, no_levels = row
    if side is not None:
        return wire.Delta(sid=sid, seq=seq, msg=wire.Change(ticker, price, delta, side, ms))
    levels = {"yes_dollars_fp": msgspec.json.decode(yes_levels), "no_dollars_fp": msgspec.json.decode(no_levels)}
    msg = {"market_ticker": ticker, "ts_ms": ms, **levels}
    return {"type": "orderbook_snapshot", "sid": sid, "seq": seq, "msg": msg}


def _exhaust(steps: Iterator[Step]) -> None:
    for _ in steps:
        pass


async def _next(walk: AsyncIterator[Iterator[Step]]) -> Iterator[Step] | None:
    return await anext(walk, None)


def _why(gap: dict[str, Any]) -> str:
    return f"{SAID.get(gap['reason'], gap['reason'])} at {_shown(gap['since'])}"


async def _never(store: Store, ticker: str, at: datetime | None = None) -> UsageError:
    """The error for a book that was not recorded, with what was."""
    spans = await recorded.recorded_books(store)
    mine = [span for span in spans if span["ticker"] == ticker]
    names = sorted({span["ticker"] for span in spans})
    if mine and at is not None:
        first, last = min(span["since"] for span in mine), max(span["until"] for span in mine)
        return UsageError(
            f"the book of {ticker} was not recorded yet at {_shown(at)}",
            hint=f"It is recorded from {_shown(first)} to {_shown(last)}",
        )
    near = get_close_matches(ticker, names, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]}? " if near else ""
    shown = f"Recorded are {', '.join(names[:SHOWN])}{' and others' if len(names) > SHOWN else ''}" if names else ""
    return UsageError(f"no book of {ticker} was recorded", hint=hint + (shown or "lab.record(...) records books"))


def _shown(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"
