"""The control paths of the streams, beside those of the exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalshi_lab.sim.feed.faults import stream_fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from kalshi_lab.sim.feed.socket import Socket

Answer = dict[str, Any]
_FASTEST = 100_000
_PAGE = 50_000


class Steering:
    """Steers the streams of one running exchange."""

    def __init__(self, socket: Socket) -> None:
        self.socket, self.feed = socket, socket.feed

    def listed(self) -> list[tuple[str, str, Callable[[Request], Awaitable[Answer]]]]:
        """Method, path and answer."""
        return [
            ("POST", "/sim/stream-faults", self._add_fault),
            ("DELETE", "/sim/stream-faults", self._clear_faults),
            ("POST", "/sim/stir", self._stir),
            ("POST", "/sim/tick", self._tick),
            ("POST", "/sim/publish", self._publish),
            ("GET", "/sim/stream-log", self._log),
            ("POST", "/sim/stream-log", self._start_log),
        ]

    async def _add_fault(self, request: Request) -> Answer:
        self.socket.spoil(stream_fault(await request.json()))
        return {}

    async def _clear_faults(self, _request: Request) -> Answer:
        self.socket.mend()
        return {}

    async def _stir(self, request: Request) -> Answer:
        wanted = await request.json()
        rate, tickers = float(wanted["messages_per_second"]), wanted.get("tickers")
        if not 0 <= rate <= _FASTEST:
            raise ValueError(f"messages_per_second is 0 to {_FASTEST:,}")
        rows = {ticker: self.feed.world.names.find_market(ticker) for ticker in tickers or ()}
        if strange := [ticker for ticker, row in rows.items() if row is None]:
            raise ValueError(f"unknown tickers: {', '.join(strange)}")
        self.feed.stirred = rate, None if tickers is None else [row for row in rows.values() if row is not None]
        return {}

    async def _tick(self, _request: Request) -> Answer:
        await self.feed.tick()
        return {}

    async def _publish(self, request: Request) -> Answer:
        wanted = await request.json()
        channel, kind, msg = (wanted[name] for name in ("channel", "kind", "msg"))
        if not isinstance(msg, dict):
            raise ValueError("msg is an object")  # noqa: TRY004 - one kind of refusal for all bad input
        self.feed.hub.publish(channel, kind, msg, market=wanted.get("market", ""), user=wanted.get("user", ""))
        return {}

    async def _log(self, request: Request) -> Answer:
        after = int(request.query_params.get("after", "0"))
        return {**self.feed.log.page(after, _PAGE), "open": len(self.feed.connections)}

    async def _start_log(self, request: Request) -> Answer:
        self.feed.log.start(keep=bool((await request.json())["keep"]))
        return {}
