"""What was found about a question: pages with the passages that matter, what they cost, and what could not be done."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import polars as pl

from kalshi_lab import frames, markup
from kalshi_lab.errors import LabError, UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from decimal import Decimal
    from typing import Self

    from kalshi_lab.exa import Page, Source

PAGES: dict[str, Any] = {
    "kind": pl.String,
    "query": pl.String,
    "rank": pl.Int64,
    "title": pl.String,
    "url": pl.String,
    "domain": pl.String,
    "published": frames.TIME,
    "author": pl.String,
    "passage": pl.String,
    "key": pl.String,
}
SOURCES: dict[str, Any] = {"domain": pl.String, "pages": pl.Int64, "newest": frames.TIME}
CITED: dict[str, Any] = {"title": pl.String, "url": pl.String, "published": frames.TIME}
SHOWN = 12


def domain(url: str) -> str:
    """The host of an address without its www."""
    return (urlsplit(url).hostname or "").removeprefix("www.")


@dataclass(frozen=True, eq=False, repr=False)
class Findings:
    """What was found about a question, each page once, in the order in which it was found.

    `answer` is a text of Exa's own, with the pages that it cites, None where none was asked for or none came. `cost` is what was spent, in
    dollars; a call whose cost nobody told counts as its worst case. `gaps` says in words what could not be done: `partial` then.
    """

    question: str
    pages: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=PAGES))
    answer: str | None = None
    citations: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=CITED))
    cost: Decimal | None = None
    gaps: tuple[str, ...] = ()

    @property
    def partial(self) -> bool:
        """Whether something could not be done."""
        return bool(self.gaps)

    def frame(self) -> pl.DataFrame:
        """The pages, a row each.

        Columns: kind (news, paper, related, source, page, similar), query, rank (the search's own), title, url, domain String; published
        (UTC, null where the page does not say); author, passage (a quotation, null where none came), key (the address in one form) String.
        """
        return self.pages

    def sources(self) -> pl.DataFrame:
        """The hosts of the pages, the most frequent first: domain, pages, newest."""
        rows = self.pages.group_by("domain").agg(pages=pl.len().cast(pl.Int64), newest=pl.col("published").max())
        return rows.sort("pages", "newest", "domain", descending=[True, True, False], nulls_last=True)

    def found(self, kind: str, query: str, pages: Sequence[Page]) -> Self:
        """The same with the pages of a search; what is there already stays where it is."""
        rows = pl.DataFrame([_row(kind, query, rank, page) for rank, page in enumerate(pages, 1)], schema=PAGES)
        return replace(self, pages=pl.concat([self.pages, rows]).unique("key", keep="first", maintain_order=True))

    def answered(self, answer: str, citations: Sequence[Source]) -> Self:
        """The same with an answer; one without citations is no evidence, and is left out."""
        if not citations:
            return self.lacking("no answer: it came without a source")
        rows = [{"title": one.title, "url": one.url, "published": one.published_date} for one in citations]
        return replace(self, answer=answer, citations=pl.DataFrame(rows, schema=CITED))

    def lacking(self, what: str) -> Self:
        """The same, saying what could not be done."""
        return replace(self, gaps=(*self.gaps, what))

    def __repr__(self) -> str:
        told = "; partial: " + "; ".join(self.gaps) if self.gaps else ""
        cost = "unknown cost" if self.cost is None else f"{self.cost:f} dollars"
        return f"<Findings on {self.question[:60]!r}: {self.pages.height} pages, {cost}{told}>"

    def _repr_html_(self) -> str:
        facts = {
            "answer": self.answer or "none",
            "cost (dollars)": "unknown" if self.cost is None else f"{self.cost:f}",
        }
        shown = [
            (row["kind"], markup.link(row["title"] or row["url"], row["url"]), row["published"], row["passage"])
            for row in self.pages.head(SHOWN).to_dicts()
        ]
        more = f"and {self.pages.height - SHOWN} more: .frame()" if self.pages.height > SHOWN else ""
        gaps = [markup.warning(f"Partial: {gap}") for gap in self.gaps]
        below = markup.table(("kind", "page", "published", "passage"), shown)
        return markup.card(self.question, facts, *gaps, below, markup.tag("div", more))


def _row(kind: str, query: str, rank: int, page: Page) -> dict[str, Any]:
    return {
        "kind": kind, "query": query, "rank": rank, "title": page.title, "url": page.url, "domain": domain(page.url),
        "published": page.published_date, "author": page.author, "passage": page.highlights[0] if page.highlights else None,
        "key": page.key,
    }  # fmt: skip


async def attempted(findings: Findings, what: str, step: Callable[[Findings], Awaitable[Findings]]) -> Findings:
    """The findings after one more step; where it fails, the same findings and why.

    A wrong argument is the caller's to mend, so UsageError is raised; everything else that can go wrong leaves what was found before.
    """
    try:
        return await step(findings)
    except UsageError:
        raise
    except LabError as error:
        return findings.lacking(f"{what} not done ({type(error).__name__}: {error})")
