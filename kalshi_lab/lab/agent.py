"""The research agent, and what it predicted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kalshi_lab.errors import UsageError, one_of
from kalshi_lab.kalshi import named
from kalshi_lab.lab.research import Dollars, Mode, dollars
from kalshi_lab.lab.verbs import Verbs
from kalshi_lab.portal import Facade, blocking
from kalshi_lab.research.agent import predictions
from kalshi_lab.research.agent.engine import BUDGETS, Agent, planned
from kalshi_lab.research.agent.synthesis import ByRules
from kalshi_lab.research.news.judges import ByWords
from kalshi_lab.research.thesis import standing, writing

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from kalshi_lab.models import Market
    from kalshi_lab.research.agent import Report, Synthesiser
    from kalshi_lab.research.news import Judge
    from kalshi_lab.research.thesis import Thesis
    from kalshi_lab.store.spend import Spending


class AsyncAgents(Verbs):
    """Think: research that shows its work."""

    async def investigate(
        self,
        ticker: str,
        *,
        mode: Mode = "standard",
        budget: Dollars | None = None,
        synthesiser: Synthesiser | Sequence[Synthesiser] | None = None,
        judge: Judge | None = None,
        dry_run: bool = False,
    ) -> Report:
        """Research a market and estimate its probability of YES, with quotations that were found in the pages that they cite.

        mode: "fast" (one search, 0.05 dollars at most), "standard" (three, 0.25) or "deep" (1.00); `budget` takes its place. synthesiser:
        who makes the probability, or several, the stronger ones for when the verifier is not content; without one it is `kl.ByRules`,
        offline, which says so. `dry_run` gives the plan and its prices and spends nothing. The report is kept as a prediction: see
        `predictions`. Without a key, out of credit, over budget or offline it says in `gaps` what it could not do and gives what it could.
        Raises NotFound for an unknown ticker.
        """
        one_of("mode", mode, BUDGETS)
        market = await self.kalshi.markets.one(ticker)
        task = self.spending.part(f"investigate {ticker}", dollars(budget, BUDGETS[mode]))
        agent = self._agent(market, task, mode, synthesiser, judge)
        return agent.dry(planned(agent.exa, market, mode)) if dry_run else await self._run(agent)

    async def research(
        self,
        thesis: str | Thesis,
        *,
        mode: Mode = "standard",
        budget: Dollars | None = None,
        synthesiser: Synthesiser | Sequence[Synthesiser] | None = None,
        judge: Judge | None = None,
    ) -> Thesis:
        """Look for evidence on a thesis, and keep what is new as its next version; the thesis as it stands then.

        Each of its markets that has no result yet is investigated, within one budget for all of them (see `investigate`): passages that
        were found word for word in their pages become evidence with the page's address and hash, the passage, the outcome it speaks for,
        and source "exa". What is known already, by the one form of a page's address, is not kept twice: without anything new there is no
        new version. The criteria of the thesis are checked on what comes in. What could not be done (no key, no credit, over budget,
        offline, a page that cannot be read) is in `gaps`, and what was found is kept all the same. Raises UsageError, with nothing spent,
        for a thesis that is not kept, resolved or abandoned.
        """
        one_of("mode", mode, BUDGETS)
        known = await writing.named(self.store, thesis if isinstance(thesis, str) else thesis.name)
        if known.status not in standing.WATCHED:
            raise UsageError(f"thesis {known.name!r} is {known.status}", hint="Research is for what is still open")
        task = self.spending.part(f"research {known.name}", dollars(budget, BUDGETS[mode]))
        rows: list[dict[str, Any]] = []
        gaps: list[str] = []
        open_ones = [one.ticker for one in known.markets if one.result is None]
        found = await named.markets(self.kalshi, [*open_ones, *standing.others(known)], archived=True)
        for market in (found[ticker] for ticker in open_ones if ticker in found):
            report = await self._run(self._agent(market, task, mode, synthesiser, judge))
            rows += report.evidence()
            gaps += [f"{market.ticker}: {gap}" for gap in report.gaps]
        cost = await task.used()
        made = await writing.researched(self.kalshi, self.store, self.clock, known, rows, found=found, cost=cost)
        return replace(made, gaps=(*made.gaps, *gaps))

    def _agent(
        self,
        market: Market,
        task: Spending,
        mode: Mode,
        synthesiser: Synthesiser | Sequence[Synthesiser] | None,
        judge: Judge | None,
    ) -> Agent:
        given = synthesiser if isinstance(synthesiser, list | tuple) else [synthesiser or ByRules()]
        exa = self.exa.within(task)
        return Agent(exa, task, market, mode, judge or ByWords(), given, self.clock.now())  # type: ignore[arg-type]

    async def _run(self, agent: Agent) -> Report:
        report = await agent.run()
        await predictions.keep(self.store, report)
        return report

    async def predictions(self) -> pl.DataFrame:
        """What the agent predicted, a row each time, scored by the results that the store knows.

        Columns: id, ticker, event_ticker, time (UTC), probability, confidence, yes_bid, yes_ask (of that moment, dollars), method, mode,
        verified, cost (dollars), result, outcome (what YES paid), brier, market_brier (of the mid price then), log_score; null where there
        is no outcome, or was no quote. `kl.calibration(lab.predictions(), ...)` says how well they are calibrated.
        """
        return await predictions.scored(self.store)


class Agents(Facade):
    """The blocking face of `AsyncAgents`."""

    investigate = blocking(AsyncAgents.investigate)
    research = blocking(AsyncAgents.research)
    predictions = blocking(AsyncAgents.predictions)
