"""No failure of a signed request shows the key, its id or a signature: not in text, log, pickle or the frames of a traceback."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import traceback
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import kalshi_lab as kl
from kalshi_lab.door import Call, Door
from tests.door.raw_server import CLOSE, PREFIX, RESET, STALL, Answer, RawServer, free_port, reply
from tests.door.sending import Sent, settings_for
from tests.door.signed import headers
from tests.door.test_errors_hold_no_secrets import held

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = kl.Credentials.generate("rsa", key_id="canary-key-id-5d1c77e0a9")
BALANCE = Call("get_balance", "/portfolio/balance", auth=True)
SKEWED = {"Date": "Sun, 22 Nov 2026 14:01:00 GMT"}
FAILURES: dict[str, Answer] = {
    **{str(status): reply(b"{}", status) for status in (302, 400, 401, 403, 404, 409, 429, 500, 503)},
    "clock": reply(b"{}", 401, **SKEWED),
    "reset": [RESET],
    "close": [CLOSE],
    "cut": [reply(b"{", length=9), CLOSE],
    "stall": [STALL],
    "page": reply(b"<html>", kind="text/html"),
    "no JSON": reply(b"7", kind="text/plain"),
    "large": reply(b"7", length=10**9),
    "garbage": [b"nonsense\r\n\r\n", CLOSE],
}


def secrets(server: RawServer | None = None) -> list[str]:
    private = KEY._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().splitlines()
    sent = [headers(request)["kalshi-access-signature"] for request in server.requests] if server else []
    return [KEY.key_id, KEY.key_id[:-4], *(line for line in private[1:-1] if len(line) > 20), *sent]


def frames(error: BaseException) -> Iterator[str]:
    """What a traceback with the values of variables shows, through every cause and context."""
    one: BaseException | None = error
    seen: set[int] = set()
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if "/tests/" not in frame.f_code.co_filename:
                yield from (f"{name}={value!r}" for name, value in frame.f_locals.items())
        one = one.__cause__ or one.__context__


@pytest.mark.parametrize("name", FAILURES)
def test_no_failure_shows_a_secret(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """S1: every failure of a signed request, with all logs at DEBUG, shown, pickled, copied and walked through."""
    caplog.set_level(logging.DEBUG)
    with RawServer(FAILURES[name]) as server:
        sent = Sent(server, BALANCE, credentials=KEY, read_timeout=0.1, attempts=2)
    error = sent.error
    assert isinstance(error, kl.RequestError)
    assert server.requests
    shown = [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error), *frames(error)]
    shown += [caplog.text, repr(sent.observer.recent()), repr(sent.state), pickle.dumps(error).decode("latin-1")]
    shown += [repr(vars(copy.deepcopy(error)))]
    assert len(caplog.records) > 1
    everything = "\n".join(shown)
    assert [secret for secret in secrets(server) if secret in everything] == []


def test_a_refused_connection_shows_none(caplog: pytest.LogCaptureFixture) -> None:
    """S1: nor where nobody answered."""
    caplog.set_level(logging.DEBUG)
    error = Sent(f"http://127.0.0.1:{free_port()}{PREFIX}", BALANCE, credentials=KEY).error
    assert isinstance(error, kl.Unavailable)
    shown = "\n".join([*traceback.format_exception(error), *frames(error), caplog.text])
    assert [secret for secret in secrets() if secret in shown] == []


def test_a_cancelled_request_shows_none() -> None:
    """S1: the stop button in the middle of an answer leaves a traceback without the request in its frames."""

    async def main(server: RawServer) -> BaseException:
        door = Door(settings_for(server), credentials=KEY)
        task = asyncio.create_task(door.send(BALANCE))
        assert await asyncio.to_thread(server.asked.wait, 5)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as stopped:
            return stopped
        finally:
            await door.aclose()
        raise AssertionError

    with RawServer([STALL]) as server:
        stopped = asyncio.run(main(server))
    shown = "\n".join(frames(stopped))
    assert not [value for value in held(stopped) if isinstance(value, httpx.Request | httpx.Headers | httpx.Response)]
    assert "door=" in shown or "trip=" in shown
    assert [secret for secret in secrets(server) if secret in shown] == []


def test_clients_and_doors_show_none() -> None:
    """S1: repr of whatever holds a key, and a client that is pickled or copied to the end."""
    client = kl.AsyncKalshi(environment="prod", credentials=KEY)
    signer = client.door.signer
    assert signer is not None
    shown = "\n".join(repr(one) for one in (client, client.door, signer, vars(signer), client.settings, vars(client)))
    assert [secret for secret in secrets() if secret in shown] == []
    for holder in (signer, KEY, {"deep": [KEY]}):
        with pytest.raises((kl.UsageError, TypeError)):
            pickle.dumps(holder)


def test_a_leak_would_be_found() -> None:
    """The search of these tests finds a secret that is there, in a frame as in a chained error."""
    code = "def leak(key):\n  try:\n    kept = key.key_id\n    1 / 0\n  except ZeroDivisionError:\n    raise ValueError('x')"
    scope: dict[str, Any] = {}
    exec(compile(code, "elsewhere.py", "exec"), scope)  # noqa: S102 - a frame that is not of the tests
    with pytest.raises(ValueError, match="x") as caught:
        scope["leak"](KEY)
    assert KEY.key_id in "\n".join(frames(caught.value))
