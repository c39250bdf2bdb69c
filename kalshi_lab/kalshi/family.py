"""What every family of endpoints shares: the door, the clock, and reading one object from an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from kalshi_lab import frames
from kalshi_lab.door import Call
from kalshi_lab.kalshi.pages import bad_payload
from kalshi_lab.models.fields import Record

if TYPE_CHECKING:
    from kalshi_lab.clock import Clock
    from kalshi_lab.door import Door, Reply
    from kalshi_lab.kalshi.params import Params

R = TypeVar("R", bound=Record)


class Family:
    """A group of endpoints, as the exchange itself groups them."""

    def __init__(self, door: Door, clock: Clock) -> None:
        self._door = door
        self._clock = clock

    async def _reply(self, operation: str, path: str, params: Params = ()) -> Reply:
        return await self._door.send(Call(operation, path, params))

    async def _object(self, record: type[R], call: Call, key: str = "", **context: object) -> R:
        """One object from under `key` of the answer, or from the answer itself."""
        reply = await self._door.send(call)
        return read(record, reply, envelope(reply, key)[key] if key else envelope(reply), **context)


def envelope(reply: Reply, *required: str) -> dict[str, Any]:
    """The answer as a mapping that has the required keys; BadPayload otherwise."""
    try:
        found = msgspec.json.decode(reply.body)
    except (ValueError, RecursionError) as error:
        raise bad_payload(reply, str(error)) from None
    missing = [key for key in required if key and (not isinstance(found, dict) or key not in found)]
    if missing or not isinstance(found, dict):
        raise bad_payload(reply, f"no {missing[0]!r} in it" if missing else "no object")
    return found


def read(record: type[R], reply: Reply, row: Any, **context: object) -> R:
    """One object from a decoded row; BadPayload where it cannot be read."""
    try:
        made: R = frames.one(record, row, **context)
    except ValueError as error:
        raise bad_payload(reply, str(error).replace("\n", " ")[:300]) from None
    return made
