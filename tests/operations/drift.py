"""How the exchange's answers differ from the contract that this library was written for.

    python -m tests.operations.drift [--environment prod]

asks each public endpoint once and prints a frame: fields that are new, gone (required, and in no row) or changed (another type,
format or word, or null where that was ruled out). Run it once a month; what it shows goes into the records and tests/contract.json.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import polars as pl

import kalshi_lab as kl
from tests.operations import discover
from tests.operations.calls import PUBLIC
from tests.operations.contract import BY_NAME, ENUMS, MODELS
from tests.operations.leftover import everything

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kalshi_lab.door import Call, Reply

_OF = re.compile(r"(array|map)<(.*)>")
_KINDS: dict[str, Any] = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict}
_FORMATS = {
    "fixed_point_dollars": r"-?\d+(\.\d{1,6})?",
    "fixed_point_count": r"-?\d+(\.\d{1,2})?",
    "date-time": r"\d{4}-\d\d-\d\dT.*|",
}
SCHEMA = {"operation": pl.String, "field": pl.String, "change": pl.String, "rows": pl.Int64, "example": pl.String}
Finding = tuple[str, str, str]


def differences(kind: str, value: Any, where: str) -> Iterator[Finding]:
    """What of a value does not fit a type of the contract: (field, change, example)."""
    if found := _OF.fullmatch(kind):
        inner = found[2].rpartition(",")[2] if found[1] == "map" else found[2]
        items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        for item in items:
            yield from differences(inner, item, where)
    elif kind in MODELS:
        yield from _fields(kind, value, where)
    elif kind in _KINDS and not isinstance(value, _KINDS[kind]):
        yield where, f"changed: no {kind}", json.dumps(value)[:60]


def _fields(kind: str, value: Any, where: str) -> Iterator[Finding]:
    if not isinstance(value, dict):
        yield where, "changed: no object", json.dumps(value)[:60]
        return
    for name in value.keys() - MODELS[kind].keys():
        yield f"{kind}.{name}", "new", json.dumps(value[name])[:60]
    for name, rule in MODELS[kind].items():
        if name not in value:
            if rule["required"]:
                yield f"{kind}.{name}", "gone", ""
        elif value[name] is None:
            if not rule["nullable"] and rule["required"]:
                yield f"{kind}.{name}", "changed: null", "null"
        else:
            yield from _value(rule, value[name], f"{kind}.{name}")


def _value(rule: dict[str, Any], value: Any, where: str) -> Iterator[Finding]:
    words = rule.get("enum") or ENUMS.get(rule["type"])
    pattern = _FORMATS.get(rule.get("format", ""))
    if words and not isinstance(value, list) and value not in words:
        yield where, "changed: a new word", json.dumps(value)[:60]
    elif pattern and not (isinstance(value, str) and re.fullmatch(pattern, value)):
        yield where, f"changed: no {rule['format']}", json.dumps(value)[:60]
    else:
        yield from differences(rule["type"], value, where)


def drift(client: kl.Kalshi) -> pl.DataFrame:
    """Ask each public endpoint once.

    Columns: operation, field (Model.field), change (new, gone, changed: how, or unanswered), rows Int64 (in how many it was seen),
    example. No rows: nothing has changed.
    """
    bodies = _collected(client)
    seen: Counter[tuple[str, str, str]] = Counter()
    examples: dict[tuple[str, str, str], str] = {}
    for name in PUBLIC:
        if name not in bodies:
            examples[name, "", "unanswered"] = ""
            seen[name, "", "unanswered"] += 1
        for field, change, example in _compared(name, bodies.get(name, [])):
            seen[name, field, change] += 1
            examples.setdefault((name, field, change), example)
    rows = [(*key, count, examples[key]) for key, count in sorted(seen.items())]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _compared(name: str, bodies: list[Any]) -> Iterator[Finding]:
    kind = BY_NAME[name]["response"]
    for body in bodies:
        yield from differences(kind, body, kind)


def _collected(client: kl.Kalshi) -> dict[str, list[Any]]:
    """The bodies of the answers by operation, as they came."""
    bodies: dict[str, list[Any]] = {}
    door = client._twin.door
    send = door.send

    async def kept(call: Call) -> Reply:
        reply = await send(call)
        bodies.setdefault(call.operation, []).append(json.loads(reply.body))
        return reply

    door.send = kept  # type: ignore[method-assign]  # the bodies pass by here
    known = discover.public(client)
    for name, call in PUBLIC.items():
        try:
            everything(call(client, known))
        except kl.LabError as error:
            print(f"{name}: {error}")
    return bodies


def main() -> None:
    """Print the differences."""
    asked = argparse.ArgumentParser(description="How the exchange's answers differ from the contract.")
    asked.add_argument("--environment", choices=["prod", "demo"], default="prod")
    with kl.Kalshi(environment=asked.parse_args().environment) as client, pl.Config(tbl_rows=-1, fmt_str_lengths=80):
        print(drift(client))


if __name__ == "__main__":
    main()
