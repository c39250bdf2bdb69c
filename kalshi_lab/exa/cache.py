"""Which answers are the same question's, and for how long they are good."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

VERSION: Final = 1
MINUTE, HOUR = 60.0, 3600.0
_LEFT_OUT: Final = {"stream", "userIdentifier", "metadata", "budget"}
_DOMAINS: Final = {"includeDomains", "excludeDomains"}


class Cache(Protocol):
    """Where answers are kept that were paid for."""

    async def found(self, key: str) -> bytes | None:
        """The answer to a request, as it was received; None where there is none that is still good."""

    async def keep(
        self, key: str, operation: str, body: bytes, *, seconds: float | None, cost: Decimal | None, request_id: str
    ) -> None:
        """Keep an answer for so many seconds; None: for ever."""


def key(method: str, path: str, body: Mapping[str, Any]) -> str:
    """The hash of a request: 64 hexadecimal digits, the same for requests that ask the same.

    White space in a query and the order of domains mean nothing; the order and the case of words do.
    """
    asked = {name: _tidy(name, value) for name, value in body.items() if value is not None and name not in _LEFT_OUT}
    return hashlib.sha256(msgspec.json.encode([VERSION, method, path, asked], order="deterministic")).hexdigest()


def _tidy(name: str, value: Any) -> Any:
    if name in _DOMAINS:
        return sorted({domain.strip().lower() for domain in value})
    return " ".join(value.split()) if name == "query" else value


def lifetime(operation: str, body: Mapping[str, Any]) -> float | None:
    """Seconds for which an answer is good; None for ever, 0 for never. Stored versions of pages never change."""
    options = body.get("contents", body)
    if options.get("snapshotAsOf") is not None:
        return None
    usual = {"answer": HOUR, "contents": HOUR}.get(operation, 24 * HOUR)
    if body.get("category") == "news":
        usual = 30 * MINUTE
    hours = options.get("maxAgeHours")
    return usual if hours is None or hours < 0 else min(usual, hours * HOUR)
