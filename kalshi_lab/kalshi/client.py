"""The clients: the whole API, no files, namespaced by the exchange's own families."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from kalshi_lab.clock import Clock, SystemClock
from kalshi_lab.door import Door
from kalshi_lab.kalshi import operations
from kalshi_lab.kalshi.account import Account, ApiKeyFamily, AsyncAccount, AsyncApiKeys
from kalshi_lab.kalshi.channels import wanted
from kalshi_lab.kalshi.checks import KeyCheck, check_key
from kalshi_lab.kalshi.communications import AsyncCommunications, Communications
from kalshi_lab.kalshi.events import AsyncEvents, Events
from kalshi_lab.kalshi.exchange import AsyncExchange, Exchange
from kalshi_lab.kalshi.fcm import AsyncFcm, Fcm
from kalshi_lab.kalshi.historical import AsyncHistorical, Historical
from kalshi_lab.kalshi.incentive_programs import AsyncIncentivePrograms, IncentivePrograms
from kalshi_lab.kalshi.live import Stream
from kalshi_lab.kalshi.live_data import AsyncLiveData, LiveDataFamily
from kalshi_lab.kalshi.maintenance import Timetable
from kalshi_lab.kalshi.markets import AsyncMarkets, Markets
from kalshi_lab.kalshi.milestones import AsyncMilestones, Milestones
from kalshi_lab.kalshi.multivariate import AsyncMultivariate, Multivariate
from kalshi_lab.kalshi.order_groups import AsyncOrderGroups, OrderGroups
from kalshi_lab.kalshi.orders import AsyncOrders, Orders
from kalshi_lab.kalshi.portfolio import AsyncPortfolio, Portfolio
from kalshi_lab.kalshi.search import AsyncSearch, Search
from kalshi_lab.kalshi.series import AsyncSeriesFamily, SeriesFamily
from kalshi_lab.kalshi.stream import AsyncStream
from kalshi_lab.kalshi.structured_targets import AsyncStructuredTargets, StructuredTargets
from kalshi_lab.observe import Observer
from kalshi_lab.portal import AsyncSession, Session, blocking, faced
from kalshi_lab.settings import chosen

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

    from kalshi_lab.credentials import Credentials
    from kalshi_lab.settings import Environment, Settings


class AsyncKalshi(AsyncSession):
    """The exchange's API, awaited; one connection pool and one rate budget for all of it.

    Public data need no key; everything else needs `credentials` (`kl.Credentials.from_env()`), and writes a client that was opened
    for them with `writable=True`. `environment`: "prod", "demo" or
    "sim"; further options are those of `Settings`, or give a whole `settings=Settings(...)`. `clock` is what waits are taken from,
    `exchange_clock` (the same where none is given) what "now" means in a question.
    """

    def __init__(
        self,
        environment: Environment | None = None,
        *,
        settings: Settings | None = None,
        credentials: Credentials | None = None,
        writable: bool = False,
        clock: Clock | None = None,
        exchange_clock: Clock | None = None,
        **options: Any,
    ) -> None:
        self.settings = chosen(environment, settings, options)
        machine = clock or SystemClock()
        self.clock = exchange_clock or machine
        self.observer = Observer()
        self.door = Door(self.settings, credentials=credentials, writable=writable, clock=clock, observer=self.observer)
        self._machine = machine
        self.door.advice = Timetable(self.door, self.clock, machine)
        self._streams: WeakSet[AsyncStream] = WeakSet()
        self.exchange = AsyncExchange(self.door, self.clock)
        self.series = AsyncSeriesFamily(self.door, self.clock)
        self.events = AsyncEvents(self.door, self.clock)
        self.markets = AsyncMarkets(self.door, self.clock)
        self.historical = AsyncHistorical(self.door, self.clock)
        self.milestones = AsyncMilestones(self.door, self.clock)
        self.multivariate = AsyncMultivariate(self.door, self.clock)
        self.structured_targets = AsyncStructuredTargets(self.door, self.clock)
        self.search = AsyncSearch(self.door, self.clock)
        self.incentive_programs = AsyncIncentivePrograms(self.door, self.clock)
        self.live_data = AsyncLiveData(self.door, self.clock)
        self.portfolio = AsyncPortfolio(self.door, self.clock)
        self.orders = AsyncOrders(self.door, self.clock)
        self.order_groups = AsyncOrderGroups(self.door, self.clock)
        self.communications = AsyncCommunications(self.door, self.clock)
        self.account = AsyncAccount(self.door, self.clock)
        self.api_keys = AsyncApiKeys(self.door, self.clock)
        self.fcm = AsyncFcm(self.door, self.clock)

    @staticmethod
    def operations() -> pl.DataFrame:
        """All operations of the exchange's API, as a frame.

        Columns: method, path, family, name (its place on the client), operation (the exchange's name) String; public Boolean (no key
        is needed), cost Float64 tokens (of a batch: for each item), verified Boolean (False: seen only in another client).
        """
        return operations.frame()

    def stream(
        self,
        channels: str | Iterable[str],
        *,
        tickers: str | Iterable[str] | None = None,
        send_initial_snapshot: bool | None = None,
        use_yes_price: bool | None = None,
        user_filter: str | None = None,
        index_ids: str | Iterable[str] | None = None,
        underlying_tickers: str | Iterable[str] | None = None,
        shard_factor: int | None = None,
        shard_key: int | None = None,
        skip_ticker_ack: bool | None = None,
        attempts: int | None = None,
    ) -> AsyncStream:
        """A live stream of these channels; it connects when it is opened or iterated. Needs credentials, also for public channels.

        channels: orderbook_delta (needs tickers), ticker, trade, market_lifecycle_v2, multivariate_market_lifecycle; your own fill,
        market_positions, user_orders, order_group_updates, communications; cfbenchmarks_value, cfbenchmarks_value_5hz (index_ids),
        pyth_value (underlying_tickers). The other parameters are the exchange's, each of the channels that take it. A connection that
        is lost is made again for ever, or until `attempts` in a row failed.
        Raises UsageError for a channel or parameter that does not exist or does not fit.
        """
        given = {
            "send_initial_snapshot": send_initial_snapshot, "use_yes_price": use_yes_price, "user_filter": user_filter,
            "index_ids": index_ids, "underlying_tickers": underlying_tickers, "shard_factor": shard_factor, "shard_key": shard_key,
            "skip_ticker_ack": skip_ticker_ack,
        }  # fmt: skip
        made = AsyncStream(self.door, self.settings, self._machine, wanted(channels, tickers, given), attempts=attempts)
        self._streams.add(made)
        return made

    async def check_key(self) -> KeyCheck:
        """Whether this client's key works, in which tier and scopes, and what is wrong where it does not, in plain words.

        Asks for the account's limits, which the rate budget takes over, and for its keys. Raises Unavailable and the like where the
        exchange does not answer, since that says nothing of the key.
        """
        return await check_key(self.door, self.settings, self.clock)

    async def close(self) -> None:
        """End the streams and give back the connections."""
        for stream in list(self._streams):
            await stream.close()
        await self.door.aclose()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.settings.environment} {self.settings.url}>"


class Kalshi(Session):
    """The exchange's API, blocking: works in scripts, threads and notebooks alike. See `AsyncKalshi`."""

    _twin: AsyncKalshi

    def __init__(
        self,
        environment: Environment | None = None,
        *,
        settings: Settings | None = None,
        credentials: Credentials | None = None,
        writable: bool = False,
        clock: Clock | None = None,
        **options: Any,
    ) -> None:
        twin = AsyncKalshi(
            environment, settings=settings, credentials=credentials, writable=writable, clock=clock, **options
        )
        self._face(twin)

    def _face(self, twin: AsyncKalshi) -> None:
        super().__init__(twin)
        self.settings = twin.settings
        self.exchange = Exchange(twin.exchange)
        self.series = SeriesFamily(twin.series)
        self.events = Events(twin.events)
        self.markets = Markets(twin.markets)
        self.historical = Historical(twin.historical)
        self.milestones = Milestones(twin.milestones)
        self.multivariate = Multivariate(twin.multivariate)
        self.structured_targets = StructuredTargets(twin.structured_targets)
        self.search = Search(twin.search)
        self.incentive_programs = IncentivePrograms(twin.incentive_programs)
        self.live_data = LiveDataFamily(twin.live_data)
        self.portfolio = Portfolio(twin.portfolio)
        self.orders = Orders(twin.orders)
        self.order_groups = OrderGroups(twin.order_groups)
        self.communications = Communications(twin.communications)
        self.account = Account(twin.account)
        self.api_keys = ApiKeyFamily(twin.api_keys)
        self.fcm = Fcm(twin.fcm)

    operations = staticmethod(AsyncKalshi.operations)
    stream = faced(AsyncKalshi.stream, Stream)
    check_key = blocking(AsyncKalshi.check_key)
    close = blocking(AsyncKalshi.close)


def face(twin: AsyncKalshi) -> Kalshi:
    """The blocking face of a client that is there already: one connection pool and one rate budget for both."""
    made = Kalshi.__new__(Kalshi)
    made._face(twin)  # noqa: SLF001 - its own
    return made
