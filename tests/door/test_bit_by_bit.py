"""Answers that come bit by bit pass the same door: bounded in bytes and time, whole or refused."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING, Any

import pytest

from kalshi_lab.clock import SystemClock
from kalshi_lab.door import Call, Door
from kalshi_lab.errors import BadPayload, BrokenResponse, LabError, RateLimited, TimedOut, TooLarge, UnexpectedRedirect
from tests.door.raw_server import CLOSE, Answer, RawServer, drip, reply
from tests.door.sending import busy_connections, settings_for

if TYPE_CHECKING:
    from collections.abc import Sequence

CALL = Call("exa answer", "/answer", method="POST", body=b"{}")
END = "data: [DONE]"
EVENTS = "text/event-stream"
HEAD = reply(b"", kind=EVENTS, length=None, Connection="close")


class Heard:
    """What came of one stream: its lines, its error, and whether a connection is left over."""

    def __init__(self, *answers: Answer, most: int | None = None, **changes: Any) -> None:
        self.lines: list[str] = []
        self.error: LabError | None = None
        with RawServer(*answers) as server:
            asyncio.run(self._hear(settings_for(server, **changes), most))
            self.requests = server.requests

    async def _hear(self, settings: Any, most: int | None) -> None:
        door = Door(settings, clock=SystemClock())
        found = door.lines(CALL, end=END)
        try:
            async for line in found:
                self.lines.append(line)
                if len(self.lines) == most:
                    break
        except LabError as error:
            self.error = error
        await found.aclose()
        self.busy = busy_connections(door)
        self.state = door.state
        await door.aclose()


def stream(*lines: str) -> Sequence[Any]:
    return [HEAD, "\n".join([*lines, ""]).encode(), CLOSE]


@pytest.mark.parametrize("end", ["data: [DONE]", "data:[DONE]", "data: [DONE] \r"])
def test_lines_come_as_they_are_up_to_the_end(end: str) -> None:
    """EXA-5: the end mark is known whatever white space it has; what follows it is nobody's."""
    heard = Heard(stream("data: 1", "", "data: \u00fc\r", end, "data: 2"))
    assert heard.error is None
    assert heard.lines == ["data: 1", "", "data: \u00fc"]
    assert b"accept-encoding: identity" in heard.requests[0].lower()


def test_letters_that_are_cut_between_two_packets_are_whole() -> None:
    text = "data: \u00fc\u20ac\n".encode()
    heard = Heard([HEAD, *drip(text, 0.0), f"{END}\n".encode(), CLOSE])
    assert heard.lines == ["data: \u00fc\u20ac"]


def test_a_stream_without_line_ends_is_bounded() -> None:
    """The cap counts bytes, not lines: nothing is gathered without end."""
    heard = Heard([HEAD, *[b"x" * 1000] * 50, CLOSE], raw_cap=10_000)
    assert isinstance(heard.error, TooLarge)
    assert heard.lines == []
    assert heard.busy == 0


@pytest.mark.parametrize("data", [b"x" * 400, b"x\n" * 200], ids=["one line", "many lines"])
def test_a_drip_is_cut_at_the_deadline(data: bytes) -> None:
    """F8: bytes that trickle on, each within the read timeout, hold a stream no longer than its deadline."""
    heard = Heard([HEAD, *drip(data, 0.02)], deadline=0.5)
    assert isinstance(heard.error, TimedOut)
    assert heard.error.elapsed < 5
    assert heard.error.may_have_happened
    assert heard.busy == 0


def test_silence_before_the_head_is_cut_at_the_deadline() -> None:
    heard = Heard(drip(HEAD, 0.05), deadline=0.4)
    assert isinstance(heard.error, TimedOut)


def test_what_is_compressed_is_bounded_too() -> None:
    """A bomb is refused: as a stream since compression was not asked for, as a whole answer since it is too large."""
    bomb = gzip.compress(b"x" * 5_000_000)
    heard = Heard(reply(bomb, kind=EVENTS, Content_Encoding="gzip"))
    assert isinstance(heard.error, BadPayload)
    heard = Heard(reply(bomb, Content_Encoding="gzip"), body_cap=100_000)
    assert isinstance(heard.error, TooLarge)


def test_a_stream_that_stops_is_broken_after_what_came() -> None:
    heard = Heard(stream("data: 1"))
    assert heard.lines == ["data: 1"]
    assert isinstance(heard.error, BrokenResponse)
    assert heard.error.may_have_happened


def test_an_answer_that_comes_whole_is_one_line_and_a_refusal_is_an_error() -> None:
    heard = Heard(reply({"answer": "yes"}))
    assert heard.lines == ['{"answer": "yes"}']
    heard = Heard(reply({"error": "slow down"}, 429))
    assert isinstance(heard.error, RateLimited)
    assert not heard.error.may_have_happened
    heard = Heard(reply(b"", 302, Location="http://elsewhere.example/"))
    assert isinstance(heard.error, UnexpectedRedirect)
    assert len(heard.requests) == 1


def test_who_stops_listening_leaves_nothing_open() -> None:
    heard = Heard([HEAD, b"data: 1\ndata: 2\n", *drip(b"data: 3\n" * 100, 0.05)], most=1)
    assert heard.lines == ["data: 1"]
    assert heard.error is None
    assert heard.busy == 0
