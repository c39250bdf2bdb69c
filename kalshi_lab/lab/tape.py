"""Trades that the store holds: the tape itself, bars, and what makers and takers earned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from kalshi_lab import frames
from kalshi_lab.analysis import bars as bars_of
from kalshi_lab.analysis import longshots as longshots_of
from kalshi_lab.analysis import returns as returns_of
from kalshi_lab.analysis import spreads as spreads_of
from kalshi_lab.analysis import volume as volume_of
from kalshi_lab.analysis.tape import ONE_MARKET, SEEN, chosen, edges, from_compact, from_store, unknown_in_store
from kalshi_lab.clock import When, between
from kalshi_lab.kalshi.params import tickers as checked_tickers
from kalshi_lab.lab.parts import parts_of_events
from kalshi_lab.lab.verbs import Verbs
from kalshi_lab.portal import Facade, blocking, faced
from kalshi_lab.store.compact import copied
from kalshi_lab.store.connection import fetch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Sequence
    from decimal import Decimal

    from kalshi_lab.analysis.bars import Bars
    from kalshi_lab.analysis.engine import FarEngine
    from kalshi_lab.analysis.longshots import Longshots
    from kalshi_lab.analysis.returns import Returns, SizeEffects, Weight
    from kalshi_lab.analysis.spreads import Spreads
    from kalshi_lab.analysis.tape import Chosen
    from kalshi_lab.analysis.volume import By, VolumeProfile
    from kalshi_lab.store import Store
    from kalshi_lab.store.connection import Connection

Ask = Callable[[str, "Sequence[Any]"], "Awaitable[pl.DataFrame]"]
ONE = ("time", "price", "size", "yes")
# the market of every so many trades of the copy
CUTS = "SELECT DISTINCT market FROM tape.trades WHERE rowid > 0 AND rowid % $1 = 0 AND market > 0 ORDER BY market"
WINDOW = 4_000_000  # trades that bars are made of at once
SPAN = 60_000_000  # trades whose bars are held at once where they are made market by market
RETURNS = ("cluster", "price", "size", "yes", "won", "taker_rate", "maker_rate")


class AsyncTape(Verbs):
    """Think: trades. `engine`: a `kl.Spark` over a lake, which is asked instead of the store; its digits are the same."""

    async def tape(
        self,
        ticker: str,
        *,
        start: When | None = None,
        end: When | None = None,
        exact: bool = False,
        engine: FarEngine | None = None,
    ) -> pl.DataFrame:
        """The trades of one market in [start, end) that the store holds, oldest first.

        Columns: ticker, created_time Datetime(us, UTC), yes_price Float64 dollars, count Float64 contracts (`exact=True`: Decimal(9, 6) and
        Decimal(18, 2)), taker_outcome_side (null in block trades), is_block_trade. Trades of one microsecond are in the order of prices.
        Raises UsageError for a malformed ticker or a time that is none; a market without trades gives no rows.
        """
        which = self._chosen(ticker, None, start, end)
        plain = from_store(ONE, which)
        compact = f"{from_compact(ONE, which)} UNION ALL {plain} AND trades.rowid >= {{above}}"
        if engine is not None:
            made = await self._reduce(engine, ONE_MARKET.format(tape=plain), which.parameters)
        else:
            made = await self.store.look(
                quickest(lambda tape: ONE_MARKET.format(tape=tape), plain, compact, which.parameters)
            )
        times = pl.col("time").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        made = made.select(pl.lit(ticker).alias("ticker"), times.alias("created_time"), pl.exclude("time"))
        return made if exact else frames.floats(made)

    async def returns(
        self,
        *,
        tickers: str | Iterable[str] | None = None,
        series: str | None = None,
        start: When | None = None,
        end: When | None = None,
        weight: Weight = "contract",
        bins: int | Sequence[float | Decimal] = 10,
        confidence: float = 0.95,
        cluster: bool = True,
        engine: FarEngine | None = None,
    ) -> Returns:
        """What makers and takers of kept trades with known results earned, by price, side and role, gross and net of fees.

        See `kl.returns` for the figures. Fees are those of the series, or of the event where it has its own, as last seen; where they are
        not known, trades count for the gross figures only. `cluster` False: no intervals, and a fraction of the time over many events.
        Needs `sync("trades")` and `sync("markets", status="settled")`, and `snapshot()` or `sync("series")` for the fees.
        """
        question = returns_of.Question(weight, edges(bins), confidence, cluster)
        reduced = await self._reduced(question, tickers, series, start=start, end=end, engine=engine)
        return await asyncio.to_thread(question.returns, reduced)

    async def longshots(
        self,
        *,
        tickers: str | Iterable[str] | None = None,
        series: str | None = None,
        start: When | None = None,
        end: When | None = None,
        weight: Literal["trade", "contract"] = "trade",
        bins: int | Sequence[float | Decimal] = 20,
        confidence: float = 0.95,
        cluster: bool = True,
        engine: FarEngine | None = None,
    ) -> Longshots:
        """How often the contracts of kept trades won over what they cost, each trade counted from both sides: calibration by trade.

        See `kl.longshots`. `cluster` False: Wilson's intervals, which take trades for independent, in one quick pass over any number of
        trades. Needs `sync("trades")` and `sync("markets", status="settled")`.
        """
        question = longshots_of.asked(weight, bins, confidence, clustered=cluster)
        which = self._chosen(tickers, series, start, end)
        plain, compact = from_store(question.fields, which), None
        if which.of_all:
            compact = f"{from_compact(question.fields, which)} UNION ALL {plain} AND trades.rowid >= {{above}}"
        if engine is not None:
            reduced = await self._reduce(engine, question.sql(plain), which.parameters)
            return await asyncio.to_thread(question.result, reduced)
        if not cluster:
            reduced = await self.store.look(quickest(question.sql, plain, compact, which.parameters))
            return await asyncio.to_thread(question.result, reduced)

        def in_parts(connection: Connection) -> list[longshots_of.Part]:
            made = []
            for part in parts_of_events(connection, which.parameters):
                kept, copied = part.of(plain), compact and part.of(compact)
                made.append(question.part(quickest(question.sql, kept, copied, part.parameters)(connection)))
            return made

        return await asyncio.to_thread(question.whole, await self.store.look(in_parts))

    async def size_effects(
        self,
        *,
        sizes: Iterable[float] = returns_of.SIZES,
        tickers: str | Iterable[str] | None = None,
        series: str | None = None,
        start: When | None = None,
        end: When | None = None,
        weight: Weight = "contract",
        confidence: float = 0.95,
        engine: FarEngine | None = None,
    ) -> SizeEffects:
        """What makers and takers of kept trades earned by the size of the trade; see `kl.size_effects`, and `returns` for what it needs."""
        question = returns_of.Question(weight, confidence=confidence, sizes=returns_of.checked_sizes(sizes))
        reduced = await self._reduced(question, tickers, series, start=start, end=end, engine=engine)
        return await asyncio.to_thread(question.size_effects, reduced)

    async def spreads(
        self,
        *,
        after: str | timedelta = "5m",
        oldest: str | timedelta = "1h",
        tickers: str | Iterable[str] | None = None,
        series: str | None = None,
        start: When | None = None,
        end: When | None = None,
        weight: str = "contract",
        bins: int | Sequence[float | Decimal] = 10,
        confidence: float = 0.95,
        engine: FarEngine | None = None,
    ) -> Spreads:
        """Effective spread, realised spread and price impact of kept trades, from kept quotes and candlesticks around them.

        See `kl.spreads` for the figures. Events are known from settled markets' results; other markets are clusters of their own.
        """
        question = spreads_of.asked(after, oldest, weight, bins, confidence)
        which = self._chosen(tickers, series, start, end)
        named = self._chosen(tickers, series, None, None).where.replace("trades.", "")
        trades = from_store(spreads_of.FIELDS, which, known=True).replace(
            "known.cluster AS", "coalesce(known.cluster, trades.ticker) AS"
        )
        reduced = await self._reduce(engine, question.sql(trades, SEEN.format(where=named)), which.parameters)
        return await asyncio.to_thread(question.result, reduced)

    async def bars(
        self,
        tickers: str | Iterable[str] | None = None,
        *,
        every: str | timedelta = "1h",
        series: str | None = None,
        start: When | None = None,
        end: When | None = None,
        engine: FarEngine | None = None,
    ) -> Bars:
        """Open, high, low, close, volume and VWAP of kept trades in intervals of `every`, aligned to UTC; see `kl.bars`.

        All of them are held at once: for the whole store take `stream_bars`.
        """
        stream = self.stream_bars(tickers, every=every, series=series, start=start, end=end, engine=engine)
        none = bars_of.sql(stream.every, from_store(bars_of.FIELDS, chosen()) + " AND false")
        empty = await self._reduce(engine, none, ())
        made = [bars_of.finished(empty)] + [frame async for frame in stream]
        lost = (await self._reduce(engine, unknown_in_store(stream.which), stream.which.parameters)).item()
        return await asyncio.to_thread(
            bars_of.result, pl.concat(made), stream.every, {"without a price, count or time": lost}
        )

    def stream_bars(
        self,
        tickers: str | Iterable[str] | None = None,
        *,
        every: str | timedelta = "1h",
        series: str | None = None,
        start: When | None = None,
        end: When | None = None,
        engine: FarEngine | None = None,
    ) -> AsyncBarStream:
        """The bars of the whole store, or of what is chosen, some days at a time: `for frame in lab.stream_bars(every="1h")`.

        Each frame has the bars of some whole days, in the order of days; inside it they are in no order, and there is no column `gap`.
        Columns as of `kl.bars`. Memory stays that of about four million trades, or with a copy made by `lab.store.compact()`, which is
        quicker, that of the bars of sixty million: 3 GB where every second trade has a bar of its own.
        Raises UsageError for a ticker, time or interval that cannot be.
        """
        ask = None if engine is None else partial(self._reduce, engine)
        return AsyncBarStream(self.store, self._chosen(tickers, series, start, end), bars_of.width(every), ask)

    async def volume_profile(
        self,
        *,
        by: By = "price",
        clock: str = "America/New_York",
        bins: int | Sequence[float | Decimal] = 20,
        tickers: str | Iterable[str] | None = None,
        series: str | None = None,
        start: When | None = None,
        end: When | None = None,
        engine: FarEngine | None = None,
    ) -> VolumeProfile:
        """Kept trades and contracts by price, hour of the day or day of the week; see `kl.volume_profile`."""
        question, which = volume_of.asked(by, clock, bins), self._chosen(tickers, series, start, end)
        sql = question.sql(from_store(question.fields, which, known=True))
        return question.result(await self._reduce(engine, sql, which.parameters))

    async def _reduced(
        self,
        question: returns_of.Question,
        tickers: Any,
        series: str | None,
        *,
        start: When | None,
        end: When | None,
        engine: FarEngine | None,
    ) -> pl.DataFrame:
        which = self._chosen(tickers, series, start, end)
        sql = question.sql(from_store(RETURNS[0 if question.clustered else 1 :], which))
        return await self._reduce(engine, sql, which.parameters)

    def _chosen(
        self, tickers: str | Iterable[str] | None, series: str | None, start: When | None, end: When | None
    ) -> Chosen:
        first, last = between(start, end, now=self.clock.now())
        names = None if tickers is None else checked_tickers(tickers)
        return chosen(tickers=names, series=series, start=first, end=last)


class AsyncBarStream:
    """Bars, some days at a time: `async for frame in stream`."""

    def __init__(self, store: Store, which: Chosen, every: int, ask: Ask | None = None) -> None:
        self.which, self.every = which, every
        self._store, self._ask = store, ask  # ask: another engine than the store's

    async def __aiter__(self) -> AsyncIterator[pl.DataFrame]:
        counted = await self._reduced(bars_of.by_day, ("time",), self.which)
        for since, until in bars_of.windows(counted, self.every, SPAN):
            days = counted.filter(pl.col("day").is_between(_micro(since), _micro(until), closed="left"))
            windows = bars_of.windows(days, self.every, WINDOW)
            work = partial(self._by_market, which=self.which.within(since, until), windows=windows)
            held = await self._store.look(work) if self.which.of_all and self._ask is None else None
            for place, (start, end) in enumerate(windows):
                if held is not None:
                    reduced, held[place] = held[place], pl.DataFrame()
                else:
                    part = self.which.within(start, end)
                    reduced = await self._reduced(lambda tape: bars_of.sql(self.every, tape), bars_of.FIELDS, part)
                yield await asyncio.to_thread(bars_of.finished, reduced)

    def _by_market(
        self, connection: Connection, which: Chosen, windows: Sequence[tuple[datetime, datetime]]
    ) -> list[pl.DataFrame] | None:
        """The reduced bars of each window, made of the copy some markets at a time, as its rows lie: so each is read once.

        None where there is no copy of all trades.
        """
        state = copied(connection)
        if state.is_empty() or not state["all"][0]:
            return None
        names = fetch(connection, "SELECT ticker FROM tape.markets ORDER BY market")["ticker"]
        tape, held = from_compact(bars_of.FIELDS, which, known=True), [list[pl.DataFrame]() for _ in windows]
        cuts = fetch(connection, CUTS, [WINDOW])["market"].to_list()
        for low, high in pairwise([0, *cuts, len(names)]):
            some = f"{tape} AND trades.market >= {low} AND trades.market < {high}"
            reduced = fetch(connection, bars_of.sql(self.every, some), which.parameters)
            for parts, (start, end) in zip(held, windows, strict=True):
                parts.append(reduced.filter(pl.col("bar").is_between(_micro(start), _micro(end), closed="left")))
        made = [pl.concat(parts) for parts in held]
        return [each.with_columns(ticker=names.gather(each["ticker"])) for each in made]

    async def _reduced(self, sql: Callable[[str], str], fields: Sequence[str], which: Chosen) -> pl.DataFrame:
        if self._ask is not None:
            return await self._ask(sql(from_store(fields, which, known=True)), which.parameters)
        compact = from_compact(fields, which, known=True) if which.of_all else None
        return await self._store.look(quickest(sql, from_store(fields, which, known=True), compact, which.parameters))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.every / 1e6:g} s>"


class BarStream(Facade):
    """Bars, some days at a time: `for frame in stream`."""

    _twin: AsyncBarStream

    def __iter__(self) -> Iterator[pl.DataFrame]:
        walk = aiter(self._twin)
        while (frame := self._call(_next(walk))) is not None:
            yield frame

    def __repr__(self) -> str:
        return repr(self._twin).replace("AsyncBarStream", "BarStream")


def quickest(
    sql: Callable[[str], str], plain: str, compact: str | None, parameters: Sequence[Any]
) -> Callable[[Connection], pl.DataFrame]:
    """What asks a question of the copy in whole numbers where that holds, and of the trades where it does not.

    A `compact` tape without `{above}` is one of all trades and counts only while none were added; its markets get their names at the end.
    """

    def work(connection: Connection) -> pl.DataFrame:
        state = copied(connection)
        if compact is None or state.is_empty() or not ("{above}" in compact or state["all"][0]):
            return fetch(connection, sql(plain), parameters)
        made = fetch(connection, sql(compact.replace("{above}", str(state["above"][0]))), parameters)
        if "ticker" not in made.columns:
            return made
        names = fetch(connection, "SELECT ticker FROM tape.markets ORDER BY market")["ticker"]
        return made.with_columns(ticker=names.gather(made["ticker"]))

    return work


def _micro(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


async def _next(walk: AsyncIterator[pl.DataFrame]) -> pl.DataFrame | None:
    return await anext(walk, None)


class Tape(Facade):
    """The blocking face of `AsyncTape`."""

    tape = blocking(AsyncTape.tape)
    returns = blocking(AsyncTape.returns)
    longshots = blocking(AsyncTape.longshots)
    size_effects = blocking(AsyncTape.size_effects)
    spreads = blocking(AsyncTape.spreads)
    bars = blocking(AsyncTape.bars)
    stream_bars = faced(AsyncTape.stream_bars, BarStream)
    volume_profile = blocking(AsyncTape.volume_profile)
