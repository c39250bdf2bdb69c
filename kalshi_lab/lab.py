"""The lab: one session over the exchange and one store, and the verbs look, keep, ask, think and act.

`Lab` blocks and `AsyncLab` awaits; words, arguments and results are the same, since every verb is written once.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from kalshi_lab import frames, markup
from kalshi_lab.alerts import Alerts, AsyncAlerts
from kalshi_lab.analysis.calibration import calibration
from kalshi_lab.analysis.labelled import labelled
from kalshi_lab.clock import Clock, SystemClock, When, moment
from kalshi_lab.errors import NotFound, UsageError
from kalshi_lab.ingest import history
from kalshi_lab.ingest.snapshot import Snapshot, snapshot
from kalshi_lab.kalshi.client import AsyncKalshi
from kalshi_lab.kalshi.params import tickers as checked_tickers
from kalshi_lab.portal import AsyncSession, Session, blocking
from kalshi_lab.research import thesis as research
from kalshi_lab.settings import Settings
from kalshi_lab.store import Store, make_folder, queries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal

    from kalshi_lab.analysis.result import Calibration
    from kalshi_lab.ingest.history import SyncResult
    from kalshi_lab.models import Event, ExchangeStatus, Market, Orderbook, Series
    from kalshi_lab.research import Thesis
    from kalshi_lab.settings import Environment

STATS: dict[str, Any] = {
    "operation": pl.String, "attempts": pl.Int64, "retries": pl.Int64, "failures": pl.Int64, "received_bytes": pl.Int64,
    "latency_p50": pl.Float64, "latency_p95": pl.Float64, "latency_p99": pl.Float64, "queued_p50": pl.Float64, "queued_p99": pl.Float64,
}  # fmt: skip


class AsyncLab(AsyncSession):
    """A session: one connection pool, one rate budget, one store, shared by everything that it is asked.

    environment: "prod" (public data need no key), "demo", or "sim", which starts the built-in exchange on this machine unless
    `base_url` names one that runs. home: the folder of the store, made if need be. Further options are those of `Settings`; or
    give a whole `settings=Settings(...)`. Raises UsageError for an option that does not exist or a folder that cannot be written.
    """

    def __init__(
        self,
        environment: Environment | None = None,
        *,
        settings: Settings | None = None,
        clock: Clock | None = None,
        **options: Any,
    ) -> None:
        if environment is not None:
            options["environment"] = environment
        if settings is not None and options:
            raise UsageError("give settings= or single options, not both")
        settings = settings or Settings(**options)
        make_folder(settings.folder)
        self._simulated: Any = None
        machine = clock or SystemClock()
        self.settings = settings if settings.environment != "sim" else self._simulate(settings)
        self.clock = clock or (machine if self.settings.environment != "sim" else _simulated_clock(self.settings.url))
        self.kalshi = AsyncKalshi(self.settings, clock=machine, exchange_clock=self.clock)
        self.store = Store(self.settings.folder / "kalshi.duckdb", wait=self.settings.store_wait)
        self.alerts = AsyncAlerts(self.kalshi, self.store, self.clock)

    def _simulate(self, settings: Settings) -> Settings:
        """The settings with the address of a simulated exchange, which is started where they name none."""
        from kalshi_lab.sim.process import start

        if settings.base_url:
            return settings
        self._simulated = start(start=datetime.now(UTC).replace(minute=0, second=0, microsecond=0))
        return Settings(**settings.model_dump(exclude={"allow_unsafe_host"}) | {"base_url": self._simulated.url})

    # look, which is the live API

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
        """Events as a frame with the fields of `Event`; status: unopened, open, closed, settled, or None for all."""
        return await self.kalshi.events.list(status=status, series=series, limit=limit).frame()

    async def series(self, *, category: str | None = None, tags: str | None = None) -> pl.DataFrame:
        """Series as a frame with the fields of `Series`, with the contracts traded in each."""
        return await self.kalshi.series.list(category=category, tags=tags, volume=True).frame()

    async def one_series(self, ticker: str) -> Series:
        """One series, with its fees and sources; NotFound where there is none."""
        return await self.kalshi.series.one(ticker)

    async def orderbook(self, ticker: str, *, depth: int = 0) -> Orderbook:
        """The order book of a market; depth: levels on each side, 0 for all."""
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
        """Recent public trades, newest first, as a frame with the fields of `Trade`; limit=None for all of the window."""
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
        """
        made = await self.kalshi.markets.candlesticks(ticker, interval, since=since, until=until, exact=exact)
        if made.height:
            return made
        cutoff = (await self.kalshi.historical.cutoff()).market_settled_ts
        if cutoff is None or moment(since, now=self.clock.now()) > cutoff:
            return made
        return await self.kalshi.historical.candlesticks(ticker, interval, since=since, until=until, exact=exact)

    # keep, which brings the API into DuckDB

    async def snapshot(
        self,
        *,
        status: str | None = "open",
        series: str | None = None,
        event: str | None = None,
        tickers: str | Iterable[str] | None = None,
        combos: bool = False,
        progress: bool | None = None,
    ) -> Snapshot:
        """Keep the quotes of a listing as they are now: a row for each that changed since the snapshot before."""
        names = None if tickers is None else checked_tickers(tickers)
        chosen: dict[str, Any] = {
            "status": None if names else status,
            "series": series,
            "event": event,
            "tickers": names,
        }
        return await snapshot(self.kalshi, self.store, self.clock, **chosen, combos=combos, progress=progress)

    async def sync(
        self,
        dataset: Literal["markets", "events", "series", "trades", "candlesticks"],
        *,
        status: str | None = None,
        series: str | None = None,
        event: str | None = None,
        tickers: str | Iterable[str] | None = None,
        since: When | None = None,
        until: When | None = None,
        interval: str | int = "1h",
        combos: bool = False,
        nested: bool = False,
        resume: bool = True,
        progress: bool | None = None,
    ) -> SyncResult:
        """Bring a dataset into the store: what is new or changed is written once, and an interrupted sync carries on where it was.

        markets: `status` as a filter (None for all, with the settled ones that only the historical endpoint still has); events:
        `nested=True` brings their markets along; trades: of `tickers`, an `event`, a `series` or the whole exchange, in [since, until);
        candlesticks: of `tickers`, an `event` or a `series`, over each market's life or [since, until). Combos are left out unless
        asked for, and the result says how many.
        """
        ask = history.asked(
            dataset, status=status, series=series, event=event, tickers=tickers, since=since, until=until, interval=interval,
            combos=combos, nested=nested, now=self.clock.now(),
        )  # fmt: skip
        return await history.sync(self.kalshi, self.store, self.clock, ask, resume=resume, progress=progress)

    # ask, which is DuckDB

    async def quotes(
        self, *, as_of: When | None = None, tickers: str | Iterable[str] | None = None, exact: bool = False
    ) -> pl.DataFrame:
        """The quotes that the store holds, as they stood at a moment (None: the last ones).

        Columns: ticker, time (the snapshot in which it last changed), status, yes_bid, yes_bid_size, yes_ask, yes_ask_size,
        last_price, volume, open_interest; a market that had left its listing by then is not in it.
        """
        now = self.clock.now()
        names = None if tickers is None else checked_tickers(tickers)
        made = await queries.quotes_as_of(
            self.store, now if as_of is None else moment(as_of, now=now, what="as_of"), names
        )
        return made if exact else frames.floats(made)

    async def sql(self, query: str, parameters: Sequence[Any] = (), *, exact: bool = False) -> pl.DataFrame:
        """The rows of one SELECT over the store; `?` or `$1` in it are taken from `parameters`. Nothing can be changed by it."""
        made = await self.store.select(query, parameters)
        return made if exact else frames.floats(made)

    async def table(self, name: str, *, exact: bool = False) -> pl.DataFrame:
        """A whole table of the store as a frame."""
        made = await self.store.table(name)
        return made if exact else frames.floats(made)

    async def stats(self) -> pl.DataFrame:
        """What was asked of the exchange in this session: a row for each operation.

        Columns: operation String; attempts, retries, failures, received_bytes Int64; latency_p50, _p95, _p99, queued_p50, _p99 Float64
        seconds, over the last attempts (queued: waiting for the rate budget).
        """
        return pl.DataFrame(self.kalshi.observer.rows(), schema=STATS)

    # think

    async def forecasts(
        self, *, horizon: str = "1d", price: Literal["mid", "last"] = "mid", series: str | None = None
    ) -> pl.DataFrame:
        """Settled markets that the store knows, each with the price known `horizon` before its close, and its outcome.

        Columns: ticker, event_ticker, series_ticker, category, price Float64 dollars (null where there was no real quote, or no trade),
        outcome Int8 (1 for YES, 0 for NO, null for neither), decided_at, priced_at, close_time. Needs `sync("markets", status="settled")`
        and `sync("candlesticks")`.
        """
        return await labelled(self.store, horizon=horizon, price=price, series=series)

    async def calibration(
        self,
        *,
        horizon: str = "1d",
        price: Literal["mid", "last"] = "mid",
        series: str | None = None,
        by: str | Sequence[str] | None = None,
        bins: int | Sequence[float | Decimal] = 10,
    ) -> Calibration:
        """How often markets at a price settled at YES: over the store, one row for each market, intervals clustered by event.

        See `forecasts` for the price and the horizon, and `kalshi_lab.calibration` for the figures.
        """
        known = await self.forecasts(horizon=horizon, price=price, series=series)
        return await asyncio.to_thread(calibration, known, cluster="event_ticker", by=by, bins=bins)

    async def thesis(
        self,
        name: str,
        *,
        tickers: str | Iterable[str] | None = None,
        probability: float | str | Decimal | Mapping[str, float | str | Decimal] | None = None,
        because: str = "",
        status: str | None = None,
    ) -> Thesis:
        """Write a thesis down, or look at one: with tickers and a probability of YES it is kept with the prices of this moment.

        With the name alone it is shown as it stands, and resolved from the exchange's own results once they are there.
        """
        chosen: dict[str, Any] = {"tickers": tickers, "probability": probability, "because": because, "status": status}
        return await research.thesis(self.kalshi, self.store, self.clock, name, **chosen)

    async def theses(self) -> pl.DataFrame:
        """All theses at their latest version, a row for each market: your probability, the price then, the result, Brier scores."""
        return await research.theses(self.store)

    # the session

    async def close(self) -> None:
        """Give back the connections, and stop the simulated exchange that this session started."""
        await self.kalshi.close()
        if self._simulated is not None:
            await asyncio.to_thread(self._simulated.stop)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.settings.environment}, store {self.store.path}>"

    def _repr_html_(self) -> str:
        facts = {"environment": self.settings.environment, "exchange": self.settings.url, "store": self.store.path}
        return markup.card(type(self).__name__, facts)


def _simulated_clock(url: str) -> Clock:
    """The simulated exchange's clock: its time is not this machine's."""
    from kalshi_lab.sim.clock import SimulatedClock

    return SimulatedClock(url)


class Lab(Session):
    """A session, blocking: works in notebooks, scripts and threads alike. See `AsyncLab`."""

    _twin: AsyncLab

    def __init__(
        self,
        environment: Environment | None = None,
        *,
        settings: Settings | None = None,
        clock: Clock | None = None,
        **options: Any,
    ) -> None:
        super().__init__(AsyncLab(environment, settings=settings, clock=clock, **options))
        self.settings, self.alerts = self._twin.settings, Alerts(self._twin.alerts)

    status = blocking(AsyncLab.status)
    market = blocking(AsyncLab.market)
    markets = blocking(AsyncLab.markets)
    event = blocking(AsyncLab.event)
    events = blocking(AsyncLab.events)
    series = blocking(AsyncLab.series)
    one_series = blocking(AsyncLab.one_series)
    orderbook = blocking(AsyncLab.orderbook)
    trades = blocking(AsyncLab.trades)
    candlesticks = blocking(AsyncLab.candlesticks)
    snapshot = blocking(AsyncLab.snapshot)
    sync = blocking(AsyncLab.sync)
    quotes = blocking(AsyncLab.quotes)
    sql = blocking(AsyncLab.sql)
    table = blocking(AsyncLab.table)
    stats = blocking(AsyncLab.stats)
    forecasts = blocking(AsyncLab.forecasts)
    calibration = blocking(AsyncLab.calibration)
    thesis = blocking(AsyncLab.thesis)
    theses = blocking(AsyncLab.theses)
    close = blocking(AsyncLab.close)

    def _repr_html_(self) -> str:
        return self._twin._repr_html_().replace("AsyncLab", "Lab")
