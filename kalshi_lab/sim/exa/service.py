"""The simulated Exa's endpoints: who may ask, what comes back, what it costs."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from kalshi_lab.sim.delivery import as_json
from kalshi_lab.sim.exa import bill as bills
from kalshi_lab.sim.exa.engine import Engine
from kalshi_lab.sim.exa.runs import Runs
from kalshi_lab.sim.exa.standing import Standing
from kalshi_lab.sim.wire import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from kalshi_lab.sim.exa.stories import Leaf
    from kalshi_lab.sim.virtual import VirtualClock
    from kalshi_lab.sim.world import World

PREFIX = "/exa"
SHORTEST_KEY = 8
CATEGORIES = {"news": {"news"}, "publication": {"paper"}, "research paper": {"paper"}}
IGNORED = ("startCrawlDate", "endCrawlDate", "useAutoprompt")
STANDING = {"monitor": "/monitors", "webset": "/websets/v0/websets"}
PAGE = b"<!doctype html><html><body><h1>404</h1></body></html>"


class Denied(Exception):  # noqa: N818 - an answer, not a fault of this program
    """A request that is answered with an error body."""

    def __init__(self, status: int, tag: str, text: str) -> None:
        super().__init__(text)
        self.status, self.tag, self.text = status, tag, text


class Service:
    """The engine of one world behind its HTTP face."""

    def __init__(self, world: World, clock: VirtualClock) -> None:
        self.engine, self.clock = Engine(world), clock
        self.bill = bills.Bill()
        self._world = world
        self._asked = 0
        self._runs = Runs(self.engine, self.bill, clock)
        self._standing = Standing(self.engine, clock)

    def answer(self, request: Request, path: str, body: Any) -> Response:
        """The answer to a request below /exa."""
        self._asked += 1
        asked = hashlib.sha256(f"{self._asked} {path}".encode()).hexdigest()[:32]
        try:
            self._admit(request, path)
            return self._routed(request.method, path, body, asked, dict(request.query_params))
        except Denied as denied:
            told = {"requestId": asked, "error": denied.text, "tag": denied.tag}
            return as_json(told, denied.status, {"x-request-id": asked})

    @staticmethod
    def _admit(request: Request, path: str) -> None:
        key = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        if len(key) < SHORTEST_KEY:
            raise Denied(401, "INVALID_API_KEY", "the API key is missing or wrong")
        if path.startswith("/research"):
            raise Denied(410, "RESEARCH_RETIRED", "this endpoint was retired: use agent runs")

    def _routed(self, method: str, path: str, body: Any, asked: str, words: dict[str, str]) -> Response:
        paid: dict[str, tuple[str, Callable[[dict[str, Any], str], Any]]] = {
            "/search": ("search", self._search), "/contents": ("contents", self._contents), "/answer": ("answer", self._answered),
        }  # fmt: skip
        if method == "POST" and path in paid:
            surface, endpoint = paid[path]
            return self._paid(surface, endpoint, body, asked)
        if path.startswith("/agent/runs"):
            self._within("runs")
            return self._ran(method, path.removeprefix("/agent/runs"), body, words)
        for kind, prefix in STANDING.items():
            if path == prefix or path.startswith(f"{prefix}/"):
                told = self._standing.answer(kind, method, path[len(prefix) :].strip("/").split("/"), body)
                if told is not None:
                    return as_json(told[1], told[0])
        return Response(PAGE, 404, media_type="text/html")

    def _within(self, surface: str) -> None:
        if not self.bill.admits(surface):
            raise Denied(429, "", "too many requests a second")

    def _paid(self, surface: str, endpoint: Callable[[dict[str, Any], str], Any], body: Any, asked: str) -> Response:
        deep = isinstance(body, dict) and body.get("type") in bills.DEEP
        self._within("deep" if deep and surface == "search" else surface)
        if not isinstance(body, dict) or not (body.get("query") or surface == "contents"):
            raise Denied(400, "INVALID_REQUEST_BODY", "query: expected a text")
        if self.bill.is_spent:
            raise Denied(402, "NO_MORE_CREDITS", "Insufficient credits")
        made = endpoint(body, asked)
        if body.get("stream") and (surface == "answer" or body.get("outputSchema")):
            return _streamed(made, surface)
        return as_json(made, 200, {"x-request-id": asked})

    def _ran(self, method: str, path: str, body: Any, words: dict[str, str]) -> Response:
        if method == "POST" and path == "" and self.bill.is_spent:
            raise Denied(402, "NO_MORE_CREDITS", "Insufficient credits")
        status, made = self._runs.answer(method, path.strip("/").split("/"), body, words)
        return as_json(made, status)

    def _search(self, body: dict[str, Any], asked: str) -> dict[str, Any]:
        contents = body.get("contents") or {}
        number = body.get("numResults") or 10
        if not 1 <= number <= 100:
            raise Denied(400, "INVALID_NUM_RESULTS", "numResults: expected 1 to 100")
        now = _instant(contents.get("snapshotAsOf")) or self.clock.now()
        found = [leaf for leaf in self.engine.search(body["query"], now) if self._wanted(leaf, body)][:number]
        query = body["query"]
        made: dict[str, Any] = {
            "requestId": asked,
            "results": [self._result(leaf, contents, query, now) for leaf in found],
            "searchTime": 120.5 + len(found),
        }
        if body.get("outputSchema"):
            made["output"] = self._output(body["outputSchema"], found, query)
        if ignored := [name for name in IGNORED if name in body]:
            made["warnings"] = [
                {"code": "IGNORED_FIELD", "path": f"/{name}", "message": f"{name} is ignored"} for name in ignored
            ]
        dollars = self.bill.charge("search", bills.search(body), query=query)
        return made | {"costDollars": {"total": dollars, "search": {"neural": dollars}}}

    def _wanted(self, leaf: Leaf, body: dict[str, Any]) -> bool:
        kinds = CATEGORIES.get(body.get("category") or "")
        if kinds is not None and leaf.kind not in kinds:
            return False
        if leaf.broken and (body.get("contents") or {}).get("text"):
            return False
        allowed, denied = body.get("includeDomains"), body.get("excludeDomains")
        if (allowed and not _hosted(leaf, allowed)) or (denied and _hosted(leaf, denied)):
            return False
        start, end = _instant(body.get("startPublishedDate")), _instant(body.get("endPublishedDate"))
        if start is None and end is None:
            return True
        stated = _instant(leaf.stated)
        return stated is not None and (start is None or stated >= start) and (end is None or stated <= end)

    def _result(self, leaf: Leaf, options: dict[str, Any], query: str, now: int) -> dict[str, Any]:
        made: dict[str, Any] = {"id": leaf.id, "title": leaf.title, "url": leaf.url, "author": leaf.author}
        if leaf.stated is not None:
            made["publishedDate"] = leaf.stated
        if leaf.broken:
            return made
        if options.get("text"):
            most = options["text"].get("maxCharacters") if isinstance(options["text"], dict) else None
            made["text"] = f"{leaf.title}\n{leaf.text}"[:most]
        if options.get("highlights"):
            asked = options["highlights"].get("query") if isinstance(options["highlights"], dict) else None
            made["highlights"] = self.engine.passages(leaf, asked or query)
        if options.get("summary") is not None:
            schema = options["summary"].get("schema") if isinstance(options["summary"], dict) else None
            filled = self.engine.filled(schema, [leaf], query) if schema else None
            made["summary"] = json.dumps(filled) if schema else self.engine.passages(leaf, query, 1)[0]
        if options.get("snapshotAsOf"):
            made["snapshotAt"] = f"{datetime.fromtimestamp(min(now, leaf.time) / SECOND, UTC):%Y-%m-%dT%H:%M:%S}.000Z"
        return made

    def _output(self, schema: dict[str, Any], leaves: list[Leaf], query: str) -> dict[str, Any]:
        readable = [leaf for leaf in leaves if not leaf.broken]
        if schema.get("type") == "text":
            content, fields = self.engine.said(readable, query), ["content"]
        else:
            content = self.engine.filled(schema, readable, query)
            fields = list(content) if isinstance(content, dict) else ["content"]
        cited = [{"url": leaf.url, "title": leaf.title} for leaf in readable[:5]]
        return {
            "content": content,
            "grounding": [{"field": name, "citations": cited, "confidence": "medium"} for name in fields],
        }

    def _contents(self, body: dict[str, Any], asked: str) -> dict[str, Any]:
        wanted = body.get("urls") or body.get("ids")
        if not isinstance(wanted, list) or not 1 <= len(wanted) <= 100:
            raise Denied(400, "INVALID_URLS", "urls: expected 1 to 100 addresses")
        options = body if {"text", "highlights", "summary", "extras"} & body.keys() else {**body, "text": True}
        now = _instant(body.get("snapshotAsOf")) or self.clock.now()
        results, statuses = [], []
        for url in wanted:
            leaf = self.engine.read(str(url), now)
            tag = (leaf.broken if leaf else "") or (
                "" if leaf else "CONTENT_NOT_CACHED" if body.get("snapshotAsOf") else "CRAWL_NOT_FOUND"
            )
            if leaf is not None and not tag:
                results.append({**self._result(leaf, options, leaf.title, now), "url": leaf.url, "id": url})
            statuses.append(_status(str(url), tag))
        dollars = self.bill.charge("contents", bills.contents(options, len(results)), urls=len(wanted))
        return {
            "requestId": asked, "results": results, "statuses": statuses, "costDollars": {"total": dollars}, "searchTime": 7.25,
        }  # fmt: skip

    def _answered(self, body: dict[str, Any], asked: str) -> dict[str, Any]:
        query = body["query"]
        found = [leaf for leaf in self.engine.search(query, self.clock.now()) if not leaf.broken][:8]
        schema = body.get("outputSchema")
        citations = [self._result(leaf, {"text": body.get("text")}, query, 0) for leaf in found[:5]]
        return {
            "requestId": asked, "answer": self.engine.filled(schema, found, query) if schema else self.engine.said(found, query),
            "citations": citations, "costDollars": {"total": self.bill.charge("answer", Decimal("0.005"), query=query)},
        }  # fmt: skip

    def truth(self, tickers: list[str]) -> list[dict[str, Any]]:
        """Of every page about these markets: address, markets, how it leans towards YES of each, and when it came out (Unix seconds).

        The lean is that of the page's first market; for another market of the same event it is not known, null.
        """
        names, made = self._world.names, []
        for ticker in tickers:
            row = names.find_market(ticker)
            event = None if row is None else int(self._world.markets.event[row])
            for leaf in () if event is None else self.engine.stories.leaves(event):
                if row in leaf.markets:
                    lean = leaf.lean if leaf.markets[0] == row else None
                    made.append(
                        {"ticker": ticker, "url": leaf.url, "sentiment": lean, "published": leaf.time // SECOND, "broken": leaf.broken,
                         "tickers": [names.market(one) for one in leaf.markets]}
                    )  # fmt: skip
        return made


def _instant(text: object) -> int | None:
    """A time of a request or a page in microseconds; None where there is none."""
    if not isinstance(text, str) or not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Denied(400, "INVALID_REQUEST_BODY", f"no date: {text[:40]}") from None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * SECOND)


def _hosted(leaf: Leaf, domains: list[str]) -> bool:
    """Whether a page is on one of the domains, or below one of their paths."""
    where = leaf.url.split("://", 1)[1]
    bare = where.removeprefix("www.").removeprefix("m.").removeprefix("amp.")
    wanted = [domain.lower().removeprefix("*.").removeprefix("www.") for domain in domains]
    return any(bare.startswith(one) or leaf.host.endswith(f".{one}") for one in wanted)


def _status(url: str, tag: str) -> dict[str, Any]:
    if not tag:
        return {"id": url, "status": "success", "source": "cached"}
    code = {"CRAWL_NOT_FOUND": 404, "SOURCE_NOT_AVAILABLE": 403}.get(tag)
    return {"id": url, "status": "error", "error": {"tag": tag, **({"httpStatusCode": code} if code else {})}}


def _streamed(made: dict[str, Any], surface: str) -> Response:
    """The same answer as server-sent events."""
    text = made["answer"] if surface == "answer" else made["output"]["content"]
    words = text if isinstance(text, str) else json.dumps(text)
    parts = [words[start : start + 24] for start in range(0, len(words), 24)]
    if surface == "answer":
        chunks: list[Any] = [{"choices": [{"index": 0, "delta": {"content": part}}]} for part in parts]
        chunks += [
            {"citations": made["citations"]},
            {"costDollars": made["costDollars"], "requestId": made["requestId"]},
        ]
    else:
        chunks = [{"type": "text-delta", "delta": part} for part in parts]
        chunks += [
            {"type": "results", "results": made["results"]},
            {"type": "grounding", "grounding": made["output"]["grounding"]},
        ]
        chunks.append(
            {"type": "done", "output": made["output"], "searchTime": made["searchTime"], "costDollars": made["costDollars"],
             "requestId": made["requestId"]}
        )  # fmt: skip
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return Response("".join([*lines, "data: [DONE]\n\n"]), 200, media_type="text/event-stream")
