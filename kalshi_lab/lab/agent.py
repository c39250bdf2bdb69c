"""The research agent, and what it predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalshi_lab.errors import one_of
from kalshi_lab.lab.research import Dollars, Mode, dollars
from kalshi_lab.lab.verbs import Verbs
from kalshi_lab.portal import Facade, blocking
from kalshi_lab.research.agent import predictions
from kalshi_lab.research.agent.engine import BUDGETS, Agent, planned
from kalshi_lab.research.agent.synthesis import ByRules
from kalshi_lab.research.news.judges import ByWords

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from kalshi_lab.research.agent import Report, Synthesiser
    from kalshi_lab.research.news import Judge


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
        given = synthesiser if isinstance(synthesiser, list | tuple) else [synthesiser or ByRules()]
        exa = self.exa.within(task)
        agent = Agent(exa, task, market, mode, judge or ByWords(), given, self.clock.now())  # type: ignore[arg-type]
        if dry_run:
            return agent.dry(planned(exa, market, mode))
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
    predictions = blocking(AsyncAgents.predictions)
