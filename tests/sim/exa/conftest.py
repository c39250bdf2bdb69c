"""The simulated Exa of a small world in this process, asked without a network and without a limit of its rate."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from starlette.requests import Request

from kalshi_lab.sim.exa import Service
from kalshi_lab.sim.exa.stories import Stories
from kalshi_lab.sim.virtual import VirtualClock
from kalshi_lab.sim.world import World, microseconds

if TYPE_CHECKING:
    from starlette.responses import Response

    from kalshi_lab.sim.exa.stories import Leaf

KEY = "practice-key"
BILL = "H.R. 1001 passes the House"


class Desk:
    """One service with its clock, and requests to it."""

    def __init__(self, world: World) -> None:
        self.world, self.clock = world, VirtualClock(microseconds(world.start), "frozen")
        self.service = Service(world, self.clock)
        self.service.bill.admits = lambda _surface: True  # type: ignore[method-assign]  # rates are tried over HTTP

    def ask(
        self, method: str, path: str, body: Any = None, *, key: str = KEY, query: str = "", **headers: str
    ) -> Response:
        given = {"x-api-key": key, **{name.replace("_", "-"): value for name, value in headers.items()}}
        scope = {
            "type": "http", "method": method, "path": f"/exa{path}", "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        }  # fmt: skip
        return self.service.answer(Request(scope), path, body)

    def post(self, path: str, status: int = 200, /, **body: Any) -> Any:
        response = self.ask("POST", path, body)
        assert response.status_code == status, bytes(response.body)
        return json.loads(bytes(response.body))

    def get(self, path: str, status: int = 200, query: str = "") -> Any:
        response = self.ask("GET", path, query=query)
        assert response.status_code == status, bytes(response.body)
        return json.loads(bytes(response.body))

    def pages(self) -> list[Leaf]:
        """Every page that is or will be."""
        return press(self.world)


@cache
def press(world: World) -> list[Leaf]:
    """All pages about the events of a world."""
    stories = Stories(world)
    return [leaf for event in range(len(world.events)) for leaf in stories.leaves(event)]


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)
