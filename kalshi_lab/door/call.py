"""What is asked and what comes back, as values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from kalshi_lab.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

_PATH = re.compile(r"(?:/[A-Za-z0-9._~%-]+)+")
_DOTS = {".", ".."}
LONGEST_SEGMENT = 200


def segment(value: str) -> str:
    """One path parameter, quoted so that it stays one segment whatever it holds; UsageError where it cannot be one."""
    if not isinstance(value, str) or not value or value in _DOTS or len(value) > LONGEST_SEGMENT:
        raise UsageError(
            f"{str(value)[:40]!r} cannot be part of an address",
            hint=f"Give a ticker or id of 1 to {LONGEST_SEGMENT} characters",
        )
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise UsageError(f"{value[:40]!r} holds characters that are no text") from None


@dataclass(frozen=True, slots=True)
class Call:
    """One request to make: the operation's name, the path below the host's address, and its cost in rate tokens.

    Path parameters go through `segment()`. `auth` calls are signed; `repeat` says of a write that it may be sent again although an
    earlier attempt may have arrived; `items` are those of a batch, all of which the cost counts. `despite` names a key: a 5xx
    answer whose JSON object has it is the answer that was asked for. Raises UsageError for a path that could lead out of the API's own.
    """

    operation: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    cost: float = 10.0
    body: bytes | None = None
    auth: bool = False
    repeat: bool = False
    items: int = 1
    despite: str = ""

    def __post_init__(self) -> None:
        if not _PATH.fullmatch(self.path) or any(unquote(part) in _DOTS for part in self.path.split("/")):
            raise UsageError(f"{self.path[:80]!r} is no path of the API", hint="Quote path parameters with segment()")

    def with_params(self, **changes: str) -> Call:
        """The same call with these query parameters replaced or added."""
        kept = tuple((name, changes.pop(name, value)) for name, value in self.params)
        return replace(self, params=(*kept, *changes.items()))


@dataclass(frozen=True, slots=True)
class Reply:
    """A 2xx answer with its JSON body as bytes (empty for 204 and for writes that are answered with nothing), or one `despite` its status.

    `attempts` were needed, `elapsed` seconds passed since the call was made, `received_bytes` came over the wire in the
    last attempt (compressed, where it was), `at` is when the answer was complete, UTC.
    """

    call: Call
    status: int
    body: bytes = field(repr=False)  # a traceback shows the reprs of what its frames hold
    request_id: str
    attempts: int
    elapsed: float
    received_bytes: int
    at: datetime
