"""Answers as they come: bits of text first, then the sources, and what it cost in the last bit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from kalshi_lab.errors import BrokenResponse, LabError
from kalshi_lab.exa.records import Grounding, Notice, Page, Source, cost_of, grounding_of, notices, sources

if TYPE_CHECKING:
    from decimal import Decimal

    from kalshi_lab.exa.payments import Asked, Payments
    from kalshi_lab.portal import Facade

END: Final = "data: [DONE]"
_DATA: Final = "data:"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A bit of an answer: some text, or the sources, or the end with what it cost (dollars, None where nobody says so).

    `reset` says that the text so far is to be thrown away; `output` is the whole output, by its schema where one was given. `warnings`
    are what Exa says of the request; the last bit has its `request_id`.
    """

    text: str = ""
    citations: tuple[Source, ...] = ()
    results: tuple[Page, ...] = ()
    grounding: tuple[Grounding, ...] = ()
    output: Any = None
    cost: Decimal | None = None
    is_last: bool = False
    reset: bool = False
    warnings: tuple[Notice, ...] = ()
    request_id: str = ""


async def stream(payments: Payments, asked: Asked) -> AsyncIterator[Chunk]:
    """The bits of one answer, paid for once: nothing is tried again, and a stream that is cut counts as its worst case."""
    reservation = await payments.reserve(asked)
    cost, request_id, ended = None, "", False
    try:
        async with aclosing(payments.door.lines(asked.call, end=END)) as found:
            async for line in found:
                sent = _decoded(line)
                if sent is None:
                    continue
                _complain(sent)
                told = cost_of(sent)
                cost, request_id = cost if told is None else told, str(sent.get("requestId") or request_id)
                yield _chunk(sent)
        ended = True
    except LabError as error:
        await payments.failed(reservation, error, again=True)
        reservation = ""
        raise
    finally:
        if reservation:
            await payments.settle(reservation, cost if ended else None, request_id)
    yield Chunk(cost=cost, is_last=True, request_id=request_id)


def _decoded(line: str) -> dict[str, Any] | None:
    """What a line says; None for one that says nothing: blank, a comment, no JSON."""
    text = line.removeprefix(_DATA).strip()
    try:
        found = msgspec.json.decode(text) if text else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _complain(sent: dict[str, Any]) -> None:
    """Raise where a stream says that it failed, also after some text."""
    payload = sent.get("payload") if sent.get("tag") == "ERROR" else sent if sent.get("type") == "error" else None
    if isinstance(payload, dict):
        found = payload.get("error")
        said = found.get("message") if isinstance(found, dict) else found
        error = BrokenResponse(
            f"Exa's stream failed: {str(said)[:200]}", request_id=str(payload.get("requestId") or "")
        )
        error.may_have_happened = True
        raise error


def _chunk(sent: dict[str, Any]) -> Chunk:
    """One bit, whichever of the two kinds of stream it is from, or a whole answer that came at once."""
    output = sent.get("output") if "output" in sent else sent.get("answer")
    return Chunk(
        text=_text(sent),
        citations=tuple(sources(Source, sent.get("citations"))[0]),
        results=tuple(sources(Page, sent.get("results"))[0]),
        grounding=grounding_of(sent if "grounding" in sent else output),
        output=output.get("content") if isinstance(output, dict) and "content" in output else output,
        cost=cost_of(sent),
        reset=sent.get("streamReset") is True,
        warnings=notices(sent.get("warnings")),
    )


def _text(sent: dict[str, Any]) -> str:
    if isinstance(sent.get("delta"), str):
        return str(sent["delta"])
    choices = sent.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    delta = first.get("delta") if isinstance(first, dict) else None
    content = delta.get("content") if isinstance(delta, dict) else None
    return content if isinstance(content, str) else ""


class Bits(Iterator[Chunk]):
    """The blocking face of a stream: it is read to its end in the background, from the first bit that is asked for on."""

    def __init__(self, facade: Facade, bits: AsyncIterator[Chunk]) -> None:
        self._facade, self._bits = facade, bits
        self._heard: asyncio.Queue[Chunk | BaseException | None] | None = None
        self._reading: asyncio.Task[None] | None = None

    def __next__(self) -> Chunk:
        found = self._facade._call(self._next())  # noqa: SLF001 - its own
        if found is None:
            raise StopIteration
        return found

    async def _next(self) -> Chunk | None:
        if self._heard is None:
            self._heard = asyncio.Queue()  # as long as one answer, which the door bounds
            self._reading = asyncio.create_task(self._read(self._heard))
        elif self._reading is not None and self._reading.done() and self._heard.empty():
            return None
        found = await self._heard.get()
        if isinstance(found, BaseException):
            raise found
        return found

    async def _read(self, heard: asyncio.Queue[Chunk | BaseException | None]) -> None:
        end: BaseException | None = BrokenResponse("the reading of the stream was stopped")
        try:
            async for bit in self._bits:
                heard.put_nowait(bit)
            end = None
        except Exception as error:  # noqa: BLE001 - whatever it was, somebody waits for the end
            end = error
        finally:
            heard.put_nowait(end)
