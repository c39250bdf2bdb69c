"""The client: searches, pages and answers, and the families of runs, monitors and websets."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kalshi_lab.clock import Clock, SystemClock
from kalshi_lab.door import Call, Door
from kalshi_lab.door.host import exa as exa_host
from kalshi_lab.door.signing import KeyHeader
from kalshi_lab.errors import AuthFailed, BadRequest, Forbidden, one_of
from kalshi_lab.exa import cache as caching
from kalshi_lab.exa import params, prices, reading
from kalshi_lab.exa.meter import Purse
from kalshi_lab.exa.payments import COSTS, Asked, Payments
from kalshi_lab.exa.prices import merged
from kalshi_lab.exa.records import answer_reply, search_reply
from kalshi_lab.exa.runs import AsyncRuns, Runs
from kalshi_lab.exa.standing import AsyncMonitors, AsyncWebsets, Monitors, Websets
from kalshi_lab.exa.streams import Bits, stream
from kalshi_lab.observe import Observer
from kalshi_lab.portal import AsyncSession, Session, blocking
from kalshi_lab.settings import chosen, environment_values

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from decimal import Decimal
    from typing import Self

    from kalshi_lab.clock import When
    from kalshi_lab.exa.cache import Cache
    from kalshi_lab.exa.meter import Meter
    from kalshi_lab.exa.records import Answer, ContentsReply, SearchReply
    from kalshi_lab.exa.streams import Chunk
    from kalshi_lab.settings import Environment, Settings

    Option = bool | Mapping[str, Any]

VARIABLE = "EXA_API_KEY"
ANSWERED = ("text", "output_schema", "system_prompt", "model", "user_location", "user_identifier")
SEARCHED = (
    "type", "num_results", "category", "include_domains", "exclude_domains", "user_location", "moderation", "additional_queries",
    "system_prompt", "objective", "user_identifier", "compliance", *params.DATES, *params.CONTENT,
)  # fmt: skip


class AsyncExa(AsyncSession):
    """Exa's API, awaited.

    api_key: what Exa gave you, else the environment variable EXA_API_KEY; without one the client can be made, and its calls raise
    AuthFailed with nothing sent. meter: what every paid call is reserved at and settled with; without one it is counted in memory.
    cache: where paid answers are kept; none where nothing is given. prices: dollars by name, in place of those of `kalshi_lab.exa.prices`.
    url: a stand-in on this machine (environment "sim"). Further options are those of `Settings`.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        environment: Environment | None = None,
        settings: Settings | None = None,
        url: str = "",
        meter: Meter | None = None,
        cache: Cache | None = None,
        prices: Mapping[str, Decimal] | None = None,
        clock: Clock | None = None,
        now: Clock | None = None,
        **options: Any,
    ) -> None:
        self.settings = chosen(environment, settings, options)
        machine = clock or SystemClock()
        host = exa_host(self.settings, url) if url else exa_host(self.settings)
        held = api_key or environment_values(VARIABLE).get(VARIABLE)
        key = KeyHeader("x-api-key", held) if held else None
        del api_key, held  # a traceback shows what its frames hold
        self.observer = Observer()
        self.door = Door(self.settings, host=host, key=key, clock=clock, observer=self.observer)
        self._prices = merged(prices)
        self._now = now or machine
        self._pay(Payments(self.door, self.settings, machine, meter or Purse(), cache))

    def _pay(self, payments: Payments) -> None:
        self._payments = payments
        self.meter = payments.meter
        self.runs = AsyncRuns(payments, self._prices, self._now)
        self.monitors, self.websets = AsyncMonitors(payments), AsyncWebsets(payments)

    def within(self, meter: Meter) -> Self:
        """The same client, whose calls are paid by another meter."""
        made = copy(self)
        made._pay(replace(self._payments, meter=meter))  # noqa: SLF001 - its own
        return made

    async def search(
        self,
        /,
        query: str,
        *,
        type: str = "auto",  # noqa: A002 - Exa's own word
        num_results: int = 10,
        category: str | None = None,
        include_domains: str | Iterable[str] | None = None,
        exclude_domains: str | Iterable[str] | None = None,
        start_published_date: When | None = None,
        end_published_date: When | None = None,
        user_location: str | Mapping[str, Any] | None = None,
        moderation: bool | None = None,
        text: Option | None = None,
        highlights: Option | None = None,
        summary: Option | None = None,
        max_age_hours: int | None = None,
        livecrawl_timeout: int | None = None,
        snapshot_as_of: When | None = None,
        extras: Mapping[str, int] | None = None,
        filter_empty_results: bool | None = None,
        additional_queries: Iterable[str] | None = None,
        system_prompt: str | None = None,
        output_schema: Mapping[str, Any] | None = None,
        objective: str | None = None,
        user_identifier: str | None = None,
        compliance: str | None = None,
        **older: Any,
    ) -> SearchReply:
        """Pages for a query in plain words, the most relevant first.

        type: "lite" (cheapest, stored pages only), "auto", "deep" (several searches and a synthesis); deep-lite, deep-reasoning, fast,
        instant and neural are taken, too. category: news, financial report, publication, personal site, company, people. Dates are those
        of publication; pages without one are left out once one is given. text, highlights, summary: True, or Exa's options, for what is
        wanted of each page; without any it is addresses and titles alone. snapshot_as_of: content as it stood then (ranking is today's).
        output_schema: {"type": "text"} or an object of ten properties in two levels, which is filled into `output`.

        Costs 0.004 dollars (lite), 0.007 (auto) to 0.015 (deep-reasoning), 0.001 for each result above ten and for each summary. Raises
        UsageError for what Exa would refuse or drop, BudgetExceeded with nothing sent where it may cost too much, and as the door does.
        """
        given = {name: value for name, value in locals().items() if name not in {"self", "older"}}
        params.refused(older, given)
        body = params.search_body(given, self._now.now())
        seconds = caching.lifetime("search", body)
        name = "deep search" if body["type"] in params.DEEP else "search"
        asked = Asked("search", "/search", body, prices.search(self._prices, body), seconds, COSTS[name])
        paid = await self._payments.ask(asked)
        return search_reply(paid.sent, cached=paid.cached, request_id=paid.request_id)

    async def contents(
        self,
        /,
        urls: str | Iterable[str] | None = None,
        *,
        ids: str | Iterable[str] | None = None,
        text: Option | None = None,
        highlights: Option | None = None,
        summary: Option | None = None,
        max_age_hours: int | None = None,
        livecrawl_timeout: int | None = None,
        snapshot_as_of: When | None = None,
        subpages: int | None = None,
        subpage_target: str | Iterable[str] | None = None,
        extras: Mapping[str, int] | None = None,
        user_identifier: str | None = None,
        compliance: str | None = None,
        **older: Any,
    ) -> ContentsReply:
        """The content of pages, and of each whether it could be read (`failed`); an answer may come with no page read at all.

        Without text=, highlights= or summary= it is the whole text. Each page is kept by itself, so that only those are asked for, and paid
        for, that are not known. Costs 0.001 dollars for each page and kind of content. Raises as `search`.
        """
        given = {name: value for name, value in locals().items() if name not in {"self", "older"}}
        params.refused(older, given)
        body = params.contents_body(given, self._now.now())
        return await reading.contents(self._payments, body, self._prices)

    async def answer(
        self,
        /,
        query: str,
        *,
        text: bool | None = None,
        output_schema: Mapping[str, Any] | None = None,
        system_prompt: str | None = None,
        model: str | None = None,
        user_location: str | Mapping[str, Any] | None = None,
        user_identifier: str | None = None,
        **older: Any,
    ) -> Answer:
        """An answer in words and the pages that it cites; one without citations rests on nothing.

        Costs 0.005 dollars. Raises as `search`.
        """
        given = {name: value for name, value in locals().items() if name not in {"self", "older"}}
        params.refused(older, given)
        body = params.answer_body(given, self._now.now())
        asked = Asked("answer", "/answer", body, prices.answer(self._prices, body), caching.lifetime("answer", body))
        paid = await self._payments.ask(asked)
        return answer_reply(paid.sent, cached=paid.cached, request_id=paid.request_id)

    def stream_answer(self, query: str, /, **arguments: Any) -> AsyncIterator[Chunk]:
        """The bits of an answer as they come; arguments as those of `answer`. The last bit says what it cost.

        Nothing is kept and nothing tried again: a stream that is cut raises BrokenResponse after the bits that came.
        """
        params.only(arguments, ANSWERED)
        body = {**params.answer_body({"query": query, **arguments}, self._now.now()), "stream": True}
        return stream(self._payments, Asked("answer", "/answer", body, prices.answer(self._prices, body)))

    def stream_search(
        self, query: str, /, *, output_schema: Mapping[str, Any], **arguments: Any
    ) -> AsyncIterator[Chunk]:
        """The bits of an output by a schema as they come, then the pages; arguments as those of `search`. Raises as `stream_answer`."""
        params.only(arguments, SEARCHED)
        given = {
            "type": "auto",
            "num_results": prices.INCLUDED,
            **arguments,
            "query": query,
            "output_schema": output_schema,
        }
        body = {**params.search_body(given, self._now.now()), "stream": True}
        return stream(self._payments, Asked("search", "/search", body, prices.search(self._prices, body)))

    def estimate(self, operation: str, **arguments: Any) -> Decimal:
        """Dollars that a call may cost at worst: "search", "contents", "answer" or "run", with the arguments that it would have."""
        one_of("operation", operation, ("search", "contents", "answer", "run"))
        now = self._now.now()
        if operation == "search":
            params.only(arguments, ("query", "output_schema", *SEARCHED))
            given = {"query": "?", "type": "auto", "num_results": prices.INCLUDED, **arguments}
            return prices.search(self._prices, params.search_body(given, now))
        if operation == "run":
            given = {"query": "?", "effort": "low", **arguments}
            caps = given.pop("max_cost", None), given.pop("max_seconds", None)
            return prices.run(self._prices, params.run_body(given, *caps, now))
        if operation == "contents":
            return prices.contents(self._prices, params.contents_body(arguments, now))
        params.only(arguments, ("query", *ANSWERED))
        return prices.answer(self._prices, params.answer_body(arguments, now))

    @property
    def spent(self) -> Decimal | None:
        """Dollars that this client spent or has set aside; None where a meter of its own counts, as the lab's does."""
        return self.meter.spent if isinstance(self.meter, Purse) else None

    def credited(self) -> None:
        """Say that there is credit again, after Exa said that it was used up: until then nothing more is sent."""
        self._payments.credit.gone = ""

    async def check_key(self) -> bool:
        """Whether the key is good, by a request that costs nothing. Raises BudgetExceeded where it is, but has no credit."""
        try:
            await self.door.send(Call("exa check", "/search", method="POST", cost=1.0, body=b"{}", auth=True))
        except BadRequest:
            return True  # the key is looked at before the body
        except (AuthFailed, Forbidden) as refused:
            if refused.status is None:
                raise
            return False
        return True

    async def close(self) -> None:
        """Give back the connections."""
        await self.door.aclose()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.door.host.url}>"

    if not TYPE_CHECKING:  # a checker is to see what is not there

        def __getattr__(self, name: str) -> Any:
            raise params.gone(type(self).__name__, name)


class Exa(Session):
    """Exa's API, blocking: works in scripts, threads and notebooks alike. See `AsyncExa`."""

    _twin: AsyncExa

    def __init__(
        self,
        api_key: str | None = None,
        *,
        environment: Environment | None = None,
        settings: Settings | None = None,
        url: str = "",
        meter: Meter | None = None,
        cache: Cache | None = None,
        prices: Mapping[str, Decimal] | None = None,
        clock: Clock | None = None,
        **options: Any,
    ) -> None:
        words: dict[str, Any] = {
            "environment": environment,
            "settings": settings,
            "url": url,
            "meter": meter,
            "cache": cache,
        }
        self._face(AsyncExa(api_key, prices=prices, clock=clock, **words, **options))

    def _face(self, twin: AsyncExa) -> None:
        super().__init__(twin)
        self.settings = twin.settings
        self.runs = Runs(twin.runs)
        self.monitors, self.websets = Monitors(twin.monitors), Websets(twin.websets)

    search = blocking(AsyncExa.search)
    contents = blocking(AsyncExa.contents)
    answer = blocking(AsyncExa.answer)
    check_key = blocking(AsyncExa.check_key)
    close = blocking(AsyncExa.close)

    def estimate(self, operation: str, **arguments: Any) -> Decimal:
        """Dollars that a call may cost at worst. See `AsyncExa.estimate`."""
        return self._twin.estimate(operation, **arguments)

    @property
    def spent(self) -> Decimal | None:
        """Dollars that this client spent or has set aside; None where a meter of its own counts, as the lab's does."""
        return self._twin.spent

    def stream_answer(self, query: str, /, **arguments: Any) -> Bits:
        """The bits of an answer as they come. See `AsyncExa.stream_answer`."""
        return Bits(self, self._twin.stream_answer(query, **arguments))

    def stream_search(self, query: str, /, *, output_schema: Mapping[str, Any], **arguments: Any) -> Bits:
        """The bits of an output by a schema as they come, then the pages. See `AsyncExa.stream_search`."""
        return Bits(self, self._twin.stream_search(query, output_schema=output_schema, **arguments))

    def credited(self) -> None:
        """Say that there is credit again, after Exa said that it was used up."""
        self._twin.credited()

    if not TYPE_CHECKING:  # a checker is to see what is not there

        def __getattr__(self, name: str) -> Any:
            raise params.gone(type(self).__name__, name)


def face(twin: AsyncExa) -> Exa:
    """The blocking face of a client that is there already."""
    made = Exa.__new__(Exa)
    made._face(twin)  # noqa: SLF001 - its own
    return made
