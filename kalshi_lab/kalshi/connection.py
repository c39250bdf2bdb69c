"""One WebSocket to the exchange: its frames in the order of arrival, and commands with their answers."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from kalshi_lab.door.failures import plain
from kalshi_lab.errors import (
    AuthFailed,
    ClockSkew,
    Forbidden,
    RateLimited,
    RequestError,
    TimedOut,
    Unavailable,
    UnexpectedRedirect,
)
from kalshi_lab.kalshi.channels import refused
from kalshi_lab.observe import Attempt, new_request_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from websockets.asyncio.client import ClientConnection
    from websockets.exceptions import ConnectionClosed

    from kalshi_lab.clock import Clock
    from kalshi_lab.door.signing import Signer
    from kalshi_lab.observe import Observer

E = TypeVar("E", bound=RequestError)
LOG = logging.getLogger(__name__)
_QUIET = LOG.getChild("socket")
_QUIET.setLevel(logging.INFO)  # the library logs handshakes with their signature otherwise, wherever somebody debugs
PATH = "/trade-api/ws/v2"
LARGEST = 64 * 1024 * 1024  # bytes of one frame, as the exchange allows itself
ANSWER = 10.0  # seconds within which a command is answered
PING, PONG = 10.0, 20.0  # seconds between our pings, and until an answer: half a minute of silence is the end
KEPT_ASKED = 1_000  # commands without an answer that are remembered
CONTROL = frozenset({"subscribed", "unsubscribed", "ok", "error"})
_SWITCHED, _REFUSED, _FORBIDDEN, _SLOWER = 101, 401, 403, 429


class _About(msgspec.Struct):
    market_ticker: str | None = None
    ticker: str | None = None
    event_ticker: str | None = None


class _Envelope(msgspec.Struct):
    type: str = ""
    id: int | None = None
    sid: int | None = None
    seq: int | None = None
    msg: msgspec.Raw = msgspec.Raw(b"null")


_envelope = msgspec.json.Decoder(_Envelope).decode
_about = msgspec.json.Decoder(_About).decode


@dataclass(frozen=True, slots=True)
class Frame:
    """One message as received: `raw` is all of its bytes; `connection` counts the connections of a stream from 1."""

    received_at: datetime
    connection: int
    sid: int | None
    seq: int | None
    type: str
    ticker: str
    raw: bytes


def said(answer: bytes) -> dict[str, Any]:
    """A frame's content as a mapping."""
    found = msgspec.json.decode(answer)
    return found if isinstance(found, dict) else {}


async def connect(url: str, signer: Signer, number: int, clock: Clock, observer: Observer) -> Connection:
    """Open a connection with a signature made now; a clock that is off is corrected once. The observer is told each attempt.

    Raises AuthFailed, ClockSkew and Forbidden where the key is refused, Unavailable, RateLimited, TimedOut and UnexpectedRedirect where
    there is no connection.
    """
    from websockets.exceptions import InvalidStatus, WebSocketException

    request_id, begun = new_request_id(), clock.monotonic()
    for attempt in (1, 2):
        sent, ahead = clock.monotonic(), None
        try:
            opened = await _opened(url, signer, request_id)
            observer.record(_attempt(url, request_id, attempt, sent=sent, clock=clock))
            return Connection(opened, number, clock, request_id)
        except InvalidStatus as answer:
            status = answer.response.status_code
            ahead = signer.correct(answer.response.headers.get("Date", "")) if status == _REFUSED else None
            problem = _handshake(status, ahead)
        except (OSError, EOFError, WebSocketException) as error:
            problem = _unreached(error)
        observer.record(_attempt(url, request_id, attempt, sent=sent, clock=clock, problem=problem))
        if ahead is None or signer.offset != ahead:
            break
    problem.request_id, problem.elapsed = request_id, clock.monotonic() - begun
    raise problem


def _attempt(
    url: str, request_id: str, attempt: int, *, sent: float, clock: Clock, problem: RequestError | None = None
) -> Attempt:
    """One handshake as the observer knows requests."""
    return Attempt(
        at=clock.now(),
        request_id=request_id,
        operation="open_stream",
        method="GET",
        path=PATH,
        attempt=attempt,
        status=problem.status if problem else _SWITCHED,
        error=type(problem).__name__ if problem else "",
        received_bytes=0,
        queued=0.0,
        latency=clock.monotonic() - sent,
        url=url,
    )


async def _opened(url: str, signer: Signer, request_id: str) -> ClientConnection:
    from websockets.asyncio.client import connect as open_socket

    class Straight(open_socket):
        """Goes where it was sent and nowhere else: a redirect would take the signed headers along."""

        def process_redirect(self, exc: Exception) -> Exception | str:
            return exc

    return await Straight(  # no variable holds the signature, which a traceback would show
        url, additional_headers={"X-Request-Id": request_id} | signer.headers("GET", PATH),
        max_size=LARGEST, proxy=None, user_agent_header=None,
        ping_interval=PING, ping_timeout=PONG, open_timeout=ANSWER, close_timeout=2, logger=_QUIET,
    )  # fmt: skip


def _handshake(status: int, ahead: float | None) -> RequestError:
    facts: dict[str, Any] = {"method": "GET", "path": PATH, "status": status}
    if status == _REFUSED and ahead is not None:
        message = f"the exchange did not accept the signature, because this machine's clock is off by {-ahead:.0f} s"
        return ClockSkew(message, hint="Set the clock", **facts)
    if status == _REFUSED:
        hint = "Check the key id, the key and that both belong to this environment"
        return AuthFailed("the exchange did not accept the key for the stream", hint=hint, **facts)
    if status == _FORBIDDEN:
        return Forbidden("the key may not open a stream", hint="Check its scopes", **facts)
    message = f"the exchange answered {status} instead of opening a stream"
    if 300 <= status < 400:  # noqa: PLR2004 - redirects
        return UnexpectedRedirect(message, hint="Check base_url", **facts)
    return (RateLimited if status == _SLOWER else Unavailable)(message, hint="Try again later", **facts)


def _unreached(error: Exception) -> RequestError:
    facts: dict[str, Any] = {"method": "GET", "path": PATH}
    if isinstance(error, TimeoutError):
        return TimedOut("the exchange did not open a stream in time", hint="Try again", **facts)
    return Unavailable(
        f"no connection to the exchange's stream ({type(error).__name__})", hint="Try again later", **facts
    )


class Connection:
    """An open connection. Read `frames()` all the time: the answers of commands arrive there too.

    `request_id` is the one that it was opened with; what goes wrong on it names it.
    """

    def __init__(self, socket: ClientConnection, number: int, clock: Clock, request_id: str = "") -> None:
        self.number = number
        self.request_id = request_id
        self._socket = socket
        self._clock = clock
        self._ids = count(1)
        self.ended = ""  # why, once it has
        self._waiting: dict[int, tuple[str, asyncio.Future[bytes]]] = {}
        self._asked: dict[int, str] = {}

    async def frames(self) -> AsyncIterator[Frame]:
        """What arrives, until the connection ends; what is no frame is passed on with the type ""."""
        from websockets.exceptions import ConnectionClosed

        try:
            while True:
                yield self._framed(await self._socket.recv(decode=False))
        except ConnectionClosed as end:
            self.ended = _why(end)
            LOG.info("stream connection %d [%s] ended: %s", self.number, self.request_id, self.ended)
        finally:
            self._give_up()

    def _framed(self, raw: bytes) -> Frame:
        at = self._clock.now()
        try:
            found = _envelope(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Frame(at, self.number, None, None, "", "", raw)
        if found.type in CONTROL and found.id is not None:
            self._answered(found.id, raw)
        ticker = "" if found.type in CONTROL else _ticker(found.msg)
        return Frame(at, self.number, found.sid, found.seq, found.type, ticker, raw)

    def _answered(self, number: int, raw: bytes) -> None:
        _, future = self._waiting.pop(number, ("", None))
        if future is not None and not future.done():
            future.set_result(raw)

    def _give_up(self) -> None:
        for command, future in self._waiting.values():
            if not future.done():
                future.set_exception(self._ended_before(f"{command} was answered"))
                future.exception()  # looked at, so that asyncio says nothing where nobody waits any more
        self._waiting.clear()

    async def command(self, command: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer. Raises what an error frame means, TimedOut and Unavailable."""
        from websockets.exceptions import ConnectionClosed

        number = next(self._ids)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (command, future)
        body = {"id": number, "cmd": command} | ({"params": parameters} if parameters else {})
        try:
            await self._socket.send(msgspec.json.encode(body), text=True)
            async with asyncio.timeout(ANSWER):  # wait_for may forget that it was cancelled
                answer = said(await future)
        except ConnectionClosed:
            raise self._ended_before(f"{command} was sent") from None
        except TimeoutError:
            late = TimedOut(f"the stream did not answer {command} within {ANSWER:g} s", hint="Try again")
            raise self.named(late) from None
        finally:
            self._waiting.pop(number, None)
        if answer.get("type") == "error":
            raise self.named(error_of(answer, command))
        return answer

    def named(self, error: E) -> E:
        """The error with the request by which this connection was opened."""
        error.request_id, error.method, error.path = self.request_id, "GET", PATH
        return error

    def _ended_before(self, what: str) -> Unavailable:
        return self.named(Unavailable(f"the connection ended before {what}", hint="Try again"))

    async def ask(self, command: str, **parameters: Any) -> None:
        """Send a command whose answer is messages; where the exchange refuses it, `refusal` knows the error frame."""
        from websockets.exceptions import ConnectionClosed

        number = next(self._ids)
        self._asked[number] = command
        self._asked.pop(number - KEPT_ASKED, None)
        try:
            await self._socket.send(
                msgspec.json.encode({"id": number, "cmd": command, "params": parameters}), text=True
            )
        except ConnectionClosed:
            raise self._ended_before(f"{command} was sent") from None

    def refusal(self, answer: dict[str, Any]) -> str:
        """The command that nobody waits for and that an error frame refuses; empty where it is another's."""
        return self._asked.get(answer.get("id") or 0, "")

    async def close(self) -> None:
        """End the connection."""
        self._give_up()
        await self._socket.close()


def _ticker(msg: msgspec.Raw) -> str:
    """The market or event that a message is about; empty where it is about none, or cannot be read."""
    try:
        about = _about(msg)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return about.market_ticker or about.ticker or about.event_ticker or ""


def _why(end: ConnectionClosed) -> str:
    """How a connection ended, in words."""
    if end.rcvd is not None:
        return f"the exchange closed it: {plain(str(end.rcvd))}"
    return f"closed from here: {end.sent}" if end.sent is not None else "it broke without a word"


def error_of(answer: dict[str, Any], command: str) -> RequestError:
    """The error that an error frame means."""
    content = answer.get("msg")
    found = content if isinstance(content, dict) else {}
    code = found.get("code")
    text = plain(str(found.get("msg") or ""))
    return refused(code if isinstance(code, int) else 0, text, command)
