"""One key of which no part may appear anywhere, and the places that are searched for it."""

from __future__ import annotations

import base64
import copy
import io
import json
import logging
import pickle
import re
import traceback
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from IPython.core.ultratb import VerboseTB
from IPython.lib.pretty import pretty

import kalshi_lab as kl
from kalshi_lab.models.account import NewApiKey
from tests.door.raw_server import CLOSE, RESET, Answer, RawServer, free_port, reply
from tests.door.signed import headers
from tests.fakes import FakeClock
from tests.stream.reading import Hasty
from tests.stream.server import StreamServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ID = "canary-key-id-5d1c77e0a9"
KEY = kl.Credentials.generate("rsa", key_id=ID)
NEW = "canary-of-a-new-key-0c4f"
FAILURES: dict[str, Answer] = {
    **{str(status): reply(b"{}", status) for status in (302, 400, 401, 403, 404, 409, 429, 500, 503)},
    "clock": reply(b"{}", 401, Date="Sun, 22 Nov 2026 14:01:00 GMT"),
    "reset": [RESET],
    "cut": [reply(b"{", length=9), CLOSE],
    "page": reply(b"<html>", kind="text/html"),
    "no JSON": reply(b"7", kind="text/plain"),
    "large": reply(b"7", length=10**9),
    "gzip": reply(b"7", Content_Encoding="gzip"),
    "garbage": [b"nonsense\r\n\r\n", CLOSE],
}


def pem() -> bytes:
    """The canary key as a file holds it."""
    return KEY._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def parts(*requests: bytes) -> list[str]:
    """What would betray the key: its id, the lines of its PEM, plain and in base64, and the signatures that a server received."""
    lines = [line for line in pem().decode().splitlines()[1:-1] if len(line) > 20]
    signatures = [found for one in requests if (found := headers(one).get("kalshi-access-signature"))]
    return [ID, ID[:-4], *lines, base64.b64encode(pem()).decode()[100:160], *signatures, NEW]


def found(text: str | bytes, *requests: bytes) -> list[str]:
    """The parts of the key that a surface shows."""
    shown = text if isinstance(text, str) else text.decode("latin-1")
    return [part for part in parts(*requests) if part in shown]


@contextmanager
def every_log() -> Iterator[io.StringIO]:
    """All logs of the process at DEBUG, as a careless program configures them."""
    stream, root = io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s %(args)s %(exc_info)s"))
    handler.addFilter(lambda record: record.name != "websockets.server")  # the tests' own server
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield stream
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def told(error: BaseException, *, verbose: bool = True) -> dict[str, str | bytes]:
    """An error in every way in which it may be shown or kept; %xmode Verbose, which takes its time, where it is asked for."""
    explained = kl.explain(error)
    with_locals = traceback.TracebackException.from_exception(error, capture_locals=True)
    shown = VerboseTB().text(type(error), error, error.__traceback__) if verbose else ""
    return {
        "str and repr": f"{error} {error!r}",
        "fields": repr(vars(error)),
        "traceback": "".join(traceback.format_exception(error)),
        "traceback with locals": "".join(with_locals.format()),
        "%xmode Verbose": re.sub(r"\x1b\[[0-9;]*m", "", shown),
        "pickle of an error": pickle.dumps(error),
        "copy of an error": repr(vars(copy.deepcopy(error))),
        "explanation": repr(explained) + explained._repr_html_(),
    }


def client(url: str, **options: Any) -> kl.Kalshi:
    return kl.Kalshi(
        environment="sim",
        base_url=url,
        credentials=KEY,
        writable=True,
        clock=FakeClock(roll=0.0),
        attempts=2,
        **options,
    )


def failures() -> Iterator[tuple[str, str | bytes, list[bytes]]]:
    """Every failure of signed requests and of a stream: what it shows on each surface, and what was sent meanwhile."""
    for answer in FAILURES.values():
        with ExitStack() as held, every_log() as log:
            server = held.enter_context(RawServer(answer))
            kalshi = held.enter_context(client(server.url))
            for ask in (refused, order, new_key):
                for surface, text in told(ask(kalshi), verbose=ask is refused).items():
                    yield surface, text, server.requests
            yield (
                "frames of stats",
                repr(kalshi._twin.observer.recent()) + repr(kalshi._twin.door.state),
                server.requests,
            )
        yield "log at DEBUG", log.getvalue(), server.requests
    yield from alone()
    yield from streams()


def raised(work: Any, *given: Any) -> BaseException:
    """What a call raises."""
    try:
        work(*given)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is searched
        return error
    raise AssertionError("nothing was raised")


def refused(kalshi: kl.Kalshi) -> BaseException:
    return raised(kalshi.portfolio.balance)


def order(kalshi: kl.Kalshi) -> BaseException:
    return raised(kalshi.orders.create, kl.NewOrder(ticker="KX-1", side="bid", count=1, price="0.5"))


def new_key(kalshi: kl.Kalshi) -> BaseException:
    return raised(kalshi.api_keys.generate, "mine")


def alone() -> Iterator[tuple[str, str | bytes, list[bytes]]]:
    """Failures without a server, and an answer with a new key that cannot be read."""
    with every_log() as log, client(f"http://127.0.0.1:{free_port()}/trade-api/v2") as kalshi:
        for surface, text in told(refused(kalshi)).items():
            yield surface, text, []
    with RawServer(reply({"private_key": NEW})) as server, client(server.url) as kalshi, every_log() as more:
        for surface, text in told(new_key(kalshi)).items():
            yield surface, text, server.requests
    yield "log at DEBUG", log.getvalue() + more.getvalue(), []


def streams() -> Iterator[tuple[str, str | bytes, list[bytes]]]:
    """Handshakes that are refused, redirected and cut, on a real WebSocket server."""
    with (
        StreamServer() as server,
        every_log() as log,
        kl.Kalshi(settings=server.settings, credentials=KEY, clock=Hasty()) as kalshi,
    ):
        for status in (401, 403, 302, 429, 503):
            server.refuse, server.redirect = [status] * 9, "wss://elsewhere.example/"
            for surface, text in told(raised(kalshi.stream("ticker").start), verbose=status == 401).items():
                yield surface, text, _handshakes(server)
        server.refuse = []
        with kalshi.stream("ticker") as stream:
            yield "objects", repr(stream) + repr(vars(stream)) + stream._repr_html_(), _handshakes(server)
    yield "log at DEBUG", log.getvalue(), _handshakes(server)


def _handshakes(server: StreamServer) -> list[bytes]:
    """The handshakes in the form of requests."""
    return [
        ("GET / HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in one.items()) + "\r\n").encode()
        for one in server.headers
    ]


def objects(home: Path) -> Iterator[tuple[str, str | bytes]]:
    """Public objects that hold a key, shown, copied and pickled."""
    with kl.Lab("sim", base_url="http://127.0.0.1:9/trade-api/v2", home=home, credentials=KEY) as lab:
        holders: list[Any] = [KEY, lab, lab._twin, lab.kalshi, lab.kalshi._twin, lab.kalshi._twin.door, lab.settings]
        holders += [lab.kalshi._twin.door.signer, lab.alerts, lab.kalshi.portfolio, lab.stats("host")]
        for one in holders:
            shown = [repr(one), str(one), f"{one}", repr(getattr(one, "__dict__", ""))]
            shown += [one._repr_html_()] if hasattr(one, "_repr_html_") else []
            yield "objects", " ".join(shown)
            with suppress(Exception):
                yield "pickles and copies", pickle.dumps(one)
            with suppress(Exception):
                yield "pickles and copies", repr(vars(copy.deepcopy(one)))
            with suppress(Exception):
                yield "pickles and copies", json.dumps(one, default=vars)
    made = NewApiKey(api_key_id="id", private_key=NEW)
    yield "objects", f"{made} {made!r} {[made]}" + made._repr_html_() + pretty(made) + repr(list(made.__rich_repr__()))
    yield "pickles and copies", repr(raised(pickle.dumps, made))
