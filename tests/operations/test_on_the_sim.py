"""Every operation against the simulated exchange: signed, checked there with the public key, its answer in records to the last field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest

import kalshi_lab as kl
from kalshi_lab import sim
from tests.operations.calls import CALLS
from tests.operations.contract import BY_NAME, faults
from tests.operations.leftover import awaited, everything, leftovers
from tests.operations.practice import Practice
from tests.operations.server import operation_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def practice() -> Iterator[Practice]:
    with sim.start(markets=400, history_days=45, clock="frozen") as exchange:
        made = Practice(exchange)
        yield made
        made.close()


@pytest.mark.parametrize("face", ["blocking", "awaited"])
@pytest.mark.parametrize("name", CALLS)
def test_an_operation(name: str, face: str, practice: Practice) -> None:
    """API-10 to API-18: done, as the exchange's contract says, in both faces; private ones were verified by signature."""
    known = practice.ready(name)
    practice.exchange.reset_log()
    if face == "blocking":
        made = everything(CALLS[name](practice.mine, known))
    else:
        made = awaited(lambda: _client(practice), lambda client: CALLS[name](client, known))
    asked = _asked(name, practice)
    if name in BY_NAME:
        assert faults(name, asked["query"], asked.get("body")) == []
        assert asked["status"] == BY_NAME[name]["status"]
        assert asked.get("key") == (practice.key.key_id if BY_NAME[name]["auth"] else None)
    assert [fault for value in made for fault in leftovers(value)] == []


def _client(practice: Practice) -> kl.AsyncKalshi:
    return kl.AsyncKalshi(settings=practice.settings, credentials=practice.key, writable=True)


def _asked(name: str, practice: Practice) -> dict[str, Any]:
    for entry in practice.exchange.requests():
        row = operation_of(entry["method"], entry["path"])
        if row is not None and row.operation == name:
            return {**entry, "query": parse_qsl(entry["query"], keep_blank_values=True)}
    raise AssertionError(f"{name} was not asked for")
