"""Wire bytes to immutable objects, for one thing or a few; `frames` is the road for many."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec

from kalshi_lab import frames
from kalshi_lab.models.fields import columns

if TYPE_CHECKING:
    from kalshi_lab.models.fields import Record

log = logging.getLogger(__name__)


def many(
    record: type[Record], body: bytes, key: str, **context: object
) -> tuple[list[Any], tuple[frames.Refused, ...]]:
    """The rows of a page as immutable objects, and the rows that could not be read."""
    made, refused = [], []
    for raw in frames.raw_rows(body, key):
        try:
            made.append(one(record, msgspec.json.decode(raw), **context))
        except ValueError as error:
            refused.append(frames.Refused(bytes(raw).decode("utf-8", "replace"), str(error)))
    return made, tuple(refused)


def one(record: type[Record], row: Any, **context: object) -> Any:
    """One object from a decoded row; odd nested values are set aside as on the way to a frame. Raises ValueError."""
    from pydantic import ValidationError

    if not isinstance(row, dict):
        raise ValueError(f"no object but {type(row).__name__}")
    nested = {column.wires[0]: column.name for column in columns(record) if column.kind == "json"}
    row = {**context, **row}
    try:
        return record.model_validate(row, by_alias=True, by_name=False)  # the wire's "yes_bid" of old was cents
    except ValidationError as error:
        places = [item["loc"] for item in error.errors() if item["loc"]]
        odd = {str(place[0]) for place in places} & nested.keys()
        below = {place[:2] for place in places if place[0] in record.apart and len(place) > 1}
        if not odd and not below:
            raise
    row = {(f"raw_{nested[name]}" if name in odd else name): value for name, value in row.items()}
    row |= _apart(record, row, below)
    return record.model_validate(row, by_alias=True, by_name=False)


def _apart(record: type[Record], row: dict[str, Any], below: set[tuple[Any, ...]]) -> dict[str, Any]:
    """Lists of records inside a row without those that cannot be read, which are kept as they came beside them."""
    changed: dict[str, Any] = {}
    for name in {str(name) for name, _ in below}:
        bad = {place for owner, place in below if owner == name}
        log.warning("%s: %d of its %s cannot be read; kept in raw_%s", record.__name__, len(bad), name, name)
        changed[name] = [each for place, each in enumerate(row[name]) if place not in bad]
        changed[f"raw_{name}"] = [each for place, each in enumerate(row[name]) if place in bad]
    return changed
