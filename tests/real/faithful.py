"""Whether a row holds everything that the wire said, exactly, and nothing that it did not say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from kalshi_lab.models.fields import Column, Record, columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OWN = {
    "run_id",
    "seen_at",
    "series_ticker",
    "ticker",
    "interval_minutes",
    "extra",
}  # filled in here, or looked at apart


def differences(record: type[Record], wire: Mapping[str, Any], row: Mapping[str, Any]) -> list[str]:
    """What the row has otherwise than the wire; nothing where it is faithful."""
    said = flat(record, wire)
    extra = json.loads(row["extra"] or "{}")
    wrong, used = [], set()
    for name, value in said.items():
        column = next((one for one in columns(record) if name in one.wires), None)
        if column is None:
            kept = "only in extra" if name in extra and extra.pop(name) == value else "nowhere"
            wrong.append(f"{name}: {value!r} is {kept}, and no column knows it")
        else:
            used.add(column.name)
            held, meant = content(column, row[column.name]), meaning(column, value)
            same = held == meant and type(held) is type(meant)
            wrong += [] if same else [f"{name}: {value!r} became {held!r}"]
    wrong += [f"{name}: {value!r} is in extra, and nobody said it" for name, value in extra.items()]
    made_up = {name for name, value in row.items() if value is not None} - used - OWN
    return wrong + [f"{name}: {row[name]!r}, and nobody said it" for name in sorted(made_up)]


def flat(record: type[Record], wire: Mapping[str, Any]) -> dict[str, Any]:
    """The wire's fields with groups spread out, and without records of another kind."""
    out = {name: value for name, value in wire.items() if name not in record.apart}
    for group in record.nested:
        out |= {f"{group}_{name}": value for name, value in (out.pop(group, None) or {}).items()}
    return out


def meaning(column: Column, value: Any) -> Any:
    """The value that a column must hold for what the wire said, worked out without the library's own readers."""
    if value is None or (column.kind == "time" and value == ""):
        return None
    match column.kind:
        case "price" | "money" | "count":
            return Decimal(value)
        case "time":
            return datetime.fromisoformat(value).astimezone(UTC)
        case "unix":
            return datetime.fromtimestamp(value, UTC)
        case "number":
            return float(value)
    return value


def content(column: Column, held: Any) -> Any:
    """What a column holds, nested values out of their JSON text."""
    return json.loads(held) if column.kind == "json" and held is not None else held


def leftover(thing: Any, where: str = "") -> Iterator[str]:
    """The unknown fields of an object and of everything in it."""
    if isinstance(thing, Record):
        place = f"{where}{type(thing).__name__}"
        yield from (f"{place}.{name}" for name in thing.model_extra or {})
        for name, value in thing:
            yield from leftover(value, f"{place}.{name} ")
    elif isinstance(thing, list | tuple):
        for item in thing:
            yield from leftover(item, where)
    elif isinstance(thing, dict):
        yield from leftover(list(thing.values()), where)
