"""Everything that can go wrong, as one tree.

LabError
├─ RequestError(.request_id .method .path .status .attempts .elapsed .code .may_have_happened)
│   ├─ BadRequest                     400, 422 and the like: the request itself is wrong
│   ├─ Forbidden                      403
│   │   ├─ AuthFailed                 401
│   │   └─ ClockSkew(.offset)         401 because this machine's clock is off
│   ├─ NotFound (LookupError)         404
│   ├─ Conflict                       409
│   ├─ RateLimited(.retry_after)      429, and the waits that were allowed are used up
│   ├─ Unavailable                    5xx, maintenance, no connection
│   ├─ TimedOut (TimeoutError)        no answer within the deadline
│   ├─ BrokenResponse                 the answer was cut or garbled on its way
│   ├─ CircuitOpen(.until)            the host failed so often that it is left alone for a while
│   ├─ BadPayload(.sha256)            an answer that is not what the exchange's contract says
│   ├─ CursorLoop                     pages that lead back to a page already read
│   ├─ StalledPagination              page after page without rows
│   ├─ TooLarge                       an answer above the size that is accepted
│   └─ UnexpectedRedirect             3xx, which the exchange never sends, or a host that is not the exchange
├─ StoreError
│   ├─ StoreBusy(.holder)             another process holds the store
│   ├─ StoreCorrupt
│   ├─ DiskFull
│   └─ SchemaDrift                    too many rows could not be read
├─ UsageError (ValueError)            bad input, refused before anything was sent or written
├─ BudgetExceeded(.cost .left .request_id .code)
└─ TradingError
    ├─ TradingOff
    ├─ OrderRejected(.reasons)
    └─ OrderUnknown(.client_order_id)

Branches part by what the caller can do about it. Errors hold ids and figures, never headers or bodies of requests, and survive
pickling, so they can cross processes without carrying a secret along.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from decimal import Decimal


class LabError(Exception):
    """Base of every error that leaves this library; `hint` says what to do about it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.args, self.__dict__)


def _revive(kind: type[LabError], args: tuple[Any, ...], state: dict[str, Any]) -> LabError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class RequestError(LabError):
    """A request that failed: which one, after how many attempts, how long it took (seconds).

    `may_have_happened` is True for a write of which an attempt may have been carried out although no answer said so.
    """

    may_have_happened: bool = False

    def __init__(  # every field of a failed request is named at its only raise
        self,
        message: str,
        *,
        hint: str = "",
        request_id: str = "",
        method: str = "",
        path: str = "",
        status: int | None = None,
        attempts: int = 1,
        elapsed: float = 0.0,
        code: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.request_id = request_id
        self.method = method
        self.path = path
        self.status = status
        self.attempts = attempts
        self.elapsed = elapsed
        self.code = code

    def __str__(self) -> str:
        tries = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        where = f" [{self.method} {self.path}, request {self.request_id}, {tries}, {self.elapsed:.1f} s]"
        return super().__str__() + (where if self.request_id else "")


class BadRequest(RequestError):
    """The exchange refused the request as malformed."""


class Forbidden(RequestError):
    """The key may not do this."""


class AuthFailed(Forbidden):
    """The exchange did not accept the key or its signature."""


class ClockSkew(Forbidden):
    """The exchange did not accept the signature because this machine's clock is off; `offset` is how far it is behind, in seconds."""

    offset: float = 0.0


class NotFound(RequestError, LookupError):
    """The exchange does not know this ticker or id."""


class Conflict(RequestError):
    """The exchange already has this, or its state forbids it."""


class RateLimited(RequestError):
    """The exchange asked to slow down and the waits that were allowed are used up; `retry_after` is in seconds or None."""

    retry_after: float | None = None


class Unavailable(RequestError):
    """The exchange could not be reached or answered that it is down."""


class TimedOut(RequestError, TimeoutError):
    """No complete answer came within the deadline."""


class BrokenResponse(RequestError):
    """The answer was cut or garbled on its way."""


class CircuitOpen(RequestError):
    """The host failed so often that it is left alone until `until`."""

    until: datetime | None = None


class BadPayload(RequestError):
    """The answer is not what the contract says; `sha256` is that of its body, as it was after decompression."""

    sha256: str = ""


class CursorLoop(RequestError):
    """The pages lead back to a page that was already read."""


class StalledPagination(RequestError):
    """Page after page came without a row."""


class TooLarge(RequestError):
    """The answer is larger than what is accepted."""


class UnexpectedRedirect(RequestError):
    """The answer points elsewhere, or the address is not the exchange's."""


class StoreError(LabError):
    """The store could not do it."""


class StoreBusy(StoreError):
    """Another process holds the store; `holder` names it."""

    holder: str = ""


class StoreCorrupt(StoreError):
    """The store's file cannot be read as what it should be."""


class DiskFull(StoreError):
    """There is no room left to write."""


class SchemaDrift(StoreError):
    """So many rows could not be read that the format must have changed."""


class UsageError(LabError, ValueError):
    """Bad input, refused before anything was sent or written."""


class BudgetExceeded(LabError):
    """It would cost more than what is left of the budget.

    `cost` is what it would have cost at worst and `left` what there was, in dollars, None where a host refused without saying so: then
    `request_id` names the request and `code` is its word.
    """

    request_id: str = ""
    code: str = ""
    cost: Decimal | None = None
    left: Decimal | None = None


class TradingError(LabError):
    """An order could not be placed or changed."""


class TradingOff(TradingError):
    """Trading was not asked for."""


class OrderRejected(TradingError):
    """The exchange or a check refused the order; `reasons` names the checks that failed."""

    reasons: tuple[str, ...] = ()


class OrderUnknown(TradingError):
    """Nobody knows whether the order is live; look it up by `client_order_id`. `request_id` names the request that placed it."""

    client_order_id: str = ""
    request_id: str = ""


def one_of(what: str, value: object, allowed: Iterable[str], *, also: dict[str, str] | None = None) -> str:
    """The canonical word for `value`, or a UsageError that lists the allowed words and suggests the nearest.

    `also` maps further accepted spellings to canonical words.
    """
    words, aliases = list(allowed), also or {}
    asked = str(value)
    if asked in words:
        return asked
    if asked in aliases:
        return aliases[asked]
    raise unknown(what, asked, words, extra=aliases)


def unknown(what: str, asked: str, words: Iterable[str], *, extra: Iterable[str] = ()) -> UsageError:
    """The UsageError for a word that is not among `words`, with the nearest match."""
    words = list(words)
    folded = {word.lower(): word for word in [*extra, *words]}
    near = get_close_matches(asked.lower(), folded, n=1, cutoff=0.5)
    hint = f"Did you mean {folded[near[0]]!r}? " if near else ""
    return UsageError(f"unknown {what} {asked!r}", hint=f"{hint}Allowed: {', '.join(words)}")
