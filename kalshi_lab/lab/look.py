"""The live API: markets, events, books, trades, as frames and objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalshi_lab.clock import When, moment
from kalshi_lab.errors import NotFound
from kalshi_lab.kalshi.live import Stream
from kalshi_lab.lab.verbs import Verbs
from kalshi_lab.portal import Facade, blocking, faced

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

    from kalshi_lab.kalshi.stream import AsyncStream
    from kalshi_lab.models import Event, ExchangeStatus, Market, Orderbook, Series


class AsyncLook(Verbs):
    """Look: the exchange as it is now."""

    async def status(self) -> ExchangeStatus:
        """Whether the exchange is up and trading."""
        return await self.kalshi.exchange.status()

    async def market(self, ticker: str) -> Market:
        """One market as it stands now, also one that was settled long ago; NotFound where there is none."""
        try:
            return await self.kalshi.markets.one(ticker)
        except NotFound as live:
            try:
                return await self.kalshi.historical.market(ticker)
            except NotFound:
                raise live from None

    async def markets(
        self,
        *,
        status: str | None = "open",
        series: str | None = None,
        event: str | None = None,
        tickers: str | Iterable[str] | None = None,
        combos: bool = False,
        limit: int | None = None,
        exact: bool = False,
    ) -> pl.DataFrame:
        """Markets as they stand now, combos left out unless asked for, as a frame with the fields of `Market`, then `extra`.

        Prices are Float64 dollars of the YES contract and counts Float64 contracts (`exact=True`: Decimal(9, 6) and Decimal(18, 2)),
        times Datetime(us, UTC), nested values JSON text. status: unopened, open, paused, closed, settled, or None for all.
        Raises UsageError for a status, ticker or limit that cannot be.
        """
        chosen: dict[str, Any] = {
            "series": series,
            "event": event,
            "tickers": tickers,
            "combos": combos,
            "limit": limit,
        }
        return await self.kalshi.markets.list(status=None if tickers else status, **chosen).frame(exact=exact)

    async def event(self, ticker: str) -> Event:
        """One event with its markets; NotFound where there is none."""
        return await self.kalshi.events.one(ticker)

    async def events(
        self, *, status: str | None = "open", series: str | None = None, limit: int | None = None
    ) -> pl.DataFrame:
        """Events as a frame with the fields of `Event`; status: unopened, open, closed, settled, or None for all.

        Raises UsageError for a status or series that cannot be.
        """
        return await self.kalshi.events.list(status=status, series=series, limit=limit).frame()

    async def series(self, *, category: str | None = None, tags: str | None = None) -> pl.DataFrame:
        """Series as a frame with the fields of `Series`, with the contracts traded in each."""
        return await self.kalshi.series.list(category=category, tags=tags, volume=True).frame()

    async def one_series(self, ticker: str) -> Series:
        """One series, with its fees and sources; NotFound where there is none."""
        return await self.kalshi.series.one(ticker)

    async def orderbook(self, ticker: str, *, depth: int = 0) -> Orderbook:
        """The order book of a market; depth: levels on each side, 0 for all.

        Raises UsageError for a malformed ticker or a depth outside 0 to 100.
        The exchange gives an empty book for a ticker that it does not know.
        """
        return await self.kalshi.markets.orderbook(ticker, depth=depth)

    async def trades(
        self,
        ticker: str | None = None,
        *,
        since: When | None = "1d",
        until: When | None = None,
        limit: int | None = 1000,
        exact: bool = False,
    ) -> pl.DataFrame:
        """Recent public trades, newest first, as a frame with the fields of `Trade`; limit=None for all of the window.

        Raises UsageError for a malformed ticker or a time that is none.
        """
        return await self.kalshi.markets.trades(ticker, since=since, until=until, limit=limit).frame(exact=exact)

    async def candlesticks(
        self,
        ticker: str,
        interval: str | int = "1h",
        *,
        since: When = "7d",
        until: When | None = None,
        exact: bool = False,
    ) -> pl.DataFrame:
        """Candlesticks of a market, oldest first, live or historical, as a frame with the fields of `Candlestick`.

        interval: "1m", "1h" or "1d"; the exchange's day ends at midnight Eastern time.
        Raises UsageError for an interval or time that is none; a market that is not known has none.
        """
        made = await self.kalshi.markets.candlesticks(ticker, interval, since=since, until=until, exact=exact)
        if made.height:
            return made
        cutoff = (await self.kalshi.historical.cutoff()).market_settled_ts
        if cutoff is None or moment(since, now=self.clock.now()) > cutoff:
            return made
        return await self.kalshi.historical.candlesticks(ticker, interval, since=since, until=until, exact=exact)

    def stream(
        self,
        channels: str | Iterable[str],
        *,
        tickers: str | Iterable[str] | None = None,
        send_initial_snapshot: bool | None = None,
        index_ids: str | Iterable[str] | None = None,
        underlying_tickers: str | Iterable[str] | None = None,
    ) -> AsyncStream:
        """A live stream of channels such as ticker, trade or orderbook_delta. Needs credentials.

        See `AsyncKalshi.stream`, which takes all that the exchange does.
        """
        return self.kalshi.stream(
            channels, tickers=tickers, send_initial_snapshot=send_initial_snapshot, index_ids=index_ids,
            underlying_tickers=underlying_tickers,
        )  # fmt: skip


class Look(Facade):
    """The blocking face of `AsyncLook`."""

    status = blocking(AsyncLook.status)
    market = blocking(AsyncLook.market)
    markets = blocking(AsyncLook.markets)
    event = blocking(AsyncLook.event)
    events = blocking(AsyncLook.events)
    series = blocking(AsyncLook.series)
    one_series = blocking(AsyncLook.one_series)
    orderbook = blocking(AsyncLook.orderbook)
    trades = blocking(AsyncLook.trades)
    candlesticks = blocking(AsyncLook.candlesticks)
    stream = faced(AsyncLook.stream, Stream)
