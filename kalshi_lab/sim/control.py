"""The control paths outside the exchange's API, for this machine only: faults, clocks, accounts, the request log, the truth."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kalshi_lab.sim.feed.steering import Steering
from kalshi_lab.sim.queries import Refused
from kalshi_lab.sim.wire import SECOND, moment

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from kalshi_lab.sim.desk.desk import Desk
    from kalshi_lab.sim.exa import Service
    from kalshi_lab.sim.faults import Switchboard
    from kalshi_lab.sim.feed.socket import Socket
    from kalshi_lab.sim.virtual import VirtualClock
    from kalshi_lab.sim.world import World

LOOPBACK = {"127.0.0.1", "::1"}
Answer = dict[str, Any]


class Control:
    """Steers one running exchange."""

    def __init__(
        self,
        world: World,
        clock: VirtualClock,
        faults: Switchboard,
        log: deque[Answer],
        desk: Desk,
        *,
        streams: Socket,
        exa: Service,
    ) -> None:
        self.world, self.clock, self.faults, self.log, self.desk = world, clock, faults, log, desk
        self.steering, self.exa = Steering(streams), exa

    def routes(self) -> list[Route]:
        """The control paths, each refusing callers from elsewhere."""
        listed: list[tuple[str, str, Callable[[Request], Awaitable[Answer]]]] = [
            ("POST", "/sim/faults", self._add_fault),
            ("DELETE", "/sim/faults", self._clear_faults),
            ("POST", "/sim/advance", self._advance),
            ("GET", "/sim/clock", self._now),
            ("GET", "/sim/requests", self._requests),
            ("POST", "/sim/reset-log", self._reset_log),
            ("GET", "/sim/truth/{ticker}", self._truth),
            ("GET", "/sim/planted", self._planted),
            ("POST", "/sim/accounts", self._open_account),
            ("POST", "/sim/skew", self._skew),
            ("POST", "/sim/exa/truth", self._exa_truth),
            ("GET", "/sim/exa/bill", self._exa_bill),
            ("POST", "/sim/exa", self._exa),
            *self.steering.listed(),
        ]
        return [Route(path, _guarded(answer), methods=[method]) for method, path, answer in listed]

    async def _add_fault(self, request: Request) -> Answer:
        self.faults.add(await request.json())
        return {}

    async def _clear_faults(self, _request: Request) -> Answer:
        self.faults.clear()
        return {}

    async def _advance(self, request: Request) -> Answer:
        now = self.clock.advance(float((await request.json())["seconds"]))
        await self.steering.feed.tick()
        return {"now": moment(now)}

    async def _now(self, _request: Request) -> Answer:
        return {"now": moment(self.clock.now())}

    async def _requests(self, _request: Request) -> Answer:
        return {"requests": list(self.log)}

    async def _reset_log(self, _request: Request) -> Answer:
        self.log.clear()
        return {}

    async def _planted(self, _request: Request) -> Answer:
        return {"planted": self.world.planted()}

    async def _truth(self, request: Request) -> Answer:
        now = self.clock.now()
        return {
            "now": moment(now),
            "truth": self.world.truth_at(request.path_params["ticker"], now),
            "ts": now // SECOND,
        }

    async def _open_account(self, request: Request) -> Answer:
        return self.desk.open_account(await request.json())

    async def _skew(self, request: Request) -> Answer:
        self.desk.keys.skew = float((await request.json())["seconds"])
        return {"now": self.desk.keys.now()}

    async def _exa_truth(self, request: Request) -> Answer:
        return {"pages": self.exa.truth(list((await request.json())["tickers"]))}

    async def _exa_bill(self, _request: Request) -> Answer:
        return {"total": f"{self.exa.bill.total:f}", "calls": self.exa.bill.calls}

    async def _exa(self, request: Request) -> Answer:
        wanted = await request.json()
        if "credit" in wanted:
            credit = wanted["credit"]
            self.exa.bill.credit = None if credit is None else self.exa.bill.total + Decimal(str(credit))
        if wanted.get("stream", "") not in {"", "reset", "error"}:
            raise ValueError("stream is reset, error or empty")
        self.exa.engine.lies = bool(wanted.get("lies", self.exa.engine.lies))
        self.exa.runs.fails = bool(wanted.get("fails", self.exa.runs.fails))
        self.exa.stream = wanted.get("stream", self.exa.stream)
        return {}


def _guarded(answer: Callable[[Request], Awaitable[Answer]]) -> Callable[[Request], Awaitable[Response]]:
    async def control(request: Request) -> Response:
        if request.client is None or request.client.host not in LOOPBACK:
            return JSONResponse({"error": "the control paths answer this machine only"}, 403)
        try:
            return JSONResponse(await answer(request))
        except (KeyError, TypeError, ValueError, Refused) as error:
            return JSONResponse({"error": str(error)}, 400)

    return control
