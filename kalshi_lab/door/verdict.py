"""What an answer means: a reply, or the error that it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kalshi_lab.door.call import Reply
from kalshi_lab.door.failures import clock_skew, from_status, not_json
from kalshi_lab.door.retry import asked_wait
from kalshi_lab.door.signing import LARGEST
from kalshi_lab.errors import AuthFailed, BrokenResponse, LabError, RequestError, TimedOut, Unavailable

if TYPE_CHECKING:
    import httpx

    from kalshi_lab.door.breaker import Outcome
    from kalshi_lab.door.signing import Signer
    from kalshi_lab.door.trip import Trip

OK = range(200, 300)
_IN_TROUBLE = range(500, 600)
_NO_CONTENT = 204
_UNAUTHORIZED = 401


def judged(trip: Trip, headers: httpx.Headers, body: bytes, signer: Signer | None) -> Reply | LabError:
    """The reply, or the error for an answer that is none; the trip learns what the answer asks for."""
    if trip.status in _IN_TROUBLE and _answers(body, trip.call.despite):
        return _reply(trip, body)
    if trip.status not in OK:
        trip.asked = asked_wait(headers.get("retry-after", ""), headers.get("date", ""), trip.clock.now())
        return _skewed(trip, headers, signer) or from_status(trip, body)
    nothing_to_say = trip.status == _NO_CONTENT or (trip.call.method != "GET" and trip.host.quiet_writes)
    if body or not nothing_to_say:
        error = not_json(trip, headers.get("content-type", ""), body)
        if error is not None:
            return error
    return _reply(trip, body)


def _answers(body: bytes, key: str) -> bool:
    """Whether an answer with the status of a failure is the one asked for all the same: a JSON object with this key."""
    try:
        found = json.loads(body) if key else None
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and key in found


def _skewed(trip: Trip, headers: httpx.Headers, signer: Signer | None) -> RequestError | None:
    """The error for a 401 that is this machine's clock's fault; the trip learns whether another try is worth it."""
    if trip.status != _UNAUTHORIZED or signer is None or not trip.call.auth:
        return None
    took = trip.clock.monotonic() - (trip.sent_at or trip.queued_at)
    ahead = signer.correct(headers.get("date", ""), used=trip.offset, took=took)
    if trip.resigned:
        return clock_skew(trip, signer.offset if ahead is None else ahead, again=True)
    trip.resign = ahead is not None and abs(ahead) <= LARGEST
    return None if ahead is None else clock_skew(trip, ahead, again=False)


def _reply(trip: Trip, body: bytes) -> Reply:
    return Reply(
        call=trip.call,
        status=trip.status or 0,
        body=body,
        request_id=trip.request_id,
        attempts=trip.attempts,
        elapsed=trip.elapsed,
        received_bytes=trip.received_bytes,
        at=trip.clock.now(),
    )


def keyless(trip: Trip) -> AuthFailed:
    """The error for a call that needs a key, on a client without one."""
    message = f"{trip.call.operation} needs a key, and this client has none"
    return trip.error(AuthFailed, message, hint=trip.host.key_hint)


def outcome_of(error: LabError) -> Outcome:
    """What a failed call says of the host: an answer of any kind shows that it lives."""
    if isinstance(error, Unavailable | TimedOut | BrokenResponse):
        return "failed" if error.attempts else "unknown"
    return "unknown" if isinstance(error, RequestError) and error.status is None else "alive"
