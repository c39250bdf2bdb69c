"""Searches, pages and answers of the simulated Exa: what comes back, and what it costs."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from kalshi_lab.sim.exa import asked
from kalshi_lab.sim.exa import bill as bills
from kalshi_lab.sim.exa.asked import instant, stamp
from kalshi_lab.sim.exa.bill import wanted
from kalshi_lab.sim.exa.stories import MISSING, UNKNOWN
from kalshi_lab.sim.wire import DAY, SECOND

if TYPE_CHECKING:
    from kalshi_lab.sim.exa.bill import Bill
    from kalshi_lab.sim.exa.engine import Engine
    from kalshi_lab.sim.exa.stories import Leaf
    from kalshi_lab.sim.virtual import VirtualClock

CATEGORIES = {"news": {"news"}, "publication": {"paper"}, "research paper": {"paper"}}
IGNORED = ("startCrawlDate", "endCrawlDate", "useAutoprompt")
STORED = 150 * DAY * SECOND  # how far back versions of pages are kept
MAY_FAIL = {"CRAWL_NOT_FOUND": 404, "SOURCE_NOT_AVAILABLE": 403}
READ, ANSWER, SIMILAR = 8, Decimal("0.005"), Decimal("0.007")
_SITE = re.compile(r"\bsite:(\S+)")
Body = dict[str, Any]


class Finding:
    """The endpoints that look for pages and read them."""

    def __init__(self, engine: Engine, bill: Bill, clock: VirtualClock) -> None:
        self._engine, self._bill, self._clock = engine, bill, clock

    def search(self, sent: Any, request_id: str) -> Body:
        """Pages for a query, with an output by a schema where one is given."""
        body = asked.search(sent)
        contents, query = body["contents"], body["query"]
        found, notices = self._found(body, contents.get("snapshotAsOf"))
        found = found[: body.get("numResults", 10)]
        made: Body = {
            "requestId": request_id,
            "results": [self.result(leaf, contents, query) for leaf in found],
            "searchTime": 120.5 + len(found),
        }
        if body.get("category") in {"publication", "research paper"}:
            made["results"] = [
                {**row, "entities": [_entity(leaf)]} for row, leaf in zip(made["results"], found, strict=True)
            ]
        if body.get("outputSchema"):
            made["output"] = self.output(body["outputSchema"], found, query)
        if ignored := [name for name in IGNORED if name in body]:
            made["warnings"] = [
                {"code": "IGNORED_FIELD", "path": f"/{name}", "message": f"{name} is ignored"} for name in ignored
            ]
        dollars = self._bill.charge("search", bills.search(body), query=query)
        return (
            made
            | ({"notices": notices} if notices else {})
            | {"costDollars": {"total": dollars, "search": {"neural": dollars}}}
        )

    def _found(self, body: Body, snapshot: str | None) -> tuple[list[Leaf], list[Body]]:
        """The fitting pages, and what was given up to find any."""
        query, now = body["query"], self._clock.now()
        until = min(instant(snapshot) or now, now)
        if now - until > STORED:
            return [], []
        ranked = self.found({**body, "query": _SITE.sub("", query)}, until)
        sites = _SITE.findall(query)
        there = [leaf for leaf in ranked if _hosted(leaf, sites)]
        if not sites or there:
            return there or ranked, []
        message = "no page fits site:, which was dropped"
        return ranked, [{"code": "RESTRICTIONS_RELAXED", "path": "/query", "message": message}]

    def found(self, body: Body, until: int) -> list[Leaf]:
        """The pages within the filters of a search that were out by then, the most fitting first."""
        return [leaf for leaf in self._engine.search(body["query"], until) if _fits(leaf, body)]

    def result(self, leaf: Leaf, options: Body, query: str) -> Body:
        """A page as a result."""
        made: Body = {"id": leaf.id, "title": leaf.title, "url": leaf.url, "author": leaf.author}
        if leaf.stated is not None:
            made["publishedDate"] = leaf.stated
        if leaf.broken:
            return made
        if wanted(options, "text"):
            most = options["text"].get("maxCharacters") if isinstance(options["text"], dict) else None
            made["text"] = f"{leaf.title}\n{leaf.text}"[:most]
        if wanted(options, "highlights"):
            own = options["highlights"] if isinstance(options["highlights"], dict) else {}
            made["highlights"] = [
                one[: own.get("maxCharacters")] for one in self._engine.passages(leaf, own.get("query") or query)
            ]
        if wanted(options, "summary"):
            schema = options["summary"].get("schema") if isinstance(options["summary"], dict) else None
            filled = self._engine.filled(schema, [leaf], query)[0] if schema else None
            made["summary"] = json.dumps(filled) if schema else self._engine.passages(leaf, query, 1)[0]
        if number := (options.get("extras") or {}).get("links"):
            made["extras"] = {"links": [f"https://{leaf.host}/", leaf.url][:number]}
        if options.get("snapshotAsOf"):
            made["snapshotAt"] = stamp(leaf.time)
        return made

    def output(self, schema: Body, leaves: list[Leaf], query: str) -> Body:
        """An output by a schema, and what each part of it rests on."""
        readable = [leaf for leaf in leaves if not leaf.broken]
        if schema.get("type") == "text":
            content, grounds = self._engine.said(readable, query), [("content", readable[:5])]
        else:
            content, grounds = self._engine.filled(schema, readable, query)
        return {"content": content, "grounding": grounding(grounds)}

    def similar(self, sent: Any, request_id: str) -> Body:
        """Pages like one, the page itself first: an endpoint of old."""
        body = asked.body(sent)
        seed = self._engine.read(asked.string("url", body.get("url")), self._clock.now())
        if seed is None:
            raise asked.Denied(400, "NO_CONTENT_FOUND", "url: nothing is known of this page")
        body = asked.search({**body, "query": seed.title or seed.text})
        found = [leaf for leaf in self._found(body, None)[0] if leaf != seed]
        if body.get("excludeSourceDomain"):
            found = [leaf for leaf in found if leaf.host != seed.host]
        rows = [
            {**self.result(leaf, body["contents"], body["query"]), "score": round(0.78 - 0.003 * place, 4)}
            for place, leaf in enumerate([seed, *found][: body.get("numResults", 10)])
        ]
        dollars = self._bill.charge("findSimilar", SIMILAR, url=seed.url)
        return {
            "requestId": request_id, "results": rows, "searchTime": 77.7,
            "costDollars": {"total": dollars, "search": {"neural": dollars}},
        }  # fmt: skip

    def contents(self, sent: Any, request_id: str) -> Body:
        """Known pages: those that can be read, and of all what became of them."""
        body, urls = asked.contents(sent)
        options = body if {"text", "highlights", "summary", "extras"} & body.keys() else {**body, "text": True}
        results, statuses, pages = [], [], 0
        for url in urls:
            leaf, tag = self._read(url, body.get("snapshotAsOf"))
            if leaf is not None and not tag:
                row = {**self.result(leaf, options, leaf.title), "id": url}
                below = self._below(leaf, body.get("subpages", 0))
                if below:
                    row["subpages"] = [self.result(one, options, leaf.title) for one in below]
                results.append(row)
                pages += 1 + len(below)
            statuses.append(_status(url, tag, "crawled" if body.get("maxAgeHours") == 0 else "cached"))
        dollars = self._bill.charge("contents", bills.contents(options, pages), urls=len(urls))
        return {
            "requestId": request_id, "results": results, "statuses": statuses, "costDollars": {"total": dollars}, "searchTime": 7.25,
        }  # fmt: skip

    def _read(self, url: str, snapshot: str | None) -> tuple[Leaf | None, str]:
        """A page, and why it is not given."""
        now = self._clock.now()
        until = min(instant(snapshot) or now, now)
        leaf = self._engine.read(url, until) if now - until <= STORED else None
        if leaf is None:
            return None, "CONTENT_NOT_CACHED" if snapshot else "CRAWL_NOT_FOUND"
        return leaf, leaf.broken

    def _below(self, leaf: Leaf, most: int) -> list[Leaf]:
        """Other readable pages of the same event, in place of pages below this one."""
        event, now = self._engine.stories.event(leaf.url), self._clock.now()
        others = () if event is None else self._engine.stories.leaves(event)
        return [one for one in others if one != leaf and not one.broken and one.time <= now][:most]

    def answer(self, sent: Any, request_id: str) -> Body:
        """An answer with what it cites."""
        body = asked.answer(sent)
        query, schema = body["query"], body.get("outputSchema")
        found = [leaf for leaf in self._engine.search(query, self._clock.now()) if not leaf.broken][:READ]
        return {
            "requestId": request_id,
            "answer": self._engine.filled(schema, found, query)[0] if schema else self._engine.said(found, query),
            "citations": [self.result(leaf, {"text": body.get("text")}, query) for leaf in found[:5]],
            "costDollars": {"total": self._bill.charge("answer", ANSWER, query=query)},
        }


def grounding(grounds: list[tuple[str, list[Leaf]]], prefix: str = "") -> list[Body]:
    """What each part of an output rests on."""
    return [
        {"field": f"{prefix}{field}", "citations": [{"url": leaf.url, "title": leaf.title} for leaf in leaves], "confidence": "medium"}
        for field, leaves in grounds
    ]  # fmt: skip


def _fits(leaf: Leaf, body: Body) -> bool:
    """Whether a page is within the filters; one without a date is not within any dates."""
    kinds = CATEGORIES.get(body.get("category") or "")
    allowed, denied = body.get("includeDomains"), body.get("excludeDomains")
    if (kinds is not None and leaf.kind not in kinds) or (
        leaf.broken and (body.get("contents") or {}).get("filterEmptyResults")
    ):
        return False
    if (allowed and not _hosted(leaf, allowed)) or (denied and _hosted(leaf, denied)):
        return False
    start, end = instant(body.get("startPublishedDate")), instant(body.get("endPublishedDate"))
    if start is None and end is None:
        return True
    stated = instant(leaf.stated)
    return stated is not None and (start is None or stated >= start) and (end is None or stated <= end)


def _hosted(leaf: Leaf, domains: list[str]) -> bool:
    """Whether a page is on one of the domains, or below one of their paths."""
    where = leaf.url.split("://", 1)[1]
    bare = where.removeprefix("www.").removeprefix("m.").removeprefix("amp.")
    given = [domain.lower().removeprefix("*.").removeprefix("www.") for domain in domains]
    return any(bare.startswith(one) or leaf.host.endswith(f".{one}") for one in given)


def _status(url: str, tag: str, source: str) -> Body:
    if tag in {"", MISSING}:
        return {"id": url, "status": "success", "source": source}
    error = {} if tag == UNKNOWN else {"tag": tag, **({"httpStatusCode": MAY_FAIL[tag]} if tag in MAY_FAIL else {})}
    return {"id": url, "status": "error", "error": error}


def _entity(leaf: Leaf) -> Body:
    """A paper as a publication."""
    authors = [{"name": name} for name in (leaf.author or "").split(", ") if name]
    known = {
        "title": leaf.title,
        "abstract": leaf.text,
        "authors": authors,
        "date": leaf.stated,
        "year": int((leaf.stated or "0")[:4]),
    }
    unknown = dict.fromkeys(("doi", "type", "language", "citationCount", "referenceCount"))
    return {"id": leaf.id, "type": "publication", "version": 1, "properties": {**known, **unknown}}
