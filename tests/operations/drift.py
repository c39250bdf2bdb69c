"""How the exchange's answers differ from the contract that this library was written for.

    python -m tests.operations.drift [--environment prod]

asks each public endpoint and prints a frame: fields that are new, gone or changed, and endpoints that did not answer. Run it once a
month; what it shows goes into the records and tests/contract.json. It ends with status 1 where there is anything to show.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import polars as pl

import kalshi_lab as kl
from tests.operations import discover
from tests.operations.calls import PUBLIC, Known
from tests.operations.contract import BY_NAME, ENUMS, MODELS

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalshi_lab.door import Call, Reply

_OF = re.compile(r"(array|map)<(.*)>")
_KINDS: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
}
_FORMATS = {
    "fixed_point_dollars": r"-?\d+(\.\d{1,6})?",
    "fixed_point_count": r"-?\d+(\.\d{1,2})?",
    "date-time": r"\d{4}-\d\d-\d\dT.*|",  # empty: none, as some listings say it
}
SCHEMA = {"operation": pl.String, "field": pl.String, "change": pl.String, "rows": pl.Int64, "example": pl.String}


class Comparison:
    """Answers to one operation, held against its type in the contract."""

    def __init__(self, operation: str) -> None:
        self.operation, self.kind = operation, str(BY_NAME[operation]["response"])
        self._objects: Counter[str] = Counter()
        self._absent: Counter[tuple[str, str]] = Counter()
        self._seen: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], str] = {}

    def add(self, body: bytes) -> None:
        """Compare one answer."""
        try:
            value = json.loads(body)
        except ValueError:
            self._note(self.kind, "changed: no JSON", body[:60].decode(errors="replace"))
        else:
            self._compare({"type": self.kind}, value, self.kind)

    def unanswered(self, why: str) -> None:
        """Nothing came that could be compared."""
        self._note("", "unanswered", why)

    def rows(self) -> list[tuple[str, str, str, int, str]]:
        """What differs, by field. A field that all of its objects lack is gone; one that only some lack has changed."""
        for (model, name), count in self._absent.items():
            change = "gone" if count == self._objects[model] else "changed: absent"
            self._seen[f"{model}.{name}", change] = count
        return [(self.operation, *key, count, self._examples.get(key, "")) for key, count in sorted(self._seen.items())]

    def _note(self, where: str, change: str, example: str) -> None:
        self._seen[where, change] += 1
        self._examples.setdefault((where, change), example)

    def _compare(self, rule: dict[str, Any], value: Any, where: str) -> None:
        kind = rule["type"]
        words, form = rule.get("enum") or ENUMS.get(kind), rule.get("format", "")
        if found := _OF.fullmatch(kind):
            inner = found[2] if found[1] == "array" else found[2].partition(",")[2]
            self._inside(found[1], {**rule, "type": inner}, value, where)
        elif kind in MODELS:
            self._fields(kind, value, where)
        elif not _fits(kind, value):
            self._note(where, f"changed: no {'text' if kind in ENUMS else kind}", json.dumps(value)[:60])
        elif words and value not in words:
            self._note(where, "changed: a new word", json.dumps(value)[:60])
        elif form in _FORMATS and not re.fullmatch(_FORMATS[form], value):
            self._note(where, f"changed: no {form}", json.dumps(value)[:60])

    def _inside(self, outer: str, rule: dict[str, Any], value: Any, where: str) -> None:
        if value is None and outer == "array":
            return  # inside others the exchange says so of an empty list
        if not isinstance(value, list if outer == "array" else dict):
            self._note(where, f"changed: no {outer}", json.dumps(value)[:60])
            return
        for item in value if outer == "array" else value.values():
            self._compare(rule, item, where)

    def _fields(self, model: str, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            self._note(where, "changed: no object", json.dumps(value)[:60])
            return
        self._objects[model] += 1
        for name in value.keys() - MODELS[model].keys():
            self._note(f"{model}.{name}", "new", json.dumps(value[name])[:60])
        for name, rule in MODELS[model].items():
            if name not in value:
                self._absent.update([(model, name)] if rule["required"] else [])
            elif value[name] is not None:
                self._compare(rule, value[name], f"{model}.{name}")
            elif rule["required"] and not rule["nullable"]:
                self._note(f"{model}.{name}", "changed: null", "null")


def _fits(kind: str, value: Any) -> bool:
    wanted = str if kind in ENUMS else _KINDS.get(kind, object)
    return isinstance(value, wanted) and (kind in {"boolean", "any"} or not isinstance(value, bool))


def drift(client: kl.Kalshi) -> pl.DataFrame:
    """Ask each public endpoint, some of them page after page.

    Columns: operation, field (Model.field), change (new; gone: required, and in no row; changed: how; or unanswered), rows Int64 (in
    how many it was seen), example (of what came, or why nothing did). No rows: nothing has changed. An optional field that is null
    counts as absent, which is no change.
    """
    bodies: dict[str, list[bytes]] = {}
    door, ask = client._twin.door, client._twin.door.send  # the bodies pass by here

    async def kept(call: Call) -> Reply:
        reply = await ask(call)
        bodies.setdefault(call.operation, []).append(reply.body)
        return reply

    door.send = kept  # type: ignore[method-assign]
    try:
        known = _known(client)
        found = [row for name, call in PUBLIC.items() for row in _asked(name, lambda c=call: c(client, known), bodies)]
    finally:
        del door.send
    return pl.DataFrame(found, schema=SCHEMA, orient="row")


def _known(client: kl.Kalshi) -> Known:
    """Names of things that exist there; where answers have changed so much that none are found, names that may not exist."""
    try:
        return discover.public(client)
    except (kl.LabError, StopIteration):
        return Known()


def _asked(name: str, call: Callable[[], Any], bodies: dict[str, list[bytes]]) -> list[tuple[str, str, str, int, str]]:
    """What differs in the answers to one operation; those that `discover` had do not count."""
    bodies.clear()
    compared, why = Comparison(name), "it was not asked"
    try:
        made = call()
        if isinstance(made, kl.Pages):
            made.frame(exact=True)
    except kl.LabError as error:
        why = error.message
    for body in bodies.get(name, []):
        compared.add(body)
    if not bodies.get(name):
        compared.unanswered(why)
    return compared.rows()


def main() -> None:
    """Print the differences."""
    asked = argparse.ArgumentParser(description="How the exchange's answers differ from the contract.")
    asked.add_argument("--environment", choices=["prod", "demo"], default="prod")
    with kl.Kalshi(environment=asked.parse_args().environment) as client, pl.Config(tbl_rows=-1, fmt_str_lengths=80):
        try:
            client.exchange.status()
        except kl.LabError as error:
            sys.exit(f"the exchange does not answer, so nothing was compared: {error}")
        found = drift(client)
        print(found)
    sys.exit(found.height > 0)


if __name__ == "__main__":
    main()
