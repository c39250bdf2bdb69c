"""What Exa answers, as values: unknown fields are kept, unknown words stay words, and what is missing is None."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
from pydantic import BeforeValidator, Field

from kalshi_lab import frames, objects
from kalshi_lab.exa.urls import canonical
from kalshi_lab.models.fields import Json, Key, Number, Record, Text, Time, doc, key, wire

if TYPE_CHECKING:
    from collections.abc import Sequence

_DATE = re.compile(r"^\d{4}-\d\d-\d\d$")
_UNBELIEVABLE = 1_000_000  # dollars, as the cost of one call
COLUMNS: dict[str, Any] = {
    "url": pl.String, "title": pl.String, "published_date": frames.TIME, "author": pl.String, "score": pl.Float64,
    "highlights": pl.List(pl.String), "text": pl.String, "summary": pl.String, "key": pl.String,
}  # fmt: skip


def _texts(value: object) -> object:
    """A list of texts; null and the word "null", which streams were seen to send, are an empty one."""
    return () if value in (None, "null") else value


def _full(value: object) -> object:
    """A time; a date alone is its first moment."""
    return f"{value}T00:00:00Z" if isinstance(value, str) and _DATE.match(value) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_texts), Json]
Anything = Annotated[Any, Json]


def texts(meaning: str) -> Any:
    """A list of texts, empty where it is absent."""
    return Field((), description=meaning)


class Source(Record):
    """A page as an answer cites it."""

    title_field = "title"

    url: Key = key("its address, as it is to be asked for")
    id: Text = doc("Exa's name of it for a while; often, not always, the address")
    title: Text = doc("its title; may be empty")
    published_date: Time = wire(
        "publishedDate", "when it was published, by its own words: an estimate, null where it says nothing"
    )
    published_date_raw: Text = doc("the same as it was sent")
    author: Text = doc("who wrote it")
    text: Text = doc("its text")
    image: Text = doc("a picture's address")
    favicon: Text = doc("its icon's address")

    @property
    def key(self) -> str:
        """The address in one form, by which the same page is known again."""
        return canonical(self.url)


class Page(Source):
    """A page that was found or read."""

    highlights: Texts = texts("the passages that matter")
    highlight_scores: Anything = wire("highlightScores", "not sent any more")
    summary: Text = doc("a summary; JSON text where one with a schema was asked for")
    score: Number = doc("not sent any more by searches")
    subpages: Anything = doc("pages below it, as they were sent")
    extras: Anything = doc("links and the like, where they were asked for")
    entities: Anything = doc("companies, people or publications that it is about")
    crawl_date: Time = wire("crawlDate", "when it was read")
    snapshot_at: Time = wire("snapshotAt", "when the stored version was read, where one of the past was asked for")


class Status(Record):
    """How reading one page went: a whole answer may succeed although no page does."""

    id: Key = key("what was asked for")
    status: Text = doc("success or error")
    source: Text = doc("cached or crawled")
    error: Anything = doc("tag and httpStatusCode of the page, where it says so")

    @property
    def tag(self) -> str:
        """Why it could not be read, in Exa's word; empty where it could."""
        said = self.error if isinstance(self.error, dict) else {}
        return "" if self.status == "success" else str(said.get("tag") or "UNKNOWN")


class Notice(Record):
    """What Exa says about a request (a field that it ignored) or about how results were made (a filter that it dropped)."""

    code: Text = doc("the kind of notice")
    path: Text = doc("the field that is meant, as a JSON pointer")
    message: Text = doc("the notice in words")
    details: Anything = doc("more of it")


class Grounding(Record):
    """What one part of a made text rests on."""

    field: Text = doc("the part")
    citations: Annotated[tuple[Source, ...], Json] = Field((), description="the pages")
    confidence: Text = doc("low, medium or high")
    score: Number = doc("how well it is grounded")


class Run(Record):
    """An agent run: a paid task that goes on at Exa until it is done, whoever waits for it."""

    id: Key = key("its id")
    status: Text = doc("queued, running, completed, failed or cancelled")
    stop_reason: Text = wire("stopReason", "why it ended: all but error and cancelled mean usable output")
    created_at: Time = wire("createdAt", "when it was created")
    completed_at: Time = wire("completedAt", "when it ended")
    request: Anything = doc("what was asked for")
    metadata: Anything = doc("what was given to be told again")
    output: Anything = doc("text, structured and grounding")
    usage: Anything = doc("what it used")
    cost_dollars: Anything = wire("costDollars", "what it cost; 0 while it runs")
    error: Anything = doc("why it failed")

    @property
    def is_done(self) -> bool:
        """Whether it has ended."""
        return self.status in ENDED

    @property
    def cost(self) -> Decimal | None:
        """Dollars that it cost; None while it runs, and where nobody says so."""
        return cost_of({"costDollars": self.cost_dollars}) if self.is_done else None

    @property
    def _output(self) -> dict[str, Any]:
        return self.output if isinstance(self.output, dict) else {}

    @property
    def text(self) -> str:
        """Its text; empty before it has one."""
        found = self._output.get("text")
        return found if isinstance(found, str) else ""

    @property
    def structured(self) -> Any:
        """Its output by the schema that was asked for; None without one."""
        return self._output.get("structured")

    @property
    def grounding(self) -> tuple[Grounding, ...]:
        """What its parts rest on."""
        return grounding_of(self.output)


ENDED = frozenset({"completed", "failed", "cancelled", "canceled"})


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer of Exa's: `cost` in dollars is None where it says nothing of it, and 0 where it was paid for before (`cached`)."""

    request_id: str
    cost: Decimal | None
    cached: bool
    raw: Mapping[str, Any] = field(repr=False)
    warnings: tuple[Notice, ...] = ()
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchReply(Answered):
    """The pages of a search, the most relevant first; `output` is what was made of them where a schema was given.

    `refused` counts pages that could not be read, which are in `raw` all the same.
    """

    results: tuple[Page, ...] = ()
    output: Any = None
    grounding: tuple[Grounding, ...] = ()
    refused: int = 0

    def frame(self) -> pl.DataFrame:
        """The pages: url, title, published_date (UTC), author, score, highlights (list), text, summary, key."""
        return pl.DataFrame([{name: getattr(page, name) for name in COLUMNS} for page in self.results], schema=COLUMNS)


@dataclass(frozen=True, slots=True)
class ContentsReply(SearchReply):
    """Pages that were read, and of each that was asked for whether it could be."""

    statuses: tuple[Status, ...] = ()

    @property
    def failed(self) -> dict[str, str]:
        """Why pages could not be read, by what was asked for: Exa's tag, or MISSING where it said success and sent nothing."""
        sent = {canonical(name) for page in self.results for name in (page.url, page.id) if name}
        told = {one.id: one.tag or ("" if canonical(one.id) in sent else "MISSING") for one in self.statuses}
        return {name: tag for name, tag in told.items() if tag}


@dataclass(frozen=True, slots=True)
class Answer(Answered):
    """An answer in words, or by a schema, and the pages that it cites."""

    answer: str | dict[str, Any] = ""
    citations: tuple[Source, ...] = ()


def cost_of(sent: Mapping[str, Any]) -> Decimal | None:
    """Dollars of a reply: the total alone counts, and what is not told is not zero."""
    told = sent.get("costDollars")
    total = told.get("total") if isinstance(told, Mapping) else None
    if isinstance(total, bool) or not isinstance(total, int | float | Decimal | str):
        return None
    try:
        value = Decimal(str(total))
    except ArithmeticError:
        return None
    return value if value.is_finite() and 0 <= value < _UNBELIEVABLE else None


def sources(kind: type[Source], rows: object) -> tuple[list[Any], int]:
    """The pages of a list as sent, and how many could not be read."""
    return read(kind, [_dated(row) for row in rows] if isinstance(rows, list) else None)


def read(kind: type[Record], rows: object) -> tuple[list[Any], int]:
    """The records of a list as sent, and how many could not be read."""
    made, refused = [], 0
    for row in rows if isinstance(rows, list) else []:
        try:
            made.append(objects.one(kind, row))
        except ValueError:
            refused += 1
    return made, refused


def _dated(row: Any) -> Any:
    if not isinstance(row, dict) or "publishedDate" not in row:
        return row
    said = row["publishedDate"]
    return {**row, "publishedDate": _full(said), "published_date_raw": said if isinstance(said, str) else None}


def notices(rows: object) -> tuple[Notice, ...]:
    """What Exa says about a request; what cannot be read of it is left out."""
    return tuple(read(Notice, rows)[0])


def grounding_of(output: object) -> tuple[Grounding, ...]:
    """What the parts of an output rest on; citations that cannot be read are left out."""
    rows = output.get("grounding") if isinstance(output, dict) else None
    found = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return tuple(read(Grounding, [{**row, "citations": sources(Source, row.get("citations"))[0]} for row in found])[0])


def content_of(output: object) -> Any:
    """The content of an output: a text or an object; anything else is an empty text."""
    found = output.get("content") if isinstance(output, dict) else None
    return found if isinstance(found, str | dict) else ""


def common(sent: Mapping[str, Any], *, cached: bool, request_id: str) -> dict[str, Any]:
    """What every reply has."""
    return {
        "request_id": str(sent.get("requestId") or request_id), "cost": Decimal(0) if cached else cost_of(sent), "cached": cached,
        "raw": sent, "warnings": notices(sent.get("warnings")), "notices": notices(sent.get("notices")),
    }  # fmt: skip


def search_reply(sent: Mapping[str, Any], **shared: Any) -> SearchReply:
    """The reply to a search."""
    pages, refused = sources(Page, sent.get("results"))
    output = sent.get("output")
    made = None if output is None else content_of(output)
    return SearchReply(
        **common(sent, **shared), results=tuple(pages), output=made, grounding=grounding_of(output), refused=refused
    )


def contents_reply(sent: Mapping[str, Any], **shared: Any) -> ContentsReply:
    """The reply to a request for pages."""
    pages, refused = sources(Page, sent.get("results"))
    statuses = tuple(read(Status, sent.get("statuses"))[0])
    return ContentsReply(**common(sent, **shared), results=tuple(pages), refused=refused, statuses=statuses)


def answer_reply(sent: Mapping[str, Any], **shared: Any) -> Answer:
    """The reply to a question."""
    said = sent.get("answer")
    return Answer(
        **common(sent, **shared), answer=said if isinstance(said, str | dict) else "",
        citations=tuple(sources(Source, sent.get("citations"))[0]),
    )  # fmt: skip


def joined(parts: Sequence[ContentsReply]) -> ContentsReply:
    """Several replies of single pages as one."""
    costs = [part.cost for part in parts]
    return ContentsReply(
        request_id=next((part.request_id for part in parts if not part.cached), parts[0].request_id),
        cost=None if None in costs else sum((cost for cost in costs if cost is not None), Decimal(0)),
        cached=all(part.cached for part in parts), raw={"parts": [part.raw for part in parts]},
        warnings=tuple(one for part in parts for one in part.warnings), notices=tuple(one for part in parts for one in part.notices),
        results=tuple(page for part in parts for page in part.results), refused=sum(part.refused for part in parts),
        statuses=tuple(one for part in parts for one in part.statuses),
    )  # fmt: skip
