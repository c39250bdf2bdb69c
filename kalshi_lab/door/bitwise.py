"""An answer that comes bit by bit: the same door, one attempt, its lines as they arrive."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import httpx

from kalshi_lab.door.call import Reply
from kalshi_lab.door.failures import from_problem
from kalshi_lab.door.trip import Refusal
from kalshi_lab.door.verdict import judged
from kalshi_lab.errors import BrokenResponse, LabError, TimedOut, TooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kalshi_lab.door.trip import Trip

EVENTS = "text/event-stream"


async def lines(
    client: httpx.AsyncClient, request: httpx.Request, trip: Trip, *, cap: int, end: str
) -> AsyncIterator[str]:
    """The lines of one answer; an answer that comes whole, as JSON, is one line.

    Raises what the door raises for an answer that is none, BrokenResponse where the stream stops before the line `end`, TooLarge above
    `cap` bytes, TimedOut after the trip's deadline.
    """
    try:
        response = await client.send(request, stream=True)
        trip.status = response.status_code
        try:
            async for line in _read(response, trip, cap=cap, end=end):
                yield line
        finally:
            trip.received_bytes = response.num_bytes_downloaded
            await response.aclose()
    except asyncio.CancelledError as stopped:
        raise stopped.with_traceback(None) from None  # its frames hold the request
    except (Refusal, httpx.HTTPError, httpx.StreamError, OSError, ssl.SSLError) as problem:
        raise from_problem(trip, problem) from None


async def _read(response: httpx.Response, trip: Trip, *, cap: int, end: str) -> AsyncIterator[str]:
    if not response.is_success or not response.headers.get("content-type", "").startswith(EVENTS):
        yield await _whole(response, trip, cap)
        return
    size, line = 0, ""
    async for line in response.aiter_lines():
        size += len(line)
        if size > cap:
            raise trip.error(TooLarge, f"the answer is larger than {cap} bytes")
        if trip.remaining < 0:
            raise trip.error(TimedOut, f"the answer went on after the deadline of {trip.deadline:g} s")
        if line == end:
            return
        yield line
    raise trip.error(BrokenResponse, "the answer stops before its end")


async def _whole(response: httpx.Response, trip: Trip, cap: int) -> str:
    """An answer that is no stream: its JSON, or the error that it is."""
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > cap:
            raise trip.error(TooLarge, f"the answer is larger than {cap} bytes")
    outcome: Reply | LabError = judged(trip, response.headers, body, None)
    if not isinstance(outcome, Reply):
        raise outcome
    return outcome.body.decode("utf-8", "replace")
