"""The agent's way: a plan, its steps within a budget, passages held against their pages, a draft, and what is done where it fails."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

from kalshi_lab.errors import BudgetExceeded, LabError, UsageError, one_of
from kalshi_lab.research.agent import verifier
from kalshi_lab.research.agent.report import Factor, Report, Step
from kalshi_lab.research.agent.synthesis import Brief, Draft
from kalshi_lab.research.context import question
from kalshi_lab.research.news.articles import body, concerns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from kalshi_lab.exa import AsyncExa, Page
    from kalshi_lab.models import Market
    from kalshi_lab.research.agent.synthesis import Synthesiser
    from kalshi_lab.research.news.judges import Judge
    from kalshi_lab.store.spend import Spending

Mode = Literal["fast", "standard", "deep"]
BUDGETS: Final = {"fast": Decimal("0.05"), "standard": Decimal("0.25"), "deep": Decimal("1.00")}
TYPES: Final = {"fast": "lite", "standard": "auto", "deep": "deep"}
WINDOW: Final = "30d"
CRITIC: Final = "the critic keeps what was verified, and its confidence low"


def planned(exa: AsyncExa, market: Market, mode: str, level: int = 0) -> list[Step]:
    """The steps for a market, the same ones each time, each with its price at worst; the next level's are deeper."""
    asked = question(market)
    kind = TYPES[one_of("mode", mode, BUDGETS)] if level == 0 else "deep"
    queries = [("news", asked)]
    if level:
        queries = [("deeper", f"latest evidence: {asked}"), ("doubts", f"reasons to doubt: {asked}")]
    elif mode != "fast":
        queries += [("for", f"why YES: {asked}"), ("against", f"why NO: {asked}")]
    worst = exa.estimate("search", type=kind)
    steps = [Step(name, query, level, worst) for name, query in queries]
    read = exa.estimate("contents", urls=[str(n) for n in range(10 * len(queries))], text=True)
    return [*steps, Step("verify", "", level, read)]


@dataclass(slots=True)
class Agent:
    """One look at one market."""

    exa: AsyncExa
    spending: Spending
    market: Market
    mode: str
    judge: Judge
    synthesisers: Sequence[Synthesiser]
    now: datetime
    steps: list[Step] = field(default_factory=list)
    factors: dict[tuple[str, str], Factor] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)
    escalations: list[str] = field(default_factory=list)
    before: Decimal = Decimal(0)  # spent by the same task on other markets

    async def run(self) -> Report:
        """The report; whatever cannot be done is in its gaps, and nothing is made up in its place."""
        self.before = await self.spending.used()
        if (why := self._odd_dates()) is not None:
            self.gaps.append(why)
            return await self._report(Draft(None, "low", why, (), "nobody"), (why,))
        await self._research(0)
        draft, problems = await self._draft(self.synthesisers[0])
        if problems:
            draft, problems = await self._escalate(draft, problems)
        return await self._report(draft, problems)

    def dry(self, plan: Sequence[Step]) -> Report:
        """The report of a plan alone."""
        self.steps = list(plan)
        return self._made(Draft(None, "low", "Nothing was done yet: this is the plan.", (), "nobody"), (), Decimal(0))

    def _odd_dates(self) -> str | None:
        """Why nothing that is written can be believed of this market: what it asks about came before it opened."""
        opened, happens = self.market.open_time, self.market.occurrence_datetime
        if opened is not None and happens is not None and happens <= opened:
            return f"what the market asks about happened on {happens:%Y-%m-%d}, before it opened on {opened:%Y-%m-%d}"
        return None

    async def _research(self, level: int) -> None:
        """The steps of a level, and the new passages held against their pages."""
        plan = planned(self.exa, self.market, self.mode, level)
        for step in plan[:-1]:
            self.steps.append(await self._searched(step))
        self.steps.append(await self._verified(plan[-1]))

    async def _searched(self, step: Step) -> Step:
        before = await self.spending.used()
        kind = TYPES[self.mode] if step.level == 0 else "deep"
        try:
            reply = await self.exa.search(step.query, type=kind, highlights=True, start_published_date=WINDOW)
        except UsageError:
            raise
        except LabError as error:
            return await self._failed(step, error, before)
        for page in reply.results:
            await self._take(page)
        cost = await self.spending.used() - before
        return replace(step, status="done", cost=cost, found=len(reply.results))

    async def _failed(self, step: Step, error: LabError, before: Decimal) -> Step:
        """A step that could not be done, with what it cost all the same."""
        status = "skipped" if isinstance(error, BudgetExceeded) else "failed"
        self.gaps.append(f"{step.step}: {type(error).__name__}: {error}")
        return replace(step, status=status, cost=await self.spending.used() - before, problem=str(error)[:300])

    async def _take(self, page: Page) -> None:
        """The passages of a page that is about this market, each with its lean."""
        asked, outcome = question(self.market), self.market.yes_sub_title or ""
        if not concerns(self.market.title or asked, body(page.title, page.highlights)):
            return
        for passage in page.highlights:
            said = await self.judge.judge(asked, outcome, [passage])
            key = (page.key, verifier.normal(passage))
            self.factors.setdefault(key, Factor(page.url, page.title or "", page.published_date, passage, said.score))

    async def _verified(self, step: Step) -> Step:
        """Read the pages of passages that were not held against them yet."""
        before = await self.spending.used()
        new = {key: one for key, one in self.factors.items() if one.verified is None and not one.sha256}
        dated = verifier.dated(list(new.values()), self.market.open_time)
        held, trouble = await verifier.verified(self.exa, dated)
        self.factors |= dict(zip(new, held, strict=True))
        cost = await self.spending.used() - before
        if trouble:
            self.gaps.append(f"verify: {trouble}")
        believed = sum(one.believed for one in held)
        return replace(step, status="failed" if trouble else "done", cost=cost, found=believed, problem=trouble)

    def _brief(self) -> Brief:
        believed = tuple(one for one in self.factors.values() if one.believed)
        market = self.market
        bid, ask = (market.yes_bid, market.yes_ask) if market.is_priced else (None, None)
        return Brief(question(market), market.rules_primary or "", bid, ask, believed)

    async def _draft(self, synthesiser: Synthesiser) -> tuple[Draft, tuple[str, ...]]:
        """A draft, and what the verifier finds wrong with it."""
        brief = self._brief()
        try:
            draft = await synthesiser.synthesise(brief, self.spending)
        except UsageError:
            raise
        except LabError as error:
            self.gaps.append(f"{synthesiser.method}: {type(error).__name__}: {error}")
            absent = Draft(None, "low", f"{synthesiser.method} could not be asked.", (), synthesiser.method)
            return absent, ("there is no draft",)
        return draft, verifier.problems(draft, brief)

    async def _escalate(self, draft: Draft, problems: tuple[str, ...]) -> tuple[Draft, tuple[str, ...]]:
        """Deeper research, then a stronger synthesiser where one was given, then the critic; each as far as the money goes."""
        self.escalations.append(f"deeper research, since {problems[0]}")
        await self._research(1)
        for synthesiser in (self.synthesisers[0], *self.synthesisers[1:]):
            if synthesiser is not self.synthesisers[0]:
                self.escalations.append(f"{synthesiser.method}, since {problems[0]}")
            draft, problems = await self._draft(synthesiser)
            if not problems:
                return draft, problems
        if draft.probability is None:
            return draft, problems
        self.escalations.append(CRITIC)
        return self._criticised(draft)

    def _criticised(self, draft: Draft) -> tuple[Draft, tuple[str, ...]]:
        """The draft with the sources that were verified alone, and low confidence; its problems, where some remain."""
        brief = self._brief()
        known = {one.url for one in brief.factors}
        kept = replace(draft, confidence="low", sources=tuple(one for one in draft.sources if one in known))
        return kept, verifier.problems(kept, brief)

    async def _report(self, draft: Draft, problems: tuple[str, ...]) -> Report:
        return self._made(draft, problems, await self.spending.used() - self.before)

    def _made(self, draft: Draft, problems: tuple[str, ...], cost: Decimal) -> Report:
        brief = self._brief()
        return Report(
            id=uuid.uuid4().hex, ticker=self.market.ticker, event_ticker=self.market.event_ticker, question=brief.question, time=self.now,
            mode=self.mode, yes_bid=brief.yes_bid, yes_ask=brief.yes_ask, probability=draft.probability, confidence=draft.confidence,
            reasoning=draft.reasoning, method=draft.method, steps=tuple(self.steps), factors=tuple(self.factors.values()),
            problems=problems, escalations=tuple(self.escalations), gaps=tuple(self.gaps), cost=cost,
        )  # fmt: skip


def kept(report: Report) -> dict[str, Any]:
    """The report as a row of the store."""
    made = asdict(report)
    row = {
        name: made[name]
        for name in (
            "id",
            "ticker",
            "event_ticker",
            "time",
            "probability",
            "confidence",
            "yes_bid",
            "yes_ask",
            "method",
            "mode",
            "cost",
        )
    }
    return row | {"verified": report.verified, "report": json.dumps(made, default=str)}
