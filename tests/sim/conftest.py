"""A small frozen exchange over HTTP, the same world in this process, and the exchange's contract as a checker."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from kalshi_lab import sim
from kalshi_lab.sim.world import World

MARKETS, HISTORY = 180, 42
Get = Callable[..., Any]
_FORMATS = {
    "fixed_point_dollars": re.compile(r"-?\d+\.\d{4}(\d\d)?"),
    "fixed_point_count": re.compile(r"-?\d+\.\d{2}"),
    "date-time": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,5}[1-9])?Z"),
    "uuid": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
}
_PLAIN: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
}


class Contract:
    """Checks values against tests/contract.json and says what is wrong with them."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.models, self.enums, self.messages = document["models"], document["enums"], document["ws"]["messages"]
        self.endpoints = {(entry["method"], entry["path"]): entry for entry in document["endpoints"]}

    def response(self, path: str) -> str:
        """The model that answers GET `path`."""
        return str(self.endpoints["GET", path]["response"])

    def problems(self, kind: str, value: Any, where: str = "") -> list[str]:
        """What is wrong with `value` as a `kind`; nothing when it fits."""
        if kind in self.models:
            return self._object(self.models[kind], value, where or kind)
        if kind in self.enums:
            return [] if value in self.enums[kind] else [f"{where}: {value!r} is not in {kind}"]
        if kind.startswith("array<"):
            items = value if isinstance(value, list) else []
            wrong = [] if isinstance(value, list) else [f"{where}: no list"]
            return wrong + [
                found
                for place, item in enumerate(items)
                for found in self.problems(kind[6:-1], item, f"{where}[{place}]")
            ]
        if kind == "any" or kind.startswith("map<"):
            return []
        fits = isinstance(value, _PLAIN[kind]) and (kind == "boolean" or not isinstance(value, bool))
        return [] if fits else [f"{where}: {value!r} is no {kind}"]

    def problems_of(self, fields: dict[str, Any], value: Any) -> list[str]:
        """What is wrong with an object that has its fields here rather than under a model's name."""
        return self._object(fields, value, "message")

    def _object(self, fields: dict[str, Any], value: Any, where: str) -> list[str]:
        if not isinstance(value, dict):
            return [f"{where}: no object"]
        wrong = [f"{where}: unknown key {key}" for key in value if key not in fields]
        for name, field in fields.items():
            if name not in value:
                wrong += [f"{where}.{name}: missing"] if field["required"] else []
            elif value[name] is None:
                wrong += [] if field["nullable"] else [f"{where}.{name}: null"]
            else:
                wrong += self._value(field, value[name], f"{where}.{name}")
        return wrong

    def _value(self, field: dict[str, Any], value: Any, where: str) -> list[str]:
        wrong = self.problems(field["type"], value, where)
        if (
            "enum" in field and not {*value} <= {*field["enum"]}
            if isinstance(value, list)
            else value not in field.get("enum", [value])
        ):
            wrong.append(f"{where}: {value!r} is not in {field['enum']}")
        pattern = _FORMATS.get(field.get("format", ""))
        if pattern and not wrong and not pattern.fullmatch(value):
            wrong.append(f"{where}: {value!r} is no {field['format']}")
        return wrong


@pytest.fixture(scope="session")
def contract() -> Contract:
    text = (Path(__file__).parents[1] / "contract.json").read_text(encoding="utf-8")
    return Contract(json.loads(text))


@pytest.fixture(scope="session")
def world() -> World:
    """The world that `exchange` serves."""
    return World(open_markets=MARKETS, history_days=HISTORY)


@pytest.fixture(scope="session")
def exchange() -> Iterator[sim.Exchange]:
    """A frozen exchange that no test changes."""
    with sim.start(markets=MARKETS, history_days=HISTORY, clock="frozen") as running:
        yield running


@pytest.fixture
def own() -> Iterator[sim.Exchange]:
    """A frozen exchange of the test's own, to be moved and broken."""
    with sim.start(markets=100, history_days=5, clock="frozen") as running:
        yield running


@pytest.fixture(scope="session")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30, trust_env=False) as opened:
        yield opened


@pytest.fixture(scope="session")
def get(exchange: sim.Exchange, client: httpx.Client) -> Get:
    """GET a path of the shared exchange; the parsed body of its answer 200."""

    def answer(path: str, **params: Any) -> Any:
        response = client.get(exchange.url + path, params=params)
        assert response.status_code == 200, (path, params, response.text)
        return response.json()

    return answer


@pytest.fixture(scope="session")
def everything(get: Get) -> Callable[..., list[dict[str, Any]]]:
    """All rows of a listing, page after page; the same walk is made once."""

    @cache
    def rows(path: str, key: str, **params: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = get(path, **{"limit": 1000, **params}, **({"cursor": cursor} if cursor else {}))
            found += page[key]
            cursor = page["cursor"]
            if not cursor:
                return found

    return rows
