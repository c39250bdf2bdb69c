"""Articles in the store: each once, linked to every market that it concerns, copies of one story known as such."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from kalshi_lab import frames
from kalshi_lab.research.findings import domain
from kalshi_lab.store import writes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalshi_lab.exa import Page
    from kalshi_lab.store.connection import Connection

TEXTS: Final = pl.List(pl.String)
ARTICLE: Final[dict[str, Any]] = {
    "key": pl.String, "story": pl.String, "url": pl.String, "title": pl.String, "domain": pl.String, "author": pl.String,
    "published": frames.TIME, "first_seen": frames.TIME, "passages": TEXTS, "request_id": pl.String,
}  # fmt: skip
LINK: Final[dict[str, Any]] = {"key": pl.String, "ticker": pl.String, "linked_at": frames.TIME}
JUDGED: Final[dict[str, Any]] = {
    "key": pl.String, "ticker": pl.String, "method": pl.String, "score": pl.Float64, "certainty": pl.Float64, "judged_at": frames.TIME,
}  # fmt: skip
SAME_STORY: Final = timedelta(hours=72)
ENOUGH: Final = 0.6  # share of a claim's telling words that an article must have
KNOWN: Final = "SELECT key, title, coalesce(published, first_seen) AS time, story FROM articles WHERE coalesce(published, first_seen) >= $1"
UNLINKED: Final = """
SELECT articles.* FROM articles WHERE NOT EXISTS (SELECT 1 FROM article_markets AS m WHERE m.key = articles.key AND m.ticker = $1)
"""
OF_MARKETS: Final = """
SELECT m.ticker, a.key, a.story, a.title, a.url, a.domain, a.author, a.published, a.first_seen, a.passages, s.score, s.certainty, s.method
FROM article_markets AS m JOIN articles AS a USING (key)
LEFT JOIN sentiments AS s ON s.key = m.key AND s.ticker = m.ticker AND s.method = $2
WHERE ($1 IS NULL OR list_contains($1, m.ticker)) AND a.first_seen >= $3 AND a.first_seen < $4
ORDER BY a.first_seen DESC, a.key, m.ticker
"""
_WORD: Final = re.compile(r"[a-z0-9]+(?:\.\d+)?")
_COMMON: Final = frozenset(
    _WORD.findall(
        "the a an of on in at by to is be will it that and or for what how do does with from this yes no pass than"
    )
)
_YEAR: Final = re.compile(r"(?:,|\b(?:in|by|of|until|before|[A-Z][a-z]{2,8}))\s+20\d\d\b")
_OUTLET: Final = re.compile(r"\s+[-|\u2013\u2014]\s+[^-|\u2013\u2014]{2,40}$")


@dataclass(frozen=True, slots=True)
class Followed:
    """A market that is followed: what it asks, in words, and what YES is called in short."""

    ticker: str
    claim: str
    outcome: str


def telling(text: str) -> set[str]:
    """The words of a text that tell something, its figures among them."""
    return set(_WORD.findall(text.lower())) - _COMMON


def concerns(claim: str, article: str) -> bool:
    """Whether an article is about what a claim asks: it has most of the claim's telling words, and all of its figures but years."""
    asked, said = telling(_YEAR.sub(" ", claim)), telling(article)
    figures = {word for word in asked if word[0].isdigit()}
    return bool(asked) and figures <= said and len(asked & said) >= ENOUGH * len(asked)


def body(title: str | None, passages: Sequence[str]) -> str:
    """What is known of an article's words."""
    return " ".join([title or "", *passages])


def keep(connection: Connection, pages: Sequence[Page], request_id: str, now: datetime) -> list[dict[str, Any]]:
    """Keep the pages that are new, inside the caller's transaction; their rows."""
    known = writes.rows(connection, KNOWN, [now - 10 * SAME_STORY])
    keys = {row["key"] for row in known}
    stories = {(headline(row["title"]), row["key"]): row for row in known if headline(row["title"])}
    made: list[dict[str, Any]] = []
    for page in pages:
        if page.key in keys:
            continue
        keys.add(page.key)
        row = _row(page, request_id, now)
        row["story"] = story(row, stories)
        stories[headline(page.title), page.key] = {**row, "time": row["published"] or now}
        made.append(row)
    writes.insert(connection, "articles", pl.DataFrame(made, schema=ARTICLE))
    return made


def _row(page: Page, request_id: str, now: datetime) -> dict[str, Any]:
    passages = list(page.highlights) or ([page.text[:2000]] if page.text else [])
    return {
        "key": page.key, "story": page.key, "url": page.url, "title": page.title, "domain": domain(page.url), "author": page.author,
        "published": page.published_date, "first_seen": now, "passages": passages, "request_id": request_id,
    }  # fmt: skip


def story(row: dict[str, Any], known: dict[tuple[str, str], dict[str, Any]]) -> str:
    """The first copy of the same story within three days, by its headline without the outlet's name; else the article itself."""
    line, time = headline(row["title"]), row["published"] or row["first_seen"]
    for (other, _), kept in known.items():
        if line and other == line and abs(kept["time"] - time) <= SAME_STORY:
            return str(kept["story"])
    return str(row["key"])


def headline(title: str | None) -> str:
    """A title without the outlet's name, case and punctuation."""
    return " ".join(_WORD.findall(_OUTLET.sub("", title or "").lower()))


def link(
    connection: Connection, rows: Sequence[dict[str, Any]], followed: Sequence[Followed], now: datetime
) -> list[tuple[str, Followed]]:
    """Link articles to every followed market that they concern, inside the caller's transaction; the new pairs."""
    made = [
        (str(row["key"]), market)
        for row in rows
        for market in followed
        if concerns(market.claim, body(row["title"], row["passages"]))
    ]
    frame = pl.DataFrame([(key, market.ticker, now) for key, market in made], schema=LINK, orient="row")
    writes.insert_new(connection, "article_markets", ["key", "ticker"], frame)
    return made
