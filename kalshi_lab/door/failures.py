"""From what went wrong to the error that says so: statuses, error bodies, and failures of the connection.

Errors are built here and raised elsewhere, so that neither their cause nor their traceback holds a request.
"""

from __future__ import annotations

import hashlib
import json
import re
import ssl
from typing import TYPE_CHECKING, Any

import httpx

from kalshi_lab.door.trip import Refusal
from kalshi_lab.errors import (
    AuthFailed,
    BadPayload,
    BadRequest,
    BrokenResponse,
    BudgetExceeded,
    ClockSkew,
    Conflict,
    Forbidden,
    LabError,
    NotFound,
    RateLimited,
    RequestError,
    TimedOut,
    Unavailable,
    UnexpectedRedirect,
)

if TYPE_CHECKING:
    from kalshi_lab.door.call import Call
    from kalshi_lab.door.trip import Trip

_BY_STATUS: dict[int, type[RequestError]] = {
    401: AuthFailed,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}
_BY_CLASS: dict[int, type[RequestError]] = {3: UnexpectedRedirect, 4: BadRequest, 5: Unavailable}
_CLOSING = {b"{": b"}", b"[": b"]"}
_EDGE = 256
LONGEST_TEXT = 300
_SHOWN = 200
_SECRET = re.compile(r"[A-Za-z0-9+/=_-]{20,}|[\w.+-]+@[\w-]+\.[\w.-]+")  # keys, signatures, ids, addresses
_CUT = re.compile(r"[A-Za-z0-9+/=_.@-]+$")


def from_status(trip: Trip, body: bytes) -> LabError:
    """The error for an answer that is no 2xx: the host's own word for it, else what the status means everywhere."""
    status = trip.status or 0
    code, text = said(body)
    message = f"{trip.host.name} answered {status}" + (f" ({code})" if code else "") + (f": {text}" if text else "")
    if {status, code} & trip.host.spent:
        return _spent(trip, message, code)
    kind = _BY_STATUS.get(status) or _BY_CLASS.get(status // 100, BrokenResponse)
    hint = f"It asks to be left alone for {trip.asked:g} s" if trip.asked else ""
    error = trip.error(kind, message, hint=hint, code=code)
    if isinstance(error, RateLimited):
        error.retry_after = trip.asked
    return error


def _spent(trip: Trip, message: str, code: str) -> BudgetExceeded:
    where = f"{message} [{trip.call.method} {trip.call.path}, request {trip.request_id}]"
    error = BudgetExceeded(where, hint=f"Add credits or raise the key's budget at {trip.host.name}")
    error.request_id, error.code = trip.request_id, code
    return error


def clock_skew(trip: Trip, ahead: float, *, again: bool) -> ClockSkew:
    """The error for a 401 to a signature whose time was `ahead` seconds from the exchange's, or (`again`) to one made in its time."""
    off = f"{abs(ahead):.0f} s {'behind' if ahead > 0 else 'ahead of'} {trip.host.name}'s"
    message = f"{trip.host.name} refused the signature: this machine's clock is {off}"
    if again:
        message = (
            f"{trip.host.name} refused the signature again, made in its own time, since this machine's clock is {off}"
        )
    error = trip.error(ClockSkew, message, hint="Set this machine's clock right, and check the key" if again else "")
    error.offset = ahead
    return error


def said(body: bytes) -> tuple[str, str]:
    """The code and the text of an error body in the exchange's three shapes or Exa's two; other text as it is, no pages."""
    raw = plain(body[:LONGEST_TEXT].decode("utf-8", "replace"))
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return "", "" if raw.startswith("<") else raw
    found = content.get("error") or content if isinstance(content, dict) else content
    tag = _word(content, "tag") if isinstance(content, dict) else ""
    if isinstance(found, dict):
        code, message, details = (_word(found, name) for name in ("code", "message", "details"))
        text = f"{message} ({details})" if message and details else message or details
        return code or tag, text if code or text else raw
    return tag, plain(found) if isinstance(found, str) else raw


def _word(found: dict[str, Any], name: str) -> str:
    value = found.get(name)
    return plain(value) if isinstance(value, str) else ""


def plain(text: str) -> str:
    """Text of the other side made fit for one line of a message: printable, and of a bounded length."""
    line = " ".join(text[: 2 * LONGEST_TEXT].split())
    return "".join(letter for letter in line if letter.isprintable())[:LONGEST_TEXT]


def seen(call: Call, body: bytes) -> tuple[str, str]:
    """What is said of a body that nobody understands, for an error's message, and the body's SHA-256.

    Its first 200 characters, with masks for what could be a secret, or part of one that is cut off there; nothing of it where a key was
    needed to ask.
    """
    digest = hashlib.sha256(body).hexdigest()
    if call.auth:
        return f"its SHA-256 is {digest}", digest
    text = plain(body[:_SHOWN].decode("utf-8", "backslashreplace"))
    begins = _SECRET.sub("***", _CUT.sub("***", text) if len(body) > _SHOWN else text)
    return f"it begins {begins!r} and its SHA-256 is {digest}", digest


def bad_payload(trip: Trip, why: str, body: bytes) -> BadPayload:
    """The error for a complete answer that is not what it should be."""
    told, digest = seen(trip.call, body)
    error = trip.error(BadPayload, f"{why}; {told}")
    error.sha256 = digest
    return error


def not_json(trip: Trip, content_type: str, body: bytes) -> RequestError | None:
    """The error for a 2xx answer whose type or two ends are not those of a JSON object or list; None where they are."""
    kind = content_type.partition(";")[0].strip().lower()
    first = body[:_EDGE].lstrip()[:1]
    if kind == "text/html" or first == b"<":
        return trip.error(Unavailable, f"{trip.host.name} answered with a web page, as in a maintenance")
    if (kind and not kind.endswith(("/json", "+json"))) or first not in _CLOSING:
        return bad_payload(trip, "the answer is no JSON", body)
    if body[-_EDGE:].rstrip()[-1:] != _CLOSING[first]:
        return trip.error(BrokenResponse, f"the answer stops in the middle, after {len(body)} bytes")
    return None


def from_problem(trip: Trip, problem: Exception) -> RequestError:
    """The error for a request that got no complete answer; the trip learns where nothing can have arrived."""
    if isinstance(problem, Refusal | httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        trip.arrived = trip.arrived and trip.status is not None
    if isinstance(problem, Refusal):
        return trip.error(problem.kind, problem.message)
    if isinstance(problem, httpx.TimeoutException):
        stage = type(problem).__name__.removesuffix("Timeout").lower()
        return trip.error(TimedOut, f"{trip.host.name} did not answer in time ({stage} timeout)")
    if isinstance(problem, httpx.ConnectError):
        return _unconnected(trip, problem)
    return trip.error(BrokenResponse, f"the answer was cut or garbled on its way ({type(problem).__name__})")


def _unconnected(trip: Trip, problem: httpx.ConnectError) -> RequestError:
    if _certificate(problem):
        message = (
            f"the other side could not prove to be {trip.host.name}: its certificate is not valid for this address"
        )
        return trip.error(UnexpectedRedirect, message)
    return trip.error(Unavailable, f"no connection to {trip.host.name} ({plain(str(problem))})")


def _certificate(problem: BaseException | None) -> bool:
    while problem is not None:
        if isinstance(problem, ssl.SSLCertVerificationError):
            return True
        problem = problem.__cause__ or problem.__context__
    return False
