"""What every family of endpoints shares: the door, the clock, and reading one object from an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from kalshi_lab import objects
from kalshi_lab.errors import BadPayload, TradingOff
from kalshi_lab.kalshi import params
from kalshi_lab.kalshi.pages import AsyncPages, Listing, bad_payload, doubled, unread
from kalshi_lab.models.fields import Record

if TYPE_CHECKING:
    from kalshi_lab.clock import Clock
    from kalshi_lab.door import Call, Door, Reply

R = TypeVar("R", bound=Record)
_STRICT = 65_536  # bytes: objects, not lists; up to here a key that stands twice is looked for


class Family:
    """A group of endpoints, as the exchange itself groups them."""

    def __init__(self, door: Door, clock: Clock) -> None:
        self._door = door
        self._clock = clock

    async def _send(self, asked: Call) -> Reply:
        """The reply to a request. Raises TradingOff, with nothing sent, for a write on a client that was not opened for writing."""
        if asked.method != "GET" and not self._door.writable:
            raise TradingOff(
                f"{asked.operation} writes, and this client only reads",
                hint="Open one for writing: kl.Kalshi(writable=True, ...)",
            )
        return await self._door.send(asked)

    async def _object(self, record: type[R], asked: Call, key: str = "", **context: object) -> R:
        """One object from under `key` of the answer, or from the answer itself."""
        reply = await self._send(asked)
        return read(record, reply, envelope(reply, key)[key] if key else envelope(reply), **context)

    async def _rows(self, record: type[R], asked: Call, key: str) -> tuple[R, ...]:
        """The objects of a short list under `key`; null is empty. BadPayload where the key is missing or one cannot be read."""
        reply = await self._send(asked)
        return tuple(read(record, reply, row) for row in listed(reply, key))

    async def _id(self, asked: Call, key: str) -> str:
        """The id under `key` of the answer to a write."""
        return str(envelope(await self._send(asked), key)[key])

    def _pages(
        self,
        record: type[R],
        key: str,
        asked: Call,
        unique: tuple[str, ...],
        *,
        page: int | None = None,
        size_name: str = "limit",
        limit: int | None = None,
        max_pages: int | None = None,
        beside: tuple[tuple[str, type[Record]], ...] = (),
    ) -> AsyncPages[R]:
        """A listing whose rows stand under `key`, `page` rows at most on a page (None: not paginated)."""
        listing = Listing(record, key, asked, unique, page, size_name, beside)
        return AsyncPages(
            self._door, listing, limit=params.limit(limit), max_pages=params.limit(max_pages, "max_pages")
        )


def envelope(reply: Reply, *required: str) -> dict[str, Any]:
    """The answer as a mapping that has the required keys; BadPayload otherwise."""
    try:
        found = msgspec.json.decode(reply.body)
    except (ValueError, RecursionError) as error:
        raise bad_payload(reply, str(error)) from None
    if len(reply.body) <= _STRICT and (names := doubled(reply.body)):
        raise bad_payload(reply, f"{names[0]!r} stands in one object twice")
    missing = [key for key in required if key and (not isinstance(found, dict) or key not in found)]
    if missing or not isinstance(found, dict):
        raise bad_payload(reply, f"no {missing[0]!r} in it" if missing else "no object")
    return found


def listed(reply: Reply, key: str) -> list[Any]:
    """The list under `key` of the answer, empty for null; BadPayload where the key is missing or holds something else."""
    found = envelope(reply, key)[key]
    if found is not None and not isinstance(found, list):
        raise bad_payload(reply, f"{key!r} is no list")
    return found or []


def read(record: type[R], reply: Reply, row: Any, **context: object) -> R:
    """One object from a decoded row; BadPayload where it cannot be read."""
    try:
        made: R = objects.one(record, row, **context)
    except (ValueError, BadPayload) as error:
        raise unread(reply, error) from None
    return made
