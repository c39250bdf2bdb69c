"""Evidence for and against a thesis: where it was read, what it says word for word, and towards which outcome."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import polars as pl

from kalshi_lab import frames
from kalshi_lab.clock import moment
from kalshi_lab.errors import UsageError, one_of, unknown
from kalshi_lab.exa.urls import canonical
from kalshi_lab.research.thesis import scoring

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from decimal import Decimal

    from kalshi_lab.research.thesis.record import ThesisMarket

YOU: Final = "you"
YES, NO, NEUTRAL = "yes", "no", "neutral"
STANCES: Final = (YES, NO, NEUTRAL)
GIVEN: Final = ("url", "title", "passage", "published", "stance", "relevance", "ticker", "page_sha256", "source")
LONGEST = {"url": 2048, "title": 500, "passage": 20_000, "source": 64}
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
EVIDENCE: dict[str, Any] = {
    "ticker": pl.String,
    "url": pl.String,
    "title": pl.String,
    "domain": pl.String,
    "published": frames.TIME,
    "passage": pl.String,
    "stance": pl.String,
    "relevance": frames.PRICE,
    "sha256": pl.String,
    "page_sha256": pl.String,
    "source": pl.String,
    "first_seen": frames.TIME,
    "extra": pl.String,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One piece of evidence.

    `stance` says which outcome of the market it speaks for: "yes", "no" or "neutral", None where nobody has judged that; `ticker` says
    of which market, None: of each market of the thesis. `passage` is a quotation and `sha256` its hash; `page_sha256` is the hash of the
    page's text in which the passage was found, None where the page was not read here. `source` is who brought it: "you", "exa", or
    "imported". `relevance` is from 0 to 1. What is not known is None.
    """

    url: str | None = None
    title: str | None = None
    domain: str | None = None
    published: datetime | None = None
    passage: str | None = None
    stance: str | None = None
    relevance: Decimal | None = None
    ticker: str | None = None
    sha256: str | None = None
    page_sha256: str | None = None
    source: str = YOU
    first_seen: datetime
    extra: str | None = None

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes it the same piece of evidence: the market, the page by the one form of its address, the passage, the stance."""
        return (*self.place, self.stance or "")

    @property
    def place(self) -> tuple[str, str, str]:
        """Which passage of which page it is, and of which market it speaks: judged again, the later judgement counts."""
        return (self.ticker or "", canonical(self.url) if self.url else self.title or "", self.sha256 or "")

    def towards(self, markets: Iterable[ThesisMarket]) -> str | None:
        """Whether it speaks for your claim ("pro") or against it ("con"), "neutral" or "mixed"; None where that is not known.

        Your claim about a market is that YES is likelier than the price said when you wrote it down, or less likely; where there was no
        quote, than even odds. So what speaks for YES speaks against you where you think YES is too dear.
        """
        if self.stance in {None, NEUTRAL}:
            return self.stance
        signs = {direction(one) for one in markets if self.ticker in {None, one.ticker}} - {0}
        if len(signs) != 1:
            return "mixed" if signs else None
        return "pro" if (signs == {1}) == (self.stance == YES) else "con"


def direction(market: ThesisMarket) -> int:
    """1 where you think YES likelier than its price, -1 where less likely, 0 where you agree with it."""
    reference = scoring.HALF if market.entry is None else market.entry
    return (market.probability > reference) - (market.probability < reference)


def digest(text: str | None) -> str | None:
    """The SHA-256 of a text, in hex; None of nothing."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() if text else None


def host(url: str | None) -> str | None:
    """The host of an address without its www."""
    return (urlsplit(url).hostname or "").removeprefix("www.") or None if url else None


def given(rows: object, tickers: Sequence[str], now: datetime) -> tuple[Evidence, ...]:
    """What a user brings as evidence, checked: mappings with the names of GIVEN, of which url or title is needed.

    `page_sha256` is the hash of the page's text in which the passage was found, `source` who found it: "you" where nothing is said.
    Raises UsageError for another name, an address that is none, a stance, relevance, time or hash that is none, and a ticker not of the
    thesis.
    """
    if isinstance(rows, Mapping | str) or not hasattr(rows, "__iter__"):
        raise UsageError(
            "evidence is a list", hint='evidence=[{"url": "https://...", "passage": "...", "stance": "yes"}]'
        )
    return tuple(_one(row, tickers, now) for row in rows)


def _one(row: object, tickers: Sequence[str], now: datetime) -> Evidence:
    if not isinstance(row, Mapping):
        raise UsageError(f"evidence {str(row)[:40]!r} is no mapping", hint=f"Its names: {', '.join(GIVEN)}")
    for name in row:
        one_of("name in evidence", str(name), GIVEN)
    text: dict[str, Any] = {name: _text(name, row.get(name)) for name in LONGEST}
    if not (text["url"] or text["title"]):
        raise UsageError("evidence needs the url or the title of what it was read in")
    if text["url"] and (urlsplit(text["url"]).scheme not in {"http", "https"} or not host(text["url"])):
        raise UsageError(f"{text['url'][:80]!r} is no address of a page", hint="It begins with https://")
    stance, ticker, published, relevance = (row.get(name) for name in ("stance", "ticker", "published", "relevance"))
    if ticker is not None and ticker not in tickers:
        raise unknown("ticker in evidence", str(ticker), tickers)
    page = row.get("page_sha256")
    if page is not None and not (isinstance(page, str) and _SHA256.fullmatch(page)):
        raise UsageError(f"page_sha256={str(page)[:80]!r} is no SHA-256", hint="It has 64 digits, 0 to 9 and a to f")
    text["source"] = text["source"] or YOU
    return Evidence(
        **text, page_sha256=page, domain=host(text["url"]), ticker=ticker,
        stance=None if stance is None else one_of("stance", str(stance), STANCES),
        published=None if published is None else moment(published, now=now, what="published"), sha256=digest(text["passage"]),
        relevance=None if relevance is None else scoring.probability(relevance, what="relevance"), first_seen=now,
    )  # fmt: skip


def _text(name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise UsageError(f"the {name} of evidence is text, not {type(value).__name__}")
    if len(value) > LONGEST[name]:
        raise UsageError(f"the {name} of evidence has {len(value):,} characters, more than {LONGEST[name]:,}")
    return value.strip() or None


def new(known: Iterable[Evidence], more: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """Those that are not known yet, each once; what is known of each market of a thesis is known of one of them, too."""
    seen = {one.key for one in known}
    made = []
    for one in more:
        if one.key not in seen and ("", *one.key[1:]) not in seen:
            seen.add(one.key)
            made.append(one)
    return tuple(made)


def latest(found: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """Of several judgements of one passage, in the order in which they were made, the last; each where the first one stood."""
    return tuple({one.place: one for one in found}.values())


def frame(found: Sequence[Evidence]) -> pl.DataFrame:
    """Evidence as rows, with the columns of EVIDENCE."""
    names = [field.name for field in fields(Evidence)]
    return pl.DataFrame([{name: getattr(one, name) for name in names} for one in found], schema=EVIDENCE)
