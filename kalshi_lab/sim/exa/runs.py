"""Agent runs: created and charged at once, done a little later, kept until they are deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kalshi_lab.sim.exa import bill as bills
from kalshi_lab.sim.wire import SECOND, moment

if TYPE_CHECKING:
    from kalshi_lab.sim.exa.bill import Bill
    from kalshi_lab.sim.exa.engine import Engine
    from kalshi_lab.sim.virtual import VirtualClock

LOOKS = 2  # at which a run is done, however little time has passed
TAKES = 30 * SECOND
ENDED = frozenset({"completed", "failed", "cancelled"})
Told = tuple[int, dict[str, Any]]


class Runs:
    """The runs of one team."""

    def __init__(self, engine: Engine, bill: Bill, clock: VirtualClock) -> None:
        self._engine, self._bill, self._clock = engine, bill, clock
        self._kept: dict[str, dict[str, Any]] = {}
        self._looks: dict[str, int] = {}

    def answer(self, method: str, parts: list[str], body: Any, words: dict[str, str]) -> Told:
        """The status and the body of an answer; `parts` is what stands in the path below /agent/runs."""
        name, action = parts[0], parts[1] if len(parts) > 1 else ""
        if not name:
            return self._create(body) if method == "POST" else self._listed(words)
        run = self._kept.get(name)
        if run is None:
            return 404, _error("NOT_FOUND", "RUN_NOT_FOUND", f"no run {name[:40]}")
        if method == "DELETE":
            del self._kept[name]
            return 200, {"id": name, "object": "agent_run.deleted", "deleted": True}
        if action == "events":
            return 200, {"data": self._events(run), "hasMore": False, "nextCursor": None}
        if method == "POST" and action in {"cancel", "stop"}:
            return 200, self._ended(run, "cancelled" if action == "cancel" else "stopped")
        return 200, self._looked(run)

    def _create(self, body: Any) -> Told:
        if not isinstance(body, dict) or not body.get("query"):
            return 400, _error("INVALID_REQUEST", "INVALID_REQUEST", "query: expected a text")
        name = f"agent_run_{len(self._looks) + 1:08d}"
        self._bill.charge("run", bills.run(body), id=name, metadata=body.get("metadata") or {})
        schema = {"outputSchema": body["outputSchema"]} if body.get("outputSchema") else {}
        run: dict[str, Any] = {
            "id": name,
            "object": "agent_run",
            "status": "queued",
            "stopReason": None,
            "createdAt": moment(self._clock.now()),
            "completedAt": None,
            "request": {"query": body["query"], "effort": body.get("effort") or "auto", **schema},
            "metadata": body.get("metadata") or {},
            "output": {"text": "", "structured": None, "grounding": []},
            "costDollars": {"total": 0, "agentCompute": 0, "search": 0, "emails": 0, "phoneNumbers": 0},
        }
        self._kept[name], self._looks[name] = run, 0
        return 200, dict(run)

    def _listed(self, words: dict[str, str]) -> Told:
        rows = [dict(run) for run in reversed(self._kept.values())]
        start, limit = int(words.get("cursor") or 0), int(words.get("limit") or 20)
        more = start + limit < len(rows)
        return 200, {
            "data": rows[start : start + limit],
            "hasMore": more,
            "nextCursor": str(start + limit) if more else None,
        }

    def _looked(self, run: dict[str, Any]) -> dict[str, Any]:
        """A run as it stands; every look brings it on."""
        name = run["id"]
        self._looks[name] += 1
        if run["status"] in ENDED:
            return dict(run)
        begun = self._clock.now() - TAKES
        if self._looks[name] >= LOOKS or run["createdAt"] <= moment(begun):
            return self._ended(run, "schema_satisfied")
        run["status"] = "running"
        return dict(run)

    def _ended(self, run: dict[str, Any], reason: str) -> dict[str, Any]:
        if run["status"] in ENDED:
            return dict(run)
        request, stopped = run["request"], reason == "cancelled"
        found = [leaf for leaf in self._engine.search(request["query"], self._clock.now()) if not leaf.broken][:8]
        charged = next(call["dollars"] for call in self._bill.calls if call.get("id") == run["id"])
        run |= {
            "status": "cancelled" if stopped else "completed",
            "stopReason": reason,
            "completedAt": moment(self._clock.now()),
        }
        run["costDollars"] = {
            "total": float(charged),
            "agentCompute": float(charged),
            "search": 0,
            "emails": 0,
            "phoneNumbers": 0,
        }
        if not stopped:
            schema = request.get("outputSchema")
            cited = [{"url": leaf.url, "title": leaf.title} for leaf in found[:5]]
            run["output"] = {
                "text": self._engine.said(found, request["query"]),
                "structured": self._engine.filled(schema, found, request["query"]) if schema else None,
                "grounding": [{"field": "text", "citations": cited, "confidence": "medium"}],
            }
        return dict(run)

    @staticmethod
    def _events(run: dict[str, Any]) -> list[dict[str, Any]]:
        kinds = [
            "created",
            *(["started"] if run["status"] != "queued" else []),
            *([run["status"]] if run["status"] in ENDED else []),
        ]
        return [
            {"id": f"{run['id']}:{place}", "type": f"agent_run.{kind}", "data": {"status": kind}}
            for place, kind in enumerate(kinds)
        ]


def _error(kind: str, code: str, text: str) -> dict[str, Any]:
    return {"error": {"type": kind, "code": code, "message": text}}
