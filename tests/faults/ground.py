"""What the fault table stands on: a row, two hosts, two faces, and one call sent through them to its end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from kalshi_lab.door import Call, Door, Host, Reply
from kalshi_lab.door.host import exa
from kalshi_lab.door.signing import KeyHeader
from kalshi_lab.errors import LabError
from kalshi_lab.portal import PORTAL
from tests.door.raw_server import PREFIX, Answer, free_port, reply
from tests.door.sending import busy_connections, settings_for
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from kalshi_lab.clock import Clock
    from kalshi_lab.settings import Settings

Face = Literal["awaited", "blocking"]
Kind = Literal["exchange", "exa"]
FACES: tuple[Face, ...] = ("awaited", "blocking")
KINDS: tuple[Kind, ...] = ("exchange", "exa")
WAYS: tuple[tuple[Face, Kind], ...] = (("awaited", "exchange"), ("blocking", "exchange"), ("awaited", "exa"))
NOW = "Sun, 22 Nov 2026 14:00:00 GMT"
KEY = "canary-exa-key-8d1f00b2"
GOOD = b'{"markets": [], "results": []}'
OK = reply(GOOD)
CALLS: dict[Kind, Call] = {
    "exchange": Call("get_markets", "/markets"),
    "exa": Call("search", "/search", method="POST", cost=1.0, body=b'{"query": "x"}', auth=True, repeat=True),
}


def through(face: Face, work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine as an async program does, or as the blocking classes do."""
    return asyncio.run(work) if face == "awaited" else PORTAL.call(work)


def exa_at(address: str, settings: Settings, **changes: Any) -> Host:
    """A stand-in for Exa on this machine, with a budget that never makes anybody wait unless a test wants that."""
    return replace(exa(settings, address.removesuffix(PREFIX)), **{"read": (1e6, 1e6), **changes})


def door_to(
    kind: Kind, address: str, clock: Clock | None = None, *, host: dict[str, Any] | None = None, **options: Any
) -> Door:
    """A door to the exchange or to Exa at a loopback address."""
    settings = settings_for(address, **options)
    if kind == "exchange":
        return Door(settings, clock=clock or FakeClock())
    there = exa_at(address, settings, **(host or {}))
    return Door(settings, clock=clock or FakeClock(), host=there, key=KeyHeader("x-api-key", KEY))


@dataclass(frozen=True)
class Row:
    """One row of the fault table: what the other side does, and what must come of it."""

    number: str
    what: str
    answers: tuple[Answer, ...]
    outcome: str  # the name of an error, or Reply
    attempts: int = 1
    slept: tuple[float, ...] = ()
    slow: bool = False  # whether each failure is a timeout, which costs the quota twice as much
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.number} {self.what}"

    @property
    def quota(self) -> int:
        """Retry tokens that must be left."""
        left = 100 - (10 if self.slow else 5) * (self.attempts - 1)
        return min(100, left + (self.outcome == "Reply"))


class Ended:
    """How one call ended: reply or error, the waits, and what the door still held afterwards."""

    def __init__(
        self, kind: Kind, face: Face, address: str, clock: FakeClock, call: Call | None = None, **options: Any
    ) -> None:
        self.clock = clock
        self.reply: Reply | None = None
        self.error: LabError | None = None
        through(face, self._send(kind, address, call or CALLS[kind], options))

    async def _send(self, kind: Kind, address: str, call: Call, options: dict[str, Any]) -> None:
        door = door_to(kind, address, self.clock, **options)
        try:
            self.reply = await door.send(call)
        except LabError as error:
            self.error = error
        self.state, self.busy = door.state, busy_connections(door)
        await door.aclose()

    @property
    def outcome(self) -> str:
        return "Reply" if self.error is None else type(self.error).__name__

    @property
    def waits(self) -> list[float]:
        """Seconds slept, leaving out the milliseconds that a token costs."""
        return [wait for wait in self.clock.slept if wait >= 0.05]


def nobody() -> str:
    """An address where nobody listens."""
    return f"http://127.0.0.1:{free_port()}{PREFIX}"


def status(code: int, **headers: str) -> bytes:
    """An answer that refuses."""
    return reply({"error": {"code": "x", "message": "y"}}, code, **headers)


def asked(value: str) -> bytes:
    """A 429 that asks to wait."""
    return status(429, Retry_After=value, Date=NOW)
