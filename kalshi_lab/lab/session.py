"""The lab: one session over the exchange and one store, and the verbs look, keep, ask, think and act.

`Lab` blocks and `AsyncLab` awaits; words, arguments and results are the same, since every verb is written once.
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from inspect import signature
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import WeakSet

from kalshi_lab import markup
from kalshi_lab.alerts import Alerts, AsyncAlerts
from kalshi_lab.clock import Clock, SystemClock
from kalshi_lab.errors import UsageError, one_of
from kalshi_lab.exa.client import AsyncExa
from kalshi_lab.exa.client import face as exa_face
from kalshi_lab.kalshi.client import AsyncKalshi, face
from kalshi_lab.lab.agent import Agents, AsyncAgents
from kalshi_lab.lab.alerting import lent
from kalshi_lab.lab.ask import Ask, AsyncAsk
from kalshi_lab.lab.backtest import AsyncBacktests, Backtests
from kalshi_lab.lab.keep import AsyncKeep, Keep
from kalshi_lab.lab.ladders import AsyncLadders, Ladders
from kalshi_lab.lab.liquidity import AsyncCosts, Costs
from kalshi_lab.lab.look import AsyncLook, Look
from kalshi_lab.lab.panels import AsyncPanels, Panels
from kalshi_lab.lab.portfolio import AsyncLabPortfolio, LabPortfolio
from kalshi_lab.lab.research import AsyncResearch, Research
from kalshi_lab.lab.scans import AsyncScans, Scans
from kalshi_lab.lab.sizing import AsyncSizing, Sizing
from kalshi_lab.lab.tape import AsyncTape, Tape
from kalshi_lab.lab.theses import AsyncTheses, Theses
from kalshi_lab.lab.think import AsyncThink, Think
from kalshi_lab.lab.trading import AsyncTradings, Tradings
from kalshi_lab.portal import AsyncSession, Session, blocking
from kalshi_lab.research.news import AsyncNews, News
from kalshi_lab.settings import Settings, chosen
from kalshi_lab.store import Store, make_folder
from kalshi_lab.store.face import face as store_face
from kalshi_lab.store.lake import Lake, LakeStore
from kalshi_lab.store.paid import PaidAnswers
from kalshi_lab.store.spend import Spending
from kalshi_lab.store.team import DuckLake, TeamStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kalshi_lab.credentials import Credentials
    from kalshi_lab.ingest.collector import AsyncCollector
    from kalshi_lab.ingest.recorder import AsyncRecording
    from kalshi_lab.settings import Environment
    from kalshi_lab.sim.process import Controls, Exchange

PRACTICE = "practice-with-the-simulated-exa"


class AsyncLab(
    AsyncLook,
    AsyncKeep,
    AsyncAsk,
    AsyncThink,
    AsyncTheses,
    AsyncLadders,
    AsyncTape,
    AsyncScans,
    AsyncSizing,
    AsyncCosts,
    AsyncResearch,
    AsyncBacktests,
    AsyncAgents,
    AsyncTradings,
    AsyncSession,
):
    """A session: one connection pool, one rate budget, one store, shared by everything that it is asked.

    environment: "prod" (public data need no key), "demo", or "sim", which starts the built-in exchange on this machine unless
    `base_url` names one that runs. home: the folder of the store, made if need be. credentials: a key, which streams and your own
    portfolio need (`kl.Credentials.from_env()`); in the sim it gets one, with practice money, without asking. writable: whether
    `kalshi`, the client that it uses, may write, which orders need. `simulated` steers the simulated exchange (`advance`, `stir`,
    `faults`, ...) and is None at a real one. world: what the simulated exchange that is started is like, by the words of
    `kalshi_lab.sim.start`: {"markets": 1000, "arbitrages": 3}. Further options are those of `Settings`; or give a whole
    `settings=Settings(...)`. store: instead of the file in home a `kl.Lake`, which is asked and not written, or a `kl.DuckLake` of a team.
    Raises UsageError for an option that does not exist or a folder that cannot be written.
    """

    def __init__(
        self,
        environment: Environment | None = None,
        *,
        settings: Settings | None = None,
        credentials: Credentials | None = None,
        writable: bool = False,
        exa_key: str | None = None,
        clock: Clock | None = None,
        world: Mapping[str, Any] | None = None,
        store: Lake | DuckLake | None = None,
        **options: Any,
    ) -> None:
        settings = chosen(environment, settings, options)
        make_folder(settings.folder)
        self._started: Exchange | None = None
        machine = clock or SystemClock()
        if world and (settings.environment != "sim" or settings.base_url):
            raise UsageError(
                "world= is for a simulated exchange that the lab starts", hint='kl.Lab("sim", world={...})'
            )
        self.settings = settings if settings.environment != "sim" else self._simulate(settings, dict(world or {}))
        self.clock = clock or (machine if self.settings.environment != "sim" else _simulated_clock(self.settings.url))
        self.simulated = _controls(self.settings)
        if credentials is None and self.simulated is not None:
            credentials = _practising(self.settings.url)
        self.kalshi = AsyncKalshi(
            settings=self.settings, credentials=credentials, writable=writable, clock=clock, exchange_clock=self.clock
        )
        self.store = _store(self.settings, store)
        self.spending = Spending(self.store, self.clock, self.settings.run or uuid.uuid4().hex[:12])
        self.exa = _searching(self.settings, self.spending, exa_key, clock)
        self.news = AsyncNews(self.kalshi, self.exa, self.store, self.clock, spending=self.spending)
        self.alerts = AsyncAlerts(self.kalshi, self.store, self.clock, lent=lent(self))
        self.portfolio = AsyncLabPortfolio(self.kalshi, self.store, self.clock)
        self.panels = AsyncPanels(self)
        self._background: WeakSet[AsyncRecording | AsyncCollector] = WeakSet()

    @property
    def background(self) -> tuple[AsyncRecording | AsyncCollector, ...]:
        """The recordings and the collector of this session."""
        return tuple(self._background)

    def _simulate(self, settings: Settings, world: dict[str, Any]) -> Settings:
        """The settings with the address of a simulated exchange, which is started where they name none."""
        from kalshi_lab.sim.process import start

        if settings.base_url:
            return settings
        for word in world:
            one_of("option of the simulated exchange", word, signature(start).parameters)
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        self._started = start(**{"start": hour, **world})
        return Settings(**settings.model_dump(exclude={"allow_unsafe_host"}) | {"base_url": self._started.url})

    async def close(self) -> None:
        """End what goes on in the background, give back the connections, and stop the simulated exchange that this session started.

        Raises StoreError where what a recording still held could not be written.
        """
        self.panels.stop()
        running = (self.alerts.stop(), *(one.stop() for one in self._background))
        ended = await asyncio.gather(*running, return_exceptions=True)
        await self.kalshi.close()
        await self.exa.close()
        if self._started is not None:
            await asyncio.to_thread(self._started.stop)
        for problem in ended:
            if isinstance(problem, BaseException):
                raise problem

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.settings.environment}, store {self.store.path}>"

    def _repr_html_(self) -> str:
        facts = {"environment": self.settings.environment, "exchange": self.settings.url, "store": self.store.path}
        return markup.card(type(self).__name__, facts)


def _store(settings: Settings, given: Lake | DuckLake | None) -> Store:
    limits: dict[str, Any] = {"sql_seconds": settings.sql_seconds, "sql_memory": settings.sql_memory}
    if isinstance(given, Lake):
        return LakeStore(given, **limits)
    limits |= {"wait": settings.store_wait, "keep_bodies": settings.keep_bodies, "min_free": settings.store_min_free}
    if isinstance(given, DuckLake):
        return TeamStore(given, settings.folder / "kalshi.ducklake", **limits)
    if given is not None:
        raise UsageError(
            f"store={str(given)[:60]!r} is no store", hint="Give a kl.Lake or a kl.DuckLake, or leave it out"
        )
    return Store(settings.folder / "kalshi.duckdb", **limits)


def _searching(settings: Settings, spending: Spending, key: str | None, clock: Clock | None) -> AsyncExa:
    """Exa, paid from the store's caps and remembered by it; in the sim it is the simulated one, which takes any key."""
    words: dict[str, Any] = {
        "meter": spending,
        "cache": PaidAnswers(spending.store, spending.clock),
        "now": spending.clock,
    }
    if settings.environment == "sim":
        where = urlsplit(settings.url)
        return AsyncExa(
            key or PRACTICE, settings=settings, url=f"{where.scheme}://{where.netloc}/exa", clock=clock, **words
        )
    return AsyncExa(key, settings=settings, clock=clock, **words)


def _controls(settings: Settings) -> Controls | None:
    """What steers the simulated exchange; None at a real one."""
    from kalshi_lab.sim.process import Controls

    port = urlsplit(settings.url).port
    return Controls(port) if settings.environment == "sim" and port else None


def _practising(url: str) -> Credentials | None:
    """A new key with practice money at a simulated exchange; None where the address is not one."""
    from kalshi_lab.credentials import Credentials
    from kalshi_lab.sim.process import join

    made = Credentials.generate()
    key_id = join(url, made.public_pem)
    return made.with_key_id(key_id) if key_id else None


def _simulated_clock(url: str) -> Clock:
    """The simulated exchange's clock: its time is not this machine's."""
    from kalshi_lab.sim.clock import SimulatedClock

    return SimulatedClock(url)


class Lab(
    Look, Keep, Ask, Think, Theses, Ladders, Tape, Scans, Sizing, Costs, Research, Backtests, Agents, Tradings, Session
):
    """A session, blocking: works in notebooks, scripts and threads alike. See `AsyncLab`."""

    _twin: AsyncLab

    def __init__(
        self,
        environment: Environment | None = None,
        *,
        settings: Settings | None = None,
        credentials: Credentials | None = None,
        writable: bool = False,
        exa_key: str | None = None,
        clock: Clock | None = None,
        world: Mapping[str, Any] | None = None,
        store: Lake | DuckLake | None = None,
        **options: Any,
    ) -> None:
        key: dict[str, Any] = {
            "credentials": credentials,
            "writable": writable,
            "exa_key": exa_key,
            "world": world,
            "store": store,
        }
        super().__init__(AsyncLab(environment, settings=settings, clock=clock, **key, **options))
        self.settings, self.alerts = self._twin.settings, Alerts(self._twin.alerts)
        self.news, self.portfolio = News(self._twin.news), LabPortfolio(self._twin.portfolio)
        self.panels = Panels(self._twin.panels)
        self.kalshi, self.simulated = face(self._twin.kalshi), self._twin.simulated
        self.store, self.exa = store_face(self._twin.store), exa_face(self._twin.exa)

    close = blocking(AsyncLab.close)

    def _repr_html_(self) -> str:
        return self._twin._repr_html_().replace("AsyncLab", "Lab")
