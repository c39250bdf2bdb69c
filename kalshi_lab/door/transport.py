"""The door itself: sends calls, and returns complete 2xx replies or raises from the error tree."""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx

from kalshi_lab.clock import Clock, SystemClock
from kalshi_lab.door import bitwise
from kalshi_lab.door.body import read_body, read_error
from kalshi_lab.door.breaker import Breaker, Resting
from kalshi_lab.door.budget import budget_of
from kalshi_lab.door.call import Call, Reply, segment
from kalshi_lab.door.failures import from_problem
from kalshi_lab.door.host import Host, exchange
from kalshi_lab.door.lanes import Lanes
from kalshi_lab.door.limiter import NoTurn
from kalshi_lab.door.retry import Policy, Quota
from kalshi_lab.door.signing import signer_of
from kalshi_lab.door.trip import Refusal, Trip
from kalshi_lab.door.verdict import OK, judged, keyless, outcome_of
from kalshi_lab.errors import CircuitOpen, LabError, RateLimited, TimedOut, Unavailable, UsageError
from kalshi_lab.observe import Attempt, Observer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from kalshi_lab.credentials import Credentials
    from kalshi_lab.door.breaker import Outcome
    from kalshi_lab.door.signing import KeyHeader
    from kalshi_lab.errors import RequestError
    from kalshi_lab.settings import Settings

__all__ = ["Call", "Door", "Host", "Reply", "segment"]

_STALE = 0.25  # seconds after which paid tokens are paid anew, so that requests held up for a connection don't all leave at once
_TOO_MANY = 429


class Door:
    """The way to one host: its connections, signatures, rate budget, retry quota and circuit breaker.

    Share one between all callers of a host. It may be used from several event loops, each with its own connections,
    which open at the first call; close it with `aclose()` in the loop that used it. `clock` and `observer` default to
    the machine's clock and an observer of its own. `host` is the exchange of the settings' environment if none is given; what the
    settings say of times, sizes and attempts holds for every host. `credentials` sign the exchange's calls that need a key, each attempt
    anew, and `key` is what other hosts want instead: both go to the host's own address and no other (`signer` is None where nothing is
    signed). The rate budget is shared by all doors of the process with the same host, key and (the machine's) clock. `writable` says
    whether the families may send writes. `advice`, where it is set, is asked once a call has failed because the host is down: what it
    says joins the error's message.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        observer: Observer | None = None,
        credentials: Credentials | None = None,
        writable: bool = False,
        host: Host | None = None,
        key: KeyHeader | None = None,
    ) -> None:
        self._settings = settings
        self.host = host or exchange(settings)
        self.writable = writable
        self.advice: Callable[[RequestError], Awaitable[str]] | None = None
        self._clock = clock or SystemClock()
        self.observer = observer or Observer()
        self.signer = signer_of(settings, credentials, self._clock)
        self._keyed = self.signer or (key if self.host.own else None)
        key_id = credentials.key_id if credentials and self.signer else ""
        self._budget = budget_of(self.host, key_id, self._clock, self, settings)
        self._breaker = Breaker(settings.breaker_failures, settings.breaker_rest, self._clock)
        self._quota = Quota()
        self._lock = threading.Lock()
        self._opened: dict[asyncio.AbstractEventLoop, Lanes] = {}
        self._open = 0
        self._closed = False

    @property
    def state(self) -> dict[str, Any]:
        """What the door holds at present: breaker state, rate (tokens/s) and tokens, those of writes, retry tokens, requests under way.

        `until` is when a request may try again at a host that is left alone; None while the circuit is closed.
        """
        read, write = self._budget.read, self._budget.write
        rest = self._breaker.rest
        return {
            "host": self.host.netloc,
            "breaker": self._breaker.state,
            "until": None if rest is None else self._clock.now() + timedelta(seconds=rest),
            "rate": read.rate,
            "tokens": read.tokens,
            "write_rate": write.rate,
            "write_tokens": write.tokens,
            "retry_tokens": self._quota.left,
            "open_requests": self._open,
        }

    async def send(self, call: Call) -> Reply:
        """The host's 2xx reply with a JSON body; every other end is an error.

        A GET, or a write that may be repeated, that fails for a passing reason is tried again, `settings.attempts` times in
        all; another write only where the failure shows that nothing was done (a 429, a connection that was never made). After
        an ambiguous failure of a write the error says so (`may_have_happened`). `settings.deadline` seconds are for everything:
        attempts, waits between them and waits for the rate budget. A signature refused for this machine's clock is made once
        more in the host's time. Calls that are still waiting when the circuit opens are not sent any more.

        Raises a branch of RequestError that names the request (AuthFailed with nothing sent where a key is needed and there is
        none), BudgetExceeded where the host says that the money is used up, or UsageError for an address too long to send, a
        batch above the budget, a closed door or a sim that is not running.
        """
        trip = Trip(call, self._address(call), self._clock, self._settings.deadline, self.host)
        self._budget.cost(call)
        if call.auth and self._keyed is None and self.host.own:
            raise keyless(trip)
        try:
            return await self._admitted(trip)
        except (Unavailable, CircuitOpen) as error:
            if self.advice is not None and (told := await self.advice(error)):
                error.message = f"{error.message}; {told}"
                error.args = (error.message,)
            raise

    async def once(self, call: Call, *, within: float) -> Reply:
        """One attempt of `within` seconds at most, whatever the circuit breaker says, of which neither it nor the retry quota hears.

        For what is asked because calls fail. Raises as `send`, without advice.
        """
        return await self._attempt(Trip(call, self._address(call), self._clock, within, self.host))

    async def lines(self, call: Call, *, end: str) -> AsyncGenerator[str, None]:
        """The lines of an answer as they arrive, in one attempt, up to the line `end`; one that comes whole is one line.

        Raises as `send`, and BrokenResponse where it stops before its end: then what came before is all there is.
        """
        trip = Trip(call, self._address(call), self._clock, self._settings.deadline, self.host)
        if call.auth and self._keyed is None and self.host.own:
            raise keyless(trip)
        admission = trip.admission = self._admission(trip)
        outcome: Outcome = "unknown"
        failed = _ended(None)
        trip.queue()
        try:
            await self._turn(trip)
            async with self._lanes().one() as client:
                trip.depart()
                request = self._request(client, trip)
                async with aclosing(bitwise.lines(client, request, trip, settings=self._settings, end=end)) as found:
                    async for line in found:
                        yield line
            outcome, failed = "alive", ""
        except LabError as error:
            outcome, failed = outcome_of(error), _ended(error)
            trip.judge()
            trip.doubt(error)
            raise
        finally:
            self._breaker.settle(admission, outcome)
            self._record(trip, failed)
            self._learn(trip)

    async def aclose(self) -> None:
        """Close this event loop's connections; the door sends nothing afterwards."""
        self._closed = True
        lanes = self._opened.pop(asyncio.get_running_loop(), None)
        if lanes is not None:
            await lanes.aclose()

    def limits(
        self,
        *,
        read: tuple[float, float] | None = None,
        write: tuple[float, float] | None = None,
        costs: Mapping[str, float] | None = None,
        default: float | None = None,
    ) -> None:
        """Take over what the exchange says of its limits: (tokens a second, tokens when full), tokens by operation, and of all others.

        Callers that are waiting keep their order and their tokens. Raises UsageError for figures that are no budget.
        """
        self._budget.learn(read, write, costs, default)

    def _address(self, call: Call) -> httpx.URL:
        self._check_open()
        if not self.host.url:
            raise UsageError("the sim is not running, so there is no address to send requests to")
        try:
            return httpx.URL(self.host.url + call.path, params=call.params or None)
        except (httpx.InvalidURL, UnicodeError):
            message = "the parameters do not fit an address: too long, or with characters that are no text"
            raise UsageError(message, hint="Ask for fewer at once") from None

    async def _admitted(self, trip: Trip) -> Reply:
        """The call with all its attempts, once the circuit breaker lets it pass, which hears how it ended."""
        admission = trip.admission = self._admission(trip)
        outcome: Outcome = "unknown"
        try:
            reply = await Policy(trip, self._settings, self._quota).run(self._attempt)
            outcome = "alive" if reply.status in OK else "unknown"
        except LabError as error:
            outcome = outcome_of(error)
            trip.doubt(error)
            raise
        finally:
            self._breaker.settle(admission, outcome)
        self._quota.refund()
        return reply

    def _admission(self, trip: Trip) -> int:
        """The circuit breaker's leave to go."""
        try:
            return self._breaker.admit()
        except Resting as resting:
            raise self._left_alone(trip, resting.seconds) from None

    def _left_alone(self, trip: Trip, seconds: float) -> CircuitOpen:
        until = self._clock.now() + timedelta(seconds=seconds)
        message = f"{self.host.name} failed so often that it is left alone for a while"
        error = trip.error(CircuitOpen, message, hint=f"Try again after {until:%H:%M:%S} UTC")
        error.until = until
        return error

    async def _attempt(self, trip: Trip) -> Reply:
        trip.queue()
        await self._turn(trip)
        outcome = None
        try:
            outcome = await self._exchange(trip)
        finally:
            self._record(trip, _ended(outcome))
        self._learn(trip)
        if not isinstance(outcome, Reply):
            trip.judge()
            raise outcome
        return outcome

    async def _turn(self, trip: Trip) -> None:
        """Wait for the rate budget."""
        try:
            bucket, cost = self._budget.bucket(trip.call), self._budget.cost(trip.call)
            await bucket.acquire(cost, until=trip.started + trip.deadline)
            trip.granted_at = self._clock.monotonic()
        except NoTurn as late:
            message = (
                f"the rate budget has no room for this request for {late.seconds:.1f} s, which is after its deadline"
            )
            error = trip.error(RateLimited, message)
            error.retry_after = late.seconds
            raise error from None

    def _learn(self, trip: Trip) -> None:
        bucket = self._budget.bucket(trip.call)
        if trip.status == _TOO_MANY and trip.sent_at is not None:
            bucket.penalize(sent=trip.sent_at, hold=min(trip.asked or 0.0, self._settings.longest_wait))
        elif trip.status in OK:
            bucket.recover()

    def _record(self, trip: Trip, failed: str) -> None:
        if trip.sent_at is None:
            return
        event = Attempt(
            at=self._clock.now(),
            request_id=trip.request_id,
            operation=trip.call.operation,
            method=trip.call.method,
            path=trip.call.path,
            attempt=trip.attempts,
            status=trip.status,
            error=failed,
            received_bytes=trip.received_bytes,
            queued=trip.sent_at - trip.queued_at,
            latency=self._clock.monotonic() - trip.sent_at,
            url=str(trip.url.copy_with(query=None)),
        )
        self.observer.record(event)

    async def _exchange(self, trip: Trip) -> Reply | LabError:
        """One request and its answer, or what went wrong: raised here it would hold httpx's objects."""
        self._count(1)
        try:
            async with asyncio.timeout(trip.remaining):
                return await self._answer(trip)
        except Resting as resting:
            return self._left_alone(trip, resting.seconds)
        except asyncio.CancelledError as stopped:
            raise stopped.with_traceback(None) from None  # its frames hold the request
        except TimeoutError:
            return trip.error(TimedOut, f"there was no complete answer within the deadline of {trip.deadline:g} s")
        except (Refusal, httpx.HTTPError, httpx.StreamError, OSError, ssl.SSLError) as problem:
            return from_problem(trip, problem)
        finally:
            self._count(-1)

    async def _answer(self, trip: Trip) -> Reply | LabError:
        async with self._lanes().one() as client:
            if self._clock.monotonic() - trip.granted_at > _STALE:
                await self._turn(trip)
            if trip.admission is not None:
                self._breaker.check(trip.admission)
            trip.depart()
            response = await client.send(self._request(client, trip), stream=True)
            try:
                trip.status = response.status_code
                body = await self._body(response)
            finally:
                trip.received_bytes = response.num_bytes_downloaded
                await response.aclose()
        return judged(trip, response.headers, body, self.signer)

    async def _body(self, response: httpx.Response) -> bytes:
        if response.status_code not in OK:
            return await read_error(response)
        return await read_body(response, raw_cap=self._settings.raw_cap, body_cap=self._settings.body_cap)

    def _request(self, client: httpx.AsyncClient, trip: Trip) -> httpx.Request:
        """The request of one attempt, signed now where it needs a key."""
        headers = {"X-Request-Id": trip.request_id}
        if trip.call.body is not None:
            headers["Content-Type"] = "application/json"
        if trip.call.auth and self._keyed is not None:
            trip.offset = self.signer.offset if self.signer else 0.0
            headers |= self._keyed.headers(trip.call.method, trip.url.raw_path.partition(b"?")[0].decode("ascii"))
        return client.build_request(trip.call.method, trip.url, headers=headers, content=trip.call.body)

    def _lanes(self) -> Lanes:
        """This event loop's connections, which belong to the loop that opened them."""
        self._check_open()
        loop = asyncio.get_running_loop()
        lanes = self._opened.get(loop)
        if lanes is None:
            lanes = Lanes(self._settings, self.host)
            with self._lock:
                kept = {one: held for one, held in self._opened.items() if not one.is_closed()}
                self._opened = kept | {loop: lanes}
        return lanes

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError("this client was closed", hint="Make a new one")

    def _count(self, change: int) -> None:
        with self._lock:
            self._open += change


def _ended(outcome: Reply | LabError | None) -> str:
    """How an attempt ended, in a word; empty where it succeeded."""
    if isinstance(outcome, Reply):
        return ""
    return type(outcome).__name__ if outcome else "Cancelled"
