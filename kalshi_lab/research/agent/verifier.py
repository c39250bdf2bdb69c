"""The verifier: a quotation must be in the page that it cites, and a draft must rest on such quotations."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kalshi_lab.errors import LabError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from kalshi_lab.exa import AsyncExa
    from kalshi_lab.research.agent.report import Factor
    from kalshi_lab.research.agent.synthesis import Brief, Draft

NEEDED: Final = {"low": 1, "medium": 2, "high": 3}  # pages that a confidence wants
SHORTEST, LONGEST = 50, 2000  # characters of reasoning
SAME: Final = 0.005  # dollars within which a probability is the market's own price
_QUOTES: Final = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-", "\u00a0": " "}
)


def normal(text: str) -> str:
    """A text whose white space, quotation marks and dashes are all of one kind; words and their case stay."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text).translate(_QUOTES)).strip()


async def verified(exa: AsyncExa, factors: Sequence[Factor]) -> tuple[tuple[Factor, ...], str]:
    """The factors, each held against the text of its page; and what went wrong with reading the pages, empty where nothing did."""
    urls = list(dict.fromkeys(one.url for one in factors))
    if not urls:
        return (), ""
    try:
        read = await exa.contents(urls, text=True)
    except UsageError:
        raise
    except LabError as error:
        why = f"the pages could not be read ({type(error).__name__}: {error})"
        return tuple(replace(one, verified=None, why_not="its page could not be read") for one in factors), why
    texts = {name: page.text or "" for page in read.results for name in (page.url, page.id or page.url)}
    return tuple(_held(one, texts.get(one.url)) for one in factors), ""


def _held(factor: Factor, text: str | None) -> Factor:
    if not text:
        return replace(factor, verified=None, why_not=factor.why_not or "its page could not be read")
    digest = hashlib.sha256(text.encode()).hexdigest()
    found = bool(normal(factor.quote)) and normal(factor.quote) in normal(text)
    why = factor.why_not or ("" if found else "the passage is not in its page")
    return replace(factor, verified=found, why_not=why, sha256=digest)


def dated(factors: Sequence[Factor], opened: datetime | None) -> tuple[Factor, ...]:
    """The factors; those from before the market opened are about something else, or known to all, and are not believed."""
    return tuple(
        replace(one, why_not="it is older than the market")
        if opened is not None and one.published is not None and one.published < opened
        else one
        for one in factors
    )


def problems(draft: Draft, brief: Brief) -> tuple[str, ...]:
    """What is wrong with a draft, in words; nothing for one that can be believed."""
    found = []
    known = {one.url for one in brief.factors}
    cited = set(draft.sources)
    if draft.probability is None:
        return ("it gives no probability",)
    if not 0 <= draft.probability <= 1:
        found.append(f"the probability {draft.probability} is none")
    if draft.confidence not in NEEDED:
        found.append(f"the confidence {draft.confidence!r} is none of low, medium, high")
    if cited - known:
        found.append(f"{len(cited - known)} of its sources were never read, or not found to say so")
    if len(cited & known) < NEEDED.get(draft.confidence, 1):
        found.append(f"{len(cited & known)} sources are too few for {draft.confidence} confidence")
    if not SHORTEST <= len(draft.reasoning) <= LONGEST:
        found.append(f"its reasoning has {len(draft.reasoning)} characters, not {SHORTEST} to {LONGEST}")
    if draft.confidence == "high" and brief.mid is not None and abs(float(draft.probability - brief.mid)) < SAME:
        found.append("it is sure of nothing but the market's own price")
    return tuple(found)
