"""The fault switchboard: which requests go wrong, and how."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

KINDS = ("status", "html", "cut", "garbled", "slow", "drip", "drop", "reset", "loop", "empty")
_TEXTS = {
    400: ("bad_request", "bad request"), 401: ("authentication_error", "authentication error"), 403: ("forbidden", "forbidden"),
    404: ("not_found", "not found"), 409: ("already_exists", "already exists"), 429: ("too_many_requests", "too many requests"),
}  # fmt: skip
MAINTENANCE = (
    b"<!doctype html><html><head><title>Maintenance</title></head><body><h1>We will be back shortly</h1></body></html>"
)


@dataclass(slots=True)
class Fault:
    """What happens to the requests of one path: skip the first `after`, then hit `times` of them."""

    path: str
    kind: str
    status: int = 503
    times: int = 1
    after: int = 0
    seconds: float = 1.0
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None

    def hits(self, path: str) -> bool:
        """Whether the path is meant."""
        return self.path == path or (self.path.endswith("*") and path.startswith(self.path[:-1]))


def error_body(status: int) -> dict[str, Any]:
    """The exchange's error object for a status."""
    code, message = _TEXTS.get(
        status, ("service_unavailable" if status >= 500 else "bad_request", "service unavailable")
    )
    return {"error": {"code": code, "message": message}}


class Switchboard:
    """The faults that are switched on; the first that means a request takes it."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def clear(self) -> None:
        """Switch all faults off."""
        self._faults = []

    def add(self, wanted: object) -> None:
        """Switch a fault on, from its JSON object. Raises ValueError for a kind, option or value that is not allowed."""
        if not isinstance(wanted, dict):
            raise ValueError("a fault is an object with path and kind")  # noqa: TRY004 - one kind of refusal for all bad input
        if unknown := set(wanted) - set(Fault.__slots__):
            raise ValueError(f"unknown options {sorted(unknown)}; allowed: {sorted(Fault.__slots__)}")
        fault = Fault(**{"path": "*", "kind": "status", **wanted})
        if fault.kind not in KINDS:
            raise ValueError(f"unknown kind {fault.kind!r}; allowed: {', '.join(KINDS)}")
        if not (
            100 < fault.status < 600
            and fault.times >= 0
            and fault.after >= 0
            and math.isfinite(fault.seconds)
            and fault.seconds >= 0
        ):
            raise ValueError("status is 101 to 599; times, after and seconds are not negative")
        self._faults.append(fault)

    def take(self, path: str, *, has_cursor: bool) -> Fault | None:
        """The fault that meets this request, used up by one; a loop meets only requests that follow a cursor."""
        for fault in self._faults:
            if not fault.hits(path) or (fault.kind == "loop" and not has_cursor) or fault.times <= 0:
                continue
            if fault.after > 0:
                fault.after -= 1
                return None
            fault.times -= 1
            return fault
        return None
