"""Family historical: what is older than the cutoffs, and the cutoffs themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalshi_lab.errors import UsageError
from kalshi_lab.kalshi import candles, params
from kalshi_lab.kalshi.family import Family
from kalshi_lab.kalshi.markets import PAGE
from kalshi_lab.kalshi.operations import call
from kalshi_lab.kalshi.pages import AsyncPages, paged
from kalshi_lab.models import Cutoff, Market, Trade
from kalshi_lab.models.order import Order
from kalshi_lab.models.portfolio import Fill, MarketPosition
from kalshi_lab.portal import Facade, blocking

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

    from kalshi_lab.clock import When
    from kalshi_lab.door import Call


class AsyncHistorical(Family):
    """Settled markets, their candlesticks and trades from before the cutoffs."""

    async def cutoff(self) -> Cutoff:
        """Where live data end; the times move forward and differ from each other."""
        return await self._object(Cutoff, call("get_historical_cutoff"))

    def markets(
        self,
        *,
        series: str | None = None,
        event: str | None = None,
        tickers: str | Iterable[str] | None = None,
        combos: bool = False,
        limit: int | None = None,
        max_pages: int | None = None,
    ) -> AsyncPages[Market]:
        """Markets settled before the cutoff; of series, event and tickers only one may be given."""
        if sum(choice is not None for choice in (series, event, tickers)) > 1:
            raise UsageError("historical markets take one filter", hint="Give a series, an event or tickers")
        asked = params.given(
            series_ticker=params.filtered(series, "series"),
            event_ticker=params.filtered(event, "event"),
            tickers=params.listed(tickers),
            mve_filter=None if combos or tickers is not None else "exclude",
        )
        made = call("get_historical_markets", asked)
        return self._pages(Market, "markets", made, ("ticker",), page=PAGE, limit=limit, max_pages=max_pages)

    async def market(self, ticker: str) -> Market:
        """One market settled before the cutoff; NotFound where there is none."""
        return await self._object(Market, call("get_historical_market", ticker=params.ticker(ticker)), "market")

    def trades(
        self,
        ticker: str | None = None,
        *,
        since: When | None = None,
        until: When | None = None,
        block_trades: bool | None = None,
        limit: int | None = None,
        max_pages: int | None = None,
    ) -> AsyncPages[Trade]:
        """Public trades from before the cutoff, newest first; block_trades: those matched away from the book, or all but those."""
        asked = params.given(ticker=params.filtered(ticker), is_block_trade=block_trades)
        asked += params.window(since, until, now=self._clock.now())
        made = call("get_trades_historical", asked)
        return self._pages(Trade, "trades", made, ("trade_id",), page=PAGE, limit=limit, max_pages=max_pages)

    def fills(
        self,
        ticker: str | None = None,
        *,
        since: When | None = None,
        until: When | None = None,
        subaccount: int | None = None,
        limit: int | None = None,
        max_pages: int | None = None,
    ) -> AsyncPages[Fill]:
        """Executions of your orders from before the cutoff. Needs a key."""
        made = call("get_fills_historical", self._own(ticker, since, until, subaccount))
        return self._pages(Fill, "fills", made, ("fill_id",), page=PAGE, limit=limit, max_pages=max_pages)

    def orders(
        self,
        ticker: str | None = None,
        *,
        since: When | None = None,
        until: When | None = None,
        subaccount: int | None = None,
        limit: int | None = None,
        max_pages: int | None = None,
    ) -> AsyncPages[Order]:
        """Your canceled and executed orders from before the cutoff. Needs a key."""
        made = call("get_historical_orders", self._own(ticker, since, until, subaccount))
        return self._pages(Order, "orders", made, ("order_id",), page=PAGE, limit=limit, max_pages=max_pages)

    def _own(self, ticker: str | None, since: When | None, until: When | None, subaccount: int | None) -> params.Params:
        asked = params.given(ticker=params.filtered(ticker), subaccount=params.subaccount(subaccount))
        return asked + params.window(since, until, now=self._clock.now())

    def positions(
        self,
        *,
        ticker: str | None = None,
        event: str | None = None,
        subaccount: int | None = None,
        limit: int | None = None,
        max_pages: int | None = None,
    ) -> AsyncPages[MarketPosition]:
        """Your settled positions that have left `portfolio.positions`; may repeat some of it. Needs a key.

        Without a subaccount, of the primary one (0).
        """
        asked = params.given(
            ticker=params.filtered(ticker),
            event_ticker=params.filtered(event, "event"),
            subaccount=params.subaccount(subaccount),
        )
        made = call("get_historical_positions", asked)
        return self._pages(
            MarketPosition, "market_positions", made, ("ticker",), page=PAGE, limit=limit, max_pages=max_pages
        )

    async def candlesticks(
        self, ticker: str, interval: str | int = "1h", *, since: When, until: When | None = None, exact: bool = False
    ) -> pl.DataFrame:
        """Candlesticks of a market settled before the cutoff; the same columns as those of live markets."""
        name, minutes, now = params.ticker(ticker), params.interval(interval), self._clock.now()
        parts = []
        for asked in candles.windows(since, until, minutes, now=now, most=candles.MOST_ALONE):
            made = call("get_market_candlesticks_historical", asked, ticker=name)
            parts.append(candles.of_market(await self._send(made), name, minutes))
        return candles.frame(parts, exact=exact)

    def candle_call(
        self, ticker: str, interval: str | int, *, since: When, until: When | None = None
    ) -> tuple[Call, int]:
        """The request for candlesticks, and the minutes of their interval."""
        minutes = params.interval(interval)
        asked = params.candle_window(since, until, minutes, now=self._clock.now())
        return call("get_market_candlesticks_historical", asked, ticker=params.ticker(ticker)), minutes


class Historical(Facade):
    """The blocking face of `AsyncHistorical`."""

    cutoff = blocking(AsyncHistorical.cutoff)
    markets = paged(AsyncHistorical.markets)
    market = blocking(AsyncHistorical.market)
    trades = paged(AsyncHistorical.trades)
    candlesticks = blocking(AsyncHistorical.candlesticks)
    fills = paged(AsyncHistorical.fills)
    orders = paged(AsyncHistorical.orders)
    positions = paged(AsyncHistorical.positions)
