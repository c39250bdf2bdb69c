"""Monitors and websets: kept, listed, changed; a run or an item is what the search finds now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalshi_lab.sim.wire import moment

if TYPE_CHECKING:
    from kalshi_lab.sim.exa.engine import Engine
    from kalshi_lab.sim.virtual import VirtualClock

Told = tuple[int, dict[str, Any]]


class Standing:
    """What one team has standing, of both kinds."""

    def __init__(self, engine: Engine, clock: VirtualClock) -> None:
        self._engine, self._clock = engine, clock
        self._kept: dict[str, dict[str, Any]] = {}
        self._runs: dict[str, list[dict[str, Any]]] = {}

    def answer(self, kind: str, method: str, parts: list[str], body: Any) -> Told | None:
        """The answer to a request below /monitors or /websets/v0/websets; None for a path that is none."""
        name, rest = parts[0], parts[1:]
        if not name:
            return self._create(kind, body or {}) if method == "POST" else (200, self._page(self._of(kind)))
        if name == "batch" and kind == "monitor":
            return 200, self._batch(body or {})
        if name == "preview" and kind == "webset":
            return 200, {
                "search": {"entity": {"type": "article"}, "criteria": []},
                "enrichments": [],
                "items": self._items(body["search"]),
            }
        one = self._found(kind, name)
        if one is None:
            return 404, {"error": f"no {kind} {name[:40]}", "tag": "NOT_FOUND"}
        return self._deeper(one, rest) if rest else self._plain(one, method, body or {})

    def _of(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self._kept.values() if one["object"] == kind]

    def _found(self, kind: str, name: str) -> dict[str, Any] | None:
        return next((one for one in self._of(kind) if name in {one["id"], one.get("externalId")}), None)

    def _create(self, kind: str, body: dict[str, Any]) -> Told:
        search = body.get("search") or {}
        if not search.get("query"):
            return 400, {"error": "search.query: expected a text", "tag": "INVALID_REQUEST_BODY"}
        if body.get("externalId") and self._found(kind, body["externalId"]):
            return 409, {"error": "externalId is taken", "tag": "CONFLICT"}
        now = moment(self._clock.now())
        made = {
            **body, "id": f"{kind}_{len(self._kept) + 1:06d}", "object": kind, "status": "active" if kind == "monitor" else "idle",
            "createdAt": now, "updatedAt": now,
        }  # fmt: skip
        self._kept[made["id"]] = made
        self._runs[made["id"]] = []
        return 201, {**made, **({"webhookSecret": f"whsec_{made['id']}"} if kind == "monitor" else {})}

    def _plain(self, one: dict[str, Any], method: str, body: dict[str, Any]) -> Told:
        if method == "DELETE":
            del self._kept[one["id"]]
            return 200, dict(one)
        if method in {"PATCH", "POST"}:
            one |= {**body, "updatedAt": moment(self._clock.now())}
        return 200, dict(one)

    def _deeper(self, one: dict[str, Any], rest: list[str]) -> Told | None:
        runs = self._runs[one["id"]]
        if rest == ["trigger"]:
            now = moment(self._clock.now())
            runs.append(
                {"id": f"run_{len(runs) + 1}", "monitorId": one["id"], "status": "completed", "createdAt": now, "completedAt": now,
                 "output": {"results": self._items(one["search"]), "content": "", "grounding": []}}
            )  # fmt: skip
            return 200, {"triggered": True}
        if rest == ["runs"]:
            return 200, self._page(runs)
        if rest[0] == "runs":
            found = next((run for run in runs if run["id"] == rest[1]), None)
            return (200, found) if found else (404, {"error": "no such run", "tag": "NOT_FOUND"})
        if rest == ["cancel"]:
            return 200, one | {"status": "idle"}
        return (200, self._page(self._items(one["search"]))) if rest == ["items"] else None

    def _items(self, search: dict[str, Any]) -> list[dict[str, Any]]:
        number = int(search.get("count") or search.get("numResults") or 10)
        found = self._engine.search(search["query"], self._clock.now())[:number]
        return [
            {"id": f"item_{n}", "object": "webset_item", "url": leaf.url, "title": leaf.title}
            for n, leaf in enumerate(found)
        ]

    def _batch(self, body: dict[str, Any]) -> dict[str, Any]:
        wanted = body.get("filter") or {}
        hit = [one for one in self._of("monitor") if all(one.get(name) == value for name, value in wanted.items())]
        if not body.get("dry_run", True):
            for one in hit:
                if body["action"] == "delete":
                    del self._kept[one["id"]]
                else:
                    one["status"] = "paused" if body["action"] == "pause" else "active"
        return {
            "action": body.get("action"), "dry_run": body.get("dry_run", True), "affected": len(hit), "ids": [one["id"] for one in hit],
            "has_more": False,
        }  # fmt: skip

    @staticmethod
    def _page(rows: list[dict[str, Any]]) -> dict[str, Any]:
        return {"data": [dict(row) for row in rows], "hasMore": False, "nextCursor": None}
