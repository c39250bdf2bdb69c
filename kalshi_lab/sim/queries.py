"""Query strings: read strictly, refused like the exchange refuses them; and page cursors, opaque to the reader."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.datastructures import QueryParams

_LONGEST = 10**12


class Refused(Exception):  # noqa: N818 - an answer of the exchange, not a failure of this code
    """An answer with an error status."""

    def __init__(self, status: int, code: str, message: str, details: str = "") -> None:
        super().__init__(details or message)
        self.status = status
        self.body = {"error": {"code": code, "message": message, **({"details": details} if details else {})}}


def bad(details: str) -> Refused:
    """The answer to a request that is wrong in itself."""
    return Refused(400, "bad_request", "bad request", details)


def missing() -> Refused:
    """The answer to a ticker that nothing has."""
    return Refused(404, "not_found", "not found")


class Query:
    """The parameters of one request."""

    def __init__(self, params: QueryParams) -> None:
        self.params = params

    def text(self, name: str) -> str:
        """A text, empty when it is not given."""
        return str(self.params.get(name, ""))

    def number(self, name: str, default: int | None = None, *, low: int = 0, high: int = _LONGEST) -> int | None:
        """A whole number within bounds, or `default`."""
        text = self.text(name)
        if not text:
            return default
        try:
            value = int(text)
        except ValueError:
            raise bad(f"invalid parameter {name}") from None
        if not low <= value <= high:
            raise bad(f"parameter {name} must be between {low} and {high}")
        return value

    def needed(self, name: str, *, low: int = 0, high: int = _LONGEST) -> int:
        """A whole number that must be given."""
        value = self.number(name, low=low, high=high)
        if value is None:
            raise bad(f"parameter {name} is required")
        return value

    def limit(self, low: int, high: int, default: int) -> int:
        """The page size; 0 where it is legal means the default."""
        return self.number("limit", default, low=low, high=high) or default

    def flag(self, name: str) -> bool | None:
        """True, false, or None when it is not given."""
        text = self.text(name).lower()
        if text not in {"", "true", "false"}:
            raise bad(f"invalid parameter {name}")
        return {"": None, "true": True, "false": False}[text]

    def word(self, name: str, allowed: Iterable[str]) -> str:
        """One of a few words, empty when it is not given."""
        text = self.text(name)
        if text and text not in set(allowed):
            raise bad(f"invalid {name} filter")
        return text

    def several(self, name: str, most: int = 10_000) -> list[str]:
        """A comma-separated list."""
        values = [part for part in self.text(name).split(",") if part]
        if len(values) > most:
            raise bad(f"parameter {name} takes at most {most}")
        return values

    def repeated(self, name: str, most: int) -> list[str]:
        """A parameter that is given once for each value."""
        values = self.params.getlist(name)
        if not 1 <= len(values) <= most:
            raise bad(f"parameter {name} must be given 1 to {most} times")
        return values

    def _digest(self, path: str) -> bytes:
        filters = sorted((key, value) for key, value in self.params.multi_items() if key not in {"cursor", "limit"})
        return hashlib.blake2s(repr((path, filters)).encode(), digest_size=6).digest()

    def cursor(self, path: str, position: int) -> str:
        """The cursor that continues after a position of this listing."""
        return (
            base64.urlsafe_b64encode(b"\x12\x0b" + self._digest(path) + struct.pack(">q", position))
            .decode()
            .rstrip("=")
        )

    def position(self, path: str) -> int | None:
        """The position that the request's cursor names, None on the first page. Refuses a cursor of another listing."""
        text = self.text("cursor")
        if not text:
            return None
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            digest, (position,) = raw[2:8], struct.unpack(">q", raw[8:])
        except (binascii.Error, struct.error, ValueError):
            raise bad("invalid cursor") from None
        if digest != self._digest(path):
            raise bad("invalid cursor")
        return int(position)
