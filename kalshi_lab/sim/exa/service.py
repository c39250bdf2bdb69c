"""The simulated Exa's HTTP face: who may ask, where it goes, what a refusal looks like."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from kalshi_lab.sim.delivery import as_json
from kalshi_lab.sim.exa import events
from kalshi_lab.sim.exa.asked import DEEP, Denied
from kalshi_lab.sim.exa.bill import Bill
from kalshi_lab.sim.exa.engine import Engine
from kalshi_lab.sim.exa.finding import Finding
from kalshi_lab.sim.exa.monitors import Monitors
from kalshi_lab.sim.exa.runs import Runs
from kalshi_lab.sim.exa.websets import Websets
from kalshi_lab.sim.wire import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from kalshi_lab.sim.virtual import VirtualClock
    from kalshi_lab.sim.world import World

PREFIX = "/exa"
SHORTEST_KEY = 8
RUNS = "/agent/runs"
PAGE = b"<!doctype html><html><body><h1>404</h1></body></html>"
TEXTS = {
    400: ("INVALID_REQUEST", "bad request"), 401: ("INVALID_API_KEY", "the API key is missing or wrong"),
    402: ("NO_MORE_CREDITS", "Insufficient credits"), 403: ("ACCESS_DENIED", "access denied"), 410: ("RESEARCH_RETIRED", "retired"),
}  # fmt: skip
AGENT = {400: "INVALID_REQUEST", 401: "AUTHENTICATION_ERROR", 404: "NOT_FOUND", 429: "RATE_LIMIT_ERROR"}


class Service:
    """The engine of one world behind its HTTP face. `stream` breaks streams: reset (a false start), error (a failure after some text)."""

    def __init__(self, world: World, clock: VirtualClock) -> None:
        self.engine, self.bill = Engine(world), Bill()
        self.runs = Runs(self.engine, self.bill, clock)
        self.stream = ""
        self._world = world
        self._asked = 0
        found = self._finding = Finding(self.engine, self.bill, clock)
        self._paid: dict[str, tuple[str, Callable[[Any, str], dict[str, Any]]]] = {
            "/search": ("search", found.search), "/contents": ("contents", found.contents), "/answer": ("answer", found.answer),
            "/findSimilar": ("search", found.similar),
        }  # fmt: skip
        self._standing = {
            "/monitors": Monitors(found, self.engine, self.bill, clock).answer,
            "/websets/v0/websets": Websets(self.engine, self.bill, clock).answer,
        }

    def answer(self, request: Request, path: str, body: Any) -> Response:
        """The answer to a request below /exa."""
        self._asked += 1
        request_id = hashlib.sha256(f"{self._asked} {path}".encode()).hexdigest()[:32]
        try:
            self._admit(request, path)
            response = self._routed(request, path, body, request_id)
        except Denied as denied:
            response = as_json(refusal(path, denied.status, denied.tag, denied.text, request_id), denied.status)
        response.headers["x-request-id"] = request_id
        return response

    @staticmethod
    def _admit(request: Request, path: str) -> None:
        key = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        if len(key) < SHORTEST_KEY:
            raise Denied(401, *TEXTS[401])
        if path.startswith("/research/"):
            raise Denied(410, "RESEARCH_RETIRED", "this endpoint was retired: use agent runs")

    def _routed(self, request: Request, path: str, body: Any, request_id: str) -> Response:
        if request.method == "POST" and path in self._paid:
            return self._bought(path, body, request_id)
        words = dict(request.query_params)
        if path == RUNS or path.startswith(f"{RUNS}/"):
            self._within("runs")
            if request.method == "POST" and path == RUNS:
                self._solvent()
            return self._ran(request, path, body, words)
        for prefix, answer in self._standing.items():
            if path == prefix or path.startswith(f"{prefix}/"):
                told = answer(request.method, path[len(prefix) :].strip("/").split("/"), body, words)
                if told is not None:
                    return as_json(told[1], told[0])
        return Response(PAGE, 404, media_type="text/html")

    def _within(self, surface: str) -> None:
        if not self.bill.admits(surface):
            raise Denied(429, "", "too many requests a second")

    def _solvent(self) -> None:
        if self.bill.is_spent:
            raise Denied(402, *TEXTS[402])

    def _bought(self, path: str, body: Any, request_id: str) -> Response:
        surface, endpoint = self._paid[path]
        kind = body.get("type") if isinstance(body, dict) and surface == "search" else ""
        self._within("deep" if isinstance(kind, str) and kind in DEEP else surface)
        self._solvent()
        made = endpoint(body, request_id)
        if body.get("stream") and (path == "/answer" or "output" in made):
            return events.answer(made, self.stream)
        return as_json(made)

    def _ran(self, request: Request, path: str, body: Any, words: dict[str, str]) -> Response:
        parts = path.removeprefix(RUNS).strip("/").split("/")
        status, made = self.runs.answer(request.method, parts, body, words)
        streamed = "text/event-stream" in request.headers.get("accept", "")
        if status == 200 and streamed and parts == [""] and request.method == "POST":
            return events.run(self.runs.followed(made["id"]), "")
        if status == 200 and streamed and parts[1:] == ["events"]:
            return events.run(self.runs.told(parts[0]), request.headers.get("last-event-id", ""))
        return as_json(made, status)

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


def refusal(path: str, status: int, tag: str = "", text: str = "", request_id: str = "") -> dict[str, Any]:
    """The body of a refusal: the agent's own form below /agent, bare for too many requests, else with a tag."""
    known = TEXTS.get(status, ("", "service unavailable" if status >= 500 else "not found"))
    tag, text = tag or known[0], text or known[1]
    if path.startswith("/agent/") and status != 402:
        kind = AGENT.get(status, "SERVER_ERROR")
        return {"error": {"type": kind, "code": tag or kind, "message": text}}
    if status == 429:
        return {"error": text or "too many requests a second"}
    return {"requestId": request_id or "0" * 32, "error": text, **({"tag": tag} if tag else {})}
