"""The one way for calls that cost money: what was paid for before, else reserved, sent once, and settled from the answer.

A retry is a call of its own, with a reservation of its own, since Exa may charge for a call whose answer never arrived. What is created
is never sent again after a failure that leaves it open whether it was.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from kalshi_lab.door import Call, segment
from kalshi_lab.errors import (
    BadPayload,
    BrokenResponse,
    BudgetExceeded,
    LabError,
    RequestError,
    TimedOut,
    Unavailable,
)
from kalshi_lab.exa.cache import key as hashed
from kalshi_lab.exa.records import cost_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kalshi_lab.clock import Clock
    from kalshi_lab.door import Door, Reply
    from kalshi_lab.exa.cache import Cache
    from kalshi_lab.exa.meter import Meter
    from kalshi_lab.settings import Settings

log = logging.getLogger(__name__)
# tokens of a bucket of ten a second: what leaves each endpoint the rate that Exa gives it (its page on rate limits, November 2026)
COSTS: Final = {"search": 1.0, "deep search": 2.0, "answer": 1.0, "contents": 0.1, "run": 2.0}
_MICRO: Final = Decimal("0.000001")
_FAR: Final = Decimal("1.2")
_FREE: Final = frozenset({400, 401, 402, 403, 404, 409, 410, 429})  # answers that nothing is charged for
_DECODER: Final = msgspec.json.Decoder()

__all__ = ["Asked", "Paid", "Payments", "decoded", "segment"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that costs money: its name, where it goes, what it says, its price at worst, and how long its answer is good (seconds)."""

    operation: str
    path: str
    body: Mapping[str, Any]
    dollars: Decimal
    seconds: float | None = 0.0
    tokens: float = 1.0
    again: bool = True

    @property
    def key(self) -> str:
        """The hash of the request."""
        return hashed("POST", self.path, self.body)

    @property
    def call(self) -> Call:
        """The request on its way."""
        body = msgspec.json.encode(self.body)
        return Call(f"exa {self.operation}", self.path, method="POST", cost=self.tokens, body=body, auth=True)


@dataclass(frozen=True, slots=True)
class Paid:
    """The answer to a paid request, decoded; `reservation` is what it was paid by, empty where it was paid for before."""

    sent: dict[str, Any]
    cached: bool
    request_id: str
    reservation: str = ""


@dataclass(slots=True)
class Credit:
    """Whether Exa said that the money is used up; shared by all who use one key."""

    gone: str = ""


@dataclass(frozen=True, slots=True)
class Payments:
    """How paid calls are made: through which door, by which meter, with which memory of what was paid for."""

    door: Door
    settings: Settings
    clock: Clock
    meter: Meter
    cache: Cache | None = None
    credit: Credit = field(default_factory=Credit)

    async def ask(self, asked: Asked, *, settled: bool = True) -> Paid:
        """The answer to a request, from what was paid for where that is still good.

        `settled` False leaves the money set aside: the call began something whose cost is told at its end. Raises BudgetExceeded with
        nothing sent where it may cost more than what is left, and as the door does.
        """
        lasting = asked.seconds is None or asked.seconds > 0
        if self.cache is not None and lasting and (kept := mapping(await self.cache.found(asked.key))) is not None:
            return Paid(kept, cached=True, request_id="")
        paid, body = await self._insist(asked, settled=settled)
        if self.cache is not None and lasting:
            await self.cache.keep(
                asked.key,
                asked.operation,
                body,
                seconds=asked.seconds,
                cost=cost_of(paid.sent),
                request_id=paid.request_id,
            )
        return paid

    async def _insist(self, asked: Asked, *, settled: bool) -> tuple[Paid, bytes]:
        """The answer after as many calls as it takes, each paid for."""
        from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt

        most = stop_after_attempt(self.settings.attempts if asked.again else 1)
        loop = AsyncRetrying(
            sleep=self.clock.sleep, retry=retry_if_exception(_passing), wait=self._wait, stop=most, reraise=True
        )
        made: tuple[Paid, bytes] = await loop(self._once, asked, settled)
        return made

    def _wait(self, state: Any) -> float:
        """Full jitter, as the door waits."""
        longest: float = min(self.settings.backoff_cap, self.settings.backoff_base * 2.0**state.attempt_number)
        return self.clock.random() * longest

    async def _once(self, asked: Asked, settled: bool) -> tuple[Paid, bytes]:
        reservation = await self.reserve(asked)
        try:
            reply = await self.door.send(asked.call)
            sent = decoded(reply)
        except LabError as error:
            await self.failed(reservation, error, again=asked.again)
            raise
        if settled:
            await self.settle(reservation, cost_of(sent), said_id(sent, reply), expected=asked.dollars)
        return Paid(sent, cached=False, request_id=said_id(sent, reply), reservation=reservation), reply.body

    async def reserve(self, asked: Asked) -> str:
        """Set aside what a call may cost; BudgetExceeded where that is too much, and at once where Exa said that the money is used up."""
        if self.credit.gone:
            said = f"nothing was sent, since Exa said: {self.credit.gone}"
            error = BudgetExceeded(said, hint="exa.credited() once there is credit again")
            error.cost = asked.dollars
            raise error
        return await self.meter.reserve(asked.operation, asked.dollars)

    async def settle(
        self, reservation: str, cost: Decimal | None, request_id: str = "", *, expected: Decimal | None = None
    ) -> None:
        """Enter what was paid, rounded up to a millionth of a dollar; a log line where it is far above the estimate."""
        exact = None if cost is None else cost.quantize(_MICRO, ROUND_CEILING)
        if exact is not None and expected is not None and exact > expected * _FAR:
            log.warning("Exa charged %s dollars, where %s at most were expected: see prices=", exact, expected)
        await self.meter.settle(reservation, exact, request_id)

    async def failed(self, reservation: str, error: LabError, *, again: bool) -> None:
        """Give back what was set aside where the call surely cost nothing; else it counts as its worst case."""
        if isinstance(error, BudgetExceeded):
            self.credit.gone = error.message
        doubtful = isinstance(error, RequestError) and error.status not in _FREE and error.status is not None
        happened = getattr(error, "may_have_happened", False) or isinstance(error, BadPayload)
        if doubtful or happened:
            if again and happened:
                error.hint = "It may have been charged for, and counts as if it had been; try again later"
            await self.meter.settle(reservation, None, getattr(error, "request_id", ""))
        else:
            await self.meter.release(reservation)


def _passing(error: BaseException) -> bool:
    """Whether a call that may have been charged for is worth another one: the door has tried all that cost nothing."""
    if isinstance(error, RequestError) and not error.may_have_happened:
        return False
    return isinstance(error, Unavailable | TimedOut | BrokenResponse)


def decoded(reply: Reply) -> dict[str, Any]:
    """The answer as a mapping. Raises BadPayload for anything else."""
    found = mapping(reply.body)
    if found is None:
        raise BadPayload(
            "Exa's answer is no JSON object", request_id=reply.request_id, method=reply.call.method, path=reply.call.path,
            status=reply.status, attempts=reply.attempts, elapsed=reply.elapsed,
        )  # fmt: skip
    return found


def mapping(body: bytes | None) -> dict[str, Any] | None:
    """A JSON object; None for anything else."""
    try:
        found = _DECODER.decode(body) if body else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def said_id(sent: Mapping[str, Any], reply: Reply) -> str:
    """Exa's own id of a request, else ours."""
    return str(sent.get("requestId") or reply.request_id)
