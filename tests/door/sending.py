"""What door tests share: settings for a loopback server, one call sent to its end, and what a failure must not hold."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from kalshi_lab.door import Call, Door, Reply
from kalshi_lab.errors import LabError
from kalshi_lab.observe import Observer
from kalshi_lab.settings import Settings
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from kalshi_lab.clock import Clock
    from kalshi_lab.credentials import Credentials
    from tests.door.raw_server import RawServer

CALL = Call("get_markets", "/markets")


def settings_for(server: RawServer | str, **changes: Any) -> Settings:
    url = server if isinstance(server, str) else server.url
    given: dict[str, Any] = {"environment": "sim", "base_url": url, "allow_unsafe_host": True, **changes}
    return Settings(**given)


class Sent:
    """One call's end: its reply or its error, the waits, the events, and the connections still open in the pool."""

    def __init__(
        self,
        server: RawServer | str,
        call: Call = CALL,
        *,
        clock: Clock | None = None,
        credentials: Credentials | None = None,
        **changes: Any,
    ) -> None:
        self.credentials = credentials
        self.clock = clock or FakeClock()
        self.observer = Observer()
        self.reply: Reply | None = None
        self.error: LabError | None = None
        asyncio.run(self._send(settings_for(server, **changes), call))

    async def _send(self, settings: Settings, call: Call) -> None:
        door = Door(settings, clock=self.clock, observer=self.observer, credentials=self.credentials)
        try:
            self.reply = await door.send(call)
        except LabError as error:
            self.error = error
        self.state = door.state
        self.busy = busy_connections(door)
        await door.aclose()

    @property
    def waits(self) -> list[float]:
        """Seconds slept, leaving out the milliseconds that a token costs."""
        assert isinstance(self.clock, FakeClock)
        return [wait for wait in self.clock.slept if wait >= 0.05]

    @property
    def attempts(self) -> list[tuple[int, int | None, str]]:
        return [(row["attempt"], row["status"], row["error"]) for row in self.observer.recent()]


def busy_connections(door: Door) -> int:
    """Connections of the door that a request still holds, or that httpcore has lost track of."""
    busy = 0
    for lanes in door._opened.values():
        busy += lanes._settings.max_connections - lanes._places._value
        pools = [client._transport.inner._pool for client in lanes._free]  # type: ignore[attr-defined]
        busy += sum(not one.is_idle() and not one.is_closed() for pool in pools for one in pool.connections)
    return busy
