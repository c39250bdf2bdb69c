"""The exchange's HTTP face: routes, the request log, the rate limit and faults."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Match, Route

from kalshi_lab.sim.control import Control
from kalshi_lab.sim.delivery import SMALL, Wire, as_json, compressed, damaged
from kalshi_lab.sim.faults import MAINTENANCE, Fault, Switchboard, error_body
from kalshi_lab.sim.process import PREFIX
from kalshi_lab.sim.queries import Query, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from kalshi_lab.sim.api import Api
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
    """The ASGI application of one simulated exchange; `delay` in seconds is waited before each answer."""

    def __init__(
        self, api: Api, clock: VirtualClock, bucket: Bucket, *, delay: float = 0.0, pages: Pages | None = None
    ) -> None:
        self.routes, self.bucket, self.delay, self.pages = routes(api), bucket, delay, pages
        self.faults, self.wire = Switchboard(), Wire()
        self.log: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._control = Starlette(routes=Control(api.world, clock, self.faults, self.log).routes())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._control(scope, receive, send)
            return
        request = Request(scope)
        path = scope["path"].removeprefix(PREFIX)
        entry = {"method": scope["method"], "path": path, "query": scope["query_string"].decode("latin-1"), "status": 0}
        self.log.append(entry)
        if self.delay:
            await asyncio.sleep(self.delay)
        fault = self.faults.take(path, has_cursor="cursor" in request.query_params)
        if fault is not None and fault.kind in {"drop", "reset"}:
            self.wire.hang_up(scope, reset=fault.kind == "reset")
            return
        response = self._answer(request, fault)
        entry["status"] = response.status_code
        await self.wire.send(self._packed(request, response), fault, scope, receive, send)

    def _answer(self, request: Request, fault: Fault | None) -> Response:
        if fault is not None and fault.kind == "status":
            return as_json(error_body(fault.status) if fault.body is None else fault.body, fault.status, fault.headers)
        if fault is not None and fault.kind == "html":
            return as_html(fault)
        if not self.bucket.take():
            return as_json(error_body(429), 429)
        response = self._routed(request)
        return damaged(response, fault, request.query_params.get("cursor", "")) if fault else response

    def _routed(self, request: Request) -> Response:
        if self.pages and (ready := self.pages.find(request.scope["path"], request.query_params)):
            return as_json(ready)
        for route in self.routes:
            match, found = route.matches(request.scope)
            if match is Match.FULL:
                try:
                    return as_json(route.endpoint(Query(request.query_params), **found["path_params"]))
                except Refused as refusal:
                    return as_json(refusal.body, refusal.status)
            if match is Match.PARTIAL:
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


def as_html(fault: Fault) -> Response:
    """The page that stands in for the API during upkeep."""
    response = as_json(MAINTENANCE, 200, fault.headers)
    response.headers["content-type"] = "text/html; charset=utf-8"
    return response
