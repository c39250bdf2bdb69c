"""One call on its way: what the retry policy, the errors and the events need to know of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from kalshi_lab import errors
from kalshi_lab.observe import new_request_id

if TYPE_CHECKING:
    import httpx

    from kalshi_lab.clock import Clock
    from kalshi_lab.door.call import Call
    from kalshi_lab.door.host import Host

E = TypeVar("E", bound=errors.RequestError)
_REFUSALS = {3, 4}  # hundreds of the statuses that say that nothing was done

HINTS: dict[type[errors.RequestError], str] = {
    errors.BadRequest: "Check the arguments",
    errors.AuthFailed: "Check the key id, the key and that both belong to this environment",
    errors.ClockSkew: "Set this machine's clock right",
    errors.Forbidden: "The key's scope or tier does not allow it",
    errors.NotFound: "Check the ticker or id, and that it belongs to this environment",
    errors.RateLimited: "Ask for less at once, or wait",
    errors.Unavailable: "Try again later",
    errors.TimedOut: "Try again, or allow more time with the settings deadline and read_timeout",
    errors.BrokenResponse: "Try again",
    errors.BadPayload: "Try again later; if it stays, {host} has changed its answers",
    errors.TooLarge: "Ask for less at once, or raise raw_cap and body_cap in the settings",
    errors.UnexpectedRedirect: "Check the address in the settings; requests go to {host}'s own only",
}


class Refusal(Exception):  # noqa: N818 - never leaves the door: it becomes the RequestError that it names
    """A reason not to go on with a request or its answer, found where the trip is not known."""

    def __init__(self, kind: type[errors.RequestError], message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


@dataclass(slots=True)
class Trip:
    """A call, its full address, its clock, deadline (seconds) and host, and what has happened to it so far."""

    call: Call
    url: httpx.URL
    clock: Clock
    deadline: float
    host: Host
    request_id: str = field(default_factory=new_request_id)
    admission: int | None = None  # None: sent whatever the circuit breaker says
    attempts: int = 0
    status: int | None = None
    received_bytes: int = 0
    asked: float | None = None  # seconds that the last answer asked to wait
    arrived: bool = False  # whether the last attempt may have reached the host
    unsure: bool = False  # whether an attempt may have been carried out although no answer said so
    offset: float = 0.0  # seconds by which the last signature's time differed from this machine's
    resign: bool = False  # whether the next attempt is the one that a corrected clock is worth
    resigned: bool = False
    started: float = field(init=False)
    queued_at: float = field(init=False)
    sent_at: float | None = None
    granted_at: float = 0.0

    def __post_init__(self) -> None:
        self.started = self.queued_at = self.clock.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the call was made."""
        return self.clock.monotonic() - self.started

    @property
    def repeatable(self) -> bool:
        """Whether the call may be sent again although an earlier attempt may have arrived."""
        return self.call.method == "GET" or self.call.repeat

    @property
    def remaining(self) -> float:
        """Seconds left until the deadline; negative after it."""
        return self.deadline - self.elapsed

    def queue(self) -> None:
        """Begin to wait for the turn of the next attempt; the last answer is forgotten."""
        self.status, self.received_bytes, self.asked, self.sent_at = None, 0, None, None
        self.arrived, self.resigned, self.resign = False, self.resigned or self.resign, False
        self.queued_at = self.clock.monotonic()

    def depart(self) -> None:
        """Count an attempt that is sent now."""
        self.attempts += 1
        self.arrived = True
        self.sent_at = self.clock.monotonic()

    def judge(self) -> None:
        """After a failed attempt: whether it may have been carried out. An answer that refuses it says no."""
        refused = self.status is not None and self.status // 100 in _REFUSALS
        self.unsure |= self.arrived and not refused

    def doubt(self, error: errors.LabError) -> None:
        """Say on the error of a write that it may have happened all the same, where that is so."""
        if self.unsure and self.call.method != "GET" and isinstance(error, errors.RequestError):
            error.may_have_happened = True
            error.hint = "It may have been carried out all the same: look before you send it again"

    def error(self, kind: type[E], message: str, *, hint: str = "", code: str = "") -> E:
        """An error of this kind that says which request it was."""
        return kind(
            message,
            hint=hint or HINTS.get(kind, "").format(host=self.host.name),
            request_id=self.request_id,
            method=self.call.method,
            path=self.call.path,
            status=self.status,
            attempts=self.attempts,
            elapsed=self.elapsed,
            code=code,
        )
