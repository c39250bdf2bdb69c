"""Websets of the simulated Exa, thin: collections of articles that a search found, judged by criteria, with columns that are filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalshi_lab.sim.exa import asked
from kalshi_lab.sim.exa.asked import BAD_BODY, Denied, stamp
from kalshi_lab.sim.exa.bill import WEBSET_SEARCH
from kalshi_lab.sim.exa.engine import tokens
from kalshi_lab.sim.exa.runs import LOOKS, TAKES, paged

if TYPE_CHECKING:
    from kalshi_lab.sim.exa.bill import Bill
    from kalshi_lab.sim.exa.engine import Engine
    from kalshi_lab.sim.exa.stories import Leaf
    from kalshi_lab.sim.virtual import VirtualClock

FORMATS = frozenset({"text", "date", "number", "options", "email", "phone", "url"})
Told = tuple[int, dict[str, Any]]
Body = dict[str, Any]


class Websets:
    """The websets of one team."""

    def __init__(self, engine: Engine, bill: Bill, clock: VirtualClock) -> None:
        self._engine, self._bill, self._clock = engine, bill, clock
        self._kept: dict[str, Body] = {}
        self._items: dict[str, list[Body]] = {}
        self._looks: dict[str, int] = {}
        self._begun: dict[str, int] = {}
        self._made = 0

    def answer(self, method: str, parts: list[str], body: Any, words: dict[str, str]) -> Told | None:
        """The answer to a request below /websets/v0/websets; None for a path that is none."""
        name, rest = parts[0], parts[1:]
        if not name:
            return self._together(method, body, words)
        if name == "preview" and method == "POST":
            return 200, self._preview(asked.body(body))
        one = next((one for one in self._kept.values() if name in (one["id"], one["externalId"])), None)
        if one is None:
            raise Denied(404, "NOT_FOUND", f"no webset {name[:40]}")
        return self._deeper(method, one, rest, body, words) if rest else self._plain(method, one, body, words)

    def _id(self, kind: str) -> str:
        self._made += 1
        return f"{kind}_{self._made:06d}"

    def _now(self) -> str:
        return stamp(self._clock.now())

    def _listed(self, words: dict[str, str]) -> Told:
        wanted = words.get("search", "").lower()
        rows = [one for one in reversed(self._kept.values()) if wanted in str(one["title"] or "").lower()]
        return paged(rows, words, usual=25)

    def _together(self, method: str, body: Any, words: dict[str, str]) -> Told | None:
        if method == "POST":
            return self._create(asked.body(body or {}))
        return self._listed(words) if method == "GET" else None

    def _create(self, body: Body) -> Told:
        if body.get("externalId") and any(one["externalId"] == body["externalId"] for one in self._kept.values()):
            raise Denied(409, "CONFLICT", "externalId is taken")
        search = _search(body["search"]) if "search" in body else None
        enrichments = [self._enrichment(one) for one in _list("enrichments", body.get("enrichments", []))]
        name, now = self._id("webset"), self._now()
        one: Body = {
            "id": name, "object": "webset", "status": "idle", "externalId": body.get("externalId"), "title": body.get("title"),
            "dashboardUrl": f"https://websets.example/{name}", "searches": [], "enrichments": [], "imports": [], "monitors": [],
            "metadata": body.get("metadata") or {}, "createdAt": now, "updatedAt": now,
        }  # fmt: skip
        self._kept[name], self._items[name], self._looks[name] = one, [], 0
        if search:
            self._searched(one, search)
        for enrichment in enrichments:
            self._enriched(one, enrichment)
        return 201, dict(one)

    def _searched(self, one: Body, search: Body) -> Body:
        """Begin a search of a webset; its items are there at once, it is done a little later."""
        if self._bill.is_spent:
            raise Denied(402, "NO_MORE_CREDITS", "Insufficient credits")
        self._bill.charge("webset", WEBSET_SEARCH, id=one["id"])
        criteria = [{"description": text, "successRate": 100} for text in search["criteria"]]
        made: Body = {
            "id": self._id("webset_search"), "object": "webset_search", "websetId": one["id"], "status": "running",
            "query": search["query"], "count": search["count"], "entity": {"type": "article"}, "criteria": criteria,
            "behavior": search["behavior"], "canceledReason": None, "createdAt": self._now(), "updatedAt": self._now(),
        }  # fmt: skip
        known = {item["properties"]["url"] for item in self._items[one["id"]]}
        found = [leaf for leaf in self._engine.search(search["query"], self._clock.now()) if leaf.url not in known]
        items = [self._item(one, made, leaf) for leaf in found[: search["count"]]]
        kept = [] if search["behavior"] == "override" else self._items[one["id"]]
        self._items[one["id"]] = [*kept, *items]
        made["progress"] = {"found": len(items), "analyzed": len(found), "completion": 50, "timeLeft": 30}
        one |= {"status": "running", "searches": [*one["searches"], made]}
        self._looks[one["id"]], self._begun[one["id"]] = 0, self._clock.now()
        return made

    def _item(self, one: Body, search: Body, leaf: Leaf) -> Body:
        article = {"title": leaf.title, "author": leaf.author, "publishedAt": leaf.stated}
        words = tokens(leaf.text)
        judged = [
            {"criterion": text, "reasoning": "by the words that they share", "references": [],
             "satisfied": "yes" if tokens(text) & words else "unclear"}
            for text in (criterion["description"] for criterion in search["criteria"])
        ]  # fmt: skip
        properties = {
            "type": "article", "url": leaf.url, "description": leaf.title, "article": article,
            "content": None if leaf.broken else leaf.text,
        }  # fmt: skip
        return {
            "id": self._id("item"), "object": "webset_item", "source": "search", "sourceId": search["id"], "websetId": one["id"],
            "properties": properties, "evaluations": judged, "enrichments": None, "createdAt": self._now(), "updatedAt": self._now(),
        }  # fmt: skip

    def _enrichment(self, given: Any) -> Body:
        body = asked.mapping("enrichments", given)
        kind = body.get("format", "text")
        if not isinstance(kind, str) or kind not in FORMATS:
            raise Denied(400, BAD_BODY, f"format: expected {', '.join(sorted(FORMATS))}")
        return {
            "id": self._id("enrichment"), "object": "webset_enrichment", "status": "completed",
            "description": asked.string("description", body.get("description"), 5000), "format": kind, "options": body.get("options"),
            "metadata": body.get("metadata") or {}, "createdAt": self._now(), "updatedAt": self._now(),
        }  # fmt: skip

    def _enriched(self, one: Body, enrichment: Body) -> Body:
        """Fill a column of a webset: a text is a sentence of the page itself, anything else is not known."""
        enrichment["websetId"] = one["id"]
        one["enrichments"] = [*one["enrichments"], enrichment]
        for item in self._items[one["id"]]:
            leaf = self._engine.read(item["properties"]["url"], self._clock.now())
            is_text = enrichment["format"] == "text" and leaf is not None and not leaf.broken
            said = self._engine.passages(leaf, enrichment["description"], 1) if is_text and leaf else None
            references = (
                [{"url": leaf.url, "title": leaf.title, "snippet": text} for text in said or ()] if leaf else []
            )
            result = {
                "enrichmentId": enrichment["id"], "status": "completed", "format": enrichment["format"], "result": said, "reasoning": None,
                "references": references,
            }  # fmt: skip
            item["enrichments"] = [*(item["enrichments"] or []), result]
        return enrichment

    def _plain(self, method: str, one: Body, body: Any, words: dict[str, str]) -> Told | None:
        if method == "DELETE":
            return 200, self._kept.pop(one["id"])
        if method == "POST":
            given = asked.body(body)
            one |= {name: given[name] for name in ("title", "metadata", "externalId") if name in given} | {
                "updatedAt": self._now()
            }
        self._looks[one["id"]] += 1
        self._brought(one)
        items = {"items": self._items[one["id"]]} if words.get("expand") == "items" else {}
        return 200, {**one, **items}

    def _brought(self, one: Body) -> None:
        name = one["id"]
        if one["status"] == "running" and (
            self._looks[name] >= LOOKS or self._clock.now() - self._begun[name] >= TAKES
        ):
            self._over(one, "completed")

    def _over(self, one: Body, status: str) -> None:
        for search in one["searches"]:
            if search["status"] == "running":
                search |= {"status": status, "canceledReason": None if status == "completed" else "webset_canceled"}
                search["progress"] |= {"completion": 100, "timeLeft": 0}
        one["status"] = "idle"

    def _deeper(self, method: str, one: Body, rest: list[str], body: Any, words: dict[str, str]) -> Told | None:
        kind, is_all = rest[0], len(rest) == 1
        if rest == ["cancel"] and method == "POST":
            self._over(one, "canceled")
            return 200, dict(one)
        if kind == "items" and is_all and method == "GET":
            source = words.get("sourceId")
            return paged([item for item in self._items[one["id"]] if source in {None, item["sourceId"]}], words)
        if kind in {"searches", "enrichments"} and is_all and method == "POST":
            made = (
                self._searched(one, _search(body))
                if kind == "searches"
                else self._enriched(one, self._enrichment(body))
            )
            return 201, dict(made)
        if kind not in {"items", "searches", "enrichments"} or is_all:
            return None
        rows = self._items[one["id"]] if kind == "items" else one[kind]
        if kind == "enrichments" and method == "PATCH":
            self._found(rows, rest[1]).update(asked.mapping("the body", body))
            method = "GET"
        return self._one(method, rows, rest)

    def _one(self, method: str, rows: list[Body], rest: list[str]) -> Told | None:
        """One thing of a webset, read, deleted or canceled."""
        found = self._found(rows, rest[1])
        if method == "DELETE" and len(rest) == 2:
            rows.remove(found)
            return 200, dict(found)
        if method == "POST" and rest[2:] == ["cancel"]:
            found["status"] = "canceled"
            return 200, dict(found)
        return (200, dict(found)) if method == "GET" and len(rest) == 2 else None

    @staticmethod
    def _found(rows: list[Body], name: str) -> Body:
        found = next((row for row in rows if row["id"] == name), None)
        if found is None:
            raise Denied(404, "NOT_FOUND", f"nothing is called {name[:40]}")
        return found

    def _preview(self, body: Body) -> Body:
        search = _search(body.get("search"))
        found = self._engine.search(search["query"], self._clock.now())
        if not found:
            raise Denied(422, "", "no entity or criteria can be seen in this query")
        made: Body = {"id": "preview", "criteria": []}
        items = [self._item({"id": "preview"}, made, leaf) for leaf in found[: search["count"]]]
        criteria = [{"description": f"it is about {search['query'][:80]}"}]
        return {"search": {"entity": {"type": "article"}, "criteria": criteria}, "enrichments": [], "items": items}


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Denied(400, BAD_BODY, f"{name}: expected a list")
    return value


def _search(sent: Any) -> Body:
    body = asked.mapping("search", sent)
    criteria = [asked.mapping("criteria", one) for one in _list("criteria", body.get("criteria") or [])]
    if len(criteria) > 5:
        raise Denied(400, BAD_BODY, "criteria: expected 1 to 5")
    return {
        "query": asked.string("query", body.get("query"), 5000),
        "count": asked.whole("count", body.get("count", 10), 1, 10_000),
        "criteria": [asked.string("description", one.get("description")) for one in criteria],
        "behavior": "append" if body.get("behavior") == "append" else "override",
    }
