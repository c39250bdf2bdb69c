"""Answers that are cut, garbled, oversized or something else than JSON, sent as bytes over a real socket."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kalshi_lab.errors import BadPayload, BrokenResponse, RequestError, TooLarge, Unavailable
from tests.door.raw_server import CLOSE, RESET, Answer, RawServer, reply
from tests.door.sending import Sent

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD = b'{"markets": [' + b",".join(b'{"ticker": "KX-%d"}' % n for n in range(2000)) + b"]}"
ZIPPED = gzip.compress(GOOD)
MIB = 1024 * 1024

CUT: dict[str, Answer] = {
    "reset in the body": [reply(GOOD)[:5000], RESET],
    "reset before the status": [RESET],
    "content-length too long": [reply(GOOD[:-100], length=len(GOOD)), CLOSE],
    "bad chunk": [
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
        CLOSE,
    ],
    "chunks without an end": [
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        CLOSE,
    ],
    "empty reply": [CLOSE],
    "garbage status line": [b"200 is what I say\r\n\r\n", CLOSE],
    "cut where no length was said": [reply(GOOD[:5000], length=None), CLOSE],
    "cut, yet of the length said": reply(GOOD[:5000]),
    "cut gzip of the length said": reply(ZIPPED[: len(ZIPPED) // 2], Content_Encoding="gzip"),
    "gzip without its trailer": reply(ZIPPED[:-8], Content_Encoding="gzip"),
    "gzip with a wrong checksum": reply(ZIPPED[:-8] + b"\0" * 8, Content_Encoding="gzip"),
    "gzip with a flipped byte": reply(
        ZIPPED[:200] + bytes([ZIPPED[200] ^ 255]) + ZIPPED[201:], Content_Encoding="gzip"
    ),
    "gzip that is none": reply(GOOD, Content_Encoding="gzip"),
    "gzip that goes on": reply(ZIPPED + b"more", Content_Encoding="gzip"),
}


@pytest.mark.parametrize("answer", CUT.values(), ids=CUT)
def test_broken_answers_are_tried_again_and_never_returned(answer: Answer) -> None:
    """F9, F10: what was cut or garbled on its way is tried again, and is BrokenResponse when it stays so; no part of it comes back."""
    with RawServer(answer) as server:
        sent = Sent(server)
    assert isinstance(sent.error, BrokenResponse)
    assert (sent.error.attempts, len(server.requests), sent.busy) == (4, 4, 0)
    assert [error for _, _, error in sent.attempts] == ["BrokenResponse"] * 4
    with RawServer(answer, reply(GOOD)) as server:
        healed = Sent(server)
    assert healed.reply is not None
    assert healed.reply.body == GOOD


NO_JSON: dict[str, bytes] = {
    "plain text": reply(b"fine", kind="text/plain"),
    "JSON called text": reply(GOOD, kind="text/plain"),
    "a number": reply(b"17"),
    "null": reply(b"null"),
    "nothing": reply(b""),
    "UTF-16": reply('{"a": 1}'.encode("utf-16")),
    "byte order mark": reply(b"\xef\xbb\xbf{}"),
    "a compression not asked for": reply(zlib.compress(GOOD), Content_Encoding="deflate"),
}


@pytest.mark.parametrize("answer", NO_JSON.values(), ids=NO_JSON)
def test_what_is_no_json_is_tried_once_more(answer: bytes) -> None:
    """F10: a complete answer that is no JSON object or list is BadPayload after a second look."""
    with RawServer(answer) as server:
        sent = Sent(server)
    assert isinstance(sent.error, BadPayload)
    assert (sent.error.status, len(server.requests)) == (200, 2)


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/json", ""])
def test_maintenance_pages_count_as_unavailable(kind: str) -> None:
    """A web page with status 200 is an exchange in maintenance, whatever type it claims, and is tried again."""
    with RawServer(reply(b" \n<!doctype html><h1>Back soon</h1>", kind=kind)) as server:
        sent = Sent(server)
    assert isinstance(sent.error, Unavailable)
    assert len(server.requests) == 4


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"
GOOD_WAYS: dict[str, tuple[Answer, bytes]] = {
    "gzip": (reply(ZIPPED, Content_Encoding="gzip"), GOOD),
    "gzip, shouted": (reply(ZIPPED, Content_Encoding="GZIP"), GOOD),
    "chunked": (CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(GOOD), GOOD), GOOD),
    "until the end of the connection": ([reply(GOOD, length=None), CLOSE], GOOD),
    "with space around it": (reply(b"\n {} \r\n"), b"\n {} \r\n"),
    "a list": (reply(b"[]", kind="application/problem+json"), b"[]"),
    "without a type": (reply(GOOD, kind=""), GOOD),
    "created": (reply(b"{}", 201), b"{}"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
}


@pytest.mark.parametrize(("answer", "body"), GOOD_WAYS.values(), ids=GOOD_WAYS)
def test_every_proper_way_to_send_json_is_understood(answer: Answer, body: bytes) -> None:
    """A complete answer comes back byte for byte, however it was framed or compressed."""
    with RawServer(answer) as server:
        sent = Sent(server)
    assert sent.error is None
    assert sent.reply is not None
    assert sent.reply.body == body
    assert sent.reply.at == sent.clock.now()


def test_received_bytes_are_those_on_the_wire() -> None:
    """A compressed answer counts with its compressed size."""
    with RawServer(reply(ZIPPED, Content_Encoding="gzip")) as server:
        sent = Sent(server)
    assert sent.reply is not None
    assert sent.reply.received_bytes == len(ZIPPED) < len(GOOD)


BOMB = gzip.compress(b'{"a":"' + b"A" * (8 * MIB) + b'"}')
LARGE: dict[str, Answer] = {
    "said to be large": reply(b"{", length=3 * MIB),
    "large without saying so": [reply(b'{"a":"' + b"A" * (3 * MIB), length=None), CLOSE],
    "a zip bomb": reply(BOMB, Content_Encoding="gzip"),
}


@pytest.mark.parametrize("answer", LARGE.values(), ids=LARGE)
def test_oversized_answers_are_refused(answer: Answer) -> None:
    """An answer above the caps is TooLarge after one attempt, before it was read to its end."""
    with RawServer(answer) as server:
        sent = Sent(server, raw_cap=MIB, body_cap=2 * MIB)
    assert isinstance(sent.error, TooLarge)
    assert (len(server.requests), sent.busy) == (1, 0)
    assert "bytes" in sent.error.message


def test_caps_admit_what_just_fits() -> None:
    """An answer of exactly the cap passes; one byte more does not."""
    body = b'"'.join([b"{", b"a" * 1000, b":0}"])
    with RawServer(reply(body), reply(gzip.compress(body), Content_Encoding="gzip")) as server:
        assert Sent(server, raw_cap=len(body)).reply is not None
        assert Sent(server, body_cap=len(body)).reply is not None
        assert isinstance(Sent(server, body_cap=len(body) - 1).error, TooLarge)


BOMB_CHILD = """
import resource, sys
from tests.door.sending import Sent
Sent(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
error = Sent(sys.argv[1]).error
print(type(error).__name__, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux only")
def test_a_zip_bomb_does_not_go_off() -> None:
    """F29: 300 MB behind 300 kB end as TooLarge, and the process grows by less than 150 MB."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    bomb = b"".join([packer.compress(b"[" + b" " * (10 * MIB)) for _ in range(30)]) + packer.flush()
    with RawServer(reply(b"{}"), reply(bomb, Content_Encoding="gzip")) as server:
        home = Path(__file__).parents[2]
        command = [sys.executable, "-c", BOMB_CHILD, server.url]
        child = subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=home, env={**os.environ, "PYTHONPATH": str(home)}
        )
    kind, grown = child.stdout.split()
    assert kind == "TooLarge"
    assert int(grown) < 150


@pytest.fixture(scope="module")
def anything() -> Iterator[RawServer]:
    with RawServer() as server:
        yield server


WHOLE = reply(GOOD[:40] + b"]}", 200, Retry_After="1", Location="/x", Content_Encoding="identity")


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    status=st.integers(100, 999),
    name=st.sampled_from(
        ["Location", "Retry-After", "Content-Encoding", "Content-Type", "Content-Length", "Date", "X"]
    ),
    value=st.binary(max_size=30),
    flips=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=3),
)
def test_nothing_but_our_errors_comes_out(
    anything: RawServer, status: int, name: str, value: bytes, flips: list[tuple[int, int]]
) -> None:
    """Whatever bytes come back, a call ends with a reply or with an error of the tree, and leaves no connection busy."""
    data = bytearray(WHOLE.replace(b" 200 ", b" %d " % status, 1))
    for place, byte in flips:
        data[place] = byte
    head, _, rest = bytes(data).partition(b"\r\n")
    anything.answers = [[head + b"\r\n" + name.encode() + b": " + value + b"\r\n" + rest, CLOSE]]
    sent = Sent(anything, attempts=1, read_timeout=0.5)
    assert (sent.reply is None) == isinstance(sent.error, RequestError)
    assert sent.busy == 0


def test_every_failure_names_its_request() -> None:
    """Errors about a bad answer carry the id, method, path and status of the request."""
    with RawServer(reply(b"17")) as server:
        error = Sent(server).error
    assert isinstance(error, RequestError)
    assert (error.method, error.path, error.status, len(error.request_id)) == ("GET", "/markets", 200, 12)
