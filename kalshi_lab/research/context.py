"""Context of a market, and research on a question: a few searches in a fixed order, each paid from one small budget.

What cannot be done (no key, no credit, no network, over budget) is named and left out; nothing is made up in its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from kalshi_lab.errors import one_of
from kalshi_lab.research.findings import Findings, attempted, domain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from kalshi_lab.clock import When
    from kalshi_lab.exa import AsyncExa
    from kalshi_lab.models import Market

Mode = Literal["fast", "standard", "deep"]
KALSHI: Final = "kalshi.com"
_TIDY = re.compile(r"\s+")
_TAGS = re.compile(r"[*_#`]+")  # titles come with Markdown now and then


@dataclass(frozen=True, slots=True)
class Effort:
    """What a mode means: the type of its searches, dollars at most, and whether an answer is asked for."""

    type: str
    budget: Decimal
    answer: bool


MODES: Final[dict[str, Effort]] = {
    "fast": Effort("lite", Decimal("0.05"), answer=False),
    "standard": Effort("auto", Decimal("0.25"), answer=True),
    "deep": Effort("deep", Decimal("1.00"), answer=True),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One search of a plan."""

    kind: str
    query: str
    number: int
    options: dict[str, Any]


def effort(mode: str) -> Effort:
    """What a mode means. Raises UsageError for a word that is none."""
    return MODES[one_of("mode", mode, MODES)]


def question(market: Market) -> str:
    """What a market asks, in plain words: its title, and what YES means where the title does not say it."""
    title = _plain(market.title or market.ticker)
    outcome = _plain(market.yes_sub_title or "")
    return title if not outcome or outcome.lower() in title.lower() else f"{title} {outcome}"


def _plain(text: str) -> str:
    return _TIDY.sub(" ", _TAGS.sub("", text)).strip()


def plan(market: Market, sources: Sequence[str], since: When) -> list[Wanted]:
    """The searches for a market, the same ones each time: news, the sources that decide it, papers, and what is written elsewhere.

    News are asked for with a date, which leaves out pages that have none; the deciding sources without, since statistics pages seldom do.
    """
    asked = question(market)
    hosts = sorted({host for host in map(domain, sources) if host and host != KALSHI})
    wanted = [Wanted("news", asked, 10, {"category": "news", "start_published_date": since})]
    if hosts:
        wanted.append(Wanted("source", asked, 5, {"include_domains": hosts}))
    return [
        *wanted,
        Wanted("paper", f"research on: {asked}", 5, {"category": "publication"}),
        Wanted("related", f"analysis and forecasts: {asked}", 5, {"exclude_domains": [KALSHI]}),
    ]


async def context(exa: AsyncExa, market: Market, sources: Sequence[str], *, mode: Effort, since: When) -> Findings:
    """The findings of a market's plan."""
    findings = Findings(question(market))
    for wanted in plan(market, sources, since):
        findings = await attempted(findings, f"{wanted.kind} search", partial(_searched, exa, wanted, mode))
    return findings


async def topic(exa: AsyncExa, asked: str, *, mode: Effort, answer: bool | None, since: When | None) -> Findings:
    """An answer with its citations where one is wanted, and the pages of one search."""
    findings = Findings(asked)
    if mode.answer if answer is None else answer:
        findings = await attempted(findings, "answer", partial(_answered, exa))
    options = {} if since is None else {"start_published_date": since}
    return await attempted(findings, "search", partial(_searched, exa, Wanted("page", asked, 15, options), mode))


async def similar(exa: AsyncExa, url: str, *, mode: Effort, number: int) -> Findings:
    """Pages like the one at an address, without its own host: by its own title, where it can be read."""
    findings, seed = Findings(f"pages like {url}"), domain(url)
    title = None

    async def read(found: Findings) -> Findings:
        nonlocal title
        reply = await exa.contents([url], highlights=True)
        title = next((page.title for page in reply.results if page.title), None)
        return found if title else found.lacking("the page could not be read, so its address alone was asked about")

    findings = await attempted(findings, "reading the page", read)
    asked = f"pages similar to {url}" if title is None else title
    wanted = Wanted("similar", asked, number, {"exclude_domains": [seed]})
    findings = await attempted(findings, "search", partial(_searched, exa, wanted, mode))
    return replace(findings, pages=findings.pages.filter(findings.pages["url"] != url))


async def _searched(exa: AsyncExa, wanted: Wanted, mode: Effort, findings: Findings) -> Findings:
    options: dict[str, Any] = {"type": mode.type, "num_results": wanted.number, "highlights": True, **wanted.options}
    reply = await exa.search(wanted.query, **options)
    return findings.found(wanted.kind, wanted.query, reply.results)


async def _answered(exa: AsyncExa, findings: Findings) -> Findings:
    reply = await exa.answer(findings.question)
    return findings.answered(str(reply.answer), reply.citations)


def horizon(since: When, now: datetime) -> When:
    """The start of a window that is the same for a day, so that a repeated question is answered from what was paid for."""
    from kalshi_lab.clock import moment

    return moment(since, now=now, what="since").replace(hour=0, minute=0, second=0, microsecond=0)
