"""An answer that comes bit by bit: the same door, one attempt, its lines as they arrive."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import aclosing
from typing import TYPE_CHECKING

import httpx

from kalshi_lab.door.body import read_body, read_error
from kalshi_lab.door.call import Reply
from kalshi_lab.door.failures import from_problem
from kalshi_lab.door.trip import Refusal
from kalshi_lab.door.verdict import judged
from kalshi_lab.errors import BadPayload, BrokenResponse, TimedOut, TooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from kalshi_lab.door.trip import Trip
    from kalshi_lab.settings import Settings

EVENTS = "text/event-stream"


async def lines(
    client: httpx.AsyncClient, request: httpx.Request, trip: Trip, *, settings: Settings, end: str
) -> AsyncGenerator[str, None]:
    """The lines of one answer; an answer that comes whole, as JSON, is one line.

    Raises what the door raises for an answer that is none, BrokenResponse where the stream stops before the line `end` (white space
    apart), TooLarge above the settings' `raw_cap` whatever the lines, TimedOut after the trip's deadline, also where bytes trickle on.
    """
    request.headers["Accept-Encoding"] = "identity"  # what is compressed arrives in lumps
    try:
        async with asyncio.timeout(trip.remaining):
            response = await client.send(request, stream=True)
        trip.status = response.status_code
        try:
            if response.is_success and response.headers.get("content-type", "").startswith(EVENTS):
                async with aclosing(_read(response, trip, cap=settings.raw_cap, end=end)) as found:
                    async for line in found:
                        yield line
            else:
                yield await _whole(response, trip, settings)
        finally:
            trip.received_bytes = response.num_bytes_downloaded
            await response.aclose()
    except asyncio.CancelledError as stopped:
        raise stopped.with_traceback(None) from None  # its frames hold the request
    except TimeoutError:
        raise trip.error(TimedOut, f"the answer went on after the deadline of {trip.deadline:g} s") from None
    except (Refusal, httpx.HTTPError, httpx.StreamError, OSError, ssl.SSLError) as problem:
        raise from_problem(trip, problem) from None


async def _read(response: httpx.Response, trip: Trip, *, cap: int, end: str) -> AsyncGenerator[str, None]:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise Refusal(BadPayload, "the stream is compressed, which was not asked for")
    held, size, last = bytearray(), 0, "".join(end.split())
    chunks = response.aiter_raw()
    while (chunk := await _next(chunks, trip)) is not None:
        size += len(chunk)
        if size > cap:
            raise Refusal(TooLarge, f"the answer is larger than {cap} bytes")
        held += chunk
        if b"\n" not in chunk:
            continue
        *whole, rest = bytes(held).split(b"\n")
        held = bytearray(rest)
        for line in whole:
            text = line.decode("utf-8", "replace").removesuffix("\r")
            if "".join(text.split()) == last:
                return
            yield text
    raise Refusal(BrokenResponse, "the answer stops before its end")


async def _next(chunks: AsyncIterator[bytes], trip: Trip) -> bytes | None:
    """What comes next, until the deadline; None at the end."""
    async with asyncio.timeout(trip.remaining):
        return await anext(chunks, None)


async def _whole(response: httpx.Response, trip: Trip, settings: Settings) -> str:
    """An answer that is no stream: its JSON, or the error that it is."""
    async with asyncio.timeout(trip.remaining):
        if response.is_success:
            body = await read_body(response, raw_cap=settings.raw_cap, body_cap=settings.body_cap)
        else:
            body = await read_error(response)
    outcome = judged(trip, response.headers, body, None)
    if not isinstance(outcome, Reply):
        raise outcome
    return outcome.body.decode("utf-8", "replace")
