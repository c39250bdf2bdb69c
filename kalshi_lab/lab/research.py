"""Research on the web: what is written about a market or a question, what it cost, and the caps that it is kept under."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

from kalshi_lab import frames
from kalshi_lab.errors import LabError, UsageError
from kalshi_lab.lab.verbs import Verbs
from kalshi_lab.portal import Facade, blocking
from kalshi_lab.research import context as contexts
from kalshi_lab.research import runs
from kalshi_lab.store.paid import PaidAnswers
from kalshi_lab.store.spend import spent

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from kalshi_lab.clock import When
    from kalshi_lab.exa import Run
    from kalshi_lab.models import Market
    from kalshi_lab.research.findings import Findings
    from kalshi_lab.store.spend import Spending

Dollars = float | str | Decimal
Mode = Literal["fast", "standard", "deep"]


class AsyncResearch(Verbs):
    """Think: research, each piece of it within a budget in dollars."""

    async def context(
        self, ticker: str, *, mode: Mode = "standard", budget: Dollars | None = None, since: When = "30d"
    ) -> Findings:
        """What is written about a market: news since `since`, the sources that decide it, papers, and pages elsewhere.

        mode: "fast" (stored pages only, 0.05 dollars at most), "standard" (0.25) or "deep" (1.00); `budget` in dollars takes its place.
        What cannot be done (no key, no credit, no network, over budget, a page that cannot be read) is named in `gaps`, and the rest is
        given. Raises NotFound for a ticker that the exchange does not know, UsageError for a wrong word.
        """
        effort = contexts.effort(mode)
        market = await self.kalshi.markets.one(ticker)
        task = self.spending.part(f"context {ticker}", dollars(budget, effort.budget))
        start = contexts.horizon(since, self.clock.now())
        found = await contexts.context(
            self.exa.within(task), market, await self._sources(market), mode=effort, since=start
        )
        return await _paid(found, task)

    async def _sources(self, market: Market) -> list[str]:
        """Where the outcome is published; none where the exchange does not say so now."""
        try:
            event = await self.kalshi.events.one(market.event_ticker or market.ticker)
        except LabError:
            return []
        return [source.url for source in event.settlement_sources or () if source.url]

    async def topic(
        self,
        question: str,
        *,
        mode: Mode = "standard",
        answer: bool | None = None,
        budget: Dollars | None = None,
        since: When | None = None,
    ) -> Findings:
        """An answer to a question with the pages that it cites (not in mode "fast" unless asked for), and fifteen pages about it.

        Budget and gaps are as in `context`. Raises UsageError for an empty question, an unknown mode, or what is no amount of dollars.
        """
        effort = contexts.effort(mode)
        task = self.spending.part("topic", dollars(budget, effort.budget))
        start = None if since is None else contexts.horizon(since, self.clock.now())
        found = await contexts.topic(self.exa.within(task), question, mode=effort, answer=answer, since=start)
        return await _paid(found, task)

    async def similar(
        self, url: str, *, number: int = 10, mode: Mode = "standard", budget: Dollars | None = None
    ) -> Findings:
        """Pages like the one at an address, elsewhere. Budget and gaps are as in `context`.

        Raises UsageError for what is no address, an unknown mode, or a number outside 1 to 100.
        """
        effort = contexts.effort(mode)
        task = self.spending.part("similar", dollars(budget, effort.budget))
        return await _paid(await contexts.similar(self.exa.within(task), url, mode=effort, number=number), task)

    async def deep(
        self,
        question: str,
        *,
        effort: str = "low",
        output_schema: Mapping[str, Any] | None = None,
        budget: Dollars | None = None,
        wait: float = 900.0,
    ) -> Run:
        """An agent run of Exa's on a question, at most once: one that was begun before, by whatever process, is waited for, not paid again.

        effort: minimal (0.012 dollars), low (0.025), medium (0.10), high (0.50), xhigh (1.00). wait: seconds; TimedOut after them, and the
        same call goes on waiting later. Raises BudgetExceeded with nothing sent where the budget or a cap does not allow it.
        """
        task = self.spending.part("deep", dollars(budget, None))
        asked: dict[str, Any] = {"effort": effort, "output_schema": output_schema}
        return await runs.run(self.exa.within(task), self.store, self.clock, question, asked, wait=wait)

    async def spend(self) -> pl.DataFrame:
        """Every call that cost something, a row each.

        Columns: time (UTC), run, part (the task), payee, operation String; reserved (dollars at worst) and cost Float64 (null while it is
        not known); state (reserved, settled, released); settled_at (UTC), request_id.
        """
        return frames.floats(await spent(self.store))

    async def caps(self, *, run: Dollars | None = None, day: Dollars | None = None) -> pl.DataFrame:
        """The most that a run (this session, or all sessions with the same `run` setting) and a day (UTC) may spend, in dollars.

        Given new ones it keeps them, for every process that uses this store. Columns: name, dollars, spent, left (Float64 dollars).
        Raises UsageError for what is no amount of dollars.
        """
        return frames.floats(await self.spending.caps(run=dollars(run, None), day=dollars(day, None)))

    async def clear_answers(self, *, stale_only: bool = False) -> int:
        """Forget the answers that were paid for, or the stale ones alone; how many. What is asked again is paid again."""
        return await PaidAnswers(self.store, self.clock).clear(stale_only=stale_only)


async def _paid(found: Findings, task: Spending) -> Findings:
    return replace(found, cost=await task.used())


def dollars(given: Dollars | None, usual: Decimal | None) -> Decimal | None:
    """An amount in dollars as an exact decimal. Raises UsageError for what is none."""
    if given is None:
        return usual
    try:
        value = Decimal(str(given))
    except InvalidOperation:
        raise UsageError(f"{str(given)[:40]!r} is no amount of dollars", hint="Give one like 0.25") from None
    if not value.is_finite() or value < 0:
        raise UsageError(f"{given} is no amount of dollars", hint="Give one like 0.25")
    return value


class Research(Facade):
    """The blocking face of `AsyncResearch`."""

    context = blocking(AsyncResearch.context)
    topic = blocking(AsyncResearch.topic)
    similar = blocking(AsyncResearch.similar)
    deep = blocking(AsyncResearch.deep)
    spend = blocking(AsyncResearch.spend)
    caps = blocking(AsyncResearch.caps)
    clear_answers = blocking(AsyncResearch.clear_answers)
