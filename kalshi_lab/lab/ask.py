"""The store as frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalshi_lab import frames
from kalshi_lab.clock import When, moment, span
from kalshi_lab.ingest import holdings
from kalshi_lab.ingest import replay as replays
from kalshi_lab.ingest.replay import AsyncReplay, Replay
from kalshi_lab.kalshi.params import tickers as checked_tickers
from kalshi_lab.lab import traffic
from kalshi_lab.lab.verbs import Verbs
from kalshi_lab.lab.wanted import wanted
from kalshi_lab.portal import Facade, blocking, faced
from kalshi_lab.store import queries, search

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

    import polars as pl

    from kalshi_lab.book import OrderBook
    from kalshi_lab.lab.traffic import By
    from kalshi_lab.lab.wanted import Amount


class AsyncAsk(Verbs):
    """Ask: what the store holds."""

    async def quotes(
        self, *, as_of: When | None = None, tickers: str | Iterable[str] | None = None, exact: bool = False
    ) -> pl.DataFrame:
        """The quotes that the store holds, as they stood at a moment (None: the last ones).

        Columns: ticker, time (Datetime(us, UTC), the snapshot in which it last changed), status, yes_bid, yes_bid_size, yes_ask,
        yes_ask_size, last_price, volume, open_interest, in Float64 dollars and contracts, Decimal with `exact=True`; a market that had
        left its listing by then is not in it. Raises UsageError for a moment that is none or a malformed ticker.
        """
        now = self.clock.now()
        names = None if tickers is None else checked_tickers(tickers)
        made = await queries.quotes_as_of(
            self.store, now if as_of is None else moment(as_of, now=now, what="as_of"), names
        )
        return made if exact else frames.floats(made)

    async def sql(self, query: str, parameters: Sequence[Any] = (), *, exact: bool = False) -> pl.DataFrame:
        """The rows of one SELECT over the store; `?` or `$1` in it are taken from `parameters`. Nothing can be changed by it.

        Columns are those of the query; decimals come as Float64, exact with `exact=True`, times as Datetime(us, UTC). Raises UsageError
        for anything but one SELECT over the store's own tables, StoreError where it fails, takes too long or too much memory.
        """
        made = await self.store.select(query, parameters)
        return made if exact else frames.floats(made)

    async def table(self, name: str, *, exact: bool = False) -> pl.DataFrame:
        """A whole table of the store as a frame.

        Columns are the table's, in its order; decimals come as Float64, exact with `exact=True`, times as Datetime(us, UTC). Raises
        UsageError for a name that is no table.
        """
        made = await self.store.table(name)
        return made if exact else frames.floats(made)

    async def coverage(self, *, stale: timedelta | str = "1d") -> pl.DataFrame:
        """What the store holds of each dataset and series, what is missing of it, and what has grown old.

        Columns: dataset, series_ticker String (null: the whole exchange, or not known); interval_minutes Int64 (candlesticks);
        held_from, held_to Datetime, the half-open time that was read (held_from null: from the beginning); rows, holes Int64 and missing
        Duration, the time that syncs were asked for and that was not read to its end (null: listings, which are always whole);
        last_sync Datetime, age Duration; stale Int64: markets that still live and were last looked at longer ago than `stale`.
        Raises UsageError where `stale` is no length of time.
        """
        return await holdings.coverage(self.store, self.clock.now(), span(stale, what="stale"))

    async def search(
        self,
        query: str,
        *,
        status: str | None = None,
        category: str | None = None,
        event: str | None = None,
        series: str | None = None,
        min_volume: Amount | None = None,
        max_spread: Amount | None = None,
        limit: int | None = 20,
        exact: bool = False,
    ) -> pl.DataFrame:
        """Markets, events and series of the store whose titles, subtitles, rules or tickers hold words of the query, best first.

        Columns: kind (market, event, series), ticker, title, subtitle, event_ticker, series_ticker, category String; status, yes_bid,
        yes_ask (dollars) and volume (contracts) by the last quote; close_time; score Float64 (BM25, higher is better).
        status: a filter's word or an answer's ("open" and "active" are the same); category: a part of its name, of the market, else
        of its event, else of its series; min_volume and max_spread (dollars): by the last quote, which must be known. With one of
        status, min_volume or max_spread, events and series are found when one of their markets is as asked. limit None: everything.
        Punctuation is no syntax. Raises UsageError for an empty query.
        """
        asked = wanted(
            query, status=status, category=category, event=event, series=series, min_volume=min_volume, max_spread=max_spread,
            limit=limit,
        )  # fmt: skip
        made = await search.search(self.store, asked, self.clock.now())
        return made if exact else frames.floats(made)

    async def book(self, ticker: str, at: When | None = None) -> OrderBook:
        """The order book of a market as it stood at a moment (None: the last one recorded), from what `record` kept.

        It is `stale`, and says why, where messages before that moment are missing or none were recorded any more. Raises UsageError,
        with what was recorded, for a market or a moment of which there is no book.
        """
        return await replays.book(self.store, self.clock, ticker, at)

    def replay(self, ticker: str, start: When | None = None, end: When | None = None) -> AsyncReplay:
        """A market's book through every change in [start, end) that `record` kept: `for time, book in lab.replay(...)`.

        `book` is one book that moves on; keep `book.copy()`. Gaps are steps of their own, after which it is `stale` until the next
        snapshot. Raises UsageError where its book was never recorded.
        """
        return replays.replay(self.store, self.clock, ticker, start, end)

    async def stats(self, by: By = "operation", *, request: str | None = None) -> pl.DataFrame:
        """What was asked of the exchange in this session, and how the way to it stands; `kl.charts.stats(lab.stats())` draws it.

        Columns by="operation": operation, host String; attempts, retries, failures, received_bytes Int64; latency_p50, _p95, _p99,
        queued_p50, _p99 Float64 seconds, over the last attempts (queued: waiting for the rate budget); breaker String, the host's
        circuit: closed, open, half_open. by="host": host, breaker; until Datetime, when a host that is left alone is tried again (null:
        it is not); rate, tokens, write_rate, write_tokens Float64, the rate budgets at present (tokens a second, tokens there);
        retry_tokens, open_requests Int64. by="attempt": the last 10,000 attempts, oldest first: at, request_id, operation, method, path,
        attempt, status (null: no answer), error (empty: none), received_bytes, queued, latency, url. `request`, the id that an error or
        the log shows, or how it begins: the attempts of that request alone; UsageError where none is kept.
        """
        return traffic.stats((self.kalshi.door, self.exa.door), by, request)


class Ask(Facade):
    """The blocking face of `AsyncAsk`."""

    quotes = blocking(AsyncAsk.quotes)
    sql = blocking(AsyncAsk.sql)
    table = blocking(AsyncAsk.table)
    coverage = blocking(AsyncAsk.coverage)
    search = blocking(AsyncAsk.search)
    book = blocking(AsyncAsk.book)
    replay = faced(AsyncAsk.replay, Replay)
    stats = blocking(AsyncAsk.stats)
