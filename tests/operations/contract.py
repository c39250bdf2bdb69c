"""What the exchange's contract says of an operation: an answer with every field, and whether a request is as it should be."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

CONTRACT: dict[str, Any] = json.loads((Path(__file__).parents[1] / "contract.json").read_text(encoding="utf-8"))
MODELS, ENUMS = CONTRACT["models"], CONTRACT["enums"]
BY_NAME: dict[str, dict[str, Any]] = {row["operation"]: row for row in CONTRACT["endpoints"]}
_OF = re.compile(r"(array|map)<(.*)>")
_TEXTS = {
    "fixed_point_dollars": "0.4200",
    "fixed_point_count": "13.00",
    "date-time": "2026-11-20T15:00:00Z",
    "uuid": "11111111-2222-3333-4444-555555555555",
}
_PLAIN: dict[str, Any] = {
    "string": "KX-TEXT",
    "integer": 3,
    "number": 1.5,
    "boolean": True,
    "any": {"free": 1},
    "object": {},
}
_KINDS: dict[str, Any] = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict}


def sample(kind: str, field: dict[str, Any] | None = None) -> Any:
    """A value of a type of the contract, with every field of a model in it."""
    field = field or {}
    if found := _OF.fullmatch(kind):
        outer, inner = found.groups()
        if inner == "array<string>":
            return [["0.4200", "13.00"]]
        item = sample(inner.rpartition(",")[2] if outer == "map" else inner, {} if inner in MODELS else field)
        return [item] if outer == "array" else {"KEY": item}
    if kind in MODELS:
        return {name: sample(row["type"], row) for name, row in MODELS[kind].items()}
    if field.get("enum") or kind in ENUMS:
        return (field.get("enum") or ENUMS[kind])[0]
    return _TEXTS[field["format"]] if field.get("format") in _TEXTS else _PLAIN[kind]


def answer(operation: str) -> Any:
    """The answer of an operation with every field of the contract; the pages end at once."""
    kind = BY_NAME[operation].get("response")
    made = sample(kind) if kind else None
    for end, value in {"cursor": "", "next_cursor": "", "adjusted_end_ts": 2**31}.items():
        if isinstance(made, dict) and end in made:
            made[end] = value
    return made


def faults(operation: str, query: list[tuple[str, str]], body: Any) -> list[str]:
    """What is wrong with the query and the body of a request, by the contract."""
    row = BY_NAME[operation]
    allowed = {one["name"]: one for one in row["params"] if one["in"] == "query"}
    found = [f"unknown parameter {name}" for name, _ in query if name not in allowed]
    found += [f"no {name}" for name, one in allowed.items() if one["required"] and name not in dict(query)]
    for name, value in query:
        found += _text_faults(name, value, allowed.get(name, {}))
    if row.get("request") and row["request"] != "object":
        found += _body_faults(row["request"], body)
    elif body not in (None, {}):
        found.append(f"a body where none belongs: {body}")
    return found


def _text_faults(name: str, value: str, rule: dict[str, Any]) -> list[str]:
    if rule.get("type") == "integer" and not re.fullmatch(r"-?\d+", value):
        return [f"{name}={value} is no whole number"]
    if rule.get("type") == "integer" and not rule.get("minimum", -(2**63)) <= int(value) <= rule.get("maximum", 2**63):
        return [f"{name}={value} is out of range"]
    if rule.get("type") == "boolean" and value not in {"true", "false"}:
        return [f"{name}={value} is no flag"]
    return [f"{name}={value} is not allowed"] if rule.get("enum") and value not in map(str, rule["enum"]) else []


def _body_faults(kind: str, body: Any, where: str = "") -> list[str]:
    if not isinstance(body, dict):
        return [f"{where or kind}: no object but {body!r}"]
    fields = MODELS[kind]
    found = [f"{where}{name}: unknown" for name in body if name not in fields]
    found += [f"{where}{name}: missing" for name, row in fields.items() if row["required"] and name not in body]
    for name, value in body.items():
        found += _value_faults(fields.get(name, {"type": "any"}), value, f"{where}{name}")
    return found


def _value_faults(row: dict[str, Any], value: Any, where: str) -> list[str]:  # noqa: PLR0911 - one return a kind
    kind = row["type"]
    if inner := _OF.fullmatch(kind):
        item = {**row, "type": inner[2]}
        return [fault for one in value for fault in _value_faults(item, one, f"{where}[]")]
    if kind in MODELS:
        return _body_faults(kind, value, f"{where}.")
    if row.get("enum") or kind in ENUMS:
        allowed = row.get("enum") or ENUMS[kind]
        return [] if value in allowed else [f"{where}={value!r} is not among {allowed}"]
    if kind in _KINDS and (not isinstance(value, _KINDS[kind]) or (kind == "integer" and isinstance(value, bool))):
        return [f"{where}={value!r} is no {kind}"]
    if row.get("format") == "fixed_point_dollars" and not re.fullmatch(r"-?\d+(\.\d{1,4})?", value):
        return [f"{where}={value!r} is no price for a request"]
    if row.get("format") == "fixed_point_count" and not re.fullmatch(r"\d+(\.\d{1,2})?", value):
        return [f"{where}={value!r} is no count for a request"]
    return []
