"""Family market: listings, single markets, books, trades, candlesticks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalshi_lab.errors import UsageError
from kalshi_lab.kalshi import candles, params
from kalshi_lab.kalshi.family import Family, envelope, listed
from kalshi_lab.kalshi.operations import call
from kalshi_lab.kalshi.pages import AsyncPages, bad_payload, paged, unread
from kalshi_lab.models import Market, Orderbook, Trade
from kalshi_lab.models.fields import legacy
from kalshi_lab.portal import Facade, blocking

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import polars as pl

    from kalshi_lab.clock import When
    from kalshi_lab.door import Call, Reply

PAGE = 1000
BATCH = 100  # tickers in one request for books or candlesticks, at most
# the windows, and the statuses with which the exchange takes them
_WINDOWS = {
    "created": (None, "unopened", "open"),
    "updated": (None,),
    "close": (None, "closed"),
    "settled": (None, "settled"),
}


def market_filters(
    *,
    now: datetime,
    status: str | None,
    series: str | None,
    event: str | None,
    tickers: str | Iterable[str] | None,
    combos: bool | str,
    windows: dict[str, tuple[When | None, When | None]],
) -> params.Params:
    """The filters of a market listing, checked; of the four time windows only one may be used at a time."""
    used = [name for name in _WINDOWS if any(side is not None for side in windows.get(name, ()))]
    if len(used) > 1:
        raise UsageError(
            f"{used[0]} and {used[1]} times cannot be filtered together", hint="The exchange takes one of them"
        )
    asked = params.given(
        status=params.status(status),
        series_ticker=params.filtered(series, "series"),
        event_ticker=params.filtered(event, "event"),
        tickers=params.listed(tickers),
        mve_filter=params.combos(combos) if tickers is None else None,
    )
    _fitting(used, dict(asked))
    for name in used:
        asked += params.window(*windows[name], now=now, names=(f"min_{name}_ts", f"max_{name}_ts"))
    return asked


def _fitting(used: list[str], asked: dict[str, str]) -> None:
    """UsageError where the exchange does not take a window of times together with the other filters."""
    for name in used:
        status, allowed = asked.get("status"), _WINDOWS[name]
        if status not in allowed:
            words = [word for word in allowed if word]
            hint = f"It goes with {' or '.join(words)}, or with no status" if words else "Leave the status out"
            raise UsageError(f"{name} times cannot be filtered with status {status}", hint=hint)
    if "updated" in used and ({"event_ticker", "tickers"} & asked.keys() or asked.get("mve_filter") != "exclude"):
        raise UsageError(
            "updated times cannot be filtered with event, tickers or combos",
            hint="The exchange takes them with a series at most",
        )


class AsyncMarkets(Family):
    """Markets with live data; what was settled long ago is in `historical`."""

    def list(
        self,
        *,
        status: str | None = None,
        series: str | None = None,
        event: str | None = None,
        tickers: str | Iterable[str] | None = None,
        combos: bool | str = False,
        created: tuple[When | None, When | None] = (None, None),
        updated: tuple[When | None, When | None] = (None, None),
        closes: tuple[When | None, When | None] = (None, None),
        settled: tuple[When | None, When | None] = (None, None),
        limit: int | None = None,
        max_pages: int | None = None,
    ) -> AsyncPages[Market]:
        """Markets; combos (multivariate markets) are left out unless asked for with True or "only".

        status: unopened, open, paused, closed or settled; the words of the answers (active, finalized, ...) are understood too.
        created, updated, closes, settled: a window (since, until), one of them at a time.
        """
        windows = {"created": created, "updated": updated, "close": closes, "settled": settled}
        asked = market_filters(
            now=self._clock.now(),
            status=status,
            series=series,
            event=event,
            tickers=tickers,
            combos=combos,
            windows=windows,
        )
        made = call("get_markets", asked)
        return self._pages(Market, "markets", made, ("ticker",), page=PAGE, limit=limit, max_pages=max_pages)

    async def one(self, ticker: str) -> Market:
        """One market; NotFound where there is none (settled long ago: `historical.market`)."""
        return await self._object(Market, call("get_market", ticker=params.ticker(ticker)), "market")

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
        """Public trades, newest first, of one market or of all."""
        asked = params.given(ticker=params.filtered(ticker), is_block_trade=block_trades)
        asked += params.window(since, until, now=self._clock.now())
        made = call("get_trades", asked)
        return self._pages(Trade, "trades", made, ("trade_id",), page=PAGE, limit=limit, max_pages=max_pages)

    async def orderbook(self, ticker: str, *, depth: int = 0) -> Orderbook:
        """The order book of one market; depth: levels on each side, 0 for all."""
        asked = params.given(depth=params.depth(depth))
        reply = await self._send(call("get_market_orderbook", asked, ticker=params.ticker(ticker)))
        return _book(reply, ticker, envelope(reply), required=True)

    async def orderbooks(self, tickers: Iterable[str]) -> tuple[Orderbook, ...]:
        """The order books of up to 100 markets in one request, in the order asked for; an unknown market has an empty book."""
        names = params.tickers(tickers, most=BATCH)
        reply = await self._send(call("get_market_orderbooks", tuple(("tickers", name) for name in names)))
        rows = listed(reply, "orderbooks")
        if not all(isinstance(row, dict) for row in rows):
            raise bad_payload(reply, "a book that is no object")
        books = {str(row.get("ticker")): _book(reply, str(row.get("ticker")), row) for row in rows}
        return tuple(books.get(name, Orderbook(name)) for name in names)

    async def candlesticks(
        self,
        ticker: str,
        interval: str | int = "1h",
        *,
        since: When = "7d",
        until: When | None = None,
        series: str | None = None,
        latest_before: bool = False,
        exact: bool = False,
    ) -> pl.DataFrame:
        """Candlesticks of one market, oldest first, as a frame with the fields of `Candlestick`; long windows take several requests.

        interval: "1m", "1h" or "1d"; the exchange's day ends at midnight Eastern time. `latest_before` puts the last state before
        `since` first, without trades of its own. Columns ending in _open, _high, _low, _close are Float64 dollars of the YES contract
        (Decimal(9, 6) with `exact=True`), volume and open_interest Float64 contracts.
        """
        name, minutes = params.ticker(ticker), params.interval(interval)
        most = candles.MOST if series is None else candles.MOST_ALONE
        now = self._clock.now()
        parts = [
            candles.of_market(await self._send(self._one_market(asked, name, series)), name, minutes)
            for asked in candles.windows(since, until, minutes, now=now, most=most, latest_before=latest_before)
        ]
        return candles.frame(parts, exact=exact)

    async def batch_candlesticks(
        self,
        tickers: Iterable[str],
        interval: str | int = "1h",
        *,
        since: When = "7d",
        until: When | None = None,
        latest_before: bool = False,
        exact: bool = False,
    ) -> pl.DataFrame:
        """Candlesticks of up to 100 markets as one frame by market and time; the columns are those of `candlesticks`.

        The exchange answers 10,000 candlesticks at once, so that a long window of many markets takes several requests.
        """
        names, minutes = params.tickers(tickers, most=BATCH), params.interval(interval)
        most, now = candles.MOST // len(names), self._clock.now()
        parts = []
        for asked in candles.windows(since, until, minutes, now=now, most=most, latest_before=latest_before):
            made = call("batch_get_market_candlesticks", (("market_tickers", ",".join(names)), *asked))
            parts.append(candles.of_markets(await self._send(made), minutes))
        return candles.frame(parts, exact=exact)

    def candle_call(
        self, ticker: str, interval: str | int, *, since: When, until: When | None = None, series: str | None = None
    ) -> tuple[Call, int]:
        """The request for candlesticks, and the minutes of their interval; without a series the batch endpoint serves."""
        minutes = params.interval(interval)
        asked = params.candle_window(since, until, minutes, now=self._clock.now())
        return self._one_market(asked, params.ticker(ticker), series), minutes

    def _one_market(self, asked: params.Params, name: str, series: str | None) -> Call:
        if series is None:
            return call("batch_get_market_candlesticks", (("market_tickers", name), *asked))
        owner = params.ticker(series, "series")
        return call("get_market_candlesticks", asked, series_ticker=owner, ticker=name)


def _book(reply: Reply, ticker: str, found: dict[str, Any], *, required: bool = False) -> Orderbook:
    """The book under `orderbook_fp`; null, and absent where it is not required, is an empty one."""
    if "orderbook_fp" not in found and "orderbook" in found:
        raise unread(reply, legacy("orderbook", "orderbook_fp"))
    if required and "orderbook_fp" not in found:
        raise bad_payload(reply, "no 'orderbook_fp' in it")
    try:
        return Orderbook.from_wire(ticker, found.get("orderbook_fp") or {})
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise bad_payload(reply, f"unreadable book level: {error}") from None


class Markets(Facade):
    """The blocking face of `AsyncMarkets`."""

    list = paged(AsyncMarkets.list)
    one = blocking(AsyncMarkets.one)
    trades = paged(AsyncMarkets.trades)
    orderbook = blocking(AsyncMarkets.orderbook)
    orderbooks = blocking(AsyncMarkets.orderbooks)
    candlesticks = blocking(AsyncMarkets.candlesticks)
    batch_candlesticks = blocking(AsyncMarkets.batch_candlesticks)
