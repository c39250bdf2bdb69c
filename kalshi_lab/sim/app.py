"""The exchange's HTTP face: routes, who asks, the request log, the rate limits and faults."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from kalshi_lab.sim import reference, talks
from kalshi_lab.sim.control import Control
from kalshi_lab.sim.delivery import SMALL, Wire, as_json, compressed, damaged
from kalshi_lab.sim.desk.calls import Call, Reply, Signed
from kalshi_lab.sim.desk.desk import Desk
from kalshi_lab.sim.desk.keys import Caller
from kalshi_lab.sim.exa import PREFIX as EXA
from kalshi_lab.sim.exa import Service, refusal
from kalshi_lab.sim.faults import MAINTENANCE, Fault, Switchboard, error_body
from kalshi_lab.sim.feed.feed import Feed
from kalshi_lab.sim.feed.socket import Socket
from kalshi_lab.sim.hub import Hub
from kalshi_lab.sim.process import PREFIX
from kalshi_lab.sim.queries import Query, Refused, bad
from kalshi_lab.sim.reference.combos import Combos

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Message, Receive, Scope, Send

    from kalshi_lab.sim.api import Api
    from kalshi_lab.sim.dense import Dense
    from kalshi_lab.sim.pages import Pages
    from kalshi_lab.sim.virtual import Bucket, VirtualClock

KEPT = 100_000


def routes(api: Api) -> list[Route]:
    """The public endpoints; of two that fit a path the first one answers."""
    answers: dict[str, Callable[..., Any]] = {
        "/exchange/status": api.exchange_status,
        "/exchange/schedule": api.schedule,
        "/exchange/user_data_timestamp": api.user_data_timestamp,
        "/account/endpoint_costs": api.endpoint_costs,
        "/series/fee_changes": api.series_fee_changes,
        "/series": api.series_list,
        "/series/{series_ticker}": api.series,
        "/series/{series_ticker}/markets/{ticker}/candlesticks": api.candlesticks,
        "/series/{series_ticker}/events/{ticker}/candlesticks": api.event_candlesticks,
        "/events": api.events,
        "/events/multivariate": api.combo_events,
        "/events/fee_changes": api.event_fee_changes,
        "/events/{event_ticker}": api.event,
        "/events/{event_ticker}/metadata": api.event_metadata,
        "/markets": api.markets,
        "/markets/trades": api.trades,
        "/markets/candlesticks": api.batch_candlesticks,
        "/markets/orderbooks": api.orderbooks,
        "/markets/{ticker}": api.market,
        "/markets/{ticker}/orderbook": api.orderbook,
        "/historical/cutoff": api.cutoff,
        "/historical/markets": api.archived_markets,
        "/historical/markets/{ticker}": api.archived_market,
        "/historical/markets/{ticker}/candlesticks": api.archived_candlesticks,
        "/historical/trades": api.archived_trades,
    }
    return [Route(PREFIX + path, answer, methods=["GET"]) for path, answer in answers.items()]


class Application:
    """The ASGI application of one simulated exchange; `delay` in seconds is waited before each answer.

    `desk` holds keys, accounts and orders, `hub` passes on what happens there.
    """

    def __init__(
        self, api: Api, clock: VirtualClock, bucket: Bucket, *, delay: float = 0.0, pages: Pages | Dense | None = None
    ) -> None:
        self.api, self.clock, self.delay, self.pages = api, clock, delay, pages
        self.hub = Hub()
        self.desk = Desk(api, self.hub, bucket)
        combos = Combos(api)
        self.routes = [*routes(api), *reference.routes(api, combos), *self.desk.routes()]
        self.routes += talks.routes(self.desk.venue, combos)
        self.faults, self.wire = Switchboard(), Wire()
        self.exa = Service(api.world, clock)
        self.streams = Socket(Feed(api, clock, self.hub), self.desk.keys, self.wire)
        self.log: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._control = Starlette(
            routes=Control(
                api.world, clock, self.faults, self.log, self.desk, streams=self.streams, exa=self.exa
            ).routes()
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or serve one stream."""
        if scope["type"] == "websocket":
            await self.streams(scope, receive, send)
            return
        if scope["type"] != "http" or not scope["path"].startswith((PREFIX, f"{EXA}/")):
            await self._control(scope, receive, send)
            return
        send = self._dated(send)
        request = Request(scope, receive)
        path = scope["path"].removeprefix(PREFIX)
        entry = {"method": scope["method"], "path": path, "query": scope["query_string"].decode("latin-1"), "status": 0}
        self.log.append(entry)
        sent = await request.body()
        if self.delay:
            await asyncio.sleep(self.delay)
        fault = self.faults.take(path, has_cursor="cursor" in request.query_params)
        if fault is not None and fault.kind in {"drop", "reset"}:
            self.wire.hang_up(scope, reset=fault.kind == "reset")
            return
        response = self._answer(request, sent, fault, entry)
        entry["status"] = response.status_code
        await self.wire.send(self._packed(request, response), fault, scope, receive, send)

    def _dated(self, send: Send) -> Send:
        """Answers carry the time by which the exchange judges signatures."""

        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = formatdate(self.desk.keys.now(), usegmt=True).encode()
                message = {**message, "headers": [*message["headers"], (b"date", date)]}
            await send(message)

        return dated

    def _answer(self, request: Request, sent: bytes, fault: Fault | None, entry: dict[str, Any]) -> Response:
        is_exa = request.scope["path"].startswith(f"{EXA}/")
        if fault is not None and fault.kind == "status":
            usual = refusal(request.scope["path"][len(EXA) :], fault.status) if is_exa else error_body(fault.status)
            return as_json(usual if fault.body is None else fault.body, fault.status, fault.headers)
        if fault is not None and fault.kind == "html":
            return as_html(fault)
        try:
            body = _parsed(sent, entry)
            response = self._answered(request, body, entry)
        except Refused as refused:
            unread = self._answered(request, None, entry) if is_exa else None  # who asks comes before what is asked
            response = unread or as_json(refused.body, refused.status)
        return damaged(response, fault, request.query_params.get("cursor", "")) if fault else response

    def _answered(self, request: Request, body: Any, entry: dict[str, Any]) -> Response:
        path = request.scope["path"]
        return (
            self.exa.answer(request, path[len(EXA) :], body)
            if path.startswith(f"{EXA}/")
            else self._routed(request, body, entry)
        )

    def _routed(self, request: Request, body: Any, entry: dict[str, Any]) -> Response:
        path = request.scope.get("raw_path", b"").decode("latin-1") or request.scope["path"]  # signed as it was sent
        caller = self.desk.keys.verify(request.headers, request.method, path)
        if isinstance(caller, Caller):
            entry["key"] = caller.key
        found = self._match(request)
        if isinstance(found, Response):
            return found if self.desk.limits.take(None, request.method, "", None) else as_json(error_body(429), 429)
        route, params = found
        known = caller if isinstance(caller, Caller) else None
        if isinstance(route, Signed):
            self._admit(route, caller)
        if not self.desk.limits.take(known, request.method, route.path.removeprefix(PREFIX), body):
            return as_json(error_body(429), 429)
        if self.pages and (ready := self.pages.find(request.scope["path"], request.query_params)):
            return as_json(ready)
        if known is None or not isinstance(route, Signed):
            return _finished(route.endpoint(Query(request.query_params), **params))
        self.desk.venue.settle(self.clock.now())
        return _finished(route.endpoint(Call(request.query_params, body, known, self.clock.now()), **params))

    @staticmethod
    def _admit(route: Signed, caller: Caller | Refused) -> None:
        if isinstance(caller, Refused):
            raise caller
        if not caller.may(route.scope):
            raise Refused(403, "forbidden", "forbidden", f"the key lacks the scope {route.scope}")

    def _match(self, request: Request) -> tuple[Route, dict[str, str]] | Response:
        partial = False
        for route in self.routes:
            match, found = route.matches(request.scope)
            if match is Match.FULL:
                return route, found["path_params"]
            partial = partial or match is Match.PARTIAL
        if partial:
            return as_json({"error": {"code": "method_not_allowed", "message": "method not allowed"}}, 405)
        return as_json(error_body(404), 404)

    def _packed(self, request: Request, response: Response) -> Response:
        wanted = "gzip" in request.headers.get("accept-encoding", "")
        if not wanted or response.status_code != 200 or len(response.body) <= SMALL:
            return response
        if self.pages is None:
            return compressed(response)
        return response if self.pages.squeezed is None else self._squeezed(self.pages.squeezed, request, response)

    def _squeezed(self, ready: dict[str, Response], request: Request, response: Response) -> Response:
        """A prerendered page gzipped, once for all who ask for it."""
        query = f"{request.scope['path']}?{request.url.query}"
        if query not in ready:
            ready[query] = compressed(response)
        return ready[query]


def _parsed(sent: bytes, entry: dict[str, Any]) -> Any:
    """The JSON of a request's body, also for the log. Raises Refused for something else."""
    if not sent:
        return None
    try:
        entry["body"] = json.loads(sent)
    except ValueError:
        raise bad("the body is no JSON") from None
    return entry["body"]


def _finished(answer: Any) -> Response:
    if not isinstance(answer, Reply):
        return as_json(answer)
    return Response(status_code=answer.status) if answer.body is None else as_json(answer.body, answer.status)


def as_html(fault: Fault) -> Response:
    """The page that stands in for the API during upkeep."""
    response = as_json(MAINTENANCE, 200, fault.headers)
    response.headers["content-type"] = "text/html; charset=utf-8"
    return response
