"""Scanners over the exchange's markets as they are now, movers over what the store keeps, and one market's figures."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Unpack

import polars as pl

from kalshi_lab.analysis import scan as scans
from kalshi_lab.analysis.category import category as category_named
from kalshi_lab.analysis.movers import metrics, movers
from kalshi_lab.clock import When, moment, span
from kalshi_lab.errors import UsageError, one_of
from kalshi_lab.kalshi.named import batches
from kalshi_lab.lab.verbs import Verbs
from kalshi_lab.portal import Facade, blocking
from kalshi_lab.research import thesis as research
from kalshi_lab.store import queries

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from kalshi_lab.analysis.movers import Metrics, Movers
    from kalshi_lab.analysis.scan import Filters, Kind, Scan
    from kalshi_lab.models import Orderbook

DEEPEST = 300  # markets whose books one scan reads
APART = 0.20  # dollars between a market's price and your own probability that are worth a second look
DESCRIBED = """
SELECT ticker, event_ticker, title, yes_sub_title, created_time, open_time, close_time FROM markets WHERE list_contains($1, ticker)
"""
# A candlestick's volume is that of its interval, a quote's that of the market's life: only the latter can be subtracted. Once a market
# has left its listing for good, its last quote stands no longer.
QUOTED = """
SELECT time, CASE WHEN NOT gone THEN yes_bid END AS yes_bid, CASE WHEN NOT gone THEN yes_ask END AS yes_ask, volume FROM quotes
WHERE ticker = $1 AND (NOT gone OR time > (SELECT max(time) FROM quotes WHERE ticker = $1 AND NOT gone))
UNION ALL
SELECT end_time, yes_bid_close, yes_ask_close, CAST(NULL AS DECIMAL(18, 2)) FROM candlesticks WHERE ticker = $1
ORDER BY time
"""
LOOKED = "SELECT coalesce(max(time) FILTER (WHERE time <= $1), min(time)) AS time FROM snapshots"


class AsyncScans(Verbs):
    """Think: scanners and movers."""

    async def scan(
        self,
        kind: Kind,
        *,
        profile: Literal["raw", "tradeable", "liquid", "early"] = "raw",
        category: str | None = None,
        series: str | None = None,
        combos: bool = False,
        top: int | None = 20,
        **filters: Unpack[Filters],
    ) -> Scan:
        """Open markets that are of a kind now, best first: "close_race", "high_volume", "wide_spread", "expiring" or "new".

        The exchange filters what it can: new markets by their time of creation, those of a series, combos left out unless asked for.
        category: the exchange's word or a short one ("econ", "pol"); it is that of the series. Where one of your theses has a market of
        the table, `yours` is your probability and `apart` says whether the price differs from it by 20 cents or more: then read the rules
        and the price once more. Depth, for the profiles liquid and early and for `min_depth`, is that of the live books of the first 300
        that fit otherwise, a request for each hundred. See `kl.scan` for the kinds, their filters, the profiles and the table. Raises
        UsageError as that does.
        """
        now, asked = self.clock.now(), {"series": series, "combos": combos, **self._window(kind, filters.get("within"))}
        wanted = None if category is None else category_named(category)
        found, known, status = await asyncio.gather(
            self.kalshi.markets.list(**asked, status="open").frame(exact=True),
            self._categories(),
            self.kalshi.exchange.status(),
        )
        trading = status.exchange_active is True and status.trading_active is True
        chosen: dict[str, Any] = {
            "profile": profile,
            "category": wanted,
            "top": top,
            "combos": combos,
            "trading": trading,
        }
        rows = found.with_columns(
            category=pl.col("ticker")
            .str.split("-")
            .list.first()
            .replace_strict(known, default=None, return_dtype=pl.String)
        )
        first = functools.partial(scans.scan, rows, kind, now=now, **chosen)
        if (
            filters.get("min_depth") is None
            and "deep" not in scans.PROFILES[one_of("profile", profile, scans.PROFILES)]
        ):
            return await self._beside_theses(await asyncio.to_thread(first, **filters))
        every: Filters = {**filters, "min_depth": None}
        candidates = await asyncio.to_thread(first, **every, top=None)
        books = await self._deep(candidates.table["ticker"].head(DEEPEST).to_list())
        return await self._beside_theses(await asyncio.to_thread(first, **filters, books=books))

    async def _deep(self, tickers: list[str]) -> dict[str, Orderbook]:
        found = await asyncio.gather(*(self.kalshi.markets.orderbooks(part) for part in batches(tickers)))
        return {book.ticker: book for part in found for book in part}

    async def movers(
        self, period: timedelta | str = "24h", *, live: bool = False, min_change: float = 0.01, top: int | None = 20
    ) -> Movers:
        """Markets whose price moved over a period, by the quotes that the store keeps: two questions, whatever their number.

        `live=True` compares with the exchange's prices of this moment instead of the last look. The look that is compared with is the
        last one made before the period began, or the first one where none is that old; its time is in the result. See `kl.movers` for the
        table, to which come event_ticker, title, yes_sub_title, created_time, open_time and close_time. Raises UsageError where the
        store has no look at all.
        """
        now, length = self.clock.now(), span(period, what="period")
        then = await self._looked(now - length)
        until = now if live else await self._looked(now)
        before = await queries.quotes_as_of(self.store, then, None)
        after = (
            (await self.kalshi.markets.list(status="open").frame(exact=True)).with_columns(time=pl.lit(now))
            if live
            else await queries.quotes_as_of(self.store, until, None)
        )
        over = f"{then:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC{' (live)' if live else ''}"
        made = await asyncio.to_thread(movers, before, after, over=over, min_change=min_change, top=top)
        described = await self.store.read(DESCRIBED, [made.table["ticker"].to_list()])
        return replace(made, table=made.table.join(described, on="ticker", how="left", maintain_order="left"))

    async def metrics(self, ticker: str, *, since: When = "7d", until: When | None = None) -> Metrics:
        """A market's spread, range, volatility and volume over a window, by the quotes and candlesticks that the store keeps.

        See `kl.metrics` for the table; the volume is known where at least two snapshots saw the market.
        Raises UsageError where the store knows no quote of the market.
        """
        now = self.clock.now()
        start, end = moment(since, now=now), now if until is None else moment(until, now=now)
        path = pl.DataFrame() if self.store.is_new else await self.store.read(QUOTED, [ticker])
        if path.is_empty():
            raise UsageError(
                f"the store knows no quote of {ticker}",
                hint="lab.snapshot() or lab.sync('candlesticks', tickers=...) first",
            )
        return await asyncio.to_thread(metrics, path, ticker, start=start, end=end)

    async def why_not_tradeable(self, ticker: str) -> str:
        """Why a market cannot be traded now, in words; empty where it can.

        Raises NotFound where there is no such market.
        """
        market, status = await asyncio.gather(self.kalshi.markets.one(ticker), self.kalshi.exchange.status())
        return scans.why_not_tradeable(market, now=self.clock.now(), status=status)

    def _window(self, kind: str, within: timedelta | str | None) -> dict[str, Any]:
        """What the exchange itself can leave out; markets without a time of creation are rare, and come only without that."""
        if one_of("kind of scan", kind, scans.KINDS) != "new":
            return {}
        length = span(within or scans.DEFAULTS["new"]["within"], what="within")
        return {"created": (self.clock.now() - length, None)}

    async def _categories(self) -> dict[str, str]:
        """The category of each series, by the store where it knows any, else by the exchange."""
        known = pl.DataFrame() if self.store.is_new else await self.store.read("SELECT ticker, category FROM series")
        if known.is_empty():
            known = await self.kalshi.series.list().frame()
        return dict(known.select("ticker", "category").drop_nulls().iter_rows())

    async def _looked(self, at: datetime) -> datetime:
        """When the store looked last before a moment, or first of all where that was later."""
        found = None if self.store.is_new else (await self.store.read(LOOKED, [at])).item()
        if found is None:
            hint = "lab.snapshot() makes one, lab.collect(...) makes them regularly"
            raise UsageError("the store has no look at the exchange's quotes", hint=hint)
        return found  # type: ignore[no-any-return]  # a frame's value

    async def _beside_theses(self, made: Scan) -> Scan:
        theses = None if self.store.is_new else await research.theses(self.store)
        if theses is None or theses.is_empty():
            return made
        own = (
            theses.filter(pl.col("result").is_null())
            .unique("ticker", keep="last")
            .select("ticker", yours="probability")
        )
        table = made.table.join(own, on="ticker", how="left", maintain_order="left")
        return replace(made, table=table.with_columns(apart=(pl.col("yours") - pl.col("mid")).abs() >= APART))


class Scans(Facade):
    """The blocking face of `AsyncScans`."""

    scan = blocking(AsyncScans.scan)
    movers = blocking(AsyncScans.movers)
    metrics = blocking(AsyncScans.metrics)
    why_not_tradeable = blocking(AsyncScans.why_not_tradeable)
