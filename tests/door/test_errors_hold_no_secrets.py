"""Errors of the door can be shown, pickled and kept: they hold ids and figures, no headers and no httpx objects."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
from typing import TYPE_CHECKING

import httpx
import pytest

from kalshi_lab.errors import LabError, RequestError
from tests.door.raw_server import CLOSE, PREFIX, RESET, STALL, Answer, RawServer, free_port, reply
from tests.door.sending import Sent

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "canary-7f3a"
MARKED = {
    "Set_Cookie": f"session={CANARY}",
    "X_Trace": CANARY,
    "Location": f"https://{CANARY}.example/",
    "ETag": CANARY,
}
FAILURES: dict[str, Answer] = {
    **{str(status): reply(b"{}", status, **MARKED) for status in (302, 400, 401, 403, 404, 409, 429, 500, 503)},
    "reset": [reply(b"{}", length=9, **MARKED), RESET],
    "cut": [reply(b"{}", length=9, **MARKED), CLOSE],
    "stall": [reply(b"{}", length=9, **MARKED), STALL],
    "page": reply(b"<html>", kind=f"text/html; {CANARY}", **MARKED),
    "no JSON": reply(b"7", kind=f"text/{CANARY}", **MARKED),
    "gzip": reply(b"7", Content_Encoding="gzip", **MARKED),
    "encoding": reply(b"7", Content_Encoding=CANARY, **MARKED),
    "large": reply(b"7", length=10**9, **MARKED),
    "garbage": [f"{CANARY}\r\n\r\n".encode(), CLOSE],
    "bad header": [f"HTTP/1.1 200 OK\r\n{CANARY} : {CANARY}\r\n\r\n".encode(), CLOSE],
}


def held(error: BaseException) -> Iterator[object]:
    """What the error, its causes and the frames of its traceback refer to."""
    one: BaseException | None = error
    while one is not None:
        yield from vars(one).values()
        for frame, _ in traceback.walk_tb(one.__traceback__):
            yield from frame.f_locals.values()
        one = one.__cause__ or one.__context__


@pytest.mark.parametrize("answer", FAILURES.values(), ids=FAILURES)
def test_errors_hold_no_headers(answer: Answer, caplog: pytest.LogCaptureFixture) -> None:
    """No header of an answer shows in an error, its pickle, its events or our log, and no httpx object hangs on it."""
    caplog.set_level(logging.DEBUG, logger="kalshi_lab")
    with RawServer(answer) as server:
        sent = Sent(server, read_timeout=0.1, attempts=2)
    error = sent.error
    assert isinstance(error, RequestError)
    shown = [str(error), repr(error), repr(vars(error)), repr(sent.observer.recent())]
    shown += [record.getMessage() for record in caplog.records if record.name.startswith("kalshi_lab")]
    assert len(shown) > 4
    assert CANARY not in "".join(shown)
    assert CANARY.encode() not in pickle.dumps(error)
    carriers = (httpx.Request, httpx.Response, httpx.Headers, httpx.HTTPError)
    assert not [value for value in held(error) if isinstance(value, carriers)]


@pytest.mark.parametrize("status", [404, 429, 503])
def test_errors_survive_pickling_and_copying(status: int) -> None:
    """A pickled or copied error is the same kind with the same message and fields."""
    with RawServer(reply({"error": "no"}, status, Retry_After="100")) as server:
        error = Sent(server).error
    assert error is not None
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):  # noqa: S301 - our own bytes
        assert type(twin) is type(error)
        assert (str(twin), vars(twin)) == (str(error), vars(error))


def test_refused_connections_hold_none_either() -> None:
    """The same holds where nobody answered."""
    error = Sent(f"http://127.0.0.1:{free_port()}{PREFIX}").error
    assert isinstance(error, LabError)
    assert not [value for value in held(error) if isinstance(value, httpx.Request | httpx.HTTPError)]
